"""A stand-in of S3 and SQS for measuring, not for testing: it serves the files of a folder, each named by one message, as fast as one
processor lets it. Moto takes milliseconds for a call, so that nothing behind it could be measured.

    bench_live_stub.py FOLDER [PER_SECOND]

Prints its port, and at the end, by SIGTERM, JSON: calls by kind, bytes given, seconds of processor time. With PER_SECOND the messages
come at that rate; without, all are there from the beginning. Messages that are not deleted in VISIBILITY_SECONDS come again.
"""

import asyncio
import json
import resource
import signal
import sys
import time
from collections import Counter, deque
from pathlib import Path
from urllib.parse import unquote

BUCKET = b"bench"
VISIBILITY_SECONDS = 300
JSON_TYPE = b"application/x-amz-json-1.0"


class Queue:
    """Messages, by the number of the file that each names."""

    def __init__(self, files: list[Path], folder: Path, per_second: float | None) -> None:
        self.files, self.per_second = files, per_second
        self.names = [str(file.relative_to(folder)) for file in files]
        self.paths = {f"/bench/{name}": file for name, file in zip(self.names, files)}
        self.waiting, self.given, self.deleted = deque(range(len(files))), deque[tuple[float, int]](), set[int]()
        self.first = 0.0
        self.calls: Counter[str] = Counter()
        self.bytes = 0

    def due(self) -> int:
        """Messages that have come by now."""
        now = time.monotonic()
        self.first = self.first or now
        return len(self.files) if self.per_second is None else int((now - self.first) * self.per_second) + 1

    def receive(self, count: int) -> list[int]:
        """Numbers of messages to give."""
        now, due = time.monotonic(), self.due()
        while self.given and self.given[0][0] < now:
            _, number = self.given.popleft()
            if number not in self.deleted:
                self.waiting.append(number)
        got: list[int] = []
        while self.waiting and len(got) < count and self.waiting[0] < due:
            number = self.waiting.popleft()
            self.given.append((now + VISIBILITY_SECONDS, number))
            got.append(number)
        return got

    def message(self, number: int) -> dict[str, object]:
        """A message as SQS gives it, with S3's notification in it."""
        thing = {"bucket": {"name": "bench"}, "object": {"key": self.names[number]}}
        record = {"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventName": "ObjectCreated:Put", "s3": thing}
        attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))}
        return {"MessageId": str(number), "ReceiptHandle": str(number), "Body": json.dumps({"Records": [record]}), "Attributes": attributes}


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.buffer = queue, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            length = _length(head)
            if len(self.buffer) < end + 4 + length:
                return
            body = bytes(self.buffer[end + 4 : end + 4 + length])
            del self.buffer[: end + 4 + length]
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
        if method == b"GET":
            self.queue.calls["GetObject"] += 1
            file = self.queue.paths.get(unquote(target.split(b"?")[0].decode()))
            if file is None:
                return self._answer(b"404 Not Found", b"application/xml", b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
            content = file.read_bytes()
            self.queue.bytes += len(content)
            return self._answer(b"200 OK", b"application/gzip", content)
        action = _action(head)
        self.queue.calls[action] += 1
        asked = json.loads(body or b"{}")
        if action == "ReceiveMessage":
            got = self.queue.receive(asked.get("MaxNumberOfMessages", 1))
            if not got:
                # A long poll that finds nothing, shortened: whoever measures waits for the end.
                asyncio.get_running_loop().call_later(0.2, self._tell, {})
                return None
            return self._tell({"Messages": [self.queue.message(number) for number in got]})
        if action == "DeleteMessageBatch":
            self.queue.deleted |= {int(entry["ReceiptHandle"]) for entry in asked["Entries"]}
        if action == "DeleteMessage":
            self.queue.deleted.add(int(asked["ReceiptHandle"]))
        if action == "GetQueueAttributes":
            given = sum(number not in self.queue.deleted for _, number in self.queue.given)
            left = len(self.queue.files) - len(self.queue.deleted) - given
            depth = {"ApproximateNumberOfMessages": str(left), "ApproximateNumberOfMessagesNotVisible": str(given)}
            return self._tell({"Attributes": {**depth, "QueueArn": "arn:aws:sqs:us-east-1:123456789012:bench"}})
        return self._tell({"Successful": [{"Id": entry["Id"]} for entry in asked.get("Entries", [])], "Failed": []})

    def _tell(self, answer: dict[str, object]) -> None:
        self._answer(b"200 OK", JSON_TYPE, json.dumps(answer).encode())

    def _answer(self, status: bytes, kind: bytes, body: bytes) -> None:
        if not self.transport.is_closing():
            head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nETag: \"0\"\r\n\r\n" % (status, kind, len(body))
            self.transport.write(head + body)  # type: ignore[attr-defined]


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def _action(head: bytes) -> str:
    at = head.lower().find(b"x-amz-target:")
    return head[at + 13 :].split(b"\r\n", 1)[0].decode().rpartition(".")[2].strip()


async def main() -> None:
    """Until SIGTERM."""
    folder, per_second = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None
    queue = Queue(sorted(folder.rglob("*.json.gz")), folder, per_second)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(queue), "127.0.0.1", 0)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "files": len(queue.files)}), flush=True)
    while not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), 0.1)
        except TimeoutError:
            if len(queue.deleted) == len(queue.files):
                break
    used = resource.getrusage(resource.RUSAGE_SELF)
    took = time.monotonic() - queue.first if queue.first else 0.0
    told = {"deleted": len(queue.deleted), "calls": dict(queue.calls), "bytes": queue.bytes, "seconds": took}
    print(json.dumps({**told, "cpu_seconds": used.ru_utime + used.ru_stime}), flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
