"""Whatever network, queue and machine do, nothing is lost and nothing counts twice."""

from pathlib import Path

import cloudigrade
import pytest
from aws import Aws, TrailBucket, becomes, until
from cloud import Cloud
from conftest import new_account
from fleet import Fleet
from program import Program
from proxy import FaultProxy

# Short, so that what a killed server had comes back within the test.
VISIBILITY = {"visibility_timeout": "10s"}


def ingested(program: Program, bucket: TrailBucket, folder: Path) -> dict[str, tuple[int, str]]:
    """The digest of a plain ingest of all that is in the bucket."""
    data = folder / "plain"
    cloudigrade.run("ingest", f"s3://{bucket.name}/AWSLogs", "--data", data, env=program.env)
    return cloudigrade.digest(data, env=program.env)


def same(program: Program, plain: dict[str, tuple[int, str]]) -> bool:
    """Whether the tables that power events fill say the same."""
    digest = program.digest()
    return all(digest[table] == plain[table] for table in ("instance_intervals", "power_events"))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_of_faults_with_kills_in_between_loses_and_doubles_nothing(aws: Aws, program: Program, tmp_path: Path, seed: int) -> None:
    bucket, fleet = TrailBucket.make(aws), Fleet.make(seed, [new_account() for _ in range(2)], instances=10)
    bucket.unkind(duplicate=0.3, reorder=True, short=True, seed=seed)
    files = list(fleet.files.items())
    with FaultProxy(aws.url, seed=seed, rate=0.25) as proxy:
        program.endpoint = proxy.url
        program.configure(bucket, source__sqs=VISIBILITY)
        for number, part in enumerate((files[0::3], files[1::3], files[2::3])):
            program.start(ready=False)
            read, deleted = proxy.passed["s3:GetObject"], aws_deleted(proxy)
            for key, body in part:
                bucket.put(key, body)
            enough = len(part) // (2 + number)
            until("some objects to be read and some messages to be deleted", lambda: proxy.passed["s3:GetObject"] > read + enough and aws_deleted(proxy) > deleted, 180)
            program.kill()
        program.start(ready=False)
        until("the storm to do its worst", lambda: sum(proxy.harmed.values()) > 40, 180)
        proxy.rate = 0.0
        while bucket.depth():
            bucket.show_hidden()
            until("some progress", lambda before=bucket.depth(): bucket.depth() < before or bucket.depth() == 0, 60)
        plain = ingested(program, bucket, tmp_path)
        until("the tables to say what a plain ingest says", lambda: same(program, plain))
        assert program.runs() == fleet.runs()
        assert program.rows("dead-letters", "list") == []
        program.stop()
    assert same(program, plain) and len({kind for kind in proxy.harmed}) >= 3, proxy.harmed


def aws_deleted(proxy: FaultProxy) -> int:
    return proxy.passed["sqs:DeleteMessageBatch"] + proxy.passed["sqs:DeleteMessage"]


def test_deliveries_twice_and_in_any_order_count_once(aws: Aws, bucket: TrailBucket, program: Program) -> None:
    bucket.unkind(duplicate=0.8, reorder=True, short=True, seed=5)
    fleet = Fleet.make(5, [new_account()])
    for key, body in fleet.files.items():
        bucket.put(key, body)
    program.configure(bucket).start()
    bucket.drained()
    becomes("the truth", lambda: program.runs(), fleet.runs())
    assert program.rows("dead-letters", "list") == []


@pytest.mark.parametrize("size", [9, 10, 11, 20, 21])
def test_any_number_of_messages_is_deleted_to_the_last(aws: Aws, bucket: TrailBucket, program: Program, account: str, size: int) -> None:
    cloud = Cloud(aws, bucket, account)
    bucket.aws.client("sqs").purge_queue(QueueUrl=bucket.queue_url)
    for number in range(size):
        cloud.run(f"2024-03-01T10:{number:02}:00Z")
    assert bucket.depth() == size
    program.configure(bucket).start()
    bucket.drained()
    becomes("all runs", lambda: program.runs(account), cloud.truth)
    deletes = aws.calls(service="sqs", action="DeleteMessageBatch")
    assert all(1 <= len(call["params"]["Entries"]) <= 10 for call in deletes)
    assert sum(len(call["params"]["Entries"]) for call in deletes) == size


def test_messages_that_are_not_deleted_at_the_first_time_are_deleted_later(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    cloud = Cloud(aws, bucket, account)
    for action in ("DeleteMessageBatch", "DeleteMessage"):
        aws.fault(service="sqs", action=action, code="InternalError", status=500, count=8)
    cloud.run("2024-03-01T10:00:00Z")
    program.configure(bucket, source__sqs=VISIBILITY).start()
    becomes("the run", lambda: program.runs(account), cloud.truth)
    bucket.drained()
    assert program.runs(account) == cloud.truth


def test_a_message_is_deleted_only_after_its_events_are_durable(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    cloud = Cloud(aws, bucket, account)
    cloud.run("2024-03-01T10:00:00Z")
    with FaultProxy(aws.url) as proxy:
        for action in ("DeleteMessageBatch", "DeleteMessage"):
            proxy.faults.add({"service": "sqs", "action": action, "lose_reply": True, "count": None})
        program.endpoint = proxy.url
        program.configure(bucket).start()
        until("the delete to be done", lambda: proxy.harmed["sqs:DeleteMessageBatch"] + proxy.harmed["sqs:DeleteMessage"] > 0)
        program.kill()  # at the very moment at which the queue forgets
    assert bucket.depth() == 0
    program.endpoint = aws.url
    program.configure(bucket).start()
    becomes("what was deleted to be there", lambda: program.runs(account), cloud.truth)


def test_a_slow_object_is_kept_from_others_by_renewing_its_time(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    cloud = Cloud(aws, bucket, account)
    aws.fault(service="s3", action="GetObject", path=f"/{bucket.name}/*", delay_ms=13_000, count=1)
    cloud.run("2024-03-01T10:00:00Z")
    program.configure(bucket, source__sqs=VISIBILITY).start()
    becomes("the slow object", lambda: program.runs(account), cloud.truth)
    bucket.drained()
    renewed = aws.calls(service="sqs", action="ChangeMessageVisibility") + aws.calls(service="sqs", action="ChangeMessageVisibilityBatch")
    assert len(renewed) >= 2, "each at half of the time"
    assert len(aws.calls(service="s3", action="GetObject")) == 1, "nobody read it again"


def test_a_first_sigterm_ends_what_is_begun_gives_the_rest_back_and_is_no_failure(aws: Aws, bucket: TrailBucket, program: Program) -> None:
    fleet = Fleet.make(9, [new_account()])
    aws.fault(service="s3", action="GetObject", path=f"/{bucket.name}/*", delay_ms=1500, count=None)
    for key, body in fleet.files.items():
        bucket.put(key, body)
    program.configure(bucket, source={"workers": 2}).start()
    until("work to be under way", lambda: hidden(bucket) >= 5)
    program.stop()
    assert hidden(bucket) == 0, "what was received and not worked on can be received by others at once"
    assert bucket.depth() > 0
    aws.admin("faults", method="DELETE")
    program.start()
    bucket.drained()
    becomes("the truth", lambda: program.runs(), fleet.runs())


def hidden(bucket: TrailBucket) -> int:
    name = "ApproximateNumberOfMessagesNotVisible"
    return int(bucket.aws.client("sqs").get_queue_attributes(QueueUrl=bucket.queue_url, AttributeNames=[name])["Attributes"][name])


def test_a_second_sigterm_ends_at_once_and_loses_nothing(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    cloud = Cloud(aws, bucket, account)
    cloud.run("2024-03-01T10:00:00Z")
    aws.fault(service="s3", action="GetObject", path=f"/{bucket.name}/*", delay_ms=20_000, count=1)
    program.configure(bucket, source__sqs=VISIBILITY).start()
    until("the object to be asked for", lambda: hidden(bucket) == 1)
    process = program.process
    assert process is not None
    process.terminate()
    until("the first to be heard", lambda: "stop" in program.log.read_text().lower())
    process.terminate()
    assert process.wait(10) != 0, "it was not done"
    program.process = None
    program.start()
    becomes("the run", lambda: program.runs(account), cloud.truth)
    bucket.drained()


def test_a_storm_around_an_account_with_kills_in_between_ends_in_the_truth(aws: Aws, program: Program) -> None:
    bucket, account = TrailBucket.make(aws), new_account()
    bucket.unkind(duplicate=0.3, reorder=True, short=True, seed=8)
    cloud = Cloud(aws, bucket, account)
    with FaultProxy(aws.url, seed=8) as proxy:
        program.endpoint = proxy.url
        program.configure(bucket, accounts={"reconcile_every": "1s"}, source__sqs=VISIBILITY).start()
        program.enroll(aws, account)
        for day in (1, 2, 3):
            proxy.rate = 0.2
            looked, harmed = proxy.passed["ec2:DescribeInstances"], sum(proxy.harmed.values())
            told = cloud.run(f"2024-03-0{day}T10:00:00Z", count=2)
            untold = cloud.run(f"2024-03-0{day}T11:00:00Z", count=2, told=False)
            cloud.stop(told[:1], f"2024-03-0{day}T12:00:00Z")
            cloud.stop(untold[:1], f"2024-03-0{day}T13:00:00Z", told=False)
            until("looks and harm", lambda: proxy.passed["ec2:DescribeInstances"] > looked + 4 and sum(proxy.harmed.values()) > harmed + 8, 180)
            program.kill()
            program.start(ready=False)
        proxy.rate = 0.0
        while bucket.depth():
            bucket.show_hidden()
            until("some progress", lambda before=bucket.depth(): bucket.depth() < before or bucket.depth() == 0, 60)
        becomes("the truth", lambda: program.runs(account), cloud.truth, 120)
        assert program.rows("dead-letters", "list") == []
        until("an account without problems", lambda: program.account(account)["problems"] == [], 120)
        until("readiness", lambda: program.get("readyz")[0] == 200, 120)
        program.stop()
    bounds = program.sql(f"SELECT count(*) AS n FROM instance_intervals WHERE account_id = '{account}' AND end_not_before IS NOT NULL")
    assert program.runs(account) == cloud.truth and bounds == [{"n": 0}]
