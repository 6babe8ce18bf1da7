//! Rows as the body of an answer: at once where they are known, and as they are computed where there can be many.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use warp::Reply;
use warp::http::HeaderValue;
use warp::http::header::{CONTENT_TYPE, HeaderName};
use warp::reply::Response;

use super::answer::Failure;
use super::call::Call;
use super::describe::{one_of, text};
use super::endpoint::{Answer, Parameter};
use crate::error::QueryError;
use crate::format::{Format, RowWriter};
use crate::limits::{HTTP_PIECE_BYTES, HTTP_PIECES_WAITING_MAX, HTTP_STALL_MAX, HTTP_WHOLE_ROWS_MAX};
use crate::sql::Rows;

/// The formats of rows.
pub(super) const FORMATS: [&str; 5] = ["json", "ndjson", "csv", "parquet", "arrow"];

/// What says in which format.
pub(super) fn format_parameter() -> Parameter {
    let meaning = "How the rows are written; what `Accept` prefers if absent. All but json give the rows alone, and the rest in headers.";
    Parameter::query("format", meaning, one_of(&FORMATS), "json")
}

/// What says as of when.
pub(super) fn as_of_parameter() -> Parameter {
    let meaning = "What was known then: the `snapshot` of an earlier answer, or a moment. The same question as of the same snapshot has the \
                   same answer, byte for byte.";
    let schema = json!({
        "type": "string",
        "title": "the snapshot of an answer, or a moment such as 2024-03-01T00:00:00Z",
        "anyOf": [{"format": "date-time"}, {"pattern": "^s1-[A-Za-z0-9_-]{1,200}$"}],
    });
    Parameter::query("as_of", meaning, schema, "2024-03-05T00:00:00Z")
}

/// The answer of rows, for a description: a document in JSON, or the rows alone.
pub(super) fn answer(meaning: &'static str, schema: Value, example: Value) -> Answer {
    let binary = || json!({"type": "string", "format": "binary"});
    Answer::json(200, meaning, schema, example)
        .or("application/x-ndjson", text(), "{\"account_id\":\"123456789012\"}\n")
        .or("text/csv", text(), "account_id\n123456789012\n")
        .or("application/vnd.apache.parquet", binary(), "PAR1")
        .or("application/vnd.apache.arrow.stream", binary(), "ARROW1")
}

/// The format that a request asks for: by its parameter, else by what it accepts most of what there is, else JSON.
pub(super) fn negotiate(call: &Call) -> Result<Format, Failure> {
    if let Some(name) = call.param("format") {
        let wrong = || Failure::field("format", format!("there is no format {name:?}; it is one of {}", FORMATS.join(", ")));
        return if FORMATS.contains(&name) { name.parse().map_err(|_| wrong()) } else { Err(wrong()) };
    }
    let accepted = call.headers.get_all("accept").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut best: (f32, Format) = (0.0, Format::Json);
    for range in accepted {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        let format = match media_type.as_str() {
            "application/json" | "*/*" | "application/*" => Format::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Format::Ndjson,
            "text/csv" => Format::Csv,
            "application/vnd.apache.parquet" => Format::Parquet,
            "application/vnd.apache.arrow.stream" => Format::Arrow,
            _ => continue,
        };
        if weight > best.0 {
            best = (weight, format);
        }
    }
    Ok(best.1)
}

/// What is told beside the rows: in headers, where the format has no place for it.
pub(super) type Told = Vec<(&'static str, Option<String>)>;

/// Rows that are all known. In JSON they are the last field, `rows`, of a document that begins with `head`. Where there are many, they are
/// written as the client takes them.
pub(super) fn whole(format: Format, schema: &Schema, batches: &[RecordBatch], head: &Value, told: Told) -> Result<Response, Failure> {
    if batches.iter().map(RecordBatch::num_rows).sum::<usize>() > HTTP_WHOLE_ROWS_MAX {
        let batches: Vec<RecordBatch> = batches.to_vec();
        let mut batches = batches.into_iter();
        let first = batches.next();
        return sending(format, schema, first, futures::stream::iter(batches.map(Ok)), head, told, ());
    }
    let mut writer = RowWriter::new(format, schema, Vec::new())?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    let rows = writer.finish()?;
    let body = match format {
        Format::Json => {
            let mut body = begin(head, "rows");
            body.extend_from_slice(rows.trim_ascii_end());
            body.push(b'}');
            body
        }
        _ => rows,
    };
    Ok(with_headers(body.into_response(), format, told))
}

/// The first of some rows, and whether there are more.
pub(super) fn first(batches: &[RecordBatch], limit: usize) -> (Vec<RecordBatch>, bool) {
    let mut left = limit;
    let mut page = Vec::new();
    for batch in batches {
        let taken = batch.num_rows().min(left);
        page.push(batch.slice(0, taken));
        left -= taken;
    }
    (page, batches.iter().map(RecordBatch::num_rows).sum::<usize>() > limit)
}

/// A document without its end: what `head` says, and then a field for the rows.
fn begin(head: &Value, field: &str) -> Vec<u8> {
    let mut body = head.to_string().into_bytes();
    body.pop();
    if body.len() > 1 {
        body.push(b',');
    }
    body.extend_from_slice(format!("\"{field}\":").as_bytes());
    body
}

fn with_headers(mut response: Response, format: Format, told: Told) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    for (name, value) in told {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Rows as they are computed. In JSON they are the last field, `rows`, of a document that begins with `head`. What fails before the
/// first rows is a failure; what fails later ends the connection, so that no client takes a part for the whole. `kept` is dropped
/// when the last row was taken, or the client has gone.
pub(super) async fn streamed(
    format: Format,
    mut rows: Rows,
    head: &Value,
    told: Told,
    kept: impl Send + 'static,
) -> Result<Response, Failure> {
    let first = rows.next().await.transpose()?;
    streamed_from(format, first, rows, head, told, kept)
}

/// The same of which the first rows are there already.
pub(super) fn streamed_from(
    format: Format,
    first: Option<RecordBatch>,
    rows: Rows,
    head: &Value,
    told: Told,
    kept: impl Send + 'static,
) -> Result<Response, Failure> {
    let schema = rows.schema();
    sending(format, &schema, first, rows, head, told, kept)
}

fn sending(
    format: Format,
    schema: &Schema,
    first: Option<RecordBatch>,
    rows: impl Batches,
    head: &Value,
    told: Told,
    kept: impl Send + 'static,
) -> Result<Response, Failure> {
    let written = Written::default();
    let writer = RowWriter::new(format, schema, written.clone())?;
    let (pieces, received) = mpsc::channel(HTTP_PIECES_WAITING_MAX);
    let begin = if format == Format::Json { begin(head, "rows") } else { Vec::new() };
    let end: &[u8] = if format == Format::Json { b"}" } else { b"" };
    tokio::spawn(async move {
        let _kept = kept;
        let mut sender = Sender { pieces, written, begin };
        if let Err(stopped) = sender.send_all(writer, first, rows, end).await {
            sender.stop(&stopped);
        }
    });
    Ok(with_headers(warp::reply::stream(pieces_of(received)).into_response(), format, told))
}

/// Rows, batch by batch.
trait Batches: Stream<Item = Result<RecordBatch, QueryError>> + Send + Unpin + 'static {}

impl<S: Stream<Item = Result<RecordBatch, QueryError>> + Send + Unpin + 'static> Batches for S {}

/// A piece of a body. One that ends without [`Piece::End`] is not whole.
enum Piece {
    Bytes(Bytes),
    End,
}

/// Why the rest of an answer is not sent.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("the client has gone, or takes nothing")]
    Client,
    #[error(transparent)]
    Query(#[from] QueryError),
}

struct Sender {
    pieces: mpsc::Sender<Piece>,
    written: Written,
    begin: Vec<u8>,
}

impl Sender {
    async fn send_all(
        &mut self,
        mut writer: RowWriter<Written>,
        first: Option<RecordBatch>,
        mut rows: impl Batches,
        end: &[u8],
    ) -> Result<(), Stopped> {
        let mut next = first;
        while let Some(batch) = next {
            writer.write(&batch)?;
            self.send(HTTP_PIECE_BYTES).await?;
            next = rows.next().await.transpose()?;
        }
        let mut rest = writer.finish()?;
        rest.write_all(end).map_err(QueryError::Output)?;
        self.send(1).await?;
        self.send_piece(Piece::End).await
    }

    /// Sends what was written, if it is at least so many bytes.
    async fn send(&mut self, bytes_min: usize) -> Result<(), Stopped> {
        let written = self.written.take(bytes_min);
        if written.is_empty() {
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.begin);
        bytes.extend_from_slice(&written);
        self.send_piece(Piece::Bytes(bytes.into())).await
    }

    async fn send_piece(&self, piece: Piece) -> Result<(), Stopped> {
        self.pieces.send_timeout(piece, STALL).await.map_err(|_| Stopped::Client)
    }

    fn stop(&self, stopped: &Stopped) {
        match stopped {
            Stopped::Client => tracing::debug!("an answer is not taken to its end"),
            Stopped::Query(error) => tracing::error!(%error, "an answer ends before it is whole"),
        }
    }
}

/// How long a client may take nothing before its question is given up.
const STALL: Duration = HTTP_STALL_MAX;

/// The bytes of a body, and an error if it is not whole.
fn pieces_of(received: mpsc::Receiver<Piece>) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Sync {
    futures::stream::unfold(Some(received), |received| async {
        let mut received = received?;
        match received.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(bytes), Some(received))),
            Some(Piece::End) => None,
            None => Some((Err(io::Error::other("the answer could not be completed")), None)),
        }
    })
}

/// What a writer of rows has written and nobody has sent yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// What was written, if it is at least so many bytes, else nothing.
    fn take(&self, bytes_min: usize) -> Vec<u8> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() < bytes_min { Vec::new() } else { std::mem::take(&mut written) }
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(sent: Vec<Piece>) -> Vec<Result<Bytes, String>> {
        let (sender, receiver) = mpsc::channel(sent.len().max(1));
        for piece in sent {
            sender.try_send(piece).ok().unwrap();
        }
        drop(sender);
        pieces_of(receiver).map(|piece| piece.map_err(|error| error.to_string())).collect().await
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_an_error_and_never_a_short_answer() {
        let bytes = || Piece::Bytes(Bytes::from_static(b"rows"));
        assert_eq!(received(vec![bytes(), Piece::End]).await, [Ok(Bytes::from_static(b"rows"))]);
        assert_eq!(received(vec![Piece::End]).await, []);
        for broken in [vec![bytes()], Vec::new()] {
            assert!(received(broken).await.last().is_some_and(Result::is_err));
        }
    }

    fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
        let column = arrow::array::Int64Array::from_iter_values(rows);
        RecordBatch::try_from_iter([("n", Arc::new(column) as arrow::array::ArrayRef)]).unwrap()
    }

    #[tokio::test]
    async fn many_rows_are_the_same_document_as_few() {
        use http_body_util::BodyExt;
        let most = i64::try_from(HTTP_WHOLE_ROWS_MAX).unwrap();
        for (format, rows) in [(Format::Json, most), (Format::Json, most + 1), (Format::Ndjson, most), (Format::Ndjson, most + 1)] {
            let batches = [batch(0..3), batch(3..most - 1), batch(most - 1..rows)];
            let head = json!({"report": "usage"});
            let response = whole(format, &batches[0].schema(), &batches, &head, vec![("x-snapshot", Some("s".to_owned()))]).unwrap();
            let header = |name: &str| response.headers()[name].to_str().unwrap();
            assert_eq!((header("content-type"), header("x-snapshot")), (format.media_type(), "s"));
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let expected: Vec<Value> = (0..rows).map(|n| json!({"n": n})).collect();
            if format == Format::Json {
                let body: Value = serde_json::from_slice(&body).unwrap();
                assert!(body == json!({"report": "usage", "rows": expected}), "{rows}");
            } else {
                let lines: Vec<Value> = body
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .map(|line| serde_json::from_slice(line).unwrap())
                    .collect();
                assert!(lines == expected, "{rows}");
            }
        }
    }

    #[test]
    fn the_first_rows_of_several_batches_are_a_page() {
        let batches = [batch(0..2), batch(2..5)];
        let rows = |limit| {
            let (page, more) = first(&batches, limit);
            (page.iter().map(RecordBatch::num_rows).sum::<usize>(), more)
        };
        assert_eq!([rows(1), rows(2), rows(4), rows(5), rows(6)], [(1, true), (2, true), (4, true), (5, false), (5, false)]);
    }
}
