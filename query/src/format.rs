//! Results as people and programs read them.
//!
//! Everywhere, times are written as `2023-07-10T12:03:24Z`, integers as numbers, and null as null (in CSV and tables: as nothing).

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, LineDelimited};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::presets::{ASCII_FULL_CONDENSED, UTF8_FULL_CONDENSED};
use comfy_table::{Cell, CellAlignment};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::QueryError;
use crate::limits::RESULT_ROW_GROUP_ROWS;

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people, written when all rows are known.
    Table(TableStyle),
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// One Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

/// What the lines of a table are drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableStyle {
    /// Box-drawing characters.
    Unicode,
    /// Plain ASCII.
    Ascii,
}

impl Format {
    /// The names of the formats.
    pub const NAMES: [&str; 6] = ["table", "json", "ndjson", "csv", "parquet", "arrow"];

    /// The media type of what is written.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Table(_) => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// A name that is not one of [`Format::NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no format {0:?}; it is one of table, json, ndjson, csv, parquet and arrow")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "table" => Ok(Self::Table(TableStyle::Unicode)),
            "json" => Ok(Self::Json),
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            "arrow" => Ok(Self::Arrow),
            _ => Err(UnknownFormat(name.to_owned())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table(_) => "table",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        })
    }
}

/// Writes the rows of one result. Without [`RowWriter::finish`] the output is not complete.
pub struct RowWriter<W: Write + Send> {
    schema: SchemaRef,
    sink: Sink<Witness<W>>,
    failed: Failed,
    rows: usize,
}

enum Sink<W: Write + Send> {
    Table(W, Box<comfy_table::Table>),
    Json(arrow::json::Writer<W, JsonArray>),
    Ndjson(arrow::json::Writer<W, LineDelimited>),
    Csv(Box<arrow::csv::Writer<W>>),
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<StreamWriter<W>>),
}

impl<W: Write + Send> RowWriter<W> {
    /// Begins a result with the given columns.
    pub fn new(format: Format, schema: &Schema, out: W) -> Result<Self, QueryError> {
        let schema = written_schema(format, schema);
        let failed = Failed::default();
        let sink = Sink::begin(format, &schema, Witness { out, failed: Arc::clone(&failed) }).map_err(|error| told(&failed, error))?;
        Ok(Self { schema, sink, failed, rows: 0 })
    }

    /// Writes a batch of rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        self.sink.write(&self.schema, batch).map_err(|error| told(&self.failed, error))?;
        self.rows += batch.num_rows();
        Ok(())
    }

    /// How many rows were written so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Completes the result and flushes it.
    pub fn finish(self) -> Result<W, QueryError> {
        let finished = self.sink.finish(self.rows).map_err(|error| told(&self.failed, error))?;
        Ok(finished.out)
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The first error of an output. The formats' writers hand on errors of the output in ways of their own, some as text only.
type Failed = Arc<Mutex<Option<io::Error>>>;

/// An output that keeps its first error.
struct Witness<W> {
    out: W,
    failed: Failed,
}

impl<W> Witness<W> {
    fn keep<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let told = io::Error::from(error.kind());
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            told
        })
    }
}

impl<W: Write> Write for Witness<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.keep(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.keep(flushed)
    }
}

/// What a writer's error is about: the output, if that failed.
fn told(failed: &Failed, error: impl fmt::Display) -> QueryError {
    match failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => QueryError::Output(error),
        None => QueryError::Execution { message: error.to_string() },
    }
}

impl<W: Write + Send> Sink<W> {
    fn begin(format: Format, schema: &SchemaRef, out: W) -> Result<Self, BoxError> {
        Ok(match format {
            Format::Table(style) => Self::Table(out, Box::new(empty_table(style, schema))),
            Format::Json => Self::Json(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(out)),
            Format::Ndjson => Self::Ndjson(arrow::json::WriterBuilder::new().with_explicit_nulls(true).build(out)),
            Format::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out);
                // A result without rows has its header too.
                writer.write(&RecordBatch::new_empty(SchemaRef::clone(schema)))?;
                Self::Csv(Box::new(writer))
            }
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(RESULT_ROW_GROUP_ROWS));
                Self::Parquet(Box::new(ArrowWriter::try_new(out, SchemaRef::clone(schema), Some(properties.build()))?))
            }
            Format::Arrow => Self::Arrow(Box::new(StreamWriter::try_new(out, schema)?)),
        })
    }

    fn write(&mut self, schema: &SchemaRef, batch: &RecordBatch) -> Result<(), BoxError> {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| written_column(column, field)).collect::<Result<_, _>>()?;
        let batch = RecordBatch::try_new(SchemaRef::clone(schema), columns)?;
        match self {
            Self::Table(_, table) => add_rows(table, &batch)?,
            Self::Json(writer) => writer.write(&batch)?,
            Self::Ndjson(writer) => writer.write(&batch)?,
            Self::Csv(writer) => writer.write(&batch)?,
            Self::Parquet(writer) => writer.write(&batch)?,
            Self::Arrow(writer) => writer.write(&batch)?,
        }
        Ok(())
    }

    fn finish(self, rows: usize) -> Result<W, BoxError> {
        let mut out = match self {
            Self::Table(mut out, table) => {
                let plural = if rows == 1 { "" } else { "s" };
                writeln!(out, "{}\n{rows} row{plural}", table.trim_fmt())?;
                out
            }
            Self::Json(mut writer) => {
                writer.finish()?;
                let mut out = writer.into_inner();
                out.write_all(b"\n")?;
                out
            }
            Self::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner()
            }
            Self::Csv(writer) => writer.into_inner(),
            Self::Parquet(writer) => writer.into_inner()?,
            Self::Arrow(writer) => writer.into_inner()?,
        };
        out.flush()?;
        Ok(out)
    }
}

/// The columns as they are written: string views as plain strings, which every reader knows, and in CSV nested values as text.
fn written_schema(format: Format, schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let written = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            nested if nested.is_nested() && format == Format::Csv => DataType::Utf8,
            other => other.clone(),
        };
        Field::new(field.name(), written, field.is_nullable())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn written_column(column: &ArrayRef, field: &Field) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    if !column.data_type().is_nested() {
        return cast(column, field.data_type());
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let texts = (0..column.len()).map(|row| column.is_valid(row).then(|| formatter.value(row).to_string()));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

fn empty_table(style: TableStyle, schema: &Schema) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.force_no_tty().load_style(match style {
        TableStyle::Unicode => UTF8_FULL_CONDENSED,
        TableStyle::Ascii => ASCII_FULL_CONDENSED,
    });
    table.set_header(schema.fields().iter().map(|field| Cell::new(printable(field.name()))));
    for (column, field) in table.column_iter_mut().zip(schema.fields()) {
        if field.data_type().is_numeric() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn add_rows(table: &mut comfy_table::Table, batch: &RecordBatch) -> Result<(), ArrowError> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options)).collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        table.add_row(columns.iter().map(|column| Cell::new(printable(&column.value(row).to_string()))));
    }
    Ok(())
}

/// A text as a terminal may see it: what comes from a log must not move its cursor.
pub fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests;
