"""Every door to what the tables and the log hold, and how somebody tries it who has learned a name that is not theirs.

ARCHITECTURE.md lists the kinds of doors; `test_doors.py` holds that list, and the endpoints that the server describes, against this table.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import requests
from client import Client

MARCH = {"start": "2024-03-01", "end": "2024-03-10"}
FORMATS = ("json", "ndjson", "csv", "parquet", "arrow")


@dataclass(frozen=True)
class Names:
    """Everything of somebody that has a name: what is asked for, and what must not be told."""

    account: str
    instance: str
    image: str
    event: str
    source: str
    arn: str
    account_name: str
    image_name: str
    tenant: str
    user: str
    account_number: int
    instance_number: int
    image_number: int
    event_number: int
    user_number: int
    token_hash: str

    def all(self) -> list[str]:
        """All of them as text."""
        return [str(getattr(self, field.name)) for field in fields(self)]


Try = Callable[[Client, Names], requests.Response]


@dataclass(frozen=True)
class Door:
    """A way in."""

    kind: str
    name: str
    covers: str
    go: Try


def asked(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **params: Any) -> Try:
    """A request whose texts name what is asked for in braces."""

    def filled(of: Any, names: Names) -> Any:
        if isinstance(of, str):
            return of.format(**vars(names))
        if isinstance(of, dict):
            return {key: filled(value, names) for key, value in of.items()}
        return [filled(one, names) for one in of] if isinstance(of, list) else of

    def go(client: Client, names: Names) -> requests.Response:
        more = {} if body is None else {"json": filled(body, names)}
        return client.ask(method, filled(path, names), headers=headers, params=filled(params, names), **more)

    return go


def by_id() -> Iterator[Door]:
    """Resources by their ids, to read and to change."""

    def door(covers: str, method: str, path: str, body: Any = None) -> Door:
        return Door("REST by id", f"{method} {path}", covers, asked(method, path, body))

    image, instance, override = {"resourcetype": "AwsMachineImage"}, "/api/v1/instance/{instance_number}/", "/api/v1/images/{image}/overrides/rhel"
    renamed = {"resourcetype": "AwsAccount", "account_arn": "{arn}", "name": "taken over"}
    yield door("getAccount", "GET", "/api/v1/accounts/{account}")
    yield door("renameAccount", "PATCH", "/api/v1/accounts/{account}", {"name": "taken over"})
    yield door("deleteAccount", "DELETE", "/api/v1/accounts/{account}")
    for action in ("enable", "disable", "pause", "resume", "verify"):
        yield Door("REST by id", f"{action} account", "changeAccount", asked("POST", "/api/v1/accounts/{account}/actions", {"action": action}))
    yield door("getImage", "GET", "/api/v1/images/{image}")
    yield door("listImageInspections", "GET", "/api/v1/images/{image}/inspections")
    yield door("setOverride", "PUT", override, {"is": False})
    yield door("removeOverride", "DELETE", override)
    yield door("revokeToken", "DELETE", "/api/v1/tokens/{token_hash}")
    yield door("getUser", "GET", "/api/v1/users/{user}")
    yield door("disableUser", "PATCH", "/api/v1/users/{user}", {"disabled": True})
    yield door("resetPassword", "PUT", "/api/v1/users/{user}/password", {"password": "a password of mine"})
    yield door("v1GetAccount", "GET", "/api/v1/account/{account_number}/")
    yield door("v1ReplaceAccount", "PUT", "/api/v1/account/{account_number}/", renamed)
    yield door("v1ChangeAccount", "PATCH", "/api/v1/account/{account_number}/", renamed)
    yield door("v1DeleteAccount", "DELETE", "/api/v1/account/{account_number}/")
    yield door("v1GetInstance", "GET", instance)
    yield door("v1GetEvent", "GET", "/api/v1/event/{event_number}/")
    yield door("v1GetImage", "GET", "/api/v1/image/{image_number}/")
    yield door("v1ChallengeImageAnew", "PUT", "/api/v1/image/{image_number}/", {**image, "rhel_challenged": True})
    yield door("v1ChallengeImage", "PATCH", "/api/v1/image/{image_number}/", {**image, "rhel_challenged": True})
    yield door("v1GetUser", "GET", "/api/v1/user/{user_number}/")
    yield door("v2GetAccount", "GET", "/api/cloudigrade/v2/accounts/{account_number}/")
    yield door("v2GetInstance", "GET", "/api/cloudigrade/v2/instances/{instance_number}/")
    yield door("v2GetImage", "GET", "/api/cloudigrade/v2/images/{image_number}/")


def whole_lists() -> Iterator[Door]:
    """Lists without a filter."""
    paths = {
        "listRuns": "/api/v1/runs?limit=1000",
        "listGaps": "/api/v1/gaps",
        "listCompleteThrough": "/api/v1/complete-through",
        "listInspections": "/api/v1/inspections",
        "listDeadLetters": "/api/v1/dead-letters",
        "listImages": "/api/v1/images?limit=1000",
        "listOverrides": "/api/v1/overrides",
        "listAccounts": "/api/v1/accounts",
        "listTokens": "/api/v1/tokens",
        "listUsers": "/api/v1/users",
        "getMe": "/api/v1/me",
        "v1GetMe": "/auth/me/",
        "v1ListAccounts": "/api/v1/account/?limit=1000",
        "v1ListInstances": "/api/v1/instance/?limit=1000",
        "v1ListEvents": "/api/v1/event/?limit=1000",
        "v1ListImages": "/api/v1/image/?limit=1000",
        "v1ListUsers": "/api/v1/user/",
        "v1GetSysconfig": "/api/v1/sysconfig/",
        "v2ListAccounts": "/api/cloudigrade/v2/accounts/?limit=1000",
        "v2ListInstances": "/api/cloudigrade/v2/instances/?limit=1000",
        "v2ListImages": "/api/cloudigrade/v2/images/?limit=1000",
        "v2GetSysconfig": "/api/cloudigrade/v2/sysconfig/",
    }
    for covers, path in paths.items():
        yield Door("REST lists", f"GET {path}", covers, asked("GET", path))


def filters() -> Iterator[Door]:
    """Lists and reports that are cut to somebody else's things."""

    def door(covers: str, path: str, **params: Any) -> Door:
        return Door("REST filters", f"GET {path} of {', '.join(params)}", covers, asked("GET", path, **params))

    own = {"account": "{account}", "instance": "{instance}", "image": "{image}"}
    for name, value in own.items():
        yield door("listRuns", "/api/v1/runs", **{name: value})
        yield door("getUsage", "/api/v1/report/usage", **{name: value}, **MARCH)
        yield door("getConcurrency", "/api/v1/report/concurrency", **{name: value}, **MARCH)
    yield door("listGaps", "/api/v1/gaps", account="{account}")
    yield door("listCompleteThrough", "/api/v1/complete-through", account="{account}")
    yield door("listImages", "/api/v1/images", image="{image}")
    yield door("listAccounts", "/api/v1/accounts", tenant="{tenant}")
    for path, covers in (("accounts", "getAccount"), ("accounts/{account}", "getAccount")):
        yield door(covers, f"/api/v1/{path}", tenant="{tenant}")
    yield Door("REST filters", "override for a tenant", "setOverride", asked("PUT", "/api/v1/images/{image}/overrides/rhel", {"is": True}, tenant="{tenant}"))
    yield Door("REST filters", "register for a tenant", "registerAccount", asked("POST", "/api/v1/accounts", {"arn": "arn:aws:iam::012000000999:role/x"}, tenant="{tenant}"))
    yield door("v1ListEvents", "/api/v1/event/", instance_id="{instance_number}")
    for covers, path in (("v1ListAccounts", "account"), ("v1ListInstances", "instance"), ("v1ListEvents", "event"), ("v1ListImages", "image")):
        yield door(covers, f"/api/v1/{path}/", user_id="{user_number}")
    for covers, path in (("v1ReportInstances", "instances"), ("v1ReportAccounts", "accounts")):
        for params in ({"user_id": "{user_number}"}, {"account_id": "{account_number}"}, {"name_pattern": "{account_name}"}):
            yield door(covers, f"/api/v1/report/{path}/", **params, **MARCH)
    yield door("v1ReportImages", "/api/v1/report/images/", account_id="{account_number}", **MARCH)
    yield door("v2ListConcurrentUsage", "/api/cloudigrade/v2/concurrent/", start_date="2024-03-01", end_date="2024-03-10", limit=100)


def registering() -> Iterator[Door]:
    """What registering an account tells of accounts that others have."""
    body = {"resourcetype": "AwsAccount", "account_arn": "{arn}", "name": "mine"}
    yield Door("registering", "first API", "v1RegisterAccount", asked("POST", "/api/v1/account/", body))
    yield Door("registering", "new API", "registerAccount", asked("POST", "/api/v1/accounts", {"arn": "{arn}", "name": "mine"}))


def explanations() -> Iterator[Door]:
    """What is behind cells of others."""
    for by, cell in (("account", "{account}"), ("instance", "{instance}"), ("account,image", "{account},{image}")):
        asks = asked("GET", "/api/v1/report/usage/explain", by=by, cell=cell, granularity="month", **MARCH)
        yield Door("explanations", f"by {by}", "explainUsage", asks)
    yield Door("explanations", "of all", "explainUsage", asked("GET", "/api/v1/report/usage/explain", granularity="month", **MARCH))


def exports() -> Iterator[Door]:
    """Whole tables and reports, in every format."""
    by = "account,region,instance,image,instance_type,rhel,openshift,billing_model,architecture,role,sla,usage,service_type"
    lists = {"listRuns": "runs", "listImages": "images", "listGaps": "gaps", "listCompleteThrough": "complete-through", "listInspections": "inspections"}
    for form in FORMATS:
        for covers, path in lists.items():
            yield Door("exports", f"{path} as {form}", covers, asked("GET", f"/api/v1/{path}", format=form))
        for covers, path in (("getUsage", "usage"), ("getConcurrency", "concurrency")):
            yield Door("exports", f"{path} as {form}", covers, asked("GET", f"/api/v1/report/{path}", format=form, by=by, **MARCH))
        query = {"query": "SELECT * FROM instance_intervals"}
        yield Door("exports", f"SQL as {form}", "runSql", asked("POST", "/api/v1/sql", query, format=form))


def pasts() -> Iterator[Door]:
    """Earlier moments, when accounts and users may have been other ones."""
    for moment in ("2024-03-05T00:00:00Z", "{snapshot}"):
        for path, covers in (("runs", "listRuns"), ("images", "listImages"), ("report/usage?by=account", "getUsage")):
            params = MARCH if "report" in path else {}

            def go(client: Client, names: Names, path: str = path, moment: str = moment, params: dict[str, str] = params) -> requests.Response:
                as_of = snapshot_of_all if moment == "{snapshot}" else moment
                return client.ask("GET", f"/api/v1/{path}", params={**params, "as_of": as_of})

            yield Door("earlier moments", f"{path} as of {moment}", covers, go)


# What a superuser's report told as its snapshot; set by the test that has it.
snapshot_of_all = ""


def rights() -> Iterator[Door]:
    """What takes a right that the asker does not have, whoever it is about."""
    letters = {"ids": ["0123456789abcdef"], "action": "drop"}
    yield Door("rights", "make a user", "createUser", asked("POST", "/api/v1/users", {"name": "{user}", "password": "a password of mine"}))
    yield Door("rights", "have an image inspected", "inspectImage", asked("POST", "/api/v1/images/{image}/inspections", {"action": "inspect"}))
    yield Door("rights", "settle dead letters", "settleDeadLetters", asked("POST", "/api/v1/dead-letters/settle", letters))


def logging_in() -> Iterator[Door]:
    """What failing to log in tells of users that there are."""
    yield Door("logging in", "new API", "createToken", asked("POST", "/api/v1/tokens", {"name": "{user}", "password": "not the password"}))
    yield Door("logging in", "first API", "v1CreateToken", asked("POST", "/auth/token/create/", {"username": "{user}", "password": "not the password"}))


def in_sql() -> dict[str, str]:
    """Questions in SQL that name somebody else's things, or ask for all there is."""
    own = "account_id = '{account}' OR instance_id = '{instance}' OR image_id = '{image}'"
    usage = "usage('2024-03-01', '2024-06-01', 'day', 'UTC', 'account,region,instance,image')"
    return {
        "table": "SELECT * FROM instance_intervals",
        "events": "SELECT * FROM power_events",
        "filter": f"SELECT * FROM instance_intervals WHERE {own}",
        "or true": f"SELECT * FROM power_events WHERE ({own}) OR true",
        "join": "SELECT a.*, b.* FROM instance_intervals a FULL JOIN power_events b ON a.instance_id <> b.instance_id LIMIT 5000",
        "join to named": "SELECT e.* FROM (VALUES ('{account}')) AS v(a) LEFT JOIN power_events e ON e.account_id = v.a",
        "subquery": "SELECT (SELECT max(account_id) FROM coverage WHERE account_id = '{account}') AS a, EXISTS (SELECT 1 FROM accounts WHERE account_id = '{account}') AS b",
        "correlated": "SELECT i.image_id, (SELECT count(*) FROM image_facts f WHERE f.image_id = i.image_id) AS n FROM images i ORDER BY 1",
        "in": "SELECT count(*) AS n FROM instance_intervals WHERE instance_id IN (SELECT instance_id FROM power_events WHERE account_id = '{account}')",
        "with": "WITH t AS (SELECT * FROM instance_intervals UNION ALL SELECT * FROM instance_intervals) SELECT count(*) AS n, max(account_id) AS a FROM t",
        "window": "SELECT DISTINCT account_id, count(*) OVER () AS n FROM instance_intervals ORDER BY 1",
        "set operation": "SELECT account_id FROM coverage EXCEPT SELECT account_id FROM accounts",
        "aggregates": "SELECT min(account_id) AS a, max(account_id) AS b, count(*) AS n, approx_distinct(instance_id) AS d FROM instance_intervals",
        "accounts": "SELECT * FROM accounts",
        "images": "SELECT * FROM images",
        "image": "SELECT * FROM images WHERE image_id = '{image}'",
        "image facts": "SELECT * FROM image_facts",
        "coverage": "SELECT * FROM coverage",
        "dead letters": "SELECT * FROM dead_letters",
        "gaps": "SELECT * FROM sys.gaps",
        "reconciled": "SELECT * FROM sys.reconciled",
        "unknown types": "SELECT * FROM sys.unknown_instance_types",
        "usage": f"SELECT * FROM {usage}",
        "usage of": f"SELECT * FROM {usage} WHERE account_id = '{{account}}'",
        "concurrency": "SELECT * FROM concurrency('2024-03-01', '2024-06-01', 'day', 'UTC', 'account,instance')",
        "id": "SELECT count(*) AS n FROM accounts WHERE resource_id('account/{tenant}/' || account_id) = resource_id('account/{tenant}/{account}')",
    }


def in_catalogues() -> dict[str, str]:
    """What says which tables and functions there are, and how a question is answered."""
    plans = {f"EXPLAIN{how}": f"EXPLAIN{how} SELECT * FROM instance_intervals WHERE account_id = '{{account}}'" for how in ("", " VERBOSE", " ANALYZE")}
    views = ("tables", "columns", "schemata", "views", "routines", "parameters", "df_settings")
    return {
        **plans,
        **{f"information_schema.{view}": f"SELECT * FROM information_schema.{view}" for view in views},
        "SHOW TABLES": "SHOW TABLES",
        "DESCRIBE": "DESCRIBE instance_intervals",
        "SHOW COLUMNS": "SHOW COLUMNS FROM power_events",
        "pg_class": "SELECT relname FROM pg_catalog.pg_class ORDER BY 1",
        "pg_stat": "SELECT * FROM pg_catalog.pg_stat_activity",
        "pg_database": "SELECT * FROM pg_catalog.pg_database",
        "pg_roles": "SELECT * FROM pg_catalog.pg_roles",
        "pg_settings": "SELECT * FROM pg_catalog.pg_settings",
    }


def from_outside() -> dict[str, str]:
    """Ways out of the tables: files, other catalogues, changes."""
    return {
        "file by name": "SELECT * FROM '/etc/passwd'",
        "parquet by name": "SELECT * FROM 'tables/instance_intervals'",
        "read_parquet": "SELECT * FROM read_parquet('/etc/passwd')",
        "external table": "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "copy": "COPY (SELECT 1) TO '/tmp/of-a-tenant.csv'",
        "copy within explain": "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/of-a-tenant.csv'",
        "set": "SET datafusion.execution.batch_size = 1",
        "set a limit": "SET statement_timeout = 0",
        "create": "CREATE VIEW v AS SELECT * FROM instance_intervals",
        "insert": "INSERT INTO accounts SELECT * FROM accounts",
        "delete": "DELETE FROM instance_intervals",
        "update": "UPDATE accounts SET tenant = 'acme'",
        "drop": "DROP TABLE instance_intervals",
        "prepare": "PREPARE p AS SELECT * FROM instance_intervals",
        "hidden columns": "SELECT month, bucket FROM instance_intervals",
        "other catalogue": "SELECT * FROM datafusion.public.instance_intervals",
        "function that is none": "SELECT pg_read_file('/etc/passwd')",
    }


SQL_KINDS = {"SQL tables": in_sql(), "SQL catalogues and plans": in_catalogues(), "SQL ways out": from_outside()}


def sql_over_http() -> Iterator[Door]:
    """SQL by POST."""
    for kind, queries in SQL_KINDS.items():
        for name, query in queries.items():
            yield Door(kind, name, "runSql", asked("POST", "/api/v1/sql", {"query": query}))


MAKERS = (by_id, whole_lists, filters, registering, explanations, exports, pasts, rights, sql_over_http)
DOORS = [door for maker in MAKERS for door in maker()]
LOGINS = list(logging_in())
# What anybody may see, and what concerns nobody but the asker.
OPEN = {"getHealth", "getReadiness", "getMetrics", "getDescription", "getDescriptionOfV2", "v1DestroyToken"}
KINDS = {*(door.kind for door in DOORS), "logging in", "Postgres", "timing", "overrides and tags", "identity of a proxy", "scopes"}
