"""The calls that an inspection makes, taken from one that was recorded, and all that can go wrong at each of them."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aws import HUB

# More often than the SDK tries by itself.
SDK_ATTEMPTS = 4
# What the calls of an inspection are told apart from: those of whoever collects accounts, and the signing in.
FLEET = {"DescribeRegions", "DescribeInstances", "RunInstances", "TerminateInstances"}
SERVICES = {"ec2", "ebs", "sqs"}
# What differs from call to call of the same kind, or is long.
UNTOLD = re.compile(r"Action|Version|ClientToken|Description|Name|UserData|MaxResults|TagSpecification\..*|Placement\..*|BlockDeviceMapping\..*")
WORDS = re.compile(r"[A-Za-z:-]{1,40}")
READS = re.compile(r"Describe|Get|List")
KINDS = {"Image": "InvalidAMIID", "Snapshot": "InvalidSnapshot", "Volume": "InvalidVolume", "Instance": "InvalidInstanceID"}
SOURCES = {"CreateVolume": "InvalidSnapshot", "RunInstances": "InvalidAMIID"}


@dataclass(frozen=True)
class Point:
    """The so-and-so-manieth call of a kind since an image was first used: in which account it is made, and how its parameters are, where they are the
    same for all images."""

    service: str
    action: str
    is_ours: bool
    params: tuple[tuple[str, Any], ...]
    number: int

    @property
    def changes(self) -> bool:
        """Whether the call leaves anything else than it was."""
        return READS.match(self.action) is None

    def rule(self, account: str, queue_url: str, **what: Any) -> dict[str, Any]:
        """A rule that does something at this point, in an installation with this customer's account and queue."""
        params = dict(self.params)
        if "QueueUrl" in params:
            params["QueueUrl"] = queue_url
        where = HUB if self.is_ours else account
        return {"service": self.service, "action": self.action, "account": where, "params": params, "skip": self.number - 1, **what}

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.params if value is not None)
        where = "our account" if self.is_ours else "the customer's account"
        return f"{self.service}:{self.action}({told}) no. {self.number} in {where}"


def points_of(calls: Iterable[dict[str, Any]], queue_url: str) -> list[Point]:
    """The points of an inspection that was recorded, from the first call on that is its own."""
    seen: Counter[tuple[Any, ...]] = Counter()
    points: list[Point] = []
    is_described = False
    for call in calls:
        is_ours = call["account"] == HUB
        if not _is_of_inspections(call, is_ours, queue_url):
            continue
        kind = (call["service"], call["action"], is_ours, _params(call["params"]))
        seen[kind] += 1
        # Until the account's images are described there is nothing to inspect.
        if is_described:
            points.append(Point(*kind, number=seen[kind]))
        is_described = True
    return points


def _is_of_inspections(call: dict[str, Any], is_ours: bool, queue_url: str) -> bool:
    if call["service"] not in SERVICES or (not is_ours and call["action"] in FLEET):
        return False
    return call["service"] != "sqs" or call["params"].get("QueueUrl") == queue_url


def _params(params: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Parameters that tell calls apart; `None` for a value that is another one for each image."""

    def value(given: Any) -> Any:
        return given if not isinstance(given, str) or WORDS.fullmatch(given) else None

    return tuple(sorted((name, value(given)) for name, given in params.items() if not UNTOLD.fullmatch(name)))


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong once."""

    name: str
    kills: bool = False

    def rules(self, point: Point, account: str, queue_url: str, pid: int) -> list[dict[str, Any]]:
        """What the emulator is told, to have it go wrong at a point."""
        match self.name:
            case "killed before":
                harm: list[dict[str, Any]] = [{"refuse": True, "kill": pid}]
            case "killed after":
                harm = [{"lose_reply": True, "kill": pid}]
            case "throttled":
                harm = [{"code": _throttling(point), "status": 503 if point.service == "ec2" else 400, "count": SDK_ATTEMPTS}]
            case "reply lost":
                # It is done once, and whoever asked for it learns nothing, however often the SDK asks.
                harm = [{"lose_reply": True}, {"refuse": True, "count": SDK_ATTEMPTS - 1}]
            case "not found":
                harm = [{"code": _not_found(point), "status": 404 if point.service == "ebs" else 400}]
            case _:
                raise ValueError(self.name)
        return [point.rule(account, queue_url, **one) for one in harm]

    def __str__(self) -> str:
        return self.name


KILLED_BEFORE, KILLED_AFTER = Fault("killed before", kills=True), Fault("killed after", kills=True)
THROTTLED, REPLY_LOST, NOT_FOUND = Fault("throttled"), Fault("reply lost"), Fault("not found")


def faults_of(point: Point) -> list[Fault]:
    """What can go wrong at a point. Dying after a call that only looks is the same as dying before it: nothing is another way than it was."""
    killed = [KILLED_BEFORE, KILLED_AFTER] if point.changes else [KILLED_BEFORE]
    return [*killed, THROTTLED, REPLY_LOST, NOT_FOUND]


def _throttling(point: Point) -> str:
    return {"ec2": "RequestLimitExceeded", "ebs": "RequestThrottledException", "sqs": "ThrottlingException"}[point.service]


def _not_found(point: Point) -> str:
    if point.service == "ebs":
        return "ResourceNotFoundException"
    if point.service == "sqs":
        return "QueueDoesNotExist"
    kinds = [SOURCES[point.action]] if point.action in SOURCES else [code for kind, code in KINDS.items() if kind in point.action]
    return f"{kinds[0]}.NotFound"
