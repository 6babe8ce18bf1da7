//! What EC2 itself showed, beside what CloudTrail says.

use cloudigrade_schemas::observation::{EVENT_SOURCE, Observed, Seen};
use cloudigrade_schemas::{DeadLetterReason, Observation};

use super::*;
use crate::operators::OBSERVATION_SLACK;

/// An observation as it enters the log.
pub(super) fn observed(
    id: &str,
    action: PowerAction,
    instance: &str,
    at: UtcSecond,
    instance_type: Option<&str>,
    not_before: Option<UtcSecond>,
) -> Value {
    let observation = Observation {
        event_source: EVENT_SOURCE.into(),
        event_name: if action == PowerAction::ObservedRunning { Observed::Running } else { Observed::Stopped },
        event_id: id.into(),
        event_time: at,
        recipient_account_id: "000000000001".into(),
        aws_region: "us-east-1".into(),
        observed: Seen {
            instance_id: instance.into(),
            image_id: Some("ami-seen".into()),
            instance_type: instance_type.map(Into::into),
            not_before,
            lane: "describe".into(),
            reason: None,
        },
    };
    serde_json::to_value(observation).unwrap()
}

fn moment(time: &str) -> UtcSecond {
    let seconds = if time.len() == 5 { ":00" } else { "" };
    UtcSecond::parse_prefix(&format!("2024-03-01T{time}{seconds}Z")).unwrap()
}

fn running(since: &str) -> Value {
    observed(&format!("observe:i-1:{since}:running:-"), PowerAction::ObservedRunning, "i-1", moment(since), None, None)
}

fn running_as(since: &str, instance_type: &str) -> Value {
    observed(&format!("observe:i-1:{since}:running:-"), PowerAction::ObservedRunning, "i-1", moment(since), Some(instance_type), None)
}

/// A notification that it runs now, whenever it was launched.
fn reached_running(at: &str) -> Value {
    let mut record = observed(&format!("observe:i-1:-:running:{at}"), PowerAction::ObservedRunning, "i-1", moment(at), None, None);
    record["observed"]["lane"] = json!("state-change");
    record
}

fn stopped(at: &str) -> Value {
    observed(&format!("observe:i-1:-:stopped:{at}"), PowerAction::ObservedStopped, "i-1", moment(at), None, None)
}

fn stopped_between(not_before: &str, at: &str) -> Value {
    observed(
        &format!("observe:i-1:-:stopped:{not_before}-{at}"),
        PowerAction::ObservedStopped,
        "i-1",
        moment(at),
        None,
        Some(moment(not_before)),
    )
}

fn start(time: &str) -> Value {
    at(plain(&format!("start {time}"), "StartInstances", "00:00", "i-1"), time)
}

fn stop(time: &str) -> Value {
    at(plain(&format!("stop {time}"), "StopInstances", "00:00", "i-1"), time)
}

fn at(mut record: Value, time: &str) -> Value {
    record["eventTime"] = json!(moment(time));
    record
}

/// The runs as `start..end`, with `(not_before..)` where an end is not exact and the kinds of observed edges.
fn runs(records: &[Value]) -> Vec<String> {
    let forward = shown(&Pipeline::of(records));
    let backward: Vec<Value> = records.iter().rev().cloned().collect();
    assert_eq!(shown(&Pipeline::of(&backward)), forward, "the order of arrival does not matter");
    forward
}

fn shown(pipeline: &Pipeline) -> Vec<String> {
    let mut runs = BTreeMap::new();
    for Interval { start, end, .. } in pipeline.months.values().flat_map(|month| &month.intervals) {
        let seen = |kind: PowerAction| if kind.is_observation() { "?" } else { "" };
        let end = end.as_ref().map_or_else(String::new, |end| {
            let bound = end.not_before.map_or_else(String::new, |bound| format!("({}..)", clock(bound)));
            format!("{bound}{}{}", clock(end.at), seen(end.kind))
        });
        runs.insert(start.at, format!("{}{}..{end}", clock(start.at), seen(start.kind)));
    }
    runs.into_values().collect()
}

#[test]
fn an_observation_near_a_cloudtrail_event_is_that_event() {
    let told = [start("09:00:02"), stop("10:00:00")];
    for seen in [running("09:00:00"), running("09:00:02"), running("09:00:05"), stopped("10:00:20"), stopped("09:59:58")] {
        assert_eq!(runs(&[told.to_vec(), vec![seen]].concat()), ["09:00..10:00"]);
    }
    let pipeline = Pipeline::of(&[start("09:00:02"), running("09:00:00")]);
    assert_eq!(pipeline.months["000000000001/us-east-1/i-1/open"].intervals[0].start.at, moment("09:00:02"));
}

#[test]
fn a_late_description_of_an_older_launch_changes_nothing() {
    assert_eq!(runs(&[start("09:00"), stop("10:00"), running("09:00:01"), start("11:00")]), ["09:00..10:00", "11:00.."]);
}

#[test]
fn a_guest_shutdown_ends_a_run_at_the_time_in_its_reason() {
    assert_eq!(runs(&[start("09:00"), stopped("10:30")]), ["09:00..10:30?"]);
    let terminate = plain("t", "TerminateInstances", "12:00", "i-1");
    assert_eq!(runs(&[start("09:00"), stopped("10:30"), terminate]), ["09:00..10:30?"]);
}

#[test]
fn a_stop_without_a_time_ends_a_run_within_bounds() {
    assert_eq!(runs(&[start("09:00"), stopped_between("10:00", "10:30")]), ["09:00..(10:00..)10:30?"]);
    // The bounds are no wider than what CloudTrail says.
    assert_eq!(
        runs(&[start("09:00"), stop("09:30"), start("10:10"), stopped_between("09:20", "10:30")]),
        ["09:00..09:30", "10:10..(10:10..)10:30?"]
    );
}

#[test]
fn an_exact_stop_within_the_bounds_takes_their_place_whenever_it_comes() {
    assert_eq!(runs(&[start("09:00"), stopped_between("10:00", "10:30"), stop("10:12")]), ["09:00..10:12"]);
    assert_eq!(runs(&[start("09:00"), stopped_between("10:00", "10:30"), stopped("10:12")]), ["09:00..10:12?"]);
    assert_eq!(
        runs(&[start("09:00"), stopped_between("10:00", "10:30"), stop("10:05"), start("10:06"), stop("10:20")]),
        ["09:00..10:05", "10:06..10:20"]
    );
    // Of two looks the closer one counts, at one second too.
    assert_eq!(runs(&[start("09:00"), stopped_between("09:30", "10:30"), stopped_between("10:00", "10:30")]), ["09:00..(10:00..)10:30?"]);
    assert_eq!(runs(&[start("09:00"), stopped_between("09:30", "10:30"), stopped("10:30")]), ["09:00..10:30?"]);
}

#[test]
fn a_description_from_before_a_start_does_not_end_it() {
    assert_eq!(runs(&[start("09:00"), stop("09:30"), start("10:29:58"), stopped_between("09:20", "10:30")]), ["09:00..09:30", "10:29.."]);
    // Seen running since, and then stopped: that is no old description.
    assert_eq!(runs(&[start("10:29"), stopped_between("10:29:30", "10:30")]), ["10:29..(10:29..)10:30?"]);
}

#[test]
fn a_stop_of_an_instance_that_was_never_known_to_run_gives_no_run() {
    assert!(runs(&[stopped("10:00")]).is_empty());
    assert!(runs(&[stopped_between("09:30", "10:00")]).is_empty());
    assert_eq!(runs(&[running("08:00"), stopped("10:00")]), ["08:00?..10:00?"]);
}

#[test]
fn a_machine_that_cloudtrail_never_spoke_of_runs_from_its_launch_time_as_what_it_was_seen() {
    let pipeline = Pipeline::of(&[running_as("08:00", "m5.large")]);
    assert_eq!(pipeline.runs(), ["i-1: 08:00..open m5.large"]);
    assert_eq!(pipeline.months["000000000001/us-east-1/i-1/open"].intervals[0].image_id.as_deref(), Some("ami-seen"));
    // The image that a launch tells comes first.
    let launch = record("a", "RunInstances", "08:00", &["i-1"], json!({"requestParameters": {"instanceType": "m5.large"}}));
    let pipeline = Pipeline::of(&[launch, running_as("08:00:03", "m5.xlarge")]);
    assert_eq!(pipeline.runs(), ["i-1: 08:00..open m5.large"]);
    assert_eq!(pipeline.months["000000000001/us-east-1/i-1/open"].intervals[0].image_id.as_deref(), Some("ami-1"));
}

#[test]
fn what_is_seen_of_a_start_tells_its_type() {
    let seen = [start("08:00"), running_as("08:00:02", "m5.large"), stop("09:00"), start("10:00"), running_as("09:59:59", "m5.xlarge")];
    assert_eq!(Pipeline::of(&seen).runs(), ["i-1: 08:00..09:00 m5.large", "i-1: 10:00..open m5.xlarge"]);
    // Told by a notification, which knows no type, and by a description, which does.
    assert_eq!(Pipeline::of(&[running("08:00:20"), running_as("08:00", "m5.large")]).runs(), ["i-1: 08:00..open m5.large"]);
    assert_eq!(Pipeline::of(&[running("08:00"), running_as("08:00:20", "m5.large")]).runs(), ["i-1: 08:00..open m5.large"]);
}

#[test]
fn a_lost_start_opens_a_run_at_the_launch_time() {
    assert_eq!(runs(&[start("08:00"), stop("09:00"), running("10:00")]), ["08:00..09:00", "10:00?.."]);
}

#[test]
fn a_launch_seen_while_on_shows_that_it_had_stopped_in_between() {
    // Stop and start are lost.
    assert_eq!(runs(&[start("08:00"), running("10:00")]), ["08:00..(08:00..)10:00?", "10:00?.."]);
    assert_eq!(runs(&[running("08:00"), running("10:00")]), ["08:00?..(08:00..)10:00?", "10:00?.."]);
    // Only the stop is lost: the start is a real one, as its launch time was seen.
    for seen in ["09:59:58", "10:00:03"] {
        assert_eq!(runs(&[start("08:00"), start("10:00"), running(seen)]), ["08:00..(08:00..)10:00?", "10:00.."]);
    }
    // A start that did nothing, as the launch time stayed, shows that it still ran then.
    assert_eq!(runs(&[start("08:00"), start("09:00"), running("10:00")]), ["08:00..(09:00..)10:00?", "10:00?.."]);
    // What was lost turns up: nothing is left of the bounds.
    assert_eq!(runs(&[start("08:00"), running("10:00"), stop("09:00"), start("10:00:01")]), ["08:00..09:00", "10:00.."]);
}

#[test]
fn a_bound_that_a_look_gave_holds_even_where_the_look_itself_came_too_late() {
    let seen = stopped_between("09:30", "10:00:01");
    assert_eq!(runs(&[start("08:00"), start("10:00"), seen, running("10:00:02")]), ["08:00..(09:30..)10:00?", "10:00.."]);
}

#[test]
fn a_notification_that_it_runs_is_no_launch() {
    // A large machine is pending for long.
    assert_eq!(runs(&[start("08:00"), reached_running("08:20")]), ["08:00.."]);
    assert_eq!(runs(&[running("08:00"), reached_running("08:20")]), ["08:00?.."]);
    assert_eq!(runs(&[reached_running("08:00:20"), stopped("09:00")]), ["08:00?..09:00?"]);
    // A start and a stop were lost, or a stop.
    assert_eq!(runs(&[start("08:00"), reached_running("10:00")]), ["08:00..(08:00..)10:00?", "10:00?.."]);
    assert_eq!(runs(&[start("08:00"), start("09:58"), reached_running("10:00")]), ["08:00..(08:00..)09:58?", "09:58.."]);
    assert_eq!(runs(&[start("08:00"), stop("08:10"), reached_running("08:30")]), ["08:00..08:10", "08:30?.."]);
}

#[test]
fn a_restart_within_minutes_is_no_echo_of_the_start_before() {
    assert_eq!(runs(&[start("08:00"), stopped("08:01"), running("08:03")]), ["08:00..08:01?", "08:03?.."]);
    assert_eq!(runs(&[start("08:00"), stop("08:01"), running("08:03")]), ["08:00..08:01", "08:03?.."]);
    // A state that is told a little late, after the next start, does not end that.
    assert_eq!(runs(&[start("08:00"), stop("09:00:00"), start("09:00:38"), stopped("09:00:40")]), ["08:00..09:00", "09:00.."]);
}

#[test]
fn within_one_second_observations_come_after_calls() {
    let launch = |time: &str| at(plain("run", "RunInstances", "00:00", "i-1"), time);
    assert_eq!(runs(&[launch("08:00"), stop("08:00"), running("08:00")]), ["08:00..08:00"]);
    assert_eq!(runs(&[start("07:00"), stop("08:00"), running("08:00")]), ["07:00..08:00", "08:00?.."]);
    assert_eq!(runs(&[start("08:00"), stopped("08:00")]), ["08:00..08:00?"]);
}

#[test]
fn an_observation_that_is_none_becomes_a_dead_letter() {
    let sound = running("08:00");
    let with = |changes: &dyn Fn(&mut Value)| {
        let mut record = sound.clone();
        changes(&mut record);
        record
    };
    let bad = [
        with(&|record| record["eventName"] = json!("ObservedSleeping")),
        with(&|record| record["eventTime"] = json!("soon")),
        with(&|record| record["observed"]["instanceId"] = json!("")),
        with(&|record| record["recipientAccountId"] = json!("")),
        with(&|record| record["observed"] = Value::Null),
        with(&|record| record["observed"]["notBefore"] = json!("2024-03-01T07:00:00Z")),
        with(&|record| {
            record["eventName"] = json!("ObservedStopped");
            record["observed"]["notBefore"] = json!("2024-03-01T09:00:00Z");
        }),
    ];
    for record in &bad {
        let pipeline = Pipeline::of(std::slice::from_ref(record));
        assert_eq!((pipeline.counters.get(counted::DEAD_LETTERS), pipeline.months.len()), (1, 0), "{record}");
        let unusable = crate::operators::trail_event::events_of(crate::operators::fields::Json(&record.to_string())).unwrap_err();
        assert_eq!(unusable.reason, DeadLetterReason::BadField);
    }
    // Another source is not ours to judge, and our names are none of CloudTrail's.
    let foreign = with(&|record| record["eventSource"] = json!("ec2.amazonaws.com"));
    let pipeline = Pipeline::of(&[foreign]);
    assert_eq!((pipeline.counters.get(counted::DEAD_LETTERS), pipeline.months.len()), (0, 0));
}

/// What really happened: starts and stops, each far from the next, and what was seen of each.
#[derive(Clone, Debug)]
struct Turn {
    on: i64,
    off: i64,
    /// Whether CloudTrail tells the start and the stop.
    told: (bool, bool),
    /// By how many seconds EC2's times of start and stop are off.
    skew: (i64, i64),
    /// How long before and after the stop it was looked at, for a stop that is seen within bounds.
    looks: (i64, i64),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let far = 2 * OBSERVATION_SLACK + 200..50_000;
    let turn = (far.clone(), far, any::<(bool, bool)>(), (-60..60_i64, -60..60_i64), (1..400_i64, 0..400_i64));
    prop::collection::vec(turn, 1..6).prop_map(|turns| {
        let mut now = 1_704_067_200;
        let turn = |(off_for, on_for, told, skew, looks)| {
            let on = now + off_for;
            now = on + on_for;
            Turn { on, off: now, told, skew, looks }
        };
        turns.into_iter().map(turn).collect()
    })
}

/// The runs' starts and ends, and the earlier bounds of the ends.
fn edges(records: &[Value]) -> Vec<(i64, i64, i64)> {
    let pipeline = Pipeline::of(records);
    let intervals = pipeline.months.values().flat_map(|month| &month.intervals);
    let edges = intervals.map(|run| {
        let end = run.end.as_ref().map_or((i64::MAX, i64::MAX), |end| (end.at.0, end.not_before.unwrap_or(end.at).0));
        (run.start.at.0, end.0, end.1)
    });
    let distinct: std::collections::BTreeSet<_> = edges.collect();
    distinct.into_iter().collect()
}

fn told(name: &str, at: i64) -> Value {
    record(&format!("{name} {at}"), name, "00:00", &["i-1"], json!({"eventTime": UtcSecond(at)}))
}

fn seen(action: PowerAction, at: i64, not_before: Option<i64>) -> Value {
    observed(&format!("{} {at} {not_before:?}", action.name()), action, "i-1", UtcSecond(at), None, not_before.map(UtcSecond))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_seen_of_all_that_cloudtrail_tells_moves_nothing(turns in turns(), exact in any::<bool>()) {
        let calls: Vec<Value> =
            turns.iter().flat_map(|turn| [told("StartInstances", turn.on), told("StopInstances", turn.off)]).collect();
        let sights = turns.iter().flat_map(|turn| {
            let stop = if exact { (turn.off + turn.skew.1, None) } else { (turn.off + turn.looks.1, Some(turn.off - turn.looks.0)) };
            [seen(PowerAction::ObservedRunning, turn.on + turn.skew.0, None), seen(PowerAction::ObservedStopped, stop.0, stop.1)]
        });
        prop_assert_eq!(edges(&[calls.clone(), sights.collect()].concat()), edges(&calls));
    }

    #[test]
    fn whatever_cloudtrail_loses_the_times_that_ec2_gives_make_up_for(turns in turns()) {
        let records: Vec<Value> = turns.iter().flat_map(|turn| {
            let start = turn.told.0.then(|| told("StartInstances", turn.on));
            let stop = turn.told.1.then(|| told("StopInstances", turn.off));
            let sights = [
                seen(PowerAction::ObservedRunning, turn.on + turn.skew.0, None),
                seen(PowerAction::ObservedStopped, turn.off + turn.skew.1, None),
            ];
            start.into_iter().chain(stop).chain(sights)
        }).collect();
        let time = |told: bool, at: i64, skew: i64| if told { at } else { at + skew };
        let expected: Vec<_> = turns.iter().map(|turn| {
            let end = time(turn.told.1, turn.off, turn.skew.1);
            (time(turn.told.0, turn.on, turn.skew.0), end, end)
        }).collect();
        prop_assert_eq!(edges(&records), expected);
    }

    #[test]
    fn a_stop_that_no_one_times_lies_within_the_bounds_of_its_run(turns in turns(), looked in any::<bool>()) {
        let records: Vec<Value> = turns.iter().flat_map(|turn| {
            let stop = looked.then(|| seen(PowerAction::ObservedStopped, turn.off + turn.looks.1, Some(turn.off - turn.looks.0)));
            [seen(PowerAction::ObservedRunning, turn.on, None)].into_iter().chain(stop)
        }).collect();
        let runs = edges(&records);
        prop_assert_eq!(runs.len(), turns.len());
        for (turn, (start, end, not_before)) in turns.iter().zip(runs) {
            prop_assert_eq!(start, turn.on);
            prop_assert!(not_before <= turn.off && turn.off <= end || end == i64::MAX, "{} in {}..{}", turn.off, not_before, end);
        }
    }
}
