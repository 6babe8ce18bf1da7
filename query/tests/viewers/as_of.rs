//! Claim: a report that was issued can be had again, byte for byte, whatever was read since.

use std::path::Path;

use cloudigrade_query::{
    AsOf, AsOfError, Dimension, Format, Limits, Only, Period, QueryError, ReportKind, ReportRequest, RowWriter, Tables, Viewer, run_report,
};
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::table::{ACCOUNTS as ACCOUNTS_TABLE, BUCKETS, IMAGES as IMAGES_TABLE, INSTANCE_INTERVALS};
use proptest::prelude::*;

use crate::common::{Run, TableWriter, add_runs, at};
use crate::labels::{ACCOUNTS, fleets, known_images, registrations, viewers};
use crate::world::{Known, Registered, add_images, add_registrations, ask, run_of, wait};

/// Writes tables, again and again.
struct Writers {
    intervals: TableWriter,
    accounts: TableWriter,
    images: TableWriter,
}

impl Writers {
    fn new(root: &Path) -> Self {
        let [intervals, accounts, images] = [INSTANCE_INTERVALS, ACCOUNTS_TABLE, IMAGES_TABLE].map(|table| TableWriter::new(root, table));
        Self { intervals, accounts, images }
    }

    /// Replaces all that is in the tables.
    fn write(&mut self, runs: &[Run], accounts: &[Registered], images: &[Known], second: i64) -> Vec<std::path::PathBuf> {
        let replaced = self.intervals.replace_all();
        self.accounts.replace_all();
        self.images.replace_all();
        for bucket in 0..BUCKETS {
            let of_bucket = |run: &&Run| run.instance.bytes().map(u32::from).sum::<u32>() % BUCKETS == bucket;
            add_runs(&mut self.intervals, bucket, &runs.iter().filter(of_bucket).cloned().collect::<Vec<_>>());
        }
        add_registrations(&mut self.accounts, accounts);
        add_images(&mut self.images, images);
        for writer in [&mut self.intervals, &mut self.accounts, &mut self.images] {
            writer.commit_at(second);
        }
        replaced
    }
}

/// All that a report says, as bytes.
fn bytes(tables: &Tables, viewer: &Viewer, by: &[Dimension], now: UtcSecond) -> Result<(String, AsOf), QueryError> {
    let period = Period::new("2024-01-30", "2024-02-12", cloudigrade_query::Granularity::Day, "UTC", now)?;
    let request =
        ReportRequest { viewer: viewer.clone(), only: Only::default(), ..ReportRequest::new(ReportKind::Usage, period, by.to_vec()) };
    let report = wait(run_report(tables, &request, &Limits::default()))?;
    let mut writer = RowWriter::new(Format::Json, &report.schema, Vec::new())?;
    report.batches.iter().try_for_each(|batch| writer.write(batch))?;
    let rows = String::from_utf8(writer.finish()?).unwrap();
    let text = format!("{rows}\n{:?}\n{:?}\n{}", report.complete_through, report.unknown_types, report.snapshot);
    Ok((text, report.snapshot.to_string().parse()?))
}

fn then(tables: &Tables, as_of: &AsOf, now: &str) -> Result<(Tables, UtcSecond), QueryError> {
    wait(tables.at(as_of, UtcSecond(at(now))))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn a_report_as_of_its_snapshot_is_the_same_bytes(
        before in fleets(), after in fleets(), viewer in viewers(), by in prop::sample::subsequence(Dimension::ALL.to_vec(), 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut writers = Writers::new(folder.path());
        writers.write(&before, &registrations(), &known_images(), at("2024-02-09T00:00:00Z"));
        let tables = wait(Tables::open_dir(folder.path())).unwrap();
        let (issued, snapshot) = bytes(&tables, &viewer, &by, UtcSecond(at("2024-02-09T12:00:00Z"))).unwrap();

        let images = known_images().into_iter().map(|image| image.overridden(Some("two"), true)).collect::<Vec<_>>();
        let mut accounts = registrations();
        accounts.push(Registered::new("two", ACCOUNTS[2]));
        accounts[0].state = "deleted";
        writers.write(&after, &accounts, &images, at("2024-02-10T00:00:00Z"));
        wait(tables.refresh()).unwrap();
        let now = "2024-02-11T00:00:00Z";
        let (newer, _) = bytes(&tables, &viewer, &by, UtcSecond(at(now))).unwrap();

        // By its snapshot from the same process, by its snapshot from another, by its moment.
        let other = wait(Tables::open_dir(folder.path())).unwrap();
        for tables in [&tables, &other] {
            let (past, moment) = then(tables, &snapshot, now).unwrap();
            prop_assert_eq!(moment, UtcSecond(at("2024-02-09T12:00:00Z")));
            wait(past.refresh()).unwrap();
            prop_assert_eq!(&bytes(&past, &viewer, &by, moment).unwrap().0, &issued);
        }
        let (past, moment) = then(&other, &AsOf::Moment(UtcSecond(at("2024-02-09T12:00:00Z"))), now).unwrap();
        prop_assert_eq!(&bytes(&past, &viewer, &by, moment).unwrap().0, &issued);
        prop_assert_eq!(&bytes(&tables, &viewer, &by, UtcSecond(at(now))).unwrap().0, &newer);
    }
}

#[test]
fn a_moment_takes_what_had_been_committed_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = Writers::new(folder.path());
    for day in 1..=6 {
        let runs: Vec<_> = (0..day).map(|instance| run_of(ACCOUNTS[0], &format!("i-{instance}"), None)).collect();
        writers.write(&runs, &registrations(), &known_images(), at(&format!("2024-03-0{day}T00:00:00Z")));
    }
    let tables = wait(Tables::open_dir(folder.path())).unwrap();
    let count = |moment: &str| {
        let (past, _) = then(&tables, &moment.parse().unwrap(), "2024-03-10T00:00:00Z").unwrap();
        wait(ask(&past, &Viewer::Everything, "SELECT count(*) AS n FROM instance_intervals")).unwrap()
    };
    assert_eq!(count("2024-02-29T23:59:59Z"), "n\n0");
    for day in 1..=6 {
        assert_eq!(count(&format!("2024-03-0{day}T00:00:00Z")), format!("n\n{day}"));
        assert_eq!(count(&format!("2024-03-0{day}T23:59:59Z")), format!("n\n{day}"));
    }
    assert_eq!(count("2024-03-09T00:00:00Z"), "n\n6");
    let future = then(&tables, &"2024-03-10T00:00:01Z".parse().unwrap(), "2024-03-10T00:00:00Z");
    assert!(matches!(future, Err(QueryError::AsOf(AsOfError::Future { .. }))), "{future:?}");
}

#[test]
fn a_past_whose_files_are_deleted_is_refused_and_never_half_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut writers = Writers::new(folder.path());
    let before = [run_of(ACCOUNTS[0], "i-a", None), run_of(ACCOUNTS[0], "i-b", None)];
    writers.write(&before, &registrations(), &known_images(), at("2024-03-01T00:00:00Z"));
    let tables = wait(Tables::open_dir(folder.path())).unwrap();
    let (_, snapshot) = bytes(&tables, &Viewer::Everything, &[], UtcSecond(at("2024-03-01T00:00:00Z"))).unwrap();
    let replaced = writers.write(&before[..1], &registrations(), &known_images(), at("2024-03-02T00:00:00Z"));
    std::fs::remove_file(&replaced[0]).unwrap();
    wait(tables.refresh()).unwrap();
    let (past, moment) = then(&tables, &snapshot, "2024-03-03T00:00:00Z").unwrap();
    for viewer in [Viewer::Everything, Viewer::tenant("one")] {
        let gone = bytes(&past, &viewer, &[], moment);
        assert!(matches!(gone, Err(QueryError::AsOf(AsOfError::Gone { table: "instance_intervals" }))), "{gone:?}");
    }
    // The entries of the log go after longer.
    std::fs::remove_file(folder.path().join("accounts/_delta_log/00000000000000000000.json")).unwrap();
    let other = wait(Tables::open_dir(folder.path()));
    if let Ok(other) = other {
        let gone = then(&other, &snapshot, "2024-03-03T00:00:00Z");
        assert!(matches!(gone, Err(QueryError::AsOf(AsOfError::Gone { .. }))), "{gone:?}");
    }
}

#[test]
fn a_snapshot_of_tables_that_were_made_anew_is_refused() {
    let made = |id: &str, commits: usize| {
        let folder = tempfile::tempdir().unwrap();
        let mut writers = Writers::new(folder.path());
        for _ in 0..commits {
            writers.write(&[run_of(ACCOUNTS[0], "i-a", None)], &registrations(), &known_images(), at("2024-03-01T00:00:00Z"));
        }
        let log = folder.path().join("instance_intervals/_delta_log/00000000000000000000.json");
        let text = std::fs::read_to_string(&log).unwrap().replace("00000000-0000-4000-8000-000000000000", id);
        std::fs::write(&log, text).unwrap();
        let tables = wait(Tables::open_dir(folder.path())).unwrap();
        (folder, tables)
    };
    let (_one, one) = made("00000000-0000-4000-8000-000000000001", 2);
    let (_, snapshot) = bytes(&one, &Viewer::Everything, &[], UtcSecond(at("2024-03-01T00:00:00Z"))).unwrap();
    for commits in [1, 2, 3] {
        let (_two, two) = made("00000000-0000-4000-8000-000000000002", commits);
        let other = then(&two, &snapshot, "2024-03-03T00:00:00Z");
        assert!(matches!(other, Err(QueryError::AsOf(AsOfError::OtherTables))), "{commits}: {other:?}");
    }
}
