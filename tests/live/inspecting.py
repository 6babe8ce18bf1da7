"""A program that inspects, accounts with images that have disks, and what may be left of all that: nothing."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trail
from aws import HUB, REGION, Aws, TrailBucket, until
from cloud import Cloud
from program import Program

AT, UNTIL = "2024-03-01T10:00:00Z", "2024-03-01T13:00:00Z"
ZONE = "us-east-1b"
# Some states wait a quarter of a minute before they look again, and removals another one.
INSPECTED_SECONDS = 240.0
# Each look at the tables is a process.
LOOK_SECONDS = 0.5


@dataclass
class Inspecting:
    """One installation in our own account, and one account of a customer."""

    aws: Aws
    bucket: TrailBucket
    program: Program
    account: str
    folder: Path
    installation: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    queue_url: str = ""

    @property
    def cloud(self) -> Cloud:
        """The customer's account."""
        return Cloud(self.aws, self.bucket, self.account)

    def start(
        self, mode: str = "scanner", scanner: bool = True, tables_every: str = "1s", reconcile_every: str = "2s", **inspection: Any
    ) -> "Inspecting":
        """Configures the program, starts it and registers the account."""
        name = f"findings-{self.installation}"
        self.queue_url = self.aws.client("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
        sections: dict[str, dict[str, Any]] = {
            "accounts": {"read_disks": True, "principal_account": HUB, "reconcile_every": reconcile_every},
            "serve": {"tables_every": tables_every},
            "inspection": {"mode": mode, "installation": self.installation, "batch_wait": "1s", **inspection},
        }
        if scanner:
            sections["inspection__scanner"] = {
                "region": REGION,
                "availability_zone": ZONE,
                "queue_url": self.queue_url,
                "image_id": "ami-0sc0sc0sc0sc0sc01",
                "instance_type": "t3.small",
            }
        self.program.configure(self.bucket, **sections).start()
        self.program.enroll(self.aws, self.account)
        return self

    def image(self, image: str, disk: Path | None = None, **how: Any) -> str:
        """An image, of which an instance ran for three hours."""
        if disk is not None:
            how["disk"] = str(disk)
        self.aws.admin("images", {"account": self.account, "region": REGION, "id": image, "size_gib": 1, **how})
        return image

    def use(self, image: str) -> None:
        """An instance runs from an image for three hours."""
        ids = self.cloud.run(AT, image=image)
        self.cloud_stop(ids)

    def hear_of(self, owners: dict[str, str]) -> None:
        """CloudTrail tells of an instance that ran for three hours from each image, in a file for each account, and EC2 knows it no more."""
        for account in set(owners.values()):
            ids = {image: [f"i-0{image[-16:]}"] for image, owner in owners.items() if owner == account}
            began = [trail.run(account, REGION, trail.seconds(AT), instance, "m5.large", image) for image, instance in ids.items()]
            ended = [trail.change("TerminateInstances", account, REGION, trail.seconds(UNTIL), instance) for instance in ids.values()]
            body = trail.packed(began + ended)
            self.bucket.put(trail.key(account, REGION, trail.seconds(UNTIL) + 300, body), body)

    def cloud_stop(self, ids: list[str]) -> None:
        """Ends instances."""
        cloud = self.cloud
        cloud.truth.update({instance: [(AT, None)] for instance in ids})
        cloud.stop(ids, UNTIL, terminate=True)

    def images(self, *images: str) -> dict[str, dict[str, Any]]:
        """Images as they stand, by their ids."""
        named = ", ".join(f"'{image}'" for image in images)
        return {row["image_id"]: row for row in self.program.sql(f"SELECT * FROM images WHERE image_id IN ({named})")}

    def become(self, wanted: dict[str, tuple[str, bool | None]], seconds: float = INSPECTED_SECONDS) -> dict[str, dict[str, Any]]:
        """Waits until images have a status and a verdict, and gives them."""

        def same() -> dict[str, dict[str, Any]]:
            found = self.images(*wanted)
            seen = {image: (row["status"], row["rhel_detected"]) for image, row in found.items()}
            assert seen == wanted, f"{seen} is seen and {wanted} is wanted: {[row['status_reason'] for row in found.values()]}"
            return found

        return until("the verdicts", same, seconds, every=LOOK_SECONDS)

    def left(self) -> list[tuple[str, str]]:
        """Resources that this installation made and that are still there, in any account, and snapshots that are shared."""
        tagged = [one for one in self.aws.admin("tagged", method="GET") if one["tags"]["cloudigrade-installation"] == self.installation]
        shared = [one for one in self.aws.admin("shared", method="GET") if one["account"] == self.account]
        return [(one["kind"], one["id"]) for one in tagged] + [("sharing", one["id"]) for one in shared]

    def leaves_nothing(self, seconds: float = INSPECTED_SECONDS) -> None:
        """Waits until nothing is left."""

        def nothing() -> bool:
            left = self.left()
            assert not left, f"{left} is left"
            return True

        until("all to be removed", nothing, seconds)

    def scanners(self) -> list[list[str]]:
        """The images of each scanner that was started, of this installation's queue."""
        return [one["images"] for one in self.aws.admin("scanners", method="GET") if self.queue_url in one["script"]]

    def made(self, action: str) -> int:
        """How often something was made, of calls that succeeded."""
        return sum(1 for call in self.aws.calls(action=action) if call["status"] == 200)
