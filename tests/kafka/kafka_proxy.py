"""A proxy between a broker and its clients that takes answers away: Kafka did what it was asked, and whoever asked does not learn it.

A broker sends its clients to the address that it advertises, so one that advertises this proxy's is reached through it, whatever is asked.
"""

import asyncio
import socket
import struct
import threading
from dataclasses import dataclass, field

START_SECONDS = 10
# Kafka's number of the request that ends a transaction, and the first of its versions that ends with tagged fields.
END_TXN, FIRST_WITH_TAGS = 26, 3


@dataclass
class CuttingProxy:
    """Listens from its making on. The answer to each `every`-th commit is taken away, and the connection with it."""

    every: int
    upstream: int = 0  # the broker's own port
    commits: int = 0
    cut: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        """Takes a port, which a broker can be told before it is started."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka-proxy", daemon=True)

    @property
    def address(self) -> str:
        """Where clients reach the broker through it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "CuttingProxy":
        self._thread.start()
        assert self._ready.wait(START_SECONDS), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, sock=self._socket))
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connection(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Carries one connection, until either side hangs up or an answer is taken away."""
        writers, doomed = [to_client], set[int]()
        try:
            broker, to_broker = await asyncio.open_connection("127.0.0.1", self.upstream)
            writers.append(to_broker)
            ways = [asyncio.ensure_future(self._requests(client, to_broker, doomed)), asyncio.ensure_future(self._answers(broker, to_client, doomed))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the broker is away, as brokers are
        finally:
            for writer in writers:
                writer.close()

    async def _requests(self, client: asyncio.StreamReader, to_broker: asyncio.StreamWriter, doomed: set[int]) -> None:
        while True:
            frame = await _frame(client)
            if (asked := _commit(frame)) is not None:
                self.commits += 1
                if self.commits % self.every == 0:
                    doomed.add(asked)
            to_broker.write(frame)
            await to_broker.drain()

    async def _answers(self, broker: asyncio.StreamReader, to_client: asyncio.StreamWriter, doomed: set[int]) -> None:
        while True:
            frame = await _frame(broker)
            if struct.unpack_from(">i", frame, 4)[0] in doomed:
                self.cut += 1
                return
            to_client.write(frame)
            await to_client.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """One request or answer: four bytes of length, and as many as these say."""
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length, "big"))


def _commit(request: bytes) -> int | None:
    """The correlation id of a request that commits a transaction; one that aborts it, or asks for anything else, has none here."""
    kind, version, correlation = struct.unpack_from(">hhi", request, 4)
    # Whether to commit is the last of its fields.
    is_commit = kind == END_TXN and request[-2 if version >= FIRST_WITH_TAGS else -1] == 1
    return correlation if is_commit else None
