"""What CloudTrail did not say is found by looking, with the time that EC2 gives or with honest bounds."""

import time

import pytest
import trail
from aws import REGION, Aws, TrailBucket, becomes, until
from cloud import Cloud
from program import Program

LAUNCH = "2024-03-01T10:00:00Z"


@pytest.fixture
def cloud(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> Cloud:
    """An account that is looked at every three seconds, with one instance that is known to run: no two looks are in one second."""
    program.configure(bucket, accounts={"reconcile_every": "3s"}).start()
    cloud = Cloud(aws, bucket, account)
    cloud.run(LAUNCH)
    program.enroll(aws, account)
    becomes("the instance to be known", lambda: program.runs(account), cloud.truth)
    return cloud


def row(program: Program, account: str) -> dict:
    """The only run there is."""
    (found,) = program.sql(f"SELECT * FROM instance_intervals WHERE account_id = '{account}'")
    return found


def ended(program: Program, account: str) -> dict:
    return until("the run to end", lambda: row(program, account) if row(program, account).get("ended_at") else None)


def test_a_lost_stop_ends_the_run_at_the_time_in_ec2s_reason(program: Program, cloud: Cloud) -> None:
    cloud.stop(list(cloud.truth), "2024-03-02T11:22:33Z", told=False)
    found = ended(program, cloud.account)
    assert found["ended_at"] == "2024-03-02T11:22:33Z" and found.get("end_not_before") is None
    assert found["end_event_id"].startswith("observe:")
    counted = "SELECT count(*) AS n FROM instance_intervals WHERE 'ObservedStopped' IN (start_kind, end_kind)"
    assert program.sql(counted) == [{"n": 1}], "what looking changed can be counted"


def test_a_guest_shutdown_ends_the_run_between_the_last_and_the_first_look(program: Program, cloud: Cloud) -> None:
    (instance,) = cloud.truth
    before = int(time.time())
    seen_running(cloud)
    cloud.shut_down(instance)
    stopped = time.time()
    found = ended(program, cloud.account)
    not_before, end = trail.seconds(found["end_not_before"]), trail.seconds(found["ended_at"])
    assert not_before <= stopped <= end + 1, "it stopped within the bounds"
    assert before <= not_before <= end <= time.time() and end - not_before < 30, "which are of two looks that follow each other"


def looks(cloud: Cloud) -> list[dict]:
    return cloud.aws.calls(account=cloud.account, region=REGION, action="DescribeInstances")


def seen_running(cloud: Cloud) -> None:
    """It is seen running by a look that begins from now on, in an earlier second than this ends."""
    seen = len(looks(cloud))
    until("a second look that sees it running, which began after the first", lambda: len(looks(cloud)) > seen + 1)
    at = int(time.time())
    until("the second to pass", lambda: time.time() > at + 1)


def test_a_spot_reclaim_without_a_record_ends_the_run(program: Program, cloud: Cloud) -> None:
    (instance,) = cloud.truth
    cloud.reclaim(instance, "2024-03-03T01:02:03Z")
    found = ended(program, cloud.account)
    assert found["ended_at"] == "2024-03-03T01:02:03Z" and found.get("end_not_before") is None


def test_a_spot_reclaim_without_a_record_and_a_time_ends_the_run_within_bounds(program: Program, cloud: Cloud) -> None:
    (instance,) = cloud.truth
    seen_running(cloud)
    cloud.reclaim(instance, None)
    found = ended(program, cloud.account)
    assert trail.seconds(found["end_not_before"]) <= trail.seconds(found["ended_at"]) <= time.time()


def test_an_instance_that_vanished_ends_within_bounds(program: Program, cloud: Cloud) -> None:
    (instance,) = cloud.truth
    seen_running(cloud)
    cloud.aws.change_instance(cloud.account, instance, vanish=True)
    found = ended(program, cloud.account)
    assert trail.seconds(found["end_not_before"]) <= trail.seconds(found["ended_at"]) <= time.time()


def test_a_late_record_takes_the_place_of_the_bounds(program: Program, cloud: Cloud) -> None:
    (instance,) = cloud.truth
    seen_running(cloud)
    cloud.shut_down(instance)
    found = ended(program, cloud.account)
    assert found["end_not_before"]
    at = trail.stamp(trail.seconds(found["end_not_before"]))
    cloud.deliver(trail.change("StopInstances", cloud.account, REGION, trail.seconds(at), [instance]))
    until("the exact end", lambda: row(program, cloud.account)["ended_at"] == at and row(program, cloud.account).get("end_not_before") is None)


def test_a_lost_launch_is_known_from_the_launch_time(program: Program, cloud: Cloud) -> None:
    cloud.run("2024-03-05T06:07:08Z", told=False)
    becomes("the lost launch", lambda: program.runs(cloud.account), cloud.truth)


def test_a_lost_stop_and_start_between_two_looks_are_two_runs(program: Program, cloud: Cloud) -> None:
    """EC2 tells of the later launch only: the first run ended before it, at a time that nobody knows."""
    (instance,) = cloud.truth
    cloud.aws.change_instance(cloud.account, instance, launch_time="2024-03-09T00:00:00Z")
    runs = until("a second run", lambda: (found := program.runs(cloud.account)[instance]) and len(found) == 2 and found)
    assert runs[1] == ("2024-03-09T00:00:00Z", None)
    assert runs[0][0] == LAUNCH and runs[0][1] is not None and runs[0][1] <= "2024-03-09T00:00:00Z"


def test_looking_again_adds_nothing(program: Program, cloud: Cloud) -> None:
    known = "SELECT action FROM power_events ORDER BY action"
    both = [{"action": "ObservedRunning"}, {"action": "RunInstances"}]
    becomes("the launch as told and as seen", lambda: program.sql(known), both)
    seen = len(looks(cloud))
    until("several more looks", lambda: len(looks(cloud)) > seen + 5)
    assert program.sql(known) == both


def test_a_region_that_cannot_be_looked_at_ends_no_run(program: Program, cloud: Cloud) -> None:
    cloud.aws.fault(service="ec2", action="DescribeInstances", account=cloud.account, code="UnauthorizedOperation", status=403, count=None)
    seen = len(looks(cloud))
    until("refused looks", lambda: len(looks(cloud)) > seen + 3)
    assert program.runs(cloud.account) == cloud.truth
    problem = until("the problem to be told", lambda: program.account(cloud.account)["problems"])
    assert "ec2:DescribeInstances" in problem[0]["detail"]
    cloud.aws.admin("faults", method="DELETE")
    until("the problem to be gone", lambda: program.account(cloud.account)["problems"] == [], 120)


def state_change(account: str, instance: str, state: str, at: str) -> dict:
    """EC2's notification, as EventBridge delivers it."""
    return {
        "version": "0",
        "id": trail.event_id(account, instance, state, at),
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "account": account,
        "time": at,
        "region": REGION,
        "resources": [f"arn:aws:ec2:{REGION}:{account}:instance/{instance}"],
        "detail": {"instance-id": instance, "state": state},
    }


def test_a_state_change_notification_ends_the_run_at_once_and_the_record_corrects_it(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    program.configure(bucket).start()
    cloud = Cloud(aws, bucket, account)
    (instance,) = cloud.run(LAUNCH)
    for state, at in (("stopping", "2024-03-02T00:00:20Z"), ("stopped", "2024-03-02T00:00:50Z"), ("stopped", "2024-03-02T00:00:50Z")):
        bucket.send(state_change(account, instance, state, at))
    until("the end", lambda: program.runs(account).get(instance) in ([(LAUNCH, "2024-03-02T00:00:20Z")], [(LAUNCH, "2024-03-02T00:00:50Z")]))
    cloud.deliver(trail.change("StopInstances", account, REGION, trail.seconds("2024-03-02T00:00:10Z"), [instance]))
    becomes("the record's end", lambda: program.runs(account), {instance: [(LAUNCH, "2024-03-02T00:00:10Z")]})
    bucket.drained()


def test_state_changes_of_a_start_are_no_second_run(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket).start()
    cloud = Cloud(aws, bucket, account)
    (instance,) = cloud.run(LAUNCH)
    bucket.send(state_change(account, instance, "pending", "2024-03-01T10:00:01Z"))
    bucket.send(state_change(account, instance, "running", "2024-03-01T10:00:20Z"))
    bucket.send(state_change(account, "i-00000000000000003", "running", "2024-03-01T11:00:00Z"))
    expected = {instance: [(LAUNCH, None)], "i-00000000000000003": [("2024-03-01T11:00:00Z", None)]}
    becomes("both runs", lambda: program.runs(account), expected)
    bucket.drained()
    assert program.runs(account) == expected
