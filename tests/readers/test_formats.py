"""Results written as Parquet, Arrow, CSV and lines of JSON are the same rows as in JSON."""

import json
from pathlib import Path

import cloudigrade
import duckdb
import polars
import pyarrow.ipc
import pyarrow.parquet
import pytest
from conftest import Data, as_json, plain_utc

QUERIES = {
    "rows": ["sql", "SELECT * FROM instance_intervals ORDER BY started_at, instance_id"],
    "none": ["sql", "SELECT * FROM power_events WHERE account_id = 'none'"],
    "usage": ["report", "usage", "--start", "2024-03-01", "--end", "2024-04-10", "--by", "account,instance_type"],
    "concurrency": ["report", "concurrency", "--start", "2024-03-01", "--end", "2024-04-10", "--granularity", "hour"],
}


@pytest.fixture(params=QUERIES)
def question(request: pytest.FixtureRequest, data: Data) -> list[object]:
    return [*QUERIES[request.param], "--data", data.folder]


def test_parquet_is_read_by_duckdb_polars_and_pyarrow(question: list[object], tmp_path: Path) -> None:
    expected, file = cloudigrade.rows(*question), tmp_path / "result.parquet"
    cloudigrade.run(*question, "--format", "parquet", "--output", file)
    duck = duckdb.connect()
    assert as_json(duck.sql(plain_utc(duck, f"'{file}'")).pl().to_dicts()) == expected
    assert as_json(polars.read_parquet(file).to_dicts()) == expected
    assert as_json(pyarrow.parquet.read_table(file).to_pylist()) == expected


def test_an_arrow_stream_is_read_by_polars_and_pyarrow(question: list[object]) -> None:
    expected = cloudigrade.rows(*question)
    stream = cloudigrade.run(*question, "--format", "arrow").stdout
    table = pyarrow.ipc.open_stream(stream).read_all()
    assert as_json(table.to_pylist()) == expected
    assert as_json(polars.read_ipc_stream(stream).to_dicts()) == expected
    duck = duckdb.connect()
    duck.register("result", table)
    assert as_json(duck.sql(plain_utc(duck, "result")).pl().to_dicts()) == expected


def test_csv_and_lines_of_json_have_the_same_values(question: list[object]) -> None:
    expected = cloudigrade.rows(*question)
    lines = cloudigrade.run(*question, "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == expected
    csv = polars.read_csv(cloudigrade.run(*question, "--format", "csv").stdout, infer_schema=False)
    assert csv.to_dicts() == [{name: in_csv(value) for name, value in row.items()} for row in expected]


def in_csv(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
