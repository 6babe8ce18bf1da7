"""Registered accounts are collected from: what runs in them is in the report, whatever else happens to the account."""

import time

import trail
from aws import OTHER_REGION, Aws, TrailBucket, becomes, until
from cloud import Cloud
from conftest import new_account
from fleet import Fleet, seconds_by_instance
from program import Program

START, END = "2024-03-01T00:00:00Z", "2024-03-08T00:00:00Z"


def test_what_ran_in_a_registered_account_is_what_the_report_says(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket).start()
    program.enroll(aws, account)
    here, there = Cloud(aws, bucket, account), Cloud(aws, bucket, account, OTHER_REGION)
    web = here.run("2024-03-01T10:00:00Z", count=2)
    database = there.run("2024-03-02T00:00:00Z", instance_type="m5.xlarge")
    here.stop(web[:1], "2024-03-01T12:30:00Z")
    here.start(web[:1], "2024-03-03T08:00:00Z")
    here.stop(web, "2024-03-04T09:15:30Z", terminate=True)
    truth = here.truth | there.truth
    becomes("the runs to be the truth", lambda: program.runs(account), truth)
    bucket.drained()
    assert program.used(account, START, END) == seconds_by_instance(truth, START, END)
    assert database[0] in program.used(account, START, END)
    assert program.rows("dead-letters", "list") == []
    program.stop()
    assert program.used(account, START, END) == seconds_by_instance(truth, START, END)


def test_several_accounts_are_collected_from_each_by_its_own_role(aws: Aws, bucket: TrailBucket, program: Program) -> None:
    program.configure(bucket).start()
    clouds = [Cloud(aws, bucket, new_account()) for _ in range(3)]
    for cloud in clouds:
        cloud.run("2024-03-01T10:00:00Z", count=2, told=False)
        program.enroll(aws, cloud.account)
    for cloud in clouds:
        becomes(f"the instances of {cloud.account}", lambda cloud=cloud: program.runs(cloud.account), cloud.truth)
    for number, cloud in enumerate(clouds, 1):
        cloud.stop(list(cloud.truth)[:1], f"2024-03-0{number + 1}T00:00:00Z")
    for cloud in clouds:
        becomes(f"the stop in {cloud.account}", lambda cloud=cloud: program.runs(cloud.account), cloud.truth)
        assert program.used(cloud.account, START, END) == seconds_by_instance(cloud.truth, START, END)
    arns = {call["params"]["RoleArn"] for call in aws.calls(service="sts", action="AssumeRole")}
    assert arns == {f"arn:aws:iam::{cloud.account}:role/metering" for cloud in clouds}
    policies = [call["params"].get("Policy") for call in aws.calls(service="sts", action="AssumeRole")]
    assert all(policies), "each session is narrowed by a policy of its own"


def test_instances_that_run_already_are_in_the_first_report_from_their_launch_on(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    cloud = Cloud(aws, bucket, account)
    cloud.run("2024-02-10T10:00:00Z", count=3, told=False)
    stopped = cloud.run("2024-02-11T10:00:00Z", told=False)
    cloud.stop(stopped, "2024-03-05T12:00:00Z", told=False)
    program.configure(bucket).start()
    program.enroll(aws, account)
    becomes("the instances that ran already", lambda: program.runs(account), cloud.truth)
    assert program.used(account, START, END) == seconds_by_instance(cloud.truth, START, END)


def test_an_account_with_more_instances_than_a_page_is_described_whole(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket).start()
    ids = sorted(i for _ in range(3) for i in aws.run(account, count=40))
    ids += [i for _ in range(120) for i in aws.run(account, OTHER_REGION)]
    program.enroll(aws, account)
    until("all instances", lambda: sorted(program.runs(account)) == sorted(ids))


def test_events_of_an_account_that_nobody_registered_are_kept_as_from_a_plain_ingest(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    fleet = Fleet.make(3, [account])
    program.configure(bucket).start()
    for key, body in fleet.files.items():
        bucket.put(key, body)
    bucket.drained()
    becomes("the tables to follow", lambda: program.runs(account), fleet.runs())
    assert aws.calls(service="sts", action="AssumeRole") == []
    assert program.listed() == []


def test_a_deleted_account_is_shown_no_more_but_what_it_used_before_stays(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket, accounts={"reconcile_every": "2s"}).start()
    program.enroll(aws, account)
    cloud = Cloud(aws, bucket, account)
    ran = cloud.run("2024-03-01T10:00:00Z")
    becomes("the run", lambda: program.runs(account), cloud.truth)
    before = program.used(account, START, END)
    program.accounts("delete", account)
    assert program.listed() == []
    assert aws.client("cloudtrail", account).describe_trails()["trailList"] == [], "the trail that we made is removed"
    other = new_account()
    program.enroll(aws, other)
    aws.admin("calls", method="DELETE")
    cloud.stop(ran, "2024-03-02T10:00:00Z")
    becomes("the late event of the deleted account", lambda: program.runs(account), cloud.truth)
    until("the other account to be looked at again", lambda: len(aws.calls(account=other, action="DescribeInstances")) > 4)
    assert aws.calls(account=account, service="ec2", action="DescribeInstances")[1:] == [], "only the test's own call"
    assert before != program.used(account, START, END) == seconds_by_instance(cloud.truth, START, END)
    again = program.enroll(aws, account)
    assert again["state"] == "enabled"


def away(program: Program, aws: Aws, account: str, cloud: Cloud, leave: str, come_back: str) -> None:
    """Takes an account away and back, with events before, meanwhile and after; holds what the report says against what it must."""
    now = int(time.time())
    early = cloud.run(trail.stamp(now - 7200))
    becomes("the first run", lambda: program.runs(account), cloud.truth)
    program.accounts(leave, account)
    gone = program.account(account)
    assert gone["state"] == {"pause": "paused", "disable": "disabled"}[leave] and "until" not in gone["unmetered"][-1]
    since = trail.seconds(gone["unmetered"][-1]["from"])
    until("a moment to pass", lambda: time.time() > since + 3)
    cloud.deliver(trail.run(account, cloud.region, since + 1, ["i-00000000000000001"], "m5.large", "ami-1"))
    cloud.deliver(trail.run(account, cloud.region, since + 1, ["i-00000000000000002"], "m5.large", "ami-1"))
    cloud.deliver(trail.change("TerminateInstances", account, cloud.region, since + 2, ["i-00000000000000002"]))
    until("the events of meanwhile in the log", lambda: len(program.runs(account)) == 3)
    now = int(time.time())
    until("a second to pass", lambda: time.time() > now + 1)
    assert "i-00000000000000001" not in program.used(account, trail.stamp(since - 7200), trail.stamp(since + 2)), "nothing is metered meanwhile"
    program.accounts(come_back, account)
    back = program.account(account)
    assert back["state"] == "enabled"
    resumed = trail.seconds(back["unmetered"][-1]["until"])
    end = resumed + 2
    until("a moment to pass", lambda: time.time() > end + 1)
    used = program.used(account, trail.stamp(since - 7200), trail.stamp(end))
    launched = trail.seconds(cloud.truth[early[0]][0][0])
    assert used == {early[0]: since - max(launched, since - 7200) + 2, "i-00000000000000001": 2}


def test_a_paused_account_is_not_metered_meanwhile_and_all_that_happened_is_known(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    program.configure(bucket).start()
    program.enroll(aws, account)
    away(program, aws, account, Cloud(aws, bucket, account), "pause", "resume")


def test_a_disabled_account_is_not_metered_meanwhile_and_all_that_happened_is_known(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    program.configure(bucket).start()
    program.enroll(aws, account)
    away(program, aws, account, Cloud(aws, bucket, account), "disable", "enable")


def test_nothing_is_called_in_a_paused_or_disabled_account(aws: Aws, bucket: TrailBucket, program: Program) -> None:
    program.configure(bucket, accounts={"reconcile_every": "1s"}).start()
    paused, disabled, other = new_account(), new_account(), new_account()
    for account in (paused, disabled, other):
        program.enroll(aws, account)
    program.accounts("pause", paused)
    program.accounts("disable", disabled)

    def looked(rounds: int) -> None:
        aws.admin("calls", method="DELETE")
        until("the other account to be looked at", lambda: len(aws.calls(account=other, action="DescribeInstances")) >= rounds)

    # Who disabled it has the trail removed, and who collects does, when it learns of it.
    until("the trail to be removed for both", lambda: len(aws.calls(account=disabled, action="DeleteTrail")) > 1)
    becomes("the accounts that are collected from", lambda: program.metric_by("cloudigrade_accounts", "state")["active"], 1)
    looked(3)  # what was under way ends
    looked(6)
    calls = aws.calls(account=paused) + aws.calls(account=disabled)
    assert [call["action"] for call in calls] == []
    assert not [c for c in aws.calls(action="AssumeRole") if paused in c["params"]["RoleArn"] or disabled in c["params"]["RoleArn"]]


def test_sessions_are_renewed_before_they_end(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket, accounts={"reconcile_every": "1s"}).start()
    program.enroll(aws, account, session_seconds=15)
    until("a third session", lambda: len(aws.calls(action="AssumeRole")) >= 3)
    assert [call for call in aws.calls(account=account) if call["status"] >= 400 and call["action"] not in ("CopyImage",) and call["params"].get("DryRun") != "true"] == []
    assert program.account(account)["problems"] == []
