"""What is made before the processes start is what their configuration names. The emulator is the composition's."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import boto3
import pytest
from botocore.config import Config
from conftest import DEPLOY
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """An emulator of AWS; it is the store as well."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def keys(services: dict[str, Any]) -> dict[str, str]:
    """The environment of the service."""
    return services["setup"]["environment"]


def client(service: str, emulator: str, keys: dict[str, str]) -> Any:
    named = {"aws_access_key_id": keys["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"]}
    return boto3.client(service, endpoint_url=emulator, region_name=keys["AWS_REGION"], config=Config(s3={"addressing_style": "path"}), **named)


def test_it_makes_what_the_configuration_names_and_can_be_repeated(emulator: str, keys: dict[str, str], processes: dict[str, Any]) -> None:
    env = {**keys, "STORE_URL": emulator, "EMULATOR_URL": emulator, "PATH": os.environ["PATH"]}
    for _ in range(2):
        made = subprocess.run([sys.executable, str(DEPLOY / "setup.py")], env=env, capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stderr
    config = tomllib.loads((DEPLOY / "cloudigrade.toml").read_text())
    source = config["source"]["sqs"]
    s3, sqs = client("s3", emulator, keys), client("sqs", emulator, keys)
    tables = {urlsplit(process["environment"]["CLOUDIGRADE_TABLES"]).netloc for process in processes.values()}
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == tables | {*source["buckets"], config["accounts"]["trail_bucket"]}
    # The emulator names a queue by the address that it is asked at.
    [queue] = sqs.list_queues()["QueueUrls"]
    assert urlsplit(queue).path == urlsplit(source["queue_url"]).path
    assert config["accounts"]["principal_account"] in queue

    key = f"AWSLogs/{config['accounts']['principal_account']}/CloudTrail/us-east-1/2024/03/01/log.json.gz"
    s3.put_object(Bucket=source["buckets"][0], Key=key, Body=b"")
    told = [json.loads(message["Body"]) for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]]
    named = [unquote_plus(record["s3"]["object"]["key"]) for body in told for record in body.get("Records", [])]
    assert named == [key]
