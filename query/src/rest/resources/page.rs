//! Pages of lists that are short enough to be made whole first.

use serde_json::{Value, json};
use url::form_urlencoded;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::limits::{PAGE_ROWS, PAGE_ROWS_MAX};
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{integer, integer_between, list, nullable, object, text};
use crate::rest::endpoint::Parameter;

/// How a page looks.
pub(super) struct Page;

impl Page {
    /// What chooses a page.
    pub(super) fn parameters() -> Vec<Parameter> {
        let most = i64::try_from(PAGE_ROWS_MAX).unwrap_or(i64::MAX);
        vec![
            Parameter::query("limit", "How many at most; 100 if absent.", integer_between(1, most), json!(100)),
            Parameter::query("offset", "How many to leave out before the first.", integer_between(0, i64::from(i32::MAX)), json!(0)),
        ]
    }

    /// A page of such items.
    pub(super) fn schema(item: Value) -> Value {
        object([("count", integer()), ("limit", integer()), ("offset", integer()), ("next", nullable(text())), ("items", list(item))])
    }

    /// A page with one item.
    pub(super) fn example(item: Value) -> Value {
        json!({"count": 1, "limit": 100, "offset": 0, "next": null, "items": [item]})
    }
}

/// The page that a request asks for, of all items.
pub(super) fn page_of(call: &Call, items: Vec<Value>) -> Result<Response, Failure> {
    let number = |name: &str| call.param(name).and_then(|text| text.parse::<usize>().ok());
    let (limit, offset) = (number("limit").unwrap_or(PAGE_ROWS), number("offset").unwrap_or(0));
    let count = items.len();
    let page: Vec<Value> = items.into_iter().skip(offset).take(limit).collect();
    let end = offset.saturating_add(page.len());
    let body = json!({
        "count": count,
        "limit": limit,
        "offset": offset,
        "next": (end < count && !page.is_empty()).then(|| next(call, ("offset", &end.to_string()), None)),
        "items": page,
    });
    Ok(answer::json(StatusCode::OK, &body))
}

/// Where the next page is: the same question from another place on, as of a snapshot if there is one.
pub(super) fn next(call: &Call, (parameter, place): (&str, &str), snapshot: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(call.query.iter().filter(|(name, _)| name != parameter && (name != "as_of" || snapshot.is_none())));
    query.append_pair(parameter, place);
    if let Some(snapshot) = snapshot {
        query.append_pair("as_of", snapshot);
    }
    format!("{}?{}", call.path, query.finish())
}
