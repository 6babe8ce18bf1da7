//! The reports: usage by day, by account, and by image of one account.
//!
//! All three ask the one calculation of usage for sums over the same accounts and the same time, so they agree with each other and with the
//! reports of this program's own.

mod accounts;
mod asked;
mod images;
mod instances;
mod usage;

use serde_json::{Value, json};

use super::id;
use super::scope::user_id_param;
use crate::rest::describe::moment;
use crate::rest::endpoint::{Endpoint, Parameter};

pub(super) fn endpoints() -> Vec<Endpoint> {
    [instances::endpoints(), accounts::endpoints(), images::endpoints()].concat()
}

/// What says when, and whose. A text that has no offset is in UTC; a date is its midnight.
fn parameters() -> Vec<Parameter> {
    let start = "When the time begins, inclusive. What lies in the future is left out.";
    let end = "When the time ends, exclusive.";
    vec![
        Parameter::query("start", start, moment(), "2024-02-01T00:00:00Z").required(),
        Parameter::query("end", end, moment(), "2024-03-01T00:00:00Z").required(),
        user_id_param(),
    ]
}

fn account_id() -> Parameter {
    Parameter::query("account_id", "Only this account.", id(), 4_503_599_627_370_497_i64)
}

fn name_pattern() -> Parameter {
    let meaning = "Only accounts whose name has one of these words in it, which are separated by spaces; case does not matter.";
    Parameter::query("name_pattern", meaning, json!({"type": "string"}), "production")
}

/// The schema of a sum over all instances together.
fn seconds(weight: &str) -> Value {
    let description = match weight {
        "" => "How long they ran, in seconds.".to_owned(),
        weight => format!("How long they ran, in seconds, times {weight}. Null where no size is known."),
    };
    let kind = if weight.is_empty() { json!("integer") } else { json!(["number", "null"]) };
    json!({"type": kind, "description": description})
}

/// What memory is weighed by: in this API always GiB.
const GIB: &str = "their memory in GiB: GiB-seconds";
/// What processors are weighed by.
const VCPU: &str = "their virtual CPUs";
