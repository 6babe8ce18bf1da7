"""SQS at depth and under threads, and as unkind as it may be: repeated, reordered and short deliveries."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import moto.sqs.models
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends


@dataclass
class Unkind:
    """How a queue delivers."""

    duplicate: float = 0.0  # the share of messages that are delivered once more, whether they were deleted or not
    reorder: bool = False
    short: bool = False  # fewer at a time than there are
    seed: int = 0
    dice: random.Random = field(init=False)
    repeated: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)


class Queues:
    """The unkind queues, by name."""

    def __init__(self) -> None:
        self.unkind: dict[str, Unkind] = {}

    def reset(self) -> None:
        """All queues are kind."""
        self.unkind = {}

    def change(self, given: dict[str, Any]) -> dict[str, Any]:
        """How the queue `name` delivers."""
        name = given.pop("name")
        self.unkind[name] = Unkind(**given)
        return {"name": name}

    def show_all(self, given: dict[str, Any]) -> dict[str, Any]:
        """Ends the time for which messages of a queue are hidden: back-off takes minutes, and a test seconds."""
        queue = sqs_backends[given["account"]][given["region"]].get_queue(given["name"])
        with queue._messages_lock:
            hidden = [message for message in queue._messages if not message.visible]
            for message in hidden:
                message.visible_at = 0.0
            queue._messages_lock.notify_all()
        return {"shown": len(hidden)}


def install(queues: Queues) -> None:
    """Patches moto, whose clock for each message makes a call cost milliseconds a message, and whose lists lose messages between threads."""
    moto.sqs.models.unix_time_millis = lambda _=None: time.time() * 1000.0
    receive = SQSBackend.receive_message

    def received(self: SQSBackend, queue_name: str, count: int, *args: Any, **kwargs: Any) -> list[Message]:
        queue, unkind = self.get_queue(queue_name), queues.unkind.get(queue_name)
        with queue._messages_lock:
            if unkind is None:
                return receive(self, queue_name, count, *args, **kwargs)
            if unkind.reorder:
                unkind.dice.shuffle(queue._messages)
            if unkind.short:
                count = unkind.dice.randint(1, count)
            messages = receive(self, queue_name, count, *args, **kwargs)
            for message in messages:
                if message.id not in unkind.repeated and unkind.dice.random() < unkind.duplicate:
                    unkind.repeated.add(message.id)
                    queue._messages.append(_again(message))
            return messages

    SQSBackend.receive_message = received  # type: ignore[method-assign,assignment]
    for owner, name in ((Queue, "delete_message"), (Queue, "add_message")):
        setattr(owner, name, _locked(getattr(owner, name)))
    change = SQSBackend.change_message_visibility

    def changed(self: SQSBackend, queue_name: str, *args: Any, **kwargs: Any) -> None:
        with self.get_queue(queue_name)._messages_lock:
            change(self, queue_name, *args, **kwargs)

    SQSBackend.change_message_visibility = changed  # type: ignore[method-assign]


def _again(message: Message) -> Message:
    copy = Message(message.id, message.body, dict(message.system_attributes))
    copy.message_attributes, copy.sent_timestamp = dict(message.message_attributes), message.sent_timestamp
    return copy


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    def with_lock(self: Queue, *args: Any, **kwargs: Any) -> Any:
        with self._messages_lock:
            return method(self, *args, **kwargs)

    return with_lock
