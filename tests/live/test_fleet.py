"""The fleet's own truth holds: a plain reading of its files gives it, through a storm of faults as well, and the program's ingest too."""

from pathlib import Path

import cloudigrade
import pytest
import reference
from aws import Aws, TrailBucket
from conftest import new_account
from fleet import Fleet
from program import Program
from proxy import FaultProxy


@pytest.mark.parametrize("seed", range(5))
def test_a_plain_reading_of_the_files_gives_the_truth(seed: int) -> None:
    fleet = Fleet.make(seed, ["000000000001", "000000000002"])
    assert reference.runs(fleet.files) == fleet.runs()
    assert Fleet.make(seed, ["000000000001", "000000000002"]).files == fleet.files
    names = {record["eventName"] for record in fleet.records}
    assert names >= reference.ON | reference.OFF and len(fleet.files) > 30


def test_the_program_reads_the_truth_in_the_files(tmp_path: Path) -> None:
    fleet = Fleet.make(7, ["000000000001"])
    for key, body in fleet.files.items():
        (tmp_path / "logs" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "logs" / key).write_bytes(body)
    program = Program(tmp_path, "http://127.0.0.1:9")
    cloudigrade.run("ingest", tmp_path / "logs", "--data", program.data)
    assert program.runs() == fleet.runs()


def test_a_plain_consumer_finds_the_truth_in_a_storm_of_faults(aws: Aws) -> None:
    bucket, fleet = TrailBucket.make(aws), Fleet.make(11, [new_account()])
    bucket.unkind(duplicate=0.3, reorder=True, short=True, seed=11)
    for key, body in fleet.files.items():
        bucket.put(key, body)
    with FaultProxy(aws.url, seed=11, rate=0.2) as proxy:
        files = reference.consume(proxy.url, bucket)
    assert sum(proxy.harmed.values()) > 20 and bucket.depth() == 0
    assert files == fleet.files and reference.runs(files) == fleet.runs()
