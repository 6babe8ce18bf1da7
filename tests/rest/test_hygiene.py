"""What comes over the network harms nobody: too much, too slow, no HTTP at all; and the server stops without losing what it began."""

import gzip
import json
import random
import re
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import fleet_of_nine_days as fleet
from aws import until
from client import Client
from conftest import World, create_user, lets_nobody_in, works_on
from program import Program

BODY_BYTES_MAX, HEAD_BYTES_MAX, TARGET_BYTES_MAX, HEADERS_MAX = 1 << 20, 32 << 10, 8 << 10, 100
HEAD_WITHIN_SECONDS, BODY_WITHIN_SECONDS = 30, 30
LIST = "/api/v1/runs?limit=1000"


def talk(world: World, sent: bytes, seconds: float = 60, finish: bool = False) -> bytes:
    """Sends bytes, and gives what comes back until the server ends the connection or says no more."""
    where = urlsplit(world.program.url)
    with closing(socket.create_connection((where.hostname, where.port), timeout=seconds)) as connection:
        try:
            connection.sendall(sent)
            if finish:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received
        except (ConnectionResetError, BrokenPipeError):
            return received if "received" in dir() else b""


def head(client: Client, method: str, path: str, *lines: str) -> bytes:
    """A request's head; the connection ends after it."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Token {client.token}", *lines, "", ""]).encode()


def status(answer: bytes) -> int:
    """The status of an answer; 0 where there is none."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return int(found[1]) if found else 0


def test_what_is_too_large_is_refused_before_it_is_read(world: World) -> None:
    ann = world.ann
    large = ann.ask("POST", "/api/v1/sql", data=b"x" * (BODY_BYTES_MAX + 1), headers={"Content-Type": "application/json"})
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    announced = talk(world, head(ann, "POST", "/api/v1/sql", "Content-Type: application/json", f"Content-Length: {1 << 40}"))
    assert status(announced) == 413
    chunks = head(ann, "POST", "/api/v1/sql", "Content-Type: application/json", "Transfer-Encoding: chunked")
    assert status(talk(world, chunks + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 20 + b"0\r\n\r\n")) in (413, 0)
    assert ann.ask("GET", "/api/v1/runs?account=" + "1" * TARGET_BYTES_MAX).status_code == 414
    assert status(talk(world, head(ann, "GET", "/api/v1/me", "X-Long: " + "x" * HEAD_BYTES_MAX))) == 431
    assert status(talk(world, head(ann, "GET", "/api/v1/me", *(f"X-{at}: 1" for at in range(HEADERS_MAX + 1))))) == 431


def test_a_client_that_is_too_slow_is_cut_and_meanwhile_harms_nobody(world: World) -> None:
    """At once: a head that never ends, a body that never ends, and a connection on which nothing is said."""
    started = time.monotonic()

    def cut(sent: bytes) -> tuple[float, int]:
        answer = talk(world, sent, seconds=HEAD_WITHIN_SECONDS + BODY_WITHIN_SECONDS)
        return time.monotonic() - started, status(answer)

    body = head(world.ann, "POST", "/api/v1/sql", "Content-Type: application/json", "Content-Length: 100") + b'{"query"'
    with ThreadPoolExecutor(60) as pool:
        silent = [pool.submit(cut, b"") for _ in range(20)]
        in_head = [pool.submit(cut, b"GET /api/v1/me HTTP/1.1\r\nHost:") for _ in range(20)]
        in_body = [pool.submit(cut, body) for _ in range(20)]
        assert world.ann.get("/api/v1/me")["name"] == "ann"
        taken = [one.result() for one in (*silent, *in_head, *in_body)]
    assert max(seconds for seconds, _ in taken) < HEAD_WITHIN_SECONDS + 15
    assert {one.result()[1] for one in in_body} == {408} and {one.result()[1] for one in in_head} <= {0, 408}


def test_answers_are_compressed_for_whom_takes_it_and_are_the_same(world: World) -> None:
    plain = world.ann.ask("GET", LIST, headers={"Accept-Encoding": "identity"})
    packed = world.ann.session.get(world.program.url + LIST, headers={"Authorization": f"Token {world.ann.token}", "Accept-Encoding": "gzip"}, stream=True)
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    unpacked = gzip.decompress(packed.raw.read(decode_content=False))
    # The snapshot names the moment.
    assert json.loads(unpacked)["rows"] == plain.json()["rows"]
    assert "accept-encoding" in packed.headers["vary"].lower()
    small = world.ann.ask("GET", "/healthz", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


def test_a_request_has_an_id_in_its_answer_in_failures_and_in_the_log(world: World) -> None:
    made = [world.anybody.ask("GET", "/healthz").headers["x-request-id"] for _ in range(3)]
    assert len(set(made)) == 3
    told = world.ann.ask("GET", "/api/v1/runs/nothing", headers={"X-Request-Id": "mine-1234"})
    assert told.headers["x-request-id"] == told.json()["request_id"] == "mine-1234"
    until("the id to be logged", lambda: "mine-1234" in world.program.log.read_text(), 10)
    for bad in ("with space", "x" * 129, 'quote"d', "é"):
        assert world.anybody.ask("GET", "/healthz", headers={"X-Request-Id": bad.encode()}).headers["x-request-id"] != bad
    assert "x-cloudigrade-request-id" in world.ann.ask("GET", "/api/cloudigrade/v2/accounts/").headers


def test_the_log_has_no_tokens_no_passwords_and_no_queries(world: World) -> None:
    world.ann.ask("GET", "/api/v1/runs?account=000000000042")
    world.ann.sql("SELECT 'a secret in a query' AS x")
    world.anybody.ask("POST", "/api/v1/tokens", json={"name": "some-name", "password": "a secret password"})
    said = world.program.log.read_text()
    for secret in (world.ann.token, "a secret password", "a secret in a query", "000000000042"):
        assert secret and secret not in said
    assert 'path="/api/v1/runs"' in said and 'user="ann"' in said


def test_pages_of_other_origins_get_nothing_unless_the_operator_names_them(world: World, program: Program) -> None:
    origin = {"Origin": "https://reports.example.com"}
    preflight = {**origin, "Access-Control-Request-Method": "GET"}
    for method, headers in (("GET", origin), ("OPTIONS", preflight)):
        assert "access-control-allow-origin" not in world.ann.ask(method, LIST, headers=headers).headers
    program.configure(serve={"cors": ["https://reports.example.com"]}).start()
    anybody = Client(program.url)
    allowed = anybody.ask("OPTIONS", "/api/v1/runs", headers=preflight)
    assert allowed.headers["access-control-allow-origin"] == "https://reports.example.com" and "access-control-allow-credentials" not in allowed.headers
    for other in ("https://evil.example.com", "https://reports.example.com.evil.com", "null"):
        assert "access-control-allow-origin" not in anybody.ask("GET", "/healthz", headers={"Origin": other}).headers


def test_methods_that_there_are_not_and_head_and_options(world: World) -> None:
    for path, old in (("/api/v1/runs", False), ("/api/v1/instance/", True)):
        wrong = world.ann.ask("DELETE", path)
        assert wrong.status_code == 405 and set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
        assert ("detail" in wrong.json()) and (("code" in wrong.json()) != old)
        asked, whole = world.ann.ask("HEAD", path), world.ann.ask("GET", path)
        assert (asked.status_code, asked.content) == (200, b"") and asked.headers["content-type"] == whole.headers["content-type"]
        assert world.anybody.ask("OPTIONS", path).status_code == 200, "anybody may ask what a path is for"
    assert world.ann.ask("PROPFIND", "/api/v1/runs").status_code == 405
    assert world.ann.ask("GET", "/nothing/here").json()["code"] == "not_found"
    assert world.ann.ask("GET", "/api/v1/nothing/").json() == {"detail": "Not found."}


def test_what_is_no_http_and_hostile_bytes_end_their_connection_and_nothing_else(world: World) -> None:
    chance = random.Random(11)
    token = world.ann.token
    samples = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a client of TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /api/v1/me HTTP/1.1\r\n\r\n",
        b"GET /%zz/%00/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/images/%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Token " + token.encode() + b"\r\n\r\n",
        b"GET /api/v1/runs?account=%00%ff%27;-- HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Token " + token.encode() + b"\r\n\r\n",
        b"POST /api/v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /evil",
        b"POST /api/v1/sql HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Token \xff\xfe\x00\r\n\r\n",
        b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
        b"\r\n" * 1000,
        *(chance.randbytes(chance.randrange(1, 4000)) for _ in range(100)),
    ]
    for sample in samples:
        assert status(talk(world, sample, finish=True)) < 500, sample[:80]
    bodies = [b"", b"\x00", b"{", b"[]", b"null", b'{"query": 1}', b'{"query": "\\ud800"}', b"[" * 100_000, b'{"query": "SELECT ' + b"(" * 50_000 + b'"}', b'{"a":' * 5_000, chance.randbytes(5_000)]
    for path in ("/api/v1/sql", "/api/v1/accounts", "/api/v1/account/", "/api/v1/tokens", "/auth/token/create/"):
        for body in bodies:
            answer = world.ann.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
            assert 400 <= answer.status_code < 500, (path, body[:40], answer.status_code, answer.text[:300])
    world.program.assert_alive()
    assert "panicked" not in world.program.log.read_text()
    assert world.ann.get("/api/v1/me")["name"] == "ann"


def test_a_question_that_is_nested_deeply_or_endlessly_long_ends_neither_its_thread_nor_the_server(world: World) -> None:
    in_parentheses, words = 45, 30_000
    questions = [
        *("SELECT " + "1+" * terms + "1" for terms in (500, 2_000, 4_900, 200_000)),
        "SELECT * FROM coverage WHERE " + " OR ".join(f"region = '{at}'" for at in range(2_400)),
        "SELECT * FROM coverage WHERE " + " OR ".join(f"region = '{at}'" for at in range(words)),
        " UNION ALL ".join(["SELECT 1 AS a"] * 300),
        "SELECT " + "||".join(["'a'"] * words),
        "SELECT " + "(" * in_parentheses + "1" + ")" * in_parentheses,
        "SELECT " + "CASE WHEN true THEN " * in_parentheses + "1" + " END" * in_parentheses,
        "SELECT * FROM " + "(SELECT * FROM " * in_parentheses + "coverage" + ") AS a" * in_parentheses,
        "SELECT " + "NOT " * words + "true",
        "SELECT " + "- " * words + "1",
    ]
    for question in questions:
        answer = world.ann.ask("POST", "/api/v1/sql", json={"query": question, "timeout_seconds": 20})
        assert answer.status_code in (200, 400, 413, 422), (question[:60], answer.status_code, answer.text[:200])
    world.program.assert_alive()


def test_failures_tell_nothing_of_the_inside(world: World) -> None:
    for answer in (
        world.ann.ask("POST", "/api/v1/sql", json={"query": "SELECT * FROM nothing_like_this"}),
        world.ann.ask("POST", "/api/v1/sql", json={"query": "SELECT 1/0"}),
        world.ann.ask("POST", "/api/v1/sql", json={"query": "SELECT * FROM '/etc/passwd'"}),
        world.ann.ask("GET", "/api/v1/runs?as_of=s1-AAAA"),
        world.ann.ask("GET", f"/api/v1/images/{fleet.RHEL}%27"),
    ):
        assert 400 <= answer.status_code < 500 and answer.headers["content-type"] == "application/problem+json"
        for inside in (str(world.program.data), "/root/", ".rs:", "DataFusion", "parquet", "panicked", "RUST_BACKTRACE"):
            assert inside not in answer.text, answer.text


def test_headers_keep_browsers_and_caches_from_harm(world: World) -> None:
    for answer in (world.ann.ask("GET", LIST), world.ann.ask("GET", "/nothing")):
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


# A heavy question beside reports.

# 10^12 rows: it ends by its time, not by itself. It takes all processors that questions have.
HEAVY = "SELECT count(*) AS n FROM generate_series(1, 1000000000000) a WHERE a.value % 7 = 8"
# The most that may be asked for.
HEAVY_SECONDS = 60
# A question that is not answered for so long waits for its turn.
TURN_SECONDS = 2
REPORTS = 5
# Long enough for the server to begin stopping meanwhile, and less than it waits for what is under way.
STOPPING_SECONDS = 30


def report_seconds(world: World, times: int) -> list[float]:
    """How long a report takes, each time."""
    taken = []
    for _ in range(times):
        started = time.monotonic()
        world.ann.get("/api/v1/report/usage", start="2024-03-01", end="2024-04-01", by="account,instance")
        taken.append(time.monotonic() - started)
    return sorted(taken)


@contextmanager
def heavy_question(client: Client, seconds: int = HEAVY_SECONDS) -> Iterator[socket.socket]:
    """A connection on which the heavy question was asked. Its client goes away in the end."""
    where = urlsplit(client.url)
    body = json.dumps({"query": HEAVY, "timeout_seconds": seconds}).encode()
    with closing(socket.create_connection((where.hostname, where.port), timeout=2 * HEAVY_SECONDS)) as connection:
        connection.sendall(head(client, "POST", "/api/v1/sql", "Content-Type: application/json", f"Content-Length: {len(body)}") + body)
        yield connection


def is_under_way(asked: socket.socket) -> bool:
    """Whether a question was neither answered nor cut: nothing comes on its connection, not even its end."""
    return not select.select([asked], [], [], 0)[0]


def gets_no_turn(world: World) -> bool:
    """Whether as many questions run as may: one more waits until its time is over."""
    return world.ann.ask("POST", "/api/v1/sql", json={"query": "SELECT 1 AS n", "timeout_seconds": TURN_SECONDS}).status_code == 422


def test_reports_are_answered_while_a_heavy_question_runs_which_ends_when_its_client_goes_away(world: World) -> None:
    with heavy_question(world.ann) as older:
        works_on(world.program)
        for _ in range(REPORTS):
            # One that waited for the question would come after its end.
            report_seconds(world, 1)
            assert is_under_way(older)
        with heavy_question(world.ann):
            until("as many questions to run as may", lambda: gets_no_turn(world))
        # The turn is that of the question whose client is gone: by its time, the older one would have ended before it.
        assert world.ann.sql("SELECT 1 AS n", timeout_seconds=HEAVY_SECONDS) == [{"n": 1}]
        assert is_under_way(older)


def test_a_heavy_question_ends_by_its_time_and_says_so(world: World) -> None:
    started = time.monotonic()
    told = world.ann.sql(HEAVY, 422, timeout_seconds=3)
    assert told["code"] == "limit" and 2 < time.monotonic() - started < 20


def test_questions_of_many_wait_or_are_told_to_come_again_and_reports_go_on(world: World) -> None:
    def ask(_: int) -> tuple[int, bool]:
        client = Client(world.program.url, world.ann.token)
        answer = client.ask("POST", "/api/v1/sql", json={"query": HEAVY, "timeout_seconds": 4})
        return answer.status_code, "retry-after" in answer.headers

    with ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(ask, at) for at in range(24)]
        assert max(report_seconds(world, 3)) < 20
        answers = [one.result() for one in asked]
    assert {code for code, _ in answers} == {422, 503} and all(told for code, told in answers if code == 503)


def test_a_large_answer_ends_by_its_rows_and_is_never_cut_silently(world: World) -> None:
    told = world.ann.sql("SELECT a.instance_type FROM instance_types a, instance_types b", 422, max_rows=10)
    assert told["code"] == "limit"
    exact = world.ann.sql("SELECT instance_type FROM instance_types LIMIT 10", max_rows=10)
    assert len(exact) == 10


def test_stopping_answers_what_is_under_way_and_takes_nothing_new(program: Program) -> None:
    program.configure().start()
    client = Client(program.url).as_user("ann", create_user(program, "ann"))
    with heavy_question(client, STOPPING_SECONDS) as asked:
        works_on(program)
        program.ask_to_stop()
        until("nobody to be let in any more", lambda: lets_nobody_in(program))
        assert is_under_way(asked)
        answer = b"".join(iter(lambda: asked.recv(65536), b""))
        assert status(answer) == 422, "what was under way got its answer"
    program.stopped()
