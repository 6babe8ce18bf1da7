"""DuckDB and Polars count in the tables what cloudigrade's reports say. Their queries share no line with ours."""

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import cloudigrade
import polars
import pytest
from conftest import Data, as_json, duck, lazy

START, END = "2024-03-01", "2024-04-10"
KEYS = ["bucket_start", "account_id"]

# Runs, cut to days: all of them have ended by END for the report, as END lies in the past.
PARTS = f"""
    WITH days AS (
        SELECT day AS bucket_start, day + INTERVAL 1 DAY AS bucket_end
        FROM range(TIMESTAMP '{START}', TIMESTAMP '{END}', INTERVAL 1 DAY) days(day)
    ), parts AS (
        SELECT bucket_start, bucket_end, account_id, region, instance_id, vcpu, memory_mib,
               greatest(piece_start, bucket_start) AS since, least(coalesce(piece_end, bucket_end), bucket_end) AS until
        FROM days JOIN instance_intervals ON piece_start < bucket_end AND coalesce(piece_end > bucket_start, true)
        WHERE greatest(piece_start, bucket_start) < least(coalesce(piece_end, bucket_end), bucket_end)
    )
"""


def report(data: Data, kind: str, *args: str) -> list[dict]:
    return cloudigrade.rows("report", kind, "--start", START, "--end", END, *args, "--data", data.folder)


def only(rows: list[dict], columns: list[str]) -> list[dict]:
    return [{column: row[column] for column in columns} for row in rows]


def test_usage_by_account_and_day_is_what_duckdb_sums(either: Data) -> None:
    counted = duck(either.tables).sql(f"""{PARTS}
        SELECT bucket_start, bucket_end, account_id, count(DISTINCT (region, instance_id)) AS instances,
               sum(seconds)::BIGINT AS runtime_seconds, sum(vcpu * seconds)::BIGINT AS vcpu_seconds,
               sum(memory_mib * seconds)::BIGINT AS memory_mib_seconds,
               coalesce(sum(seconds) FILTER (vcpu IS NULL), 0)::BIGINT AS unsized_seconds
        FROM (SELECT *, (epoch_us(until) - epoch_us(since)) // 1000000 AS seconds FROM parts)
        GROUP BY ALL ORDER BY bucket_start, account_id
    """).pl()
    own = report(either, "usage", "--by", "account", "--granularity", "day")
    assert len(own) > 100
    assert only(own, counted.columns) == as_json(counted.to_dicts())


def test_usage_on_days_of_a_zone_with_summer_time_is_what_polars_sums(either: Data) -> None:
    zone = ZoneInfo("Europe/Berlin")
    midnights = polars.datetime_range(datetime(2024, 3, 1), datetime(2024, 4, 10), "1d", time_zone=str(zone), eager=True)
    edges = midnights.dt.convert_time_zone("UTC")
    days = polars.LazyFrame({"bucket_start": edges[:-1], "bucket_end": edges[1:]})
    since = polars.max_horizontal("piece_start", "bucket_start")
    until = polars.min_horizontal(polars.col("piece_end").fill_null(polars.col("bucket_end")), "bucket_end")
    parts = days.join(lazy(either.tables, "instance_intervals"), how="cross").with_columns(seconds=(until - since).dt.total_seconds())
    counted = (
        parts.filter(polars.col("seconds") > 0)
        .group_by(KEYS)
        .agg(polars.struct("region", "instance_id").n_unique().alias("instances"), runtime_seconds=polars.col("seconds").sum())
        .sort(KEYS)
        .collect()
    )
    own = report(either, "usage", "--by", "account", "--tz", str(zone))
    assert only(own, counted.columns) == as_json(counted.to_dicts())
    spring = [row for row in own if row["bucket_start"] == "2024-03-30T23:00:00Z"]
    assert {(read(row["bucket_end"]) - read(row["bucket_start"])).total_seconds() / 3600 for row in spring} == {23.0}


def read(moment: str) -> datetime:
    return datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


@pytest.mark.parametrize("by", ["", "account_id"])
def test_concurrency_by_day_is_what_a_sweep_in_duckdb_finds(either: Data, by: str) -> None:
    group = ", ".join(["bucket_start", "bucket_end", *([by] if by else [])])
    window = f"OVER (PARTITION BY {group} ORDER BY moment)"
    counted = duck(either.tables).sql(f"""{PARTS},
        edges AS (
            SELECT {group}, since AS moment, 1 AS step, vcpu, memory_mib FROM parts
            UNION ALL
            SELECT {group}, until AS moment, -1 AS step, vcpu, memory_mib FROM parts
        ), steps AS (
            SELECT {group}, moment, sum(step) AS step, sum(step * vcpu) AS vcpu, sum(step * memory_mib) AS memory_mib
            FROM edges GROUP BY ALL
        ), levels AS (
            SELECT {group}, moment, sum(step) {window} AS level, sum(vcpu) {window} AS vcpu, sum(memory_mib) {window} AS memory_mib
            FROM steps
        ), peaks AS (
            SELECT {group}, max(level) AS peak, max(vcpu)::BIGINT AS peak_vcpu, max(memory_mib)::BIGINT AS peak_memory_mib
            FROM levels GROUP BY ALL
        )
        SELECT {group}, peak::BIGINT AS peak_instances, min(moment) AS peak_at, peak_vcpu, peak_memory_mib
        FROM peaks JOIN levels USING ({group}) WHERE level = peak GROUP BY ALL ORDER BY {group}
    """).pl()
    own = report(either, "concurrency", "--granularity", "day", *(["--by", by] if by else []))
    assert len(own) >= 40
    assert only(own, counted.columns) == as_json(counted.to_dicts())


def test_concurrency_is_what_a_sweep_in_polars_finds(either: Data) -> None:
    start, end = read(f"{START}T00:00:00Z"), read(f"{END}T00:00:00Z")
    runs = lazy(either.tables, "instance_intervals").select(
        since=polars.max_horizontal("piece_start", polars.lit(start)),
        until=polars.min_horizontal(polars.col("piece_end").fill_null(end), polars.lit(end)),
    )
    runs = runs.filter(polars.col("since") < polars.col("until"))
    edges = polars.concat([runs.select(moment="since", step=polars.lit(1)), runs.select(moment="until", step=polars.lit(-1))])
    steps = edges.group_by("moment").agg(polars.col("step").sum()).sort("moment")
    levels = steps.select("moment", level=polars.col("step").cum_sum()).collect()
    own = report(either, "concurrency", "--granularity", "hour")
    assert max(row["peak_instances"] for row in own) == levels["level"].max()
    first = min(row["peak_at"] for row in own if row["peak_instances"] == levels["level"].max())
    assert read(first) == levels.filter(polars.col("level") == polars.col("level").max())["moment"].min()
