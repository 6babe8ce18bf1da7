//! Claim: SQL shows the contract, computes reports, changes nothing, and stays within its limits.
#![allow(clippy::unwrap_used, reason = "a test fails where its data do not read")]

mod common;

use std::time::{Duration, Instant};

use cloudigrade_query::{Format, Limit, Limits, PeriodError, QueryError, RowWriter, Tables, Viewer, run_sql, tables_digest};
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::account::Unmetered;
use common::{Run, at, write_accounts, write_coverage, write_tables};
use futures::StreamExt;
use tempfile::TempDir;

const NOW: &str = "2024-02-10T00:00:00Z";

fn runs() -> Vec<Run> {
    vec![
        Run::new("i-a", "2024-01-30T00:00:00Z", Some("2024-02-02T00:00:00Z")),
        Run::new("i-b", "2024-02-01T12:00:00Z", None).typed(Some("x9.imaginary")),
    ]
}

async fn open() -> (TempDir, Tables) {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), &runs(), &[("000000000012", "eu-west-1", "2024-02-05T00:00:00Z")]);
    let tables = Tables::open_dir(folder.path()).await.unwrap();
    (folder, tables)
}

async fn query(tables: &Tables, sql: &str) -> Result<String, QueryError> {
    let mut rows = run_sql(tables, &Viewer::Everything, sql, UtcSecond(at(NOW)), &Limits::default()).await?;
    let mut writer = RowWriter::new(Format::Csv, &rows.schema(), Vec::new())?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch?)?;
    }
    Ok(String::from_utf8(writer.finish()?).unwrap())
}

#[tokio::test]
async fn a_run_over_two_months_is_one_row() {
    let (_folder, tables) = open().await;
    let intervals = query(&tables, "SELECT instance_id, started_at, ended_at, vcpu FROM instance_intervals ORDER BY 1").await.unwrap();
    assert_eq!(
        intervals,
        "instance_id,started_at,ended_at,vcpu\n\
         i-a,2024-01-30T00:00:00Z,2024-02-02T00:00:00Z,2\n\
         i-b,2024-02-01T12:00:00Z,,\n"
    );
    assert_eq!(query(&tables, "SELECT count(*) AS n FROM instance_intervals").await.unwrap(), "n\n2\n");
    assert_eq!(query(&tables, "SELECT count(*) AS n FROM instance_intervals WHERE started_at < '2024-02-01'").await.unwrap(), "n\n1\n");
    assert_eq!(
        query(&tables, "SELECT instance_id FROM instance_intervals ORDER BY started_at LIMIT 1").await.unwrap(),
        "instance_id\ni-a\n"
    );
}

#[tokio::test]
async fn files_in_which_every_size_is_known_are_not_read_to_find_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), &runs()[..1], &[]);
    let known = Tables::open_dir(folder.path()).await.unwrap();
    let (_folder, unknown) = open().await;
    for (tables, is_read) in [(known, false), (unknown, true)] {
        let plan = query(&tables, "EXPLAIN ANALYZE SELECT * FROM sys.unknown_instance_types").await.unwrap();
        assert_eq!(!plan.contains("bytes_scanned=0,"), is_read, "{plan}");
    }
}

#[tokio::test]
async fn only_the_contract_is_shown() {
    let (_folder, tables) = open().await;
    let shown = query(
        &tables,
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1, 2",
    )
    .await;
    assert_eq!(
        shown.unwrap(),
        "table_schema,table_name\npublic,accounts\npublic,coverage\npublic,dead_letters\npublic,image_facts\npublic,images\n\
         public,instance_intervals\npublic,instance_types\npublic,power_events\nsys,gaps\nsys,reconciled\nsys,unknown_instance_types\n"
    );
    let described = query(&tables, "DESCRIBE instance_intervals").await.unwrap();
    assert!(described.contains("recorded_at") && !described.contains("piece_start"), "{described}");
    assert_eq!(query(&tables, "SELECT count(*) AS n FROM power_events").await.unwrap(), "n\n1\n");
    assert_eq!(query(&tables, "SELECT vcpu FROM instance_types WHERE instance_type = 'm5.large'").await.unwrap(), "vcpu\n2\n");
    for hidden in ["pieces", "public.pieces", "'/etc/hostname'", "\"tables://instance_intervals/\""] {
        assert!(matches!(query(&tables, &format!("SELECT * FROM {hidden}")).await, Err(QueryError::Planning { .. })), "{hidden}");
    }
}

#[tokio::test]
async fn usage_gives_a_row_for_each_instance_and_bucket() {
    let (_folder, tables) = open().await;
    let usage = query(&tables, "SELECT * FROM usage('2024-02-01', '2024-02-03') ORDER BY bucket_start, instance_id").await.unwrap();
    assert_eq!(
        usage,
        "bucket_start,bucket_end,account_id,region,instance_id,image_id,instance_type,rhel,openshift,billing_model,runtime_seconds,vcpu_seconds,memory_mib_seconds,provisional\n\
         2024-02-01T00:00:00Z,2024-02-02T00:00:00Z,000000000012,eu-west-1,i-a,ami-1,m5.large,,,unknown,86400,172800,707788800,false\n\
         2024-02-01T00:00:00Z,2024-02-02T00:00:00Z,000000000012,eu-west-1,i-b,ami-1,x9.imaginary,,,unknown,43200,,,false\n\
         2024-02-02T00:00:00Z,2024-02-03T00:00:00Z,000000000012,eu-west-1,i-b,ami-1,x9.imaginary,,,unknown,86400,,,false\n"
    );
    let open_run = "SELECT sum(runtime_seconds) AS s, count(*) AS n, bool_or(provisional) AS p FROM usage('2024-02-01', '2024-03-01', 'hour', 'Asia/Kolkata') WHERE instance_id = 'i-b'";
    assert_eq!(query(&tables, open_run).await.unwrap(), format!("s,n,p\n{},205,true\n", 17 * 43_200));
    let typed = "SELECT count(*) AS n FROM usage(DATE '2024-02-01', TIMESTAMP '2024-02-02T00:00:00' + INTERVAL '1 day')";
    assert_eq!(query(&tables, typed).await.unwrap(), "n\n3\n");
}

#[tokio::test]
async fn concurrency_gives_a_row_for_each_bucket_and_named_dimension() {
    let (_folder, tables) = open().await;
    let all = query(&tables, "SELECT * FROM concurrency('2024-02-01', '2024-02-04')").await.unwrap();
    assert_eq!(
        all,
        "bucket_start,bucket_end,peak_instances,peak_at,peak_vcpu,peak_memory_mib,provisional\n\
         2024-02-01T00:00:00Z,2024-02-02T00:00:00Z,2,2024-02-01T12:00:00Z,2,8192,false\n\
         2024-02-02T00:00:00Z,2024-02-03T00:00:00Z,1,2024-02-02T00:00:00Z,,,false\n\
         2024-02-03T00:00:00Z,2024-02-04T00:00:00Z,1,2024-02-03T00:00:00Z,,,false\n"
    );
    let by = "SELECT instance_type, peak_instances FROM concurrency('2024-02-01', '2024-02-02', 'day', 'UTC', 'instance_type, account_id') ORDER BY 1";
    assert_eq!(query(&tables, by).await.unwrap(), "instance_type,peak_instances\nm5.large,1\nx9.imaginary,1\n");
}

#[tokio::test]
async fn wrong_arguments_are_refused_with_a_reason() {
    let (_folder, tables) = open().await;
    let refused = async |call: &str| query(&tables, &format!("SELECT * FROM {call}")).await.unwrap_err();
    let period = refused("usage('2024-02-03', '2024-02-01')").await;
    assert!(matches!(period, QueryError::Period(PeriodError::EndNotAfterStart { .. })), "{period:?}");
    assert!(matches!(
        refused("usage('2024-02-03', '2024-02-04', 'day', 'Europe/Berlim')").await,
        QueryError::Period(PeriodError::Zone { .. })
    ));
    assert!(matches!(refused("usage('2024-02-03', '2024-02-04', 'week')").await, QueryError::Period(PeriodError::Granularity { .. })));
    for (call, reason) in [
        ("usage('2024-02-03')", "takes 2 to 5 arguments, not 1"),
        ("concurrency('2024-02-01', '2024-02-02', 'day', 'UTC', 'colour')", "no dimension \"colour\""),
        ("usage('2024-02-03', NULL)", "takes constants"),
    ] {
        let error = refused(call).await;
        assert!(matches!(error, QueryError::Planning { .. }) && error.to_string().contains(reason), "{error:?}");
    }
}

#[tokio::test]
async fn nothing_can_be_changed() {
    let (folder, tables) = open().await;
    let file = folder.path().join("out.csv");
    let copy = format!("COPY (SELECT 1) TO '{}'", file.display());
    let insert = "INSERT INTO instance_intervals SELECT * FROM instance_intervals";
    for (sql, word) in [
        (copy.as_str(), "COPY"),
        ("SET datafusion.runtime.memory_limit = '100G'", "SET"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "CREATE"),
        ("CREATE TABLE x AS SELECT 1", "CREATE"),
        ("create view x as select 1", "CREATE"),
        ("DROP TABLE coverage", "DROP"),
        (insert, "INSERT"),
        ("DELETE FROM coverage", "DELETE"),
        ("UPDATE coverage SET region = ''", "UPDATE"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("RESET datafusion.execution.batch_size", "RESET"),
        ("BEGIN", "BEGIN"),
    ] {
        match query(&tables, sql).await {
            Err(QueryError::Refused { statement }) => assert_eq!(statement, word),
            other => panic!("{sql}: {other:?}"),
        }
    }
    for explained in [format!("EXPLAIN {copy}"), format!("EXPLAIN ANALYZE {copy}"), format!("EXPLAIN ANALYZE {insert}")] {
        assert!(matches!(query(&tables, &explained).await, Err(QueryError::Refused { .. } | QueryError::Planning { .. })), "{explained}");
    }
    assert!(!file.exists());
    for asked in [
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT * FROM usage('2024-02-01', '2024-02-02')",
        "SHOW TABLES",
        "SHOW COLUMNS FROM coverage",
        "WITH a AS (SELECT 1) SELECT * FROM a",
    ] {
        assert!(query(&tables, asked).await.is_ok(), "{asked}");
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let (_folder, tables) = open().await;
    let syntax = query(&tables, "SELEC 1").await.unwrap_err();
    assert!(matches!(syntax, QueryError::Syntax { .. }), "{syntax:?}");
    assert!(matches!(query(&tables, "SELECT 1; SELECT 2").await, Err(QueryError::Syntax { .. } | QueryError::Planning { .. })));
    assert!(matches!(query(&tables, "").await, Err(QueryError::Syntax { .. } | QueryError::Planning { .. })));
    let column = query(&tables, "SELECT instanceid FROM instance_intervals").await.unwrap_err();
    assert!(matches!(column, QueryError::Planning { .. }) && column.to_string().contains("instance_id"), "{column}");
    assert!(matches!(query(&tables, "SELECT * FROM nowhere").await, Err(QueryError::Planning { .. })));
    assert!(matches!(query(&tables, "SELECT 1 / 0").await, Err(QueryError::Execution { .. })));
}

#[tokio::test]
async fn limits_hold() {
    let (_folder, tables) = open().await;
    let run = async |sql: &str, limits: Limits| run_sql(&tables, &Viewer::Everything, sql, UtcSecond(0), &limits).await?.collect().await;
    let rows = Limits { rows: 99, ..Limits::default() };
    assert!(matches!(run("SELECT * FROM generate_series(1, 100)", rows.clone()).await, Err(QueryError::Limit(Limit::Rows(99)))));
    assert!(run("SELECT * FROM generate_series(1, 99)", rows).await.is_ok());
    let memory = Limits { memory_bytes: 1 << 20, spill_bytes: 0, ..Limits::default() };
    let sorted = run("SELECT value FROM generate_series(1, 3000000) ORDER BY value % 1000", memory).await;
    assert!(matches!(sorted, Err(QueryError::Limit(Limit::Memory(_)))), "{sorted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_takes_too_long_is_stopped_and_leaves_no_work_behind() {
    let (_folder, tables) = open().await;
    let join = "SELECT count(*) FROM generate_series(1, 100000) a JOIN generate_series(1, 100000) b ON a.value + b.value <> 7 AND a.value <> b.value";
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let started = Instant::now();
    let stopped = match run_sql(&tables, &Viewer::Everything, join, UtcSecond(0), &limits).await {
        Ok(rows) => rows.collect().await,
        Err(error) => Err(error),
    };
    assert!(matches!(stopped, Err(QueryError::Limit(Limit::Time(_)))), "{stopped:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn unknown_types_are_in_sys() {
    let (_folder, tables) = open().await;
    let unknown = query(&tables, "SELECT * FROM sys.unknown_instance_types").await.unwrap();
    assert_eq!(unknown, format!("instance_type,intervals,runtime_seconds\nx9.imaginary,1,{}\n", 17 * 43_200));
}

#[tokio::test]
async fn what_observations_changed_can_be_counted() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Run::new("i-c", "2024-02-01T00:00:00Z", Some("2024-02-02T01:00:00Z")).ended_after("2024-02-02T00:30:00Z");
    write_tables(folder.path(), &[runs(), vec![seen]].concat(), &[]);
    let tables = Tables::open_dir(folder.path()).await.unwrap();
    assert_eq!(
        query(&tables, "SELECT * FROM sys.reconciled").await.unwrap(),
        "account_id,region,observed_starts,observed_ends,bounded_ends,uncertain_seconds\n000000000012,eu-west-1,0,1,1,1800\n"
    );
    // Files from before there were observations lack the column.
    assert_eq!(
        query(&tables, "SELECT instance_id, end_not_before FROM instance_intervals ORDER BY 1").await.unwrap(),
        "instance_id,end_not_before\ni-a,\ni-b,\ni-c,2024-02-02T00:30:00Z\n"
    );
    assert_eq!(query(&tables, "SELECT count(*) AS n FROM power_events WHERE not_before IS NULL").await.unwrap(), "n\n1\n");
}

#[tokio::test]
async fn tables_of_a_folder_that_an_earlier_version_wrote_are_empty_until_they_are_there() {
    let (folder, tables) = open().await;
    for table in ["accounts", "image_facts", "sys.gaps"] {
        assert_eq!(query(&tables, &format!("SELECT count(*) AS n FROM {table}")).await.unwrap(), "n\n0\n", "{table}");
    }
    write_accounts(folder.path(), &[("one", "000000000012", Vec::new())]);
    tables.refresh().await.unwrap();
    assert_eq!(
        query(&tables, "SELECT tenant, account_id, state FROM accounts").await.unwrap(),
        "tenant,account_id,state\none,000000000012,enabled\n"
    );
}

#[tokio::test]
async fn table_functions_leave_out_what_is_not_metered_and_instance_intervals_does_not() {
    let (folder, tables) = open().await;
    let until = |until: &str| Some(UtcSecond(at(until)));
    let unmetered = vec![Unmetered { from: UtcSecond(at("2024-02-01T06:00:00Z")), until: until("2024-02-01T18:00:00Z") }];
    write_accounts(folder.path(), &[("one", "000000000012", unmetered)]);
    tables.refresh().await.unwrap();
    let usage = "SELECT instance_id, runtime_seconds FROM usage('2024-02-01', '2024-02-02') ORDER BY 1";
    assert_eq!(query(&tables, usage).await.unwrap(), "instance_id,runtime_seconds\ni-a,43200\ni-b,21600\n");
    let peak = "SELECT peak_instances, peak_at FROM concurrency('2024-02-01', '2024-02-02')";
    assert_eq!(query(&tables, peak).await.unwrap(), "peak_instances,peak_at\n2,2024-02-01T18:00:00Z\n");
    assert_eq!(query(&tables, "SELECT count(*) AS n FROM instance_intervals").await.unwrap(), "n\n2\n");
}

#[tokio::test]
async fn tables_that_appear_or_grow_are_seen_after_a_refresh() {
    let folder = tempfile::tempdir().unwrap();
    let tables = Tables::open_dir(folder.path()).await.unwrap();
    let count = "SELECT count(*) AS n FROM instance_intervals";
    assert_eq!(query(&tables, count).await.unwrap(), "n\n0\n");
    write_tables(folder.path(), &runs(), &[("000000000012", "eu-west-1", NOW)]);
    assert_eq!(query(&tables, count).await.unwrap(), "n\n0\n");
    tables.refresh().await.unwrap();
    tables.refresh().await.unwrap();
    assert_eq!(query(&tables, count).await.unwrap(), "n\n2\n");
    assert_eq!(tables.complete_through(), Some(UtcSecond(at(NOW))));
}

#[tokio::test]
async fn the_digest_depends_on_what_rows_say_and_not_on_their_files() {
    let digest = async |runs: &[Run]| {
        let folder = tempfile::tempdir().unwrap();
        write_tables(folder.path(), runs, &[]);
        tables_digest(&Tables::open_dir(folder.path()).await.unwrap()).await.unwrap()
    };
    let (one, mut reversed) = (digest(&runs()).await, runs());
    assert_eq!(one.instance_intervals.rows, 2);
    reversed.reverse();
    assert_eq!(digest(&reversed).await.instance_intervals, one.instance_intervals);
    reversed[0].end = Some(at(NOW));
    assert_ne!(digest(&reversed).await.instance_intervals, one.instance_intervals);
    let nothing = tempfile::tempdir().unwrap();
    let empty = tables_digest(&Tables::open_dir(nothing.path()).await.unwrap()).await.unwrap();
    assert_eq!((empty.instance_intervals.rows, empty.instance_intervals.hash), (0, 0));
}

#[tokio::test]
async fn a_missing_file_is_an_error_of_the_storage() {
    let (folder, tables) = open().await;
    std::fs::remove_dir_all(folder.path().join("instance_intervals/month=open")).unwrap();
    assert!(matches!(query(&tables, "SELECT sum(revision) FROM instance_intervals").await, Err(QueryError::Storage { .. })));
    write_coverage(folder.path(), &[]);
}
