"""Many inspections with one fault each, in installations side by side: most of an inspection is waiting. Each lane has an emulator, a program and a
customer's account of its own, and inspects one image after the other."""

import json
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from aws import HUB, REGION, Aws, TrailBucket, emulator, until
from conftest import new_account
from inspecting import Inspecting
from points import Fault, Point, points_of
from program import Program

OTHERS = "444455556666"
CASE_SECONDS = 240.0
LOG_CHARS = 6_000
# After so many failures the others tell nothing new.
FAILURES_MAX = 60
SAME = ("status", "status_reason", "rhel", "rhel_detected", "rhel_version", "billing_model")


@dataclass(frozen=True)
class Kind:
    """A kind of inspection."""

    name: str
    is_others: bool = False  # whether the image is somebody else's: it has to be copied
    mode: str = "scanner"
    scanner: str = "works"  # what scanners do in the emulator
    scanners: int = 1  # how many read each image


@dataclass(frozen=True)
class Case:
    """One fault at one point of an inspection; without them nothing goes wrong."""

    kind: Kind
    point: Point | None = None
    fault: Fault | None = None

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.fault} at {self.point}"


@dataclass
class Lane:
    """An installation, and what it inspected."""

    inspecting: Inspecting
    mode: str
    disk: Path
    cases: dict[str, Case] = field(default_factory=dict)
    met: list[Case] = field(default_factory=list)

    @property
    def program(self) -> Program:
        """The program."""
        return self.inspecting.program

    @property
    def aws(self) -> Aws:
        """The lane's own emulator."""
        return self.inspecting.aws

    def inspect(self, case: Case) -> str:
        """Has a fresh image inspected and checks that nothing of it is left. Gives the image."""
        image = f"ami-0{len(self.cases) + 1:016x}"
        self.cases[image] = case
        how = {"owner_id": OTHERS} if case.kind.is_others else {}
        self.inspecting.image(image, self.disk, **how)
        self.aws.admin("scanners", {"mode": case.kind.scanner})
        is_of_queue = case.point is not None and case.point.service == "sqs"
        if is_of_queue:
            # What was asked of the queue for the image before is not to count.
            self.program.kill()
            self.program.start()
        if case.point is not None and case.fault is not None:
            assert self.program.process is not None
            pid = self.program.process.pid
            for rule in case.fault.rules(case.point, self.inspecting.account, self.inspecting.queue_url, pid):
                self.aws.fault(**rule)
        self.inspecting.use(image)
        until(f"the end of the inspection of {image}", lambda: self._is_over(image, is_of_queue), CASE_SECONDS)
        if self._hits():
            self.met.append(case)
        self.aws.admin("faults", method="DELETE")
        left = self.inspecting.left()
        assert not left, f"{left} is left"
        return image

    def _hits(self) -> int:
        return sum(rule["hits"] for rule in self.aws.admin("faults", method="GET"))

    def _is_over(self, image: str, is_of_queue: bool) -> bool:
        """Whether all is done that there was to do. What was killed goes on."""
        process = self.program.process
        if process is not None and process.poll() is not None and self._hits():
            self.program.process = None
            self.program.start()
        if is_of_queue and self._hits():
            # As if the time had passed for which a message is hidden.
            self.aws.admin("hidden-messages", {"account": HUB, "region": REGION, "name": self.inspecting.queue_url.rsplit("/", 1)[1]})
        try:
            at_work = self.program.metric("cloudigrade_inspections") + self.program.metric("cloudigrade_scanners")
        except OSError:
            return False  # it was killed just now
        time.sleep(0.3)
        return at_work == 0 and self.ends(image) != [] and all(end is not None for end in self.ends(image))

    def ends(self, image: str) -> list[str | None]:
        """How each attempt to inspect an image ended; `None` for those that did not."""
        rows = [row for row in self.program.rows("inspections", "list", "--all") if row["image_id"] == image]
        return [row["end"] if row["state"] == "over" else None for row in rows]

    def verify(self, wanted: dict[str, Any]) -> list[str]:
        """What is wrong with the images that were inspected: each is to be as one that was inspected while nothing went wrong, with one verdict from
        one attempt, and read by as many scanners."""
        if not self.cases:
            return []
        self.inspecting.become({image: ("inspected", True) for image in self.cases}, seconds=30)
        rows = self.inspecting.images(*self.cases)
        verdicts = Counter(self.verdicts())
        scanners = Counter(image for images in self.inspecting.scanners() for image in images)
        wrong = []
        for image, case in self.cases.items():
            seen = {name: rows[image][name] for name in SAME}
            told = [
                f"{seen} is not {wanted}" if wanted and seen != wanted else "",
                f"{verdicts[image]} verdicts" if verdicts[image] != 1 else "",
                f"{scanners[image]} scanners" if scanners[image] != case.kind.scanners else "",
                f"attempts that ended {self.ends(image)}" if self.ends(image) != ["found"] else "",
            ]
            if any(told):
                wrong.append(f"{case}: {'; '.join(filter(None, told))}")
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


@contextmanager
def lane(folder: Path, mode: str, disk: Path) -> Iterator[Lane]:
    """An installation of its own, running."""
    folder.mkdir()
    with emulator(folder / "emulator.log") as url:
        aws, program = Aws(url), Program(folder, url)
        try:
            inspecting = Inspecting(aws, TrailBucket.make(aws), program, new_account(), folder)
            inspecting.start(mode, scanner=mode == "scanner", batch_size=1, retry_after="1s")
            yield Lane(inspecting, mode, disk)
        finally:
            program.end()


def record(folder: Path, kind: Kind, disk: Path) -> tuple[list[Point], dict[str, Any]]:
    """The points of an inspection in which nothing goes wrong, and what the image is then."""
    with lane(folder, kind.mode, disk) as one:
        one.aws.admin("calls", method="DELETE")
        image = one.inspect(Case(kind))
        points = points_of(one.aws.calls(), one.inspecting.queue_url)
        wrong = one.verify({})
        assert not wrong, wrong
        row = one.inspecting.images(image)[image]
        return points, {name: row[name] for name in SAME}


@dataclass
class Race:
    """All cases, by lanes that each take the next one of their mode."""

    folder: Path
    disk: Path
    waiting: dict[str, deque[Case]]
    wanted: dict[str, Any]
    met: list[Case] = field(default_factory=list)
    not_met: list[Case] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, lanes: dict[str, int]) -> "Race":
        """Runs so many lanes of each mode until all cases are over."""
        modes = [mode for mode, number in lanes.items() for _ in range(number)]
        with ThreadPoolExecutor(len(modes)) as pool:
            for done in [pool.submit(self._drive, mode) for mode in modes]:
                done.result()
        return self

    def _drive(self, mode: str) -> None:
        """One lane after the other: where something went wrong the next case has a new one."""
        while self.waiting[mode] and len(self.failures) < FAILURES_MAX:
            with lane(self.folder / f"lane-{next(self.numbers)}", mode, self.disk) as one:
                self._drive_one(one)

    def _drive_one(self, one: Lane) -> None:
        case: Case | str = "at the end"
        try:
            while (case := self._next(one.mode)) != "at the end" and len(self.failures) < FAILURES_MAX:
                assert isinstance(case, Case)
                begun = time.monotonic()
                one.inspect(case)
                self._note(f"{time.monotonic() - begun:5.1f} s {case}")
            self.failures += one.verify(self.wanted)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is told with the case
            log = one.program.log.read_text()[-LOG_CHARS:]
            self._note(f"{case}: {type(error).__name__}: {error}")
            self.failures.append(f"{case}: {type(error).__name__}: {error}\n{log}")
        self.met += one.met
        self.not_met += [one_case for one_case in one.cases.values() if one_case not in one.met]

    def _note(self, line: str) -> None:
        """What became of each case, for whoever wants to know what takes long."""
        with (self.folder / "cases.log").open("a") as file:
            file.write(f"{line}\n")

    def _next(self, mode: str) -> Case | str:
        try:
            return self.waiting[mode].popleft()
        except IndexError:
            return "at the end"
