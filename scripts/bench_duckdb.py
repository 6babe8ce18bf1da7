"""The month's reports by DuckDB, on the files that `bench_tables` wrote: `bench_duckdb.py FOLDER [ROUNDS]`.

Each report in several forms of SQL; all give the same sums, and the fastest is what counts. Prints JSON.
"""

import json
import resource
import statistics
import sys
import time

import duckdb

START, END, DAYS = "TIMESTAMPTZ '2024-03-01 00:00:00+00'", "TIMESTAMPTZ '2024-04-01 00:00:00+00'", 31
DAY = 86_400

# The month's pieces, in seconds from its start.
PIECES = """
    WITH pieces AS (
        SELECT account_id, region, instance_type, instance_id, vcpu, memory_mib,
               CAST(epoch(greatest(piece_start, {start})) - epoch({start}) AS BIGINT) AS s,
               CAST(epoch(least(coalesce(piece_end, {end}), {end})) - epoch({start}) AS BIGINT) AS e
        FROM read_parquet(['{folder}/instance_intervals/month=2024-03/*/*.parquet', '{folder}/instance_intervals/month=open/*/*.parquet'])
        WHERE piece_start < {end} AND coalesce(piece_end > {start}, true)
    )
"""

MEASURES = """count(DISTINCT (account_id, region, instance_id)) AS instances, sum(seconds) AS seconds,
              sum(seconds * vcpu) AS vcpu_seconds, sum(seconds * memory_mib) AS memory_mib_seconds"""

USAGE = {
    # One row for each piece and day that it touches.
    "explode": """
        SELECT {columns} day, {measures} FROM (
            SELECT *, least(e, (day + 1) * {day}) - greatest(s, day * {day}) AS seconds
            FROM (SELECT *, unnest(range(s // {day}, (e - 1) // {day} + 1)) AS day FROM pieces WHERE s < e)
        ) GROUP BY ALL""",
    # A join with the days.
    "join": """
        SELECT {columns} day, {measures} FROM (
            SELECT pieces.*, day, least(e, (day + 1) * {day}) - greatest(s, day * {day}) AS seconds
            FROM pieces JOIN (SELECT unnest(range({days})) AS day) ON s < (day + 1) * {day} AND e > day * {day}
        ) GROUP BY ALL""",
}

# A sweep: the sum of all changes up to each second, and a row at each day's start that tells what still runs.
CONCURRENCY = {
    "sweep": """
        , changes AS (
            SELECT {columns} s AS moment, 1 AS n, vcpu AS cpus, memory_mib AS mib FROM pieces WHERE s < e
            UNION ALL SELECT {columns} e, -1, -vcpu, -memory_mib FROM pieces WHERE s < e
            UNION ALL SELECT {columns} day * {day}, 0, 0, 0 FROM (SELECT DISTINCT {group} FROM pieces), (SELECT unnest(range({days})) AS day)
        ), levels AS (
            SELECT {columns} moment // {day} AS day,
                   sum(n) OVER w AS running, sum(cpus) OVER w AS vcpu, sum(mib) OVER w AS mib FROM changes
            WINDOW w AS ({partition} ORDER BY moment RANGE UNBOUNDED PRECEDING)
        )
        SELECT {columns} day, max(running) AS peak, max(vcpu), max(mib) FROM levels WHERE day < {days} GROUP BY ALL""",
    # The same over changes that are summed by second first.
    "sweep, summed": """
        , changes AS (
            SELECT {columns} moment, sum(n) AS n, sum(cpus) AS cpus, sum(mib) AS mib FROM (
                SELECT {columns} s AS moment, 1 AS n, vcpu AS cpus, memory_mib AS mib FROM pieces WHERE s < e
                UNION ALL SELECT {columns} e, -1, -vcpu, -memory_mib FROM pieces WHERE s < e
                UNION ALL SELECT {columns} day * {day}, 0, 0, 0
                FROM (SELECT DISTINCT {group} FROM pieces), (SELECT unnest(range({days})) AS day)
            ) GROUP BY ALL
        ), levels AS (
            SELECT {columns} moment // {day} AS day,
                   sum(n) OVER w AS running, sum(cpus) OVER w AS vcpu, sum(mib) OVER w AS mib FROM changes
            WINDOW w AS ({partition} ORDER BY moment ROWS UNBOUNDED PRECEDING)
        )
        SELECT {columns} day, max(running) AS peak, max(vcpu), max(mib) FROM levels WHERE day < {days} GROUP BY ALL""",
}

GROUPS = {"day": [], "day_by_account_region": ["account_id", "region"], "day_by_type": ["instance_type"]}


def query(form: str, folder: str, group: list[str]) -> str:
    columns = "".join(f"{name}, " for name in group)
    partition = f"PARTITION BY {', '.join(group)}" if group else ""
    names = {"folder": folder, "start": START, "end": END, "day": DAY, "days": DAYS, "measures": MEASURES}
    return (PIECES + form).format(columns=columns, group=", ".join(group) or "1", partition=partition, **names)


def main() -> None:
    folder, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 7
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    results = {"duckdb": duckdb.__version__}
    for report, forms, sum_of in [("usage", USAGE, "seconds"), ("concurrency", CONCURRENCY, "peak")]:
        for name, group in GROUPS.items():
            told = set()
            for form, text in forms.items():
                sql = query(text, folder, group)
                told.add(connection.sql(f"SELECT CAST(sum({sum_of}) AS BIGINT), count(*) FROM ({sql})").fetchall()[0])
                times = []
                for _ in range(rounds):
                    started = time.perf_counter()
                    connection.sql(sql).to_arrow_table()
                    times.append((time.perf_counter() - started) * 1000)
                results[f"{report}_{name}: {form}"] = {"median_ms": round(statistics.median(times), 2), "least_ms": round(min(times), 2)}
            assert len(told) == 1, (report, name, told)
            results[f"{report}_{name}"] = {f"sum_of_{sum_of}": told.pop()[0]}
    results["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
