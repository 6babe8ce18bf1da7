//! From a request to its answer.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use futures::{FutureExt, Stream, StreamExt};
use tokio::time::timeout;
use url::form_urlencoded;
use warp::http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use warp::http::{HeaderMap, HeaderValue, Method, StatusCode};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Reply};

use super::answer::Failure;
use super::call::Call;
use super::endpoint::{Dialect, Endpoint};
use super::identify::identify;
use super::observe::Observed;
use super::router::Found;
use super::{ROUTER, Rest, compress, hygiene, params, sql};
use crate::limits::{HTTP_TARGET_BYTES_MAX, HTTP_UNREAD_BODY_WITHIN};

/// The other end of a connection, as the server that accepted it tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// All resources, as a filter of warp.
pub fn routes(rest: Rest) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::any()
        .map(move || rest.clone())
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<Peer>())
        .and(warp::body::stream())
        .then(|rest, method, path, query, headers, peer, body| async move {
            respond(rest, Request { method, path, query, headers, peer }, body).await
        })
        .recover(|_| async { Ok::<_, Infallible>(Failure::internal().render(Dialect::Problem, "")) })
        .unify()
}

/// A request without its body.
struct Request {
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
    peer: Option<Peer>,
}

/// Answers a request, counts it and logs it.
async fn respond<B: Buf, E>(rest: Rest, request: Request, body: impl Stream<Item = Result<B, E>> + Send) -> Response {
    let started = Instant::now();
    let mut body = pin!(body);
    let request_id = hygiene::request_id(&request.headers);
    let path = request.path.as_str();
    let found = ROUTER.find(path);
    let mut observed = Observed {
        method: request.method.clone(),
        path: path.to_owned(),
        pattern: found.as_ref().map(|found| found.route.path),
        from: from(&rest, &request),
        user: None,
        request_id: request_id.clone(),
        started,
    };
    let mut dialect = dialect_of_path(path);
    let mut response = if hygiene::is_preflight(&request.method, &request.headers) {
        hygiene::preflight(found.as_ref().map(|found| found.route.allow()))
    } else {
        let answered = match found {
            None => Err(Failure::not_found()),
            Some(found) if request.method == Method::OPTIONS => Ok(hygiene::options(found.route)),
            Some(found) => {
                dialect = found.route.endpoints.first().map_or(dialect, |endpoint| endpoint.dialect);
                answer(&rest, &request, found, body.as_mut(), &mut observed).await
            }
        };
        answered.unwrap_or_else(|failure| failure.render(dialect, &request_id))
    };
    if !pass_over(&rest, body).await {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    compress::compress(&request.headers, &mut response);
    hygiene::finish(rest.options(), &request.headers, path, &request_id, &mut response);
    observed.answered(response.status());
    response
}

/// Reads what nobody read of a body, and says whether that was all of it. The connection cannot go on behind a body that is not read, and a
/// client that is not told so finds it closed under its next request.
async fn pass_over<B: Buf, E>(rest: &Rest, mut body: Pin<&mut (impl Stream<Item = Result<B, E>> + Send)>) -> bool {
    let bytes_max = rest.options().limits.body_bytes;
    let passing = async {
        let mut passed = 0;
        while let Some(piece) = body.next().await {
            let Ok(piece) = piece else { return false };
            passed += piece.remaining();
            if passed > bytes_max {
                return false;
            }
        }
        true
    };
    timeout(HTTP_UNREAD_BODY_WITHIN, passing).await.unwrap_or(false)
}

/// How failures are told where there is no endpoint: the paths of the old APIs end with a slash, the new ones do not.
fn dialect_of_path(path: &str) -> Dialect {
    if path.len() > 1 && path.ends_with('/') { Dialect::Fields } else { Dialect::Problem }
}

async fn answer<B: Buf, E>(
    rest: &Rest,
    request: &Request,
    found: Found<'_>,
    body: impl Stream<Item = Result<B, E>> + Send,
    observed: &mut Observed,
) -> Result<Response, Failure> {
    let Found { route, parts } = found;
    let endpoint = route.endpoint(&request.method).ok_or_else(|| wrong_method(&request.method, &route.allow()))?;
    if request.path.as_str().len() + request.query.len() > HTTP_TARGET_BYTES_MAX {
        let message = format!("the path and the query are longer than {HTTP_TARGET_BYTES_MAX} bytes");
        return Err(Failure::new(StatusCode::URI_TOO_LONG, "uri_too_long", message));
    }
    let principal = identify(rest, endpoint.access, &request.headers, is_through_proxy(rest, request))?;
    observed.user = principal.as_ref().map(|principal| principal.name.clone());
    let query: Vec<(String, String)> = form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
    if endpoint.dialect == Dialect::Problem {
        params::check_path(&endpoint.operation.parameters, &parts)?;
        params::check(&endpoint.operation.parameters, &query, &request.query)?;
    }
    let body = read_body(rest, &request.headers, body).await?;
    let body = body_as_json(endpoint, &request.headers, body)?;
    if let (Dialect::Problem, Some(("application/json", schema, _))) = (endpoint.dialect, &endpoint.operation.body) {
        params::check_body(schema, &body)?;
    }
    let call = Call {
        method: if request.method == Method::HEAD { Method::GET } else { request.method.clone() },
        path: request.path.as_str().to_owned(),
        parts,
        query,
        headers: request.headers.clone(),
        body,
        principal,
        from: observed.from,
        origin: origin(rest, request),
        request_id: observed.request_id.clone(),
    };
    handle(rest, endpoint, call).await
}

/// Has the endpoint answer. One that panics or takes too long harms nobody else.
async fn handle(rest: &Rest, endpoint: &Endpoint, call: Call) -> Result<Response, Failure> {
    let (within, request_id) = (rest.options().limits.answer_within, call.request_id.clone());
    let answering = AssertUnwindSafe(async { (endpoint.handler)(rest.clone(), call).await }).catch_unwind();
    match timeout(within, answering).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(_)) => {
            tracing::error!(path = endpoint.path, request_id, "the handler of a request panicked");
            Err(Failure::internal())
        }
        Err(_) => {
            let message = format!("the answer takes longer than {} s; ask for less", within.as_secs());
            Err(Failure { retry_after: Some(5), ..Failure::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message) })
        }
    }
}

fn wrong_method(method: &Method, allow: &str) -> Failure {
    let message = format!("Method \"{method}\" not allowed.");
    let headers = HeaderValue::from_str(allow).map(|allow| (ALLOW, allow)).into_iter().collect();
    Failure { headers, ..Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message) }
}

/// Reads a body, within its limits.
async fn read_body<B: Buf, E>(rest: &Rest, headers: &HeaderMap, body: impl Stream<Item = Result<B, E>>) -> Result<Bytes, Failure> {
    let limits = rest.options().limits;
    let too_large = || {
        let message = format!("the body is larger than {} bytes", limits.body_bytes);
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large());
    }
    let read = async {
        let mut body = pin!(body);
        let mut bytes = BytesMut::new();
        while let Some(piece) = body.next().await {
            let broken = |_| Failure::new(StatusCode::BAD_REQUEST, "bad_body", "the body ends before it is complete");
            let mut piece = piece.map_err(broken)?;
            while piece.has_remaining() {
                let chunk = piece.chunk();
                if bytes.len() + chunk.len() > limits.body_bytes {
                    return Err(too_large());
                }
                bytes.extend_from_slice(chunk);
                let length = chunk.len();
                piece.advance(length);
            }
        }
        Ok(bytes.freeze())
    };
    let late = |_| {
        let message = format!("the body took longer than {} s", limits.body_within.as_secs());
        Failure::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
    };
    timeout(limits.body_within, read).await.map_err(late)?
}

/// The body of an endpoint that takes JSON. The first API's clients may send forms, which are the same fields.
fn body_as_json(endpoint: &Endpoint, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Failure> {
    let Some((expected, ..)) = endpoint.operation.body else { return Ok(body) };
    let Some(given) = headers.get(CONTENT_TYPE) else { return Ok(body) };
    let given = given.to_str().unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == expected || body.is_empty() {
        return Ok(body);
    }
    if endpoint.operation.tag == sql::TAG && sql::MEDIA_TYPES.contains(&essence.as_str()) {
        return sql::body_of_text(&body);
    }
    if endpoint.dialect == Dialect::Fields && essence == "application/x-www-form-urlencoded" {
        let fields: serde_json::Map<String, serde_json::Value> =
            form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
        return Ok(serde_json::Value::Object(fields).to_string().into());
    }
    let message = format!("Unsupported media type \"{}\" in request.", given.escape_debug());
    Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

/// Where a request comes from: what a proxy that is believed says, else the other end.
fn from(rest: &Rest, request: &Request) -> Option<IpAddr> {
    let peer = request.peer.map(|Peer(address)| address.ip().to_canonical())?;
    if !is_through_proxy(rest, request) {
        return Some(peer);
    }
    // The last one is what the proxy itself saw; those before it anybody can claim.
    let forwarded = request.headers.get_all("x-forwarded-for").iter().next_back();
    let client = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    Some(client.unwrap_or(peer))
}

/// Whether a proxy hands the request on that is believed.
fn is_through_proxy(rest: &Rest, request: &Request) -> bool {
    request.peer.is_some_and(|Peer(address)| rest.options().proxies.contains(&address.ip().to_canonical()))
}

/// How the client reached the server.
fn origin(rest: &Rest, request: &Request) -> String {
    let through_proxy = is_through_proxy(rest, request);
    let proxied = |name: &str| request.headers.get(name).filter(|_| through_proxy).and_then(|value| value.to_str().ok());
    let scheme = proxied("x-forwarded-proto").filter(|scheme| ["http", "https"].contains(scheme)).unwrap_or("http");
    let is_host = |host: &&str| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
    let host = proxied("x-forwarded-host").or_else(|| request.headers.get(HOST)?.to_str().ok()).filter(is_host);
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::rest::endpoint::{Access, Answering, Operation, handler};
    use crate::rest::{Parts, RequestLimits, RestOptions};
    use crate::runtime::QueryRuntime;
    use crate::tables::Tables;

    async fn panics(_: Rest, call: Call) -> Result<Response, Failure> {
        let nothing: Vec<String> = Vec::new();
        Ok(nothing[call.path.len()].clone().into_response())
    }

    async fn never_answers(_: Rest, _: Call) -> Result<Response, Failure> {
        std::future::pending().await
    }

    async fn handled(handler: fn(Rest, Call) -> Answering) -> Failure {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts {
            tables: Arc::new(Tables::open_dir(folder.path()).await.unwrap()),
            queries: Arc::new(QueryRuntime::new(NonZeroUsize::MIN).unwrap()),
            backend: None,
            now: || cloudigrade_schemas::UtcSecond(0),
            metrics: Arc::new(String::new),
            problems: Arc::new(Vec::new),
        };
        let limits = RequestLimits { answer_within: Duration::from_millis(50), ..RequestLimits::default() };
        let rest = Rest::new(parts, RestOptions { limits, ..RestOptions::default() });
        let operation =
            Operation { id: "x", tag: "x", summary: "", description: "", parameters: Vec::new(), body: None, answers: Vec::new() };
        let endpoint = Endpoint { method: Method::GET, path: "/x", access: Access::Open, dialect: Dialect::Problem, operation, handler };
        let call = Call {
            method: Method::GET,
            path: "/x".to_owned(),
            parts: Vec::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            principal: None,
            from: None,
            origin: String::new(),
            request_id: "mine".to_owned(),
        };
        handle(&rest, &endpoint, call).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_handler_that_panics_or_never_answers_is_a_failure_of_its_own_request() {
        let panicked = handled(handler!(panics)).await;
        assert_eq!((panicked.status, panicked.code), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
        assert!(!panicked.message.contains("index"), "{}", panicked.message);
        let late = handled(handler!(never_answers)).await;
        assert_eq!((late.status, late.code), (StatusCode::SERVICE_UNAVAILABLE, "timeout"));
    }
}
