//! Copy on write: a file's rows with some instances' rows replaced, as one or more new files.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::{SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::SinkError;
use super::columns::file_schema;
use super::group::{Change, Kind, RowKey};
use super::parquet_file::parquet_file;
use super::slice::Slice;
use crate::limits::FILE_ROWS_MAX;

/// A new file.
pub struct NewFile {
    /// The slice of its cell that it holds.
    pub slice: Slice,
    /// How many rows.
    pub rows: usize,
    /// Its content.
    pub bytes: Bytes,
}

/// The files that take the place of one; `None` when nothing changes.
///
/// # Errors
/// [`SinkError::Damaged`] for a file that cannot be read.
pub fn rewrite(kind: Kind, slice: Slice, existing: Option<Bytes>, changes: &[&Change<'_>]) -> Result<Option<Vec<NewFile>>, SinkError> {
    let new = kind.rows(changes).map_err(SinkError::arrow(kind.name()))?;
    let mut parts = Vec::new();
    let mut dropped = 0;
    if let Some(existing) = existing {
        let replaced: HashSet<&RowKey<'_>> = changes.iter().map(|change| &change.key).collect();
        for batch in read(kind, existing)? {
            let keep = BooleanArray::from_iter(keys_of(kind, &batch)?.map(|key| Some(!replaced.contains(&key))));
            dropped += keep.len() - keep.true_count();
            parts.push(filter_record_batch(&batch, &keep).map_err(SinkError::arrow(kind.name()))?);
        }
    }
    if dropped == 0 && new.num_rows() == 0 {
        return Ok(None);
    }
    parts.push(new);
    // A file is large: each form of it goes as soon as the next is there.
    let all = concat_batches(&file_schema(&kind.table()), &parts).map_err(SinkError::arrow(kind.name()))?;
    drop(parts);
    let sorted = sort(kind, &all).map_err(SinkError::arrow(kind.name()))?;
    drop(all);
    let mut files = Vec::new();
    write_divided(kind, slice, sorted, &mut files)?;
    Ok(Some(files))
}

fn read(kind: Kind, bytes: Bytes) -> Result<Vec<RecordBatch>, SinkError> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build()).map_err(SinkError::parquet(kind.name()))?;
    let schema = file_schema(&kind.table());
    let current = |batch: Result<RecordBatch, _>| with_new_columns(&schema, &batch?);
    reader.map(current).collect::<Result<_, _>>().map_err(SinkError::arrow(kind.name()))
}

/// Rows of a file that an earlier version wrote: columns that it did not know are null. Fails for those that cannot be.
fn with_new_columns(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), batch.num_rows()),
    };
    RecordBatch::try_new(Arc::clone(schema), schema.fields().iter().map(column).collect())
}

fn text_column<'a>(kind: Kind, batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, SinkError> {
    let column = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| SinkError::Damaged { table: kind.name(), cause: format!("a file has no text column {name}") })
}

fn keys_of(kind: Kind, batch: &RecordBatch) -> Result<impl Iterator<Item = RowKey<'_>>, SinkError> {
    let columns = kind.key_columns().iter().map(|name| text_column(kind, batch, name)).collect::<Result<Vec<_>, _>>()?;
    let part = move |row, i: usize| columns.get(i).map_or(Cow::Borrowed(""), |column| Cow::Borrowed(column.value(row)));
    Ok((0..batch.num_rows()).map(move |row| [part(row, 0), part(row, 1), part(row, 2)]))
}

fn sort(kind: Kind, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let by = kind.sort_columns().iter().filter_map(|name| batch.column_by_name(name));
    let by: Vec<SortColumn> = by.map(|values| SortColumn { values: values.clone(), options: None }).collect();
    take_record_batch(batch, &lexsort_to_indices(&by, None)?)
}

/// Writes sorted rows as one file, or as one for each half of the slice when they are too many.
fn write_divided(kind: Kind, slice: Slice, rows: RecordBatch, files: &mut Vec<NewFile>) -> Result<(), SinkError> {
    if rows.num_rows() == 0 {
        return Ok(());
    }
    let halves = slice.halves().filter(|_| rows.num_rows() > FILE_ROWS_MAX);
    let Some(halves) = halves else {
        let bytes = parquet_file(&rows).map_err(SinkError::parquet(kind.name()))?;
        files.push(NewFile { slice, rows: rows.num_rows(), bytes: bytes.into() });
        return Ok(());
    };
    let hashes: Vec<u64> = keys_of(kind, &rows)?.map(|key| Slice::hash(&key)).collect();
    for half in halves {
        let inside = BooleanArray::from_iter(hashes.iter().map(|hash| Some(half.holds(*hash))));
        let rows = filter_record_batch(&rows, &inside).map_err(SinkError::arrow(kind.name()))?;
        write_divided(kind, half, rows, files)?;
    }
    Ok(())
}
