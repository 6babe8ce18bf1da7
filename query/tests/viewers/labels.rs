//! Claim: what images count as divides reports and loses nothing of them.

use std::collections::BTreeMap;

use cloudigrade_query::{Dimension, Granularity, Only, Period, Tables, Viewer};
use cloudigrade_schemas::image::BillingModel;
use cloudigrade_schemas::{Product, UtcSecond};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::common::{Run, at, write_tables};
use crate::world::{Known, NOW, Registered, Row, ask, days, rows, run_of, usage, wait, write_images, write_registrations};

pub const ACCOUNTS: [&str; 3] = ["000000000012", "000000000013", "000000000014"];
pub const COVERAGE: &[(&str, &str, &str)] = &[
    ("000000000012", "eu-west-1", "2024-03-01T00:00:00Z"),
    ("000000000013", "eu-west-1", "2024-02-02T00:00:00Z"),
    ("000000000014", "eu-west-1", "2024-02-09T00:00:00Z"),
];

/// Images of every kind; the last is not in the table.
pub const IMAGES: [&str; 5] = ["ami-payg", "ami-byos", "ami-none", "ami-said", "ami-unheard"];

pub fn known_images() -> Vec<Known> {
    vec![
        Known::new("ami-payg", Some(true), "payg"),
        Known { role: Some("Server"), ..Known::new("ami-byos", Some(true), "byos") },
        Known::new("ami-none", Some(false), "unknown"),
        Known::new("ami-said", Some(false), "unknown").overridden(Some("one"), true).overridden(None, false),
    ]
}

/// Runs over a few days, some open, of all accounts and images.
pub fn fleets() -> impl Strategy<Value = Vec<Run>> {
    let start = at("2024-01-30T00:00:00Z");
    let types = prop::sample::select(vec![Some("m5.large"), Some("t3.2xlarge"), Some("x9.imaginary"), None]);
    let one = (0..ACCOUNTS.len(), 0..6_u8, prop::option::of(0..IMAGES.len()), types, 0..900_i64, prop::option::of(1..600_i64));
    prop::collection::vec(one, 1..25).prop_map(move |runs| {
        let mut free_from = BTreeMap::new();
        let mut fleet = Vec::new();
        for (account, instance, image, kind, delay, length) in runs {
            // Runs of one instance follow each other, and nothing follows an open one.
            let from = free_from.entry((account, instance)).or_insert(Some(start));
            let Some(begin) = from.map(|from| from + delay * 600) else { continue };
            let end = length.map(|length| begin + length * 600);
            *from = end;
            let run = run_of(ACCOUNTS[account], &format!("i-{instance}"), image.map(|image| IMAGES[image]));
            fleet.push(Run { start: begin, end, ..run }.typed(kind));
        }
        fleet
    })
}

pub fn open(fleet: &[Run], accounts: &[Registered]) -> (TempDir, Tables) {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), fleet, COVERAGE);
    write_registrations(folder.path(), accounts);
    write_images(folder.path(), &known_images());
    let tables = wait(Tables::open_dir(folder.path())).unwrap();
    (folder, tables)
}

pub fn registrations() -> Vec<Registered> {
    vec![
        Registered::new("one", ACCOUNTS[0]),
        Registered::new("two", ACCOUNTS[0]),
        Registered { created_at: 1, ..Registered::new("one", ACCOUNTS[1]) },
        Registered::new("two", ACCOUNTS[1]),
    ]
}

pub fn viewers() -> impl Strategy<Value = Viewer> {
    prop::sample::select(vec![Viewer::Everything, Viewer::tenant("one"), Viewer::tenant("two")])
}

/// The sums of runtime, vCPU, memory and unsized seconds; what is not known adds nothing.
fn sums<'a>(rows: impl IntoIterator<Item = &'a Row>) -> [i64; 4] {
    rows.into_iter().fold([0; 4], |mut sums, row| {
        sums.iter_mut().zip(&row.2[1..]).for_each(|(sum, value)| *sum += value.unwrap_or_default());
        sums
    })
}

#[test]
fn a_tag_counts_for_the_accounts_of_the_tenant_whose_account_gave_it() {
    let [one, anothers, unregistered] = ACCOUNTS;
    let second = "000000000016";
    let fleet: Vec<Run> = [one, second, anothers, unregistered].map(|account| run_of(account, "i-1", Some("ami-tagged"))).into();
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), &fleet, COVERAGE);
    let later = Registered { created_at: 1, ..Registered::new("two", one) };
    let accounts = [Registered::new("one", one), Registered::new("one", second), Registered::new("two", anothers), later];
    write_registrations(folder.path(), &accounts);
    let counted = |by: &[&str], viewer: &Viewer| {
        let plain = Known::new("ami-tagged", None, "unknown");
        let image = by.iter().fold(plain, |image, tagger| image.tagged(Product::Rhel, tagger, "DescribeImages"));
        write_images(folder.path(), &[image]);
        let tables = wait(Tables::open_dir(folder.path())).unwrap();
        let by = [Dimension::Account, Dimension::Rhel, Dimension::BillingModel];
        let report = usage(&tables, viewer, &days("2024-02-01", "2024-02-02"), &by, Only::default());
        let rhel = rows(&report, 3).into_iter().filter(|(_, key, _)| key[1..] == [Some("true".to_owned()), Some("byos".to_owned())]);
        let mut accounts: Vec<String> = rhel.filter_map(|(_, key, _)| key[0].clone()).collect();
        accounts.sort_unstable();
        accounts
    };
    let tenant = Viewer::tenant;
    assert_eq!(counted(&[second], &Viewer::Everything), [one, second]);
    assert_eq!(counted(&[second], &tenant("one")), [one, second]);
    assert_eq!(counted(&[second], &tenant("two")), [""; 0]);
    assert_eq!(counted(&[one], &tenant("two")), [one, anothers], "it registered that account too");
    assert_eq!(counted(&[one], &Viewer::Everything), [one, anothers, second], "what tenants are told is what the operator is told");
    assert_eq!(counted(&[unregistered], &Viewer::Everything), [unregistered]);
    assert_eq!(counted(&["000000000099"], &Viewer::Everything), [unregistered], "nobody has either of them");
    assert_eq!(counted(&[anothers, unregistered], &tenant("one")), [""; 0]);
    assert_eq!(counted(&[anothers, unregistered], &Viewer::Everything), [anothers, unregistered]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_report_is_the_sum_of_its_parts(fleet in fleets(), viewer in viewers()) {
        let (_folder, tables) = open(&fleet, &registrations());
        let period = days("2024-01-30", "2024-02-12");
        let of = |period: &Period, by: &[Dimension], only: Only| rows(&usage(&tables, &viewer, period, by, only), by.len());
        let total = sums(&of(&period.whole(), &[], Only::default()));

        prop_assert_eq!(sums(&of(&period, &[], Only::default())), total, "days");
        for dimension in Dimension::ALL {
            prop_assert_eq!(sums(&of(&period, &[dimension], Only::default())), total, "by {}", dimension);
        }
        let both = [Dimension::BillingModel, Dimension::Rhel, Dimension::Account];
        let grouped = of(&period.whole(), &both, Only::default());
        prop_assert_eq!(sums(&grouped), total);

        let mut of_models = [0; 4];
        for model in BillingModel::ALL {
            let part = of(&period, &[], Only { billing_model: Some(model), ..Only::default() });
            let in_groups = grouped.iter().filter(|row| row.1[0].as_deref() == Some(model.word()));
            prop_assert_eq!(sums(&part), sums(in_groups), "{:?}", model);
            of_models.iter_mut().zip(sums(&part)).for_each(|(sum, part)| *sum += part);
        }
        prop_assert_eq!(of_models, total, "billing models, unknown among them");

        let rhel = of(&period, &[], Only { product: Some(Product::Rhel), ..Only::default() });
        prop_assert_eq!(sums(&rhel), sums(grouped.iter().filter(|row| row.1[1].as_deref() == Some("true"))));
        for account in ACCOUNTS {
            let part = of(&period, &[], Only { accounts: Some(vec![account.to_owned()]), ..Only::default() });
            prop_assert_eq!(sums(&part), sums(grouped.iter().filter(|row| row.1[2].as_deref() == Some(account))), "{}", account);
        }
        prop_assert_eq!(sums(&of(&period, &[], Only { accounts: Some(Vec::new()), ..Only::default() })), [0; 4]);
    }
}

#[test]
fn what_is_not_known_of_an_image_is_null_or_unknown_and_never_false() {
    let fleet =
        [run_of(ACCOUNTS[2], "i-a", None), run_of(ACCOUNTS[2], "i-b", Some("ami-unheard")), run_of(ACCOUNTS[2], "i-c", Some("ami-none"))];
    let (_folder, tables) = open(&fleet, &[]);
    let by = [Dimension::Instance, Dimension::Rhel, Dimension::BillingModel, Dimension::Architecture, Dimension::Role];
    let report = usage(&tables, &Viewer::Everything, &days("2024-02-01", "2024-02-02"), &by, Only::default());
    let labels: Vec<_> = rows(&report, by.len()).into_iter().map(|row| row.1[1..].to_vec()).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        labels,
        [
            vec![None, text("unknown"), None, None],
            vec![None, text("unknown"), None, None],
            vec![text("false"), text("unknown"), text("x86_64"), None],
        ]
    );
    let usage = "SELECT instance_id, rhel, openshift, billing_model FROM usage('2024-02-01', '2024-02-02')";
    assert_eq!(
        wait(ask(&tables, &Viewer::Everything, usage)).unwrap(),
        "instance_id,rhel,openshift,billing_model\ni-a,,,unknown\ni-b,,,unknown\ni-c,false,false,unknown"
    );
}

#[test]
fn the_owner_of_an_account_is_who_registered_it_first_and_keeps_it() {
    let fleet = [run_of(ACCOUNTS[0], "i-a", Some("ami-said")), run_of(ACCOUNTS[1], "i-b", Some("ami-said"))];
    let rhel = |accounts: &[Registered], viewer: &Viewer| {
        let (_folder, tables) = open(&fleet, accounts);
        let report = usage(&tables, viewer, &days("2024-02-01", "2024-02-02"), &[Dimension::Account, Dimension::Rhel], Only::default());
        rows(&report, 2).into_iter().map(|row| row.1[1].clone().unwrap()).collect::<Vec<_>>()
    };
    // Tenant `one` says yes, the operator says no.
    assert_eq!(rhel(&registrations(), &Viewer::Everything), ["true", "false"]);
    assert_eq!(rhel(&registrations(), &Viewer::tenant("one")), ["true", "true"]);
    assert_eq!(rhel(&registrations(), &Viewer::tenant("two")), ["false", "false"]);
    let mut left = registrations();
    left[0].state = "deleted";
    assert_eq!(rhel(&left, &Viewer::Everything), ["false", "false"]);
}

#[test]
fn the_command_lines_and_sqls_dimensions_are_those_of_the_reports() {
    let (_folder, tables) = open(&[run_of(ACCOUNTS[0], "i-a", Some("ami-byos"))], &[]);
    let by = "usage, sla,role,rhel,service_type,openshift,billing_model,architecture";
    let sql = format!("SELECT * FROM usage('2024-02-01', '2024-02-02', 'day', 'UTC', '{by}')");
    let answer = wait(ask(&tables, &Viewer::Everything, &sql)).unwrap();
    assert!(
        answer.starts_with(
            "bucket_start,bucket_end,usage,sla,role,rhel,service_type,openshift,billing_model,architecture,instances,runtime_seconds"
        ),
        "{answer}"
    );
    assert!(answer.contains(",,,Server,true,,false,byos,x86_64,1,86400,"), "{answer}");
    let period = Period::new("2024-02-01", "2024-02-02", Granularity::Day, "UTC", UtcSecond(at(NOW))).unwrap();
    assert_eq!(Dimension::parse_list(by).unwrap().len(), 8);
    assert_eq!(rows(&usage(&tables, &Viewer::Everything, &period, &Dimension::parse_list(by).unwrap(), Only::default()), 8).len(), 1);
}
