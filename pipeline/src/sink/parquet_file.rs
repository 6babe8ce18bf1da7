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
