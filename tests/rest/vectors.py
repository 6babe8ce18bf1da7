"""The vectors that say what the numbers mean, as CloudTrail tells of them; each in instances of its own, in one account."""

from typing import Any

import trail
from fleet_of_nine_days import EU, RHEL, US, VECTORS


def at(text: str) -> int:
    """Seconds since 1970 of `05-01 10:00`, in 2024."""
    day, _, time = text.partition(" ")
    return trail.seconds(f"2024-{day}T{time}{':00' if len(time) < 6 else ''}Z")


def ids(vector: int, *which: str) -> list[str]:
    """Instances of a vector."""
    return [f"i-0{vector:0>2}{one:0>14}" for one in which]


def on(vector: int, which: str, when: str, kind: str = "m5.large", region: str = US) -> dict[str, Any]:
    """A launch."""
    return trail.run(VECTORS, region, at(when), ids(vector, which), kind, RHEL)


def change(name: str, vector: int, which: str, when: str, region: str = US, **more: Any) -> dict[str, Any]:
    """A start, a stop or the end."""
    return {**trail.change(name, VECTORS, region, at(when), ids(vector, which)), **more}


def off(vector: int, which: str, when: str) -> dict[str, Any]:
    """A stop."""
    return change("StopInstances", vector, which, when)


def nothing_changed(vector: int, which: str, when: str) -> dict[str, Any]:
    """A stop of what was stopped."""
    record = off(vector, which, when)
    record["responseElements"]["instancesSet"]["items"] = [
        {"instanceId": i, "previousState": {"name": "stopped"}, "currentState": {"name": "stopped"}} for i in ids(vector, which)
    ]
    return record


# V2 in both orders of arrival: each is a file of its own, read one after the other.
HANDOVER_STOP_FIRST = [[on(2, "a1", "05-02 08:00"), off(2, "a1", "05-02 12:00")], [on(2, "b1", "05-02 12:00"), off(2, "b1", "05-02 16:00")]]
HANDOVER_START_FIRST = [[on(2, "b2", "05-02 12:00"), off(2, "b2", "05-02 16:00")], [on(2, "a2", "05-02 08:00"), off(2, "a2", "05-02 12:00")]]

RECORDS = [
    # V1
    on(1, "a", "05-01 10:00"),
    off(1, "a", "05-02 00:00"),
    on(1, "b", "05-01 12:00"),
    # V3
    on(3, "a", "05-03 09:00"),
    change("StartInstances", 3, "a", "05-03 09:05"),
    off(3, "a", "05-03 10:00"),
    # V4
    trail.run(VECTORS, US, at("05-04 10:00"), ids(4, "a", "b", "c"), "m5.large", RHEL),
    change("TerminateInstances", 4, "a", "05-04 10:00:20"),
    change("TerminateInstances", 4, "b", "05-04 11:00"),
    change("TerminateInstances", 4, "c", "05-04 11:00"),
    # V5
    on(5, "a", "05-05 08:00"),
    off(5, "a", "05-05 10:00"),
    trail.retype(VECTORS, US, at("05-05 10:30"), ids(5, "a")[0], "m5.xlarge"),
    change("StartInstances", 5, "a", "05-05 11:00"),
    off(5, "a", "05-05 12:00"),
    # V6
    on(6, "a", "05-06 09:00"),
    trail.reclaim(VECTORS, US, at("05-06 09:30"), ids(6, "a")),
    # V8
    on(8, "a", "03-30 12:00", region=EU),
    change("TerminateInstances", 8, "a", "04-01 12:00", region=EU),
    # V10
    on(10, "a", "05-10 00:00"),
    off(10, "a", "05-10 06:00"),
    # V11
    on(11, "a", "05-11 09:00"),
    change("StopInstances", 11, "a", "05-11 09:30", errorCode="UnauthorizedOperation"),
    off(11, "a", "05-11 10:00"),
    nothing_changed(11, "a", "05-11 11:00"),
    change("StartInstances", 11, "a", "05-11 12:00"),
    off(11, "a", "05-11 13:00"),
]
# V9 in a file that is delivered twice, the second time with its records the other way round.
TWICE = [on(9, "a", "05-09 09:00"), off(9, "a", "05-09 10:00"), change("StartInstances", 9, "a", "05-09 11:00"), off(9, "a", "05-09 12:00")]
PIECES = [RECORDS, *HANDOVER_STOP_FIRST, *HANDOVER_START_FIRST, TWICE, TWICE[::-1]]
