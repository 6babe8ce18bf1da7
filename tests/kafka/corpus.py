"""Log files that flow through a log, and what an embedded ingest of them says.

They come from a generator that shares nothing with the program, in the folder that `CLOUDIGRADE_REFERENCE` names; without it from the
program's own demo.
"""

import os
import random
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import cloudigrade

SECONDS = 300
MIB = 8
GENERATOR = ["--seed", "29", "--mb", str(MIB), "--days", "3", "--accounts", "4", "--regions", "3", "--records-per-file", "40"]
UNKIND = ["--power-share", "0.1", "--dup", "0.2", "--late", "0.1", "--org"]
DEMO_DAYS = 2
Digest = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Corpus:
    """A folder of log files, with their keys in a bucket."""

    folder: Path
    digest: Digest

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
        cloudigrade.run("ingest", made / "AWSLogs", "--data", folder / "plain")
        return cls(made, cloudigrade.digest(folder / "plain"))

    def files(self, dice: random.Random) -> list[tuple[str, bytes]]:
        """Keys and bodies, in an order of the dice."""
        files = [(str(file.relative_to(self.folder)), file.read_bytes()) for file in sorted((self.folder / "AWSLogs").rglob("*.json.gz"))]
        dice.shuffle(files)
        return files
