"""A tenant learns nothing of others and changes nothing of theirs, from whichever door it tries."""

import io
import json
import math
import re
import time
from collections.abc import Iterator
from typing import Any

import cloudigrade
import doors
import fleet_of_nine_days as fleet
import psycopg
import pyarrow
import pyarrow.parquet
import pytest
import requests
from client import Client
from conftest import REGISTERED, World
from doors import DOORS, LOGINS, SQL_KINDS, Door, Names

# A name that is made like the other's, and is nobody's.
ABSENT = Names(
    account="012000000777",
    instance="i-0ffffffffffffffff",
    image="ami-0ffffffffffffffff",
    event="ffffffff-0000-4000-8000-000000000001",
    source="/nowhere/at/all.json.gz#0",
    arn="arn:aws:iam::012000000777:role/nobody",
    account_name="tree-house",
    image_name="no-such-image",
    tenant="nemo",
    user="noone",
    account_number=4_503_599_627_370_497,
    instance_number=4_503_599_627_370_499,
    image_number=4_503_599_627_370_501,
    event_number=4_503_599_627_370_503,
    user_number=4_503_599_627_370_505,
    token_hash="f" * 64,
)


@pytest.fixture(scope="module")
def foreign(world: World) -> Names:
    """What globex has and acme does not."""

    def one(path: str, **wanted: Any) -> dict[str, Any]:
        (found,) = [item for item in world.gina.pages(path) if all(item[name] == value for name, value in wanted.items())]
        return found

    instance = "i-000000000000000c2"
    account, number = one("/api/v1/account/", aws_account_id=fleet.JEWELS), one("/api/v1/instance/", ec2_instance_id=instance)
    (first, *_) = world.gina.sql(f"SELECT event_id, source FROM power_events WHERE instance_id = '{instance}' ORDER BY occurred_at")
    event = next(e for e in world.gina.pages("/api/v1/event/", instance_id=number["id"]))
    return Names(
        account=fleet.JEWELS,
        instance=instance,
        image=fleet.PRIVATE,
        event=first["event_id"],
        source=first["source"],
        arn=account["account_arn"],
        account_name="crown-jewels",
        image_name="crown-image",
        tenant="globex",
        user="gina",
        account_number=account["id"],
        instance_number=number["id"],
        image_number=next(image["id"] for image in world.root.pages("/api/v1/image/") if image["ec2_ami_id"] == fleet.PRIVATE),
        event_number=event["id"],
        user_number=world.gina.get("/auth/me/")["id"],
        token_hash=world.gina.get("/api/v1/tokens")["items"][0]["hash"],
    )


@pytest.fixture(scope="module")
def secrets(foreign: Names) -> list[str]:
    """All that acme must never be told: what globex has, and what others and nobody have."""
    others = [fleet.SHARED, fleet.GONE, fleet.NOBODYS, fleet.VECTORS, "initech", "ivan", "vera", "nora"]
    instances = [r.instance for r in fleet.ALL_RUNS if r.account not in (fleet.PROD, fleet.STAGING)]
    names = [name for (tenant, _), name in REGISTERED.items() if tenant not in ("acme", "vectors")]
    return sorted({*foreign.all(), *others, *instances, *names})


@pytest.fixture(scope="module", autouse=True)
def nothing_was_changed(world: World) -> Iterator[None]:
    """Whatever was tried, the others have what they had."""
    others = ("gina", "ivan", "root")

    def state() -> list[Any]:
        paths = ("/api/v1/accounts", "/api/v1/overrides", "/api/v1/images?limit=1000", "/api/v1/runs?limit=1000")
        told = [world.users[user].get(path) for user in others for path in paths]
        for one in told:
            for moving in ("snapshot", "complete_through"):
                one.pop(moving, None)
            # What somebody said and took back changed an image of their own.
            for row in one.get("rows", []):
                row.pop("changed_at", None)
            # What was taken back is listed too, and counts for nothing.
            one["items"] = [item for item in one.get("items", []) if item.get("is", True) is not None]
            one.pop("count", None)
        return [*told, world.root.get("/api/v1/users")]

    before = state()
    doors.snapshot_of_all = world.root.get("/api/v1/report/usage", **doors.MARCH)["snapshot"]
    yield
    assert state() == before


def readable(answer: requests.Response) -> str:
    """What an answer tells, with what is packed in it unpacked."""
    kind = answer.headers.get("content-type", "")
    if kind.startswith("application/vnd.apache.parquet"):
        table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
        return f"{table.to_pylist()} {table.schema}" + answer.content.decode("latin-1")
    if kind.startswith("application/vnd.apache.arrow"):
        return str(pyarrow.ipc.open_stream(answer.content).read_all().to_pylist())
    return answer.text


def without_what_was_asked(text: str, names: Names) -> str:
    """An answer without the names that the request itself had in it, and without what differs between any two."""
    for name in sorted(names.all(), key=len, reverse=True):
        text = re.sub(rf"(?<![0-9A-Za-z-]){re.escape(name)}(?![0-9A-Za-z])", "ASKED", text)
    text = re.sub(r'"(request_id|snapshot)":"[^"]*"', r'"\1":""', text)
    # What a plan that was run took; how many rows it gave stays.
    text = re.sub(r"\b(?!output_rows)(\w+)=[^,\]\s]+( (B|KB|MB|total|matched)\b[^,\]]*)?", r"\1=", text) if "metrics=[" in text else text
    return in_order(text)


def in_order(text: str) -> str:
    """An answer with its rows in one order, as a question that asks for none may have them in any."""
    try:
        told = json.loads(text)
    except ValueError:
        return text
    if isinstance(told, dict) and isinstance(told.get("rows"), list):
        told["rows"].sort(key=lambda row: json.dumps(row, sort_keys=True))
    return json.dumps(told)


def told_of(secrets: list[str], text: str) -> list[str]:
    """The secrets that a text tells, each as a word of its own."""
    return [secret for secret in secrets if re.search(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])", text)]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.kind}: {door.name}")
def test_what_others_have_is_answered_like_what_nobody_has(world: World, foreign: Names, secrets: list[str], door: Door) -> None:
    answers = {}
    for which, names in (("absent", ABSENT), ("foreign", foreign)):
        answer = door.go(world.ann, names)
        assert answer.status_code < 500, answer.text
        text = without_what_was_asked(readable(answer), names)
        assert told_of(secrets, text) == [], f"{which}: {text[:3000]}"
        answers[which] = (answer.status_code, answer.headers.get("content-type"), text)
    assert answers["foreign"] == answers["absent"]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.kind}: {door.name}")
def test_who_has_no_account_is_told_of_none(world: World, secrets: list[str], door: Door) -> None:
    answer = door.go(world.nora, ABSENT)
    every = [*secrets, fleet.PROD, fleet.STAGING, "acme", "ann", "bob", *(r.instance for r in fleet.ALL_RUNS)]
    every = [secret for secret in every if secret != "nora"]
    assert answer.status_code < 500
    assert told_of(every, without_what_was_asked(readable(answer), ABSENT)) == []


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.kind}: {door.name}")
def test_without_a_token_every_door_is_shut(world: World, foreign: Names, door: Door) -> None:
    assert door.go(world.anybody, foreign).status_code == 401
    assert door.go(Client(world.program.url, "0" * 40), foreign).status_code == 401


def test_what_superusers_see_others_would_be_refused(world: World, foreign: Names) -> None:
    """The secrets are there to be found: the same doors tell a superuser of them."""
    for path, secret in (("/api/v1/runs?limit=1000", foreign.instance), ("/api/v1/images?limit=1000", foreign.image), ("/api/v1/accounts", foreign.arn)):
        assert secret in world.root.ask("GET", path).text
    assert foreign.event in json.dumps(world.root.sql("SELECT * FROM power_events"))
    for path in ("/api/v1/users", "/api/v1/user/", "/api/v1/dead-letters"):
        assert (world.root.ask("GET", path).status_code, world.ann.ask("GET", path).status_code) == (200, 403)


@pytest.mark.parametrize("door", LOGINS, ids=lambda door: door.name)
def test_a_failed_login_does_not_tell_whether_there_is_such_a_user(world: World, foreign: Names, door: Door) -> None:
    there, not_there = door.go(world.anybody, foreign), door.go(world.anybody, ABSENT)
    assert there.status_code == not_there.status_code in (400, 401)
    assert without_what_was_asked(there.text, foreign) == without_what_was_asked(not_there.text, ABSENT)


# Postgres.


def connect(world: World, user: str) -> psycopg.Connection:
    client = world.users[user]
    return psycopg.connect(host="127.0.0.1", port=world.postgres, user=client.name, password=client.password, dbname="cloudigrade", autocommit=True, connect_timeout=30)


def asked_in_postgres(connection: psycopg.Connection, query: str) -> str:
    """The rows of a query, or what is said against it."""
    try:
        cursor = connection.execute(query)  # type: ignore[arg-type]
        columns = [column.name for column in cursor.description or []]
        return json.dumps([columns, *sorted(cursor.fetchall(), key=str)], default=str)
    except psycopg.Error as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture(scope="module")
def postgres(world: World) -> Iterator[psycopg.Connection]:
    """Acme's connection."""
    with connect(world, "ann") as connection:
        yield connection


@pytest.mark.parametrize("kind,name", [(kind, name) for kind, queries in SQL_KINDS.items() for name in queries])
def test_postgres_tells_of_others_as_little_as_rest(
    world: World, postgres: psycopg.Connection, foreign: Names, secrets: list[str], kind: str, name: str
) -> None:
    answers = []
    for names in (ABSENT, foreign):
        told = without_what_was_asked(asked_in_postgres(postgres, SQL_KINDS[kind][name].format(**vars(names))), names)
        assert told_of(secrets, told) == [], told[:3000]
        answers.append(told)
    assert answers[0] == answers[1]
    if kind == "SQL ways out" and not name.startswith(("set", "prepare")):
        assert re.match(r"\w+: ", answers[0]) and "root:" not in answers[0], answers[0]
    assert asked_in_postgres(postgres, "SELECT 1 AS one") == '[["one"], [1]]'


def test_postgres_parameters_and_cursors_see_what_their_user_sees(world: World, foreign: Names) -> None:
    query = "SELECT count(*) FROM instance_intervals WHERE account_id = %s"
    for user, account, rows in (("ann", foreign.account, 0), ("gina", foreign.account, 2), ("ann", fleet.PROD, 8)):
        with connect(world, user) as connection:
            for _ in range(3):
                found = connection.execute(query, (account,), prepare=True).fetchone()
                assert found is not None and found[0] >= rows and (rows > 0) == (found[0] > 0), (user, account)


def test_postgres_wants_the_password_of_a_user_that_is_let_in(world: World) -> None:
    for user, password in (("ann", "not the password"), ("noone", world.ann.password), ("ann", world.gina.password), ("", "")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(host="127.0.0.1", port=world.postgres, user=user, password=password, dbname="cloudigrade", connect_timeout=30)


# What somebody else does.


def numbers(client: Client) -> list[Any]:
    """What a tenant is told in reports."""
    period = {"start": "2024-03-01", "end": "2024-05-01"}
    told = [client.get("/api/v1/report/usage", by="account,image,rhel,openshift,billing_model", **period)["rows"]]
    told.append(client.get("/api/v1/report/concurrency", by="rhel", **period)["rows"])
    told += [client.get(f"/api/v1/report/{name}/", start=fleet.START, end=fleet.END) for name in ("instances", "accounts")]
    told.append(client.pages("/api/v1/image/"))
    told.append(client.get("/api/v1/images", image=fleet.COMMON)["rows"])
    told.append([said for said in client.get("/api/v1/overrides")["items"] if said["is"] is not None])
    return told


def but_when(told: Any) -> Any:
    """The same without when it changed: what was said and taken back was a change."""
    if isinstance(told, dict):
        return {name: but_when(value) for name, value in told.items() if name not in ("changed_at", "updated_at")}
    return [but_when(one) for one in told] if isinstance(told, list) else told


@pytest.mark.parametrize("image", [fleet.COMMON, fleet.HIRED])
@pytest.mark.parametrize("product", ["rhel", "openshift"])
def test_what_one_tenant_says_of_an_image_moves_nobody_elses_numbers(world: World, image: str, product: str) -> None:
    before = {user: numbers(world.users[user]) for user in ("ann", "ivan")}
    own = numbers(world.gina)
    path = f"/api/v1/images/{image}/overrides/{product}"
    world.gina.send("PUT", path, {"is": product == "openshift", "reason": "a secret reason"})
    try:
        after = {user: numbers(world.users[user]) for user in before}
        for user in before:
            for had, has in zip(before[user], after[user], strict=True):
                assert has == had
        assert numbers(world.gina) != own
        assert "a secret reason" not in world.ann.ask("GET", f"/api/v1/images/{image}").text
        assert "a secret reason" not in json.dumps(world.ann.sql("SELECT * FROM image_facts")) + json.dumps(world.ann.sql("SELECT * FROM images"))
    finally:
        world.gina.send("DELETE", path, expect=204)
    assert but_when(numbers(world.gina)) == but_when(own)


def test_a_tag_that_another_tenants_account_gave_an_image_moves_nobody_elses_numbers(world: World) -> None:
    asked = {"start": "2024-04-08", "end": "2024-04-09", "image": fleet.HIRED, "by": "rhel"}
    assert [row["rhel"] for row in world.gina.get("/api/v1/report/usage", **asked)["rows"]] == [True]
    assert [row["rhel"] for row in world.ann.get("/api/v1/report/usage", **asked)["rows"]] == [None]


def test_an_operators_word_holds_for_all_tenants_but_those_that_say_otherwise(world: World) -> None:
    path, asked = f"/api/v1/images/{fleet.COMMON}/overrides/rhel", {**doors.MARCH, "image": fleet.COMMON, "product": "rhel", "by": "account"}

    def counted(user: str) -> bool:
        return bool(world.users[user].get("/api/v1/report/usage", **asked)["rows"])

    assert counted("ann") and counted("gina")
    world.root.send("PUT", path, {"is": False})
    try:
        assert not counted("ann") and not counted("gina")
        world.ann.send("PUT", path, {"is": True})
        try:
            assert counted("ann") and not counted("gina")
        finally:
            world.ann.send("DELETE", path, expect=204)
    finally:
        world.root.send("DELETE", path, expect=204)
    assert counted("ann") and counted("gina")


def test_two_tenants_that_registered_one_account_see_it_and_only_their_own_registration(world: World) -> None:
    for user, name in (("gina", "shared-first"), ("ivan", "shared-second")):
        told = world.users[user].get(f"/api/v1/accounts/{fleet.SHARED}")
        assert (told["tenant"], told["name"]) == ({"gina": "globex", "ivan": "initech"}[user], name)
        assert [row["name"] for row in world.users[user].sql(f"SELECT * FROM accounts WHERE account_id = '{fleet.SHARED}'")] == [name]
        in_march = {"from": "2024-03-01T00:00:00Z", "until": "2024-04-01T00:00:00Z"}
        assert len(world.users[user].get("/api/v1/runs", account=fleet.SHARED, **in_march)["rows"]) == 1


def test_an_account_that_was_deleted_is_not_seen_by_its_tenant_any_more(world: World) -> None:
    assert world.ivan.ask("GET", f"/api/v1/accounts/{fleet.GONE}").status_code == 404
    for path in ("/api/v1/runs", "/api/v1/complete-through", "/api/v1/gaps"):
        assert world.ivan.get(path, account=fleet.GONE)["rows"] == [], path
    assert world.ivan.get("/api/v1/report/usage", account=fleet.GONE, by="account", **doors.MARCH)["rows"] == []
    for table in ("instance_intervals", "power_events", "accounts", "coverage"):
        assert world.ivan.sql(f"SELECT * FROM {table} WHERE account_id = '{fleet.GONE}'") == [], table


# Time.


@pytest.mark.parametrize(
    "path", ["/api/v1/image/{image_number}/", "/api/v1/instance/{instance_number}/", "/api/v1/account/{account_number}/", "/api/v1/images/{image}", "/api/v1/runs?account={account}"]
)
def test_it_takes_as_long_to_look_for_what_others_have_as_for_what_nobody_has(world: World, foreign: Names, path: str) -> None:
    rounds, ratio_max, noise_seconds = 15, 1.5, 0.005
    # The quickest of each: what else the machine does only ever adds, so it comes closer to what the server takes with every round.
    quickest = {True: math.inf, False: math.inf}
    for _ in range(8):
        for at in range(2 * rounds):
            # In turns, and not always the same first.
            is_foreign = at % 4 in (0, 3)
            started = time.perf_counter()
            world.ann.ask("GET", path.format(**vars(foreign if is_foreign else ABSENT)))
            quickest[is_foreign] = min(quickest[is_foreign], time.perf_counter() - started)
        if max(quickest.values()) <= min(quickest.values()) * ratio_max + noise_seconds:
            return
    pytest.fail(f"{quickest[True] * 1e3:.1f} ms for what others have, {quickest[False] * 1e3:.1f} ms for what nobody has")


# The list.


def test_every_endpoint_that_the_server_describes_is_behind_a_door(world: World) -> None:
    described = {
        operation["operationId"]
        for methods in world.anybody.get("/openapi.json")["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    assert {door.covers for door in [*DOORS, *LOGINS]} | doors.OPEN == described


def test_architecture_lists_the_kinds_of_doors() -> None:
    text = (cloudigrade.REPOSITORY / "ARCHITECTURE.md").read_text()
    section = text.split("\n## Doors\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| \*\*(.+?)\*\* \|", section, re.MULTILINE)) == doors.KINDS
