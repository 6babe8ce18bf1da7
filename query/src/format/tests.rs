//! What is written, read again.

use arrow::array::{BooleanArray, Int64Array, StringViewArray, TimestampMicrosecondArray};
use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

fn batch() -> RecordBatch {
    RecordBatch::try_from_iter([
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_688_990_604_000_000), None]).with_timezone("UTC")) as ArrayRef),
        ("account_id", Arc::new(StringViewArray::from(vec![Some("000000000012"), Some("a,\"b\u{1b}[2J")]))),
        ("seconds", Arc::new(Int64Array::from(vec![None, Some(9_007_199_254_740_993)]))),
        ("provisional", Arc::new(BooleanArray::from(vec![true, false]))),
    ])
    .unwrap()
}

fn write(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = RowWriter::new(format, &batch().schema(), Vec::new()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    assert_eq!(writer.rows(), batches.iter().map(RecordBatch::num_rows).sum::<usize>());
    writer.finish().unwrap()
}

fn text(format: Format, batches: &[RecordBatch]) -> String {
    String::from_utf8(write(format, batches)).unwrap()
}

#[test]
fn json_has_whole_numbers_zulu_times_and_nulls() {
    let first = r#"{"at":"2023-07-10T12:03:24Z","account_id":"000000000012","seconds":null,"provisional":true}"#;
    let second = r#"{"at":null,"account_id":"a,\"b\u001b[2J","seconds":9007199254740993,"provisional":false}"#;
    assert_eq!(text(Format::Json, &[batch()]), format!("[{first},{second}]\n"));
    assert_eq!(text(Format::Ndjson, &[batch()]), format!("{first}\n{second}\n"));
    assert_eq!(text(Format::Json, &[batch(), batch()]), format!("[{first},{second},{first},{second}]\n"));
}

#[test]
fn a_result_without_rows_is_complete_in_every_format() {
    assert_eq!(text(Format::Json, &[]), "[]\n");
    assert_eq!(text(Format::Ndjson, &[]), "");
    assert_eq!(text(Format::Csv, &[]), "at,account_id,seconds,provisional\n");
    assert!(text(Format::Table(TableStyle::Ascii), &[]).ends_with("0 rows\n"));
    assert_eq!(StreamReader::try_new(write(Format::Arrow, &[]).as_slice(), None).unwrap().count(), 0);
    assert!(ParquetRecordBatchReaderBuilder::try_new(Bytes::from(write(Format::Parquet, &[]))).is_ok());
}

#[test]
fn csv_leaves_nulls_empty_and_quotes() {
    let rows = "2023-07-10T12:03:24Z,000000000012,,true\n,\"a,\"\"b\u{1b}[2J\",9007199254740993,false\n";
    assert_eq!(text(Format::Csv, &[batch()]), format!("at,account_id,seconds,provisional\n{rows}"));
}

#[test]
fn csv_writes_nested_values_as_text() {
    let lists = arrow::array::ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([Some(vec![Some(1), Some(2)]), None]);
    let batch = RecordBatch::try_from_iter([("l", Arc::new(lists) as ArrayRef)]).unwrap();
    let mut writer = RowWriter::new(Format::Csv, &batch.schema(), Vec::new()).unwrap();
    writer.write(&batch).unwrap();
    assert_eq!(String::from_utf8(writer.finish().unwrap()).unwrap(), "l\n\"[1, 2]\"\n\"\"\n");
}

#[test]
fn a_table_is_aligned_counted_and_safe_for_a_terminal() {
    let table = text(Format::Table(TableStyle::Ascii), &[batch()]);
    assert!(table.is_ascii());
    assert!(table.contains("|          seconds |"), "{table}");
    assert!(table.contains("| 9007199254740993 |") && table.contains("\\u{1b}[2J") && table.ends_with("\n2 rows\n"), "{table}");
    assert!(!text(Format::Table(TableStyle::Unicode), &[batch()]).is_ascii());
}

#[test]
fn parquet_and_arrow_keep_every_value_and_type() {
    let strings = cast(batch().column(1), &DataType::Utf8).unwrap();
    let parquet = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(write(Format::Parquet, &[batch()]))).unwrap();
    let arrow = StreamReader::try_new(write(Format::Arrow, &[batch()]).as_slice(), None).unwrap().next().unwrap().unwrap();
    for read in [parquet.build().unwrap().next().unwrap().unwrap(), arrow] {
        for column in [0, 2, 3] {
            assert_eq!(read.column(column), batch().column(column));
        }
        assert_eq!(read.column(1), &strings);
    }
}

#[test]
fn formats_are_known_by_name() {
    for name in Format::NAMES {
        assert_eq!(name.parse::<Format>().map(|format| format.to_string()), Ok(name.to_owned()));
    }
    assert!("xml".parse::<Format>().is_err());
}
