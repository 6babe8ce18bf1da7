//! How many instances with RHEL ran at once, day by day.

use cloudigrade_schemas::UtcSecond;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use warp::reply::Response;

use super::endpoint;
use super::peaks::{ANY, Peaks};
use crate::period::{Granularity, Period};
use crate::rest::Rest;
use crate::rest::answer::{Failure, NON_FIELD_ERRORS};
use crate::rest::call::Call;
use crate::rest::describe::{integer, list, object, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, Parameter, handler};
use crate::rest::v1::paging::Page;

const SECONDS_PER_DAY: i64 = 86_400;
/// Characters of a date, `2024-02-01`.
const DATE_CHARS: usize = 10;
const PATH: &str = "/api/cloudigrade/v2/concurrent/";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let description = "An element for each day, in UTC. `maximum_counts` has the most instances that ran at once for each combination of \
                       what their images are for: each of `sla`, `usage` and `service_type` by its value and as `_ANY`, together with one \
                       value of `arch`, one of `role`, or neither. A value that an image does not have is empty. A day on which nothing \
                       ran has none. Every day that has passed is answered, from before the user was known here too; what became known \
                       late is in it.";
    let date = || json!({"type": "string", "format": "date"});
    let start = "The first day; yesterday if absent.";
    let end = "The day after the last, at most today; today if absent.";
    let parameters =
        vec![Parameter::query("start_date", start, date(), "2024-02-01"), Parameter::query("end_date", end, date(), "2024-02-03")];
    let told = ("v2ListConcurrentUsage", "How many instances with RHEL ran at once, by day", description);
    let answers = vec![Answer::json(200, "A page of days.", Page::schema_with_links(schema()), Page::example_with_links(PATH, example()))];
    vec![endpoint(PATH, Access::Identity, told, [parameters, Page::parameters()].concat(), answers, handler!(report))]
}

fn schema() -> Value {
    let count = object([
        ("arch", text()),
        ("role", text()),
        ("sla", text()),
        ("usage", text()),
        ("service_type", text()),
        ("instances_count", integer()),
    ]);
    object([("date", json!({"type": "string", "format": "date"})), ("maximum_counts", list(count))])
}

fn example() -> Value {
    let count = json!({"arch": "x86_64", "role": ANY, "sla": "Premium", "usage": ANY, "service_type": ANY, "instances_count": 3});
    json!({"date": "2024-02-01", "maximum_counts": [count]})
}

/// A day from the query string, in seconds since 1970, if one is given.
fn day_param(call: &Call, name: &'static str) -> Result<Option<i64>, Failure> {
    let Some(text) = call.param(name) else { return Ok(None) };
    let date = text.parse::<Date>().ok().filter(|_| text.len() == DATE_CHARS);
    let midnight = date.and_then(|date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()).map(|midnight| midnight.as_second());
    midnight.map(Some).ok_or_else(|| Failure::field(name, format!("{name} must be a date (YYYY-MM-DD).")))
}

/// The days that are asked for, half-open, in seconds since 1970.
fn days(call: &Call, now: UtcSecond) -> Result<(i64, i64), Failure> {
    let today = now.0 - now.0.rem_euclid(SECONDS_PER_DAY);
    let (start, end) = (day_param(call, "start_date")?, day_param(call, "end_date")?);
    let mut fields = Vec::new();
    if start.is_some_and(|start| start >= today) {
        fields.push(("start_date", vec!["start_date cannot be today or in the future.".to_owned()]));
    }
    if end.is_some_and(|end| end > today) {
        fields.push(("end_date", vec!["end_date cannot be in the future.".to_owned()]));
    }
    if !fields.is_empty() {
        let failure = Failure::field(NON_FIELD_ERRORS, "the days are not in the past");
        return Err(Failure { fields, ..failure });
    }
    Ok((start.unwrap_or(today - SECONDS_PER_DAY), end.unwrap_or(today)))
}

async fn report(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (page, now) = (Page::of(&call)?, rest.now());
    let (start, end) = days(&call, now)?;
    let count = usize::try_from((end - start).max(0) / SECONDS_PER_DAY).unwrap_or(usize::MAX);
    let shown = page.cut(0..count);
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else { return Ok(page.answer_with_links(&call, count, Vec::new())) };
    let second_of = |day: usize| UtcSecond(start.saturating_add(i64::try_from(day).unwrap_or(i64::MAX).saturating_mul(SECONDS_PER_DAY)));

    let (from, until) = (second_of(*first).to_string(), second_of(last + 1).to_string());
    let period = Period::new(&from, &until, Granularity::Day, "UTC", now);
    let period = period.map_err(|error| Failure::field(NON_FIELD_ERRORS, error.to_string()))?;
    let peaks = Peaks::of(&rest, &call.principal()?.viewer(), &period).await?;
    let shown = shown.into_iter().map(|day| {
        let second = second_of(day);
        let date: String = second.to_string().chars().take(DATE_CHARS).collect();
        json!({"date": date, "maximum_counts": peaks.of_day(second)})
    });
    Ok(page.answer_with_links(&call, count, shown.collect()))
}
