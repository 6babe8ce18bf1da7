"""What reports must say of the fleet, counted run by run and second by second, without anything of the program's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fractions import Fraction

from fleet_of_nine_days import COUNTS_AS_OPENSHIFT, COUNTS_AS_RHEL, SIZES, Run

IS = {"rhel": COUNTS_AS_RHEL, "openshift": COUNTS_AS_OPENSHIFT}
MIB_PER_GIB = 1024


def moment(text: str) -> datetime:
    """A time in UTC."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def text(of: datetime) -> str:
    """The same as text."""
    return of.strftime("%Y-%m-%dT%H:%M:%SZ")


def days(start: str, end: str) -> list[tuple[str, str]]:
    """The UTC days that a period touches, cut to it."""
    found, at, until = [], moment(start), moment(end)
    while at < until:
        midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        found.append((text(at), text(min(midnight, until))))
        at = midnight
    return found


@dataclass
class Sums:
    """Sums over runs."""

    instances: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    runtime: int = 0
    vcpu: int = 0
    memory_mib: int = 0
    sized: int = 0

    @property
    def vcpu_seconds(self) -> int | None:
        """Null where something ran and nothing of it has a known size."""
        return self.vcpu if self.sized or not self.runtime else None

    @property
    def memory_mib_seconds(self) -> int | None:
        """The same of memory."""
        return self.memory_mib if self.sized or not self.runtime else None

    @property
    def memory_gib_seconds(self) -> Fraction | None:
        """The same in GiB, exactly."""
        return None if self.memory_mib_seconds is None else Fraction(self.memory_mib_seconds, MIB_PER_GIB)


def sums(runs: Iterable[Run], start: str, end: str) -> Sums:
    """Sums over `[start, end)`, which lies in the past."""
    total = Sums()
    for run in runs:
        on, off = max(moment(run.start), moment(start)), moment(end) if run.end is None else min(moment(run.end), moment(end))
        seconds = int((off - on).total_seconds())
        if seconds <= 0:
            continue
        total.instances.add(run.instance)
        total.images.add(run.image)
        total.runtime += seconds
        if run.kind in SIZES:
            vcpu, memory_mib = SIZES[run.kind]
            total.vcpu += vcpu * seconds
            total.memory_mib += memory_mib * seconds
            total.sized += seconds
    return total


def peak(runs: Iterable[Run], start: str, end: str) -> int:
    """The most at once in `[start, end)`: at some run's start, or at the beginning."""
    runs = list(runs)
    looks = {max(run.start, start) for run in runs if run.start < end}
    return max((sum(run.start <= at and (run.end is None or at < run.end) for run in runs) for at in looks), default=0)


def of_product(product: str, counts: dict[str, set[str]] | None = None) -> Callable[[Run], bool]:
    """Whether a run is of a product."""
    images = (counts or IS)[product]
    return lambda run: run.image in images
