//! Usage by day.

use std::collections::HashMap;

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::image::Product;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::asked::Asked;
use super::usage::{Sums, Usage};
use super::{GIB, VCPU, account_id, name_pattern, parameters, seconds};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{integer, list, moment, object};
use crate::rest::endpoint::{Answer, Endpoint, handler};
use crate::rest::v1::{READ, endpoint};

const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn endpoints() -> Vec<Endpoint> {
    let description = "An element for each day that the time touches. Days are those of UTC, whatever time of day `start` is; the first and \
                       the last count only what lies within the time.";
    vec![endpoint(
        (Method::GET, "/api/v1/report/instances/", READ),
        ("v1ReportInstances", "Usage by day", description),
        [parameters(), vec![account_id(), name_pattern()]].concat(),
        vec![Answer::json(200, "The days.", schema(), example())],
        handler!(report),
    )]
}

fn schema() -> Value {
    let day = object([
        ("date", moment()),
        ("rhel_instances", integer()),
        ("openshift_instances", integer()),
        ("rhel_runtime_seconds", seconds("")),
        ("openshift_runtime_seconds", seconds("")),
        ("rhel_vcpu_seconds", seconds(VCPU)),
        ("openshift_vcpu_seconds", seconds(VCPU)),
        ("rhel_memory_seconds", seconds(GIB)),
        ("openshift_memory_seconds", seconds(GIB)),
    ]);
    object([("instances_seen_with_rhel", integer()), ("instances_seen_with_openshift", integer()), ("daily_usage", list(day))])
}

fn example() -> Value {
    let day = json!({
        "date": "2024-02-01T00:00:00Z",
        "rhel_instances": 1,
        "openshift_instances": 0,
        "rhel_runtime_seconds": 3600,
        "openshift_runtime_seconds": 0,
        "rhel_vcpu_seconds": 7200,
        "openshift_vcpu_seconds": 0,
        "rhel_memory_seconds": 28800,
        "openshift_memory_seconds": 0,
    });
    json!({"instances_seen_with_rhel": 1, "instances_seen_with_openshift": 0, "daily_usage": [day]})
}

async fn report(rest: Rest, call: Call) -> Result<Response, Failure> {
    let asked = Asked::read(&rest, &call, false).await?;
    let mut usage = Usage::new(&rest, &asked);
    let mut body = json!({"instances_seen_with_rhel": 0, "instances_seen_with_openshift": 0, "daily_usage": []});
    let Some(period) = &asked.period else { return Ok(answer::json(StatusCode::OK, &body)) };

    let mut days: Vec<Value> = Vec::new();
    for product in Product::ALL {
        let word = product.word();
        let whole = usage.sums(&period.whole(), &[], Some(product)).await?;
        body[format!("instances_seen_with_{word}")] = json!(whole.first().map_or(0, |sums| sums.instances));
        let of_days = usage.sums(period, &[], Some(product)).await?;
        let of_days: HashMap<_, _> = of_days.iter().filter_map(|sums| Some((sums.bucket_start?.0, sums))).collect();
        let starts = &period.edges()[..period.buckets()];
        days.resize_with(starts.len(), || json!({}));
        for (day, start) in days.iter_mut().zip(starts) {
            let none = Sums::default();
            let sums = of_days.get(start).copied().unwrap_or(&none);
            day["date"] = json!(UtcSecond(start - start.rem_euclid(SECONDS_PER_DAY)));
            day[format!("{word}_instances")] = json!(sums.instances);
            day[format!("{word}_runtime_seconds")] = json!(sums.runtime_seconds);
            day[format!("{word}_vcpu_seconds")] = sums.vcpu_seconds();
            day[format!("{word}_memory_seconds")] = sums.memory_seconds();
        }
    }
    body["daily_usage"] = Value::Array(days);
    Ok(answer::json(StatusCode::OK, &body))
}
