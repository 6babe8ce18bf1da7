"""What is missing is named, read back and then no longer missing; and what was changed is found."""

import gzip
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import cloudigrade
import digests
import pytest
from botocore.config import Config

ACCOUNT = "000000000042"
REGION = "eu-west-1"
START = datetime(2024, 3, 1, 0, 31, 7, tzinfo=UTC)


def record(moment: datetime, instance: str, name: str) -> dict[str, Any]:
    """A launch or a stop."""
    item = {"instanceId": instance, "imageId": "ami-1", "instanceType": "m5.large"}
    return {
        "eventVersion": "1.08",
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "eventTime": digests.stamp(moment),
        "eventID": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{moment}{instance}{name}")),
        "recipientAccountId": ACCOUNT,
        "userIdentity": {"accountId": ACCOUNT},
        "requestParameters": {"instanceType": "m5.large"} if name == "RunInstances" else None,
        "responseElements": {"instancesSet": {"items": [item]}},
    }


class Fleet:
    """A trail over some hours: an instance is launched in each, and stopped in the next; two hours are quiet."""

    def __init__(self, bucket: str, hours: int = 8) -> None:
        self.signer = digests.Signer()
        self.chain = digests.Chain(self.signer, bucket, ACCOUNT, REGION, START)
        self.logs: list[list[digests.LogFile]] = []
        for hour in range(hours):
            start = START + hour * digests.HOUR
            quiet = hour in (3, 4)
            logs = [] if quiet else [self.log_file(start, minute, hour, name) for minute, name in ((5, "StopInstances"), (25, "RunInstances"))]
            self.logs.append(logs)
            self.chain.hour(logs)

    def log_file(self, start: datetime, minute: int, hour: int, name: str) -> digests.LogFile:
        happened = start + timedelta(minutes=minute)
        instance = f"i-{hour + (name == 'RunInstances'):017x}"
        return digests.log_file(ACCOUNT, REGION, happened + timedelta(minutes=7), [record(happened, instance, name)])

    @property
    def all_logs(self) -> list[digests.Object]:
        return [log for logs in self.logs for log in logs]

    @property
    def objects(self) -> list[digests.Object]:
        return [*self.all_logs, *self.chain.digests]

    @property
    def end(self) -> datetime:
        return self.chain.at


def without(objects: list[digests.Object], withheld: list[digests.Object]) -> list[digests.Object]:
    keys = {each.key for each in withheld}
    return [each for each in objects if each.key not in keys]


def gaps(data: Path, *args: object) -> list[dict[str, Any]]:
    return cloudigrade.rows("gaps", *args, "--data", data)


def objects_of(gaps: list[dict[str, Any]]) -> list[str]:
    return sorted(uri for gap in gaps for uri in json.loads(gap["objects"]))


def ingest(*args: object, data: Path, expect: int = 0, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = cloudigrade.run("ingest", *args, "--data", data, "--format", "json", expect=expect, env=env)
    return json.loads(done.stdout)[0]


def complete_through(data: Path) -> str:
    return cloudigrade.rows("sql", "SELECT max(complete_through) AS reach FROM coverage", "--data", data)[0]["reach"]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet("trail-bucket")


def test_what_is_missing_in_a_folder_is_named_read_back_and_then_not_missing(fleet: Fleet, tmp_path: Path) -> None:
    logs, data = tmp_path / "logs", tmp_path / "data"
    withheld = [fleet.logs[1][1], fleet.logs[5][0]]
    digests.write(logs, without(fleet.objects, withheld))
    assert ingest(logs, data=data)["files_other"] == len(fleet.chain.digests)
    found = gaps(data)
    assert objects_of(found) == sorted(str(logs / log.key) for log in withheld)
    assert [(gap["kind"], gap["missing_objects"], gap["account_id"], gap["region"]) for gap in found] == [
        ("log_files_missing", 1, ACCOUNT, REGION)
    ] * 2
    assert ingest("--missing", data=data)["files"] == 0
    assert gaps(data) == found
    digests.write(logs, withheld)
    assert ingest("--missing", data=data)["files"] == 2
    assert gaps(data) == []
    assert [gap["closed_at"] is not None for gap in gaps(data, "--all")] == [True, True]
    assert ingest("--missing", data=data)["files"] == 0
    whole = tmp_path / "whole"
    ingest(logs, data=whole)
    assert cloudigrade.digest(data) == cloudigrade.digest(whole)


def test_a_quiet_region_is_complete_up_to_its_newest_digest_but_for_what_may_be_underway(fleet: Fleet, tmp_path: Path) -> None:
    fleet.chain.hour()
    fleet.chain.hour()
    digests.write(tmp_path / "logs", fleet.objects)
    ingest(tmp_path / "logs", data=tmp_path / "data")
    assert complete_through(tmp_path / "data") == digests.stamp(fleet.end - timedelta(minutes=15))
    assert gaps(tmp_path / "data") == []


def test_missing_digests_are_read_back_with_all_that_they_name(fleet: Fleet, tmp_path: Path) -> None:
    logs, data = tmp_path / "logs", tmp_path / "data"
    withheld = [*fleet.chain.digests[2:6], *fleet.logs[2], *fleet.logs[5]]
    digests.write(logs, without(fleet.objects, withheld))
    ingest(logs, data=data)
    (hole,) = gaps(data)
    assert (hole["kind"], json.loads(hole["objects"])) == ("digest_missing", [str(logs / fleet.chain.digests[5].key)])
    assert (hole["missing_from"], hole["missing_until"]) == (digests.stamp(START + 2 * digests.HOUR), digests.stamp(START + 6 * digests.HOUR))
    digests.write(logs, withheld)
    assert ingest("--missing", data=data)["files"] == len(withheld)
    assert gaps(data) == []
    assert complete_through(data) >= digests.stamp(fleet.end - timedelta(minutes=15))


def test_time_in_which_the_trail_was_stopped_stays_a_gap(tmp_path: Path) -> None:
    fleet = Fleet("trail-bucket", hours=2)
    fleet.chain.anew(fleet.end + timedelta(hours=5))
    fleet.chain.hour()
    digests.write(tmp_path / "logs", fleet.objects)
    ingest(tmp_path / "logs", data=tmp_path / "data")
    (gap,) = gaps(tmp_path / "data")
    assert (gap["kind"], gap["missing_objects"], gap["missing_from"]) == ("digest_missing", 0, digests.stamp(START + 2 * digests.HOUR))
    assert ingest("--missing", data=tmp_path / "data")["files"] == 0


@pytest.fixture(scope="module")
def environment(aws: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": aws}


@pytest.fixture(scope="module")
def client(aws: str) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("s3", endpoint_url=aws, region_name="us-east-1", config=Config(s3={"addressing_style": "path"}), **keys)


@pytest.fixture
def bucket(client: Any) -> str:
    name = f"trail-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name


def test_what_is_missing_in_a_bucket_is_read_back_from_there(
    bucket: str, client: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    fleet = Fleet(bucket)
    withheld = [fleet.logs[0][0], fleet.logs[7][1]]
    digests.put(client, bucket, without(fleet.objects, withheld))
    ingest(f"s3://{bucket}", data=tmp_path, env=environment)
    assert objects_of(gaps(tmp_path)) == sorted(f"s3://{bucket}/{log.key}" for log in withheld)
    digests.put(client, bucket, withheld)
    assert ingest("--missing", data=tmp_path, env=environment)["files"] == 2
    assert gaps(tmp_path) == []


def verify(place: object, *args: object, expect: int, env: dict[str, str] | None = None) -> dict[str, Any]:
    return json.loads(cloudigrade.run("verify", place, *args, "--format", "json", expect=expect, env=env).stdout)


def findings(report: dict[str, Any]) -> dict[str, str]:
    """The name of each file that is not valid, and what it is instead."""
    return {file["uri"].rsplit("/", 1)[1]: file["verdict"] for file in report["files"] if file["verdict"] != "valid"}


def name(put: digests.Object) -> str:
    return put.key.rsplit("/", 1)[1]


@pytest.fixture
def keys(fleet: Fleet, tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(fleet.signer.key_list()))
    return path


def test_a_copy_is_verified_once_the_newest_signature_is_beside_it(fleet: Fleet, keys: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    digests.write(logs, fleet.objects)
    newest = fleet.chain.digests[-1]
    report = verify(logs, "--keys", keys, expect=1)
    assert report["verdict"] == "not_proven"
    assert findings(report) == {name(newest): "signature_absent", **{name(log): "digest_not_valid" for log in fleet.logs[-1]}}
    (logs / f"{newest.key}.signature").write_text(newest.metadata["signature"])
    report = verify(logs, "--keys", keys, expect=0)
    assert (report["verdict"], findings(report)) == ("verified", {})
    assert (report["digests"], report["logs"]) == ({"valid": len(fleet.chain.digests)}, {"valid": len(fleet.all_logs)})
    assert b"verified: all of it is what CloudTrail wrote" in cloudigrade.run("verify", logs, "--keys", keys).stdout


def test_whatever_was_changed_or_removed_is_found(fleet: Fleet, keys: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    changed, removed, digest = fleet.logs[0][0], fleet.logs[1][0], fleet.chain.digests[5]
    digests.write(logs, fleet.objects)
    newest = fleet.chain.digests[-1]
    (logs / f"{newest.key}.signature").write_text(newest.metadata["signature"])
    (logs / changed.key).write_bytes(gzip.compress(b'{"Records":[]}'))
    (logs / removed.key).unlink()
    (logs / digest.key).unlink()
    forged = logs / changed.key.replace(".json.gz", "forged.json.gz")
    forged.write_bytes(fleet.logs[0][1].body)
    report = verify(logs, "--keys", keys, expect=7)
    assert report["verdict"] == "failed"
    assert findings(report) == {
        name(changed): "hash_mismatch",
        name(removed): "missing",
        name(digest): "missing",
        **{name(log): "not_named" for log in fleet.logs[5]},
        # Its signature went with the digest after it.
        name(fleet.chain.digests[4]): "signature_absent",
        forged.name: "not_named",
    }


def test_a_bucket_is_verified_by_the_signatures_in_its_metadata(
    bucket: str, client: Any, environment: dict[str, str], keys: Path, tmp_path: Path
) -> None:
    fleet = Fleet(bucket)
    keys.write_text(json.dumps(fleet.signer.key_list()))
    digests.put(client, bucket, fleet.objects)
    assert verify(f"s3://{bucket}", "--keys", keys, expect=0, env=environment)["verdict"] == "verified"
    other = tmp_path / "other.json"
    listed = digests.Signer().key_list()
    other.write_text(json.dumps(listed))
    assert set(findings(verify(f"s3://{bucket}", "--keys", other, expect=1, env=environment)).values()) == {"key_unknown", "digest_not_valid"}
    listed["PublicKeyList"][0]["Fingerprint"] = fleet.signer.fingerprint
    other.write_text(json.dumps(listed))
    report = verify(f"s3://{bucket}", "--keys", other, expect=7, env=environment)
    assert report["digests"] == {"signature_invalid": len(fleet.chain.digests)}


@contextmanager
def key_server(signer: digests.Signer) -> Iterator[tuple[str, list[str]]]:
    """CloudTrail's ListPublicKeys, in two pages, and which regions were asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.headers["X-Amz-Target"].endswith(".ListPublicKeys")
            asked.append(self.headers["Authorization"].split("/")[2])
            answer = signer.key_list() if "NextToken" in request else {"PublicKeyList": [], "NextToken": "more"}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_keys_are_asked_of_cloudtrail_in_the_region_of_the_digests(fleet: Fleet, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    digests.write(logs, fleet.objects)
    newest = fleet.chain.digests[-1]
    (logs / f"{newest.key}.signature").write_text(newest.metadata["signature"])
    environment = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
    with key_server(fleet.signer) as (endpoint, asked):
        assert verify(logs, "--endpoint-url", endpoint, expect=0, env=environment)["verdict"] == "verified"
        assert asked == [REGION, REGION]


def test_places_without_digests_and_files_without_keys_say_so(fleet: Fleet, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    digests.write(logs, fleet.all_logs)
    assert b"no digest files" in cloudigrade.run("verify", logs, expect=3).stderr
    (tmp_path / "keys.json").write_text("{}")
    assert b"holds no RSA public keys" in cloudigrade.run("verify", logs, "--keys", tmp_path / "keys.json", expect=2).stderr
