"""The emulator and the proxy do what the tests of the live path ask of them. boto3 is the judge."""

import gzip
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from aws import HUB, OTHER_REGION, REGION, Aws, TrailBucket, end_with_parent, until
from botocore.exceptions import ClientError, FlexibleChecksumError, HTTPClientError
from conftest import new_account
from proxy import FaultProxy

# Service -> a call, and the fault's action.
CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ec2": ("DescribeInstances", lambda client: client.describe_instances()),
    "sts": ("GetCallerIdentity", lambda client: client.get_caller_identity()),
    "cloudtrail": ("DescribeTrails", lambda client: client.describe_trails()),
    "sqs": ("ListQueues", lambda client: client.list_queues()),
    "s3": ("ListBuckets", lambda client: client.list_buckets()),
}
RECORD = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("service", CALLS)
def test_an_injected_failure_is_read_as_its_code_and_ends_after_its_count(aws: Aws, service: str) -> None:
    action, call = CALLS[service]
    client = aws.client(service)
    aws.fault(service=service, action=action, code="AccessDenied", status=403, message="not <you>", count=1)
    with pytest.raises(ClientError, match="not <you>") as error:
        call(client)
    assert code_of(error) == ("AccessDenied", 403)
    call(client)
    assert [c["status"] for c in aws.calls(service=service, action=action)][-2:] == [403, 200]


@pytest.mark.parametrize("service", CALLS)
def test_the_proxy_fails_in_the_same_forms(aws: Aws, service: str) -> None:
    action, call = CALLS[service]
    with FaultProxy(aws.url) as proxy:
        client = Aws(proxy.url).client(service)
        proxy.faults.add({"service": service, "action": action, "code": "ThrottlingException", "status": 400})
        with pytest.raises(ClientError) as error:
            call(client)
        assert code_of(error) == ("ThrottlingException", 400)
        call(client)
        assert (proxy.harmed[f"{service}:{action}"], proxy.passed[f"{service}:{action}"]) == (1, 1)


@pytest.mark.parametrize("through_proxy", [False, True], ids=["emulator", "proxy"])
def test_bodies_are_cut_and_truncated_and_replies_lost(aws: Aws, bucket: TrailBucket, through_proxy: bool) -> None:
    body = bytes(range(256)) * 40
    bucket.put("AWSLogs/x", body)
    with FaultProxy(aws.url) as proxy:
        client = Aws(proxy.url if through_proxy else aws.url).client("s3")
        fault = (lambda **rule: proxy.faults.add(rule)) if through_proxy else aws.fault

        def get() -> bytes:
            return client.get_object(Bucket=bucket.name, Key="AWSLogs/x")["Body"].read()

        wanted = {"service": "s3", "action": "GetObject", "path": f"/{bucket.name}/AWSLogs/*"}
        assert get() == body
        fault(**wanted, cut_after_bytes=1000)
        with pytest.raises(HTTPClientError):
            get()
        fault(**wanted, lose_reply=True)
        with pytest.raises(HTTPClientError):
            get()
        fault(**wanted, refuse=True)
        with pytest.raises(HTTPClientError):
            get()
        fault(**wanted, delay_ms=1)
        assert get() == body
        aws.client("s3").put_object(Bucket=bucket.name, Key="AWSLogs/x", Body=gzip.compress(body))
        whole = len(get())
        fault(**wanted, truncate=100)
        with pytest.raises(FlexibleChecksumError):
            assert whole > 100 == len(get())


def test_a_lost_reply_is_of_a_call_that_was_done(aws: Aws, bucket: TrailBucket) -> None:
    with FaultProxy(aws.url) as proxy:
        proxy.faults.add({"service": "sqs", "action": "SendMessage", "lose_reply": True})
        before = bucket.depth()
        with pytest.raises(HTTPClientError):
            Aws(proxy.url).client("sqs").send_message(QueueUrl=bucket.queue_url, MessageBody="x")
        assert bucket.depth() == before + 1


@pytest.mark.parametrize("through_proxy", [False, True], ids=["emulator", "proxy"])
@pytest.mark.parametrize(("moment", "done"), [("refuse", 0), ("lose_reply", 1)])
def test_a_process_dies_before_a_call_is_done_or_after(aws: Aws, bucket: TrailBucket, through_proxy: bool, moment: str, done: int) -> None:
    process = subprocess.Popen(["sleep", "600"], preexec_fn=end_with_parent)
    with FaultProxy(aws.url) as proxy:
        fault = (lambda **rule: proxy.faults.add(rule)) if through_proxy else aws.fault
        before = bucket.depth()
        # Any queue, and the second of such calls.
        fault(service="sqs", action="SendMessage", params={"QueueUrl": None}, skip=1, kill=process.pid, **{moment: True})
        client = Aws(proxy.url if through_proxy else aws.url).client("sqs")
        client.send_message(QueueUrl=bucket.queue_url, MessageBody="x")
        assert process.poll() is None
        with pytest.raises(HTTPClientError):
            client.send_message(QueueUrl=bucket.queue_url, MessageBody="x")
        # It is dead before anybody sees the connection end.
        assert process.poll() == -signal.SIGKILL
        assert bucket.depth() == before + 1 + done


def test_the_dice_of_the_proxy_fall_alike_for_one_seed(aws: Aws) -> None:
    def told(seed: int) -> list[str]:
        with FaultProxy(aws.url, seed=seed, rate=0.5) as proxy:
            client, outcomes = Aws(proxy.url).client("sqs"), []
            for _ in range(40):
                try:
                    client.list_queues(QueueNamePrefix="none")
                    outcomes.append("done")
                except ClientError as error:
                    outcomes.append(error.response["Error"]["Code"])
                except HTTPClientError as error:
                    outcomes.append(type(error).__name__)
            return outcomes

    first = told(3)
    assert first == told(3) != told(4)
    assert len(set(first)) >= 4, first


def test_a_bucket_notifies_its_queue_and_accounts_are_apart(aws: Aws, bucket: TrailBucket) -> None:
    one, two = new_account(), new_account()
    ids = aws.run(one, count=2)
    described = aws.client("ec2", one).describe_instances()["Reservations"]
    assert [i["InstanceId"] for r in described for i in r["Instances"]] == ids
    assert aws.client("ec2", two).describe_instances()["Reservations"] == []
    bucket.put("AWSLogs/a b.json", b"{}")
    got = until("a notification", lambda: aws.client("sqs").receive_message(QueueUrl=bucket.queue_url, MaxNumberOfMessages=10).get("Messages"))
    bodies = [json.loads(message["Body"]) for message in got]
    assert any(body.get("Event") == "s3:TestEvent" for body in bodies)


def test_roles_ask_for_their_external_id_and_sessions_act_in_their_account_and_end(aws: Aws, account: str) -> None:
    arn, sts = aws.role(account, external_id="secret"), aws.client("sts")
    for given in ({}, {"ExternalId": "wrong"}):
        with pytest.raises(ClientError) as error:
            sts.assume_role(RoleArn=arn, RoleSessionName="test", **given)
        assert code_of(error) == ("AccessDenied", 403)
    with pytest.raises(ClientError):
        sts.assume_role(RoleArn=arn.replace("metering", "other"), RoleSessionName="test", ExternalId="secret")
    import boto3

    def assume() -> Any:
        assumed = sts.assume_role(RoleArn=arn, RoleSessionName="test", ExternalId="secret", Policy='{"Version":"2012-10-17"}')
        session = assumed["Credentials"]
        keys = {
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }
        return boto3.client("ec2", endpoint_url=aws.url, region_name=REGION, **keys)

    assume().describe_instances()
    assert [call["account"] for call in aws.calls(service="ec2", action="DescribeInstances")] == [account]
    assert aws.calls(action="AssumeRole")[-1]["params"]["Policy"] == '{"Version":"2012-10-17"}'

    aws.role(account, external_id="secret", session_seconds=1)
    acting = assume()

    def expired() -> bool:
        try:
            acting.describe_instances()
        except ClientError as error:
            return error.response["Error"]["Code"] == "RequestExpired"
        return False

    until("the session to end", expired)


def test_dry_runs_succeed_unless_an_account_is_denied(aws: Aws, account: str) -> None:
    ec2 = aws.client("ec2", account)
    aws.fault(service="ec2", action="CopyImage", account=account, code="UnauthorizedOperation", status=403, count=None)
    wanted = {"Name": "copied", "SourceImageId": "ami-1", "SourceRegion": REGION, "DryRun": True}
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            ec2.copy_image(**wanted)
        assert code_of(error) == ("UnauthorizedOperation", 403)
    with pytest.raises(ClientError) as error:
        ec2.modify_snapshot_attribute(SnapshotId="snap-1", DryRun=True)
    assert code_of(error) == ("DryRunOperation", 412)


def test_instances_change_by_themselves_and_vanish(aws: Aws, account: str) -> None:
    (one, two), ec2 = aws.run(account, count=2), aws.client("ec2", account)
    aws.change_instance(account, one, state="stopped", reason="", launch_time="2024-03-01T10:00:00Z", usage_operation="RunInstances:0010")
    told = {i["InstanceId"]: i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]}
    assert (told[one]["State"]["Name"], told[one].get("StateTransitionReason", "")) == ("stopped", "")
    assert told[one]["LaunchTime"].isoformat() == "2024-03-01T10:00:00+00:00"
    assert told[one]["UsageOperation"] == "RunInstances:0010"
    aws.change_instance(account, two, vanish=True)
    assert [i["InstanceId"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]] == [one]


def test_images_have_their_billing_code_and_regions_are_few(aws: Aws, account: str) -> None:
    image = {"id": "ami-00000000000000001", "platform_details": "Red Hat Enterprise Linux", "usage_operation": "RunInstances:0010"}
    more = {"owner_id": "309956199498", "owner_alias": "amazon", "product_codes": ["marketplace:abc"], "tags": {"a": "b"}, "architecture": "arm64"}
    aws.admin("images", {"account": account, "region": OTHER_REGION, **image, **more})
    (told,) = aws.client("ec2", account, OTHER_REGION).describe_images(ImageIds=[image["id"]])["Images"]
    assert (told["PlatformDetails"], told["UsageOperation"]) == (image["platform_details"], image["usage_operation"])
    assert told["ProductCodes"] == [{"ProductCodeId": "abc", "ProductCodeType": "marketplace"}]
    assert (told["OwnerId"], told["Architecture"], told["Tags"]) == ("309956199498", "arm64", [{"Key": "a", "Value": "b"}])
    ec2 = aws.client("ec2", account)
    assert [r["RegionName"] for r in ec2.describe_regions()["Regions"]] == [REGION, OTHER_REGION]
    assert {r["RegionName"]: r["OptInStatus"] for r in ec2.describe_regions(AllRegions=True)["Regions"]}["me-south-1"] == "not-opted-in"


def test_events_are_looked_up_by_pages_by_name_within_times_and_at_a_rate(aws: Aws, account: str) -> None:
    now = int(time.time())
    records = [{**RECORD, "eventID": f"e{i:03}", "eventTime": stamp(now - 60 * i)} for i in range(120)]
    records += [{**RECORD, "eventName": "StopInstances", "eventID": "stop", "eventTime": stamp(now)}]
    records += [{**RECORD, "eventID": "old", "eventTime": stamp(now - 91 * 86400)}]
    aws.admin("lookup-events", {"account": account, "region": REGION, "records": records})
    client = aws.client("cloudtrail", account)
    attributes = {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "RunInstances"}]}
    pages = list(client.get_paginator("lookup_events").paginate(**attributes))
    assert [len(page["Events"]) for page in pages] == [50, 50, 20]
    assert [event["EventId"] for page in pages for event in page["Events"]] == [f"e{i:03}" for i in range(120)]
    assert json.loads(pages[0]["Events"][0]["CloudTrailEvent"]) == records[0]
    within = client.lookup_events(StartTime=now - 150, EndTime=now - 30, **attributes)["Events"]
    assert [event["EventId"] for event in within] == ["e001", "e002"]
    assert client.lookup_events(StartTime=now + 1)["Events"] == []
    aws.admin("lookup-rate", {"per_second": 2})
    with pytest.raises(ClientError) as error:
        for _ in range(5):
            client.lookup_events()
    assert code_of(error) == ("ThrottlingException", 400)


def stamp(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_an_organisations_trail_is_seen_by_a_member_and_a_trail_is_made_once(aws: Aws, bucket: TrailBucket, account: str) -> None:
    client = aws.client("cloudtrail", account)
    aws.admin("organisation-trails", {"account": account, "owner": HUB, "region": REGION, "name": "everything", "bucket": bucket.name})
    (trail,) = client.describe_trails()["trailList"]
    assert trail["IsOrganizationTrail"] and trail["IsMultiRegionTrail"] and trail["TrailARN"].split(":")[4] == HUB
    assert client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]
    client.create_trail(Name="ours", S3BucketName=bucket.name)
    with pytest.raises(ClientError) as error:
        client.create_trail(Name="ours", S3BucketName=bucket.name)
    assert code_of(error)[0] == "TrailAlreadyExistsException"
    client.delete_trail(Name=f"arn:aws:cloudtrail:{REGION}:{account}:trail/ours")
    assert [trail["Name"] for trail in client.describe_trails()["trailList"]] == ["everything"]


def test_an_unkind_queue_delivers_everything_some_of_it_twice_in_another_order(aws: Aws) -> None:
    sqs, bucket = aws.client("sqs"), TrailBucket.make(aws)
    bucket.unkind(duplicate=0.5, reorder=True, short=True, seed=1)
    sent = [f"m{i:02}" for i in range(40)]
    for body in sent:
        bucket.send(body)
    got: list[str] = []
    while messages := sqs.receive_message(QueueUrl=bucket.queue_url, MaxNumberOfMessages=10).get("Messages"):
        got += [message["Body"] for message in messages if message["Body"] in sent]
        entries = [{"Id": str(i), "ReceiptHandle": message["ReceiptHandle"]} for i, message in enumerate(messages)]
        assert not sqs.delete_message_batch(QueueUrl=bucket.queue_url, Entries=entries).get("Failed")
    assert sorted(set(got)) == sent and 45 < len(got) < 80
    assert [body for i, body in enumerate(got) if body not in got[:i]] != sent


def test_a_queue_loses_nothing_between_threads(aws: Aws) -> None:
    bucket, got = TrailBucket.make(aws), []
    sent = [f"m{i:03}" for i in range(200)]

    def take() -> None:
        sqs = Aws(aws.url).client("sqs")
        deadline = time.monotonic() + 60
        while len(got) < len(sent) and time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=bucket.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                sqs.delete_message(QueueUrl=bucket.queue_url, ReceiptHandle=message["ReceiptHandle"])
                if message["Body"].startswith("m"):
                    got.append(message["Body"])

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for body in sent:
        bucket.send(body)
    for taker in takers:
        taker.join(90)
    assert sorted(got) == sent


def test_a_bucket_of_another_owner_than_expected_is_refused(aws: Aws, bucket: TrailBucket) -> None:
    bucket.put("AWSLogs/x", b"{}")
    wanted = {"Bucket": bucket.name, "Key": "AWSLogs/x"}
    assert aws.client("s3").get_object(**wanted, ExpectedBucketOwner=HUB)["Body"].read() == b"{}"
    with pytest.raises(ClientError) as error:
        aws.client("s3").get_object(**wanted, ExpectedBucketOwner="999999999999")
    assert code_of(error) == ("AccessDenied", 403)


def test_a_rule_that_says_nothing_is_refused(aws: Aws) -> None:
    import urllib.error

    for rule in ({"service": "s3"}, {"codes": "x"}, {"kill": 1}, {"kill": 1, "refuse": True, "lose_reply": True}):
        with pytest.raises(urllib.error.HTTPError):
            aws.fault(**rule)
