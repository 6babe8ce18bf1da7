"""What the tests of several processes on one log share: a broker, an emulator of AWS, and a log of its own for each test."""

import os
import sys
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

for folder in ("readers", "live", "rest"):
    sys.path.append(str(Path(__file__).parents[1] / folder))

import cloudigrade  # noqa: E402
from aws import Aws, TrailBucket, emulator  # noqa: E402
from broker import Broker, jars  # noqa: E402
from cluster import Cluster  # noqa: E402
from corpus import Corpus  # noqa: E402

ACCOUNTS = count(1)


def new_account() -> str:
    """Twelve digits that were not given before, and that differ between runs at once on one machine."""
    return f"{zlib.crc32(str(os.getpid()).encode()) % 10**6:06d}{next(ACCOUNTS):06d}"


@pytest.fixture(scope="session", autouse=True)
def has_kafka(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A program without Kafka's client skips all tests, loudly, and fails in CI."""
    jars()
    # A prefix that is refused before any broker is asked.
    env = {"CLOUDIGRADE__KAFKA__BOOTSTRAP": "127.0.0.1:1", "CLOUDIGRADE__KAFKA__PREFIX": "not/valid"}
    said = cloudigrade.run("run", "operators", "--listen", "127.0.0.1:0", "--data", tmp_path_factory.mktemp("none"), expect=2, env=env).stderr
    if b"--features kafka" in said:
        absent = f"{cloudigrade.BINARY} is built without Kafka's client: build it with `cargo build --features kafka`"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster that no test harms: that of TEST_KAFKA_BOOTSTRAP, or a broker of our own."""
    if given := os.environ.get("TEST_KAFKA_BOOTSTRAP"):
        yield given
        return
    broker = Broker(tmp_path_factory.mktemp("broker")).start()
    yield broker.address
    broker.kill()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that the test may stop and start."""
    (folder := tmp_path / "broker").mkdir()
    broker = Broker(folder).start()
    yield broker
    broker.kill()


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """One emulator for all tests."""
    with emulator(tmp_path_factory.mktemp("emulator") / "log") as url:
        yield Aws(url)


@pytest.fixture
def bucket(aws: Aws) -> TrailBucket:
    """A bucket that notifies a queue."""
    return TrailBucket.make(aws)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """What most tests let flow."""
    return Corpus.make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def piece(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """What is enough where it does not matter how much flows."""
    return corpus.part(tmp_path_factory.mktemp("piece"), 0.1)


@pytest.fixture
def cluster(bootstrap: str, aws: Aws, tmp_path: Path) -> Iterator[Cluster]:
    """A log of its own. Whatever runs at the end is ended."""
    cluster = Cluster(tmp_path / "cluster", bootstrap, aws.url)
    yield cluster
    cluster.end()
