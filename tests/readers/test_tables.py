"""DuckDB and Polars see in the tables what cloudigrade's own SQL says."""

import shutil
from collections import Counter
from pathlib import Path

import cloudigrade
import polars
import pyarrow.parquet
import pytest
from conftest import TABLES, Data, as_json, duck, lazy
from delta_log import replay
from deltalake import DeltaTable

PARTITIONS = 32
FILE_ROWS_MAX = 64 * 1024
STORED_ONLY = ["piece_start", "piece_end", "first_month", "month", "bucket"]


def own_rows(data: Data, name: str) -> list[dict]:
    return sorted(cloudigrade.rows("sql", f"SELECT * FROM {name}", "--data", data.folder), key=repr)


@pytest.mark.parametrize("name", TABLES)
def test_duckdb_and_polars_read_the_rows_that_our_sql_shows(either: Data, name: str) -> None:
    own = own_rows(either, name)
    assert own, f"{name} has no rows: nothing would be compared"
    columns = ", ".join(own[0])
    whole = " WHERE first_month" if name == "instance_intervals" else ""
    by_duckdb = duck(either.tables).sql(f"SELECT {columns} FROM {name}{whole}").pl().to_dicts()
    assert sorted(as_json(by_duckdb), key=repr) == own
    frame = lazy(either.tables, name)
    by_polars = (frame.filter(polars.col("first_month")) if whole else frame).select(list(own[0])).collect().to_dicts()
    assert sorted(as_json(by_polars), key=repr) == own


def test_the_pieces_of_a_run_lie_in_their_months_and_make_up_the_run(either: Data) -> None:
    tables = duck(either.tables)
    wrong = tables.sql("""
        WITH pieces AS (
            SELECT *, CASE month WHEN 'open' THEN ended_at IS NULL AND piece_end IS NULL ELSE
                strftime(piece_start, '%Y-%m') = month AND piece_end <= date_trunc('month', piece_start) + INTERVAL 1 MONTH
            END AS inside FROM instance_intervals
        ), runs AS (
            SELECT account_id, region, instance_id, started_at, ended_at,
                   count(*) FILTER (first_month) AS firsts, bool_and(inside) AS inside,
                   min(piece_start) AS begins, max(piece_end) AS ends, sum(epoch(piece_end) - epoch(piece_start)) AS seconds
            FROM pieces GROUP BY ALL
        )
        SELECT * FROM runs WHERE NOT (firsts = 1 AND inside AND begins = started_at AND ends IS NOT DISTINCT FROM ended_at
                                      AND seconds IS NOT DISTINCT FROM epoch(ended_at) - epoch(started_at))
    """)
    assert wrong.fetchall() == []
    over_months = "SELECT * FROM instance_intervals WHERE NOT first_month LIMIT 1"
    assert tables.sql(over_months).fetchall(), "no run touches two months: the demo tests nothing here"


def test_events_lie_in_their_months(either: Data) -> None:
    outside = "SELECT * FROM power_events WHERE strftime(occurred_at, '%Y-%m') <> month"
    assert duck(either.tables).sql(outside).fetchall() == []


@pytest.mark.parametrize("name", TABLES)
def test_times_are_utc_and_whole_seconds(either: Data, name: str) -> None:
    table, frame = replay(either.tables / name), lazy(either.tables, name)
    schema = frame.collect_schema()
    times = [column for column, kind in schema.items() if isinstance(kind, polars.Datetime)]
    assert times
    for column in times:
        assert schema[column] == polars.Datetime("us", "UTC")
        assert table.schema[column]["type"] == "timestamp", "Delta's `timestamp` is in UTC, `timestamp_ntz` is not"
    for path in table.paths:
        stored = pyarrow.parquet.read_schema(path)
        assert {str(stored.field(column).type) for column in times} == {"timestamp[us, tz=UTC]"}
    fractions = frame.select(polars.sum_horizontal(polars.col(times).dt.microsecond().fill_null(0)).sum()).collect().item()
    assert fractions == 0


@pytest.mark.parametrize("name", TABLES)
def test_every_active_file_exists_once_is_bounded_and_as_large_as_the_log_says(either: Data, name: str) -> None:
    table = replay(either.tables / name)
    assert table.oddities == []
    for path, add in table.files.items():
        file = either.tables / name / path
        rows = pyarrow.parquet.read_metadata(file).num_rows
        assert file.stat().st_size == add["size"], path
        assert f'"numRecords":{rows}' in add["stats"], path
        assert 0 < rows <= FILE_ROWS_MAX, path
        assert set(add["partitionValues"]) == set(table.partition_columns)


@pytest.mark.parametrize("name", ["instance_intervals", "power_events"])
def test_the_files_of_a_month_and_bucket_share_no_instance(either: Data, name: str) -> None:
    table = replay(either.tables / name)
    seen: Counter[tuple] = Counter()
    for path, add in table.files.items():
        file = pyarrow.parquet.read_table(either.tables / name / path, columns=["account_id", "region", "instance_id"])
        cell = tuple(sorted(add["partitionValues"].items()))
        seen.update((cell, *instance) for instance in set(zip(*(column.to_pylist() for column in file.columns))))
    assert [instance for instance, files in seen.items() if files > 1] == []


@pytest.mark.parametrize("name", TABLES)
def test_each_commit_tells_the_positions_of_all_partitions_and_none_falls(data: Data, name: str) -> None:
    topic = {"coverage": "coverage", "dead_letters": "dead.letters", "images": "images"}.get(name, "instance.intervals")
    transactions = replay(data.tables / name).transactions
    assert transactions
    for app_id, versions in transactions.items():
        assert app_id.rpartition("/")[0] == topic
        assert all(before <= after for before, after in zip(versions, versions[1:])), (app_id, versions)
    commits = {len(versions) for versions in transactions.values()}
    assert len(transactions) == PARTITIONS and len(commits) == 1


def test_tables_written_piece_by_piece_at_once_and_anew_say_the_same(demo: Path, data: Data, rebuilt: Data) -> None:
    assert cloudigrade.digest(data.folder) == cloudigrade.digest(rebuilt.folder) == cloudigrade.digest(demo / "data")


def test_a_checkpoint_of_another_writer_changes_nothing(data: Data, tmp_path: Path) -> None:
    shutil.copytree(data.tables, tmp_path / "tables")
    before = {name: replay(tmp_path / "tables" / name) for name in TABLES}
    for name in TABLES:
        DeltaTable(str(tmp_path / "tables" / name)).create_checkpoint()
        for commit in (tmp_path / "tables" / name / "_delta_log").glob("*.json"):
            commit.unlink()
        after = replay(tmp_path / "tables" / name)
        assert (after.version, sorted(after.files)) == (before[name].version, sorted(before[name].files))
    assert cloudigrade.digest(data.folder, "--tables", tmp_path / "tables") == cloudigrade.digest(data.folder)


def test_columns_are_those_of_the_contract_and_those_that_only_files_have(data: Data) -> None:
    shown = list(own_rows(data, "instance_intervals")[0])
    assert list(replay(data.tables / "instance_intervals").schema) == shown + STORED_ONLY
