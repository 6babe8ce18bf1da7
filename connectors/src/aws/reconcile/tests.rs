use proptest::prelude::*;

use super::*;

const DAY: i64 = 1_706_695_200; // 2024-01-31T10:00:00Z

fn at(second: i64) -> UtcSecond {
    UtcSecond(DAY + second)
}

fn instance(id: &str, state: &str, launched: i64, reason: Option<i64>) -> DescribedInstance {
    DescribedInstance {
        id: id.to_owned(),
        state: state.to_owned(),
        launched_at: Some(at(launched)),
        reason: reason.map(|second| format!("User initiated ({} GMT)", at(second).to_string().replace('T', " ").trim_end_matches('Z'))),
        instance_type: Some("m5.large".to_owned()),
        image_id: Some("ami-1".to_owned()),
    }
}

fn description(second: i64, instances: &[DescribedInstance]) -> Description {
    Description { began: at(second), ended: at(second + 2), instances: instances.to_vec() }
}

/// Descriptions one after the other; what the last one adds.
fn last_of(descriptions: &[Description]) -> Vec<(Observed, UtcSecond, Option<UtcSecond>)> {
    let mut last: Option<(UtcSecond, Known)> = None;
    let mut observations = Vec::new();
    for description in descriptions {
        let reconciled = reconcile("111122223333", "us-east-1", last.as_ref().map(|(at, known)| (*at, known)), description);
        observations = reconciled.observations;
        last = Some((description.began, reconciled.known));
    }
    observations.iter().map(|o| (o.event_name, o.event_time, o.observed.not_before)).collect()
}

#[test]
fn a_running_instance_is_known_from_its_launch() {
    let told = last_of(&[description(1000, &[instance("i-1", "running", 10, None)])]);
    assert_eq!(told, [(Observed::Running, at(10), None)]);
    let told = last_of(&[description(1000, &[instance("i-1", "pending", 999, None)])]);
    assert_eq!(told, [(Observed::Running, at(999), None)]);
}

#[test]
fn an_unchanged_world_adds_nothing() {
    let world = [instance("i-1", "running", 10, None), instance("i-2", "stopped", 20, Some(30)), instance("i-3", "terminated", 20, None)];
    assert_eq!(last_of(&[description(1000, &world), description(2000, &world), description(3000, &world)]), []);
}

#[test]
fn a_stop_is_told_at_the_time_of_its_reason() {
    let before = description(1000, &[instance("i-1", "running", 10, None)]);
    let after = description(2000, &[instance("i-1", "stopped", 10, Some(1500))]);
    assert_eq!(last_of(&[before, after]), [(Observed::Stopped, at(1500), None)]);
}

#[test]
fn a_guest_shutdown_or_spot_reclaim_without_a_time_is_bounded() {
    let before = description(1000, &[instance("i-1", "running", 10, None)]);
    for state in ["stopping", "stopped", "shutting-down", "terminated"] {
        let mut stopped = instance("i-1", state, 10, None);
        stopped.reason = Some("Server.SpotInstanceTermination".to_owned());
        let told = last_of(&[before.clone(), description(2000, &[stopped])]);
        assert_eq!(told, [(Observed::Stopped, at(2002), Some(at(1000)))], "{state}");
    }
}

#[test]
fn an_instance_that_vanished_stopped_between_the_two_descriptions() {
    let before = description(1000, &[instance("i-1", "running", 10, None), instance("i-2", "terminated", 10, None)]);
    assert_eq!(last_of(&[before, description(2000, &[])]), [(Observed::Stopped, at(2002), Some(at(1000)))]);
}

#[test]
fn a_restart_ends_one_run_and_begins_the_next_and_the_end_is_before_the_start() {
    let before = description(1000, &[instance("i-1", "running", 10, None)]);
    let after = description(2000, &[instance("i-1", "running", 1500, None)]);
    assert_eq!(last_of(&[before, after]), [(Observed::Stopped, at(1499), Some(at(1000))), (Observed::Running, at(1500), None)]);
}

#[test]
fn a_restart_by_a_clock_before_ours_still_ends_the_old_run_before_the_new_one() {
    let before = description(1000, &[instance("i-1", "running", 10, None)]);
    let after = description(2000, &[instance("i-1", "running", 900, None)]);
    assert_eq!(last_of(&[before, after]), [(Observed::Stopped, at(899), Some(at(899))), (Observed::Running, at(900), None)]);
}

#[test]
fn a_run_between_two_descriptions_is_told_whole() {
    let running = description(1000, &[instance("i-1", "running", 10, None)]);
    let again = description(2000, &[instance("i-1", "stopped", 1500, Some(1600))]);
    let told = last_of(&[running, again]);
    assert_eq!(
        told,
        [(Observed::Stopped, at(1499), Some(at(1000))), (Observed::Running, at(1500), None), (Observed::Stopped, at(1600), None)]
    );
    let stopped = description(1000, &[instance("i-1", "stopped", 10, Some(20))]);
    let again = description(2000, &[instance("i-1", "stopped", 1500, None)]);
    assert_eq!(last_of(&[stopped, again]), [(Observed::Running, at(1500), None), (Observed::Stopped, at(2002), Some(at(1500)))]);
}

#[test]
fn a_stopped_instance_seen_for_the_first_time_makes_up_no_run() {
    let told = |instance| last_of(&[description(1000, &[instance])]);
    assert_eq!(told(instance("i-1", "stopped", 10, Some(20))), [(Observed::Running, at(10), None), (Observed::Stopped, at(20), None)]);
    assert_eq!(told(instance("i-1", "stopped", 10, None)), [(Observed::Stopped, at(1002), Some(at(10)))]);
    let unknown = DescribedInstance { launched_at: None, ..instance("i-1", "stopped", 10, None) };
    assert_eq!(told(unknown), []);
}

#[test]
fn the_termination_of_a_stopped_instance_ends_nothing_more() {
    let stopped = description(1000, &[instance("i-1", "stopped", 10, Some(20))]);
    let terminated = description(2000, &[instance("i-1", "terminated", 10, Some(1900))]);
    assert_eq!(last_of(&[stopped, terminated]), []);
}

#[test]
fn a_reason_older_than_the_run_is_not_its_end() {
    let before = description(1000, &[instance("i-1", "running", 500, None)]);
    let after = description(2000, &[instance("i-1", "stopped", 500, Some(400))]);
    assert_eq!(last_of(&[before, after]), [(Observed::Stopped, at(2002), Some(at(1000)))]);
}

#[test]
fn a_stop_that_ec2_takes_back_is_taken_back() {
    let running = description(1000, &[instance("i-1", "running", 10, None)]);
    let stopping = description(2000, &[instance("i-1", "stopping", 10, None)]);
    let again = description(3000, &[instance("i-1", "running", 10, None)]);
    assert_eq!(last_of(&[running, stopping, again]), [(Observed::Running, at(3002), None)]);
}

#[test]
fn a_state_that_is_not_known_says_nothing() {
    let running = description(1000, &[instance("i-1", "running", 10, None)]);
    let odd = description(2000, &[instance("i-1", "dreaming", 10, None)]);
    let stopped = description(3000, &[instance("i-1", "stopped", 10, Some(2500))]);
    assert_eq!(last_of(&[running.clone(), odd.clone()]), []);
    assert_eq!(last_of(&[running, odd, stopped]), [(Observed::Stopped, at(2500), None)]);
}

#[test]
fn an_observation_says_who_what_and_from_where() {
    let Reconciled { observations, .. } =
        reconcile("111122223333", "us-east-1", None, &description(1000, &[instance("i-1", "running", 10, None)]));
    let json = serde_json::to_value(&observations[0]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "eventSource": "observation.cloudigrade", "eventName": "ObservedRunning", "eventID": "observe:i-1:2024-01-31T10:00:10Z:running:-",
            "eventTime": "2024-01-31T10:00:10Z", "recipientAccountId": "111122223333", "awsRegion": "us-east-1",
            "observed": { "instanceId": "i-1", "imageId": "ami-1", "instanceType": "m5.large", "lane": "describe" },
        })
    );
}

/// What really happened to one instance: runs, each with whether EC2 gives the time of its end.
#[derive(Clone, Debug)]
struct Truth {
    runs: Vec<(i64, i64, bool)>,
    /// Whether it is gone an hour after its last run.
    terminated: bool,
}

impl Truth {
    fn seen(&self, second: i64) -> Option<DescribedInstance> {
        let (start, end, told) = *self.runs.iter().rev().find(|(start, ..)| *start <= second)?;
        if second < end {
            return Some(instance("i-1", "running", start, None));
        }
        let is_last = self.runs.last().is_some_and(|(last, ..)| *last == start);
        if self.terminated && is_last {
            return (second < end + 3600).then(|| instance("i-1", "terminated", start, told.then_some(end)));
        }
        Some(instance("i-1", "stopped", start, told.then_some(end)))
    }
}

fn truth() -> impl Strategy<Value = Truth> {
    let run = (2_i64..5_000, 1_i64..5_000, any::<bool>());
    (prop::collection::vec(run, 1..6), any::<bool>()).prop_map(|(steps, terminated)| {
        let mut clock = 0;
        let runs = steps.into_iter().map(|(pause, length, told)| {
            let start = clock + pause;
            clock = start + length;
            (start, clock, told)
        });
        Truth { runs: runs.collect(), terminated }
    })
}

fn observe(truth: &Truth, looks: &[i64]) -> Vec<Observation<'static>> {
    let mut last: Option<(UtcSecond, Known)> = None;
    let mut all = Vec::new();
    for look in looks {
        let instances: Vec<DescribedInstance> = truth.seen(*look).into_iter().collect();
        let description = Description { began: at(*look), ended: at(*look), instances };
        let reconciled = reconcile("1", "r", last.as_ref().map(|(at, known)| (*at, known)), &description);
        let again = reconcile("1", "r", Some((at(*look), &reconciled.known)), &description);
        assert!(again.observations.is_empty(), "the same world told again: {again:?}");
        all.extend(reconciled.observations);
        last = Some((at(*look), reconciled.known));
    }
    all
}

proptest! {
    #[test]
    fn what_is_told_is_true_or_bounded_by_what_is_true(truth in truth(), mut looks in prop::collection::btree_set(0_i64..40_000, 1..20)) {
        looks.insert(50_000);
        let looks: Vec<i64> = looks.into_iter().collect();
        for observation in observe(&truth, &looks) {
            let time = observation.event_time.0 - DAY;
            match (observation.event_name, observation.observed.not_before) {
                (Observed::Running, _) => prop_assert!(truth.runs.iter().any(|(start, ..)| *start == time), "{observation:?}"),
                (Observed::Stopped, None) => prop_assert!(truth.runs.iter().any(|(_, end, _)| *end == time), "{observation:?}"),
                (Observed::Stopped, Some(from)) => {
                    let bounds = from.0 - DAY..=time;
                    // A stop in the very second before a start is told for that second.
                    let ends = |end: &i64| bounds.contains(end) || *end == time + 1;
                    prop_assert!(truth.runs.iter().any(|(_, end, _)| ends(end)), "{observation:?}");
                }
            }
        }
    }

    #[test]
    fn each_run_that_was_seen_is_opened_and_closed_once(truth in truth(), mut looks in prop::collection::btree_set(0_i64..40_000, 1..20)) {
        looks.insert(60_000);
        let looks: Vec<i64> = looks.into_iter().collect();
        let observations = observe(&truth, &looks);
        let mut ids: Vec<&str> = observations.iter().map(|observation| &*observation.event_id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
        for (start, end, _) in &truth.runs {
            if looks.iter().any(|look| (*start..*end).contains(look)) {
                let name = format!("observe:i-1:{}:", at(*start));
                let of_run: Vec<_> = observations.iter().filter(|o| o.event_id.starts_with(&name)).map(|o| o.event_name).collect();
                prop_assert_eq!(of_run, [Observed::Running, Observed::Stopped]);
            }
        }
    }
}
