"""Runs of nine days over several tenants and accounts, written down one by one, and the CloudTrail files that tell of them.

What reports must say of them is counted in `count.py`, which shares nothing with how the program counts.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import trail

START, END = "2024-03-01T00:00:00Z", "2024-03-10T00:00:00Z"
# Zeros in front are part of an account's id. GONE was registered and deleted, NOBODYS never registered.
PROD, STAGING, JEWELS, SHARED = "012000000101", "012000000102", "012000000201", "012000000300"
GONE, NOBODYS, VECTORS = "012000000400", "012000000900", "012000000500"
US, EU = "us-east-1", "eu-west-1"

# What is known of images, and so what they count as.
RHEL = "ami-0a00000000000000a"  # RHEL by its billing code, with a subscription
OPENSHIFT = "ami-0a00000000000000b"  # OpenShift by a tag
BOTH = "ami-0a00000000000000c"  # both, by a code and a tag
HOURLY = "ami-0a00000000000000d"  # RHEL that AWS bills by the hour: it takes no subscription, and does not count
PLAIN = "ami-0a00000000000000e"  # nothing says what it is
WINDOWS = "ami-0a00000000000000f"
MISSING = "ami-0a000000000000010"  # EC2 does not know it
COMMON = "ami-0a000000000000011"  # RHEL, used by several tenants
PRIVATE = "ami-0a000000000000012"  # RHEL, of one tenant alone
HIRED = "ami-0a000000000000013"  # nothing says what it is, but another tenant's account says by a tag that it is RHEL

BYOS = {"usage_operation": "RunInstances:00g0", "platform_details": "Red Hat BYOL Linux", "architecture": "x86_64"}
LINUX = {"usage_operation": "RunInstances", "platform_details": "Linux/UNIX", "architecture": "x86_64"}
DESCRIBED: dict[str, dict[str, str]] = {
    RHEL: {"name": "rhel-of-ours", **BYOS},
    OPENSHIFT: {"name": "openshift-of-ours", **LINUX},
    BOTH: {"name": "both-of-ours", **BYOS},
    HOURLY: {"name": "hourly", "usage_operation": "RunInstances:0010", "platform_details": "Red Hat Enterprise Linux", "architecture": "arm64"},
    PLAIN: {"name": "plain", **LINUX},
    WINDOWS: {"name": "windows", "platform": "windows", "usage_operation": "RunInstances:0002", "platform_details": "Windows", "architecture": "x86_64"},
    COMMON: {"name": "common", **BYOS},
    PRIVATE: {"name": "crown-image", **BYOS},
    HIRED: {"name": "hired", **LINUX},
}
# An image has one owner, whoever looks at it.
for _image, _described in DESCRIBED.items():
    _described["owner_id"] = JEWELS if _image == PRIVATE else "591542846629"
COUNTS_AS_RHEL = {RHEL, BOTH, COMMON, PRIVATE}
COUNTS_AS_OPENSHIFT = {OPENSHIFT, BOTH}
SIZES = {"m5.large": (2, 8192), "m5.xlarge": (4, 16384), "c5.large": (2, 4096), "r5.large": (2, 16384), "t3.nano": (2, 512)}
UNSIZED = "q9.huge"  # no such type


@dataclass(frozen=True)
class Run:
    """An instance was on in `[start, end)`, without an end to this day."""

    account: str
    region: str
    instance: str
    image: str
    kind: str
    start: str
    end: str | None


def of_march(text: str) -> str:
    """`03 08:00` is the third of March 2024 at eight."""
    day, _, time = text.partition(" ")
    return f"2024-03-{day}T{time or '00:00'}{':00' if len(time) < 6 else ''}Z"


def run(account: str, region: str, instance: str, image: str, kind: str, start: str, end: str | None) -> Run:
    """A run with times written short."""
    return Run(account, region, f"i-0{instance:0>16}", image, kind, of_march(start), end and of_march(end))


RUNS = [
    # acme's production: two days of one, an open end, a break, a second on each side of midnight, an image that is not known.
    run(PROD, US, "a1", RHEL, "m5.large", "01 10:00", "03"),
    run(PROD, US, "a2", RHEL, "m5.xlarge", "01 12:00", None),
    run(PROD, US, "a3", OPENSHIFT, "c5.large", "02 06:30:15", "02 18:45:30"),
    run(PROD, US, "a3", OPENSHIFT, "c5.large", "04", "05 12:00"),
    run(PROD, US, "a4", BOTH, "r5.large", "05 23:59:59", "06 00:00:01"),
    run(PROD, US, "a5", PLAIN, "t3.nano", "07", "09"),
    run(PROD, US, "a6", MISSING, "m5.large", "08 01:00", "08 02:00"),
    # acme's staging: half a GiB of memory, a type without a size, and what never counts.
    run(STAGING, EU, "b1", RHEL, "t3.nano", "03 08:00", "03 09:00"),
    run(STAGING, EU, "b1", RHEL, "t3.nano", "03 10:00", "03 11:30"),
    run(STAGING, EU, "b2", WINDOWS, "m5.large", "04", "06"),
    run(STAGING, EU, "b3", COMMON, "m5.large", "08 12:00", "08 13:00"),
    run(STAGING, EU, "b4", RHEL, UNSIZED, "06 01:00", "06 02:00"),
    run(STAGING, EU, "b5", HOURLY, "m5.large", "02", "02 05:00"),
    # globex.
    run(JEWELS, US, "c1", COMMON, "m5.xlarge", "02", "04"),
    run(JEWELS, US, "c2", PRIVATE, "r5.large", "05 05:00", "07 05:00"),
    # An account that globex and initech both registered.
    run(SHARED, EU, "d1", COMMON, "c5.large", "06", "06 12:00"),
    # An account that initech registered and deleted, and one that nobody ever registered.
    run(GONE, US, "e1", RHEL, "m5.large", "01", "10"),
    run(NOBODYS, US, "f1", RHEL, "m5.large", "01", "10"),
]
# Weeks later, so that the nine days do not depend on what is made of the tag.
HIRED_IN_PROD = Run(PROD, US, "i-000000000000000a7", HIRED, "m5.large", "2024-04-08T03:00:00Z", "2024-04-08T05:00:00Z")
HIRED_IN_JEWELS = Run(JEWELS, US, "i-000000000000000c3", HIRED, "m5.large", "2024-04-08T03:00:00Z", "2024-04-08T05:00:00Z")
ALL_RUNS = [*RUNS, HIRED_IN_PROD, HIRED_IN_JEWELS]
IMAGES_OF = {(r.account, r.region, r.image) for r in ALL_RUNS}


def tag(account: str, image: str, key: str, at: str) -> dict[str, Any]:
    """An account tags an image."""
    request = {"resourcesSet": {"items": [{"resourceId": image}]}, "tagSet": {"items": [{"key": key, "value": ""}]}}
    return trail.record("CreateTags", account, US, trail.seconds(at), requestParameters=request, responseElements={"_return": True})


def records_of(r: Run) -> Iterator[dict[str, Any]]:
    """What CloudTrail says of a run. A second run of an instance begins by a start, not by a launch."""
    start = trail.seconds(r.start)
    if any(other.instance == r.instance and other.start < r.start for other in RUNS):
        yield trail.change("StartInstances", r.account, r.region, start, [r.instance])
    else:
        yield trail.run(r.account, r.region, start, [r.instance], r.kind, r.image)
    if r.end is not None:
        yield trail.change("StopInstances", r.account, r.region, trail.seconds(r.end), [r.instance])


def all_records() -> list[dict[str, Any]]:
    """Every record, some of them twice, in an order that has nothing to do with time."""
    records = [record for r in ALL_RUNS for record in records_of(r)]
    records += [
        tag(PROD, OPENSHIFT, "cloudigrade-ocp-present", "2024-02-28T00:00:00Z"),
        tag(PROD, BOTH, "cloudigrade-ocp-present", "2024-02-28T00:00:00Z"),
        tag(JEWELS, HIRED, "cloudigrade-rhel-present", "2024-02-28T00:00:00Z"),
    ]
    records += records[::5]
    random.Random(5).shuffle(records)
    return records


def files(records: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Files as CloudTrail delivers them, each with its key: a few records of one account and region each."""
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        places.setdefault((record["recipientAccountId"], record["awsRegion"]), []).append(record)
    for (account, region), of_place in places.items():
        for at in range(0, len(of_place), 3):
            piece = of_place[at : at + 3]
            body = trail.packed(piece)
            yield trail.key(account, region, trail.seconds(piece[0]["eventTime"]) + 300, body), body
