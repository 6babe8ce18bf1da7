//! What is counted. Labels are words of this module and of [`Class`](super::classify::Class): none grows with the data.

use cloudigrade_schemas::observation::Observed;
use metrics::{counter, gauge, histogram};

use super::classify::Class;
use super::queue::Depth;
use crate::aws::state_change::LANE;

/// A message was settled: `deleted`, `rests`, `returned`, `undeleted`.
pub(super) fn message(outcome: &'static str) {
    counter!("cloudigrade_source_messages_total", "outcome" => outcome).increment(1);
}

/// An object was settled: `read`, `partly`, `duplicate`, `ignored`, `buried`, `failed`, `returned`.
pub(super) fn object(outcome: &'static str) {
    counter!("cloudigrade_source_objects_total", "outcome" => outcome).increment(1);
}

/// An entry of a message needed nothing done.
pub(super) fn ignored(entries: usize) {
    counter!("cloudigrade_source_objects_total", "outcome" => "ignored").increment(entries as u64);
}

/// Bytes were fetched.
pub(super) fn bytes(bytes: usize) {
    counter!("cloudigrade_source_bytes_total").increment(bytes as u64);
}

/// CloudTrail records were read, relevant or not.
pub(super) fn records(records: u64) {
    counter!("cloudigrade_source_records_total").increment(records);
}

/// Bytes between the fetch and the log.
pub(super) fn in_flight(bytes: usize) {
    gauge!("cloudigrade_source_in_flight_bytes").set(bytes as f64);
}

/// A failure to read an object.
pub(super) fn error(class: Class) {
    counter!("cloudigrade_source_errors_total", "class" => class.word()).increment(1);
}

/// A request to the queue failed.
pub(super) fn queue_error() {
    counter!("cloudigrade_source_errors_total", "class" => "queue").increment(1);
}

/// A heartbeat was `lost` or `failed`.
pub(super) fn heartbeat(outcome: &'static str) {
    counter!("cloudigrade_source_heartbeats_total", "outcome" => outcome).increment(1);
}

/// How old the messages of one receive are, from sending, in seconds.
pub(super) fn received(ages_seconds: &[f64]) {
    ages_seconds.iter().for_each(|age| histogram!("cloudigrade_source_delivery_lag_seconds").record(*age));
    gauge!("cloudigrade_source_oldest_message_seconds").set(ages_seconds.iter().copied().fold(0.0, f64::max));
}

/// The gauge of how many messages the queue holds.
const DEPTH: &str = "cloudigrade_source_queue_messages";

/// How many messages the queue holds: `waiting`, and `in_hand` of some reader.
pub(super) fn depth(depth: Depth) {
    gauge!(DEPTH, "state" => "waiting").set(depth.waiting as f64);
    gauge!(DEPTH, "state" => "in_hand").set(depth.in_hand as f64);
}

/// The queue does not tell how many messages it holds. The last number would look like an answer.
pub(super) fn depth_unknown() {
    queue_error();
    ["waiting", "in_hand"].into_iter().for_each(|state| gauge!(DEPTH, "state" => state).set(f64::NAN));
}

/// How long after it was made an object was durable in the log, in seconds.
pub(super) fn committed(lag_seconds: f64) {
    histogram!("cloudigrade_source_commit_lag_seconds").record(lag_seconds);
}

/// A state-change notification entered the log.
pub(super) fn observed(what: Observed) {
    let kind = if what == Observed::Running { "running" } else { "stopped" };
    counter!("cloudigrade_observations_total", "lane" => LANE, "kind" => kind).increment(1);
}
