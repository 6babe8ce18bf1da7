//! The default fleet tells every story that it is meant to tell, and its records tell what its truth says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::LazyLock;

use cloudigrade_schemas::power::Effect;
use cloudigrade_schemas::{InstanceKey, PowerAction, UtcSecond, instance_type};
use flate2::read::GzDecoder;
use serde_json::Value;

use super::truth::{History, Ledger};
use super::*;

static DEFAULT: LazyLock<(Fleet, Trail)> = LazyLock::new(|| {
    let fleet = simulate(&FleetOptions::default()).unwrap();
    let trail = Trail::of(&fleet);
    (fleet, trail)
});

fn short_fleet(seed: u64) -> Fleet {
    simulate(&FleetOptions { seed, days: 2, ..FleetOptions::default() }).unwrap()
}

/// What is to be seen in the files of a fleet.
#[derive(Default)]
struct Trail {
    /// How often each event id was delivered, and in how many different forms.
    deliveries: BTreeMap<String, (u64, BTreeSet<String>)>,
    power: Vec<Power>,
    refused: BTreeSet<String>,
    needles: u64,
    disordered: u64,
    longest_delay: i64,
    regions: BTreeSet<(String, String)>,
}

/// A record that changes instances.
struct Power {
    at: UtcSecond,
    action: PowerAction,
    account: String,
    region: String,
    record: Value,
}

impl Trail {
    fn of(fleet: &Fleet) -> Self {
        let mut trail = Self::default();
        for file in fleet.files() {
            let document: Value = serde_json::from_str(&file.json).unwrap();
            let minute = file.path.split('_').nth(3).unwrap();
            let (date, time) = (&minute[..8], &minute[9..13]);
            let stamp = format!("{}-{}-{}T{}:{}:00Z", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..]);
            let delivered = UtcSecond::parse_prefix(&stamp).unwrap();
            let mut last = UtcSecond(i64::MIN);
            for record in document["Records"].as_array().unwrap() {
                let at = UtcSecond::parse_prefix(record["eventTime"].as_str().unwrap()).unwrap();
                trail.disordered += u64::from(at < last);
                trail.longest_delay = trail.longest_delay.max(delivered.0 - at.0);
                last = at;
                trail.see(at, record);
            }
        }
        trail
    }

    fn see(&mut self, at: UtcSecond, record: &Value) {
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let (times, forms) = self.deliveries.entry(text("eventID")).or_default();
        *times += 1;
        let power = record["eventSource"] == "ec2.amazonaws.com" && PowerAction::from_name(&text("eventName")).is_some();
        if !power {
            self.needles += u64::from(record.to_string().contains(r#"\"eventName\":\"TerminateInstances\""#));
            return;
        }
        if !forms.insert(record.to_string()) {
            return;
        }
        self.regions.insert((text("recipientAccountId"), text("awsRegion")));
        let retype = record["requestParameters"]["instanceType"]["value"].is_string();
        match PowerAction::from_name(&text("eventName")) {
            _ if record["errorCode"].is_string() => {
                self.refused.insert(text("errorCode"));
            }
            Some(action) if action != PowerAction::ModifyInstanceAttribute || retype => {
                self.power.push(Power {
                    at,
                    action,
                    account: text("recipientAccountId"),
                    region: text("awsRegion"),
                    record: record.clone(),
                });
            }
            _ => {}
        }
    }

    fn of_action(&self, action: PowerAction) -> impl Iterator<Item = &Power> {
        self.power.iter().filter(move |power| power.action == action)
    }

    /// The runs that the records tell, by the plainest possible fold.
    fn runs(&self) -> BTreeMap<InstanceKey<'static>, Vec<Run>> {
        let mut events: Vec<_> = self
            .power
            .iter()
            .flat_map(|power| power.instances().into_iter().map(move |(key, of)| (key, power.at, power.action, of)))
            .collect();
        events.sort();
        let mut runs: BTreeMap<InstanceKey<'static>, Vec<Run>> = BTreeMap::new();
        let mut types: BTreeMap<InstanceKey<'static>, String> = BTreeMap::new();
        for (key, at, action, told) in events {
            types.extend(told.map(|told| (key.clone(), told)));
            let runs = runs.entry(key.clone()).or_default();
            let open = runs.last_mut().filter(|run| run.off.is_none());
            match (action.effect(), open) {
                (Effect::On, None) => runs.push(Run { on: at, off: None, instance_type: types.get(&key).cloned() }),
                (Effect::Off, Some(run)) => run.off = Some(at),
                _ => {}
            }
        }
        runs.retain(|_, runs| !runs.is_empty());
        runs
    }
}

impl Power {
    /// The instances that the record names, with the type that it tells of them.
    fn instances(&self) -> Vec<(InstanceKey<'static>, Option<String>)> {
        let key = |id: &Value| InstanceKey {
            account_id: self.account.clone().into(),
            region: self.region.clone().into(),
            instance_id: id.as_str().unwrap().to_owned().into(),
        };
        let type_of = |value: &Value| value.as_str().map(str::to_owned);
        let request = &self.record["requestParameters"];
        match self.action {
            PowerAction::ModifyInstanceAttribute => vec![(key(&request["instanceId"]), type_of(&request["instanceType"]["value"]))],
            PowerAction::BidEvictedEvent => {
                self.record["serviceEventDetails"]["instanceIdSet"].as_array().unwrap().iter().map(|id| (key(id), None)).collect()
            }
            _ => self.items().iter().map(|item| (key(&item["instanceId"]), type_of(&item["instanceType"]))).collect(),
        }
    }

    fn items(&self) -> &[Value] {
        self.record["responseElements"]["instancesSet"]["items"].as_array().map_or(&[], Vec::as_slice)
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |seed| -> Vec<_> { short_fleet(seed).files().map(|file| (file.write_gzip(Vec::new()).unwrap(), file.path)).collect() };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
    assert_eq!(short_fleet(7).truth, short_fleet(7).truth);
}

#[test]
fn the_records_tell_what_the_truth_says_that_they_tell() {
    let (fleet, trail) = &*DEFAULT;
    let told: BTreeMap<_, _> = fleet.truth.as_logged.instances.iter().map(|(key, ledger)| (key.clone(), ledger.runs.clone())).collect();
    assert_eq!(trail.runs(), told);
    assert_eq!(fleet.counts().power_records, trail.power.len() as u64);
}

#[test]
fn the_counts_are_those_of_the_files() {
    let (fleet, trail) = &*DEFAULT;
    let counts = fleet.counts();
    let records: u64 = trail.deliveries.values().map(|(times, _)| times).sum();
    assert_eq!((counts.files, counts.records), (fleet.files().len() as u64, records));
    assert_eq!(counts.repeated_records, records - trail.deliveries.len() as u64);
    assert!((2_000..=5_000).contains(&counts.files) && (50_000..=150_000).contains(&counts.records), "{counts:?}");
}

#[test]
fn no_blank_of_a_record_is_left_empty() {
    for file in short_fleet(1).files() {
        let filled = file.json.replace(r#""acl":"""#, "");
        assert!(!filled.contains(r#""""#) && !filled.contains('\n'), "{}", file.path);
    }
}

#[test]
fn a_files_path_is_that_of_cloudtrail() {
    let fleet = short_fleet(1);
    let paths: BTreeSet<String> = fleet.files().map(|file| file.path).collect();
    assert_eq!(paths.len(), fleet.files().len());
    for path in paths {
        let parts: Vec<&str> = path.split('/').collect();
        let [_, account, _, region, year, month, day, name] = parts[..] else { panic!("{path}") };
        let date = format!("{account}_CloudTrail_{region}_{year}{month}{day}T");
        assert!(path.starts_with("AWSLogs/") && name.starts_with(&date) && name.ends_with(".json.gz"), "{path}");
        assert_eq!(name.len(), date.len() + "1205Z_".len() + 16 + ".json.gz".len(), "{path}");
    }
}

#[test]
fn written_files_inflate_to_their_records() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = short_fleet(1);
    assert_eq!(fleet.write_to(folder.path()).unwrap(), fleet.counts().files);
    for file in fleet.files().take(20) {
        let mut json = String::new();
        GzDecoder::new(std::fs::File::open(folder.path().join(&file.path)).unwrap()).read_to_string(&mut json).unwrap();
        assert_eq!(json, file.json);
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = short_fleet(1).write_to(file.path()).unwrap_err();
    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

#[test]
fn a_fleet_of_no_days_or_too_many_is_refused() {
    for days in [0, FleetOptions::DAYS_MAX + 1] {
        assert!(matches!(simulate(&FleetOptions { days, ..FleetOptions::default() }), Err(FleetError::Days { .. })));
    }
    assert!(simulate(&FleetOptions { days: 1, ..FleetOptions::default() }).is_ok());
}

#[test]
fn launches_come_with_and_without_a_type_in_the_request_and_many_at_once() {
    let launches: Vec<_> = DEFAULT.1.of_action(PowerAction::RunInstances).collect();
    let in_request = |power: &&&Power| power.record["requestParameters"]["instanceType"].is_string();
    let with = launches.iter().filter(in_request).count();
    assert!(with > 100 && launches.len() - with > 100);
    assert!(launches.iter().all(|power| power.items().iter().all(|item| item["instanceType"].is_string())));
    assert!(launches.iter().any(|power| power.items().len() >= 30));
}

#[test]
fn spot_instances_are_reclaimed_and_never_terminated() {
    let named = |action| DEFAULT.1.of_action(action).flat_map(Power::instances).map(|(key, _)| key).collect::<BTreeSet<_>>();
    let reclaimed = named(PowerAction::BidEvictedEvent);
    assert!(reclaimed.len() > 50 && reclaimed.is_disjoint(&named(PowerAction::TerminateInstances)));
}

#[test]
fn in_an_instance_refresh_one_ends_in_the_second_in_which_another_starts() {
    let moments =
        |action| DEFAULT.1.of_action(action).map(|power| (power.account.clone(), power.region.clone(), power.at)).collect::<BTreeSet<_>>();
    let handed_over = moments(PowerAction::TerminateInstances).intersection(&moments(PowerAction::RunInstances)).count();
    assert!(handed_over >= 20, "{handed_over}");
}

#[test]
fn stopped_instances_get_other_types_and_run_with_them() {
    assert!(DEFAULT.1.of_action(PowerAction::ModifyInstanceAttribute).count() >= 10);
    let types_of = |ledger: &Ledger| ledger.runs.iter().map(|run| run.instance_type.clone()).collect::<BTreeSet<_>>().len();
    assert!(DEFAULT.0.truth.as_logged.instances.values().filter(|ledger| types_of(ledger) > 1).count() >= 10);
}

#[test]
fn calls_are_refused_for_several_reasons_and_others_change_nothing() {
    assert_eq!(DEFAULT.1.refused.len(), 5, "{:?}", DEFAULT.1.refused);
    let unchanged = |item: &Value| item["currentState"] == item["previousState"];
    for action in [PowerAction::StartInstances, PowerAction::StopInstances, PowerAction::TerminateInstances] {
        assert!(DEFAULT.1.of_action(action).any(|power| power.items().iter().all(unchanged)), "{action:?}");
    }
}

#[test]
fn only_the_prototype_has_no_known_size() {
    let runs = DEFAULT.0.truth.as_logged.instances.values().flat_map(|ledger| &ledger.runs);
    let types: BTreeSet<&str> = runs.filter_map(|run| run.instance_type.as_deref()).collect();
    let unknown: Vec<_> = types.into_iter().filter(|name| instance_type::lookup(name).is_none()).collect();
    assert_eq!(unknown, ["xp1.prototype"]);
}

#[test]
fn some_instances_are_older_than_the_log() {
    let truth = &DEFAULT.0.truth;
    let untold = truth.actual.instances.keys().filter(|key| !truth.as_logged.instances.contains_key(key)).count();
    assert_eq!(untold, 4);
    let starts_untyped = |ledger: &&Ledger| ledger.runs.iter().any(|run| run.instance_type.is_none());
    assert_eq!(truth.as_logged.instances.values().filter(starts_untyped).count(), 1);
    assert!(truth.untold_seconds > 4 * 12 * 86_400);
}

#[test]
fn records_are_delivered_late_twice_and_out_of_order() {
    let (fleet, trail) = &*DEFAULT;
    assert!(fleet.counts().late_records > 100 && trail.disordered > 1000);
    assert!(trail.longest_delay > 12 * 3600 && trail.longest_delay < 25 * 3600, "{}", trail.longest_delay);
    assert!(trail.deliveries.values().any(|(times, forms)| *times == 2 && forms.len() == 1));
    assert!(trail.deliveries.values().all(|(times, forms)| *times <= 2 && forms.len() <= 1));
}

#[test]
fn lost_records_are_in_no_file_and_each_makes_the_log_overstate_one_instance() {
    let (fleet, trail) = &*DEFAULT;
    let truth = &fleet.truth;
    assert_eq!(truth.lost.iter().map(|lost| &lost.instance).collect::<BTreeSet<_>>().len(), 3);
    for lost in &truth.lost {
        let same = |power: &&Power| power.at == lost.at && power.instances().iter().any(|(key, _)| *key == lost.instance);
        assert_eq!(trail.of_action(lost.action).filter(same).count(), 0, "{lost:?}");
        assert!(lost.overstated_seconds > 24 * 3600, "{lost:?}");
    }
    let overstated: u64 = truth.lost.iter().map(|lost| lost.overstated_seconds).sum();
    let seconds = |history: &History| history.seconds_by_day().values().sum::<u64>();
    assert_eq!(seconds(&truth.actual) + overstated, seconds(&truth.as_logged) + truth.untold_seconds);
}

#[test]
fn other_records_quote_event_names_and_accounts_keep_their_leading_zero() {
    let (fleet, trail) = &*DEFAULT;
    assert!(trail.needles > 100);
    assert!(fleet.truth.as_logged.instances.keys().any(|key| key.account_id == "012345678901"));
    assert_eq!(trail.regions.len(), place::PLACES.len());
}

#[test]
fn a_history_agrees_with_itself() {
    for history in [&DEFAULT.0.truth.as_logged, &DEFAULT.0.truth.actual] {
        let by_account = history.peak_by_account_day();
        for (day, peak) in history.peak_by_day() {
            let highest = by_account.values().map(|days| days[&day]).max().unwrap();
            let sum: u64 = by_account.values().map(|days| days[&day]).sum();
            assert!(highest <= peak && peak <= sum, "{day}: {highest} <= {peak} <= {sum}");
            assert!(history.seconds_by_day()[&day] <= peak * 86_400);
        }
        for (key, ledger) in &history.instances {
            assert!(ledger.runs.iter().all(|run| run.off.is_none_or(|off| run.on <= off)), "{key}");
            assert!(ledger.runs.windows(2).all(|pair| pair[0].off.is_some_and(|off| off <= pair[1].on)), "{key}");
        }
    }
}
