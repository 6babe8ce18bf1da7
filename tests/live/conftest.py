"""What the tests of the live path share: an emulator of AWS for all of them, and accounts, buckets and programs for each."""

import os
import sys
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "readers"))

from aws import Aws, TrailBucket, emulator  # noqa: E402
from program import Program  # noqa: E402

ACCOUNTS = count(1)


@pytest.fixture(scope="session")
def aws_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """One emulator for all tests."""
    log = tmp_path_factory.mktemp("emulator") / "log"
    with emulator(log) as url:
        yield Aws(url)


@pytest.fixture
def aws(aws_server: Aws) -> Iterator[Aws]:
    """The emulator, without what an earlier test asked it to do wrong."""
    yield aws_server
    for what in ("faults", "calls"):
        aws_server.admin(what, method="DELETE")
    aws_server.admin("lookup-rate", {"per_second": None})
    aws_server.admin("disks", {"looks": 0})
    aws_server.admin("scanners", {"mode": "works"})


@pytest.fixture
def account() -> str:
    """An AWS account that no other test has. Its zeros in front are part of it."""
    return new_account()


def new_account() -> str:
    """Twelve digits that were not given before, and that differ between runs at once on one machine."""
    return f"{zlib.crc32(str(os.getpid()).encode()) % 10**6:06d}{next(ACCOUNTS):06d}"


@pytest.fixture
def bucket(aws: Aws) -> TrailBucket:
    """A bucket that notifies a queue."""
    return TrailBucket.make(aws)


@pytest.fixture
def program(aws: Aws, tmp_path: Path) -> Iterator[Program]:
    """The program with a data folder of its own, not started. Whatever runs at the end is ended."""
    program = Program(tmp_path, aws.url)
    yield program
    program.end()
