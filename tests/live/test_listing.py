"""Collecting without a queue: buckets and folders that are listed."""

import json
import os
import time
from pathlib import Path

import pytest
import trail
from aws import REGION, Aws, TrailBucket, becomes, until
from cloud import IMAGE, Cloud
from program import Program

DAY = 86_400


@pytest.fixture
def cloud(aws: Aws, bucket: TrailBucket, account: str) -> Cloud:
    """A bucket that tells nobody of new objects."""
    bucket.notify(False)
    return Cloud(aws, bucket, account)


def listing(program: Program, *places: str, **more: object) -> Program:
    """A program that lists places every second."""
    return program.configure(source={"kind": "list"}, source__list={"places": list(places), "interval": "1s", **more})


def hour_of(days_ago: int) -> str:
    """An hour of a day before today."""
    return trail.stamp((int(time.time()) // DAY - days_ago) * DAY + 10 * 3600)


def gets(aws: Aws, bucket: TrailBucket) -> list[str]:
    return [call["path"] for call in aws.calls(service="s3", action="GetObject") if bucket.name in call["path"]]


def letters(program: Program) -> list[dict]:
    return program.sql("SELECT * FROM dead_letters ORDER BY source, record_index")


def test_what_is_there_and_what_comes_later_is_found_and_a_late_file_of_an_old_day_too(program: Program, cloud: Cloud) -> None:
    cloud.run("2024-03-01T10:00:00Z")
    listing(program, f"s3://{cloud.bucket.name}").start()
    becomes("what was there", lambda: program.runs(cloud.account), cloud.truth)
    cloud.run(hour_of(0))
    becomes("what is of today", lambda: program.runs(cloud.account), cloud.truth)
    cloud.run(hour_of(2))
    becomes("what came late for a day before", lambda: program.runs(cloud.account), cloud.truth)
    objects = gets(cloud.aws, cloud.bucket)
    assert len(objects) == len(set(objects)) == 3, objects
    assert program.metric("cloudigrade_list_requests_total") > 0
    assert program.metric("cloudigrade_source_delivery_lag_seconds_count") == 3


def test_what_comes_for_a_day_long_ago_the_full_listing_finds(program: Program, cloud: Cloud) -> None:
    listing(program, f"s3://{cloud.bucket.name}", full_every="3s").start()
    until("a first full listing", lambda: program.metric("cloudigrade_list_completed_seconds") > 0)
    cloud.run("2024-03-01T10:00:00Z")
    becomes("the run", lambda: program.runs(cloud.account), cloud.truth)


def test_what_was_delivered_before_a_time_is_not_read(program: Program, cloud: Cloud) -> None:
    cloud.run("2024-02-29T10:00:00Z")
    cloud.truth.clear()
    cloud.run("2024-03-01T10:00:00Z")
    listing(program, f"s3://{cloud.bucket.name}", since="2024-03-01T00:00:00Z").start()
    becomes("the later run", lambda: program.runs(cloud.account), cloud.truth)
    assert len(gets(cloud.aws, cloud.bucket)) == 1


def test_kills_while_it_lists_lose_and_double_nothing(program: Program, cloud: Cloud) -> None:
    listing(program, f"s3://{cloud.bucket.name}")
    for number in range(60):
        at = trail.seconds("2024-03-01T00:00:00Z") + number * 600
        cloud.deliver(trail.run(cloud.account, REGION, at, [f"i-{number:017x}"], "m5.large", IMAGE))
        cloud.truth[f"i-{number:017x}"] = [(trail.stamp(at), None)]
    for kill in range(3):
        program.start(ready=False)
        at_least = min(60, 15 * (kill + 1))
        until("some are read", lambda at_least=at_least: len(set(gets(cloud.aws, cloud.bucket))) >= at_least)
        program.kill()
    program.start()
    becomes("all runs", lambda: program.runs(cloud.account), cloud.truth)
    events = f"SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM power_events WHERE account_id = '{cloud.account}'"
    assert program.sql(events) == [{"n": 60, "d": 60}]
    assert letters(program) == []


@pytest.mark.parametrize("action", ["all", "GetObject"])
def test_a_denied_bucket_degrades_readiness_until_it_is_allowed(program: Program, cloud: Cloud, action: str) -> None:
    cloud.run("2024-03-01T10:00:00Z")
    what = {"action": "GetObject"} if action == "GetObject" else {}
    cloud.aws.fault(service="s3", path=f"/{cloud.bucket.name}*", code="AccessDenied", status=403, message="Access Denied", count=None, **what)
    listing(program, f"s3://{cloud.bucket.name}", full_every="2s").start(ready=False)
    _, said = until("readiness to degrade", lambda: (answer := program.get("readyz"))[0] == 503 and answer)
    assert cloud.bucket.name in said and "s3:" in said, said
    assert letters(program) == [] and program.runs(cloud.account) == {}
    cloud.aws.admin("faults", method="DELETE")
    becomes("the run once allowed", lambda: program.runs(cloud.account), cloud.truth, 150)
    until("readiness", lambda: program.get("readyz")[0] == 200, 150)
    assert letters(program) == []


def test_poison_is_one_dead_letter_and_can_be_replayed(program: Program, cloud: Cloud) -> None:
    record = trail.run(cloud.account, REGION, trail.seconds("2024-03-01T10:00:00Z"), ["i-00000000000000009"], "m5.large", IMAGE)
    key = trail.key(cloud.account, REGION, trail.seconds(hour_of(0)), b"")
    cloud.bucket.put(key, b"poison")
    listing(program, f"s3://{cloud.bucket.name}").start()
    (letter,) = until("the dead letter", lambda: letters(program))
    assert letter["source"] == f"s3://{cloud.bucket.name}/{key}"
    asked = len(gets(cloud.aws, cloud.bucket))
    requests = program.metric("cloudigrade_list_requests_total")
    until("more listings", lambda: program.metric("cloudigrade_list_requests_total") > requests + 10)
    assert len(gets(cloud.aws, cloud.bucket)) == asked
    cloud.bucket.put(key, trail.packed([record]))
    becomes("the run", lambda: program.runs(cloud.account), {"i-00000000000000009": [("2024-03-01T10:00:00Z", None)]})
    program.run("dead-letters", "replay", letter["id"])


def test_a_folder_is_listed_too(program: Program, account: str, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (logs / "deep").mkdir(parents=True)
    listing(program, str(logs)).start()
    body = trail.packed([trail.run(account, REGION, trail.seconds("2024-03-01T10:00:00Z"), ["i-00000000000000001"], "m5.large", IMAGE)])
    file = logs / "deep" / "any.json.gz"
    file.write_bytes(body)
    becomes("the run", lambda: program.runs(account), {"i-00000000000000001": [("2024-03-01T10:00:00Z", None)]})
    program.stop()
    # What was read there is known to `ingest`.
    (summary,) = json.loads(program.run("ingest", logs, "--format", "json").stdout)
    assert (summary["files"], summary["files_known"]) == (0, 1)
    assert os.path.exists(file)


def test_doctor_and_config_check_know_what_is_listed(program: Program, cloud: Cloud) -> None:
    cloud.run("2024-03-01T10:00:00Z")
    listing(program, f"s3://{cloud.bucket.name}", "/nowhere")
    program.run("config", "check")
    found = {(row["check"], row["subject"]): row["verdict"] for row in json.loads(program.run("doctor", "--format", "json", expect=7).stdout)}
    assert found["bucket", cloud.bucket.name] == "ok" and found["folder", "/nowhere"] == "failure"
    program.configure(source={"kind": "list"})
    assert b"source.kind" in program.run("config", "check", expect=2).stderr
