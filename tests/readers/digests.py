"""Digest files as CloudTrail writes and signs them, for log files that a test has."""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HOUR = timedelta(hours=1)
ALGORITHM = "SHA256withRSA"


@dataclass
class Object:
    """An object of the bucket that a trail writes to."""

    key: str
    body: bytes
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class LogFile(Object):
    """A log file, with the time of its oldest and newest event."""

    oldest: datetime | None = None
    newest: datetime | None = None


def stamp(moment: datetime | None) -> str | None:
    return moment and moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def log_file(account: str, region: str, delivered: datetime, records: list[dict[str, Any]], prefix: str = "") -> LogFile:
    """A log file with some records, under the key that CloudTrail gives it."""
    body = gzip.compress(json.dumps({"Records": records}).encode(), mtime=0)
    unique = hashlib.sha256(body + delivered.isoformat().encode()).hexdigest()[:16]
    key = (
        f"{prefix}AWSLogs/{account}/CloudTrail/{region}/{delivered:%Y/%m/%d}/"
        f"{account}_CloudTrail_{region}_{delivered:%Y%m%dT%H%MZ}_{unique}.json.gz"
    )
    times = [datetime.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) for record in records]
    return LogFile(key, body, oldest=min(times, default=None), newest=max(times, default=None))


class Signer:
    """CloudTrail's key pair of a region."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        self.fingerprint = hashlib.md5(self.der, usedforsecurity=False).hexdigest()

    def sign(self, text: bytes) -> str:
        return self.private.sign(text, padding.PKCS1v15(), hashes.SHA256()).hex()

    def key_list(self) -> dict[str, Any]:
        """What `aws cloudtrail list-public-keys` prints."""
        times = {"ValidityStartTime": 0.0, "ValidityEndTime": 4102444800.0}
        return {"PublicKeyList": [{"Value": base64.b64encode(self.der).decode(), "Fingerprint": self.fingerprint, **times}]}


class Chain:
    """The digests of one trail in one region: one for each call of `hour`, each naming the one before it."""

    def __init__(
        self, signer: Signer, bucket: str, account: str, region: str, start: datetime, *, trail: str = "all", prefix: str = "", organization: str = ""
    ) -> None:
        self.signer, self.bucket, self.account, self.region, self.trail = signer, bucket, account, region, trail
        self.folder = f"{prefix}AWSLogs/{organization + '/' if organization else ''}{account}/CloudTrail-Digest/{region}"
        self.at = start
        self.previous: Object | None = None
        self.digests: list[Object] = []

    def hour(self, logs: Iterable[LogFile] = ()) -> Object:
        """The digest of the next hour, which names these log files."""
        start, end = self.at, self.at + HOUR
        self.at = end
        key = f"{self.folder}/{end:%Y/%m/%d}/{self.account}_CloudTrail-Digest_{self.region}_{self.trail}_{self.region}_{end:%Y%m%dT%H%M%SZ}.json.gz"
        logs = list(logs)
        previous = self.previous
        previous_signature = previous and previous.metadata["signature"]
        content = {
            "awsAccountId": self.account,
            "digestStartTime": stamp(start),
            "digestEndTime": stamp(end),
            "digestS3Bucket": self.bucket,
            "digestS3Object": key,
            "digestPublicKeyFingerprint": self.signer.fingerprint,
            "digestSignatureAlgorithm": ALGORITHM,
            "newestEventTime": stamp(max((log.newest for log in logs if log.newest), default=None)),
            "oldestEventTime": stamp(min((log.oldest for log in logs if log.oldest), default=None)),
            "previousDigestS3Bucket": previous and self.bucket,
            "previousDigestS3Object": previous and previous.key,
            "previousDigestHashValue": previous and hashlib.sha256(gzip.decompress(previous.body)).hexdigest(),
            "previousDigestHashAlgorithm": previous and "SHA-256",
            "previousDigestSignature": previous_signature,
            "logFiles": [
                {
                    "s3Bucket": self.bucket,
                    "s3Object": log.key,
                    "hashValue": hashlib.sha256(gzip.decompress(log.body)).hexdigest(),
                    "hashAlgorithm": "SHA-256",
                    "newestEventTime": stamp(log.newest),
                    "oldestEventTime": stamp(log.oldest),
                }
                for log in logs
            ],
        }
        text = json.dumps(content).encode()
        signed = f"{stamp(end)}\n{self.bucket}/{key}\n{hashlib.sha256(text).hexdigest()}\n{previous_signature or 'null'}"
        metadata = {"signature": self.signer.sign(signed.encode()), "signature-algorithm": ALGORITHM}
        self.previous = Object(key, gzip.compress(text, mtime=0), metadata)
        self.digests.append(self.previous)
        return self.previous

    def anew(self, start: datetime) -> None:
        """The trail was stopped: the next digest names none before it."""
        self.at, self.previous = start, None


def write(folder: Path, objects: Iterable[Object]) -> None:
    """Copies objects into a folder, as `aws s3 sync` does: without metadata."""
    for put in objects:
        path = folder / put.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(put.body)


def put(client: Any, bucket: str, objects: Iterable[Object]) -> None:
    """Puts objects into a bucket."""
    for each in objects:
        client.put_object(Bucket=bucket, Key=each.key, Body=each.body, Metadata=each.metadata)
