"""Registering an account says what is wrong and how to mend it, and never what another tenant has."""

import json

import pytest
from aws import HUB, REGION, Aws, TrailBucket, until
from conftest import new_account
from program import Program


@pytest.fixture
def served(aws: Aws, bucket: TrailBucket, program: Program) -> Program:
    return program.configure(bucket).start()


def problems(account: dict) -> dict[str, dict]:
    return {problem["code"]: problem for problem in account["problems"]}


def test_an_account_is_registered_listed_renamed_and_deleted_with_and_without_a_server(
    aws: Aws, bucket: TrailBucket, program: Program, account: str
) -> None:
    program.configure(bucket)
    registered = program.enroll(aws, account, "--name", "production")
    assert (registered["account_id"], registered["name"], registered["state"]) == (account, "production", "enabled")
    program.start()
    assert [a["account_id"] for a in program.listed()] == [account]
    program.accounts("rename", account, "staging")
    assert program.account("staging")["account_id"] == account
    program.stop()
    assert program.account(account)["name"] == "staging"
    program.accounts("delete", account)
    assert program.listed() == []


def test_a_trail_is_made_that_writes_all_changes_in_all_regions_to_our_bucket(
    aws: Aws, served: Program, bucket: TrailBucket, account: str
) -> None:
    registered = served.enroll(aws, account)
    client = aws.client("cloudtrail", account)
    (trail,) = client.describe_trails()["trailList"]
    assert registered["trail"]["arn"] == trail["TrailARN"] and registered["trail"]["ours"]
    assert (trail["S3BucketName"], trail["IsMultiRegionTrail"], trail["IncludeGlobalServiceEvents"]) == (bucket.name, True, True)
    assert client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]
    (selector,) = client.get_event_selectors(TrailName=trail["TrailARN"])["EventSelectors"]
    assert (selector["ReadWriteType"], selector["IncludeManagementEvents"]) == ("WriteOnly", True)


def test_a_trail_of_an_organisation_is_taken_instead_of_one_of_ours(aws: Aws, served: Program, bucket: TrailBucket, account: str) -> None:
    made = aws.admin("organisation-trails", {"account": account, "owner": HUB, "region": REGION, "name": "everything", "bucket": bucket.name})
    registered = served.enroll(aws, account)
    assert registered["trail"] == {"arn": made["arn"], "bucket": bucket.name, "organization": True, "ours": False}
    assert aws.calls(action="CreateTrail", account=account) == []
    served.accounts("delete", account)
    assert aws.calls(action="DeleteTrail", account=account) == []


@pytest.mark.parametrize("arn", ["nonsense", "arn:aws:iam::12:role/x", "arn:aws:iam::111122223333:user/x", "arn:aws:s3:::bucket"])
def test_what_is_no_role_is_refused_with_what_to_give(served: Program, arn: str) -> None:
    said = served.accounts("register", arn, expect=1).stderr.decode()
    assert "role" in said and "as IAM shows it" in said


def test_a_role_that_is_not_there_is_told_with_what_to_check(aws: Aws, served: Program, account: str) -> None:
    aws.role(account, name="another")
    arn = f"arn:aws:iam::{account}:role/metering"
    registered = served.register(arn)
    problem = problems(registered)["assume_role_denied"]
    assert registered["state"] == "pending"
    assert arn in problem["detail"] and "external id" in problem["help"]


def test_a_role_with_another_external_id_is_told_and_verified_once_mended(aws: Aws, served: Program, account: str) -> None:
    arn = aws.role(account, external_id="something else")
    assert "assume_role_denied" in problems(served.register(arn))
    aws.role(account, external_id=served.external_id())
    mended = served.account("verify", account)
    assert (mended["state"], mended["problems"]) == ("enabled", [])


def test_all_missing_permissions_are_told_at_once(aws: Aws, served: Program, account: str) -> None:
    for service, action in (("ec2", "DescribeInstances"), ("ec2", "DescribeImages"), ("cloudtrail", "LookupEvents"), ("cloudtrail", "CreateTrail")):
        code = "UnauthorizedOperation" if service == "ec2" else "AccessDeniedException"
        aws.fault(service=service, action=action, account=account, code=code, status=403 if service == "ec2" else 400, count=None)
    registered = served.enroll(aws, account)
    told = [problem for problem in registered["problems"] if problem["code"] == "permission_missing"]
    text = json.dumps(told)
    for action in ("ec2:DescribeInstances", "ec2:DescribeImages", "cloudtrail:LookupEvents"):
        assert action in text, text
    assert all("policy" in problem["help"] for problem in told)


def test_too_many_trails_are_told_with_what_to_do(aws: Aws, served: Program, account: str) -> None:
    aws.fault(service="cloudtrail", action="CreateTrail", account=account, code="MaximumNumberOfTrailsExceededException", status=400, count=None)
    registered = served.enroll(aws, account)
    assert problems(registered)["trail_quota"]["help"]


def test_a_bucket_that_trails_may_not_write_to_is_told_with_its_name(aws: Aws, served: Program, bucket: TrailBucket, account: str) -> None:
    aws.fault(service="cloudtrail", action="CreateTrail", account=account, code="InsufficientS3BucketPolicyException", status=400, count=None)
    problem = problems(served.enroll(aws, account))["trail_bucket"]
    assert bucket.name in problem["detail"] + problem["help"]


def test_throttling_at_registration_is_waited_out(aws: Aws, served: Program, account: str) -> None:
    aws.fault(service="sts", action="AssumeRole", code="Throttling", status=400, count=2)
    aws.fault(service="ec2", action="DescribeRegions", account=account, code="RequestLimitExceeded", status=503, count=2)
    aws.fault(service="cloudtrail", action="DescribeTrails", account=account, code="ThrottlingException", status=400, count=2)
    assert served.enroll(aws, account)["state"] == "enabled"


def test_an_account_is_registered_once_a_tenant_and_names_are_unique(aws: Aws, served: Program, account: str) -> None:
    served.enroll(aws, account, "--name", "one")
    arn = aws.role(account, served.external_id(), name="second")
    assert "registered" in served.accounts("register", arn, expect=1).stderr.decode()
    other = new_account()
    arn = aws.role(other, served.external_id())
    assert "one" in served.accounts("register", arn, "--name", "one", expect=1).stderr.decode()
    assert [a["account_id"] for a in served.listed()] == [account]


def test_what_another_tenant_has_is_never_told(aws: Aws, served: Program, account: str) -> None:
    arn = aws.role(account, served.external_id("theirs"))
    served.register(arn, "--tenant", "theirs", "--name", "secret-name")
    nobody = new_account()
    unknown = aws.role(nobody, external_id="of somebody else")
    assert served.external_id("ours") != served.external_id("theirs")

    def told(tried: str, of: str) -> str:
        registered = served.register(tried, "--tenant", "ours")
        return json.dumps(registered["problems"]).replace(of, "ACCOUNT"), registered["state"]

    assert told(arn, account) == told(unknown, nobody), "an account of another tenant looks like one of nobody"
    assert {a["account_id"] for a in served.listed("--tenant", "ours")} == {account, nobody}
    served.account("delete", account, "--tenant", "ours")
    assert [a["name"] for a in served.listed("--tenant", "theirs")] == ["secret-name"]

    def refused(*args: str) -> str:
        done = served.accounts(*args, "--tenant", "ours", expect=1)
        return (done.stdout + done.stderr).decode()

    for command in ("show", "pause", "disable", "delete", "verify"):
        theirs, nobodys = refused(command, account), refused(command, "999988887777")
        assert theirs.replace(account, "X") == nobodys.replace("999988887777", "X")
        assert "secret-name" not in theirs and "theirs" not in theirs
    theirs = refused("show", "secret-name")
    assert theirs.replace("secret-name", "X") == refused("show", "no-name").replace("no-name", "X")


def test_the_external_id_is_in_no_log(aws: Aws, served: Program, account: str) -> None:
    served.enroll(aws, account)
    secret = served.external_id()
    until("a look at the account", lambda: aws.calls(account=account, action="DescribeInstances"))
    said = served.stop()
    assert secret not in said and "testing" not in said and "FQoGZX" not in said


@pytest.mark.parametrize("form", ["json", "cloudformation", "terraform"])
def test_the_policy_has_the_least_that_is_needed_in_each_form(aws: Aws, served: Program, form: str) -> None:
    text = served.accounts("policy", "--format", form).stdout.decode()
    for action in ("ec2:DescribeInstances", "ec2:DescribeImages", "ec2:DescribeRegions", "cloudtrail:LookupEvents", "cloudtrail:CreateTrail"):
        assert action in text
    for action in ("ec2:ModifySnapshotAttribute", "ec2:CopyImage", "ec2:RunInstances", '"ec2:*"', '"cloudtrail:*"', "iam:PassRole"):
        assert action not in text, f"{action} is for reading disks, or for nothing"
    with_disks = served.accounts("policy", "--format", form, "--with-disks").stdout.decode()
    assert "ec2:ModifySnapshotAttribute" in with_disks and "ec2:RunInstances" not in with_disks
    if form == "json":
        json.loads(text)


def test_an_account_that_two_tenants_have_keeps_its_trail_until_the_last_leaves(aws: Aws, served: Program, account: str) -> None:
    tenants = ("one", "two")
    arn = aws.role(account, [served.external_id(tenant) for tenant in tenants])
    for tenant in tenants:
        assert served.register(arn, "--tenant", tenant)["state"] == "enabled"
    trails = aws.client("cloudtrail", account)
    served.accounts("delete", account, "--tenant", "two")
    assert len(trails.describe_trails()["trailList"]) == 1
    served.accounts("delete", account, "--tenant", "one")
    assert trails.describe_trails()["trailList"] == []


def test_a_role_that_asks_for_no_external_id_is_a_problem(aws: Aws, served: Program, account: str) -> None:
    told = served.register(aws.role(account))
    assert (told["state"], [problem["code"] for problem in told["problems"]]) == ("pending", ["external_id_not_required"])
