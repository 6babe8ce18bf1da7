"""Tables in stores that others keep."""

from pathlib import Path

import cloudigrade

QUESTION = ["report", "usage", "--start", "2024-03-01", "--end", "2024-03-04", "--by", "account,region"]


def say_what_local_ones_say(tables: str, logs: Path, data: Path, env: dict[str, str]) -> None:
    """Has a fleet's logs come piece by piece to tables at a place, and holds them against those of the fleet's folder; also once they were written
    anew. Nothing is written beside them in the data folder, and `doctor` finds that several may write them."""
    for region in sorted((logs / "logs").glob("AWSLogs/*/CloudTrail/*")):
        cloudigrade.run("ingest", region, "--data", data, "--tables", tables, env=env)
    local = cloudigrade.digest(logs / "data")
    assert cloudigrade.digest(data, "--tables", tables, env=env) == local
    assert cloudigrade.rows(*QUESTION, "--tables", tables, env=env) == cloudigrade.rows(*QUESTION, "--data", logs / "data")
    cloudigrade.run("tables", "rebuild", "--data", data, "--tables", tables, env=env)
    assert cloudigrade.digest(data, "--tables", tables, env=env) == local
    assert not (data / "tables").exists()
    assert "the store does not write over what is there" in cloudigrade.run("doctor", "--data", data, "--tables", tables, env=env).stdout.decode()
