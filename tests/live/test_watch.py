"""What is in the log, and what a server does, can be looked at while it is used."""

import subprocess
from pathlib import Path

import cloudigrade
from program import DONE, NO_INPUT, USAGE, Program


def create(program: Program, name: str) -> None:
    program.run("users", "create", name, "--generate")


def test_records_are_shown_as_they_come_and_secrets_are_not(program: Program) -> None:
    program.configure().start()
    create(program, "ann")
    shown = program.tail("users")
    assert [(record["topic"], record["key"], record["value"]) for record in shown] == [("users", "ann", None)]
    command = [cloudigrade.BINARY, "tail", "users", "--format", "json", "--data", str(program.data)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as following:
        assert following.stdout is not None
        first = "".join(iter(lambda: following.stdout.readline().decode(), "}\n"))
        assert '"key": "ann"' in first
        create(program, "bob")
        second = "".join(iter(lambda: following.stdout.readline().decode(), "}\n"))
        assert '"key": "bob"' in second
        program.stop()
        assert following.wait(30) == DONE
        assert following.stderr is not None and b"the server has stopped" in following.stderr.read()


def test_records_are_chosen_by_key_time_and_number(program: Program) -> None:
    for name in ("ann", "anna", "bob"):
        create(program, name)
    keys = lambda *args: sorted(record["key"] for record in program.tail("users", *args))  # noqa: E731
    assert keys() == ["ann", "anna", "bob"]
    assert keys("--key", "ann") == ["ann"] and keys("--key", "ann*") == ["ann", "anna"]
    assert keys("--since", "1h") == ["ann", "anna", "bob"] and keys("--since", "2099-01-01") == []
    assert len(keys("--last", "2")) == 2
    done = program.run("tail", "users")
    assert len(done.stdout.splitlines()) == 3 and b"this was the end" in done.stderr
    refused = program.run("tail", "user", expect=USAGE).stderr.decode()
    assert "users" in refused and "power.events" in refused


def test_a_reader_that_closes_its_pipe_ends_it_quietly(program: Program, tmp_path: Path) -> None:
    cloudigrade.run("demo", "--folder", tmp_path / "demo", "--days", 5)
    command = f"'{cloudigrade.BINARY}' tail cloudtrail.records --last 100000 --no-follow --data '{tmp_path}/demo/data' | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (DONE, b"", 1)
    cloudigrade.run("tail", "users", "--data", tmp_path / "nothing", expect=NO_INPUT)


def test_a_server_is_watched_by_its_lags_topics_and_tasks(program: Program) -> None:
    program.configure().start()
    create(program, "ann")
    program.top("users")
    program.stop()
    assert "does not answer" in program.run("top", "--once", "--url", program.url, expect=6).stderr.decode()
