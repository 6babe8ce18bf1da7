"""Runs the binaries that are under test."""

import json
import os
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
BINARY = os.environ.get("CLOUDIGRADE_BINARY", str(TARGET / "debug" / "cloudigrade"))
# The scanner, built with the feature that sends to a queue.
SCANNER = os.environ.get("HOUNDIGRADE_BINARY", str(TARGET / "debug" / "houndigrade"))
# Reports of hundreds of days in a development build; a hang still ends the tests.
TIMEOUT_SECONDS = 300


def run(
    *args: object, expect: int | tuple[int, ...] = 0, env: dict[str, str] | None = None, binary: str = BINARY
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command and holds its exit code against the expected one, or those that are."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDIGRADE", "AWS_"))}
    command = [binary, *map(str, args)]
    done = subprocess.run(command, env={**inherited, **(env or {})}, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT_SECONDS)
    expected = expect if isinstance(expect, tuple) else (expect,)
    assert done.returncode in expected, f"{' '.join(command)} ended with {done.returncode}, not {expect}:\n{done.stderr.decode()}"
    return done


def rows(*args: object, env: dict[str, str] | None = None) -> list[dict]:
    """The rows that a command prints as JSON."""
    return json.loads(run(*args, "--format", "json", env=env).stdout)


def digest(data: Path, *args: object, env: dict[str, str] | None = None) -> dict[str, tuple[int, str]]:
    """What the tables say, as a number of rows and a hash for each."""
    return {row["table"]: (row["rows"], row["digest"]) for row in rows("tables", "digest", "--data", data, *args, env=env)}
