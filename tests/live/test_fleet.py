"""The fleet's own truth holds: a plain reading of its files gives it, and so does the program's."""

import gzip
import json
from collections import defaultdict
from pathlib import Path

import cloudigrade
import pytest
import trail
from fleet import Fleet
from program import Program

ON = {"RunInstances", "StartInstances"}
OFF = {"StopInstances", "TerminateInstances", "BidEvictedEvent"}


def naive(files: dict[str, bytes]) -> dict[str, list[tuple[str, str | None]]]:
    """Runs by the plain rules, from files in any order."""
    distinct = {r["eventID"]: r for body in files.values() for r in json.loads(gzip.decompress(body))["Records"]}
    events: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for record in distinct.values():
        if record["eventSource"] != "ec2.amazonaws.com" or record.get("errorCode") or record["eventName"] not in ON | OFF:
            continue
        items = ((record["responseElements"] or {}).get("instancesSet") or {"items": []})["items"]
        for instance in [i["instanceId"] for i in items] or record["serviceEventDetails"]["instanceIdSet"]:
            events[instance].append((record["eventTime"], record["eventName"] in ON))
    runs: dict[str, list[tuple[str, str | None]]] = {}
    for instance, changes in events.items():
        for at, on in sorted(changes):
            spans = runs.setdefault(instance, [])
            running = bool(spans) and spans[-1][1] is None
            if on and not running:
                spans.append((at, None))
            elif not on and running:
                spans[-1] = (spans[-1][0], at)
    return runs


@pytest.mark.parametrize("seed", range(5))
def test_a_plain_reading_of_the_files_gives_the_truth(seed: int) -> None:
    fleet = Fleet.make(seed, ["000000000001", "000000000002"])
    assert naive(fleet.files) == fleet.runs()
    assert Fleet.make(seed, ["000000000001", "000000000002"]).files == fleet.files
    open_runs = [runs for runs in fleet.runs().values() if runs[-1][1] is None]
    assert open_runs and len(fleet.files) > 30


def test_the_program_reads_the_truth_in_the_files(tmp_path: Path) -> None:
    fleet = Fleet.make(7, ["000000000001"])
    for key, body in fleet.files.items():
        (tmp_path / "logs" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "logs" / key).write_bytes(body)
    program = Program(tmp_path, "http://127.0.0.1:9")
    cloudigrade.run("ingest", tmp_path / "logs", "--data", program.data)
    assert program.runs() == fleet.runs()
    assert trail.stamp(trail.seconds("2024-02-29T23:59:59Z")) == "2024-02-29T23:59:59Z"
