"""A user's life: made by the operator, logged in, limited, shut out; by the command line and over HTTP."""

import base64
import json
import re
import select
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudigrade
import fleet_of_nine_days as fleet
import psycopg
import pytest
import requests
from aws import until
from client import Client
from conftest import World, create_user, postgres_port
from doors import DOORS
from program import Program

PAIR_FAILURES_BURST, ADDRESS_FAILURES_BURST = 5, 20
# How long one failure counts.
PAIR_FAILURE_SECONDS, ADDRESS_FAILURE_SECONDS = 15, 5
SCOPES = ("read", "write", "admin")
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
def served(program: Program) -> Program:
    """A server without users."""
    return program.configure().start()


def me(program: Program, token: str) -> int:
    """What a token is answered."""
    return Client(program.url, token).ask("GET", "/api/v1/me").status_code


def test_the_first_start_says_how_to_make_the_first_user_and_later_ones_do_not(served: Program) -> None:
    assert "cloudigrade users create NAME --superuser" in served.log.read_text()
    create_user(served, "ann", "--superuser")
    served.stop()
    served.start()
    assert "no users yet" not in served.log.read_text()


def test_users_are_made_listed_disabled_enabled_and_reset_with_and_without_a_server(program: Program) -> None:
    program.configure()
    first = create_user(program, "ann", "--tenant", "acme")
    program.start()
    ann = Client(program.url)
    token = ann.log_in("ann", first)["token"]
    assert me(program, token) == 200
    program.run("users", "disable", "ann")
    assert me(program, token) == 401 and ann.log_in("ann", first, expect=401)["code"] == "credentials"
    program.run("users", "enable", "ann")
    second = json.loads(program.run("users", "reset", "ann", "--generate", "--format", "json").stdout)["password"]
    assert me(program, token) == 401, "a password that was reset ends all tokens"
    ann.log_in("ann", first, expect=401)
    again = ann.log_in("ann", second)["token"]
    program.stop()
    (listed,) = json.loads(program.run("users", "list", "--format", "json").stdout)["users"]
    assert (listed["name"], listed["tenant"], listed["superuser"], listed["disabled"]) == ("ann", "acme", False, False)
    program.start()
    assert me(program, again) == 200, "a token outlives a restart"
    program.run("users", "revoke", "ann", "--all")
    assert me(program, again) == 401


def test_a_password_comes_from_standard_input_and_is_in_no_file_and_no_log(program: Program) -> None:
    program.configure().start()
    password = "correct horse battery staple"
    command = [cloudigrade.BINARY, "users", "create", "bob", "--password-stdin", "--data", str(program.data)]
    done = subprocess.run(command, input=f"{password}\n".encode(), capture_output=True, timeout=cloudigrade.TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stderr
    token = Client(program.url).log_in("bob", password)["token"]
    Client(program.url).log_in("bob", password + "!", expect=401)
    me(program, token)
    said = program.stop()
    kept = b"".join(path.read_bytes() for path in program.data.rglob("*") if path.is_file())
    for secret in (password, token):
        assert secret not in said and secret.encode() not in kept


def test_the_same_name_is_never_given_twice_and_bad_names_and_passwords_are_refused(served: Program) -> None:
    create_user(served, "ann")
    for args in (["ann"], ["with space"], ["a" * 200], ["ok", "--tenant", "no/slash"]):
        served.run("users", "create", *args, "--generate", expect=(1, 2))
    done = subprocess.run(
        [cloudigrade.BINARY, "users", "create", "bob", "--password-stdin", "--data", str(served.data)], input=b"short\n", capture_output=True, timeout=60
    )
    assert done.returncode != 0 and b"short" not in done.stderr


def test_superusers_manage_users_over_http_and_nobody_else_does(served: Program) -> None:
    root = Client(served.url).as_user("root", create_user(served, "root", "--superuser"), "admin")
    made = root.send("POST", "/api/v1/users", {"name": "eve", "tenant": "acme", "password": "a long password"}, 201)
    assert (made["name"], made["tenant"], made["superuser"]) == ("eve", "acme", False)
    eve = Client(served.url).as_user("eve", "a long password", "admin")
    for method, path, body in (
        ("GET", "/api/v1/users", None),
        ("POST", "/api/v1/users", {"name": "x", "password": "a long password", "superuser": True}),
        ("PATCH", "/api/v1/users/root", {"disabled": True}),
        ("PUT", "/api/v1/users/eve/password", {"password": "another password"}),
        ("GET", "/api/v1/user/", None),
    ):
        assert eve.ask(method, path, json=body).status_code == 403, path
    root.send("PUT", "/api/v1/users/eve/password", {"password": "another password"}, 204)
    assert eve.ask("GET", "/api/v1/me").status_code == 401
    eve = Client(served.url).as_user("eve", "another password")
    assert root.send("PATCH", "/api/v1/users/eve", {"disabled": True})["disabled"] is True
    assert eve.ask("GET", "/api/v1/me").status_code == 401


def test_the_first_apis_clients_log_in_look_who_they_are_and_log_out(served: Program) -> None:
    password = create_user(served, "ann", "--email", "ann@example.com")
    anybody = Client(served.url)
    made = anybody.send("POST", "/auth/token/create/", {"username": "ann", "password": password})
    assert made["is_superuser"] is False and re.fullmatch("[0-9a-f]{40}", made["auth_token"])
    ann = Client(served.url, made["auth_token"])
    who = ann.get("/auth/me/")
    assert (who["username"], who["email"]) == ("ann", "ann@example.com") and isinstance(who["id"], int)
    assert anybody.ask("POST", "/auth/token/create/", data={"username": "ann", "password": password}).status_code == 200, "forms are taken too"
    assert ann.ask("POST", "/auth/token/destroy/").status_code == 204
    assert ann.get("/auth/me/", 401) == {"detail": "Invalid token."}
    assert anybody.send("POST", "/auth/token/create/", {"username": "ann", "password": "x"}, 400) == {
        "non_field_errors": ["Unable to log in with provided credentials."]
    }
    assert anybody.send("POST", "/auth/token/create/", {}, 400) == {"username": ["This field is required."], "password": ["This field is required."]}
    assert anybody.get("/auth/me/", 401) == {"detail": "Authentication credentials were not provided."}


def test_tokens_end_when_their_time_is_over(program: Program) -> None:
    program.configure(serve={"token_lifetime": "1m"}).start()
    password = create_user(program, "ann")
    token = Client(program.url).log_in("ann", password)["token"]
    assert me(program, token) == 200
    until("the token to end", lambda: me(program, token) == 401, 90)


def test_a_user_sees_and_ends_own_tokens_by_their_hashes(served: Program) -> None:
    password = create_user(served, "ann")
    first = Client(served.url).log_in("ann", password, label="reports")
    ann = Client(served.url).as_user("ann", password)
    listed = {one["hash"]: one for one in ann.get("/api/v1/tokens")["items"]}
    assert first["hash"] in listed and listed[first["hash"]]["label"] == "reports" and len(listed) == 2
    assert first["token"] not in json.dumps(listed)
    ann.send("DELETE", f"/api/v1/tokens/{first['hash']}", expect=204)
    assert me(served, first["token"]) == 401 and me(served, ann.token or "") == 200
    assert ann.send("DELETE", f"/api/v1/tokens/{first['hash']}", expect=404)["code"] == "not_found"


def let_through_max(burst: int, every: float, started: float) -> int:
    """How many guesses may have been let through since the first: a burst, and one more each time that a failure has counted for long enough."""
    return burst + int((time.monotonic() - started) / every)


def until_refused(guess: Callable[[int], requests.Response], burst: int, every: float) -> list[requests.Response]:
    """Guesses until a guess is refused, and gives all answers. Before that come a burst, and no more than may be let through meanwhile."""
    started, answers = time.monotonic(), [guess(0)]
    while answers[-1].status_code == 401:
        assert len(answers) <= let_through_max(burst, every, started)
        answers.append(guess(len(answers)))
    assert answers[-1].status_code == 429 and len(answers) > burst, [answer.status_code for answer in answers]
    return answers


def test_guesses_are_limited_for_a_name_and_the_limit_is_the_same_for_names_that_are_none(served: Program) -> None:
    password = create_user(served, "ann")
    anybody = Client(served.url)
    for name in ("ann", "nobody"):
        started = time.monotonic()
        wrong = {"name": name, "password": "a wrong guess"}
        answers = until_refused(lambda _: anybody.ask("POST", "/api/v1/tokens", json=wrong), PAIR_FAILURES_BURST, PAIR_FAILURE_SECONDS)
        assert int(answers[-1].headers["retry-after"]) >= 1
        answers.append(anybody.ask("POST", "/api/v1/tokens", json=wrong))
        # The right one is a guess too, of either API.
        right = [
            anybody.ask("POST", "/api/v1/tokens", json={"name": name, "password": password}),
            anybody.ask("POST", "/auth/token/create/", json={"username": name, "password": password}),
        ]
        assert all("retry-after" in answer.headers for answer in right if answer.status_code == 429)
        # What is right gives its place back: of both, one counts.
        let_through = [answer.status_code for answer in answers].count(401) + any(answer.status_code != 429 for answer in right)
        assert PAIR_FAILURES_BURST <= let_through <= let_through_max(PAIR_FAILURES_BURST, PAIR_FAILURE_SECONDS, started), name


def test_guesses_at_once_are_no_more_than_one_after_the_other(served: Program) -> None:
    create_user(served, "ann")

    def guess(at: int) -> int:
        return Client(served.url).ask("POST", "/api/v1/tokens", json={"name": "ann", "password": f"wrong guess {at}"}).status_code

    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(guess, range(32)))
    assert PAIR_FAILURES_BURST <= answers.count(401) <= let_through_max(PAIR_FAILURES_BURST, PAIR_FAILURE_SECONDS, started)
    assert set(answers) <= {401, 429, 503}


def test_one_address_cannot_try_many_names(served: Program) -> None:
    def guess(at: int) -> requests.Response:
        return Client(served.url).ask("POST", "/api/v1/tokens", json={"name": f"user-{at}", "password": "a wrong guess"})

    started = time.monotonic()
    answers = until_refused(guess, ADDRESS_FAILURES_BURST, ADDRESS_FAILURE_SECONDS)
    answers += [guess(len(answers) + more) for more in range(10)]
    assert [answer.status_code for answer in answers].count(401) <= let_through_max(ADDRESS_FAILURES_BURST, ADDRESS_FAILURE_SECONDS, started)


def test_where_a_request_comes_from_is_believed_of_a_trusted_proxy_alone(program: Program) -> None:
    def guess(forwarded: str) -> requests.Response:
        body = {"name": "ann", "password": "a wrong guess"}
        return Client(program.url).ask("POST", "/api/v1/tokens", json=body, headers={"X-Forwarded-For": forwarded})

    program.configure().start()
    refused = until_refused(lambda at: guess(f"192.0.2.{at}"), PAIR_FAILURES_BURST, PAIR_FAILURE_SECONDS)
    program.stop()
    program.configure(serve={"proxies": ["127.0.0.1"]}).start()
    # As many as were too many of one address.
    assert [guess(f"198.51.100.7, 192.0.2.{at}").status_code for at in range(len(refused))] == [401] * len(refused)


# Scopes.


@pytest.fixture(scope="module")
def scoped(world: World) -> dict[str, Client]:
    """A token of each scope, of one user."""
    return {scope: Client(world.program.url).as_user("ann", world.ann.password, scope) for scope in SCOPES}


def test_each_endpoint_takes_a_token_of_at_least_the_scope_that_the_description_says(world: World, scoped: dict[str, Client]) -> None:
    """No token to read can change anything, whatever the method of a request."""
    described = world.anybody.get("/openapi.json")["paths"]
    own = {"setOverride", "removeOverride"}
    refused = 0
    for path, methods in described.items():
        for method, operation in methods.items():
            if method.upper() not in WRITES or operation["operationId"] in ("createToken", "v1CreateToken", "v1DestroyToken", "runSql", "revokeToken"):
                continue
            filled = re.sub(r"\{[^}]+\}", lambda name: {"{image_id}": fleet.RHEL, "{product}": "rhel", "{account_id}": fleet.PROD}.get(name[0], "1"), path)
            answer = scoped["read"].ask(method.upper(), filled, json={})
            assert answer.status_code == 403, f"{method} {filled}: {answer.status_code} {answer.text}"
            refused += 1
            if operation["operationId"] in own:
                assert scoped["write"].ask(method.upper(), filled, json={}).status_code in (400, 404)
    assert refused >= 15


def test_a_token_to_read_reads_and_cannot_register_rename_delete_or_override(world: World, scoped: dict[str, Client]) -> None:
    reader = scoped["read"]
    assert reader.get("/api/v1/me")["scope"] == "read"
    assert reader.get("/api/v1/runs")["rows"] and reader.sql("SELECT 1 AS n") == [{"n": 1}]
    for method, path, body in (
        ("POST", "/api/v1/accounts", {"arn": "arn:aws:iam::012000000998:role/x"}),
        ("PATCH", f"/api/v1/accounts/{fleet.PROD}", {"name": "renamed"}),
        ("DELETE", f"/api/v1/accounts/{fleet.PROD}", None),
        ("POST", f"/api/v1/accounts/{fleet.PROD}/actions", {"action": "pause"}),
        ("PUT", f"/api/v1/images/{fleet.RHEL}/overrides/rhel", {"is": False}),
    ):
        told = reader.send(method, path, body, 403)
        assert told["code"] == "scope", path
    account = reader.pages("/api/v1/account/")[0]
    assert "detail" in reader.send("DELETE", f"/api/v1/account/{account['id']}/", expect=403)


def test_admin_scope_of_one_who_is_no_superuser_gives_no_more_than_write(world: World, scoped: dict[str, Client]) -> None:
    for door in DOORS:
        if door.covers in ("listUsers", "v1ListUsers", "listDeadLetters"):
            assert scoped["admin"].ask("GET", door.name.removeprefix("GET ")).status_code == 403


# Identity by a proxy.


def identity(**said: Any) -> dict[str, str]:
    """The header in which a proxy says who asks."""
    return {"X-RH-IDENTITY": base64.b64encode(json.dumps({"identity": said}).encode()).decode()}


def test_an_identity_header_is_nothing_where_it_was_not_enabled(world: World) -> None:
    for path in ("/api/cloudigrade/v2/accounts/", "/api/cloudigrade/v2/concurrent/", "/api/v1/runs"):
        assert world.anybody.ask("GET", path, headers=identity(account_number="acme")).status_code == 401, path
    told = world.gina.ask("GET", "/api/cloudigrade/v2/accounts/", headers=identity(account_number="acme"))
    assert told.json()["data"] and fleet.PROD not in told.text


def test_a_trusted_proxy_says_who_asks_the_second_api_and_nothing_else(program: Program) -> None:
    program.configure(serve={"proxies": ["127.0.0.1"], "identity_header": True}).start()
    create_user(program, "ann", "--tenant", "123456")
    anybody = Client(program.url)
    assert anybody.ask("GET", "/api/cloudigrade/v2/accounts/", headers=identity(account_number="123456")).json()["meta"] == {"count": 0}
    assert anybody.ask("GET", "/api/cloudigrade/v2/accounts/", headers=identity(org_id="123456")).status_code == 200
    for headers, detail in (
        ({"X-RH-IDENTITY": "%%%"}, "Authentication Failed: invalid identity header failed parsing."),
        ({"X-RH-IDENTITY": base64.b64encode(b"{").decode()}, "Authentication Failed: invalid identity header failed parsing."),
        (identity(user={}), "Authentication Failed: identity account number or org id is required, but neither is present in request."),
    ):
        answer = anybody.ask("GET", "/api/cloudigrade/v2/accounts/", headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"detail": detail})
    assert anybody.ask("GET", "/api/cloudigrade/v2/accounts/", headers=identity(account_number="654321")).status_code == 403
    assert anybody.ask("GET", "/api/cloudigrade/v2/sysconfig/", headers=identity(account_number="654321")).status_code == 200
    for path in ("/api/v1/runs", "/api/v1/account/", "/api/v1/me"):
        assert anybody.ask("GET", path, headers=identity(account_number="123456")).status_code == 401, path


def test_an_identity_header_of_somebody_who_is_no_trusted_proxy_is_nothing(program: Program) -> None:
    program.configure(serve={"proxies": ["192.0.2.1"], "identity_header": True}).start()
    create_user(program, "ann", "--tenant", "123456")
    assert Client(program.url).ask("GET", "/api/cloudigrade/v2/accounts/", headers=identity(account_number="123456")).status_code == 401


ENDLESS = "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b WHERE a.value * b.value % 7 = 3"


def ended(connection: psycopg.Connection, query: str) -> None:
    """Holds that the server ended a connection, whose client is told why."""
    with pytest.raises(psycopg.OperationalError, match="let in no longer"):
        connection.execute(query).fetchall()
    assert connection.closed


@pytest.mark.parametrize(
    ("command", "may_come_back"),
    [(("disable", "ann"), False), (("reset", "ann", "--generate", "--format", "json"), False), (("revoke", "ann", "--all"), True)],
    ids=lambda given: given[0] if isinstance(given, tuple) else None,
)
def test_what_ends_all_tokens_of_a_user_ends_their_connections_idle_and_busy_and_nobody_elses(
    program: Program, command: tuple[str, ...], may_come_back: bool
) -> None:
    program.configure(serve__postgres={"listen": "127.0.0.1:0"}).start()
    port = postgres_port(program)
    passwords = {name: create_user(program, name) for name in ("ann", "bob")}

    def connect(name: str, password: str) -> psycopg.Connection:
        return psycopg.connect(host="127.0.0.1", port=port, user=name, password=password, dbname="cloudigrade", connect_timeout=30, autocommit=True)

    with connect("ann", passwords["ann"]) as idle, connect("ann", passwords["ann"]) as busy, connect("bob", passwords["bob"]) as bob, ThreadPoolExecutor() as pool:
        assert idle.execute("SELECT 1").fetchone() == (1,)
        running = pool.submit(ended, busy, ENDLESS)
        said = program.run("users", *command).stdout
        # Nobody asks anything: what comes is the server's own doing.
        readable, _, _ = select.select([idle.fileno()], [], [], 30)
        assert readable
        ended(idle, "SELECT 1")
        running.result(30)
        assert bob.execute("SELECT 1").fetchone() == (1,)
    if may_come_back:
        connect("ann", passwords["ann"]).close()
        return
    with pytest.raises(psycopg.OperationalError):
        connect("ann", passwords["ann"])
    if command[0] == "reset":
        connect("ann", json.loads(said)["password"]).close()
