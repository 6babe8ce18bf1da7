#!/usr/bin/env python3
"""Prints what cloudigrade finds out about machine images, as its public topics on Kafka tell it.

    pip install confluent-kafka jsonschema     # jsonschema is optional: with it each message is held against its schema
    examples/consume_findings.py --bootstrap localhost:9092 --from-beginning

`images` tells how each image stands, `inspection.findings` what was found each time that an image's disks were read. The messages are
CloudEvents 1.0 in binary mode: the value is JSON, headers say what it is. What a consumer of these topics must do, this one does:

* read only what was committed (`isolation.level`): a transaction that was aborted leaves records that never counted;
* drop an event that it has seen (`ce_id`): after a crash, Kafka gives again what was not acknowledged. Acknowledge after the work is done;
* pass over fields and types of events that it does not know: messages change only by addition.
"""

import argparse
import json
import signal
import sys
from collections import OrderedDict
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message

TOPICS = ("images", "inspection.findings")
SEEN_MAX = 100_000  # ids in memory; a consumer whose work is not idempotent keeps them with its results
ANSWER_SECONDS = 10
WORDS = {True: "yes", False: "no", None: "unknown"}


def validators(folder: Path) -> dict:
    """What holds a value against its schema, by topic; nothing where `jsonschema` is not installed."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        return {}
    return {topic: Draft202012Validator(json.loads((folder / f"{topic}.schema.json").read_text())) for topic in TOPICS}


def verdicts(topic: str, key: str, value: dict | None) -> list[str]:
    """What a message says, in words."""
    if value is None:
        return [f"{key}: forgotten"]
    if topic == "images":
        image, version = value.get("image_id") or key, value.get("rhel_version")
        rhel = WORDS[value.get("rhel_detected")] + (f" ({version})" if version else "")
        openshift, status = WORDS[value.get("openshift_detected")], value.get("status", "pending")
        return [f"{image}: RHEL {rhel}, OpenShift {openshift}, {status}"]
    found = []
    for image, findings in value.get("images", {}).items():
        names = [product.get("name") or product.get("id") for product in findings.get("products", [])]
        openshift = WORDS[any("openshift" in str(name).lower() for name in names) or None]
        why = "; ".join(findings.get("reasons", [])[:1])
        found.append(f"{image}: on its disks RHEL {WORDS[findings.get('is_rhel')]}, OpenShift {openshift}{f' ({why})' if why else ''}")
    return found


def take(message: Message, prefix: str, seen: OrderedDict, held: dict) -> None:
    """Works on one event, unless that was done before."""
    topic, where = message.topic().removeprefix(prefix), f"{message.topic()}[{message.partition()}] at {message.offset()}"
    headers = {name: (value or b"").decode() for name, value in message.headers() or []}
    event = headers.get("ce_id")
    if event is None or headers.get("ce_type") != f"cloudigrade.{topic}":
        return print(f"{where}: not an event of this topic, passed over", file=sys.stderr)
    if event in seen:
        return None
    value = json.loads(message.value()) if message.value() else None
    if value is not None and topic in held and (error := next(held[topic].iter_errors(value), None)):
        print(f"{where}: not as its schema says, passed over: {error.message} at {error.json_path}", file=sys.stderr)
    else:
        for verdict in verdicts(topic, (message.key() or b"").decode(), value):
            print(verdict, flush=True)
    seen[event] = None
    if len(seen) > SEEN_MAX:
        seen.popitem(last=False)


def consume(args: argparse.Namespace) -> None:
    """Until Ctrl-C or SIGTERM; with `--once` until all is read that is there."""
    consumer = Consumer(
        {
            "bootstrap.servers": args.bootstrap,
            "group.id": args.group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest" if args.from_beginning else "latest",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    topics, seen, held, read = [args.prefix + topic for topic in TOPICS], OrderedDict(), validators(args.schemas), set()
    missing = set(topics) - set(consumer.list_topics(timeout=ANSWER_SECONDS).topics)
    if missing:
        sys.exit(f"{args.bootstrap} has no topics {', '.join(sorted(missing))}: is the --prefix right, and has cloudigrade run?")

    def assigned(consumer: Consumer, partitions: list) -> None:
        for partition in partitions if args.from_beginning else []:
            partition.offset = OFFSET_BEGINNING
        consumer.assign(partitions)
        read.clear()
        read.add("assigned")

    consumer.subscribe(topics, on_assign=assigned)
    try:
        while not (args.once and "assigned" in read and len(read) > len(consumer.assignment())):
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error() is None:
                take(message, args.prefix, seen, held)
                consumer.commit(message, asynchronous=True)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                read.add((message.topic(), message.partition()))
            elif message.error().fatal():
                raise KafkaException(message.error())
            else:  # the client goes on by itself
                print(f"Kafka: {message.error().str()}", file=sys.stderr)
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()  # leaves the group, so that others have its partitions at once; what was acknowledged is kept


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", default="localhost:9092", help="some of the brokers: host:port, separated by commas")
    parser.add_argument("--prefix", default="cloudigrade.", help="what the topics' names begin with: kafka.prefix of cloudigrade")
    parser.add_argument("--group", default="cloudigrade-findings-example", help="consumers of one group share the messages and go on where it was")
    parser.add_argument("--from-beginning", action="store_true", help="read all that is kept, also what the group has read")
    parser.add_argument("--once", action="store_true", help="end when all is read that is there")
    parser.add_argument("--schemas", type=Path, default=Path(__file__).resolve().parents[1] / "schemas" / "json", help="folder of the JSON Schemas")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    args = parser.parse_args()
    try:
        consume(args)
    except KafkaException as error:
        sys.exit(f"Kafka at {args.bootstrap}: {error.args[0].str()}")


if __name__ == "__main__":
    main()
