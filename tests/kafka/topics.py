"""The public topics as somebody else's consumer sees them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws import until
from cloudigrade import REPOSITORY
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from jsonschema import Draft202012Validator, FormatChecker

READ_SECONDS = 60.0
DOCUMENT = json.loads((REPOSITORY / "schemas/asyncapi.json").read_text())


@dataclass(frozen=True)
class Event:
    """A record of a public topic."""

    topic: str
    key: str
    headers: dict[str, str]
    value: Any

    @property
    def id(self) -> str:
        """Its id as an event."""
        return self.headers["ce_id"]


def read(bootstrap: str, prefix: str, topic: str, isolation: str = "read_committed") -> list[Event]:
    """All that a topic holds now, by partition."""
    settings = {"bootstrap.servers": bootstrap, "group.id": f"{prefix}test", "isolation.level": isolation, "enable.partition.eof": True}
    consumer = Consumer({**settings, "enable.auto.commit": False, "auto.offset.reset": "error", "log_level": 2})
    try:
        found = consumer.list_topics(prefix + topic, timeout=READ_SECONDS).topics[prefix + topic].partitions
        consumer.assign([TopicPartition(prefix + topic, partition, OFFSET_BEGINNING) for partition in found])
        events, ended = [], set()

        def all_ended() -> bool:
            for message in consumer.consume(1000, timeout=1.0):
                if message.error() is None:
                    headers = {name: value.decode() for name, value in message.headers() or []}
                    events.append(Event(topic, message.key().decode(), headers, json.loads(message.value()) if message.value() else None))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise KafkaException(message.error())
            return ended == set(found)

        until(f"{topic} to be read to its ends", all_ended, READ_SECONDS)
        return events
    finally:
        consumer.close()


def told_once(bootstrap: str, prefix: str) -> dict[str, list[Event]]:
    """All events of the public topics, by topic, for who reads what is committed: each as it is described, and none twice."""
    events = {topic: read(bootstrap, prefix, topic) for topic in described()}
    for topic, found in events.items():
        check = checker(topic)
        for event in found:
            check(event)
        assert len({event.id for event in found}) == len(found), f"{topic} tells something twice"
    return events


def described() -> dict[str, dict[str, Any]]:
    """The schemas of the headers of each topic's messages, by topic, as the description of the topics has them."""
    return {name: channel["messages"][name]["headers"] for name, channel in DOCUMENT["channels"].items()}


def checker(topic: str) -> Callable[[Event], None]:
    """What holds an event of a topic against all that is said of it."""
    schema = json.loads((REPOSITORY / "schemas" / "json" / f"{topic}.schema.json").read_text())
    of_value = Draft202012Validator(schema, format_checker=FormatChecker())
    of_headers = Draft202012Validator(described()[topic], format_checker=FormatChecker())

    def check(event: Event) -> None:
        of_headers.validate(event.headers)
        if event.value is not None:
            of_value.validate(event.value)

    return check
