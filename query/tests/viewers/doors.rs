//! Claim: whatever a tenant asks in SQL or as a report, it learns nothing of accounts that are not its own.

use std::path::Path;

use cloudigrade_query::{Dimension, Limits, Only, QueryError, Tables, Viewer, run_sql};
use cloudigrade_schemas::account::Unmetered;
use cloudigrade_schemas::{Product, UtcSecond};
use serde_json::json;
use tempfile::TempDir;

use crate::common::{at, write_tables};
use crate::world::{
    Known, NOW, Registered, ask, days, rows, run_of, usage, wait, write_facts, write_gaps, write_images, write_registrations,
};

/// Of tenant `one`, shared with `two`, of `one` alone, deleted by `two`, of nobody.
const SHARED: &str = "000000000013";
const OF_ONE: &str = "000000000012";
const DELETED: &str = "000000000015";
const OF_NOBODY: &str = "000000000014";

/// What the world is like beside what tenant `two` may see.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Many,
    Few,
}

fn write(root: &Path, others: Others) {
    let many = others == Others::Many;
    let mut runs = vec![run_of(SHARED, "i-shared", Some("ami-both")), run_of(SHARED, "i-unknown", Some("ami-unheard"))];
    let mut coverage = vec![(SHARED, "eu-west-1", "2024-02-05T00:00:00Z")];
    let mut accounts = vec![Registered::new("two", SHARED)];
    let mut both =
        Known::new("ami-both", Some(true), "byos").tagged(Product::Rhel, SHARED, &format!("s3://logs/AWSLogs/{SHARED}/x.json.gz#3"));
    let mut images = Vec::new();
    let mut facts = vec![
        ("ami-both", "metadata", "metadata", "ec2://000000000013/eu-west-1/DescribeImages", json!({"name": "both"})),
        (
            "ami-both",
            "tag/000000000013/mine",
            "tag",
            "s3://logs/AWSLogs/000000000013/x.json.gz#3",
            json!({"account_id": SHARED, "key": "mine", "value": ""}),
        ),
    ];
    let mut gaps = vec![SHARED];
    if many {
        runs.push(run_of(OF_ONE, "i-secret-one", Some("ami-both")));
        runs.push(run_of(OF_NOBODY, "i-secret-nobody", Some("ami-secret")).typed(Some("secret.type")));
        runs.push(run_of(DELETED, "i-secret-deleted", Some("ami-secret")));
        coverage.push((OF_ONE, "secret-region-1", "2024-02-01T00:00:00Z"));
        accounts.push(Registered::new("one", OF_ONE));
        let paused = Unmetered { from: UtcSecond(at("2024-02-01T06:00:00Z")), until: None };
        accounts.push(Registered { unmetered: vec![paused], ..Registered::new("one", SHARED) });
        accounts.push(Registered { state: "deleted", ..Registered::new("two", DELETED) });
        both = both.overridden(Some("one"), false).tagged(
            Product::Openshift,
            OF_ONE,
            &format!("s3://secret-bucket/AWSLogs/{OF_ONE}/y.json.gz#1"),
        );
        images.push(Known::new("ami-secret", Some(true), "payg"));
        facts.push((
            "ami-both",
            "override/rhel/one",
            "override",
            "secret",
            json!({"tenant": "one", "product": "rhel", "is": false, "by": "secret-user", "at": "2024-01-01T00:00:00Z"}),
        ));
        facts.push((
            "ami-both",
            "tag/000000000012/secret",
            "tag",
            "s3://secret-bucket/AWSLogs/000000000012/y.json.gz#1",
            json!({"account_id": OF_ONE, "key": "secret", "value": ""}),
        ));
        facts.push((
            "ami-both",
            "unavailable/000000000012",
            "unavailable",
            "ec2://000000000012/eu-west-1/DescribeImages",
            json!({"account_id": OF_ONE, "over": false}),
        ));
        facts.push(("ami-secret", "metadata", "metadata", "ec2://000000000014/eu-west-1/DescribeImages", json!({"name": "secret"})));
        gaps.push(OF_ONE);
        gaps.push(OF_NOBODY);
    }
    images.push(both);
    write_tables(root, &runs, &coverage);
    write_registrations(root, &accounts);
    write_images(root, &images);
    write_facts(root, &facts);
    write_gaps(root, &gaps);
}

fn open(others: Others) -> (TempDir, Tables) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), others);
    let tables = wait(Tables::open_dir(folder.path())).unwrap();
    (folder, tables)
}

const TABLES: [&str; 12] = [
    "instance_intervals",
    "power_events",
    "coverage",
    "dead_letters",
    "accounts",
    "image_facts",
    "images",
    "sys.gaps",
    "sys.reconciled",
    "sys.unknown_instance_types",
    "usage('2024-01-01', '2024-03-01')",
    "concurrency('2024-01-01', '2024-03-01', 'day', 'UTC', 'account,region,image,rhel,billing_model')",
];

/// Questions of every kind.
fn doors() -> Vec<String> {
    let mut doors = Vec::new();
    for table in TABLES {
        for sql in [
            format!("SELECT * FROM {table}"),
            format!("SELECT count(*) AS n FROM {table}"),
            format!("SELECT * FROM {table} WHERE true OR 1 = 1"),
            format!("SELECT * FROM (SELECT * FROM {table} LIMIT 1000) LIMIT 1000"),
            format!("WITH a AS (SELECT * FROM {table}) SELECT * FROM a UNION ALL SELECT * FROM a"),
        ] {
            doors.push(format!("EXPLAIN VERBOSE {sql}"));
            doors.push(format!("EXPLAIN FORMAT TREE {sql}"));
            doors.push(sql);
        }
    }
    for table in ["instance_intervals", "coverage", "sys.gaps", "usage('2024-02-01', '2024-02-02')"] {
        doors.push(format!("SELECT min(account_id) AS a, max(account_id) AS b, count(DISTINCT account_id) AS n FROM {table}"));
        doors.push(format!("SELECT * FROM {table} WHERE account_id <> '{SHARED}'"));
        doors.push(format!("SELECT * FROM {table} WHERE account_id IN ('{OF_ONE}', '{OF_NOBODY}', '{DELETED}')"));
        doors.push(format!(
            "SELECT (SELECT max(account_id) FROM {table}) AS a, (SELECT count(*) FROM {table} WHERE account_id = '{OF_ONE}') AS b"
        ));
    }
    doors.extend(
        [
            "SELECT a.instance_id AS x, b.instance_id AS y, c.account_id AS z FROM instance_intervals a FULL JOIN power_events b ON a.instance_id = b.instance_id \
             FULL JOIN coverage c ON c.account_id = a.account_id",
            "SELECT i.image_id, f.source, f.value FROM images i LEFT JOIN image_facts f ON i.image_id = f.image_id",
            "SELECT a.account_id, count(*) AS n FROM instance_intervals a, instance_intervals b GROUP BY 1",
            "SELECT account_id FROM coverage c WHERE EXISTS (SELECT 1 FROM instance_intervals i WHERE i.account_id <> c.account_id)",
            "SELECT * FROM cloudigrade.public.instance_intervals",
            "SELECT account_id, row_number() OVER (ORDER BY account_id) AS n FROM instance_intervals",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM information_schema.views",
            "SELECT * FROM information_schema.columns",
            "SELECT * FROM information_schema.schemata",
            "SELECT * FROM information_schema.routines",
            "SELECT * FROM information_schema.parameters",
            "SHOW TABLES",
            "SHOW COLUMNS FROM instance_intervals",
            "DESCRIBE accounts",
            "SELECT resource_id('account/one/000000000012') AS id",
            "SELECT * FROM usage('2024-02-01', '2024-02-03', 'hour', 'Europe/Berlin', '')",
            "SELECT * FROM usage('2024-02-01', '2024-02-03', 'day', 'UTC', 'account,image,rhel,openshift,billing_model,architecture,role,sla,usage,service_type')",
        ]
        .map(str::to_owned),
    );
    doors
}

#[test]
fn what_others_have_and_do_changes_no_byte_of_what_a_tenant_is_told() {
    let ((_one, many), (_two, few)) = (open(Others::Many), open(Others::Few));
    let two = Viewer::tenant("two");
    for door in doors() {
        let answers = wait(async { (ask(&many, &two, &door).await, ask(&few, &two, &door).await) });
        let (with, without) = (answers.0.unwrap_or_else(|error| panic!("{door}: {error}")), answers.1.unwrap());
        assert_eq!(with, without, "{door}");
        for secret in ["secret", OF_ONE, OF_NOBODY, DELETED, "of-one", ".parquet"] {
            // What a question names comes back in its explanation, and a path of this machine is nowhere.
            assert!(door.contains(secret) || !with.contains(secret), "{door} tells {secret}: {with}");
        }
    }
    assert_eq!(few.complete_through_for(&two).unwrap(), many.complete_through_for(&two).unwrap());
}

#[test]
fn a_plan_that_was_run_tells_nothing_of_what_it_left_out() {
    let (_folder, tables) = open(Others::Many);
    for table in TABLES {
        let explained = wait(ask(&tables, &Viewer::tenant("two"), &format!("EXPLAIN ANALYZE VERBOSE SELECT * FROM {table}"))).unwrap();
        for secret in ["secret", OF_ONE, OF_NOBODY, DELETED, ".parquet", "bytes_scanned", "row_groups_pruned"] {
            assert!(!explained.contains(secret), "{table}: {explained}");
        }
    }
}

#[test]
fn names_of_what_lies_behind_do_not_resolve() {
    let (folder, tables) = open(Others::Many);
    let file = folder.path().join("accounts/part-0.parquet");
    for hidden in ["pieces", "public.pieces", "\"tables://accounts/\"", &format!("'{}'", file.display()), "\"accounts/part-0.parquet\""] {
        let asked = wait(ask(&tables, &Viewer::tenant("two"), &format!("SELECT * FROM {hidden}")));
        assert!(matches!(asked, Err(QueryError::Planning { .. } | QueryError::Syntax { .. })), "{hidden}: {asked:?}");
    }
    let made = wait(ask(&tables, &Viewer::tenant("two"), "SELECT * FROM read_parquet('/x')"));
    assert!(matches!(made, Err(QueryError::Planning { .. })), "{made:?}");
}

#[test]
fn a_tenant_sees_all_of_its_own_and_the_operator_sees_all() {
    let (_folder, tables) = open(Others::Many);
    let accounts = |viewer: &Viewer| wait(ask(&tables, viewer, "SELECT DISTINCT account_id FROM instance_intervals")).unwrap();
    assert_eq!(accounts(&Viewer::tenant("one")), format!("account_id\n{OF_ONE}\n{SHARED}"));
    assert_eq!(accounts(&Viewer::tenant("two")), format!("account_id\n{SHARED}"));
    assert_eq!(accounts(&Viewer::tenant("three")), "account_id");
    assert_eq!(accounts(&Viewer::Everything), format!("account_id\n{OF_ONE}\n{SHARED}\n{OF_NOBODY}\n{DELETED}"));
    let registered = wait(ask(&tables, &Viewer::tenant("two"), "SELECT tenant, account_id FROM accounts")).unwrap();
    assert_eq!(registered, format!("tenant,account_id\ntwo,{SHARED}"));
    let letters = wait(ask(&tables, &Viewer::tenant("one"), "SELECT count(*) AS n FROM dead_letters")).unwrap();
    assert_eq!(letters, "n\n0");
}

#[test]
fn a_tenants_report_is_that_of_its_accounts_with_its_own_pauses() {
    let (_folder, tables) = open(Others::Many);
    let (one, two) = (Viewer::tenant("one"), Viewer::tenant("two"));
    let period = days("2024-02-01", "2024-02-02");
    let seconds = |viewer: &Viewer, only: Only| -> Vec<_> {
        rows(&usage(&tables, viewer, &period, &[Dimension::Account], only), 1)
            .into_iter()
            .map(|row| (row.1[0].clone().unwrap(), row.2[1]))
            .collect()
    };
    // Tenant `one` paused the shared account after six hours.
    assert_eq!(seconds(&one, Only::default()), [(OF_ONE.to_owned(), Some(86_400)), (SHARED.to_owned(), Some(2 * 6 * 3600))]);
    assert_eq!(seconds(&two, Only::default()), [(SHARED.to_owned(), Some(2 * 86_400))]);
    let foreign = Only { accounts: Some(vec![OF_ONE.to_owned(), OF_NOBODY.to_owned()]), ..Only::default() };
    assert_eq!(seconds(&two, foreign), []);
    assert_eq!(seconds(&Viewer::tenant("three"), Only::default()), []);
}

#[test]
fn an_override_holds_for_its_tenant_and_for_whoever_reads_the_account_as_its_owner() {
    let (_folder, tables) = open(Others::Many);
    let by_rhel = |viewer: &Viewer| {
        let report = usage(
            &tables,
            viewer,
            &days("2024-02-01", "2024-02-02"),
            &[Dimension::Account, Dimension::Image, Dimension::Rhel],
            Only::default(),
        );
        let of_both = rows(&report, 3).into_iter().filter(|row| row.1[1].as_deref() == Some("ami-both"));
        of_both.map(|row| (row.1[0].clone().unwrap(), row.1[2].clone())).collect::<Vec<_>>()
    };
    let (yes, no) = (Some("true".to_owned()), Some("false".to_owned()));
    assert_eq!(by_rhel(&Viewer::tenant("two")), [(SHARED.to_owned(), yes)]);
    assert_eq!(by_rhel(&Viewer::tenant("one")), [(OF_ONE.to_owned(), no.clone()), (SHARED.to_owned(), no.clone())]);
    // Both registered it at the same moment: the first by name owns it.
    assert_eq!(by_rhel(&Viewer::Everything), [(OF_ONE.to_owned(), no.clone()), (SHARED.to_owned(), no)]);
    let images = |viewer: &Viewer| wait(ask(&tables, viewer, "SELECT image_id, rhel, status FROM images")).unwrap();
    assert_eq!(images(&Viewer::tenant("two")), "image_id,rhel,status\nami-both,true,inspected\nami-unheard,,pending");
    assert_eq!(images(&Viewer::tenant("one")), "image_id,rhel,status\nami-both,false,inspected\nami-unheard,,pending");
    assert_eq!(
        images(&Viewer::Everything),
        "image_id,rhel,status\nami-both,true,inspected\nami-secret,true,inspected\nami-unheard,,pending"
    );
    let own = wait(ask(&tables, &Viewer::tenant("one"), "SELECT overrides FROM images WHERE image_id = 'ami-both'")).unwrap();
    assert!(own.contains("user-of-one"), "{own}");
}

#[test]
fn an_account_that_is_deleted_or_registered_is_gone_or_there_after_a_refresh() {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), &[run_of(OF_ONE, "i-a", None)], &[]);
    let mut writer = crate::common::TableWriter::new(folder.path(), cloudigrade_schemas::table::ACCOUNTS);
    crate::world::add_registrations(&mut writer, &[Registered::new("one", OF_ONE)]);
    writer.commit();
    let tables = wait(Tables::open_dir(folder.path())).unwrap();
    let count = || wait(ask(&tables, &Viewer::tenant("one"), "SELECT count(*) AS n FROM instance_intervals")).unwrap();
    assert_eq!(count(), "n\n1");
    writer.replace_all();
    crate::world::add_registrations(&mut writer, &[Registered { state: "deleted", ..Registered::new("one", OF_ONE) }]);
    writer.commit();
    assert_eq!(count(), "n\n1");
    wait(tables.refresh()).unwrap();
    assert_eq!(count(), "n\n0");
}

#[test]
fn what_is_asked_within_limits_is_refused_or_bounded_for_tenants_too() {
    let (_folder, tables) = open(Others::Many);
    let run = |sql: &str| {
        wait(async { run_sql(&tables, &Viewer::tenant("two"), sql, UtcSecond(at(NOW)), &Limits::of_users()).await?.collect().await })
    };
    for refused in [
        "DROP TABLE accounts",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.runtime.memory_limit = '9G'",
        "CREATE TABLE a AS SELECT 1",
    ] {
        assert!(matches!(run(refused), Err(QueryError::Refused { .. } | QueryError::Syntax { .. })), "{refused}");
    }
}
