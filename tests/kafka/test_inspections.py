"""Workers that take inspections over from one another: dead ones, and ones that stood still. Each image is read once, has one verdict, and nothing is left."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lookalike
import pytest
import topics
from aws import Aws, TrailBucket, becomes, emulator, until
from cluster import Cluster, Member
from conftest import new_account
from inspecting import INSPECTED_SECONDS, Inspecting
from program import IN_USE, STOP_SECONDS

OTHERS = "444455556666"
WORKERS = ("left", "right")
# What was just done for some image when another worker takes over, in the order in which inspections come to it.
STEPS = ("CopyImage", "ModifySnapshotAttribute", "CopySnapshot", "CreateVolume", "RunInstances", "DeleteSnapshot")


@dataclass
class Workers:
    """Two workers, of which the one that was started last works, beside a process that does everything else."""

    inspecting: Inspecting
    cluster: Cluster
    disks: dict[bool, Path]
    wanted: dict[str, tuple[str, bool | None]] = field(default_factory=dict)
    at_work: Member = field(init=False)

    def __post_init__(self) -> None:
        """One is at work."""
        self.inspecting.start()
        config = self.inspecting.program.config
        sections = {name: config[name] for name in ("accounts", "inspection", "inspection.scanner")}
        first, _ = (self.cluster.member(name, "run", "inspect", **sections) for name in WORKERS)
        self.at_work = first.start()

    def use(self, *owners: str) -> None:
        """More images are used, each with its owner; what is on their disks differs in turn."""
        images = [f"ami-0aa2aa2aa2aa2a{len(self.wanted) + number:03d}" for number in range(len(owners))]
        for image, owner in zip(images, owners, strict=True):
            is_rhel = len(self.wanted) % 2 == 0
            self.inspecting.image(image, self.disks[is_rhel], owner_id=owner)
            self.wanted[image] = ("inspected", is_rhel)
        self.inspecting.hear_of(dict.fromkeys(images, self.inspecting.account))

    def use_until(self, action: str) -> None:
        """An image of the account's own and one of others are used, and the worker has done something for one of them."""
        before = self.inspecting.made(action)
        self.use(self.inspecting.account, OTHERS)
        until(f"{action} to be called", lambda: self.inspecting.made(action) > before, INSPECTED_SECONDS)

    def take_over(self) -> Member:
        """Starts the other worker, whatever the one at work does; gives the one that was."""
        was, self.at_work = self.at_work, next(self.cluster.members[name] for name in WORKERS if name != self.at_work.name)
        self.at_work.start()
        return was

    def ends(self) -> list[tuple[str, int, str, str | None]]:
        """Image, number, state and end of each attempt, as the topic has them."""
        attempts = {event.key: event.value for event in topics.read(self.cluster.bootstrap, self.cluster.prefix, "inspections")}
        return sorted((said["image_id"], said["attempt"], said["state"], said.get("end", {}).get("kind")) for said in attempts.values())

    def end_with_one_verdict_each(self) -> None:
        """Waits until all images were inspected, and holds what was said and done of them against what is to be."""
        inspecting, cluster = self.inspecting, self.cluster
        inspecting.become(self.wanted, seconds=2 * INSPECTED_SECONDS)
        inspecting.leaves_nothing()
        once = sorted((image, 1, "over", "found") for image in self.wanted)
        # That nothing is left any more, the worker has still to see and to say.
        becomes("each image to be inspected by one attempt", self.ends, once)
        self.at_work.stop()
        found = [
            (image, said["is_rhel"])
            for event in topics.read(cluster.bootstrap, cluster.prefix, "inspection.findings")
            for image, said in event.value["images"].items()
        ]
        assert sorted(found) == sorted((image, is_rhel) for image, (_, is_rhel) in self.wanted.items()), "each disk is told of once"
        assert sorted(image for batch in inspecting.scanners() for image in batch) == sorted(self.wanted), "each disk is read once"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """An emulator whose connections stay: what a worker that comes back does at once depends on whether it has one."""
    with emulator(tmp_path_factory.mktemp("emulator") / "log", "--keep-alive") as url:
        yield Aws(url)


@pytest.fixture
def workers(cluster: Cluster, aws: Aws, bucket: TrailBucket, tmp_path: Path) -> Workers:
    """Two workers, of which one is at work."""
    everything_else = cluster.member("else", "run", "source", "operators", "sink", "api")
    disks = {True: lookalike.disk(tmp_path, "rhel", lookalike.RHEL), False: lookalike.disk(tmp_path, "debian", lookalike.DEBIAN)}
    return Workers(Inspecting(aws, bucket, everything_else, new_account(), tmp_path), cluster, disks)


def is_fenced(worker: Member) -> None:
    """Waits until a worker has ended by itself, as the documents say of one whose work another has."""
    assert worker.process is not None
    code, worker.process = worker.process.wait(STOP_SECONDS), None
    said = worker.log.read_text()
    assert code == IN_USE and "inspect was taken over by another process" in said.splitlines()[-1], f"{worker.name} ended with {code}:\n{said}"


def test_of_two_workers_the_later_goes_on_and_the_other_ends_and_when_that_is_killed_the_other_goes_on(workers: Workers) -> None:
    for step in STEPS:
        workers.use_until(step)
        is_fenced(workers.take_over())
        workers.at_work.kill()
        workers.take_over()
    workers.end_with_one_verdict_each()


def test_a_worker_that_stood_still_until_another_had_its_work_comes_back_ends_and_does_no_harm(workers: Workers) -> None:
    for step in STEPS:
        workers.use_until(step)
        workers.at_work.pause()
        was = workers.take_over()
        until("the other worker to take a step", lambda: workers.at_work.metric("cloudigrade_inspection_steps_total") > 0)
        was.go_on()
        is_fenced(was)
    workers.end_with_one_verdict_each()


def test_a_worker_that_stood_still_until_another_had_ended_its_work_leaves_nothing_behind(workers: Workers) -> None:
    workers.use(*[workers.inspecting.account] * 6)
    # Sharing is a call a second, so others wait for their turn now.
    until("a snapshot to be shared", lambda: workers.inspecting.made("ModifySnapshotAttribute") > 0, INSPECTED_SECONDS)
    workers.at_work.pause()
    was = workers.take_over()
    workers.inspecting.become(workers.wanted)
    workers.inspecting.leaves_nothing()
    was.go_on()
    is_fenced(was)
    workers.end_with_one_verdict_each()
