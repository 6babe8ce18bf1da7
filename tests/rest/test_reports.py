"""The predecessor's reports, over nine days, several users and accounts: as counted by hand, and the same wherever they are asked."""

from fractions import Fraction
from typing import Any

import fleet_of_nine_days as fleet
import pytest
from client import Client
from conftest import REGISTERED, USERS, World
from count import days, of_product, peak, sums
from fleet_of_nine_days import END, PROD, RUNS, SHARED, STAGING, START, Run

PRODUCTS = ("rhel", "openshift")
# Whose accounts a user sees; of an account of two tenants a superuser sees the first one's registration.
SEEN = {
    "ann": {PROD, STAGING},
    "bob": {PROD, STAGING},
    "gina": {fleet.JEWELS, SHARED},
    "ivan": {SHARED},
    "nora": set(),
    "root": {PROD, STAGING, fleet.JEWELS, SHARED, fleet.VECTORS},
}
# Written down rather than computed: rhel instances, runtime, vCPU-seconds and GiB-seconds of acme on each of the nine days.
ACME_RHEL = [
    (2, 93_600, 14 * 3600 * 2 + 12 * 3600 * 4, 14 * 3600 * 8 + 12 * 3600 * 16),
    (2, 172_800, 86_400 * (2 + 4), 86_400 * (8 + 16)),
    (2, 95_400, 86_400 * 4 + 9_000 * 2, Fraction(86_400 * 16) + Fraction(9_000, 2)),
    (1, 86_400, 86_400 * 4, 86_400 * 16),
    (2, 86_401, 86_400 * 4 + 2, 86_400 * 16 + 16),
    (3, 86_400 + 1 + 3_600, 86_400 * 4 + 2, 86_400 * 16 + 16),
    (1, 86_400, 86_400 * 4, 86_400 * 16),
    (2, 90_000, 86_400 * 4 + 3_600 * 2, 86_400 * 16 + 3_600 * 8),
    (1, 86_400, 86_400 * 4, 86_400 * 16),
]
ACME_OPENSHIFT = [
    (0, 0, 0, 0),
    (1, 44_115, 88_230, 176_460),
    (0, 0, 0, 0),
    (1, 86_400, 172_800, 345_600),
    (2, 43_201, 43_200 * 2 + 2, 43_200 * 4 + 16),
    (1, 1, 2, 16),
    (0, 0, 0, 0),
    (0, 0, 0, 0),
    (0, 0, 0, 0),
]


def runs_of(user: str) -> list[Run]:
    """The runs that a user's reports are about."""
    return [r for r in RUNS if r.account in SEEN[user]]


def exact(value: Any) -> Any:
    """A number of JSON without loss."""
    return value if value is None else Fraction(str(value))


def client(world: World, user: str) -> Client:
    return world.users[user]


def daily(client: Client, **more: Any) -> dict[str, Any]:
    return client.get("/api/v1/report/instances/", start=START, end=END, **more)


def overviews(client: Client, **more: Any) -> dict[str, dict[str, Any]]:
    found = client.get("/api/v1/report/accounts/", start=START, end=END, **more)["cloud_account_overviews"]
    return {overview["cloud_account_id"]: overview for overview in found}


def measures(day: dict[str, Any], product: str) -> tuple:
    names = ("instances", "runtime_seconds", "vcpu_seconds", "memory_seconds")
    return tuple(exact(day[f"{product}_{name}"]) for name in names)


def test_nine_days_with_vcpu_and_memory_seconds_are_those_written_down_here(world: World) -> None:
    told = daily(world.ann)["daily_usage"]
    assert [day["date"] for day in told] == [start for start, _ in days(START, END)]
    assert [measures(day, "rhel") for day in told] == ACME_RHEL
    assert [measures(day, "openshift") for day in told] == ACME_OPENSHIFT


@pytest.mark.parametrize("user", SEEN)
def test_daily_usage_of_each_user_is_what_a_count_of_each_second_gives(world: World, user: str) -> None:
    told, runs = daily(client(world, user)), runs_of(user)
    for product in PRODUCTS:
        of = list(filter(of_product(product), runs))
        counted = [sums(of, *day) for day in days(START, END)]
        assert [measures(day, product) for day in told["daily_usage"]] == [
            (len(s.instances), s.runtime, s.vcpu_seconds, s.memory_gib_seconds) for s in counted
        ]
        assert told[f"instances_seen_with_{product}"] == len(sums(of, START, END).instances)


@pytest.mark.parametrize("user", SEEN)
def test_account_overviews_of_each_user_are_what_a_count_gives_and_sum_up_to_the_days(world: World, user: str) -> None:
    told = overviews(client(world, user))
    assert set(told) == SEEN[user]
    for account, overview in told.items():
        runs = [r for r in runs_of(user) if r.account == account]
        total = sums(runs, START, END)
        assert overview["type"] == "aws"
        if not runs:
            # It was registered after all of this, and nothing is known of it.
            assert overview["instances"] is overview["images"] is overview["rhel_runtime_seconds"] is overview["rhel_images_challenged"] is None
            continue
        assert (overview["instances"], overview["images"]) == (len(total.instances), len({r.image for r in runs})), account
        for product in PRODUCTS:
            of = sums(filter(of_product(product), runs), START, END)
            assert measures(overview, product) == (len(of.instances), of.runtime, of.vcpu_seconds, of.memory_gib_seconds), account
            assert overview[f"{product}_images_challenged"] == 0
    for product in PRODUCTS:
        for name in ("runtime_seconds", "vcpu_seconds", "memory_seconds"):
            of_days = sum(exact(day[f"{product}_{name}"] or 0) for day in daily(client(world, user))["daily_usage"])
            assert of_days == sum(exact(overview[f"{product}_{name}"] or 0) for overview in told.values()), (product, name)


@pytest.mark.parametrize("user", SEEN)
def test_image_overviews_of_each_account_are_what_a_count_gives_and_sum_up_to_the_account(world: World, user: str) -> None:
    asking = client(world, user)
    for account, overview in overviews(asking).items():
        told = asking.get("/api/v1/report/images/", start=START, end=END, account_id=overview["id"])["images"]
        runs = [r for r in runs_of(user) if r.account == account]
        assert {image["cloud_image_id"] for image in told} == {r.image for r in runs}
        for image in told:
            of = sums([r for r in runs if r.image == image["cloud_image_id"]], START, END)
            got = (image["instances_seen"], image["runtime_seconds"], exact(image["vcpu_seconds"]), exact(image["memory_seconds"]))
            assert got == (len(of.instances), of.runtime, of.vcpu_seconds, of.memory_gib_seconds), image
        for product in PRODUCTS:
            assert (overview[f"{product}_runtime_seconds"] or 0) == sum(image["runtime_seconds"] for image in told if image[product])


def test_what_is_not_known_of_an_image_is_null_and_what_aws_bills_by_the_hour_is_detected_and_not_counted(world: World) -> None:
    told = {image["ec2_ami_id"]: image for image in world.ann.pages("/api/v1/image/")}
    shown = {ami: (image["rhel"], image["rhel_detected"], image["openshift"], image["status"] == "unavailable") for ami, image in told.items()}
    assert shown[fleet.RHEL][:2] == (True, True)
    assert shown[fleet.PLAIN] == (None, None, None, False)
    assert shown[fleet.MISSING] == (None, None, None, True)
    assert shown[fleet.WINDOWS] == (False, False, False, False)
    assert shown[fleet.HOURLY][:2] == (False, True)
    assert shown[fleet.OPENSHIFT][2] is True


def test_a_superuser_narrowed_to_a_user_gets_that_users_reports_and_others_cannot_narrow(world: World) -> None:
    ids = {user["username"]: user["id"] for user in world.root.get("/api/v1/user/")}
    assert set(ids) == set(USERS)
    for user in ("ann", "bob", "gina", "ivan", "nora"):
        for report in (daily, overviews):
            assert report(world.root, user_id=ids[user]) == report(client(world, user)), user
        assert daily(client(world, user), user_id=ids["gina"]) == daily(client(world, user)), user
    assert client(world, "ann").get("/api/v1/report/instances/", 400, start=START, end=END, user_id="x") == {"user_id": ["user_id must be an integer."]}


def test_a_name_pattern_matches_any_of_its_words_and_combines_with_an_account(world: World) -> None:
    own = overviews(world.ann)
    for pattern, accounts in [("prod", {PROD}), ("STAG eu", {PROD, STAGING}), ("  ", {PROD, STAGING}), ("jewels", set())]:
        assert set(overviews(world.ann, name_pattern=pattern)) == accounts, pattern
    of_staging = daily(world.ann, name_pattern="stag")
    counted = [sums(filter(of_product("rhel"), [r for r in RUNS if r.account == STAGING]), *day) for day in days(START, END)]
    assert [measures(day, "rhel") for day in of_staging["daily_usage"]] == [
        (len(s.instances), s.runtime, s.vcpu_seconds, s.memory_gib_seconds) for s in counted
    ]
    # Of its type no size is known: that is null, and not nothing.
    assert of_staging["daily_usage"][5]["rhel_vcpu_seconds"] is None and of_staging["daily_usage"][5]["rhel_runtime_seconds"] == 3600
    assert daily(world.ann, account_id=own[STAGING]["id"]) == of_staging
    assert overviews(world.ann, account_id=own[STAGING]["id"], name_pattern="prod") == {}


def test_days_begin_at_midnight_whatever_time_a_period_begins_at_and_nothing_is_negative(world: World) -> None:
    start, end = "2024-03-01T18:00:00Z", "2024-03-03T06:00:00Z"
    told = world.ann.get("/api/v1/report/instances/", start=start, end=end)["daily_usage"]
    rhel = list(filter(of_product("rhel"), runs_of("ann")))
    assert [day["date"] for day in told] == ["2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z"]
    assert [day["rhel_runtime_seconds"] for day in told] == [sums(rhel, *day).runtime for day in days(start, end)]
    ends = world.ann.get("/api/v1/report/instances/", 400, start=end, end=start)
    assert ends == {"non_field_errors": ["End date must be after start date."]}
    assert world.ann.get("/api/v1/report/instances/", 400) == {"start": ["This field is required."], "end": ["This field is required."]}


def test_the_future_is_not_known_and_the_time_after_now_is_left_out(world: World) -> None:
    told = world.ann.get("/api/v1/report/accounts/", start="2099-01-01T00:00:00Z", end="2099-02-01T00:00:00Z")["cloud_account_overviews"]
    assert told and all(overview["instances"] is None and overview["rhel_runtime_seconds"] is None for overview in told)
    assert world.ann.get("/api/v1/report/instances/", start="2099-01-01T00:00:00Z", end="2099-02-01T00:00:00Z")["daily_usage"] == []


def test_the_old_reports_the_new_ones_the_command_line_and_sql_say_the_same(world: World) -> None:
    args = ("report", "usage", "--start", START, "--end", END, "--by", "account,rhel,openshift")
    of_command_line = [row for row in world.program.rows(*args) if row["account_id"] in SEEN["root"]]
    of_rest = world.root.get("/api/v1/report/usage", start=START, end=END, by="account,rhel,openshift", account=",".join(sorted(SEEN["root"])))["rows"]
    assert of_rest == of_command_line and len(of_rest) > 20
    in_sql = world.root.sql(
        "SELECT rhel, bucket_start, sum(runtime_seconds) AS seconds, sum(vcpu_seconds) AS vcpu, sum(memory_mib_seconds) AS mib "
        f"FROM usage('{START}', '{END}', 'day', 'UTC') WHERE account_id IN ({', '.join(map(repr, sorted(SEEN['root'])))}) GROUP BY ALL"
    )
    for product, column in (("rhel", "rhel"), ("openshift", "openshift")):
        for day in daily(world.root)["daily_usage"]:
            rows = [row for row in of_rest if row["bucket_start"] == day["date"] and row.get(column) is True]
            assert day[f"{product}_runtime_seconds"] == sum(row["runtime_seconds"] for row in rows)
            assert exact(day[f"{product}_vcpu_seconds"]) == sum(row.get("vcpu_seconds") or 0 for row in rows)
            assert exact(day[f"{product}_memory_seconds"]) == Fraction(sum(row.get("memory_mib_seconds") or 0 for row in rows), 1024)
            if product == "rhel":
                (row,) = [r for r in in_sql if r["bucket_start"] == day["date"] and r.get("rhel") is True] or [{"seconds": 0, "vcpu": 0, "mib": 0}]
                assert (row["seconds"], row["vcpu"]) == (day["rhel_runtime_seconds"], day["rhel_vcpu_seconds"])


@pytest.mark.parametrize("user", ["ann", "gina", "root"])
def test_a_report_is_the_sum_of_its_days_accounts_and_billing_models(world: World, user: str) -> None:
    def total(**more: Any) -> dict[str, int]:
        rows = client(world, user).get("/api/v1/report/usage", start=START, end=END, **more)["rows"]
        return {name: sum(row.get(name) or 0 for row in rows) for name in ("runtime_seconds", "vcpu_seconds", "memory_mib_seconds", "unsized_seconds")}

    whole = total(granularity="month")
    seen = RUNS if user == "root" else runs_of(user)
    counted = sums([r for r in seen], START, END)
    assert (whole["runtime_seconds"], whole["vcpu_seconds"], whole["memory_mib_seconds"]) == (counted.runtime, counted.vcpu, counted.memory_mib)
    for parts in ({"granularity": "day"}, {"granularity": "hour"}, {"by": "account"}, {"by": "billing_model"}, {"by": "rhel,openshift,instance"}):
        assert total(**parts) == whole, parts
    models = [total(billing_model=model) for model in ("payg", "byos", "unknown")]
    assert {name: sum(model[name] for model in models) for name in whole} == whole


@pytest.mark.parametrize("user", ["ann", "gina"])
def test_peaks_are_those_of_a_count_in_the_new_report_and_in_the_second_api(world: World, user: str) -> None:
    asking = client(world, user)
    rows = asking.get("/api/v1/report/concurrency", start=START, end=END, granularity="day", product="rhel")["rows"]
    second = asking.get("/api/cloudigrade/v2/concurrent/", start_date=START[:10], end_date=END[:10], limit=100)
    rhel = list(filter(of_product("rhel"), runs_of(user)))
    counted = [peak(rhel, *day) for day in days(START, END)]
    by_day = {row["bucket_start"]: row["peak_instances"] for row in rows}
    assert [by_day.get(start, 0) for start, _ in days(START, END)] == counted
    anything = {"arch": "_ANY", "role": "_ANY", "sla": "_ANY", "usage": "_ANY", "service_type": "_ANY"}
    told = [[c["instances_count"] for c in day["maximum_counts"] if {k: c[k] for k in anything} == anything] for day in second["data"]]
    assert told == [[count] if count else [] for count in counted]
    assert second["meta"]["count"] == 9 and max(counted) > 1


def test_a_challenge_takes_effect_at_once_and_taken_back_leaves_no_trace(world: World) -> None:
    before = daily(world.ann), overviews(world.ann)
    (image,) = [one for one in world.ann.pages("/api/v1/image/") if one["ec2_ami_id"] == fleet.RHEL]
    path = f"/api/v1/image/{image['id']}/"
    challenged = world.ann.send("PATCH", path, {"resourcetype": "AwsMachineImage", "rhel_challenged": True})
    try:
        assert (challenged["rhel"], challenged["rhel_detected"], challenged["rhel_challenged"]) == (False, True, True)
        counts = {"rhel": fleet.COUNTS_AS_RHEL - {fleet.RHEL}}
        counted = [sums(filter(of_product("rhel", counts), runs_of("ann")), *day) for day in days(START, END)]
        assert [day["rhel_runtime_seconds"] for day in daily(world.ann)["daily_usage"]] == [s.runtime for s in counted]
        assert {account: o["rhel_images_challenged"] for account, o in overviews(world.ann).items()} == {PROD: 1, STAGING: 1}
    finally:
        # What a PUT leaves out is challenged no longer.
        back = world.ann.send("PUT", path, {"resourcetype": "AwsMachineImage"})
    assert back["rhel_challenged"] is False and (daily(world.ann), overviews(world.ann)) == before
