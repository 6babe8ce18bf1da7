"""Whatever goes wrong once at whichever call of an inspection, and whenever the program is killed: the same verdict, once, read once, and nothing left.

Which calls there are is taken from inspections that are recorded here, so a new step is met by itself."""

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lookalike
from lanes import Case, Kind, Race, record
from points import KILLED_BEFORE, Point, faults_of

OTHERS = Kind("an image of somebody else", is_others=True)
OWN = Kind("an image of one's own")
STAYS = Kind("a scanner that does not turn itself off", scanner="stays")
DIRECT = Kind("an image that is read directly", mode="ebs-direct", scanners=0)
SLOW = Kind("an image while AWS takes its time", is_others=True, looks=1)
# Of a recording that lacks some of it nothing would be learned.
POINTS_MIN = {OTHERS: 45, OWN: 33, STAYS: 36, SLOW: 48, DIRECT: 6}
LANES = {"scanner": 12, "ebs-direct": 1}


def turn(case: Case) -> tuple[bool, bool]:
    """What takes longest comes first; but what comes of a message that is told again shows in the inspections after it."""
    return not case.is_of_queue, case.kind not in (SLOW, STAYS, OWN)


def cases_of(points: dict[Kind, list[Point]]) -> dict[str, deque[Case]]:
    """What is to be tried, by mode. What other kinds of inspections have in common with the first one is not tried again."""
    chosen = {
        OTHERS: points[OTHERS],
        OWN: [point for point in points[OWN] if not point.is_ours],
        STAYS: [point for point in points[STAYS] if point not in points[OTHERS] and point.service == "ec2"],
        DIRECT: points[DIRECT],
    }
    cases = [Case(kind, point, fault) for kind, some in chosen.items() for point in some for fault in faults_of(point)]
    # Looking once more is the same call: what is another thing is to die while AWS is at work.
    cases += [Case(SLOW, point, KILLED_BEFORE) for point in points[SLOW] if point not in points[OTHERS] and point.service == "ec2"]
    cases.sort(key=turn)
    return {mode: deque(case for case in cases if case.kind.mode == mode) for mode in LANES}


def test_each_call_failing_in_each_way_and_a_kill_around_each_ends_in_the_same_state(tmp_path: Path) -> None:
    disk = lookalike.disk(tmp_path, "rhel", lookalike.RHEL)
    kinds = list(POINTS_MIN)
    begun = time.monotonic()
    with ThreadPoolExecutor(len(kinds)) as pool:
        recorded = list(pool.map(lambda kind: record(tmp_path / f"record-{kinds.index(kind)}", kind, disk), kinds))
    points = {kind: found for kind, (found, _) in zip(kinds, recorded, strict=True)}
    rows = [row for _, row in recorded]
    assert all(row == rows[0] for row in rows) and (rows[0]["status"], rows[0]["rhel_version"]) == ("inspected", "9.4"), rows
    assert [len(points[kind]) >= least for kind, least in POINTS_MIN.items()] == [True] * len(kinds), {kind.name: len(points[kind]) for kind in kinds}
    cases = cases_of(points)
    count = sum(map(len, cases.values()))
    race = Race(tmp_path, disk, cases, rows[0]).run(LANES)
    print(f"{len(race.met)} faults in {time.monotonic() - begun:.0f} s")
    assert not race.failures, f"{len(race.failures)} of {count} ended otherwise:\n" + "\n".join(race.failures)
    # How often something is looked at that AWS works on is not always the same.
    assert len(race.met) + len(race.not_met) == count and len(race.not_met) <= count // 20, [str(case) for case in race.not_met]
    assert {(case.point.action, case.fault) for case in race.not_met} <= {(case.point.action, case.fault) for case in race.met}
