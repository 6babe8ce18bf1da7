"""What is in a log on Kafka, and what its processes do, can be looked at from anywhere while they work."""

import random
from collections.abc import Iterator

import pytest
from aws import Aws, TrailBucket, becomes, until
from cluster import LONG_SESSION_TIMEOUT, Cluster, Member
from corpus import Corpus
from flow import Flow

# Lags are measured every ten seconds, and that nothing but the marks of transactions is left is seen at the second look; the queue is measured
# every thirty.
MEASURED_SECONDS = 90.0
OPERATORS = ("", ".intervals", ".image_tags", ".sightings", ".images", ".accounts")


@pytest.fixture(scope="module")
def flow(bootstrap: str, aws: Aws, piece: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """What came through a queue waited in the log, until somebody began to fold it."""
    folder, bucket = tmp_path_factory.mktemp("watched") / "cluster", TrailBucket.make(aws)
    cluster = Cluster(folder, bootstrap, aws.url, session_timeout=LONG_SESSION_TIMEOUT)
    flow = Flow(cluster, piece, random.Random(4), bucket)
    try:
        flow.start(source="run source").put()
        bucket.drained()

        def waits() -> bool:
            assert (lag := lags(flow["source"])).get("operators", 0) > 0, f"{lag} is told while nobody folds"
            return True

        until("the log to have a lag", waits, MEASURED_SECONDS)
        flow.start(folding="run operators", shown="run sink api").shows(1.0)
        yield flow
    finally:
        cluster.end()


def lags(member: Member) -> dict[str, float]:
    """What each task has before it, as a process tells it."""
    return member.metric_by("cloudigrade_log_lag_records", "task")


def test_the_lags_of_queue_log_and_event_time_are_told_and_that_of_the_log_falls_to_nothing_in_every_process(flow: Flow) -> None:
    for name, member in flow.cluster.members.items():

        def has_none(member: Member = member) -> bool:
            assert (lag := lags(member)) == dict.fromkeys((f"operators{name}" for name in OPERATORS), 0), f"{member.name} tells {lag}"
            return True

        until(f"{name} to tell that nothing waits", has_none, MEASURED_SECONDS)
        assert member.metric("cloudigrade_data_age_seconds") > 0, "the data end years ago"
        assert "0 records wait for tasks" in member.top("cloudtrail.records")
    source = flow["source"]
    queued = {"waiting": 0.0, "in_hand": 0.0}
    becomes("the queue to be told of as empty", lambda: source.metric_by("cloudigrade_source_queue_messages", "state"), queued, MEASURED_SECONDS)
    assert "\ncloudigrade_source_oldest_message_seconds " in source.get("metrics")[1]
    assert "0 messages wait, 0 are in hand" in source.top() and "none is read here" in flow["folding"].top()


def test_records_are_shown_by_key_and_time_wherever_somebody_looks_and_nobody_is_disturbed(flow: Flow) -> None:
    wanted = {(row["instance_id"], row["event_id"]) for row in flow["shown"].sql("SELECT instance_id, event_id FROM power_events")}
    flow.take_all("folding")
    rebalances = flow["folding"].metric("cloudigrade_kafka_rebalances_total")
    far = flow.cluster.elsewhere()
    shown = []
    for who in (flow["folding"], far):
        records = who.tail("power.events", "--since", "1h")
        assert {(record["value"]["instance_id"], record["value"]["event_id"]) for record in records} == wanted
        key = records[0]["key"]
        assert who.tail("power.events", "--since", "1h", "--key", key) == [record for record in records if record["key"] == key]
        shown.append(records)
    assert shown[0] == shown[1], "whoever looks sees the same"
    account = key.split("/")[0] + "/"
    of_account = [record for record in records if record["key"].startswith(account)]
    assert far.tail("power.events", "--since", "1h", "--key", f"{account}*") == of_account != records
    newest = far.tail("power.events", "--last", "3", "--key", f"{account}*")
    assert len(newest) == 3 and all(record in of_account for record in newest)
    assert far.tail("power.events", "--since", "2099-01-01") == []
    assert flow["folding"].metric("cloudigrade_kafka_rebalances_total") == rebalances, "no partition changed hands"
