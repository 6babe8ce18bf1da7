//! Answers are compressed where the client takes it and it is worth it.

use async_compression::tokio::bufread::GzipEncoder;
use futures::TryStreamExt;
use http_body_util::BodyExt;
use tokio_util::io::{ReaderStream, StreamReader};
use warp::Reply;
use warp::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use warp::http::{HeaderMap, HeaderValue};
use warp::reply::Response;

use crate::limits::{HTTP_COMPRESS_BYTES_MIN, HTTP_COMPRESS_PIECE_BYTES};

/// What shrinks: text. Parquet is compressed already, and Arrow is sent to be read at once.
const TEXTS: [&str; 6] =
    ["application/json", "application/problem+json", "application/x-ndjson", "text/csv", "text/plain", "application/openapi+json"];

/// Compresses an answer, if that helps.
pub(super) fn compress(request: &HeaderMap, response: &mut Response) {
    if !is_text(response.headers()) {
        return;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    let known = http_body::Body::size_hint(response.body()).exact();
    if known.is_some_and(|bytes| bytes < HTTP_COMPRESS_BYTES_MIN) || !takes_gzip(request) {
        return;
    }
    let plain = std::mem::take(response.body_mut()).into_data_stream().map_err(std::io::Error::other);
    let packed = GzipEncoder::new(StreamReader::new(plain));
    let packed = ReaderStream::with_capacity(packed, HTTP_COMPRESS_PIECE_BYTES);
    *response.body_mut() = warp::reply::stream(packed).into_response().into_body();
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

fn is_text(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    !headers.contains_key(CONTENT_ENCODING) && media_type.is_some_and(|media_type| TEXTS.contains(&media_type.trim()))
}

/// Whether gzip is among what the client takes, and not with the weight 0.
fn takes_gzip(request: &HeaderMap) -> bool {
    let codings = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut any = None;
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
        let taken = weight.is_some_and(|weight| weight > 0.0);
        match name {
            _ if name.eq_ignore_ascii_case("gzip") => return taken,
            "*" => any = Some(taken),
            _ => {}
        }
    }
    any.unwrap_or(false)
}
