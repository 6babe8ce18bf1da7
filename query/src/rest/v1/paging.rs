//! Pages of the old APIs: `limit` and `offset`, and links to the pages beside.

use serde_json::{Value, json};
use url::form_urlencoded;
use warp::http::StatusCode;
use warp::reply::Response;

use super::inputs::integer_param;
use crate::limits::{OLD_PAGE_ITEMS, PAGE_ROWS_MAX};
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{integer, integer_between, list, nullable, object, text};
use crate::rest::endpoint::Parameter;

const NO_INTEGER: &str = "A valid integer is required.";
/// The largest number that a request can give.
const NUMBER_MAX: i64 = i32::MAX as i64;

/// A page that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rest) struct Page {
    /// Items at most; at least one.
    pub(in crate::rest) limit: usize,
    /// Items before the first.
    pub(in crate::rest) offset: usize,
}

impl Page {
    /// Reads which page is asked for. A page has no more than [`PAGE_ROWS_MAX`] items, whatever is asked for; its links lead to the rest.
    ///
    /// # Errors
    /// 400 where a number is none.
    pub(in crate::rest) fn of(call: &Call) -> Result<Self, Failure> {
        let limit = integer_param(call, "limit", 1, NUMBER_MAX, NO_INTEGER)?;
        let offset = integer_param(call, "offset", 0, NUMBER_MAX, NO_INTEGER)?;
        let number = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
        Ok(Self { limit: number(limit).unwrap_or(OLD_PAGE_ITEMS).min(PAGE_ROWS_MAX), offset: number(offset).unwrap_or(0) })
    }

    /// Its items, of all.
    pub(in crate::rest) fn cut<T>(self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        items.into_iter().skip(self.offset).take(self.limit).collect()
    }

    /// As SQL says it.
    pub(in crate::rest) fn sql(self) -> String {
        format!("LIMIT {} OFFSET {}", self.limit, self.offset)
    }

    /// The link to the page that begins with another item.
    fn link(self, call: &Call, offset: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(call.query.iter().filter(|(name, _)| name != "limit" && name != "offset"));
        query.append_pair("limit", &self.limit.to_string());
        query.append_pair("offset", &offset.to_string());
        format!("{}?{}", call.url(&call.path), query.finish())
    }

    fn next(self, call: &Call, count: usize) -> Option<String> {
        let offset = self.offset.saturating_add(self.limit);
        (offset < count).then(|| self.link(call, offset))
    }

    fn previous(self, call: &Call) -> Option<String> {
        (self.offset > 0).then(|| self.link(call, self.offset.saturating_sub(self.limit)))
    }

    /// A page of the first API, of `count` items in all.
    pub(super) fn answer(self, call: &Call, count: usize, results: Vec<Value>) -> Response {
        let body = json!({"count": count, "next": self.next(call, count), "previous": self.previous(call), "results": results});
        answer::json(StatusCode::OK, &body)
    }

    /// A page of the second API.
    pub(in crate::rest) fn answer_with_links(self, call: &Call, count: usize, data: Vec<Value>) -> Response {
        let links = json!({
            "first": self.link(call, 0),
            "next": self.next(call, count),
            "previous": self.previous(call),
            "last": self.link(call, count.saturating_sub(self.limit)),
        });
        answer::json(StatusCode::OK, &json!({"meta": {"count": count}, "links": links, "data": data}))
    }

    /// What chooses a page.
    pub(in crate::rest) fn parameters() -> Vec<Parameter> {
        let limit = "How many at most; 10 if absent. A page has no more than 1000, its links lead to the rest.";
        vec![
            Parameter::query("limit", limit, integer_between(1, NUMBER_MAX), json!(10)),
            Parameter::query("offset", "How many to leave out before the first.", integer_between(0, NUMBER_MAX), json!(0)),
        ]
    }

    /// How a page of the first API looks.
    pub(super) fn schema(item: Value) -> Value {
        object([("count", integer()), ("next", nullable(text())), ("previous", nullable(text())), ("results", list(item))])
    }

    /// A page of the first API with one item.
    pub(super) fn example(item: Value) -> Value {
        json!({"count": 1, "next": null, "previous": null, "results": [item]})
    }

    /// How a page of the second API looks.
    pub(in crate::rest) fn schema_with_links(item: Value) -> Value {
        let links = object([("first", text()), ("next", nullable(text())), ("previous", nullable(text())), ("last", text())]);
        object([("meta", object([("count", integer())])), ("links", links), ("data", list(item))])
    }

    /// A page of the second API with one item.
    pub(in crate::rest) fn example_with_links(path: &str, item: Value) -> Value {
        let link = format!("https://cloudigrade.example.com{path}?limit=10&offset=0");
        json!({"meta": {"count": 1}, "links": {"first": link, "next": null, "previous": null, "last": link}, "data": [item]})
    }
}
