"""CloudTrail's digest files: chained, and signed with a key that the emulator lists."""

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass, field

import trail
from aws import REGION, TrailBucket
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HOUR = 3600


@dataclass
class Notary:
    """Writes the digests of one account and region, each after the one before."""

    bucket: TrailBucket
    account: str
    region: str = REGION
    name: str = "cloudigrade"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048))
    last: tuple[str, bytes, str] | None = None  # key, content, signature

    def __post_init__(self) -> None:
        public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        self.fingerprint = hashlib.md5(public).hexdigest()
        listed = {"Value": base64.b64encode(public).decode(), "Fingerprint": self.fingerprint}
        validity = {"ValidityStartTime": 0, "ValidityEndTime": 4_000_000_000}
        self.bucket.aws.admin("public-keys", [{**listed, **validity}])

    def digest(self, start: int, logs: dict[str, bytes], put: bool = True) -> str:
        """The digest of an hour that names log files by key; not put where CloudTrail lost it."""
        end = start + HOUR
        times = {"newestEventTime": trail.stamp(end - 1), "oldestEventTime": trail.stamp(start)}
        files = [{"s3Bucket": self.bucket.name, "s3Object": key, **_hash(body), **times} for key, body in sorted(logs.items())]
        key, before = self._key(end), self.last
        content = json.dumps(
            {
                "awsAccountId": self.account,
                "digestStartTime": trail.stamp(start),
                "digestEndTime": trail.stamp(end),
                "digestS3Bucket": self.bucket.name,
                "digestS3Object": key,
                "digestPublicKeyFingerprint": self.fingerprint,
                "digestSignatureAlgorithm": "SHA256withRSA",
                "newestEventTime": times["newestEventTime"] if logs else None,
                "oldestEventTime": times["oldestEventTime"] if logs else None,
                "previousDigestS3Bucket": before and self.bucket.name,
                "previousDigestS3Object": before and before[0],
                "previousDigestHashValue": before and hashlib.sha256(before[1]).hexdigest(),
                "previousDigestHashAlgorithm": before and "SHA-256",
                "previousDigestSignature": before and before[2],
                "logFiles": files,
            }
        ).encode()
        chained = "null" if before is None else before[2]
        signed = f"{trail.stamp(end)}\n{self.bucket.name}/{key}\n{hashlib.sha256(content).hexdigest()}\n{chained}".encode()
        signature = self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256()).hex()
        self.last = (key, content, signature)
        if put:
            metadata = {"signature": signature, "signature-algorithm": "SHA256withRSA"}
            self.bucket.put(key, gzip.compress(content, mtime=0), Metadata=metadata)
        return key

    def _key(self, end: int) -> str:
        day, moment = trail.stamp(end)[:10].replace("-", "/"), trail.stamp(end).replace("-", "").replace(":", "")
        name = f"{self.account}_CloudTrail-Digest_{self.region}_{self.name}_{self.region}_{moment}.json.gz"
        return f"AWSLogs/{self.account}/CloudTrail-Digest/{self.region}/{day}/{name}"


def _hash(body: bytes) -> dict[str, str]:
    return {"hashValue": hashlib.sha256(gzip.decompress(body)).hexdigest(), "hashAlgorithm": "SHA-256"}
