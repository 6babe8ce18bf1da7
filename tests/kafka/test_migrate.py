"""A log moves to Kafka with its history, whatever interrupts that, and goes on there as it would have here."""

import json
import os
import random
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import cloudigrade
import pytest

DAYS = 20
PARTITIONS = 32  # of a log in a data folder
DONE, NO_INPUT, USAGE, REFUSED = 0, 3, 2, 5
KILLS = 8  # of one move, at most
EARLIEST, LATEST = 0.05, 0.9  # shares of the time that a whole move takes
TRIES = 8  # each with half the time


@dataclass
class Moving:
    """A data folder, and the log on Kafka that it moves to."""

    data: Path
    bootstrap: str
    prefix: str
    partitions: int = PARTITIONS

    @property
    def env(self) -> dict[str, str]:
        """What makes Kafka known."""
        of = {"BOOTSTRAP": self.bootstrap, "PREFIX": self.prefix, "PARTITIONS": str(self.partitions), "REPLICATION": "1", "MIN_IN_SYNC": "1"}
        return {f"CLOUDIGRADE__KAFKA__{name}": value for name, value in of.items()}

    def run(self, *args: object, expect: int | tuple[int, ...] = 0) -> subprocess.CompletedProcess[bytes]:
        """Runs a command on the data folder, with Kafka known."""
        return cloudigrade.run(*args, "--data", self.data, env=self.env, expect=expect)

    def move(self) -> dict:
        """Moves it, and returns what was moved."""
        return json.loads(self.run("migrate", "--to", "kafka", "--format", "json").stdout)[0]

    def copy(self, folder: Path) -> "Moving":
        """The same data once more, to be moved to where nothing is."""
        shutil.copytree(self.data, folder)
        return Moving(folder, self.bootstrap, f"{folder.name}-{self.prefix}")

    def move_under_kills(self, seconds: float, dice: random.Random) -> tuple[int, dict | None]:
        """Moves it, which takes about so long, and kills that on its way, time and again, until it comes to its end. Gives how often it was on its
        way, and what was moved; that nobody says where a kill came when all was done."""
        command = [cloudigrade.BINARY, "migrate", "--to", "kafka", "--format", "json", "--data", str(self.data)]
        for kills in range(KILLS):
            process = subprocess.Popen(command, env={**os.environ, **self.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                # Early at first, and later the more often it was killed: each goes on from there, and is to get to all that there is to do.
                said, failure = process.communicate(timeout=seconds * dice.uniform(EARLIEST, LATEST * (kills + 1) / KILLS))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            else:
                assert process.returncode == DONE, failure.decode()
                return kills, json.loads(said)[0]
            rebuilt = self.run("tables", "rebuild", "--log", "kafka", expect=(DONE, NO_INPUT, REFUSED))
            if rebuilt.returncode == DONE:
                assert b"was moved here already" in self.run("migrate", "--to", "kafka", expect=REFUSED).stderr
                return kills, None
            assert rebuilt.returncode == NO_INPUT or b"has not come to its end" in rebuilt.stderr
        return KILLS, self.move()

    def digest(self, log: str) -> dict[str, tuple[int, str]]:
        """What the tables say."""
        return cloudigrade.digest(self.data, "--log", log, env=self.env)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo, with a user, and the logs of another fleet."""
    folder = tmp_path_factory.mktemp("made")
    cloudigrade.run("demo", "--folder", folder / "demo", "--days", DAYS, "--seed", 3)
    cloudigrade.run("users", "create", "ann", "--generate", "--data", folder / "demo" / "data")
    cloudigrade.run("demo", "--folder", folder / "more", "--days", 5, "--seed", 4)
    return folder


@pytest.fixture
def moving(made: Path, bootstrap: str, tmp_path: Path) -> Moving:
    """A copy of the demo's data, and a place in Kafka where nothing is."""
    shutil.copytree(made / "demo" / "data", tmp_path / "data")
    return Moving(tmp_path / "data", bootstrap, f"m-{os.getpid()}-{uuid.uuid4().hex[:8]}.")


def test_a_moved_log_goes_on_in_kafka_as_it_would_have_here(moving: Moving, made: Path, tmp_path: Path) -> None:
    stayed = tmp_path / "stayed"
    shutil.copytree(moving.data, stayed)
    before = cloudigrade.digest(moving.data)
    moved = moving.move()
    assert moved["topics"]["cloudtrail.records"]["count"] > 0 and moved["topics"]["users"]["count"] == 1
    assert moved["state"]["count"] > 0 and moved["positions"]["count"] > 0
    assert moving.digest("kafka") == before
    # What was read before is known, and nothing of it is counted again.
    again = json.loads(moving.run("ingest", made / "demo" / "logs", "--log", "kafka", "--format", "json").stdout)[0]
    assert again["files"] == 0 and again["files_known"] > 0
    for args in ((stayed, "--log", "embedded"), (moving.data, "--log", "kafka")):
        cloudigrade.run("ingest", made / "more" / "logs", "--data", *args, env=moving.env)
    assert moving.digest("kafka") == cloudigrade.digest(stayed) != before
    assert b"ann" in moving.run("users", "list", "--log", "kafka").stdout


def test_a_log_that_was_moved_is_not_started_again_by_mistake(moving: Moving, made: Path) -> None:
    before = cloudigrade.digest(moving.data)
    moving.move()
    for command in (("ingest", made / "more" / "logs"), ("serve", "--listen", "127.0.0.1:0"), ("tables", "rebuild")):
        refused = moving.run(*command, "--log", "embedded", expect=REFUSED).stderr.decode()
        assert moving.bootstrap in refused and "migrate --undo" in refused
    assert b"was moved here already" in moving.run("migrate", "--to", "kafka", expect=REFUSED).stderr
    moving.run("migrate", "--undo")
    assert moving.digest("embedded") == before
    moving.run("ingest", made / "more" / "logs", "--log", "embedded")


def test_a_move_that_is_killed_goes_on_and_ends_as_if_it_had_not_been(moving: Moving, tmp_path: Path) -> None:
    before, dice = cloudigrade.digest(moving.data), random.Random(5)
    began = time.monotonic()
    whole = moving.copy(tmp_path / "whole").move()
    seconds = time.monotonic() - began
    for tried in range(TRIES):
        one = moving.copy(tmp_path / f"killed-{tried}")
        killed, moved = one.move_under_kills(seconds, dice)
        if moved is not None:
            assert {**moved, "to": None} == {**whole, "to": None}
        assert one.digest("kafka") == before
        one.run("users", "list", "--log", "embedded", expect=REFUSED)
        if killed > KILLS // 2 and moved is not None:
            return
        # It was faster than the one whose time was taken: the next is killed earlier.
        seconds /= 2
    raise AssertionError(f"no move was killed more than {KILLS // 2} times and said at its end what was moved")


def test_a_move_that_is_killed_while_the_tables_are_written_leaves_neither_log_to_start_with(moving: Moving) -> None:
    before = cloudigrade.digest(moving.data)
    commits = lambda: len(list((moving.data / "tables").glob("*/_delta_log/*.json")))  # noqa: E731
    there = commits()
    command = [cloudigrade.BINARY, "migrate", "--to", "kafka", "--data", str(moving.data)]
    process = subprocess.Popen(command, env={**os.environ, **moving.env}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while commits() == there:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.kill()
    process.wait()
    # Tables that follow one log with the offsets of the other would be wrong and not say so.
    assert b"migrate --undo" in moving.run("tables", "rebuild", "--log", "embedded", expect=REFUSED).stderr
    assert b"has not come to its end" in moving.run("tables", "rebuild", "--log", "kafka", expect=REFUSED).stderr
    moving.move()
    assert moving.digest("kafka") == before


def test_a_log_is_moved_only_to_where_nothing_is_and_with_as_many_partitions(moving: Moving, made: Path, tmp_path: Path) -> None:
    before = cloudigrade.digest(moving.data)
    fewer = Moving(moving.data, moving.bootstrap, f"f-{moving.prefix}", partitions=4)
    assert b"set kafka.partitions to 32" in fewer.run("migrate", "--to", "kafka", expect=USAGE).stderr
    elsewhere = Moving(tmp_path / "elsewhere", moving.bootstrap, moving.prefix)
    elsewhere.run("ingest", made / "more" / "logs", "--log", "kafka")
    assert b"already" in moving.run("migrate", "--to", "kafka", expect=REFUSED).stderr
    nothing = Moving(tmp_path / "nothing", moving.bootstrap, moving.prefix)
    nothing.run("migrate", "--to", "kafka", expect=NO_INPUT)
    assert not nothing.data.exists()
    assert moving.digest("embedded") == before
