//! Rows on their way to a client.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::row_encoder::RowEncoder;
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::data::{DataRow, RowDescription};
use tokio::time::Instant;

use super::wrong::{Wrong, code};
use crate::error::QueryError;
use crate::sql::Rows;

/// The rows of a question that is being answered.
pub(super) struct Running {
    /// Absent where all rows are in `batch`.
    pub(super) rows: Option<Rows>,
    fields: Arc<Vec<FieldInfo>>,
    formats: Vec<i16>,
    batch: Option<Batch>,
    /// When it is given up, if nobody fetches on.
    pub(super) expires: Instant,
}

struct Batch {
    rows: RecordBatch,
    taken: usize,
    encoder: RowEncoder,
}

impl Running {
    /// Rows as they are computed, in formats as clients tell them: none, one for all, or one each.
    pub(super) fn new(rows: Rows, formats: &[i16], expires: Instant) -> Result<Self, Wrong> {
        let fields = fields(&rows.schema(), formats)?;
        Ok(Self { rows: Some(rows), fields, formats: formats.to_vec(), batch: None, expires })
    }

    /// Rows that are there.
    pub(super) fn of(rows: RecordBatch, formats: &[i16]) -> Result<Self, Wrong> {
        let fields = fields(&rows.schema(), formats)?;
        let mut running = Self { rows: None, fields, formats: formats.to_vec(), batch: None, expires: Instant::now() };
        running.add(rows);
        Ok(running)
    }

    /// What is told of the columns.
    pub(super) fn description(&self) -> RowDescription {
        description(&self.fields)
    }

    /// The columns.
    pub(super) fn fields(&self) -> &[FieldInfo] {
        &self.fields
    }

    /// Has the rows that are left written in other formats.
    pub(super) fn reformat(&mut self, formats: &[i16]) -> Result<(), Wrong> {
        if self.formats == formats {
            return Ok(());
        }
        self.fields = fields_of(&self.fields, formats)?;
        self.formats = formats.to_vec();
        if let Some(Batch { rows, taken, .. }) = self.batch.take() {
            self.add(rows.slice(taken, rows.num_rows() - taken));
        }
        Ok(())
    }

    /// Adds rows, when there is none left.
    pub(super) fn add(&mut self, rows: RecordBatch) {
        let encoder = RowEncoder::new(rows.clone(), Arc::clone(&self.fields));
        self.batch = Some(Batch { rows, taken: 0, encoder });
    }

    /// The next row of those that are there.
    pub(super) fn next_row(&mut self) -> Option<Result<DataRow, Wrong>> {
        let batch = self.batch.as_mut()?;
        match batch.encoder.next_row() {
            Some(row) => {
                batch.taken += 1;
                Some(row.map_err(of_encoding))
            }
            None => {
                self.batch = None;
                None
            }
        }
    }
}

/// The columns of rows as the protocol tells them.
pub(super) fn fields(schema: &Schema, formats: &[i16]) -> Result<Arc<Vec<FieldInfo>>, Wrong> {
    let format = format(formats, schema.fields().len())?;
    Ok(Arc::new(arrow_schema_to_pg_fields(schema, &format, None).map_err(of_encoding)?))
}

fn fields_of(fields: &[FieldInfo], formats: &[i16]) -> Result<Arc<Vec<FieldInfo>>, Wrong> {
    let format = format(formats, fields.len())?;
    let field = |(at, field): (usize, &FieldInfo)| {
        FieldInfo::new(field.name().to_owned(), field.table_id(), field.column_id(), field.datatype().clone(), format.format_for(at))
    };
    Ok(Arc::new(fields.iter().enumerate().map(field).collect()))
}

pub(super) fn description(fields: &[FieldInfo]) -> RowDescription {
    RowDescription::new(fields.iter().map(Into::into).collect())
}

fn format(formats: &[i16], columns: usize) -> Result<Format, Wrong> {
    match formats {
        [] => Ok(Format::UnifiedText),
        [one] => Ok(Format::from(*one)),
        each if each.len() == columns => Ok(Format::Individual(each.to_vec())),
        each => Err(Wrong::new(code::PROTOCOL, format!("there are {columns} columns, and formats of {}", each.len()))),
    }
}

/// A value that has no form in the protocol.
fn of_encoding(error: PgWireError) -> Wrong {
    match error {
        PgWireError::UserError(info) => {
            let ErrorInfo { message, .. } = *info;
            Wrong::new(code::NOT_SUPPORTED, format!("{message}; cast it to text"))
        }
        other => Wrong::from(QueryError::Execution { message: other.to_string() }),
    }
}
