"""The configuration is checked, the surroundings are examined, and what is found is said with what to do."""

import json
import re
from pathlib import Path

import pytest
from aws import HUB, Aws, TrailBucket, becomes, until
from cloud import Cloud
from program import Program


def test_a_sound_configuration_passes_and_a_wrong_key_is_named_with_the_nearest(bucket: TrailBucket, program: Program) -> None:
    program.configure(bucket)
    program.run("config", "check", "--config", program.config_file)
    program.configure(bucket, source__sqs={"visibility_timeuot": "30s"})
    said = program.run("config", "check", "--config", program.config_file, expect=2).stderr.decode()
    assert "visibility_timeuot" in said and "visibility_timeout" in said


def test_the_environment_goes_before_the_file(bucket: TrailBucket, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.configure(bucket)
    env = {"CLOUDIGRADE__SOURCE__SQS__WAIT_TIME": "99s"}
    import cloudigrade

    said = cloudigrade.run("config", "check", "--config", program.config_file, env={**program.env, **env}, expect=2).stderr.decode()
    assert "wait_time" in said and "99" in said


def test_the_doctor_finds_nothing_where_nothing_is_wrong(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket)
    program.enroll(aws, account)
    done = program.run("doctor", "--config", program.config_file)
    said = (done.stdout + done.stderr).decode()
    assert bucket.queue_name in said and bucket.name in said


def test_the_doctor_names_each_illness_with_its_cure(aws: Aws, bucket: TrailBucket, program: Program) -> None:
    program.configure(bucket)
    aws.client("sqs").delete_queue(QueueUrl=bucket.queue_url)
    aws.fault(service="s3", path=f"/{bucket.name}*", code="AccessDenied", status=403, message="Access Denied", count=None)
    done = program.run("doctor", "--config", program.config_file, expect=7)
    said = (done.stdout + done.stderr).decode()
    assert bucket.queue_name in said and bucket.name in said and "s3:" in said


def test_a_server_without_its_queue_says_so_and_recovers(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    aws.fault(service="sqs", action="ReceiveMessage", code="AccessDenied", status=403, message="no access", count=None)
    program.configure(bucket).start(ready=False)
    said = until("readiness to degrade", lambda: (answer := program.get("readyz"))[0] == 503 and answer[1])
    assert "sqs:ReceiveMessage" in said and bucket.queue_name in said
    cloud = Cloud(aws, bucket, account)
    cloud.run("2024-03-01T10:00:00Z")
    aws.admin("faults", method="DELETE")
    until("readiness", lambda: program.get("readyz")[0] == 200, 120)
    becomes("the run", lambda: program.runs(account), cloud.truth)


def test_a_second_server_on_the_same_data_is_refused(bucket: TrailBucket, program: Program, tmp_path: Path) -> None:
    program.configure(bucket).start()
    said = program.run("serve", "--config", program.config_file, expect=5).stderr.decode()
    assert str(program.data) in said
    program.assert_alive()


def test_metrics_tell_what_was_received_committed_and_failed(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    program.configure(bucket).start()
    cloud = Cloud(aws, bucket, account)
    cloud.run("2024-03-01T10:00:00Z", count=3)
    bucket.drained()
    becomes("the run", lambda: program.runs(account), cloud.truth)
    assert program.metric("cloudigrade_source_objects_total") >= 1
    until("the tables to be counted", lambda: program.metric("cloudigrade_table_messages_total") >= 1)
    until("the operators to be counted", lambda: program.metric("cloudigrade_op_counted_total") >= 1)
    text = program.get("metrics")[1]
    for name in ("cloudigrade_log_lag_records", "cloudigrade_source_delivery_lag_seconds", "cloudigrade_disk_free_bytes"):
        assert name in text
    for state in ("waiting", "in_hand"):
        assert re.search(rf'^cloudigrade_source_queue_messages{{state="{state}"}} \d+$', text, re.MULTILINE), "the queue could be asked"
    assert list(cloud.truth)[0] not in text and account not in text, "labels are bounded"


def test_log_lines_are_json_where_wanted(aws: Aws, bucket: TrailBucket, program: Program) -> None:
    aws.fault(service="sqs", action="ReceiveMessage", code="AccessDenied", status=403, message="no access", count=None)
    program.configure(bucket, log={"format": "json"}).start(ready=False)
    until("readiness to degrade", lambda: program.get("readyz")[0] == 503)
    lines = program.stop().splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert any("sqs:ReceiveMessage" in json.dumps(line) and line["level"] == "WARN" for line in told), lines
    assert [line for line in lines if not line.startswith(("{", "listening at ", "cloudigrade: stopping", "cloudigrade: there are no users", "stopped"))] == []


def test_it_works_as_the_role_that_is_configured(aws: Aws, bucket: TrailBucket, program: Program, account: str) -> None:
    role = aws.role(HUB, external_id="ours", name="worker")
    program.configure(bucket, aws__assume_role={"role_arn": role, "external_id": "ours"}).start()
    cloud = Cloud(aws, bucket, account)
    cloud.run("2024-03-01T10:00:00Z")
    bucket.drained()
    becomes("the run", lambda: program.runs(account), cloud.truth)
    assert role in {call["params"]["RoleArn"] for call in aws.calls(service="sts", action="AssumeRole")}


def test_how_far_the_history_of_an_account_is_read_is_shown(aws: Aws, program: Program, account: str) -> None:
    aws.fault(service="cloudtrail", action="LookupEvents", delay_ms=2000, count=None)
    program.configure().start()
    program.enroll(aws, account)
    shown = until("progress", lambda: (said := program.accounts("show", account).stderr.decode()) and "passes are done" in said and said)
    assert account in shown
