"""What the numbers mean: the vectors of the counting rules, asked over HTTP. (An end that nobody timed takes an account that is described.)"""

from typing import Any

import fleet_of_nine_days as fleet
import pytest
from conftest import World
from vectors import ids

HOUR = 3600


def usage(world: World, vector: int, *which: str, start: str, end: str, granularity: str = "day", **more: Any) -> list[dict[str, Any]]:
    """Usage of some instances of a vector, by instance."""
    wanted = {"instance": ",".join(ids(vector, *which)), "by": "instance", "granularity": granularity, **more}
    return world.vera.get("/api/v1/report/usage", start=start, end=end, **wanted)["rows"]


def seconds(world: World, vector: int, day: str, *which: str) -> dict[str, int]:
    """Seconds of each instance on a day."""
    rows = usage(world, vector, *which, start=day, end=f"{day[:8]}{int(day[8:]) + 1:02d}")
    return {row["instance_id"]: row["runtime_seconds"] for row in rows}


def runs(world: World, vector: int, *which: str) -> list[tuple[str, str | None]]:
    """The runs of some instances."""
    rows = world.vera.get("/api/v1/runs", instance=",".join(ids(vector, *which)))["rows"]
    return [(row["started_at"], row["ended_at"]) for row in rows]


def peaks(world: World, vector: int, *which: str, start: str, end: str) -> list[int]:
    """The most at once on each day."""
    wanted = {"instance": ",".join(ids(vector, *which)), "granularity": "day"}
    return [row["peak_instances"] for row in world.vera.get("/api/v1/report/concurrency", start=start, end=end, **wanted)["rows"]]


def test_v1_a_run_that_ends_at_midnight_is_not_in_the_next_day(world: World) -> None:
    a, b = ids(1, "a", "b")
    assert seconds(world, 1, "2024-05-01", "a", "b") == {a: 14 * HOUR, b: 12 * HOUR}
    assert seconds(world, 1, "2024-05-02", "a", "b") == {b: 24 * HOUR}
    assert peaks(world, 1, "a", "b", start="2024-05-01", end="2024-05-03") == [2, 1]


@pytest.mark.parametrize("order", ["1", "2"], ids=["the stop came first", "the start came first"])
def test_v2_a_stop_and_a_start_at_one_second_do_not_overlap(world: World, order: str) -> None:
    assert peaks(world, 2, f"a{order}", f"b{order}", start="2024-05-02", end="2024-05-03") == [1]
    assert sum(seconds(world, 2, "2024-05-02", f"a{order}", f"b{order}").values()) == 8 * HOUR


def test_v3_a_start_of_what_runs_is_nothing(world: World) -> None:
    assert runs(world, 3, "a") == [("2024-05-03T09:00:00Z", "2024-05-03T10:00:00Z")]
    assert list(seconds(world, 3, "2024-05-03", "a").values()) == [HOUR]


def test_v4_one_record_starts_three_and_twenty_seconds_are_twenty_seconds(world: World) -> None:
    a, b, c = ids(4, "a", "b", "c")
    assert seconds(world, 4, "2024-05-04", "a", "b", "c") == {a: 20, b: HOUR, c: HOUR}


def test_v5_another_size_is_another_run_from_its_start(world: World) -> None:
    (row,) = usage(world, 5, "a", start="2024-05-05", end="2024-05-06")
    assert (row["runtime_seconds"], row["vcpu_seconds"]) == (3 * HOUR, 8 * HOUR)
    assert len(runs(world, 5, "a")) == 2


def test_v6_spot_takes_an_instance_back(world: World) -> None:
    assert list(seconds(world, 6, "2024-05-06", "a").values()) == [HOUR // 2]


def test_v8_a_day_in_berlin_may_have_23_hours(world: World) -> None:
    rows = usage(world, 8, "a", start="2024-03-31", end="2024-04-01", tz="Europe/Berlin")
    assert [row["runtime_seconds"] for row in rows] == [23 * HOUR]


def test_v9_a_file_that_comes_twice_and_turned_round_changes_nothing(world: World) -> None:
    assert runs(world, 9, "a") == [("2024-05-09T09:00:00Z", "2024-05-09T10:00:00Z"), ("2024-05-09T11:00:00Z", "2024-05-09T12:00:00Z")]
    assert len(world.vera.sql(f"SELECT * FROM power_events WHERE instance_id = '{ids(9, 'a')[0]}'")) == 4


def test_v10_an_override_holds_now_and_not_as_of_before(world: World) -> None:
    asked = {"start": "2024-05-10", "end": "2024-05-11", "instance": ids(10, "a")[0], "product": "rhel"}
    before = world.vera.ask("GET", "/api/v1/report/usage", params=asked)
    snapshot = before.json()["snapshot"]
    assert [row["runtime_seconds"] for row in before.json()["rows"]] == [6 * HOUR]
    path = f"/api/v1/images/{fleet.RHEL}/overrides/rhel"
    image = world.vera.send("PUT", path, {"is": False, "reason": "it is CentOS"})
    try:
        (said,) = image["overrides"]
        assert (said["tenant"], said["by"], said["is"], said["reason"]) == ("vectors", "vera", False, "it is CentOS")
        assert [row["runtime_seconds"] for row in world.vera.get("/api/v1/report/usage", **asked)["rows"]] == [0]
        assert world.vera.ask("GET", "/api/v1/report/usage", params={**asked, "as_of": snapshot}).content == before.content
        listed = world.vera.get("/api/v1/overrides")["items"]
        assert [(one["image_id"], one["by"]) for one in listed if one["is"] is not None] == [(fleet.RHEL, "vera")]
    finally:
        world.vera.send("DELETE", path, expect=204)
    assert [row["runtime_seconds"] for row in world.vera.get("/api/v1/report/usage", **asked)["rows"]] == [6 * HOUR]


def test_v11_a_refused_stop_and_a_stop_of_what_stands_still_are_nothing(world: World) -> None:
    assert runs(world, 11, "a") == [("2024-05-11T09:00:00Z", "2024-05-11T10:00:00Z"), ("2024-05-11T12:00:00Z", "2024-05-11T13:00:00Z")]


def test_v12_who_is_paid_follows_from_the_billing_code(world: World) -> None:
    models = {image["image_id"]: image["billing_model"] for image in world.ann.get("/api/v1/images")["rows"]}
    assert (models[fleet.RHEL], models[fleet.HOURLY], models[fleet.OPENSHIFT], models[fleet.MISSING]) == ("byos", "payg", "unknown", "unknown")


@pytest.mark.parametrize("user", ["ann", "gina", "vera"])
def test_an_explanation_adds_up_to_its_cell_with_events_and_sources(world: World, user: str) -> None:
    asked = {"start": "2024-03-01", "end": "2024-06-01", "granularity": "month", "by": "account,image"}
    client = world.users[user]
    rows = client.get("/api/v1/report/usage", **asked)["rows"]
    assert rows
    for row in rows:
        cell = f"{row['account_id']},{row['image_id']}"
        told = client.get("/api/v1/report/usage/explain", **asked, bucket=row["bucket_start"], cell=cell)
        for name in ("seconds", "vcpu_seconds", "memory_mib_seconds"):
            total = "runtime_seconds" if name == "seconds" else name
            assert sum(run[name] or 0 for run in told["runs"]) == (row.get(total) or 0) == (told["totals"][total] or 0), (cell, name)
        assert {image["image_id"] for image in told["images"]} == {row["image_id"]}
        assert all(".json.gz#" in run["start"]["source"] for run in told["runs"])


def test_an_issued_report_is_the_same_bytes_as_of_its_snapshot_in_every_format(world: World) -> None:
    asked = {"start": "2024-03-01", "end": "2024-03-10", "by": "account,instance,rhel"}
    for form in ("json", "ndjson", "csv", "parquet", "arrow"):
        first = world.ann.ask("GET", "/api/v1/report/usage", params={**asked, "format": form})
        snapshot = first.json()["snapshot"] if form == "json" else first.headers["x-snapshot"]
        # Somebody else says something of an image that both use: another version of the tables.
        world.gina.send("PUT", f"/api/v1/images/{fleet.COMMON}/overrides/openshift", {"is": True})
        try:
            again = world.ann.ask("GET", "/api/v1/report/usage", params={**asked, "format": form, "as_of": snapshot})
        finally:
            world.gina.send("DELETE", f"/api/v1/images/{fleet.COMMON}/overrides/openshift", expect=204)
        assert (again.status_code, again.content) == (200, first.content), form
