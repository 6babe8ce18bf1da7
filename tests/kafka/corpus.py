"""Log files that flow through a log, and what an embedded ingest of them says.

They come from a generator that shares nothing with the program, in the folder that `CLOUDIGRADE_REFERENCE` names; without it from the
program's own demo.
"""

import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cloudigrade

SECONDS = 300
MIB = 8
GENERATOR = ["--seed", "29", "--mb", str(MIB), "--days", "3", "--accounts", "4", "--regions", "3", "--records-per-file", "40"]
UNKIND = ["--power-share", "0.1", "--dup", "0.2", "--late", "0.1", "--org"]
DEMO_DAYS = 2
Digest = dict[str, tuple[int, str]]
# All that tables say which the content of the logs decides: as bytes they are the same, whichever log, and however the files came.
# Left out is how that was: the times at which records entered the log (recorded_at), how often what an instance did was told anew (revision),
# and by which of its deliveries an event was told (the sources, and evidence, which names them). Of a folder and of a bucket all three differ.
# So does `coverage` where several sources write at once: how far data reaches may be understated until the next file.
ROWS = {
    "instance_intervals": "SELECT * EXCLUDE (start_source, end_source, revision, recorded_at) FROM instance_intervals"
    " ORDER BY account_id, region, instance_id, started_at",
    "power_events": "SELECT * EXCLUDE (source, recorded_at) FROM power_events ORDER BY account_id, region, instance_id, occurred_at, event_id",
    "images": "SELECT * EXCLUDE (evidence) FROM images ORDER BY region, image_id",
}
Ask = Callable[..., subprocess.CompletedProcess[bytes]]


def rows(ask: Ask) -> dict[str, bytes]:
    """The rows of the tables, as the program prints them where it is asked."""
    return {table: ask("sql", query, "--format", "csv").stdout for table, query in ROWS.items()}


@dataclass(frozen=True)
class Corpus:
    """A folder of log files, with their keys in a bucket."""

    folder: Path
    digest: Digest
    rows: dict[str, bytes]

    @classmethod
    def of(cls, folder: Path, data: Path) -> "Corpus":
        """What there is in a folder, ingested into a data folder."""
        cloudigrade.run("ingest", folder / "AWSLogs", "--data", data)
        told = rows(lambda *args: cloudigrade.run(*args, "--data", data))
        assert all(told[table].count(b"\n") > 1 for table in ROWS), "a table is empty, and equal to any that is"
        return cls(folder, cloudigrade.digest(data), told)

    @classmethod
    def make(cls, folder: Path) -> "Corpus":
        """Has it generated, and ingests it into a data folder."""
        if reference := os.environ.get("CLOUDIGRADE_REFERENCE"):
            made = folder / "generated"
            subprocess.run([sys.executable, f"{reference}/gen/gen.py", made, *GENERATOR, *UNKIND], check=True, capture_output=True, timeout=SECONDS)
        else:
            warnings.warn("CLOUDIGRADE_REFERENCE is not set: logs of the demo flow, not those of the independent reference", stacklevel=1)
            cloudigrade.run("demo", "--folder", folder / "demo", "--days", DEMO_DAYS, "--seed", 29)
            made = folder / "demo" / "logs"
        return cls.of(made, folder / "plain")

    def part(self, folder: Path, share: float) -> "Corpus":
        """A share of its files as a corpus of their own."""
        files = self.files(random.Random(0))
        for key, body in files[: round(len(files) * share)]:
            (folder / "part" / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / "part" / key).write_bytes(body)
        return self.of(folder / "part", folder / "plain")

    def files(self, dice: random.Random) -> list[tuple[str, bytes]]:
        """Keys and bodies, in an order of the dice."""
        files = [(str(file.relative_to(self.folder)), file.read_bytes()) for file in sorted((self.folder / "AWSLogs").rglob("*.json.gz"))]
        dice.shuffle(files)
        return files
