"""CloudTrail records, files and keys, as AWS writes them as far as power events go."""

import gzip
import hashlib
import json
import uuid
from datetime import datetime, timezone
from typing import Any

NAMESPACE = uuid.UUID("6f0d3c52-3a4e-4a53-9c1d-2f3f6f3f0a10")


def stamp(seconds: int) -> str:
    """A time as records have it."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> int:
    """Seconds since 1970 of such a time."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())


def event_id(*parts: object) -> str:
    """The same id for the same parts."""
    return str(uuid.uuid5(NAMESPACE, "/".join(map(str, parts))))


def record(name: str, account: str, region: str, at: int, **more: Any) -> dict[str, Any]:
    """A record of a successful call to EC2, with what is given in addition."""
    identity = {"type": "AssumedRole", "principalId": "AROA:tester", "arn": f"arn:aws:sts::{account}:assumed-role/admin/tester", "accountId": account}
    common = {
        "eventVersion": "1.10",
        "userIdentity": identity,
        "eventTime": stamp(at),
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "console.ec2.amazonaws.com",
        "requestParameters": None,
        "responseElements": None,
        "eventID": event_id(name, account, region, at, json.dumps(more, sort_keys=True)),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    return {**common, **more}


def run(account: str, region: str, at: int, ids: list[str], instance_type: str, image: str) -> dict[str, Any]:
    """RunInstances."""
    items = [{"instanceId": i, "imageId": image, "instanceType": instance_type, "instanceState": {"code": 0, "name": "pending"}} for i in ids]
    request = {"instanceType": instance_type, "instancesSet": {"items": [{"imageId": image, "minCount": len(ids), "maxCount": len(ids)}]}}
    answer = {"ownerId": account, "instancesSet": {"items": items}}
    return record("RunInstances", account, region, at, requestParameters=request, responseElements=answer)


def change(name: str, account: str, region: str, at: int, ids: list[str]) -> dict[str, Any]:
    """StartInstances, StopInstances or TerminateInstances."""
    before, after = {"StartInstances": ("stopped", "pending"), "StopInstances": ("running", "stopping")}.get(name, ("running", "shutting-down"))
    items = [{"instanceId": i, "previousState": {"name": before}, "currentState": {"name": after}} for i in ids]
    request = {"instancesSet": {"items": [{"instanceId": i} for i in ids]}}
    return record(name, account, region, at, requestParameters=request, responseElements={"instancesSet": {"items": items}})


def retype(account: str, region: str, at: int, instance: str, instance_type: str) -> dict[str, Any]:
    """ModifyInstanceAttribute."""
    request = {"instanceId": instance, "instanceType": {"value": instance_type}}
    return record("ModifyInstanceAttribute", account, region, at, requestParameters=request, responseElements={"_return": True})


def reclaim(account: str, region: str, at: int, ids: list[str]) -> dict[str, Any]:
    """BidEvictedEvent: Spot took the instances back."""
    service = {"userIdentity": {"accountId": account, "invokedBy": "ec2.amazonaws.com"}, "eventType": "AwsServiceEvent"}
    return record("BidEvictedEvent", account, region, at, **service, serviceEventDetails={"instanceIdSet": ids})


def packed(records: list[dict[str, Any]]) -> bytes:
    """A file's bytes; the same for the same records."""
    return gzip.compress(json.dumps({"Records": records}, separators=(",", ":")).encode(), mtime=0)


def key(account: str, region: str, at: int, body: bytes, organisation: str | None = None) -> str:
    """Where CloudTrail would put a file."""
    day, minute = stamp(at)[:10].replace("-", "/"), stamp(at)[:16].replace("-", "").replace(":", "") + "Z"
    name = f"{account}_CloudTrail_{region}_{minute}_{hashlib.sha256(body).hexdigest()[:16]}.json.gz"
    return f"AWSLogs/{organisation + '/' if organisation else ''}{account}/CloudTrail/{region}/{day}/{name}"
