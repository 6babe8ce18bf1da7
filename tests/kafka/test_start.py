"""Whoever starts while the log cannot be read to its end starts all the same, says so, and goes on when that has passed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from aws import until
from cluster import Cluster
from confluent_kafka import Producer


@contextmanager
def open_transaction(cluster: Cluster, topic: str) -> Iterator[None]:
    """A transaction of which a record is in a topic, and which nobody ends meanwhile, as of a process that was killed in a commit."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": f"{cluster.prefix}killed"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(f"{cluster.prefix}{topic}", b"never committed", b"key", partition=0)
    producer.flush()
    yield
    producer.abort_transaction()


def test_tables_that_cannot_follow_yet_keep_nobody_from_starting_and_are_said_to_be_behind(cluster: Cluster) -> None:
    cluster.member("first", "run", "operators").start().stop()
    shown = cluster.member("shown", "run", "sink", "api")
    with open_transaction(cluster, "instance.intervals"):
        shown.start(ready=False)
        status, said = shown.get("readyz")
        (problem,) = json.loads(said)["problems"]
        assert (status, problem["subject"], problem["code"]) == (503, "tables", "behind"), said
        assert "a transaction is open in it" in problem["message"], said
    until("the tables to follow", lambda: shown.get("readyz")[0] == 200)
