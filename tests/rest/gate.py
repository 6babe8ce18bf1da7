"""A gate between a server and the emulator of AWS: it holds what is asked for until a test lets it pass."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from proxy import FaultProxy, Message

LOOK_SECONDS = 0.02


class Gate(FaultProxy):
    """A proxy that is open, but for calls of an action for which it is shut."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.held = 0  # calls that had to wait, so far
        self._shut_for: bytes | None = None

    @contextmanager
    def shut_for(self, action: str) -> Iterator[None]:
        """Holds all calls of an action for as long as this lasts; they pass then."""
        self._shut_for = f"Action={action}&".encode()
        try:
            yield
        finally:
            self._shut_for = None

    async def _ask(self, request: Message, method: str) -> Message:
        if self._is_shut(request):
            self.held += 1
        while self._is_shut(request):
            await asyncio.sleep(LOOK_SECONDS)
        return await super()._ask(request, method)

    def _is_shut(self, request: Message) -> bool:
        """Whether a call is held. EC2's are forms, which begin with the action."""
        shut_for = self._shut_for
        return shut_for is not None and request.body.startswith(shut_for)
