"""What tools of Postgres look for before anybody asks anything: psql's commands, and the questions of Grafana, DBeaver and of Java's driver."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from demo_server import ANSWER_SECONDS, Server, code, must_be_there, one, root, server  # noqa: F401

# Where Debian's libpostgresql-jdbc-java puts it.
JDBC = Path("/usr/share/java/postgresql.jar")
TABLES = ["accounts", "coverage", "dead_letters", "image_facts", "images", "instance_intervals", "instance_types", "power_events"]


# psql.


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        (r"\d", "instance_intervals"),
        (r"\d+", "instance_intervals"),
        (r"\d instance_intervals", "started_at"),
        (r"\d+ instance_intervals", "started_at"),
        (r"\d sys.gaps", "missing_from"),
        (r"\d public.*", "power_events"),
        (r"\dt", "power_events"),
        (r"\dt+", "power_events"),
        (r"\dt acc*", "accounts"),
        (r"\dt *.*", "gaps"),
        (r"\dv", "reconciled"),
        (r"\dv sys.*", "reconciled"),
        (r"\dv+ sys.*", "reconciled"),
        (r"\dm", "Did not find any relations"),
        (r"\ds", "Did not find any relations"),
        (r"\di", "Did not find any relations"),
        (r"\di+", "Did not find any relations"),
        (r"\dE", "Did not find any relations"),
        (r"\dP", "List of partitioned relations"),
        (r"\l", "cloudigrade"),
        (r"\l+", "cloudigrade"),
        (r"\dn", "public"),
        (r"\dn+", "public"),
        (r"\df", "List of functions"),
        (r"\df+", "List of functions"),
        (r"\df usage", "List of functions"),
        (r"\da", "List of aggregate functions"),
        (r"\do", "List of operators"),
        (r"\du", "root"),
        (r"\du+", "root"),
        (r"\dg", "root"),
        (r"\drds", "Did not find any settings"),
        (r"\dp", "accounts"),
        (r"\z", "accounts"),
        (r"\ddp", "Default access privileges"),
        (r"\dT", "List of data types"),
        (r"\dT+", "List of data types"),
        (r"\dC", "List of casts"),
        (r"\dD", "List of domains"),
        (r"\dO", "List of collations"),
        (r"\dc", "List of conversions"),
        (r"\dd", "Object descriptions"),
        (r"\dL", "List of languages"),
        (r"\dL+", "List of languages"),
        (r"\dx", "List of installed extensions"),
        (r"\dx+", "plpgsql"),
        (r"\dy", "List of event triggers"),
        (r"\dA", "List of access methods"),
        (r"\db", "List of tablespaces"),
        (r"\dF", "List of text search configurations"),
        (r"\des", "List of foreign servers"),
        (r"\deu", "List of user mappings"),
        (r"\dew", "List of foreign-data wrappers"),
        (r"\det", "List of foreign tables"),
        (r"\dRp", "List of publications"),
        (r"\dRs", "List of subscriptions"),
        (r"\dX", "List of extended statistics"),
        (r"\dl", "Large objects"),
        (r"\dconfig statement_timeout", "statement_timeout"),
        (r"\conninfo", "root"),
        (r"\encoding", "UTF8"),
        (r"\copy (SELECT 1 AS a, 'x,y' AS b) to stdout with (format csv, header true)", 'a,b\n1,"x,y"'),
    ],
)
def test_psql_shows_what_there_is_and_says_what_there_is_not(server: Server, command: str, shows: str) -> None:
    """None of its commands fails, to whoever asks."""
    for user in ("root", "ann"):
        assert shows.replace("root", user) in server.psql(command, user=user)


def test_psql_times_describes_and_prints_rows(server: Server, tmp_path: Path) -> None:
    """As a table and as CSV; with the time it took; and what a query would give."""
    assert server.psql("SELECT count(*) AS runs FROM instance_intervals", args=("-At",)).strip().isdigit()
    assert server.psql("SELECT 1 AS a, NULL AS b", "SHOW server_version", args=("--csv",)).startswith("a,b\n1,\n")
    assert re.search(r"1 row.*Time: [0-9.]+ ms", server.psql(r"\timing on", "SELECT 1"), re.DOTALL)
    script = tmp_path / "described.sql"
    script.write_text("SELECT started_at FROM instance_intervals \\gdesc\n")
    assert "timestamp with time zone" in server.psql(args=("-f", str(script)))


def test_psql_says_in_words_what_cannot_be_had(server: Server) -> None:
    """A relation that is not there, and sources that there are none of."""
    assert "Did not find any relation named" in server.psql(r"\d nothing", expect=1)
    for command in (r"\sf usage", r"\sv instance_intervals"):
        said = server.psql(command, expect=1)
        assert "ERROR" in said or "is not a view" in said or "does not exist" in said, said
        assert "panicked" not in said and "server closed the connection" not in said


# Grafana.

GRAFANA: dict[str, tuple[str, Callable[[list[tuple[Any, ...]]], bool]]] = {
    "version": ("SELECT current_setting('server_version_num')::int/100 as version", lambda rows: rows == [(1600,)]),
    "extension": ("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", lambda rows: rows == []),
    "schemas": (
        "SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast') "
        "ORDER BY schema_name",
        lambda rows: rows == [("public",), ("sys",)],
    ),
    "tables of a schema": (
        'SELECT quote_ident(table_name) AS "table" FROM information_schema.tables WHERE quote_ident(table_schema) = \'public\' ORDER BY 1',
        lambda rows: [name for (name,) in rows] == TABLES,
    ),
    "columns": (
        'SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns '
        "WHERE quote_ident(table_schema) = 'public' AND quote_ident(table_name) = 'coverage' ORDER BY ordinal_position",
        lambda rows: [name for name, _ in rows] == ["account_id", "region", "complete_through"],
    ),
}
# Which of the schemas that are looked in by themselves a name belongs to, as Grafana finds it out.
IN_PATH = """quote_ident(table_schema) IN (
    SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
    FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1),
                         array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i,
         string_to_array(current_setting('search_path'), ',') s)"""


@pytest.mark.parametrize("name", GRAFANA)
def test_grafana_finds_versions_schemas_tables_and_columns(root: psycopg.Connection, name: str) -> None:
    """The questions of its editor."""
    query, holds = GRAFANA[name]
    rows = root.execute(query).fetchall()
    assert holds(rows), rows


def test_grafana_finds_tables_and_their_columns_by_the_search_path(root: psycopg.Connection) -> None:
    """With or without their schemas: each name that it is told leads to the columns."""
    query = f"""SELECT CASE WHEN {IN_PATH} THEN quote_ident(table_name) ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
        FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog')
        ORDER BY CASE WHEN {IN_PATH} THEN 0 ELSE 1 END, 1"""
    names = [name for (name,) in root.execute(query).fetchall()]
    assert {name.removeprefix("public.") for name in names} >= {*TABLES, "sys.gaps"}
    for name in (names[0], "sys.gaps", "public.accounts"):
        columns = f"""SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
            WHERE CASE WHEN array_length(parse_ident('{name}'), 1) = 2
                  THEN quote_ident(table_schema) = (parse_ident('{name}'))[1] AND quote_ident(table_name) = (parse_ident('{name}'))[2]
                  ELSE quote_ident(table_name) = '{name}' AND {IN_PATH} END"""
        assert root.execute(columns).fetchall(), name


@pytest.mark.parametrize(
    ("time", "where"),
    [
        ("started_at AS time", "started_at BETWEEN '2024-03-02T00:00:00Z' AND '2024-03-05T00:00:00Z'"),
        ("extract(epoch from started_at) as time", "started_at BETWEEN '2024-03-02T00:00:00.123Z' AND '2024-03-05T00:00:00.456Z'"),
        ("floor(extract(epoch from started_at)/3600)*3600 AS time", "extract(epoch from started_at) >= 1709337600 AND extract(epoch from started_at) <= 1709596800"),
        ("floor((extract(epoch from started_at))/300)*300 AS time", "started_at >= '2024-03-02T00:00:00Z' AND started_at < '2024-03-05T00:00:00Z'"),
        ("date_trunc('day', started_at) AS time", "started_at BETWEEN '2024-03-02T00:00:00Z' AND '2024-03-05T00:00:00Z'"),
        ("date_bin('1 hour', started_at, TIMESTAMP '1970-01-01T00:00:00Z') AS time", "started_at BETWEEN '2024-03-02T00:00:00Z' AND '2024-03-05T00:00:00Z'"),
    ],
)
def test_what_grafanas_macros_become_is_answered(root: psycopg.Connection, time: str, where: str) -> None:
    """$__time, $__timeEpoch, $__timeGroup, $__unixEpochGroup, $__timeFilter and $__unixEpochFilter, in a panel of time series."""
    expected = one(root, "SELECT count(*) FROM instance_intervals WHERE started_at >= '2024-03-02T00:00:00Z' AND started_at <= '2024-03-05T00:00:00Z'")
    query = f"SELECT {time}, region AS metric, count(*) AS value FROM instance_intervals WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2"
    rows = root.execute(query).fetchall()
    assert 0 < sum(value for *_, value in rows) <= expected
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    usage = root.execute("SELECT bucket_start AS time, runtime_seconds AS value FROM usage('2024-03-02T00:00:00Z', '2024-03-05T00:00:00Z', 'day', 'UTC', '') ORDER BY 1")
    assert [moment.day for moment, _ in usage.fetchall()] == [2, 3, 4]


# DBeaver: what it reads of a data base, a schema and a table, each by the numbers that it was told before.


def test_dbeaver_reads_the_data_base(root: psycopg.Connection) -> None:
    """As it connects."""
    (database,) = root.execute("SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE db.datname = %s", ("cloudigrade",)).fetchall()
    assert "cloudigrade" in database
    for query in (
        "SET extra_float_digits = 3",
        "SET application_name = 'DBeaver 25.1.5 - Main <cloudigrade>'",
        "SHOW search_path",
        "SELECT current_schema(), session_user",
        "SELECT * FROM pg_catalog.pg_settings WHERE name = 'standard_conforming_strings'",
        "SELECT string_agg(word, ',') FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{select,from,where}'::text[])",
        "SELECT * FROM pg_catalog.pg_enum WHERE 1<>1 LIMIT 1",
        "SELECT reltype FROM pg_catalog.pg_class WHERE 1<>1 LIMIT 1",
        "SELECT a.oid, a.* FROM pg_catalog.pg_roles a ORDER BY a.rolname",
        "SELECT t.oid, t.*, pg_tablespace_location(t.oid) AS loc FROM pg_catalog.pg_tablespace t ORDER BY t.oid",
        "SELECT am.oid, am.* FROM pg_catalog.pg_am am ORDER BY am.oid",
        "SELECT l.oid, l.* FROM pg_catalog.pg_language l ORDER BY l.oid",
        "SELECT c.contoencoding AS encid, pg_catalog.pg_encoding_to_char(c.contoencoding) AS encname FROM pg_catalog.pg_conversion c GROUP BY c.contoencoding ORDER BY 2",
        "SELECT e.oid, n.nspname AS schema_name, e.* FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY e.oid",
        "SELECT e.name, e.default_version, e.installed_version, e.comment FROM pg_catalog.pg_available_extensions e ORDER BY e.name",
        "SELECT w.oid, w.*, p.proname AS handler_proc_name, pn.oid AS handler_schema_id FROM pg_catalog.pg_foreign_data_wrapper w "
        "LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = w.fdwhandler LEFT OUTER JOIN pg_catalog.pg_namespace pn ON pn.oid = p.pronamespace ORDER BY w.fdwname",
        "SELECT e.* FROM pg_catalog.pg_event_trigger e ORDER BY e.evtname",
    ):
        root.execute(query)


def schemas(connection: psycopg.Connection) -> dict[str, int]:
    """The numbers of the schemas by their names."""
    rows = connection.execute(
        "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d "
        "ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname"
    )
    at = [column.name for column in rows.description].index("nspname")
    return {row[at]: row[0] for row in rows.fetchall()}


def tables(connection: psycopg.Connection, schema: str) -> dict[str, int]:
    """The numbers of the tables of a schema by their names."""
    rows = connection.execute(
        "SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key "
        "FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass "
        "WHERE c.relnamespace = %s AND c.relkind NOT IN ('i', 'I', 'c')",
        (schemas(connection)[schema],),
    )
    at = [column.name for column in rows.description].index("relname")
    return {row[at]: row[0] for row in rows.fetchall()}


def test_dbeaver_reads_schemas_and_their_tables(root: psycopg.Connection) -> None:
    """And what else a schema may have, of which there is none."""
    assert {"public", "sys", "pg_catalog", "information_schema"} <= set(schemas(root))
    assert sorted(tables(root, "public")) == TABLES
    assert {"gaps", "reconciled"} <= set(tables(root, "sys"))
    public = schemas(root)["public"]
    for query in (
        "SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) AS total_rel_size, pg_catalog.pg_relation_size(c.oid) AS rel_size FROM pg_class c WHERE c.relnamespace = %s",
        "SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, d.description FROM pg_catalog.pg_type t "
        "LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid "
        "LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') "
        "AND (et.typcategory IS NULL OR et.typcategory <> 'C') AND t.typnamespace = %s",
        "SELECT p.oid, p.*, pg_catalog.pg_get_expr(p.proargdefaults, 0) AS arg_defaults, d.description FROM pg_catalog.pg_proc p "
        "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = p.oid WHERE p.pronamespace = %s ORDER BY p.proname",
        "SELECT c.oid, c.*, d.description FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid WHERE c.relkind = 'S' AND c.relnamespace = %s",
        "SELECT e.oid, e.* FROM pg_catalog.pg_statistic_ext e WHERE e.stxnamespace = %s",
    ):
        root.execute(query, (public,)).fetchall()


def test_dbeaver_reads_a_table(root: psycopg.Connection) -> None:
    """Its columns, and keys, indexes, triggers, rules and policies that it has none of; then its first rows, in pieces."""
    table = tables(root, "public")["coverage"]
    columns = root.execute(
        "SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description, dep.objid FROM pg_catalog.pg_attribute a "
        "INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid) LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum) "
        "LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid) "
        "LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid "
        "WHERE NOT a.attisdropped AND c.relkind NOT IN ('i', 'I', 'c') AND c.oid = %s ORDER BY a.attnum",
        (table,),
    )
    at = [column.name for column in columns.description].index("attname")
    assert [row[at] for row in columns.fetchall()] == ["account_id", "region", "complete_through"]
    for query in (
        "SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description, CASE WHEN c.contype = 'c' THEN \"substring\"(pg_get_constraintdef(c.oid), 7) "
        "ELSE null END AS consrc_copy FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid "
        "LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid LEFT OUTER JOIN pg_catalog.pg_description d "
        "ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass WHERE c.conrelid = %s ORDER BY c.oid",
        "SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, dsc.description, "
        "pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS expr, "
        "pg_catalog.pg_relation_size(i.indexrelid) AS index_rel_size, pg_catalog.pg_stat_get_numscans(i.indexrelid) AS index_num_scans "
        "FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid "
        "LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE i.indrelid = %s ORDER BY tabrelname, c.relname",
        "SELECT x.oid, x.*, p.pronamespace AS func_schema_id, d.description FROM pg_catalog.pg_trigger x LEFT OUTER JOIN pg_catalog.pg_proc p ON p.oid = x.tgfoid "
        "LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = x.oid AND d.objsubid = 0 WHERE x.tgrelid = %s AND NOT x.tgisinternal",
        "SELECT r.oid, r.*, d.description FROM pg_catalog.pg_rewrite r LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = r.oid WHERE r.ev_class = %s",
        "SELECT i.*, c.relnamespace FROM pg_catalog.pg_inherits i, pg_catalog.pg_class c WHERE i.inhrelid = %s AND c.oid = i.inhparent ORDER BY i.inhseqno",
    ):
        assert root.execute(query, (table,)).fetchall() == []
    policies = "SELECT * FROM pg_catalog.pg_policies WHERE schemaname = 'public' AND tablename = 'coverage'"
    assert root.execute(policies).fetchall() == []
    assert len(root.execute("SELECT x.* FROM public.instance_intervals x LIMIT 5").fetchall()) == 5


# Java.

OTHERS = {
    "tables": "SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' "
    "WHEN true THEN CASE c.relkind WHEN 'r' THEN 'SYSTEM TABLE' WHEN 'v' THEN 'SYSTEM VIEW' ELSE NULL END "
    "WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END ELSE NULL END AS TABLE_TYPE, d.description AS REMARKS, '' AS TYPE_CAT "
    "FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0) "
    "LEFT JOIN pg_catalog.pg_class dc ON (d.classoid = dc.oid AND dc.relname = 'pg_class') LEFT JOIN pg_catalog.pg_namespace dn "
    "ON (dn.oid = dc.relnamespace AND dn.nspname = 'pg_catalog') WHERE c.relnamespace = n.oid AND n.nspname LIKE 'public' "
    "AND (false OR (c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')) ORDER BY TABLE_TYPE, TABLE_SCHEM, TABLE_NAME",
    "schemas": "SELECT nspname AS TABLE_SCHEM, NULL AS TABLE_CATALOG FROM pg_catalog.pg_namespace WHERE nspname <> 'pg_toast' AND (nspname !~ '^pg_temp_' "
    "OR nspname = (pg_catalog.current_schemas(true))[1]) AND (nspname !~ '^pg_toast_temp_' "
    "OR nspname = replace((pg_catalog.current_schemas(true))[1], 'pg_temp_', 'pg_toast_temp_')) ORDER BY TABLE_SCHEM",
    "columns": "SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.atttypid, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull, a.atttypmod, a.attlen, "
    "t.typtypmod, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') AS attidentity, nullif(a.attgenerated, '') AS attgenerated, "
    "pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, dsc.description, t.typbasetype, t.typtype FROM pg_catalog.pg_namespace n "
    "JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) "
    "LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum) "
    "LEFT JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid) "
    "LEFT JOIN pg_catalog.pg_class dc ON (dc.oid = dsc.classoid AND dc.relname = 'pg_class') "
    "LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace = dn.oid AND dn.nspname = 'pg_catalog') WHERE c.relkind IN ('r', 'p', 'v', 'f', 'm') AND a.attnum > 0 "
    "AND NOT a.attisdropped AND n.nspname LIKE 'public' AND c.relname LIKE 'coverage') c WHERE true ORDER BY nspname, c.relname, attnum",
    "activity of pgAdmin": "SELECT pid, datname, usename, application_name, state FROM pg_stat_activity",
    "columns of pgcli": "SELECT nsp.nspname, cls.relname, att.attname, att.atttypid::regtype::text AS type_name FROM pg_catalog.pg_attribute att "
    "INNER JOIN pg_catalog.pg_class cls ON att.attrelid = cls.oid INNER JOIN pg_catalog.pg_namespace nsp ON cls.relnamespace = nsp.oid "
    "WHERE cls.relkind = ANY('{r,p,f}') AND NOT att.attisdropped AND att.attnum > 0 ORDER BY 1, 2, att.attnum",
    "who": "SELECT current_user, current_database(), current_schema",
    "roles": "SELECT rolname, rolsuper FROM pg_roles",
}


@pytest.mark.parametrize("name", OTHERS)
def test_javas_driver_and_others_find_what_they_look_for(root: psycopg.Connection, name: str) -> None:
    """What getTables, getSchemas and getColumns ask, and others."""
    assert root.execute(OTHERS[name]).fetchall()
    if name == "columns":
        assert [(row[2], row[8]) for row in root.execute(OTHERS[name]).fetchall()] == [("account_id", 1), ("region", 2), ("complete_through", 3)]


def test_javas_own_driver_finds_tables_and_columns_reads_in_pieces_and_is_cancelled(server: Server, tmp_path: Path) -> None:
    """Where it is there: it asks more than can be written down here."""
    java = shutil.which("java")
    must_be_there(java is not None and JDBC.exists(), "Java's driver", "default-jdk-headless libpostgresql-jdbc-java")
    probe = Path(__file__).with_name("JdbcProbe.java")
    url = f"jdbc:postgresql://127.0.0.1:{server.port}/cloudigrade"
    command = [java, "-Duser.timezone=Europe/Berlin", "-cp", str(JDBC), str(probe), url, "root", server.passwords["root"]]
    done = subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=4 * ANSWER_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert told.pop("tables").split(",") == TABLES
    assert told.pop("columns") == "account_id:text:12,region:text:12,complete_through:timestamptz:93"
    assert {"public", "sys"} <= set(told.pop("schemas").split(","))
    assert int(told.pop("types")) > 50
    assert told == {"keys": "0", "indexes": "0", "imported": "0", "functions": "0", "pieces": "100", "prepared": "10", "moment": "1709251200", "cancelled": "57014"}


# Numbers and zones.


def test_numbers_of_the_catalogue_stay_the_same(server: Server) -> None:
    """Tools ask for a table's number on one connection and for its columns by that on another."""
    with server.connect() as first, server.connect() as second:
        number = one(first, "SELECT oid FROM pg_class WHERE relname = 'coverage'")
        columns = second.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 ORDER BY attnum", (number,)).fetchall()
    assert columns == [("account_id",), ("region",), ("complete_through",)]


def test_times_are_in_utc_whatever_zone_a_client_begins_with_and_it_is_told_so(server: Server) -> None:
    """A zone that a driver names as it begins is passed over, and one that is set is refused in words: neither is taken and not kept to."""
    first = "SELECT min(started_at) FROM instance_intervals"
    with server.connect(autocommit=True) as in_utc, server.connect(autocommit=True, options="-c TimeZone=Europe/Berlin") as elsewhere:
        assert elsewhere.info.parameter_status("TimeZone") == "UTC"
        assert one(elsewhere, "SHOW timezone") == "UTC"
        assert one(elsewhere, first) == one(in_utc, first)
        assert one(elsewhere, f"SELECT ({first})::text").endswith(("Z", "+00", "+00:00"))
        assert one(elsewhere, first).astimezone(timezone.utc).tzinfo is timezone.utc
        for zone in ("Europe/Berlin", "America/New_York", "+02", "CET", "nowhere"):
            with pytest.raises(psycopg.Error, match="usage.*reports in other zones"):
                elsewhere.execute(f"SET TIME ZONE '{zone}'")
        assert code(elsewhere, "SET SESSION TimeZone TO 'Europe/Berlin'") == "22023"
        for zone in ("UTC", "Etc/UTC", "GMT"):
            elsewhere.execute(f"SET TIME ZONE '{zone}'")
        assert one(elsewhere, "SELECT %s::timestamptz", datetime(2024, 3, 1, tzinfo=timezone.utc)) == datetime(2024, 3, 1, tzinfo=timezone.utc)
