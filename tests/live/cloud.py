"""An account in which things happen: in the emulator's EC2, at times of the test's choice, and as CloudTrail tells of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trail
from aws import REGION, Aws, TrailBucket

IMAGE = "ami-0aa0aa0aa0aa0aa01"


@dataclass
class Cloud:
    """One account and region."""

    aws: Aws
    bucket: TrailBucket
    account: str
    region: str = REGION
    truth: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)

    def deliver(self, record: dict[str, Any], **more: Any) -> str:
        """A file with one record, and where it is."""
        body = trail.packed([record])
        key = trail.key(self.account, self.region, trail.seconds(record["eventTime"]) + 300, body)
        self.bucket.put(key, body, **more)
        return key

    def run(self, at: str, count: int = 1, instance_type: str = "m5.large", told: bool = True, image: str = IMAGE) -> list[str]:
        """Runs instances at a time, of which CloudTrail tells unless it does not."""
        with self._at(at):
            ids = self.aws.run(self.account, self.region, count, instance_type, image)
        self.truth.update({instance: [(at, None)] for instance in ids})
        if told:
            self.deliver(trail.run(self.account, self.region, trail.seconds(at), ids, instance_type, image))
        return ids

    def start(self, ids: list[str], at: str, told: bool = True) -> None:
        """Starts stopped instances."""
        with self._at(at):
            self.aws.client("ec2", self.account, self.region).start_instances(InstanceIds=ids)
        for instance in ids:
            self.truth[instance].append((at, None))
        if told:
            self.deliver(trail.change("StartInstances", self.account, self.region, trail.seconds(at), ids))

    def stop(self, ids: list[str], at: str, told: bool = True, terminate: bool = False) -> None:
        """Stops instances, or terminates them. EC2 tells when in its own words."""
        ec2 = self.aws.client("ec2", self.account, self.region)
        with self._at(at):
            (ec2.terminate_instances if terminate else ec2.stop_instances)(InstanceIds=ids)
        for instance in ids:
            self._close(instance, at)
        if told:
            name = "TerminateInstances" if terminate else "StopInstances"
            self.deliver(trail.change(name, self.account, self.region, trail.seconds(at), ids))

    @contextmanager
    def _at(self, at: str) -> Iterator[None]:
        """Sets the account's clock, so that no description ever shows another time."""
        self.aws.admin("clock", {"account": self.account, "at": at})
        yield
        self.aws.admin("clock", {"account": self.account, "at": None})

    def shut_down(self, instance: str) -> None:
        """The machine shuts itself down: no call, no record, and no time in EC2's words."""
        reason = {"code": "Client.InstanceInitiatedShutdown", "message": "Client.InstanceInitiatedShutdown: Instance initiated shutdown"}
        self.aws.change_instance(self.account, instance, self.region, state="stopped", reason="", state_reason=reason)

    def reclaim(self, instance: str, at: str | None) -> None:
        """Spot takes an instance back, without a record."""
        reason = {"code": "Server.SpotInstanceTermination", "message": "Server.SpotInstanceTermination: Spot instance termination"}
        words = "" if at is None else f"Server.SpotInstanceTermination ({at[:10]} {at[11:19]} GMT)"
        how = {"state": "terminated", "reason": words, "state_reason": reason, "lifecycle": "spot"}
        self.aws.change_instance(self.account, instance, self.region, **how)
        if at is not None:
            self._close(instance, at)

    def _close(self, instance: str, at: str) -> None:
        on, off = self.truth[instance][-1]
        if off is None:
            self.truth[instance][-1] = (on, at)
