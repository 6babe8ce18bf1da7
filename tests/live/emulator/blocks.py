"""The EBS direct API over disk image files: the blocks that a file has, with tokens and checksums. What a file has no bytes of is no block."""

import base64
import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from moto.ec2.models import ec2_backends

from . import disks
from .wire import Call

BLOCK = 512 << 10
PAGE = 1000
GIB = 1 << 30
Answer = tuple[int, dict[str, str], bytes]


def answer(call: Call) -> Answer | None:
    """What AWS answers; `None` for other calls than those that read."""
    parts = call.path.strip("/").split("/")
    if call.action == "ListSnapshotBlocks":
        return _with_disk(call, parts[1], lambda path, size: _list(call, parts[1], path, size))
    if call.action == "GetSnapshotBlock":
        return _with_disk(call, parts[1], lambda path, _: _get(call, parts[1], int(parts[3]), path))
    return None


def _with_disk(call: Call, snapshot_id: str, how):  # type: ignore[no-untyped-def]
    if not any(snapshot_id in regions[call.region].snapshots for regions in list(ec2_backends.values()) if call.region in regions):
        return failure("ResourceNotFoundException", f"The snapshot '{snapshot_id}' does not exist.", 404)
    path = disks.content(call.account, call.region, snapshot_id)
    if path is None:
        return failure("AccessDeniedException", "You do not have permission to access this snapshot.", 403)
    snapshot = disks.find_snapshot(call.account, call.region, snapshot_id)
    return how(path, snapshot.volume.size)


def _list(call: Call, snapshot_id: str, path: Path, size_gib: int) -> Answer:
    query = call.params
    start = int(str(query.get("pageToken") or query.get("startingBlockIndex") or 0))
    most = int(str(query.get("maxResults") or PAGE))
    if not 100 <= most <= 10_000:
        return failure("ValidationException", f"MaxResults {most} is not in 100..10000", 400)
    there = [index for index in indices(path) if index >= start]
    blocks = [{"BlockIndex": index, "BlockToken": token(snapshot_id, index)} for index in there[:most]]
    told = {"Blocks": blocks, "BlockSize": BLOCK, "VolumeSize": size_gib, "ExpiryTime": 4_000_000_000}
    if len(there) > most:
        told["NextToken"] = str(there[most])
    return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()


def _get(call: Call, snapshot_id: str, index: int, path: Path) -> Answer:
    if call.params.get("blockToken") != token(snapshot_id, index) or index not in indices(path):
        return failure("ValidationException", "The block token is not valid.", 400)
    with path.open("rb") as file:
        file.seek(index * BLOCK)
        data = file.read(BLOCK).ljust(BLOCK, b"\0")
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    headers = {"x-amz-Data-Length": str(BLOCK), "x-amz-Checksum": checksum, "x-amz-Checksum-Algorithm": "SHA256"}
    return 200, {"Content-Type": "application/octet-stream", **headers}, data


def failure(code: str, message: str, status: int) -> Answer:
    """A failure as EBS tells it."""
    return status, {"Content-Type": "application/json", "x-amzn-ErrorType": code}, json.dumps({"Message": message}).encode()


def token(snapshot_id: str, index: int) -> str:
    """What a block is asked for by."""
    return hashlib.sha256(f"{snapshot_id}/{index}".encode()).hexdigest()


@lru_cache(maxsize=64)
def indices(path: Path) -> tuple[int, ...]:
    """The blocks that a file has bytes of, rising."""
    found: set[int] = set()
    with path.open("rb") as file:
        end, at = os.fstat(file.fileno()).st_size, 0
        while at < end:
            try:
                begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break  # there are only holes left
            at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            found.update(range(begin // BLOCK, -(-at // BLOCK)))
    return tuple(sorted(found))
