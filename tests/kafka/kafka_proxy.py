"""A proxy between a broker and its clients that takes answers away: Kafka did what it was asked, and whoever asked does not learn it.

A broker sends its clients to the address that it advertises, so one that advertises this proxy's is reached through it, whatever is asked.
"""

import asyncio
import struct

from in_thread import InThread

# Kafka's number of the request that ends a transaction, and the first of its versions that ends with tagged fields.
END_TXN, FIRST_WITH_TAGS = 26, 3


class CuttingProxy(InThread):
    """The answer to each `every`-th commit is taken away, and the connection with it. Its port is known before there is a broker."""

    def __init__(self, every: int) -> None:
        super().__init__("kafka-proxy")
        self.every = every
        self.upstream = 0  # the broker's own port
        self.commits = 0
        self.cut = 0

    @property
    def address(self) -> str:
        """Where clients reach the broker through it."""
        return f"127.0.0.1:{self.port}"

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
