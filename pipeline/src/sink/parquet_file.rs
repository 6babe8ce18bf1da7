//! How rows become a Parquet file.

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

/// The name in the files of who wrote them. Fixed, so that the same rows are the same bytes.
const CREATED_BY: &str = "cloudigrade";
/// A fair trade of size for speed: tables are written often.
const ZSTD_LEVEL: i32 = 1;
/// Files of so many rows are compressed by what needs no preparation: to prepare zstd for each column takes longer than to compress it.
const SNAPPY_ROWS_MAX: usize = 4096;
/// Times of which nearly every one is another. As differences, which nothing compresses further, they are smaller than in a dictionary.
const TIMES_OF_EVENTS: [&str; 5] = ["started_at", "ended_at", "piece_start", "piece_end", "occurred_at"];
/// What reports read of every row, besides times. In dictionaries and runs it is a small part of a file, and decompressing it was a large part
/// of a report.
const READ_BY_REPORTS: [&str; 4] = ["account_id", "region", "vcpu", "memory_mib"];

/// The file of some rows.
///
/// # Errors
/// What Parquet says of rows that it cannot hold.
pub fn parquet_file(rows: &RecordBatch) -> Result<Vec<u8>, ParquetError> {
    let compression = match rows.num_rows() <= SNAPPY_ROWS_MAX {
        true => Compression::SNAPPY,
        false => Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?),
    };
    let mut properties = WriterProperties::builder().set_created_by(CREATED_BY.to_owned()).set_compression(compression);
    for column in TIMES_OF_EVENTS.map(ColumnPath::from) {
        properties =
            properties.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    for column in TIMES_OF_EVENTS.into_iter().chain(READ_BY_REPORTS).map(ColumnPath::from) {
        properties = properties.set_column_compression(column, Compression::UNCOMPRESSED);
    }
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties.build()))?;
    writer.write(rows)?;
    writer.close()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, new_null_array};
    use bytes::Bytes;
    use cloudigrade_schemas::table::{INSTANCE_INTERVALS, POWER_EVENTS};
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::sink::file_schema;

    const ROWS: usize = SNAPPY_ROWS_MAX + 1;

    #[test]
    fn what_reports_read_of_every_row_is_not_compressed_and_times_of_events_are_differences() {
        let mut found = Vec::new();
        for table in [INSTANCE_INTERVALS, POWER_EVENTS] {
            let fields = file_schema(&table).fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>();
            let columns: Vec<ArrayRef> = fields.iter().map(|field| new_null_array(field.data_type(), ROWS)).collect();
            let rows = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap();
            let file = SerializedFileReader::new(Bytes::from(parquet_file(&rows).unwrap())).unwrap();
            for column in file.metadata().row_group(0).columns() {
                let name = column.column_path().string();
                let (is_time, is_read) = (TIMES_OF_EVENTS.contains(&name.as_str()), READ_BY_REPORTS.contains(&name.as_str()));
                let has = |encoding| column.encodings().any(|one| one == encoding);
                assert_eq!(column.compression() == Compression::UNCOMPRESSED, is_time || is_read, "{name}");
                assert_eq!(has(Encoding::DELTA_BINARY_PACKED), is_time, "{name}");
                found.push(name);
            }
        }
        assert!(TIMES_OF_EVENTS.iter().chain(&READ_BY_REPORTS).all(|name| found.iter().any(|one| one == name)));
    }
}
