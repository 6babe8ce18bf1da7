"""A proxy between a client and the emulator that delays, cuts, fails and loses what passes: by rules, or by the dice of a seed.

In a test it runs in a thread of its own: `with FaultProxy(upstream) as proxy: proxy.faults.add({...})`. By itself it is started as
`proxy.py --upstream URL [--seed N --rate 0.2]` and says `listening at http://127.0.0.1:PORT`.
"""

import argparse
import asyncio
import random
import threading
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from emulator import wire
from emulator.faults import Faults, Rule
from in_thread import InThread

# What the dice can do to a call: all that a network and a busy service do, and nothing that needs a person.
STORM: list[dict[str, object]] = [
    {"code": "InternalError", "status": 500},
    {"code": "SlowDown", "status": 503, "message": "Please reduce your request rate."},
    {"code": "ThrottlingException", "status": 400, "message": "Rate exceeded"},
    {"delay_ms": 150},
    {"cut_after_bytes": 100},
    {"cut_after_bytes": 0},
    {"lose_reply": True},
    {"refuse": True},
]
THROTTLES = {"ec2": ("RequestLimitExceeded", 503), "s3": ("SlowDown", 503), "sqs": ("RequestThrottled", 400), "sts": ("Throttling", 400)}


@dataclass
class Message:
    """A request or a response."""

    first: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The last value of a header, or nothing."""
        return next((value for known, value in reversed(self.headers) if known.lower() == name), "")

    def encoded(self, length: int | None = None) -> bytes:
        """As sent, with the length of the body or the one given, and one message a connection."""
        dropped = ("content-length", "transfer-encoding", "connection", "expect")
        kept = [(name, value) for name, value in self.headers if name.lower() not in dropped]
        kept += [("Content-Length", str(len(self.body) if length is None else length)), ("Connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return f"{self.first}\r\n{head}\r\n".encode("latin-1") + self.body


class FaultProxy(InThread):
    """One proxy, on a port of the system's choice."""

    def __init__(self, upstream: str, seed: int = 0, rate: float = 0.0) -> None:
        super().__init__("fault-proxy")
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self.faults = Faults(seed)
        self.rate = rate  # the share of calls that the dice harm
        self.passed: Counter[str] = Counter()
        self.harmed: Counter[str] = Counter()
        self._dice = random.Random(seed)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side hung up, as it may, or the proxy ends
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read(reader, writer)
        method, target, _ = request.first.split(" ", 2)
        path, _, query = target.partition("?")
        headers = {name.lower(): value for name, value in request.headers}
        call = wire.parse(method, path, query, headers, request.body)
        rule = self.faults.take(call) or self._roll(call)
        name = f"{call.service}:{call.action}"
        (self.passed if rule is None else self.harmed)[name] += 1
        if rule is not None and rule.delay_ms:
            await asyncio.sleep(rule.delay_ms / 1000)
        if rule is not None and rule.refuse:
            return rule.strike()
        if rule is not None and rule.code is not None:
            more, body = wire.failure(call, rule.code, rule.message, method)
            failed = Message(f"HTTP/1.1 {rule.status} Injected", list((more | rule.headers).items()), body)
            writer.write(failed.encoded())
            await writer.drain()
            return
        answer = await self._ask(request, method)
        if rule is not None and rule.lose_reply:
            return rule.strike()
        if rule is not None and rule.truncate is not None:
            answer.body = answer.body[: rule.truncate]
        # Of an answer to HEAD the length is of what GET would give.
        length = int(answer.header("content-length") or 0) if method == "HEAD" else len(answer.body)
        if rule is not None and rule.cut_after_bytes is not None:
            answer.body = answer.body[: rule.cut_after_bytes]
        writer.write(answer.encoded(length))
        await writer.drain()

    def _roll(self, call: wire.Call) -> Rule | None:
        if self.rate <= 0.0 or self._dice.random() >= self.rate:
            return None
        harm = dict(self._dice.choice(STORM))
        if harm.get("code") == "ThrottlingException":
            harm["code"], harm["status"] = THROTTLES.get(call.service, ("ThrottlingException", 400))
        return Rule.of(harm)

    async def _ask(self, request: Message, method: str) -> Message:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(request.encoded())
            await writer.drain()
            return await _read(reader, None, bodiless=method == "HEAD")
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, asked: asyncio.StreamWriter | None, bodiless: bool = False) -> Message:
    """One message. A client that waits to be asked for its body is asked."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    pairs = [line.partition(":") for line in lines]
    message = Message(first, [(name, value.strip()) for name, _, value in pairs], b"")
    if bodiless:
        return message
    if asked is not None and message.header("expect").lower() == "100-continue":
        asked.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await asked.drain()
    if message.header("transfer-encoding").lower() == "chunked":
        message.body = await _chunks(reader)
    else:
        message.body = await reader.readexactly(int(message.header("content-length") or 0))
    return message


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return body


def main() -> None:
    """Until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.2)
    args = parser.parse_args()
    with FaultProxy(args.upstream, args.seed, args.rate) as proxy:
        print(f"listening at {proxy.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
