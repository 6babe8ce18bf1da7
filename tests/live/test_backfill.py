"""A window of a bucket is read back, after it was said what that costs."""

import json
from typing import Any

import pytest
import trail
from aws import REGION, Aws, TrailBucket, becomes
from cloud import IMAGE, Cloud
from conftest import new_account
from digests import Notary
from program import Program

START = trail.seconds("2024-03-01T00:00:00Z")
STEP = 3 * 3600


@pytest.fixture
def cloud(aws: Aws, bucket: TrailBucket, account: str) -> Cloud:
    """Four days with eight files each, delivered on the hour, of which nobody is told."""
    bucket.notify(False)
    cloud = Cloud(aws, bucket, account)
    for number in range(4 * 8):
        delivered = START + number * STEP
        body = trail.packed([trail.run(account, REGION, delivered - 300, [f"i-{number:017x}"], "m5.large", IMAGE)])
        bucket.put(trail.key(account, REGION, delivered, body), body)
    return cloud


def runs(numbers: range) -> dict[str, list[tuple[str, None]]]:
    """What the files of these numbers tell."""
    return {f"i-{number:017x}": [(trail.stamp(START + number * STEP - 300), None)] for number in numbers}


def told(program: Program, *args: object, expect: int = 0) -> dict[str, Any]:
    return json.loads(program.run("backfill", *args, "--format", "json", expect=expect).stdout)[0]


def gets(cloud: Cloud) -> int:
    return len([call for call in cloud.aws.calls(service="s3", action="GetObject") if cloud.bucket.name in call["path"]])


WINDOW = ("--start", "2024-03-02", "--end", "2024-03-03")


@pytest.mark.parametrize("served", [True, False], ids=["while serving", "without a server"])
def test_a_dry_run_counts_what_then_is_read_and_the_window_is_half_open(program: Program, cloud: Cloud, served: bool) -> None:
    place = f"s3://{cloud.bucket.name}"
    program.configure()
    if served:
        program.start()
    dry = told(program, place, *WINDOW, "--dry-run")
    plan = dry["plan"]
    assert "done" not in dry and gets(cloud) == 0
    assert served or not program.data.exists(), "looking leaves no data folder behind"
    # The file of midnight belongs to the day that begins, and not to the one that ends.
    assert (plan["objects"], plan["known"], plan["to_read"], plan["work"]["gets"]) == (8, 0, 8, 8)
    assert plan["work"]["lists"] > 0 and plan["usd"]["total"] > 0 and "https://" in plan["prices_from"]
    done = told(program, place, *WINDOW, "--yes")["done"]
    assert (done["read"], done["read_bytes"], done["records"], done["failed"]) == (8, plan["bytes_to_read"], 8, 0)
    assert gets(cloud) == 8
    becomes("the runs of the window", lambda: program.runs(cloud.account), runs(range(8, 16)))
    wider = told(program, place, "--start", "2024-03-02", "--end", "2024-03-04", "--dry-run")["plan"]
    assert (wider["objects"], wider["known"], wider["to_read"]) == (16, 8, 8)
    again = told(program, place, *WINDOW, "--yes")
    assert "done" not in again and again["plan"]["to_read"] == 0 and gets(cloud) == 8


def test_nothing_is_read_without_consent(program: Program, cloud: Cloud) -> None:
    program.configure()
    said = program.run("backfill", f"s3://{cloud.bucket.name}", *WINDOW, expect=2)
    assert b"--yes" in said.stderr and b"S3 will charge" in said.stdout
    assert gets(cloud) == 0 and not program.data.exists()


def test_only_the_accounts_and_regions_that_are_wanted_are_listed_and_read(program: Program, cloud: Cloud) -> None:
    program.configure()
    other = Cloud(cloud.aws, cloud.bucket, new_account(), "eu-west-1")
    other.run("2024-03-02T10:00:00Z")
    place = f"s3://{cloud.bucket.name}"
    count = lambda *args: told(program, place, *WINDOW, "--dry-run", *args)["plan"]["objects"]  # noqa: E731
    assert (count(), count("--account", other.account), count("--region", "eu-west-1"), count("--region", REGION)) == (9, 1, 1, 8)
    assert told(program, place, *WINDOW, "--dry-run", "--account", cloud.account, "--region", "eu-west-1", expect=3)["plan"]["objects"] == 0


def test_digests_of_the_window_say_what_is_missing_and_others_are_not_read(program: Program, cloud: Cloud) -> None:
    program.configure()
    notary = Notary(cloud.bucket, cloud.account)
    lost = trail.key(cloud.account, REGION, trail.seconds("2024-03-02T10:05:00Z"), b"lost")
    for hour in range(7, 12):
        start = trail.seconds(f"2024-03-02T{hour:02}:00:00Z")
        notary.digest(start, {lost: trail.packed([])} if hour == 10 else {})
    done = told(program, f"s3://{cloud.bucket.name}", "--start", "2024-03-02T08:00:00Z", "--end", "2024-03-02T11:00:00Z", "--yes")["done"]
    # The log file of nine o'clock, and the digests of the hours from eight to eleven.
    assert done["read"] == 1 + 3
    (gap,) = [gap for gap in program.rows("gaps") if gap["account_id"] == cloud.account]
    assert gap["kind"] == "log_files_missing" and lost in json.dumps(gap)


def test_what_is_denied_is_told_and_read_by_the_next_run(program: Program, cloud: Cloud) -> None:
    program.configure()
    cloud.aws.fault(service="s3", action="GetObject", path=f"/{cloud.bucket.name}/*", code="AccessDenied", status=403, message="Access Denied", count=None)
    said = program.run("backfill", f"s3://{cloud.bucket.name}", *WINDOW, "--yes", expect=6)
    assert b"s3:GetObject" in said.stderr
    assert program.sql("SELECT * FROM dead_letters") == []
    cloud.aws.admin("faults", method="DELETE")
    assert told(program, f"s3://{cloud.bucket.name}", *WINDOW, "--yes")["done"]["read"] == 8
    assert program.runs(cloud.account) == runs(range(8, 16))


def test_poison_is_a_dead_letter_and_its_neighbours_count(program: Program, cloud: Cloud) -> None:
    program.configure()
    cloud.bucket.put(trail.key(cloud.account, REGION, trail.seconds("2024-03-02T10:00:00Z"), b""), b"poison")
    done = told(program, f"s3://{cloud.bucket.name}", *WINDOW, "--yes", expect=4)["done"]
    assert (done["read"], done["dead_letters"]) == (9, 1)
    assert program.runs(cloud.account) == runs(range(8, 16))
    assert len(program.rows("dead-letters", "list")) == 1


def test_a_bucket_that_cannot_be_listed_and_times_that_are_none_are_refused(program: Program, cloud: Cloud) -> None:
    program.configure()
    assert b"cannot be listed" in program.run("backfill", "s3://no-such-bucket-here", *WINDOW, "--dry-run", expect=6).stderr
    for args in (["--start", "soon"], ["--start", "2024-03-02", "--end", "2024-03-02"], ["--start", "2024-03-02", "--account", "12"]):
        program.run("backfill", f"s3://{cloud.bucket.name}", *args, "--dry-run", expect=2)
    assert b"ingest" in program.run("backfill", "/logs", *WINDOW, "--dry-run", expect=2).stderr
