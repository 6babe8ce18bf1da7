"""A plain consumer of the queue and a plain reading of its files: what the emulator, the proxy and the fleet are held against."""

import gzip
import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import unquote_plus

from aws import Aws, TrailBucket
from botocore.exceptions import BotoCoreError, ClientError

ON = {"RunInstances", "StartInstances"}
OFF = {"StopInstances", "TerminateInstances", "BidEvictedEvent"}
T = TypeVar("T")


def runs(files: dict[str, bytes]) -> dict[str, list[tuple[str, str | None]]]:
    """Runs by the plain rules, from files in any order."""
    distinct = {r["eventID"]: r for body in files.values() for r in json.loads(gzip.decompress(body))["Records"]}
    events: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for record in distinct.values():
        if record["eventSource"] != "ec2.amazonaws.com" or record.get("errorCode") or record["eventName"] not in ON | OFF:
            continue
        items = ((record["responseElements"] or {}).get("instancesSet") or {"items": []})["items"]
        for instance in [i["instanceId"] for i in items] or record["serviceEventDetails"]["instanceIdSet"]:
            events[instance].append((record["eventTime"], record["eventName"] in ON))
    found: dict[str, list[tuple[str, str | None]]] = {}
    for instance, changes in events.items():
        for at, on in sorted(changes):
            spans = found.setdefault(instance, [])
            running = bool(spans) and spans[-1][1] is None
            if on and not running:
                spans.append((at, None))
            elif not on and running:
                spans[-1] = (spans[-1][0], at)
    return found


def consume(endpoint: str, bucket: TrailBucket, seconds: float = 120.0) -> dict[str, bytes]:
    """Reads what the queue tells of until the queue is empty, and deletes each message only once its objects were read whole."""
    aws, files, deadline = Aws(endpoint), {}, time.monotonic() + seconds
    sqs, s3 = aws.client("sqs"), aws.client("s3")
    while bucket.depth() and time.monotonic() < deadline:
        wanted = {"QueueUrl": bucket.queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "VisibilityTimeout": 2}
        for message in _tried(lambda: sqs.receive_message(**wanted)).get("Messages", []):
            for record in json.loads(message["Body"]).get("Records", []):
                key = unquote_plus(record["s3"]["object"]["key"])
                files[key] = _tried(lambda key=key: s3.get_object(Bucket=bucket.name, Key=key)["Body"].read())
            try:
                sqs.delete_message(QueueUrl=bucket.queue_url, ReceiptHandle=message["ReceiptHandle"])
            except (BotoCoreError, ClientError):
                pass  # it comes again
    return files


def _tried(call: Callable[[], T]) -> T:
    """Until it is done, or a minute has passed."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return call()
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                raise AssertionError("a call failed for a minute") from error


