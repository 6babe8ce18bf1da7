"""What comes through the queue says what an independent generator of trails says of them.

The generator is not part of the project: `CLOUDIGRADE_REFERENCE` names its folder.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aws import Aws, TrailBucket, becomes
from program import Program

SECONDS = 300


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    """A trail of two days of four accounts, with its truth."""
    folder = os.environ.get("CLOUDIGRADE_REFERENCE")
    if not folder:
        absent = "CLOUDIGRADE_REFERENCE is not set: what comes through the queue was not compared with the independent reference"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    out = tmp_path / "generated"
    options = ["--seed", "23", "--mb", "4", "--days", "2", "--accounts", "4", "--regions", "3", "--records-per-file", "12", "--power-share", "0.1", "--dup", "0.2", "--late", "0.1", "--org"]
    subprocess.run([sys.executable, f"{folder}/gen/gen.py", out, *options], check=True, capture_output=True, timeout=SECONDS)
    return out


def test_a_generated_trail_gives_its_truth_through_the_queue(aws: Aws, bucket: TrailBucket, program: Program, generated: Path) -> None:
    truth: dict[str, Any] = json.loads((generated / "truth.json").read_text())
    program.configure(bucket).start()
    for file in sorted((generated / "AWSLogs").rglob("*.json.gz")):
        bucket.put(str(file.relative_to(generated)), file.read_bytes())
    bucket.drained(SECONDS)
    runs = {i["instance_id"]: [(run["on"], run["off"]) for run in i["runs"]] for i in truth["instances"]}
    becomes("the runs of the truth", lambda: program.runs(), runs)
    start, end = truth["window"]["start"], truth["window"]["end"]
    days = {row["bucket_start"][:10]: row["runtime_seconds"] for row in program.rows("report", "usage", "--start", start, "--end", end)}
    assert days == truth["runtime_seconds_total_by_day"]
    peaks = program.rows("report", "concurrency", "--start", start, "--end", end)
    assert {row["bucket_start"][:10]: row["peak_instances"] for row in peaks} == truth["max_concurrent_by_day"]
    program.stop()
