"""Inspections that take minutes, most of them waiting: all at the same time, each with an AWS and a program of its own.

Two hundred images are inspected in batches of sizes at which images were lost before: each is read once, and none falls between two batches. The
program calls AWS no faster than an account lets it, and sharing two hundred snapshots takes its time. And scanners that never answer are given up
one after the other."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import lookalike
import pytest
from aws import Aws, TrailBucket, emulator, until
from conftest import new_account
from inspecting import Inspecting
from program import Program

SIZES = (9, 10, 11, 31, 32, 33)
IMAGES = 200
# Sharing a snapshot is a call a second in each account.
ACCOUNTS = 10
# A volume waits for others for so long: longer than it takes to make as many as the largest batch has.
BATCH_WAIT_SECONDS = 90
ATTEMPTS = 5
ALL_SECONDS = 1200.0
T = TypeVar("T")


@dataclass(frozen=True)
class Ran:
    """What came of all images in batches of one size."""

    images: list[str]
    attempts: list[tuple[str, int]]  # of each inspection, the image and the number of the attempt
    batches: list[list[str]]
    made: dict[str, int]
    seconds: float


def apart(folder: Path, what: Callable[[Inspecting], T]) -> T:
    """Does something in an AWS, and with a program that was not started, which both end with it."""
    folder.mkdir()
    with emulator(folder / "emulator.log", "--keep-alive") as url:
        program = Program(folder, url)
        try:
            return what(Inspecting(aws := Aws(url), TrailBucket.make(aws), program, new_account(), folder))
        finally:
            program.end()


def ends(inspecting: Inspecting, count: int, seconds: float = ALL_SECONDS) -> None:
    """Waits until so many attempts are over."""

    def all_over() -> bool:
        over = inspecting.program.metric("cloudigrade_inspection_ends_total")
        assert over >= count, f"{over} of {count} inspections are over"
        return True

    until("all inspections to be over", all_over, seconds, every=1.0)


def in_batches(size: int, disks: dict[bool, Path], inspecting: Inspecting) -> Ran:
    """Has all images inspected, from the first word of them to their verdicts and the last removal."""
    program, accounts = inspecting.program, [inspecting.account, *(new_account() for _ in range(ACCOUNTS - 1))]
    owners = {f"ami-0ba7c4{size:02d}{number:09d}": accounts[number % ACCOUNTS] for number in range(IMAGES)}
    is_rhel = {image: number % 2 == 1 for number, image in enumerate(owners)}
    for image, account in owners.items():
        inspecting.image(image, disks[is_rhel[image]], account=account)
    wait = f"{BATCH_WAIT_SECONDS}s"
    inspecting.start(reconcile_every="30s", batch_size=size, batch_wait=wait, at_once=IMAGES, scanners_at_once=20)
    for account in accounts[1:]:
        program.enroll(inspecting.aws, account)
    begin = time.monotonic()
    inspecting.hear_of(owners)
    ends(inspecting, IMAGES)
    inspecting.leaves_nothing()
    seconds = time.monotonic() - begin
    inspecting.become({image: ("inspected", is_rhel[image]) for image in owners})
    attempts = [(one["image_id"], one["attempt"]) for one in program.rows("inspections", "list", "--all")]
    made = Counter(call["action"] for call in inspecting.aws.calls(service="ec2") if call["status"] == 200)
    program.stop()
    return Ran(list(owners), attempts, inspecting.scanners(), made, seconds)


def in_silence(disks: dict[bool, Path], inspecting: Inspecting) -> None:
    """Has an image inspected by scanners of which none answers, until it is given up; and then by one that does."""
    aws, program, image = inspecting.aws, inspecting.program, inspecting.image("ami-0ba7c400000000000", disks[True])
    aws.admin("scanners", {"mode": "silent"})
    inspecting.start(retry_after="1s", scan_limit="60s")
    inspecting.hear_of({image: inspecting.account})
    ends(inspecting, ATTEMPTS)
    row = inspecting.become({image: ("error", None)})[image]
    assert "sent no findings" in row["status_reason"] and "images inspect" in row["status_reason"], row["status_reason"]
    inspecting.leaves_nothing()
    attempts = [(one["attempt"], one["state"], one["end"].split(":")[0]) for one in program.rows("inspections", "list", "--all")]
    assert sorted(attempts) == [(number, "over", "failed") for number in range(1, ATTEMPTS + 1)]
    assert inspecting.scanners() == [[image]] * ATTEMPTS
    aws.admin("scanners", {"mode": "works"})
    program.run("images", "inspect", image, "--yes")
    inspecting.become({image: ("inspected", True)})
    inspecting.leaves_nothing()
    assert inspecting.scanners() == [[image]] * (ATTEMPTS + 1)
    program.stop()


@dataclass(frozen=True)
class Runs:
    """All that runs at the same time."""

    batches: dict[int, Future[Ran]]
    silence: Future[None]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Started together."""
    folder = tmp_path_factory.mktemp("at-once")
    disks = {True: lookalike.disk(folder, "rhel", lookalike.RHEL), False: lookalike.disk(folder, "debian", lookalike.DEBIAN)}
    with ThreadPoolExecutor(len(SIZES) + 1) as at_once:
        batches = {size: at_once.submit(apart, folder / f"batches-of-{size}", partial(in_batches, size, disks)) for size in SIZES}
        yield Runs(batches, at_once.submit(apart, folder / "silence", partial(in_silence, disks)))


@pytest.mark.parametrize("size", SIZES)
def test_two_hundred_images_at_once_are_read_once_each_and_none_is_lost_between_batches(runs: Runs, size: int) -> None:
    ran = runs.batches[size].result()
    print(f"batches of {size}: {ran.seconds:.0f} s, {[len(batch) for batch in ran.batches]}, {json.dumps(ran.made)}")
    assert sorted(ran.attempts) == sorted((image, 1) for image in ran.images)
    assert sorted(image for batch in ran.batches for image in batch) == sorted(ran.images)
    assert max(map(len, ran.batches)) <= size
    assert (ran.made["CopySnapshot"], ran.made["CreateVolume"], ran.made["RunInstances"]) == (IMAGES, IMAGES, len(ran.batches))
    # What is not full is all that was ready when the first of it had waited for so long: it is so long since the one before, or the begin.
    assert sum(len(batch) < size for batch in ran.batches) <= ran.seconds // BATCH_WAIT_SECONDS


def test_scanners_that_never_answer_are_removed_each_and_after_five_attempts_the_image_is_in_error_until_somebody_asks(runs: Runs) -> None:
    runs.silence.result()
