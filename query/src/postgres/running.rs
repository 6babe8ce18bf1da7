//! Rows on their way to a client.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::Schema;
use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::encoder::encode_value;
use pgwire::api::portal::Format;
use pgwire::api::results::{DataRowEncoder, FieldInfo};
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
    encoder: DataRowEncoder,
    /// When it is given up, if nobody fetches on.
    pub(super) expires: Instant,
}

struct Batch {
    rows: RecordBatch,
    taken: usize,
}

impl Running {
    /// Rows as they are computed, in formats as clients tell them: none, one for all, or one each.
    pub(super) fn new(rows: Rows, formats: &[i16], expires: Instant) -> Result<Self, Wrong> {
        let fields = fields(&rows.schema(), formats)?;
        let encoder = DataRowEncoder::new(Arc::clone(&fields));
        Ok(Self { rows: Some(rows), fields, formats: formats.to_vec(), batch: None, encoder, expires })
    }

    /// Rows that are there.
    pub(super) fn of(rows: RecordBatch, formats: &[i16]) -> Result<Self, Wrong> {
        let fields = fields(&rows.schema(), formats)?;
        let encoder = DataRowEncoder::new(Arc::clone(&fields));
        let batch = Some(Batch { rows, taken: 0 });
        Ok(Self { rows: None, fields, formats: formats.to_vec(), batch, encoder, expires: Instant::now() })
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
        self.encoder = DataRowEncoder::new(Arc::clone(&self.fields));
        Ok(())
    }

    /// Adds rows, when there is none left.
    pub(super) fn add(&mut self, rows: RecordBatch) {
        self.batch = Some(Batch { rows, taken: 0 });
    }

    /// The next row of those that are there.
    pub(super) fn next_row(&mut self) -> Option<Result<DataRow, Wrong>> {
        let batch = self.batch.as_mut()?;
        if batch.taken == batch.rows.num_rows() {
            self.batch = None;
            return None;
        }
        let row = batch.taken;
        batch.taken += 1;
        let columns = batch.rows.columns().iter().zip(batch.rows.schema_ref().fields()).zip(self.fields.iter());
        for ((column, field), told) in columns {
            // The encoder of others looks at null for some types only.
            let encoded = match column.is_null(row) {
                true => self.encoder.encode_field(&None::<&str>),
                false => encode_value(&mut self.encoder, column, row, field, told),
            };
            if let Err(error) = encoded {
                return Some(Err(of_encoding(error)));
            }
        }
        Some(Ok(self.encoder.take_row()))
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

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, DurationMicrosecondArray, Int64Array, IntervalMonthDayNanoArray, StringArray};

    use super::*;

    fn rows() -> RecordBatch {
        let columns: [(&str, ArrayRef); 4] = [
            ("n", Arc::new(Int64Array::from(vec![Some(1), None]))),
            ("text", Arc::new(StringArray::from(vec![Some("a"), None]))),
            ("interval", Arc::new(IntervalMonthDayNanoArray::from(vec![None, None]))),
            ("duration", Arc::new(DurationMicrosecondArray::from(vec![None, None]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn null_is_null_in_every_type_and_format() {
        for formats in [&[][..], &[1], &[0, 1, 0, 1]] {
            let mut running = Running::of(rows(), formats).unwrap();
            assert_ne!(running.next_row().unwrap().unwrap().data[..4], [0xff; 4]);
            let row = running.next_row().unwrap().unwrap();
            assert_eq!((&row.data[..], row.field_count), (&[0xff; 16][..], 4));
            assert!(running.next_row().is_none());
        }
    }

    #[test]
    fn rows_that_are_left_can_be_written_in_another_format() {
        let mut running = Running::of(rows().project(&[0]).unwrap(), &[]).unwrap();
        running.reformat(&[1]).unwrap();
        assert_eq!(running.next_row().unwrap().unwrap().data[..], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(running.reformat(&[1, 1]).unwrap_err().code, code::PROTOCOL);
    }
}
