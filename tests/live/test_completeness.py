"""What is missing is known, named and can be read."""

import json
import time

import pytest
import trail
from aws import REGION, Aws, TrailBucket, until
from cloud import IMAGE, Cloud
from digests import HOUR, Notary
from program import Program

START = trail.seconds("2024-03-01T10:00:00Z")
DELIVERY_SECONDS = 15 * 60


def hour(account: str, number: int) -> tuple[str, bytes, str]:
    """Key and content of the only log of an hour, and the instance that it tells of."""
    instance, at = f"i-{number:017x}", START + number * HOUR + 600
    body = trail.packed([trail.run(account, REGION, at, [instance], "m5.large", IMAGE)])
    return trail.key(account, REGION, at + 300, body), body, instance


@pytest.fixture
def served(bucket: TrailBucket, program: Program) -> Program:
    return program.configure(bucket, source={"missing_after": "1s"}).start()


def gaps(program: Program, account: str) -> list[dict]:
    return [gap for gap in program.rows("gaps") if gap["account_id"] == account]


def test_an_unbroken_chain_of_digests_says_how_far_the_data_reaches(served: Program, bucket: TrailBucket, account: str) -> None:
    notary = Notary(bucket, account)
    for number in range(4):
        key, body, _ = hour(account, number)
        bucket.put(key, body)
        notary.digest(START + number * HOUR, {key: body})
    bucket.drained()
    # A digest tells what was delivered in its time; what happened in its last minutes may still be delivered.
    wanted = trail.stamp(START + 4 * HOUR - DELIVERY_SECONDS)
    query = f"SELECT complete_through FROM coverage WHERE account_id = '{account}' AND region = '{REGION}'"
    until("the data to reach there", lambda: served.sql(query) == [{"complete_through": wanted}])
    assert gaps(served, account) == []


def test_a_log_that_a_digest_names_and_nobody_read_is_a_gap_until_it_is_read(aws: Aws, served: Program, bucket: TrailBucket, account: str) -> None:
    notary, logs = Notary(bucket, account), [hour(account, number) for number in range(3)]
    for number, (key, body, _) in enumerate(logs):
        bucket.notify(number != 1)
        bucket.put(key, body)
        bucket.notify(True)
        notary.digest(START + number * HOUR, {key: body})
    (gap,) = until("the gap", lambda: gaps(served, account))
    assert (gap["kind"], gap["region"]) == ("log_files_missing", REGION)
    assert gap["missing_objects"] == 1 and logs[1][0] in json.dumps(gap)
    assert served.sql(f"SELECT count(*) AS n FROM sys.gaps WHERE account_id = '{account}'") == [{"n": 1}]
    aws.admin("calls", method="DELETE")
    served.stop()
    served.run("ingest", "--missing")
    until("the gap to be closed", lambda: gaps(served, account) == [])
    read = [call["path"] for call in aws.calls(service="s3", action="GetObject")]
    assert read == [f"/{bucket.name}/{logs[1][0]}"], "exactly what is missing"
    assert sorted(served.runs(account)) == [instance for _, _, instance in logs]


def test_a_missing_digest_is_a_gap(served: Program, bucket: TrailBucket, account: str) -> None:
    notary = Notary(bucket, account)
    for number in range(4):
        key, body, _ = hour(account, number)
        bucket.put(key, body)
        notary.digest(START + number * HOUR, {key: body}, put=number != 2)
    (gap,) = until("the gap", lambda: gaps(served, account))
    assert gap["kind"] == "digest_missing"
    assert (gap["missing_from"], gap["missing_until"]) == (trail.stamp(START + 2 * HOUR), trail.stamp(START + 3 * HOUR))


def test_digests_in_any_order_and_twice_are_one_chain(served: Program, bucket: TrailBucket, account: str) -> None:
    bucket.unkind(duplicate=0.7, reorder=True, short=True, seed=2)
    notary = Notary(bucket, account)
    for number in range(8):
        key, body, _ = hour(account, number)
        bucket.put(key, body)
        notary.digest(START + number * HOUR, {key: body})
    bucket.drained()
    query = f"SELECT complete_through FROM coverage WHERE account_id = '{account}'"
    until("the data to reach there", lambda: served.sql(query) == [{"complete_through": trail.stamp(START + 8 * HOUR - DELIVERY_SECONDS)}])
    assert gaps(served, account) == []


def test_signatures_are_verified_and_a_changed_log_is_found(served: Program, bucket: TrailBucket, account: str) -> None:
    notary, logs = Notary(bucket, account), [hour(account, number) for number in range(3)]
    digests = []
    for number, (key, body, _) in enumerate(logs):
        bucket.put(key, body)
        digests.append(notary.digest(START + number * HOUR, {key: body}))
    bucket.drained()
    prefix = f"s3://{bucket.name}/AWSLogs/{account}/CloudTrail-Digest"
    served.run("verify", prefix)
    bucket.put(logs[1][0], hour(account, 7)[1])
    said = served.run("verify", prefix, expect=7)
    assert logs[1][0] in (said.stdout + said.stderr).decode()
    bucket.put(logs[1][0], logs[1][1])
    forged = bucket.aws.client("s3").get_object(Bucket=bucket.name, Key=digests[2])
    bucket.put(digests[2], forged["Body"].read(), Metadata={**forged["Metadata"], "signature": "00" * 256})
    said = served.run("verify", prefix, expect=7)
    assert digests[2] in (said.stdout + said.stderr).decode()


def test_a_region_of_an_account_that_is_not_heard_of_is_silent_until_it_speaks(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket, source={"silence_after": "2s"}).start()
    program.enroll(aws, account)
    (silence,) = until("the silence", lambda: [gap for gap in gaps(program, account) if gap["kind"] == "silence" and gap["region"] == REGION])
    assert silence["missing_until"] is None
    Cloud(aws, bucket, account).run(trail.stamp(int(time.time())))
    heard = [{"n": 1}]
    query = f"SELECT count(*) AS n FROM sys.gaps WHERE id = '{account}/{REGION}/silence/{silence['missing_from']}' AND closed_at IS NOT NULL"
    until("the silence to end", lambda: program.sql(query) == heard)
