//! `/etc/rhsm/syspurpose/syspurpose.json`: what its owner says that a system is for.

use serde_json::Value;

use super::{Unreadable, shown};
use crate::error::ReadError;
use crate::limits::SYSPURPOSE_BYTES_MAX;
use crate::tree::Files;

const PATH: &[u8] = b"/etc/rhsm/syspurpose/syspurpose.json";

/// The file's text, and why there is none where there is a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Syspurpose {
    /// The text, with what is not UTF-8 replaced.
    pub contents: Option<String>,
    /// Why it is absent.
    pub status: Option<String>,
}

/// Reads the file.
pub fn read(files: &dyn Files, unread: &mut Unreadable) -> Syspurpose {
    match files.read(PATH, SYSPURPOSE_BYTES_MAX) {
        Ok(content) => Syspurpose { contents: Some(shown(&content)), status: None },
        Err(ReadError::NotFound { .. }) => Syspurpose::default(),
        Err(ReadError::Limit { .. }) => {
            Syspurpose { contents: None, status: Some("Skipping system purpose file, file is larger than 1024 bytes".to_owned()) }
        }
        Err(error) => {
            unread.note(PATH, &error);
            Syspurpose { contents: None, status: Some(format!("Error reading the system purpose file: {error}")) }
        }
    }
}

/// The object that the text holds; `None` for an empty text and for one that is no JSON object, which is no error.
pub fn parse(contents: &str) -> Option<Value> {
    serde_json::from_str(contents).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryFiles;
    use super::*;

    fn of(content: &[u8]) -> Syspurpose {
        let path = String::from_utf8(PATH.to_vec()).unwrap();
        read(&MemoryFiles::default().with(&path, content), &mut Unreadable::default())
    }

    #[test]
    fn up_to_1024_bytes_are_read_and_more_are_skipped() {
        assert_eq!(of(&[b' '; 1024]).contents.map(|text| text.len()), Some(1024));
        let larger = of(&[b' '; 1025]);
        assert_eq!(larger.status.as_deref(), Some("Skipping system purpose file, file is larger than 1024 bytes"));
        assert_eq!(larger.contents, None);
    }

    #[test]
    fn only_an_object_is_a_purpose() {
        assert_eq!(parse(r#"{"role":"r"}"#).unwrap()["role"], "r");
        assert_eq!([parse(""), parse("  "), parse("{"), parse("[1]"), parse("null")], [const { None }; 5]);
    }
}
