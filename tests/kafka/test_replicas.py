"""Three brokers, of which each is lost once while a corpus flows: two replicas of three are enough."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from aws import Aws, TrailBucket, until
from broker import Broker, Extra, free_ports
from cluster import Cluster
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from corpus import Corpus
from flow import Flow

NODES = (1, 2, 3)
# What a broker writes later in its file of settings holds.
REPLICATED = """\
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
"""
IN_SYNC_SECONDS = 120.0


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[list[Broker]]:
    """Three that lead together. None answers before there are two."""
    controllers = dict(zip(NODES, free_ports(len(NODES)), strict=True))
    brokers = []
    for node in NODES:
        (folder := tmp_path / f"broker-{node}").mkdir()
        brokers.append(Broker(folder, extra=Extra(properties=REPLICATED), node=node, controllers=controllers))
    try:
        for broker in brokers:
            broker.launch()
        for broker in brokers:
            broker.wait_for_answer()
        yield brokers
    finally:
        for broker in brokers:
            broker.kill()


def all_in_sync(bootstrap: str) -> None:
    """Waits until no replica is behind: the next broker is lost only then."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def in_sync() -> bool:
        try:
            found = client.list_topics(timeout=10)
        except KafkaException as error:
            raise AssertionError(f"nobody tells of replicas: {error}") from error
        behind = [name for name, topic in found.topics.items() for part in topic.partitions.values() if len(part.isrs) < len(NODES)]
        assert len(found.brokers) == len(NODES) and not behind, f"{len(found.brokers)} brokers, replicas of {sorted(set(behind))} are behind"
        return True

    until("all replicas to be in sync", in_sync, IN_SYNC_SECONDS)


def test_losing_any_one_of_three_replicas_keeps_nobody_from_going_on_and_loses_nothing(
    brokers: list[Broker], aws: Aws, bucket: TrailBucket, corpus: Corpus, tmp_path: Path
) -> None:
    bootstrap = ",".join(broker.address for broker in brokers)
    cluster = Cluster(tmp_path / "cluster", bootstrap, aws.url, replication=len(NODES))
    try:
        processes = {"source": "run source", "left": "run operators", "right": "run operators", "shown": "run sink api"}
        flow = Flow(cluster, corpus, random.Random(4), bucket).start(**processes)
        shown = 0.0
        for broker in brokers:
            flow.put(0.3)
            flow.moment()
            broker.kill()
            flow.put(0.3)
            shown += 0.15
            flow.shows(shown)
            broker.start()
            all_in_sync(bootstrap)
        flow.finish(broker_was_away=True)
    finally:
        cluster.end()
