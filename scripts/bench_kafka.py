#!/usr/bin/env python3
"""Measures the log on Kafka, and prints what BENCHMARKS.md states: operators in 1, 2 and 4 processes, beside what only passes records on.

    target/testbed/venv/bin/python scripts/bench_kafka.py target/release/cloudigrade target/release/examples/kafka_rate FOLDER

FOLDER is made, and holds the corpus and the brokers' data. CLOUDIGRADE_REFERENCE is the folder with gen/gen.py. All runs on one machine:
broker and processes share its processors.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("kafka", "live", "readers")]

from broker import Broker, free_ports  # noqa: E402
from confluent_kafka import Consumer, KafkaException, TopicPartition  # noqa: E402

PARTITIONS = 32
PREFIX = "bench."
# The task of each operator, as its group is called, with what it reads.
TASKS = {
    "operators": ["cloudtrail.records"],
    "operators.intervals": ["power.events"],
    "operators.sightings": ["power.events"],
    "operators.image_tags": ["image.tags"],
    "operators.images": ["image.facts", "image.sightings"],
}
QUIET_SECONDS = 4.0
EVENTS_OF_STATE = 5_000_000


class Positions:
    """Asks how far each task is."""

    def __init__(self, broker: Broker) -> None:
        """Connects."""
        self.clients = {
            task: Consumer({"bootstrap.servers": broker.address, "group.id": f"{PREFIX}{task}", "log_level": 0}) for task in TASKS
        }

    def __call__(self) -> dict[str, int]:
        """How far each is, over all partitions."""
        found = {}
        for task, topics in TASKS.items():
            asked = [TopicPartition(f"{PREFIX}{topic}", partition) for topic in topics for partition in range(PARTITIONS)]
            found[task] = sum(max(told.offset, 0) for told in self.clients[task].committed(asked, timeout=20))
        return found


def end(broker: Broker, topic: str) -> int:
    """Where a topic ends, over all partitions; marks of transactions count among its records. 0 where it is not there yet."""
    client = Consumer({"bootstrap.servers": broker.address, "group.id": "bench", "log_level": 0})
    try:
        ends = [client.get_watermark_offsets(TopicPartition(f"{PREFIX}{topic}", partition), timeout=20)[1] for partition in range(PARTITIONS)]
    except KafkaException:
        return 0
    finally:
        client.close()
    return sum(ends)


def count(broker: Broker, topic: str) -> int:
    """How many records a topic has."""
    client = Consumer(
        {"bootstrap.servers": broker.address, "group.id": "bench", "enable.auto.commit": False, "enable.partition.eof": True, "log_level": 0}
    )
    client.assign([TopicPartition(f"{PREFIX}{topic}", partition, 0) for partition in range(PARTITIONS)])
    records, ended = 0, set()
    while len(ended) < PARTITIONS:
        for message in client.consume(5_000, timeout=1):
            if message.error():
                ended.add(message.partition())
            else:
                records += 1
    client.close()
    return records


def changes(look) -> float:
    """Waits until nothing changes for a while, from when it has changed at all. Gives how long it went on changing, in seconds."""
    before, looked_at, began, changed_at = look(), time.monotonic(), None, None
    while changed_at is None or time.monotonic() - changed_at < QUIET_SECONDS:
        time.sleep(0.05)
        now, before_at, looked_at = look(), looked_at, time.monotonic()
        if now != before:
            before, began, changed_at = now, began or before_at, looked_at
    return changed_at - began


def parts(url: str) -> Counter[tuple[str, str]]:
    """Where the time of a process's tasks went, in seconds."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=20) as answer:
        told = re.findall(r'^cloudigrade_task_microseconds_total\{task="(.*?)",part="(.*?)"\} (\d+)', answer.read().decode(), re.MULTILINE)
    return Counter({(task, part): int(count) / 1e6 for task, part, count in told})


def processor_seconds(pid: int) -> float:
    """What a process has taken of processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A broker with the corpus in the log."""

    def __init__(self, program: str, folder: Path, corpus: Path) -> None:
        """Starts the broker and has a source read the corpus."""
        self.program, self.folder = program, folder
        self.urls: dict[str, str] = {}
        self.broker = Broker(folder).start()
        self.config = folder / "cloudigrade.toml"
        self.config.write_text(
            f'[kafka]\nbootstrap = "{self.broker.address}"\nprefix = "{PREFIX}"\npartitions = {PARTITIONS}\nreplication = 1\nmin_in_sync = 1\n'
            f'[source.list]\nplaces = ["{corpus}"]\ninterval = "1s"\n'
        )
        source = self.start("source", "source")
        changes(lambda: end(self.broker, "cloudtrail.records"))
        source.terminate()
        source.wait()
        self.records = count(self.broker, "cloudtrail.records")

    def start(self, name: str, role: str) -> subprocess.Popen:
        """Starts a process of a role.."""
        command = [self.program, "run", role, "--config", str(self.config), "--data", str(self.folder / name)]
        address = f"127.0.0.1:{free_ports(1)[0]}"
        self.urls[name] = f"http://{address}"
        command += ["--listen", address]
        return subprocess.Popen(command, env=os.environ | {"CLOUDIGRADE__KAFKA__MEMBER": name}, stderr=subprocess.DEVNULL)

    def operators(self, processes: int) -> None:
        """Measures operators in so many processes."""
        broker_before = processor_seconds(self.broker.process.pid)
        running = [self.start(f"operators-{n}", "operators") for n in range(processes)]
        took = changes(Positions(self.broker))
        used = sum(processor_seconds(process.pid) for process in running)
        broker = processor_seconds(self.broker.process.pid) - broker_before
        events = count(self.broker, "power.events")
        went = sum((parts(self.urls[f"operators-{n}"]) for n in range(processes)), Counter())
        for process in running:
            process.terminate()
            process.wait()
        print(
            f"{processes} processes: {self.records} records, {events} power events in {took:.1f} s: {self.records / took:,.0f} records/s; "
            f"processor seconds: operators {used:.1f}, broker {broker:.1f}",
            flush=True,
        )
        for task in TASKS:
            told = ", ".join(f"{part} {went[task, part]:.1f}" for part in ("read", "fold", "commit"))
            print(f"  {task}: seconds in which a thread did {told}", flush=True)

    def close(self) -> None:
        """Ends the broker."""
        self.broker.kill()


def main() -> None:
    """Measures all of it."""
    program, rate, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus"
    if not (corpus / "truth.json").is_file():
        generator = Path(os.environ.get("CLOUDIGRADE_REFERENCE", ROOT.parent / "shared" / "cloudtrail")) / "gen" / "gen.py"
        options = "--days 30 --accounts 12 --regions 6 --mb 300 --power-share 0.3 --seed 31".split()
        subprocess.run([sys.executable, str(generator), str(corpus), *options], check=True, stdout=subprocess.DEVNULL)
    for processes in (0, 1, 2, 4):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            bench = Bench(program, Path(place), corpus / "AWSLogs")
            try:
                if processes:
                    bench.operators(processes)
                else:
                    print("only passed on:", flush=True)
                    subprocess.run([rate, "pass", bench.broker.address, PREFIX], check=True)
            finally:
                bench.close()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        broker = Broker(Path(place)).start()
        try:
            subprocess.run([rate, "fill", broker.address, PREFIX, str(EVENTS_OF_STATE)], check=True)
            subprocess.run([rate, "restore", broker.address, PREFIX], check=True)
        finally:
            broker.kill()


main()
