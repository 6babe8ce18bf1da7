"""Many inspections with one fault each, in installations side by side: most of an inspection is waiting. Each lane has an emulator, a program and a
customer's account of its own, and inspects one image after the other."""

import json
import re
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import count
from pathlib import Path
from threading import Semaphore
from typing import Any

from aws import HUB, REGION, Aws, TrailBucket, emulator, until
from conftest import new_account
from inspecting import Inspecting
from points import Fault, Point, points_of
from program import Program

OTHERS = "444455556666"
# How often a point is tried at which the inspection did not come by: how often something is looked at is not always the same.
TRIES_MAX = 3
CASE_SECONDS = 240.0
TABLES_SECONDS = 30.0
LOOK_SECONDS = 0.8
AT_WORK = re.compile(r"^cloudigrade_(?:inspections|scanners)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)
# Lanes that start at the same time.
STARTS_MAX = 3
LOG_CHARS = 6_000
# After so many failures the others tell nothing new.
FAILURES_MAX = 12
SAME = ("status", "status_reason", "rhel", "rhel_detected", "rhel_version", "billing_model")


@dataclass(frozen=True)
class Kind:
    """A kind of inspection."""

    name: str
    is_others: bool = False  # whether the image is somebody else's: it has to be copied
    mode: str = "scanner"
    scanner: str = "works"  # what scanners do in the emulator
    scanners: int = 1  # how many read each image
    looks: int = 0  # how often AWS is looked at before something is ready


@dataclass(frozen=True)
class Case:
    """One fault at one point of an inspection."""

    kind: Kind
    point: Point
    fault: Fault

    @property
    def is_of_queue(self) -> bool:
        """Whether it is about the findings' queue, which keeps what is asked of it for a while."""
        return self.point.service == "sqs"

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.fault} at {self.point}"


@dataclass
class Lane:
    """An installation, and what it inspected."""

    inspecting: Inspecting
    mode: str
    disk: Path
    inspected: dict[str, tuple[Kind, Case | None]] = field(default_factory=dict)
    met: list[Case] = field(default_factory=list)

    @property
    def program(self) -> Program:
        """The program."""
        return self.inspecting.program

    @property
    def aws(self) -> Aws:
        """The lane's own emulator."""
        return self.inspecting.aws

    def meet(self, case: Case) -> None:
        """Has a fresh image inspected while something goes wrong."""
        if case.is_of_queue:
            # What was asked of the queue for the image before is not to count.
            self.program.kill()
            self.program.start()
        assert self.program.process is not None
        for rule in case.fault.rules(case.point, self.inspecting.account, self.inspecting.queue_url, self.program.process.pid):
            self.aws.fault(**rule)
        self.inspect(case.kind, case)
        if self._hits():
            self.met.append(case)
        self.aws.admin("faults", method="DELETE")

    def inspect(self, kind: Kind, case: Case | None = None) -> str:
        """Has a fresh image inspected and checks that nothing of it is left. Gives the image."""
        image = f"ami-0{len(self.inspected) + 1:016x}"
        self.inspected[image] = (kind, case)
        how = {"owner_id": OTHERS} if kind.is_others else {}
        self.inspecting.image(image, self.disk, **how)
        self.aws.admin("scanners", {"mode": kind.scanner})
        self.aws.admin("disks", {"looks": kind.looks})
        self.inspecting.use(image)
        is_of_queue = case is not None and case.is_of_queue
        until(f"the end of the inspection of {image}", lambda: self._is_over(image, is_of_queue), CASE_SECONDS, LOOK_SECONDS)
        left = self.inspecting.left()
        assert not left, f"{left} is left"
        return image

    def _hits(self) -> int:
        return sum(rule["hits"] for rule in self.aws.admin("faults", method="GET"))

    def _is_over(self, image: str, is_of_queue: bool) -> bool:
        """Whether all is done that there was to do. What was killed goes on."""
        process = self.program.process
        if (process is None or process.poll() is not None) and self._hits():
            self.program.process = None
            self.program.start()
        if is_of_queue and self._hits():
            # As if the time had passed for which a message is hidden.
            self.aws.admin("hidden-messages", {"account": HUB, "region": REGION, "name": self.inspecting.queue_url.rsplit("/", 1)[1]})
        try:
            at_work = sum(float(number) for number in AT_WORK.findall(self.program.get("metrics")[1]))
        except (OSError, HTTPException, RuntimeError):
            # It is just being killed; of anything else it has not died.
            if not self._hits():
                raise
            return False
        ends = self.ends(image) if at_work == 0 else []
        return ends != [] and all(end is not None for end in ends)

    def ends(self, image: str) -> list[str | None]:
        """How each attempt to inspect an image ended; `None` for those that did not."""
        rows = [row for row in self.program.rows("inspections", "list", "--all") if row["image_id"] == image]
        return [row["end"] if row["state"] == "over" else None for row in rows]

    def verify(self, wanted: dict[str, Any]) -> list[str]:
        """What is wrong with the images that were inspected: each is to be as one that was inspected while nothing went wrong, with one verdict from
        one attempt, and read by as many scanners."""
        with suppress(AssertionError):
            # The tables come after the log.
            until("all to be as it is to be", lambda: not self._wrong(wanted), TABLES_SECONDS, every=1.0)
        return self._wrong(wanted)

    def _wrong(self, wanted: dict[str, Any]) -> list[str]:
        rows = self.inspecting.images(*self.inspected) if self.inspected else {}
        verdicts = Counter(self.verdicts())
        scanners = Counter(image for images in self.inspecting.scanners() for image in images)
        attempts = self.program.rows("inspections", "list", "--all")
        wrong = []
        for image, (kind, case) in self.inspected.items():
            row = rows.get(image, {})
            seen = {name: row.get(name) for name in SAME}
            ends = [attempt["end"] for attempt in attempts if attempt["image_id"] == image]
            told = [
                f"{seen} is not {wanted}" if seen != wanted else "",
                f"{verdicts[image]} verdicts" if verdicts[image] != 1 else "",
                f"{scanners[image]} scanners" if scanners[image] != kind.scanners else "",
                f"attempts that ended {ends}" if ends != ["found"] else "",
            ]
            if any(told):
                wrong.append(f"{case or kind.name}: {image}: {'; '.join(filter(None, told))}")
        return wrong

    def verdicts(self) -> list[str]:
        """The images that findings were told of, one for each time."""
        return [image for record in self.records("inspection.findings") for image in record["value"]["images"]]

    def records(self, topic: str) -> list[dict[str, Any]]:
        """All records of a topic."""
        printed = self.program.run("tail", topic, "--no-follow", "--last", 100_000, "--format", "json").stdout.decode().strip()
        found = []
        while printed:
            record, end = json.JSONDecoder().raw_decode(printed)
            found.append(record)
            printed = printed[end:].lstrip()
        return found


STARTING = Semaphore(STARTS_MAX)


@contextmanager
def lane(folder: Path, mode: str, disk: Path) -> Iterator[Lane]:
    """An installation of its own, running."""
    folder.mkdir()
    with ExitStack() as stack:
        with STARTING:
            aws = Aws(stack.enter_context(emulator(folder / "emulator.log")))
            program = Program(folder, aws.url)
            stack.callback(program.end)
            inspecting = Inspecting(aws, TrailBucket.make(aws), program, new_account(), folder)
            inspecting.start(mode, scanner=mode == "scanner", batch_size=1, retry_after="1s", tables_every="5s")
        yield Lane(inspecting, mode, disk)


def record(folder: Path, kind: Kind, disk: Path) -> tuple[list[Point], dict[str, Any]]:
    """The points of an inspection in which nothing goes wrong, and what the image is then."""
    with lane(folder, kind.mode, disk) as one:
        one.aws.admin("calls", method="DELETE")
        image = one.inspect(kind)
        points = points_of(one.aws.calls(), one.inspecting.queue_url)
        row = one.inspecting.become({image: ("inspected", True)}, TABLES_SECONDS)[image]
        wanted = {name: row[name] for name in SAME}
        wrong = one.verify(wanted)
        assert not wrong, wrong
        return points, wanted


@dataclass
class Race:
    """All cases, by lanes that each take the next one of their mode."""

    folder: Path
    disk: Path
    waiting: dict[str, deque[Case]]
    wanted: dict[str, Any]
    met: set[Case] = field(default_factory=set)
    not_met: set[Case] = field(default_factory=set)
    tries: Counter[Case] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, lanes: dict[str, int]) -> "Race":
        """Runs so many lanes of each mode until all cases are over."""
        modes = [mode for mode, number in lanes.items() for _ in range(number)]
        with ThreadPoolExecutor(len(modes)) as pool:
            try:
                for done in [pool.submit(self._drive, mode) for mode in modes]:
                    done.result()
            finally:
                # Whoever interrupts this waits for the cases that were begun, and for no others.
                for cases in self.waiting.values():
                    cases.clear()
        self.not_met -= self.met
        return self

    def _drive(self, mode: str) -> None:
        """One lane after the other: where something went wrong the next case has a new one."""
        while self.waiting[mode] and len(self.failures) < FAILURES_MAX:
            folder = self.folder / f"lane-{next(self.numbers)}"
            try:
                with lane(folder, mode, self.disk) as one:
                    self._drive_one(one)
            except Exception as error:  # what keeps a lane from starting keeps its cases from being tried
                self._fail(f"{folder.name}, {mode}", error, "")
                return

    def _drive_one(self, one: Lane) -> None:
        what = "at the beginning"
        try:
            while len(self.failures) < FAILURES_MAX and (case := self._next(one.mode)) is not None:
                what, begun = str(case), time.monotonic()
                one.meet(case)
                self.tries[case] += 1
                if case not in one.met and self.tries[case] < TRIES_MAX:
                    self.waiting[one.mode].append(case)
                self._note(f"{time.monotonic() - begun:5.1f} s {case}")
        except Exception as error:  # whatever it is, it is told with the case
            self._fail(what, error, one.program.log.read_text()[-LOG_CHARS:])
        for wrong in one.verify(self.wanted):
            self._note(wrong)
            self.failures.append(wrong)
        self.met.update(one.met)
        self.not_met.update(case for _, case in one.inspected.values() if case is not None)

    def _next(self, mode: str) -> Case | None:
        try:
            return self.waiting[mode].popleft()
        except IndexError:
            return None

    def _fail(self, what: str, error: Exception, log: str) -> None:
        self._note(f"{what}: {type(error).__name__}: {error}")
        self.failures.append(f"{what}: {type(error).__name__}: {error}\n{log}")

    def _note(self, line: str) -> None:
        """What became of each case, for whoever wants to know what takes long."""
        with (self.folder / "cases.log").open("a") as file:
            file.write(f"{line}\n")
