//! Claim: heavy questions stop neither those who serve nor the reports, and what is given up ends.

use std::time::{Duration, Instant};

use cloudigrade_query::limits::{SQL_AT_ONCE_MAX, SQL_WAITING_MAX};
use cloudigrade_query::{
    Granularity, Lane, Limit, Limits, Period, QueryError, QueryRuntime, ReportKind, ReportRequest, Rows, Tables, Viewer,
};
use cloudigrade_schemas::UtcSecond;
use futures::StreamExt;
use tempfile::TempDir;

use crate::common::{at, write_tables};
use crate::world::{NOW, run_of};

const HEAVY: &str = "SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON a.value + b.value <> 7 AND a.value <> b.value";

async fn open() -> (TempDir, Tables, QueryRuntime) {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), &[run_of("000000000012", "i-a", None)], &[]);
    let tables = Tables::open_dir(folder.path()).await.unwrap();
    (folder, tables, QueryRuntime::new(2.try_into().unwrap()).unwrap())
}

async fn ask(runtime: &QueryRuntime, tables: &Tables, sql: &str, time: Duration) -> Result<Rows, QueryError> {
    runtime.sql(Lane::Sql, tables, &Viewer::Everything, sql, UtcSecond(at(NOW)), &Limits { time, ..Limits::default() }).await
}

async fn count(runtime: &QueryRuntime, tables: &Tables, sql: &str, time: Duration) -> Result<usize, QueryError> {
    let mut rows = ask(runtime, tables, sql, time).await?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch?.num_rows();
    }
    Ok(count)
}

const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn rows_come_whole_and_errors_come_as_they_are() {
    let (_folder, tables, runtime) = open().await;
    assert_eq!(count(&runtime, &tables, "SELECT * FROM generate_series(1, 100000)", LONG).await.unwrap(), 100_000);
    let rows = ask(&runtime, &tables, "SELECT 1", LONG).await.unwrap();
    assert!(rows.snapshot().is_some());
    assert!(matches!(ask(&runtime, &tables, "SELEC 1", LONG).await, Err(QueryError::Syntax { .. })));
    assert!(matches!(
        count(&runtime, &tables, "SELECT 1 / (value - 70000) FROM generate_series(1, 100000)", LONG).await,
        Err(QueryError::Execution { .. })
    ));
    let limits = Limits { rows: 99, ..Limits::default() };
    let many = runtime.sql(Lane::Sql, &tables, &Viewer::Everything, "SELECT * FROM generate_series(1, 100)", UtcSecond(0), &limits).await;
    assert!(matches!(many.unwrap().collect().await, Err(QueryError::Limit(Limit::Rows(99)))));
}

#[tokio::test]
async fn heavy_queries_keep_reports_from_nothing_and_their_caller_awake() {
    let (_folder, tables, runtime) = open().await;
    let heavy = (0..SQL_AT_ONCE_MAX).map(|_| count(&runtime, &tables, HEAVY, LONG));
    let mut heavy = std::pin::pin!(futures::future::join_all(heavy));
    let period = Period::new("2024-02-01", "2024-02-02", Granularity::Day, "UTC", UtcSecond(at(NOW))).unwrap();
    let request = ReportRequest::new(ReportKind::Usage, period, Vec::new());
    // This test's runtime has one thread: it goes on only if the work is elsewhere.
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    let report = tokio::select! {
        biased;
        _ = &mut heavy => panic!("the heavy queries are done first"),
        report = runtime.report(&tables, &request, &limits) => report.unwrap(),
    };
    assert_eq!(report.batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
}

#[tokio::test]
async fn what_takes_too_long_is_told_so_in_time() {
    let (_folder, tables, runtime) = open().await;
    let started = Instant::now();
    let stopped = count(&runtime, &tables, HEAVY, Duration::from_millis(300)).await;
    assert!(matches!(stopped, Err(QueryError::Limit(Limit::Time(_)))), "{stopped:?}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn joins_that_find_nothing_leave_their_threads_to_others_when_their_time_is_over() {
    let (_folder, tables, runtime) = open().await;
    for condition in ["a.value * b.value % 7 = 8", "a.value % 2 = b.value % 2 AND a.value * b.value % 7 = 8"] {
        let sql = format!("SELECT count(*) FROM generate_series(1, 1000000) a JOIN generate_series(1, 1000000) b ON {condition}");
        // As many as there are threads.
        for _ in 0..2 {
            let stopped = count(&runtime, &tables, &sql, Duration::from_secs(1)).await;
            assert!(matches!(stopped, Err(QueryError::Limit(Limit::Time(_)))), "{stopped:?}");
        }
        assert_eq!(count(&runtime, &tables, "SELECT 1", LONG).await.unwrap(), 1, "{condition}");
    }
}

#[tokio::test]
async fn too_many_are_turned_away_and_those_that_are_given_up_make_room() {
    let (_folder, tables, runtime) = open().await;
    {
        let all = (0..SQL_AT_ONCE_MAX + SQL_WAITING_MAX).map(|_| count(&runtime, &tables, HEAVY, LONG));
        let mut all = std::pin::pin!(futures::future::join_all(all));
        let refused = tokio::select! {
            biased;
            _ = &mut all => panic!("the heavy queries are done first"),
            refused = ask(&runtime, &tables, "SELECT 1", LONG) => refused,
        };
        assert!(matches!(refused, Err(QueryError::Busy { waiting: SQL_WAITING_MAX })), "{refused:?}");
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match count(&runtime, &tables, "SELECT 1", LONG).await {
            Ok(rows) => break assert_eq!(rows, 1),
            Err(QueryError::Busy { .. }) => assert!(Instant::now() < deadline, "what was given up goes on"),
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
}
