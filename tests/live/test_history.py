"""At registration, up to 90 days of history are read back, so that the first report is there at once."""

import time

import trail
from aws import OTHER_REGION, REGION, Aws, TrailBucket, becomes, until
from fleet import DAY, Fleet
from program import Program

DAYS = 60


def history(aws: Aws, account: str, seed: int, instances: int = 25) -> Fleet:
    """A fleet of the last weeks, of which CloudTrail's event history tells, and EC2 no more."""
    start = (int(time.time()) // DAY - DAYS) * DAY
    fleet = Fleet.make(seed, [account], instances=instances, days=DAYS - 1, start=start)
    for region in (REGION, OTHER_REGION):
        records = [record for record in fleet.records if record["awsRegion"] == region]
        aws.admin("lookup-events", {"account": account, "region": region, "records": records})
    for (_, region, instance), runs in fleet.truth.items():
        if runs[-1][1] is None:  # it still runs, and EC2 says since when
            (emulated,) = aws.run(account, region)
            aws.change_instance(account, emulated, region, new_id=instance, launch_time=trail.stamp(runs[-1][0]))
    return fleet


def test_the_first_report_tells_of_the_weeks_before_registration(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    fleet = history(aws, account, seed=1)
    program.configure(bucket).start()
    program.enroll(aws, account)
    becomes("the history", lambda: program.runs(account), fleet.runs(), 180)
    asked = aws.calls(action="LookupEvents", account=account)
    names = {call["params"]["LookupAttributes"][0]["AttributeValue"] for call in asked}
    assert {"RunInstances", "StartInstances", "StopInstances", "TerminateInstances"} <= names
    assert all(len(call["params"]["LookupAttributes"]) == 1 for call in asked)


def test_history_is_read_at_the_rate_that_is_allowed_and_throttling_is_waited_out(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    aws.admin("lookup-rate", {"per_second": 2})
    fleet = history(aws, account, seed=2)
    program.configure(bucket).start()
    program.enroll(aws, account)
    becomes("the history", lambda: program.runs(account), fleet.runs(), 240)
    asked = aws.calls(action="LookupEvents", account=account)
    refused = [call for call in asked if call["status"] == 400]
    assert len(refused) * 3 <= len(asked), "the rate is kept, not found out by refusals"


def test_history_goes_on_after_a_kill_where_it_was(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    fleet = history(aws, account, seed=3, instances=60)
    program.configure(bucket).start()
    aws.fault(service="cloudtrail", action="LookupEvents", account=account, delay_ms=100, count=None)
    program.enroll(aws, account)
    until("a part of the history", lambda: len(aws.calls(action="LookupEvents", account=account)) >= 8, 120)
    program.kill()
    before = len(aws.calls(action="LookupEvents", account=account))
    program.start()
    becomes("the rest of the history", lambda: program.runs(account), fleet.runs(), 240)
    after = len(aws.calls(action="LookupEvents", account=account)) - before
    pages = sum(pages_of(fleet, region) for region in (REGION, OTHER_REGION))
    assert after <= pages + 12 - before + 8, f"{before} pages before the kill, {after} after it, of {pages} in all"


def pages_of(fleet: Fleet, region: str) -> int:
    names = [record["eventName"] for record in fleet.records if record["awsRegion"] == region]
    return sum(-(-names.count(name) // 50) for name in set(names))


def test_history_that_the_logs_tell_too_counts_once(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    fleet = history(aws, account, seed=4)
    program.configure(bucket).start()
    for key, body in list(fleet.files.items())[::2]:
        bucket.put(key, body)
    program.enroll(aws, account)
    becomes("the history", lambda: program.runs(account), fleet.runs(), 180)
    bucket.drained()
    assert program.runs(account) == fleet.runs()
