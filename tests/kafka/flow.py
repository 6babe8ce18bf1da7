"""A corpus on its way through the processes of a log, while they and their broker suffer what the dice say."""

import os
import random
import signal
import time
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from aws import TrailBucket, becomes, until
from cluster import Cluster, Member
from corpus import Corpus, Digest, rows
from program import DONE, IN_USE, STOP_SECONDS, STORAGE

# So that what a killed source had comes back within the test.
VISIBILITY = {"visibility_timeout": "10s"}
FINISH_SECONDS = 150.0


@dataclass
class Flow:
    """Processes that fold a corpus into tables. It comes through a queue, or into a folder that is listed."""

    cluster: Cluster
    corpus: Corpus
    dice: random.Random
    bucket: TrailBucket | None = None
    left: list[tuple[str, bytes]] = field(default_factory=list)
    ended: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """All is still to be put."""
        self.left = self.corpus.files(self.dice)

    @property
    def folder(self) -> Path:
        """The folder that is listed where there is no queue."""
        return self.cluster.folder / "logs"

    @property
    def source(self) -> dict[str, dict[str, Any]]:
        """Where the corpus comes from, as the configuration says it."""
        if self.bucket is not None:
            return {"source__sqs": VISIBILITY}
        self.folder.mkdir(parents=True, exist_ok=True)
        return {"source": {"kind": "list"}, "source__list": {"places": [str(self.folder)], "interval": "1s", "full_every": "2s"}}

    def start(self, **commands: str) -> "Flow":
        """Starts processes, each by its name and command. The first makes the log."""
        for name, command in commands.items():
            self.cluster.member(name, *command.split(), bucket=self.bucket, **self.source).start()
        return self

    def __getitem__(self, name: str) -> Member:
        """A process."""
        return self.cluster.members[name]

    def put(self, share: float = 1.0) -> None:
        """Puts a share of what is still to be put."""
        now = self.left[: max(1, round(len(self.left) * share))]
        del self.left[: len(now)]
        for key, body in now:
            if self.bucket is not None:
                self.bucket.put(key, body)
            else:
                part = self.cluster.folder / "part"
                part.write_bytes(body)
                (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
                os.rename(part, self.folder / key)

    def moment(self, most: float = 1.0) -> None:
        """Lets a moment pass, of the dice's choice: nothing is waited for."""
        time.sleep(self.dice.uniform(0, most))

    def kill(self, name: str) -> None:
        """Kills a process, if it did not end by itself, and starts it again with what it had. Whether it then comes up is not waited for."""
        member = self[name]
        assert member.process is not None
        member.process.kill()
        if (code := member.process.wait()) != -signal.SIGKILL:
            self._keep(name, code)
        member.process = None
        member.launch()

    def partitions(self, *names: str) -> float:
        """How many partitions processes have, of all tasks."""
        return sum(self[name].metric("cloudigrade_kafka_partitions") for name in names)

    def take_all(self, *names: str) -> None:
        """Waits until processes have all partitions between them. Who folds, or waits for a transaction to end, hears late that it has more."""
        becomes(f"{' and '.join(names)} to have all partitions", lambda: self.partitions(*names), self.cluster.divided, FINISH_SECONDS)

    def shows(self, share: float) -> None:
        """Waits until the tables show a share of all events."""
        table = "power_events"

        def enough() -> bool:
            self.revive()
            rows, all_rows = self.digest()[table][0], self.corpus.digest[table][0]
            assert rows >= share * all_rows, f"{rows} of {all_rows} events are in the tables"
            return True

        until("the tables to show events", enough, FINISH_SECONDS)

    def revive(self) -> None:
        """Starts processes again that ended by themselves, as who supervises them does, and keeps what they ended with."""
        for name, member in self.cluster.members.items():
            if member.process is not None and (code := member.process.poll()) is not None:
                self._keep(name, code)
                # It may end again before it listens, as long as its broker is away.
                member.launch()

    def _keep(self, name: str, code: int) -> None:
        member = self[name]
        member.process = None
        self.ended.append((name, code, "".join(member.log.read_text().splitlines()[-1:])))

    def stop(self, *names: str) -> None:
        """Stops these, or all, as an operator does. Some may learn only now that others have their work."""
        stopping = {name: self[name] for name in names or self.cluster.members}

        def listen() -> bool:
            self.revive()
            return all(member.listens() for member in stopping.values())

        # Who was started just now does not hear yet that it is to stop.
        until(f"{' and '.join(stopping)} to listen", listen, FINISH_SECONDS)
        for name, member in stopping.items():
            assert member.process is not None
            member.process.terminate()
            if (code := member.process.wait(STOP_SECONDS)) != DONE:
                self._keep(name, code)
            member.process = None

    def digest(self) -> Digest:
        """What the tables say."""
        return next(iter(self.cluster.members.values())).digest()

    def finish(self, *, broker_was_away: bool = False) -> None:
        """Waits until the tables say what a plain ingest says, and the queue is empty; then all stop as they are told to."""
        self.put()
        if self.bucket is not None:
            self.bucket.show_hidden()

        def done() -> bool:
            self.revive()
            depth = 0 if self.bucket is None else self.bucket.depth()
            assert depth == 0, f"{depth} messages are in the queue"
            digest = self.digest()
            assert digest == self.corpus.digest, f"{digest} is in the tables and {self.corpus.digest} is wanted"
            return True

        until("the tables to say what a plain ingest says", done, FINISH_SECONDS)
        first = next(iter(self.cluster.members.values()))
        assert first.rows("dead-letters", "list") == []
        self.stop()
        assert self.digest() == self.corpus.digest
        self._tables_are_the_same_bytes()
        self._others_are_told()
        # Who was away for too long says so. From whom the broker was away says what it was about then, perhaps to start, so only its code is
        # known. Nobody fails in any other way.
        allowed = {IN_USE: "this one must stop"} | ({STORAGE: ""} if broker_was_away else {})
        assert all(said.endswith(allowed.get(code, "no such end")) for _, code, said in self.ended), self.ended

    def _tables_are_the_same_bytes(self) -> None:
        """Beside the digest, which is the program's own word: what it prints of the tables is what it prints of a plain ingest's."""
        told = rows(next(iter(self.cluster.members.values())).run)
        for table, wanted in self.corpus.rows.items():
            if told[table] != wanted:
                lines, others = wanted.splitlines(), told[table].splitlines()
                raise AssertionError(f"{table} differs: {[pair for pair in zip_longest(lines, others) if pair[0] != pair[1]][:3]}")

    def _others_are_told(self) -> None:
        """Who consumes the public topics is told of every image, of each thing once, and as is described."""
        told = self.cluster.told_once()
        images = {event.value["image_id"] for event in told["images"]}
        assert len(images) == self.corpus.digest["images"][0], f"{len(images)} images are told of and {self.corpus.digest['images'][0]} are known"
        assert told["inspections"] == told["inspection.findings"] == [], "nobody had anything inspected"
