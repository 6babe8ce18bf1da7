"""Real clients of Postgres against the server: psql, and a driver of Python. They see the demo's data."""

import os
import re
import signal
import socket
import struct
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import cloudigrade
import psycopg
import pytest
from aws import until
from conftest import create_user, postgres_port, works_on
from demo_server import ANSWER_SECONDS, CONFIGURATION, Server, code, one, psql_binary, root, server  # noqa: F401
from program import Program

# A join that takes far longer than any limit, and one that holds far more than it may.
ENDLESS = "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b WHERE a.value * b.value % 7 = 3"
HUGE = "SELECT array_agg(a.value) FROM generate_series(1, 20000) a, generate_series(1, 20000) b"
# One that reads for as long, and finds nothing.
FRUITLESS = "SELECT a.value FROM generate_series(1, 1000000000000) a WHERE a.value < 0"
# The server ends each query after a minute by itself: what ends in half of that ended for another reason.
ENDS_WITHIN_SECONDS = 30
# A query that is not answered for so long waits for its turn.
TURN_SECONDS = 2
BY_REQUEST = ("57014", "canceling statement due to user request")


# Values.


def test_values_come_in_their_types_in_text_and_in_binary(root: psycopg.Connection) -> None:
    """Numbers, texts, times with their zone, truth and null."""
    query = "SELECT 1::bigint, 2::int, 1.5::double precision, 'text', true, NULL::text, TIMESTAMP '2024-03-01 12:00:00+00', DATE '2024-03-01', ARRAY['a', 'b']"
    for binary in (False, True):
        (row,) = root.execute(query, binary=binary).fetchall()
        assert row[:6] == (1, 2, 1.5, "text", True, None), binary
        assert row[7:] == (datetime(2024, 3, 1).date(), ["a", "b"]), binary
        assert one(root, "SELECT started_at FROM instance_intervals ORDER BY started_at LIMIT 1", binary=binary).tzinfo is not None


@pytest.mark.parametrize("binary", [False, True])
def test_parameters_stand_wherever_a_constant_may(root: psycopg.Connection, binary: bool) -> None:
    """In comparisons, in the reports' functions, in lists and in limits; prepared, and not."""
    cursor = root.cursor(binary=binary)
    (accounts,) = zip(*cursor.execute("SELECT DISTINCT account_id FROM instance_intervals ORDER BY 1").fetchall(), strict=True)
    moment = datetime(2024, 3, 5, tzinfo=timezone.utc)
    by_text, by_time = (cursor.execute(f"SELECT count(*) FROM instance_intervals WHERE started_at < {of}", given).fetchone() for of, given in [
        ("'2024-03-05T00:00:00Z'", None), ("%s", (moment,))])
    assert by_text == by_time and by_text[0] > 0
    for prepare in (False, True):
        for _ in range(3):
            ((usage,),) = cursor.execute("SELECT count(*) FROM usage(%s, %s, 'day', 'UTC') WHERE account_id = %s", ("2024-03-01", "2024-03-05", accounts[0]), prepare=prepare).fetchall()
            assert usage > 0
            listed = cursor.execute("SELECT DISTINCT account_id FROM instance_intervals WHERE account_id = ANY(%s) ORDER BY 1", (list(accounts[:2]),), prepare=prepare)
            assert [account for (account,) in listed.fetchall()] == list(accounts[:2])
            assert len(cursor.execute("SELECT account_id FROM instance_intervals LIMIT %s", (3,), prepare=prepare).fetchall()) == 3
    assert cursor.execute("SELECT %s::text IS NULL", (None,)).fetchone() == (True,)
    assert cursor.execute("SELECT %s", ("'; DROP TABLE accounts; --",)).fetchone() == ("'; DROP TABLE accounts; --",)


def test_a_cursor_fetches_in_pieces(server: Server) -> None:
    """As drivers read results that are larger than memory."""
    with server.connect() as connection:
        with connection.cursor(name="slow") as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT * FROM generate_series(1, %s)", (100,))
            assert [column.name for column in cursor.description] == ["value"]
            assert [value for (value,) in cursor] == list(range(1, 101))
        connection.execute("DECLARE c CURSOR FOR SELECT 1 AS a UNION ALL SELECT 2 ORDER BY 1")
        assert connection.execute("FETCH 1 FROM c").fetchall() == [(1,)]
        assert connection.execute("FETCH ALL FROM c").fetchall() == [(2,)]
        connection.execute("CLOSE c")
        assert code(connection, "FETCH 1 FROM c") == "34000"
        connection.rollback()
        assert code(connection, "FETCH 1 FROM slow") == "34000"
    with server.connect(autocommit=True) as connection:
        assert code(connection, "DECLARE c CURSOR FOR SELECT 1") == "25P01"


def test_rows_are_copied_out(root: psycopg.Connection) -> None:
    """COPY to the client, as CSV and as text."""
    with root.cursor().copy("COPY (SELECT 1 AS a, 'b\tc' AS b, NULL AS c) TO STDOUT") as copy:
        assert b"".join(copy) == b"1\tb\\tc\t\\N\n"
    with root.cursor().copy("COPY coverage TO STDOUT WITH (FORMAT csv, HEADER true)") as copy:
        assert b"".join(copy).startswith(b"account_id,region,complete_through\n")


def test_transactions_fail_and_end_as_drivers_expect(server: Server) -> None:
    """A failed one answers nothing until it is ended."""
    with server.connect() as connection:
        assert code(connection, "SELECT 1/0") == "22012"
        assert code(connection, "SELECT 1") == "25P02"
        connection.rollback()
        with connection.transaction(), connection.transaction():
            assert one(connection, "SELECT 1") == 1


# What may not be.


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 1) TO '/tmp/written-by-postgres-test'",
        "COPY (SELECT 1) TO PROGRAM 'touch /tmp/written-by-postgres-test'",
        "COPY coverage FROM '/etc/passwd'",
        "CREATE TABLE t (a int)",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT 1",
        "INSERT INTO coverage VALUES ('a', 'b', now())",
        "UPDATE coverage SET region = 'x'",
        "DELETE FROM coverage",
        "DROP TABLE coverage",
        "DO $$ BEGIN END $$",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/written-by-postgres-test'",
        "EXPLAIN INSERT INTO coverage VALUES ('a', 'b', now())",
        "SELECT 1 INTO t",
        "VACUUM",
        "SET ROLE root",
    ],
)
def test_nothing_can_be_changed(root: psycopg.Connection, statement: str) -> None:
    """Neither the tables nor anything of the server."""
    assert code(root, statement) in ("25006", "42601", "42704", "0A000"), statement
    assert not Path("/tmp/written-by-postgres-test").exists()


@pytest.mark.parametrize("query", ["SELECT pg_read_file('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "SELECT * FROM pg_ls_dir('/')", "SELECT * FROM read_csv('/etc/passwd')", "SELECT lo_import('/etc/passwd')"])
def test_no_file_can_be_read(root: psycopg.Connection, query: str) -> None:
    """There is nothing but the tables."""
    assert code(root, query)[:2] in ("42", "0A")


@pytest.mark.parametrize("name", ["datafusion.runtime.memory_limit", "datafusion.execution.target_partitions", "work_mem", "session_replication_role"])
def test_no_setting_reaches_the_engine(root: psycopg.Connection, name: str) -> None:
    """Nor another connection."""
    assert code(root, f"SET {name} = '1'") == "42704"


def test_settings_belong_to_one_connection(server: Server) -> None:
    """And end with it."""
    with server.connect(autocommit=True) as first, server.connect(autocommit=True, options="-c statement_timeout=7s") as second:
        first.execute("SET statement_timeout = '90ms'")
        assert [one(connection, "SHOW statement_timeout") for connection in (first, second)] == ["90", "7000"]
        first.execute("RESET ALL")
        assert one(first, "SHOW statement_timeout") == "0"
        assert code(first, "SET TimeZone = 'Europe/Berlin'") == "22023"


HIDDEN = [
    "SELECT count(*) FROM instance_intervals",
    "SELECT count(*) FROM power_events e JOIN instance_intervals i ON i.instance_id = e.instance_id",
    "SELECT count(*) FROM (SELECT * FROM (SELECT instance_id FROM instance_intervals) a) b",
    "SELECT count(*) FROM usage('2024-03-01', '2024-03-11', 'day', 'UTC') WHERE runtime_seconds > 0",
    "SELECT count(*) FROM coverage",
    "SELECT count(*) FROM cloudigrade.public.instance_intervals",
    "SELECT count(*) FROM sys.gaps",
    "WITH x AS (SELECT * FROM accounts) SELECT count(*) FROM x",
]


@pytest.mark.parametrize("query", HIDDEN)
def test_a_tenant_sees_its_own_alone(server: Server, query: str) -> None:
    """From every side; this one has nothing."""
    with server.connect("ann", autocommit=True) as ann:
        assert one(ann, query) == 0


def test_plans_and_the_catalogue_tell_a_tenant_nothing_of_others(server: Server, root: psycopg.Connection) -> None:
    """Neither accounts nor users."""
    accounts = [account for (account,) in root.execute("SELECT DISTINCT account_id FROM instance_intervals").fetchall()]
    with server.connect("ann", autocommit=True) as ann:
        told = str([ann.execute(query).fetchall() for query in ("EXPLAIN VERBOSE SELECT * FROM instance_intervals", "EXPLAIN ANALYZE SELECT * FROM instance_intervals",
                    "SELECT * FROM pg_roles", "SELECT * FROM pg_user", "SELECT * FROM pg_stat_activity", "SELECT * FROM pg_database")])
    assert not [account for account in accounts if account in told]
    assert "root" not in told and "ann" in told


# Limits.


def ends_within(seconds: float, started: float) -> None:
    """Holds the time since `started` against a limit."""
    assert time.monotonic() - started < seconds


def failed(connection: psycopg.Connection, query: str) -> tuple[str, str]:
    """The SQLSTATE that a query fails with, and the words."""
    with pytest.raises(psycopg.Error) as failure:
        connection.execute(query).fetchall()
    return str(failure.value.sqlstate), str(failure.value.diag.message_primary)


def cancelled(connection: psycopg.Connection, running: Future[tuple[str, str]]) -> tuple[str, str]:
    """How a statement ended that runs on a connection. It is asked to end until it has: who asks before it begins asks in vain."""

    def ended() -> bool:
        if not running.done():
            connection.cancel_safe(timeout=ANSWER_SECONDS)
        return running.done()

    until("the statement to end", ended, ENDS_WITHIN_SECONDS)
    return running.result()


def test_a_query_that_is_cancelled_ends_at_once(server: Server, root: psycopg.Connection) -> None:
    """By the protocol, while it is computed."""
    with ThreadPoolExecutor() as pool:
        for query in (ENDLESS, FRUITLESS):
            running = pool.submit(failed, root, query)
            works_on(server.program)
            assert cancelled(root, running) == BY_REQUEST, query
    assert one(root, "SELECT 1") == 1


def catches(process: subprocess.Popen[str], what: signal.Signals) -> bool:
    """Whether a process does something of its own at a signal that would end it otherwise."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s+([0-9a-f]+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (what - 1) & 1)


def test_ctrl_c_in_psql_cancels(server: Server) -> None:
    """And psql goes on to its own end."""
    env = {**os.environ, "PGPASSWORD": server.passwords["root"]}
    command = [psql_binary(), "-X", "-h", "127.0.0.1", "-p", str(server.port), "-U", "root", "-d", "cloudigrade", "-c", ENDLESS]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # It does so once it is connected.
    until("psql to be connected", lambda: catches(process, signal.SIGINT))
    works_on(server.program)

    def ended() -> bool:
        process.send_signal(signal.SIGINT)
        return process.poll() is not None

    # Again and again: one that comes before the statement ends nothing.
    until("psql to end", ended, ENDS_WITHIN_SECONDS)
    _, told = process.communicate(timeout=ANSWER_SECONDS)
    assert BY_REQUEST[1] in told
    assert process.returncode == 1, "as after any statement that failed"


def gone(server: Server) -> int:
    """Statements so far that ended because their clients went away."""
    _, told = server.program.get("metrics")
    return sum(int(count) for count in re.findall(r'^cloudigrade_postgres_statements_total\{[^}]*outcome="gone"[^}]*\} (\d+)$', told, re.MULTILINE))


def gets_no_turn(connection: psycopg.Connection) -> bool:
    """Whether as many queries run as may: one more waits until its time is over."""
    try:
        connection.execute("SELECT 1")
    except psycopg.errors.QueryCanceled:
        return True
    return False


def send(connection: psycopg.Connection, query: str) -> None:
    """Sends a query to the last byte, and waits for nothing."""
    connection.pgconn.send_query(query.encode())
    until("the query to be sent", lambda: connection.pgconn.flush() == 0)


def go_away(connection: psycopg.Connection) -> None:
    """Ends a connection without a word, as a client that is killed does."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)
    connection.close()


def test_a_client_that_goes_away_ends_its_query(server: Server) -> None:
    """Nothing is computed for nobody: as many as may run at once go away, and the next is answered."""
    before, leaving = gone(server), [server.connect(autocommit=True) for _ in range(3)]
    for connection in leaving:
        send(connection, ENDLESS)
    with server.connect(autocommit=True, options=f"-c statement_timeout={TURN_SECONDS}s") as connection:
        until("as many to run as may", lambda: gets_no_turn(connection))
    started = time.monotonic()
    for connection in leaving:
        go_away(connection)
    with server.connect(autocommit=True) as connection:
        assert one(connection, "SELECT 1") == 1
    ends_within(ENDS_WITHIN_SECONDS, started)
    until("the server to say why all of them ended", lambda: gone(server) >= before + len(leaving))


def test_a_statement_ends_at_its_timeout(root: psycopg.Connection) -> None:
    """Also one that never gives way by itself."""
    root.execute("SET statement_timeout = '500ms'")
    started = time.monotonic()
    state, told = failed(root, ENDLESS)
    ends_within(ENDS_WITHIN_SECONDS, started)
    assert state == "57014" and "statement timeout: the query took longer than 500ms" in told, told
    root.execute("SET statement_timeout = 0")


def test_a_query_that_needs_too_much_memory_fails_alone(server: Server, root: psycopg.Connection) -> None:
    """The server goes on."""
    assert code(root, HUGE) == "53200"
    assert one(root, "SELECT 1") == 1
    assert server.program.get("healthz")[0] == 200


def test_a_query_that_nests_deeply_is_refused_and_ends_nothing(server: Server, root: psycopg.Connection) -> None:
    """What would end a thread ends the query alone."""
    for query in ("SELECT 1" + " + 1" * 100_000, "SELECT " + "(" * 10_000 + "1" + ")" * 10_000, "SELECT 1" + " OR true" * 100_000):
        assert code(root, query) in ("42601", "08P01")
    assert one(root, "SELECT 1" + " + 1" * 900) == 901
    assert server.program.get("healthz")[0] == 200


def test_rows_beyond_the_limit_are_an_error_and_no_silent_cut(root: psycopg.Connection) -> None:
    """One million of them."""
    assert code(root, "SELECT * FROM generate_series(1, 1000001)") == "54000"


def test_heavy_queries_hold_up_neither_reports_nor_new_connections(server: Server) -> None:
    """They have threads of their own, and few run at once."""
    with ThreadPoolExecutor() as pool:
        connections = [server.connect(autocommit=True) for _ in range(4)]
        running = [pool.submit(failed, connection, ENDLESS) for connection in connections]
        works_on(server.program)
        assert server.program.get("healthz")[0] == 200
        server.connect().close()
        assert not any(future.done() for future in running), "they were computed all the while"
        assert {cancelled(connection, future) for connection, future in zip(connections, running, strict=True)} == {BY_REQUEST}
        for connection in connections:
            connection.close()


# Connections.


def test_only_who_knows_a_password_is_let_in(server: Server) -> None:
    """And is told no more than that."""
    for user, password in (("root", "wrong"), ("nobody", "wrong")):
        with pytest.raises(psycopg.OperationalError, match="name or the password is wrong"):
            psycopg.connect(host="127.0.0.1", port=server.port, user=user, password=password, dbname="cloudigrade")


def raw(server: Server, sent: bytes) -> bytes:
    """What the server says to bytes, until it ends the connection."""
    with socket.create_connection(("127.0.0.1", server.port), ANSWER_SECONDS) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        told = b""
        while piece := connection.recv(4096):
            told += piece
    return told


def startup(*pairs: str) -> bytes:
    """The first message of a client."""
    body = struct.pack("!i", 3 << 16) + b"".join(word.encode() + b"\0" for word in pairs) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def test_bytes_that_are_no_protocol_harm_nobody(server: Server, root: psycopg.Connection) -> None:
    """Whatever comes, others are served."""
    for sent in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f", struct.pack("!ii", 2**31 - 1, 3 << 16), startup("user", "root") + b"p\0\0\0\x03"):
        raw(server, sent)
    assert b"replication" in raw(server, startup("user", "root", "replication", "database"))
    assert b"08P01" in raw(server, startup("user", "root") + b"p" + struct.pack("!i", 1 << 30))
    assert one(root, "SELECT 1") == 1


def test_more_connections_than_there_may_be_are_refused_in_words(server: Server) -> None:
    """A hundred at once."""
    connections = []
    try:
        with pytest.raises(psycopg.OperationalError, match="connections already"):
            for _ in range(101):
                connections.append(server.connect())
    finally:
        for connection in connections:
            connection.close()
    server.connect().close()


def test_the_server_stops_with_connections_open(tmp_path: Path) -> None:
    """They are told."""
    program = Program(tmp_path, "http://127.0.0.1:9")
    cloudigrade.run("demo", "--folder", tmp_path / "demo", "--days", 2, "--seed", 7)
    (tmp_path / "demo" / "data").rename(tmp_path / "data")
    program.config_file.write_text(CONFIGURATION)
    passwords = {"root": create_user(program, "root", "--superuser")}
    server = Server(program.start(), postgres_port(program), passwords)
    try:
        with server.connect(autocommit=True) as connection:
            assert one(connection, "SELECT 1") == 1
            program.stop()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
    finally:
        program.end()


def test_beyond_loopback_nothing_is_unencrypted(tmp_path: Path) -> None:
    """The server does not start, and says what to do."""
    cloudigrade.run("demo", "--folder", tmp_path / "demo", "--days", 2, "--seed", 7)
    config = tmp_path / "config.toml"
    config.write_text('[serve]\nlisten = "127.0.0.1:0"\n[serve.postgres]\nlisten = "0.0.0.0:0"\n')
    told = cloudigrade.run("serve", "--config", config, "--data", tmp_path / "demo" / "data", expect=2)
    assert b"passwords unencrypted" in told.stderr
