"""What the tests share: data that the binary made, and the tables that other readers see in it."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import cloudigrade
import duckdb
import polars
import pytest
from delta_log import replay

TABLES = ["instance_intervals", "power_events", "coverage", "dead_letters", "images"]
DEMO_DAYS = 40  # from 2024-03-01: into a second month, over the change of clocks


@dataclass
class Data:
    """A data folder."""

    folder: Path

    @property
    def tables(self) -> Path:
        return self.folder / "tables"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo, whose data was ingested in one go."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    cloudigrade.run("demo", "--folder", folder, "--days", DEMO_DAYS, "--seed", 7)
    return folder


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small fleet's folder: its logs, and its data ingested from there."""
    folder = tmp_path_factory.mktemp("fleet") / "demo"
    cloudigrade.run("demo", "--folder", folder, "--days", 3, "--seed", 5)
    return folder


@pytest.fixture(scope="session")
def data(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """The demo's logs, ingested piece by piece, so that tables have a history of replaced files; and one damaged file."""
    folder = tmp_path_factory.mktemp("pieces")
    for region in sorted((demo / "logs").glob("AWSLogs/*/CloudTrail/*")):
        cloudigrade.run("ingest", region, "--data", folder / "data")
    (folder / "damaged.json").write_text('{"Records":[{"eventName":"RunInstances"')
    cloudigrade.run("ingest", folder / "damaged.json", "--data", folder / "data", expect=4)
    return Data(folder / "data")


@pytest.fixture(scope="session")
def rebuilt(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """A copy of that data whose tables were deleted and written anew from the log."""
    folder = tmp_path_factory.mktemp("rebuilt") / "data"
    shutil.copytree(data.folder, folder)
    cloudigrade.run("tables", "rebuild", "--data", folder)
    return Data(folder)


@pytest.fixture(scope="session", params=["as ingested", "rebuilt"])
def either(request: pytest.FixtureRequest, data: Data) -> Data:
    """Tables that must say the same: written piece by piece, and anew."""
    return data if request.param == "as ingested" else request.getfixturevalue("rebuilt")


def duck(tables: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB over the files that the tables' logs name, each table a view. (Its own Delta reader is an extension to download.)"""
    connection = duckdb.connect()
    for name in TABLES:
        files = replay(tables / name).paths
        if files:
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
            source = f"read_parquet([{listed}], hive_partitioning = true, hive_types_autocast = false)"
            connection.execute(f"CREATE VIEW {name} AS {plain_utc(connection, source)}")
    return connection


def plain_utc(connection: duckdb.DuckDBPyConnection, source: str) -> str:
    """A query of all of a source, with times in UTC of a type without zone: reckoning with the other type takes an extension too."""
    columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    zoned = [f"{name} AT TIME ZONE 'UTC' AS {name}" for name, kind, *_ in columns if kind == "TIMESTAMP WITH TIME ZONE"]
    assert zoned and not [name for name, kind, *_ in columns if kind == "TIMESTAMP"], columns
    return f"SELECT * REPLACE ({', '.join(zoned)}) FROM {source}"


def lazy(tables: Path, name: str) -> polars.LazyFrame:
    """A table as Polars' own Delta reader gives it."""
    return polars.scan_delta(str(tables / name))


def as_json(rows: list[dict]) -> list[dict]:
    """Rows with times as cloudigrade writes them in JSON."""
    return json.loads(json.dumps(rows, default=lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ")))


@pytest.fixture(scope="session")
def aws() -> str:
    """The endpoint of an emulator of AWS."""
    endpoint = os.environ.get("TEST_AWS_ENDPOINT")
    if not endpoint:
        absent = "TEST_AWS_ENDPOINT is not set: nothing of S3 and SQS was tested; scripts/test starts an emulator and sets it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    return endpoint
