"""Processes that share one log on Kafka, each with a name and a data folder of its own."""

import os
import signal
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import topics
from aws import TrailBucket
from program import Program

# Few, so that a log is made in seconds; what a key's partition is matters to nobody.
PARTITIONS = 4
# What the tasks of operators read: six tasks, of which one reads two topics. Of each, processes divide all partitions among them.
INPUTS = 7
# The shortest that brokers allow by themselves.
SESSION_TIMEOUT = "6s"
# Where no member dies: one that only waits for a busy machine is not taken for dead.
LONG_SESSION_TIMEOUT = "60s"


@dataclass
class Member(Program):
    """One process: `run ROLE...`, or `serve`."""

    name: str = "member"
    tables: str = "tables"
    kafka: dict[str, Any] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """What makes it a member."""
        return {**super().env, "CLOUDIGRADE_LOG": "kafka", "CLOUDIGRADE_TABLES": self.tables}

    def configure(self, bucket: TrailBucket | None = None, **sections: dict[str, Any]) -> "Member":
        """As any program, with the log on Kafka."""
        super().configure(bucket, **{**sections, "kafka": {**self.kafka, **sections.get("kafka", {})}})
        return self

    def digest(self) -> dict[str, tuple[int, str]]:
        """What the tables say, as a number of rows and a hash for each."""
        return {row["table"]: (row["rows"], row["digest"]) for row in self.rows("tables", "digest")}

    def pause(self) -> None:
        """Stops it in the middle of whatever it does, as a machine does that swaps or is moved."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@dataclass
class Cluster:
    """A log of its own in a Kafka cluster, and the processes that have it."""

    folder: Path
    bootstrap: str
    endpoint: str
    partitions: int = PARTITIONS
    prefix: str = field(default_factory=lambda: f"t-{os.getpid()}-{uuid.uuid4().hex[:8]}.")
    members: dict[str, Member] = field(default_factory=dict)
    security: dict[str, Any] = field(default_factory=dict)  # who the members are to the brokers
    replication: int = 1
    in_store: str = ""  # where the tables are, if they are not in the folder
    others: str = ""  # where consumers of others reach the brokers, if it is not where the members do
    session_timeout: str = SESSION_TIMEOUT  # after which others have the work of a member that is not heard of

    def told_once(self) -> dict[str, list[topics.Event]]:
        """What consumers of the public topics are told."""
        return topics.told_once(self.others or self.bootstrap, self.prefix)

    @property
    def divided(self) -> int:
        """How many partitions the processes with operators have between them, of all tasks, once they are divided."""
        return INPUTS * self.partitions

    @property
    def tables(self) -> str:
        """Where the tables are."""
        return self.in_store or str(self.folder / "tables")

    @property
    def kafka(self) -> dict[str, Any]:
        """The section `[kafka]`."""
        # One replica may be away.
        replicas = {"replication": self.replication, "min_in_sync": max(1, self.replication - 1), "session_timeout": self.session_timeout}
        return {"bootstrap": self.bootstrap, "prefix": self.prefix, "partitions": self.partitions, **replicas, **self.security}

    def member(self, name: str, *command: str, bucket: TrailBucket | None = None, **sections: dict[str, Any]) -> Member:
        """A process of that name, configured and not started."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        kafka = {**self.kafka, "member": name}
        member = Member(folder, self.endpoint, command=command or ("serve",), name=name, tables=self.tables, kafka=kafka)
        member.configure(bucket, **sections)
        self.members[name] = member
        return member

    def elsewhere(self, bucket: TrailBucket | None = None) -> Member:
        """For commands on another machine: with a data folder of its own, in which nothing runs."""
        member = Member(self.folder / "elsewhere", self.endpoint, tables=self.tables, kafka=self.kafka)
        member.folder.mkdir(exist_ok=True)
        return member.configure(bucket)

    def end(self) -> None:
        """Leaves nothing behind."""
        for member in self.members.values():
            member.end()
