"""Records that are deleted from a topic, as retention does it, before all have read them."""

import random
import re

from aws import TrailBucket, until
from cluster import Cluster
from confluent_kafka import OFFSET_END, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from corpus import Corpus
from flow import Flow
from program import STORAGE

TOPIC = "cloudtrail.records"
ADVICE = r"kafka-consumer-groups\.sh --bootstrap-server \S+ --group (\S+) (--topic (\S+)|--all-topics) --reset-offsets --to-earliest --execute"
ENDS_SECONDS = 90.0
CALL_SECONDS = 30.0


class Administrator:
    """Does by the client what Kafka's own commands do."""

    def __init__(self, bootstrap: str) -> None:
        """Connects."""
        self.client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def partitions(self, topic: str) -> list[int]:
        """Those of a topic."""
        return list(self.client.list_topics(topic, timeout=CALL_SECONDS).topics[topic].partitions)

    def delete_all(self, topic: str) -> None:
        """Deletes what a topic holds now."""
        for deleted in self.client.delete_records([TopicPartition(topic, part, OFFSET_END) for part in self.partitions(topic)]).values():
            deleted.result(timeout=CALL_SECONDS)

    def reset_to_earliest(self, group: str, topic: str) -> None:
        """`kafka-consumer-groups.sh --reset-offsets --to-earliest --execute`, again until the group has no members any more."""
        begins = self.client.list_offsets({TopicPartition(topic, part): OffsetSpec.earliest() for part in self.partitions(topic)})
        to = [TopicPartition(at.topic, at.partition, begin.result(timeout=CALL_SECONDS).offset) for at, begin in begins.items()]

        def is_reset() -> bool:
            told = self.client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, to)])[group].result(timeout=CALL_SECONDS)
            failures = [part.error for part in told.topic_partitions if part.error is not None]
            assert not failures, failures
            return True

        until(f"{group} to be reset", is_reset, ENDS_SECONDS)


def test_an_operator_whose_records_were_deleted_says_so_and_ends_and_goes_on_once_what_it_says_is_done(
    cluster: Cluster, piece: Corpus, bucket: TrailBucket
) -> None:
    admin, topic = Administrator(cluster.bootstrap), cluster.prefix + TOPIC
    flow = Flow(cluster, piece, random.Random(5), bucket).start(source="run source", folding="run operators", shown="run sink api")
    flow.put(0.4)
    flow.shows(0.1)
    operators, sink = flow["folding"], flow["shown"]
    operators.stop()
    flow.put(0.5)
    bucket.drained()
    admin.delete_all(topic)
    # It may end before it listens.
    operators.launch()
    assert operators.process is not None and operators.process.wait(ENDS_SECONDS) == STORAGE
    operators.process = None
    said = operators.log.read_text()
    assert f"{topic}, partition " in said and "records were deleted before they were read" in said, said
    assert (advice := re.search(ADVICE, said)), said
    admin.reset_to_earliest(advice[1], advice[3] or topic)
    before = sink.digest()["power_events"][0]
    operators.start()
    flow.put()

    def goes_on() -> bool:
        assert (now := sink.digest()["power_events"][0]) > before, f"{now} events are in the tables"
        return True

    until("what came later to be in the tables", goes_on)
    assert sink.digest()["power_events"][0] < piece.digest["power_events"][0], "what was deleted is missing"
