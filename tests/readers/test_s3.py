"""Logs and tables in a bucket, on an emulator of S3."""

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import cloudigrade
import pytest
from botocore.config import Config
from stores import say_what_local_ones_say

REGION = "us-east-1"


@pytest.fixture(scope="module")
def environment(aws: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION, "AWS_ENDPOINT_URL": aws}


@pytest.fixture(scope="module")
def client(aws: str) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("s3", endpoint_url=aws, region_name=REGION, config=Config(s3={"addressing_style": "path"}), **keys)


@pytest.fixture(scope="module")
def bucket(client: Any, logs: Path) -> str:
    """A bucket with the fleet's logs."""
    name = f"logs-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    for file in sorted((logs / "logs").rglob("*.json.gz")):
        client.put_object(Bucket=name, Key=str(file.relative_to(logs / "logs")), Body=file.read_bytes())
    client.put_object(Bucket=name, Key="AWSLogs/readme.txt", Body=b"not a log")
    return name


def summary(*args: object, env: dict[str, str], expect: int = 0) -> dict[str, Any]:
    return json.loads(cloudigrade.run("ingest", *args, "--format", "json", env=env, expect=expect).stdout)[0]


def objects(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="AWSLogs/")
    return [found["Key"] for page in pages for found in page["Contents"] if found["Key"].endswith(".json.gz")]


def test_a_bucket_gives_what_a_folder_gives_and_is_read_once(
    logs: Path, bucket: str, client: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    endpoint = environment["AWS_ENDPOINT_URL"]
    without = {name: value for name, value in environment.items() if name != "AWS_ENDPOINT_URL"}
    first = summary(f"s3://{bucket}/AWSLogs", "--endpoint-url", endpoint, "--data", tmp_path, env=without)
    assert first["files"] == len(objects(client, bucket)) > 900, "more than one page of a listing is wanted"
    assert cloudigrade.digest(tmp_path) == cloudigrade.digest(logs / "data")
    again = summary(f"s3://{bucket}/AWSLogs", "--endpoint-url", endpoint, "--data", tmp_path, env=without)
    assert (again["files"], again["files_known"], again["bytes"]) == (0, first["files"], 0)


def test_one_object_can_be_named(bucket: str, client: Any, environment: dict[str, str], tmp_path: Path) -> None:
    key = objects(client, bucket)[0]
    assert summary(f"s3://{bucket}/{key}", "--data", tmp_path, env=environment)["files"] == 1
    source = f"SELECT count(*) AS n FROM power_events WHERE NOT starts_with(source, 's3://{bucket}/AWSLogs/')"
    assert cloudigrade.rows("sql", source, "--data", tmp_path) == [{"n": 0}]


def test_an_object_that_changed_or_was_damaged_is_read_again_and_no_other(
    client: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    name = f"changing-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="changed.json", Body=b'{"Records":[]}')
    client.put_object(Bucket=name, Key="same.json", Body=b'{"Records":[]}')
    client.put_object(Bucket=name, Key="torn.json.gz", Body=b"\x1f\x8b\x08 torn")
    assert summary(f"s3://{name}", "--data", tmp_path, env=environment, expect=4)["files"] == 3
    assert [row["source"] for row in cloudigrade.rows("dead-letters", "list", "--data", tmp_path)] == [f"s3://{name}/torn.json.gz"]
    client.put_object(Bucket=name, Key="changed.json", Body=b'{"Records": []}')
    again = summary(f"s3://{name}", "--data", tmp_path, env=environment, expect=4)
    assert (again["files"], again["files_known"], again["dead_letters"]) == (2, 1, 1)
    client.put_object(Bucket=name, Key="torn.json.gz", Body=gzip.compress(b'{"Records":[]}'))
    mended = summary(f"s3://{name}", "--data", tmp_path, env=environment)
    assert (mended["files"], mended["files_known"]) == (1, 2)


def test_a_missing_bucket_is_named_with_what_to_check(environment: dict[str, str], tmp_path: Path) -> None:
    message = cloudigrade.run("ingest", "s3://no-such-bucket/AWSLogs", "--data", tmp_path, env=environment, expect=6).stderr.decode()
    assert "no-such-bucket" in message and "check" in message and "s3:ListBucket" in message


def test_a_prefix_without_logs_is_said(bucket: str, environment: dict[str, str], tmp_path: Path) -> None:
    message = cloudigrade.run("ingest", f"s3://{bucket}/elsewhere", "--data", tmp_path, env=environment, expect=3).stderr.decode()
    assert "elsewhere" in message


def test_tables_in_a_bucket_say_what_local_ones_say(logs: Path, client: Any, environment: dict[str, str], tmp_path: Path) -> None:
    tables = f"s3://tables-{uuid.uuid4().hex}/some/prefix"
    client.create_bucket(Bucket=tables.split("/")[2])
    say_what_local_ones_say(tables, logs, tmp_path, environment)
    assert client.list_objects_v2(Bucket=tables.split("/")[2], Prefix="some/prefix/_probe")["KeyCount"] == 0
