//! Rows as COPY writes them: lines of text or of CSV.

use bytes::{Buf, BytesMut};
use pgwire::api::results::FieldInfo;
use pgwire::messages::data::DataRow;

use super::statement::CopyFormat;

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
