"""A corpus on its way through the processes of a log, while they and their broker suffer what the dice say."""

import random
import time
from dataclasses import dataclass, field

from aws import TrailBucket, until
from cluster import Cluster, Member
from corpus import Corpus, Digest

# So that what a killed source had comes back within the test.
VISIBILITY = {"visibility_timeout": "10s"}
FINISH_SECONDS = 150.0


@dataclass
class Flow:
    """Processes that fold what a queue tells of into tables."""

    cluster: Cluster
    bucket: TrailBucket
    corpus: Corpus
    dice: random.Random
    files: list[tuple[str, bytes]] = field(default_factory=list)
    ended: list[tuple[str, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """All is still to be put."""
        self.files = self.corpus.files(self.dice)

    def start(self, **commands: str) -> "Flow":
        """Starts processes, each by its name and command. The first makes the log."""
        for name, command in commands.items():
            self.cluster.member(name, *command.split(), bucket=self.bucket, source__sqs=VISIBILITY).start()
        return self

    def __getitem__(self, name: str) -> Member:
        """A process."""
        return self.cluster.members[name]

    def put(self, share: float = 1.0) -> None:
        """Puts a share of what is still to be put."""
        now = self.files[: max(1, round(len(self.files) * share))]
        del self.files[: len(now)]
        for key, body in now:
            self.bucket.put(key, body)

    def moment(self, most: float = 1.5) -> None:
        """Lets a moment pass, of the dice's choice: nothing is waited for."""
        time.sleep(self.dice.uniform(0, most))

    def kill(self, name: str) -> None:
        """Kills a process, and starts it again with what it had, without waiting until it is ready."""
        self[name].kill()
        self[name].start(ready=False)

    def revive(self) -> None:
        """Starts processes again that ended by themselves, as who supervises them does, and keeps what they ended with."""
        for name, member in self.cluster.members.items():
            if member.process is not None and (code := member.process.poll()) is not None:
                member.process = None
                self.ended.append((name, code, member.log.read_text()[-2000:]))
                member.start(ready=False)

    def digest(self) -> Digest:
        """What the tables say."""
        return next(iter(self.cluster.members.values())).digest()

    def finish(self, seconds: float = FINISH_SECONDS) -> None:
        """Waits until the queue is empty and the tables say what a plain ingest says; then all stop as they are told to."""
        self.put()

        def drained() -> bool:
            self.revive()
            depth = self.bucket.depth()
            assert depth == 0, f"{depth} messages are in the queue"
            return True

        self.bucket.show_hidden()
        until("the queue to be empty", drained, seconds)

        def same() -> bool:
            self.revive()
            digest = self.digest()
            assert digest == self.corpus.digest, f"{digest} is in the tables and {self.corpus.digest} is wanted"
            return True

        until("the tables to say what a plain ingest says", same, seconds)
        for member in self.cluster.members.values():
            member.stop()
        assert self.digest() == self.corpus.digest
