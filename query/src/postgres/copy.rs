//! COPY to the client: what is copied, and rows as it writes them, lines of text or of CSV.

use bytes::{Buf, BytesMut};
use datafusion::sql::sqlparser::ast::{CopyOption, Ident, ObjectName, Query, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use pgwire::api::results::FieldInfo;
use pgwire::messages::data::DataRow;

use super::statement::not_supported;
use super::wrong::Wrong;

/// How COPY writes rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CopyFormat {
    pub(super) is_csv: bool,
    pub(super) has_header: bool,
    pub(super) delimiter: char,
    pub(super) null: String,
}

impl CopyFormat {
    /// The names of the columns as a line, if one is asked for.
    pub(super) fn header(&self, fields: &[FieldInfo]) -> Option<Vec<u8>> {
        self.has_header.then(|| self.line(fields.iter().map(|field| Some(field.name().as_bytes().to_vec()))))
    }

    /// A row whose values are in the text format.
    pub(super) fn row(&self, row: DataRow) -> Vec<u8> {
        let mut data: BytesMut = row.data;
        self.line((0..row.field_count).map(|_| {
            let length = usize::try_from(data.get_i32()).ok()?;
            Some(data.split_to(length).to_vec())
        }))
    }

    fn line(&self, values: impl Iterator<Item = Option<Vec<u8>>>) -> Vec<u8> {
        let mut line = Vec::new();
        let mut delimiter = [0; 4];
        let delimiter = self.delimiter.encode_utf8(&mut delimiter).as_bytes();
        for (at, value) in values.enumerate() {
            if at > 0 {
                line.extend_from_slice(delimiter);
            }
            match value {
                None => line.extend_from_slice(self.null.as_bytes()),
                Some(value) if self.is_csv => self.quoted(&mut line, &value),
                Some(value) => self.escaped(&mut line, &value),
            }
        }
        line.push(b'\n');
        line
    }

    fn quoted(&self, line: &mut Vec<u8>, value: &[u8]) {
        let is_delimiter = |byte: &u8| char::from(*byte) == self.delimiter;
        let needs =
            value.iter().any(|byte| b"\"\r\n".contains(byte) || is_delimiter(byte)) || value == self.null.as_bytes() || value == b"\\.";
        if !needs {
            line.extend_from_slice(value);
            return;
        }
        line.push(b'"');
        for byte in value {
            if *byte == b'"' {
                line.push(b'"');
            }
            line.push(*byte);
        }
        line.push(b'"');
    }

    fn escaped(&self, line: &mut Vec<u8>, value: &[u8]) {
        for byte in value {
            let letter = match byte {
                b'\\' => b'\\',
                b'\n' => b'n',
                b'\r' => b'r',
                b'\t' => b't',
                byte if char::from(*byte) == self.delimiter => *byte,
                _ => {
                    line.push(*byte);
                    continue;
                }
            };
            line.extend_from_slice(&[b'\\', letter]);
        }
    }
}

/// `SELECT` of a table's columns.
pub(super) fn selection(table: &ObjectName, columns: &[Ident]) -> Result<Box<Query>, Wrong> {
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") };
    let sql = format!("SELECT {columns} FROM {table}");
    match Parser::parse_sql(&PostgreSqlDialect {}, &sql).ok().and_then(|mut statements| statements.pop()) {
        Some(Statement::Query(query)) => Ok(query),
        _ => Err(not_supported("COPY of this")),
    }
}

/// How COPY is asked to write.
pub(super) fn copy_format(options: Vec<CopyOption>) -> Result<CopyFormat, Wrong> {
    let mut format = CopyFormat { is_csv: false, has_header: false, delimiter: '\0', null: String::new() };
    let mut null = None;
    for option in options {
        match option {
            CopyOption::Format(name) if name.value.eq_ignore_ascii_case("csv") => format.is_csv = true,
            CopyOption::Format(name) if name.value.eq_ignore_ascii_case("text") => format.is_csv = false,
            CopyOption::Header(header) => format.has_header = header,
            CopyOption::Delimiter(delimiter) if delimiter.is_ascii() && !"\r\n\"\\".contains(delimiter) => format.delimiter = delimiter,
            CopyOption::Null(text) if !text.contains(['\r', '\n']) => null = Some(text),
            CopyOption::Encoding(name) if name.eq_ignore_ascii_case("utf8") || name.eq_ignore_ascii_case("utf-8") => {}
            other => return Err(not_supported(format!("COPY with {other}"))),
        }
    }
    format.null = null.unwrap_or_else(|| if format.is_csv { String::new() } else { "\\N".to_owned() });
    if format.delimiter == '\0' {
        format.delimiter = if format.is_csv { ',' } else { '\t' };
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: &CopyFormat, values: &[Option<&str>]) -> String {
        String::from_utf8(format.line(values.iter().map(|value| value.map(|value| value.as_bytes().to_vec())))).unwrap()
    }

    #[test]
    fn csv_is_quoted_where_it_must_be() {
        let csv = CopyFormat { is_csv: true, has_header: true, delimiter: ',', null: String::new() };
        assert_eq!(
            line(&csv, &[Some("a"), None, Some(""), Some("b,c"), Some("d\"e"), Some("f\ng")]),
            "a,,\"\",\"b,c\",\"d\"\"e\",\"f\ng\"\n"
        );
    }

    #[test]
    fn text_is_escaped_where_it_must_be() {
        let text = CopyFormat { is_csv: false, has_header: false, delimiter: '\t', null: "\\N".into() };
        assert_eq!(line(&text, &[Some("a\tb"), None, Some("c\\d\n")]), "a\\tb\t\\N\tc\\\\d\\n\n");
    }
}
