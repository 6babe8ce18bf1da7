"""Each class of failure has its own consequence for the message and for the data."""

import gzip
import json

import pytest
import trail
from aws import REGION, Aws, TrailBucket, becomes, until
from cloud import IMAGE, Cloud
from program import Program

AT = "2024-03-01T10:00:00Z"
# As S3 answers them; the emulator has no keys and no policies of its own.
DENIED = {
    "denied": ("AccessDenied", 403, "Access Denied", "s3:GetObject"),
    "key denied": ("AccessDenied", 403, "User is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:1:key/k", "kms:Decrypt"),
    "key disabled": ("KMS.DisabledException", 400, "arn:aws:kms:us-east-1:1:key/k is disabled.", "KMS key"),
    "key unavailable": ("KMS.KeyUnavailableException", 500, "The request could not be completed.", "KMS key"),
    "no bucket": ("NoSuchBucket", 404, "The specified bucket does not exist", "bucket"),
    "expired": ("ExpiredToken", 400, "The provided token has expired.", "credentials"),
}
TRANSIENT = {
    "internal": {"code": "InternalError", "status": 500},
    "slow down": {"code": "SlowDown", "status": 503},
    "throttled": {"code": "RequestLimitExceeded", "status": 503},
    "cut": {"cut_after_bytes": 20},
    "no answer": {"lose_reply": True},
    "no connection": {"refuse": True},
    "truncated": {"truncate": 30},
}


@pytest.fixture
def cloud(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> Cloud:
    """A server whose queue is empty."""
    program.configure(bucket, source__sqs={"visibility_timeout": "10s", "max_receive_count": 3}).start()
    bucket.drained()
    return Cloud(aws, bucket, account)


def letters(program: Program) -> list[dict]:
    return program.sql("SELECT * FROM dead_letters ORDER BY source, record_index")


def retried(bucket: TrailBucket, what: str, seen: object) -> None:
    """Waits for something that comes only after the back-off, which is not waited for."""

    def look() -> object:
        bucket.show_hidden()
        return seen()  # type: ignore[operator]

    until(what, look)


def test_what_needs_nothing_done_is_deleted_and_is_no_dead_letter(program: Program, cloud: Cloud) -> None:
    bucket = cloud.bucket
    bucket.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket.name})
    bucket.send({"Records": []})
    removed = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete", "s3": {"bucket": {"name": bucket.name}, "object": {"key": "AWSLogs/x.json.gz"}}}
    bucket.send({"Records": [removed]})
    bucket.send("CloudTrail validation message.")
    day = f"{REGION}/2024/03/01"
    for kind in ("CloudTrail-Insight", "Config"):
        bucket.put(f"AWSLogs/{cloud.account}/{kind}/{day}/{cloud.account}_{kind}_{REGION}_20240301T1000Z_x.json.gz", b"not read")
    bucket.drained()
    assert letters(program) == []
    assert not [call for call in cloud.aws.calls(service="s3", action="GetObject") if "Insight" in call["path"] or "Config" in call["path"]]


@pytest.mark.parametrize("fault", TRANSIENT)
def test_what_passes_is_tried_again_and_is_no_dead_letter(program: Program, cloud: Cloud, fault: str) -> None:
    cloud.aws.fault(service="s3", action="GetObject", path=f"/{cloud.bucket.name}/*", count=6, **TRANSIENT[fault])
    cloud.run(AT)
    retried(cloud.bucket, "the run", lambda: program.runs(cloud.account) == cloud.truth)
    cloud.bucket.drained()
    assert letters(program) == []


@pytest.mark.parametrize("denial", DENIED)
def test_what_somebody_must_mend_never_loses_its_message_and_says_what_to_mend(program: Program, cloud: Cloud, denial: str) -> None:
    code, status, message, hint = DENIED[denial]
    record = trail.run(cloud.account, REGION, trail.seconds(AT), ["i-00000000000000009"], "m5.large", IMAGE)
    key = trail.key(cloud.account, REGION, trail.seconds(AT) + 300, trail.packed([record]))
    cloud.aws.fault(service="s3", action="GetObject", path=f"/{cloud.bucket.name}/{key}", code=code, status=status, message=message, count=None)
    cloud.deliver(record)
    status, said = until("readiness to degrade", lambda: (answer := program.get("readyz"))[0] == 503 and answer)
    assert hint in said and cloud.bucket.name in said, said
    for _ in range(4):
        asked = len(cloud.aws.calls(service="s3", action="GetObject"))
        retried(cloud.bucket, "another try", lambda asked=asked: len(cloud.aws.calls(service="s3", action="GetObject")) > asked)
    assert cloud.bucket.depth() == 1 and letters(program) == []
    assert program.get("healthz")[0] == 200
    cloud.run("2024-03-01T11:00:00Z")
    becomes("its neighbour", lambda: program.runs(cloud.account), cloud.truth)
    cloud.aws.admin("faults", method="DELETE")
    cloud.truth["i-00000000000000009"] = [(AT, None)]
    retried(cloud.bucket, "the run once mended", lambda: program.runs(cloud.account) == cloud.truth)
    cloud.bucket.drained()
    until("readiness", lambda: program.get("readyz")[0] == 200)


REDIRECT = {"code": "PermanentRedirect", "status": 301, "message": "Use the endpoint.", "headers": {"x-amz-bucket-region": "eu-west-1"}}


def test_a_bucket_in_another_region_is_followed_there_once(program: Program, cloud: Cloud) -> None:
    cloud.aws.fault(service="s3", action="GetObject", region=REGION, path=f"/{cloud.bucket.name}/*", count=None, **REDIRECT)
    cloud.run(AT)
    becomes("the run", lambda: program.runs(cloud.account), cloud.truth)
    cloud.bucket.drained()
    assert cloud.aws.calls(service="s3", action="GetObject")[-1]["region"] == "eu-west-1"


def test_a_bucket_that_is_in_no_region_that_it_names_is_told(program: Program, cloud: Cloud) -> None:
    cloud.aws.fault(service="s3", action="GetObject", path=f"/{cloud.bucket.name}/*", count=None, **REDIRECT)
    cloud.run(AT)
    status, said = until("readiness to degrade", lambda: (answer := program.get("readyz"))[0] == 503 and answer)
    assert "region" in said and cloud.bucket.depth() == 1 and letters(program) == []


def test_an_object_that_is_gone_is_a_dead_letter_after_its_last_receive(program: Program, cloud: Cloud) -> None:
    cloud.bucket.notify(False)
    gone = f"AWSLogs/{cloud.account}/CloudTrail/{REGION}/2024/03/01/{cloud.account}_CloudTrail_{REGION}_20240301T1000Z_gone.json.gz"
    cloud.bucket.send({"s3Bucket": cloud.bucket.name, "s3ObjectKey": [gone]})
    retried(cloud.bucket, "the dead letter", lambda: letters(program))
    cloud.bucket.drained()
    (letter,) = letters(program)
    assert letter["source"] == f"s3://{cloud.bucket.name}/{gone}"
    assert len(cloud.aws.calls(service="s3", action="GetObject")) >= 3


POISON = {
    "neither gzip nor JSON": b"\x00\x01 this is nothing",
    "torn gzip": trail.packed([trail.run("000000000001", REGION, 1_709_287_200, [f"i-{n:017x}" for n in range(40)], "m5.large", IMAGE)])[:200],
    "torn JSON": b'{"Records":[{"eventVersion":"1.08","eventName":"RunInstances"',
    "other JSON": gzip.compress(b'{"hello": 1}'),
}


@pytest.mark.parametrize("poison", POISON)
def test_poison_is_a_dead_letter_first_then_its_message_is_deleted_and_neighbours_live(program: Program, cloud: Cloud, poison: str) -> None:
    for action in ("DeleteMessageBatch", "DeleteMessage"):
        cloud.aws.fault(service="sqs", action=action, code="InternalError", status=500, count=None)
    key = f"AWSLogs/{cloud.account}/CloudTrail/{REGION}/2024/03/01/{cloud.account}_CloudTrail_{REGION}_20240301T1000Z_poison.json.gz"
    cloud.bucket.put(key, POISON[poison])
    retried(cloud.bucket, "the dead letter", lambda: letters(program))
    assert cloud.bucket.depth() == 1, "the dead letter is durable while the message is still there"
    program.kill()
    cloud.aws.admin("faults", method="DELETE")
    program.start()
    retried(cloud.bucket, "the message to be deleted", lambda: cloud.bucket.depth() == 0)
    (letter,) = letters(program)
    assert letter["source"] == f"s3://{cloud.bucket.name}/{key}" and letter["reason"]
    cloud.run(AT)
    becomes("a good neighbour", lambda: program.runs(cloud.account), cloud.truth)


def test_a_bad_record_is_a_dead_letter_and_the_rest_of_its_file_counts(program: Program, cloud: Cloud) -> None:
    good = trail.run(cloud.account, REGION, trail.seconds(AT), ["i-00000000000000009"], "m5.large", IMAGE)
    bad = {**trail.change("StopInstances", cloud.account, REGION, trail.seconds(AT) + 60, ["i-00000000000000009"]), "eventTime": "yesterday"}
    body = trail.packed([good, bad])
    cloud.bucket.put(trail.key(cloud.account, REGION, trail.seconds(AT), body), body)
    becomes("the good record", lambda: program.runs(cloud.account), {"i-00000000000000009": [(AT, None)]})
    cloud.bucket.drained()
    (letter,) = until("the bad record", lambda: letters(program))
    assert letter["record_index"] == 1


def test_a_message_may_only_name_the_buckets_that_are_allowed(aws: Aws, program: Program, cloud: Cloud) -> None:
    other = TrailBucket.make(aws)
    body = trail.packed([trail.run(cloud.account, REGION, trail.seconds(AT), ["i-00000000000000009"], "m5.large", IMAGE)])
    key = trail.key(cloud.account, REGION, trail.seconds(AT), body)
    other.put(key, body)
    cloud.bucket.send({"s3Bucket": other.name, "s3ObjectKey": [key]})
    retried(cloud.bucket, "the message to be told of", lambda: letters(program) or program.get("readyz")[0] == 503)
    assert program.runs(cloud.account) == {} and not [c for c in aws.calls(service="s3", action="GetObject") if other.name in c["path"]]


def test_a_bucket_of_another_owner_is_not_read(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket, source__sqs={"expected_bucket_owner": "999999999999"}).start(ready=False)
    Cloud(aws, bucket, account).run(AT)
    status, said = until("readiness to degrade", lambda: (answer := program.get("readyz"))[0] == 503 and answer)
    assert "owner" in said and program.runs(account) == {}
    assert bucket.depth() >= 1


def mended(program: Program, cloud: Cloud) -> str:
    """A dead letter whose object is mended without the queue being told. Gives its id."""
    record = trail.run(cloud.account, REGION, trail.seconds(AT), ["i-00000000000000009"], "m5.large", IMAGE)
    key = trail.key(cloud.account, REGION, trail.seconds(AT), b"")
    cloud.bucket.put(key, b"poison")
    retried(cloud.bucket, "the dead letter", lambda: letters(program))
    cloud.bucket.drained()
    cloud.bucket.notify(False)
    cloud.bucket.put(key, trail.packed([record]))
    return letters(program)[0]["id"]


@pytest.mark.parametrize("served", [True, False], ids=["while serving", "without a server"])
def test_a_dead_letter_is_replayed_by_reading_the_object_again(program: Program, cloud: Cloud, served: bool) -> None:
    letter = mended(program, cloud)
    if not served:
        program.stop()
    program.run("dead-letters", "replay", letter)
    becomes("the run", lambda: program.runs(cloud.account), {"i-00000000000000009": [(AT, None)]})
    until("no dead letter", lambda: program.rows("dead-letters", "list") == [])


def test_a_dead_letter_that_is_still_poison_stays(program: Program, cloud: Cloud) -> None:
    cloud.bucket.put(f"AWSLogs/{cloud.account}/CloudTrail/{REGION}/2024/03/01/x_poison.json.gz", b"poison")
    retried(cloud.bucket, "the dead letter", lambda: letters(program))
    program.run("dead-letters", "replay", letters(program)[0]["id"], expect=4)
    assert len(letters(program)) == 1


def test_a_dead_letter_that_is_dropped_is_gone_and_stays_gone(program: Program, cloud: Cloud) -> None:
    letter = mended(program, cloud)
    program.run("dead-letters", "drop", letter)
    until("no dead letter", lambda: program.rows("dead-letters", "list") == [])
    program.stop()
    program.run("tables", "rebuild")
    assert program.rows("dead-letters", "list") == [] and program.runs(cloud.account) == {}


FORMS = ["s3 through sns", "eventbridge", "eventbridge through sns", "cloudtrail", "cloudtrail through sns", "s3 with a version", "s3 encoded"]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_notification_leads_to_the_object(program: Program, cloud: Cloud, form: str) -> None:
    bucket, body = cloud.bucket, trail.packed([trail.run(cloud.account, REGION, trail.seconds(AT), ["i-00000000000000009"], "m5.large", IMAGE)])
    bucket.notify(False)
    key, more = trail.key(cloud.account, REGION, trail.seconds(AT), body), {}
    if form == "s3 encoded":
        key = f"a b+c=é/{key}"  # trails can have a prefix
    if form == "s3 with a version":
        bucket.aws.client("s3").put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
        more["versionId"] = bucket.aws.client("s3").put_object(Bucket=bucket.name, Key=key, Body=body)["VersionId"]
        bucket.put(key, b"a later version that is poison")
    else:
        bucket.put(key, body)
    from urllib.parse import quote

    encoded = quote(key, safe="/").replace("%20", "+")
    s3 = {"s3SchemaVersion": "1.0", "bucket": {"name": bucket.name}, "object": {"key": encoded, "size": len(body), "sequencer": "00", **more}}
    message = {
        "s3": {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": REGION, "eventTime": "2024-03-01T10:05:00.000Z", "eventName": "ObjectCreated:Put", "s3": s3}]},
        "eventbridge": {"version": "0", "detail-type": "Object Created", "source": "aws.s3", "region": REGION, "time": "2024-03-01T10:05:00Z", "detail": {"bucket": {"name": bucket.name}, "object": {"key": key, "size": len(body)}}},
        "cloudtrail": {"s3Bucket": bucket.name, "s3ObjectKey": [key]},
    }[form.split()[0]]
    if form.endswith("sns"):
        message = {"Type": "Notification", "MessageId": "m", "TopicArn": f"arn:aws:sns:{REGION}:1:t", "Message": json.dumps(message), "Timestamp": "2024-03-01T10:05:00.000Z"}
    bucket.send(message)
    becomes("the run", lambda: program.runs(cloud.account), {"i-00000000000000009": [(AT, None)]})
    bucket.drained()
    assert letters(program) == []
