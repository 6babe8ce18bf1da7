"""Findings in a queue, on an emulator of SQS."""

import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import cloudigrade
import pytest

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture(scope="module")
def client(aws: str) -> Any:
    return boto3.client("sqs", endpoint_url=aws, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk with nothing on it but a table of partitions, and that is damaged."""
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * (1 << 20))
    return disk


def inspect(disk: Path, *args: object, expect: int = 0) -> tuple[str, str]:
    done = cloudigrade.run("--target", "ami-1", disk, *args, expect=expect, env=KEYS, binary=cloudigrade.SCANNER)
    return done.stdout.decode(), done.stderr.decode()


def test_a_report_goes_to_the_queue_instead_of_standard_output_and_is_the_same(client: Any, aws: str, disk: Path) -> None:
    url = client.create_queue(QueueName=f"results-{uuid.uuid4().hex}")["QueueUrl"]
    told, _ = inspect(disk, "--queue-url", url, "--endpoint-url", aws, "--region", REGION)
    assert told == ""
    messages = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"]) for message in messages] == [json.loads(inspect(disk)[0])]


def test_a_report_that_cannot_be_sent_is_written_and_the_exit_code_says_so(client: Any, aws: str, disk: Path) -> None:
    url = client.create_queue(QueueName=f"results-{uuid.uuid4().hex}")["QueueUrl"]
    client.delete_queue(QueueUrl=url)
    told, why = inspect(disk, "--queue-url", url, "--endpoint-url", aws, "--region", REGION, expect=1)
    assert json.loads(told) == json.loads(inspect(disk)[0])
    assert url in why
