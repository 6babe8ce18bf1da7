//! What is common to all answers: ids of requests, headers that keep browsers and caches from harm, other origins.

use serde_json::json;
use warp::Reply;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, HeaderName, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use warp::http::{HeaderMap, HeaderValue, Method, StatusCode};
use warp::reply::Response;

use super::answer;
use super::options::RestOptions;
use super::router::Route;
use crate::limits::HTTP_REQUEST_ID_CHARS_MAX;

/// Names a request, in requests and answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Names a request in answers of the second API.
const OLD_REQUEST_ID: HeaderName = HeaderName::from_static("x-cloudigrade-request-id");
/// What pages of other origins may send and read.
const CORS_HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, x-request-id");
const CORS_EXPOSED: HeaderValue = HeaderValue::from_static("x-request-id, x-complete-through, x-snapshot, retry-after");
/// Seconds for which a browser need not ask again.
const CORS_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The id that the client chose, if it can be printed as it is, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=HTTP_REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let chosen = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    chosen.map_or_else(new_id, str::to_owned)
}

/// A random UUID of version 4. Should the system have no randomness, the ids of requests are the least of its problems.
fn new_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random bytes; requests share an id");
    }
    let id = (u128::from_be_bytes(bytes) & !(0xf000_c000 << 48)) | (0x4000_8000 << 48);
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Whether a browser asks what a page of another origin may do.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// What a page of another origin may do; [`finish`] says whether the origin may.
pub(super) fn preflight(allow: Option<String>) -> Response {
    let mut response = answer::no_content();
    let headers = response.headers_mut();
    if let Some(allow) = allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow.clone());
        headers.insert(ALLOW, allow);
    }
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, CORS_HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, CORS_MAX_AGE);
    response
}

/// What a path is for, which anybody may ask.
pub(super) fn options(route: &Route) -> Response {
    let summary = route.endpoints.first().map_or("", |endpoint| endpoint.operation.summary);
    let body = json!({"name": route.path, "description": summary, "renders": ["application/json"], "parses": ["application/json"]});
    let mut response = answer::json(StatusCode::OK, &body);
    if let Ok(allow) = HeaderValue::from_str(&route.allow()) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response.into_response()
}

/// Adds what every answer has.
pub(super) fn finish(options: &RestOptions, request: &HeaderMap, path: &str, request_id: &str, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        if path.starts_with("/api/cloudigrade/") {
            headers.insert(OLD_REQUEST_ID, id.clone());
        }
        headers.insert(REQUEST_ID, id);
    }
    if options.cors.is_empty() {
        return;
    }
    headers.append(VARY, HeaderValue::from_static("origin"));
    let origin = request.get(ORIGIN).filter(|origin| options.cors.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, CORS_EXPOSED);
    }
}
