//! Claim: what is told to be behind a cell adds up to the cell.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use cloudigrade_query::{Dimension, ExplainRequest, Limit, Limits, Only, QueryError, RunPosition, RunsRequest, Viewer, explain, list_runs};
use cloudigrade_schemas::account::Unmetered;
use cloudigrade_schemas::{Product, UtcSecond};
use proptest::prelude::*;

use crate::common::{Run, at};
use crate::labels::{ACCOUNTS, fleets, open, registrations, viewers};
use crate::world::{NOW, Registered, days, rows, run_of, usage, wait};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_runs_behind_a_cell_add_up_to_it(
        fleet in fleets(), viewer in viewers(), by in prop::sample::subsequence(Dimension::ALL.to_vec(), 0..4), paused in 0..10_i64,
        product in prop::option::of(Just(Product::Rhel)), whole: bool,
    ) {
        let mut accounts = registrations();
        let from = UtcSecond(at("2024-02-01T00:00:00Z") + paused * 36_000);
        accounts.iter_mut().for_each(|account| account.unmetered.push(Unmetered { from, until: Some(UtcSecond(from.0 + 50_000)) }));
        let (_folder, tables) = open(&fleet, &accounts);
        let period = days("2024-01-30", "2024-02-12");
        let period = if whole { period.whole() } else { period };
        let only = Only { product, ..Only::default() };
        let cells = rows(&usage(&tables, &viewer, &period, &by, only.clone()), by.len());
        for (start, key, measures) in cells.into_iter().take(8) {
            let bucket = period.bucket(period.bucket_of(start)).unwrap();
            let cell = by.iter().copied().zip(key.clone()).collect();
            let request = ExplainRequest { period: bucket.clone(), cell, viewer: viewer.clone(), only: only.clone() };
            let explained = wait(explain(&tables, &request, &Limits::default())).unwrap();
            let totals = explained.totals;
            let told = [Some(totals.instances), Some(totals.runtime_seconds), totals.vcpu_seconds, totals.memory_mib_seconds, Some(totals.unsized_seconds)];
            prop_assert_eq!(told, measures, "{:?} at {}", key, start);

            let counted: i64 = explained.runs.iter().flat_map(|run| &run.counted).map(|time| time.until.0 - time.from.0).sum();
            prop_assert_eq!(Some(counted), measures[1]);
            for run in &explained.runs {
                prop_assert!(run.counted.iter().all(|time| bucket.start() <= time.from.0 && time.from < time.until && time.until.0 <= bucket.end()));
                prop_assert!(run.counted.windows(2).all(|two| two[0].until < two[1].from));
            }
            let images: BTreeSet<_> = explained.runs.iter().filter_map(|run| run.image_id.clone()).collect();
            prop_assert_eq!(explained.images.iter().map(|image| image.image_id.clone()).collect::<BTreeSet<_>>(), images);
        }
    }

    #[test]
    fn runs_in_pages_are_all_runs_once(fleet in fleets(), viewer in viewers(), count in 1..5_usize) {
        let (_folder, tables) = open(&fleet, &registrations());
        let seen: BTreeSet<_> = fleet
            .iter()
            .filter(|run| viewer == Viewer::Everything || *run.account != *ACCOUNTS[2])
            .map(|run| (run.account.to_string(), run.instance.clone(), run.start))
            .collect();
        let mut request = RunsRequest { from: None, until: None, only: Only::default(), viewer, after: None, count, now: UtcSecond(at(NOW)) };
        let mut listed = Vec::new();
        loop {
            let batches = wait(async { list_runs(&tables, &request, &Limits::default()).await?.collect().await }).unwrap();
            let before = listed.len();
            for batch in &batches {
                let text = |name: &str, row: usize| batch.column_by_name(name).unwrap().as_string_view().value(row).to_owned();
                let started = batch.column_by_name("started_at").unwrap().as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
                prop_assert!(batch.column_by_name("billing_model").is_some());
                for row in 0..batch.num_rows() {
                    let started_at = started.value(row) / 1_000_000;
                    listed.push((text("account_id", row), text("instance_id", row), started_at));
                    request.after = Some(RunPosition {
                        account_id: text("account_id", row), region: text("region", row), instance_id: text("instance_id", row), started_at: UtcSecond(started_at),
                    });
                }
            }
            if listed.len() == before {
                break;
            }
            prop_assert!(listed.len() - before <= count);
        }
        prop_assert!(listed.windows(2).all(|two| two[0] < two[1]));
        prop_assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), seen);
    }
}

#[test]
fn a_run_over_two_months_is_told_once_with_its_events() {
    let run =
        Run { start: at("2024-01-31T12:00:00Z"), end: Some(at("2024-02-01T12:00:00Z")), ..run_of(ACCOUNTS[0], "i-a", Some("ami-byos")) };
    let (_folder, tables) = open(&[run], &[]);
    let period = days("2024-01-31", "2024-02-02").whole();
    let request = ExplainRequest {
        period,
        cell: vec![(Dimension::BillingModel, Some("byos".into()))],
        viewer: Viewer::Everything,
        only: Only::default(),
    };
    let explained = wait(explain(&tables, &request, &Limits::default())).unwrap();
    let [run] = explained.runs.as_slice() else { panic!("{:?}", explained.runs) };
    assert_eq!((run.counted.len(), run.seconds, run.vcpu_seconds), (1, 86_400, Some(2 * 86_400)));
    assert_eq!((&*run.start.kind, &*run.start.source, &*run.end.as_ref().unwrap().source), ("RunInstances", "file#0", "file#1"));
    assert_eq!((run.rhel, &*run.billing_model), (Some(true), "byos"));
    assert_eq!(explained.images[0].status, "inspected");
    let other = ExplainRequest { cell: vec![(Dimension::Rhel, None)], ..request };
    assert_eq!(wait(explain(&tables, &other, &Limits::default())).unwrap().runs, []);
}

#[test]
fn a_cell_of_another_tenant_is_empty_and_a_large_one_is_refused() {
    let fleet: Vec<_> = (0..5).map(|instance| run_of(ACCOUNTS[1], &format!("i-{instance}"), None)).collect();
    let (_folder, tables) = open(&fleet, &[Registered::new("one", ACCOUNTS[1])]);
    let cell = vec![(Dimension::Account, Some(ACCOUNTS[1].to_owned()))];
    let request = |viewer| ExplainRequest { period: days("2024-02-01", "2024-02-02"), cell: cell.clone(), viewer, only: Only::default() };
    assert_eq!(wait(explain(&tables, &request(Viewer::tenant("two")), &Limits::default())).unwrap().totals.instances, 0);
    let few = Limits { rows: 4, ..Limits::default() };
    assert!(matches!(wait(explain(&tables, &request(Viewer::tenant("one")), &few)), Err(QueryError::Limit(Limit::Rows(4)))));
}
