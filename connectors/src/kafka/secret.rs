//! Text that must not be told, and the files that it comes from.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::limits::KAFKA_SECRET_BYTES_MAX;

/// A secret. `Debug` never shows it, and Kafka's client is the only one that it is told to.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a file gives no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is too long to be one.
    #[error("{}: has more than {max} bytes: a file with a secret holds the secret alone", path.display(), max = KAFKA_SECRET_BYTES_MAX)]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{}: is empty: write the secret into it", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It holds what Kafka's client cannot be told.
    #[error("{}: is not one line of UTF-8", path.display())]
    NotALine {
        /// The file.
        path: PathBuf,
    },
}

impl Secret {
    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The one line of a file, without its end.
    ///
    /// # Errors
    /// [`SecretError`], which never shows what is in the file.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let unreadable = |cause| SecretError::Unreadable { path: path.to_owned(), cause };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(KAFKA_SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
        if bytes.len() as u64 > KAFKA_SECRET_BYTES_MAX {
            return Err(SecretError::TooLong { path: path.to_owned() });
        }
        let text = String::from_utf8(bytes).map_err(|_| SecretError::NotALine { path: path.to_owned() })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line {
            "" => Err(SecretError::Empty { path: path.to_owned() }),
            line if line.contains(['\n', '\r', '\0']) => Err(SecretError::NotALine { path: path.to_owned() }),
            line => Ok(Self(line.to_owned())),
        }
    }

    /// The text.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        Secret::from_file(&path)
    }

    #[test]
    fn a_file_gives_its_one_line() {
        for content in ["s3 cret", "s3 cret\n", "s3 cret\r\n"] {
            assert_eq!(read(content.as_bytes()).unwrap().reveal(), "s3 cret");
        }
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused_and_never_shown() {
        let long = vec![b'x'; usize::try_from(KAFKA_SECRET_BYTES_MAX).unwrap() + 1];
        for (content, said) in
            [(&b""[..], "is empty"), (b"\n", "is empty"), (b"hush\nhush", "one line"), (b"hush\xff", "UTF-8"), (&long, "bytes")]
        {
            let refused = read(content).unwrap_err().to_string();
            assert!(refused.contains(said) && !refused.contains("hush"), "{refused}");
        }
        let absent = Secret::from_file(Path::new("/nowhere/secret")).unwrap_err();
        assert!(matches!(absent, SecretError::Unreadable { .. }), "{absent}");
    }

    #[test]
    fn debug_does_not_show_it() {
        assert_eq!(format!("{:?}", Secret::new("hush")), "(secret)");
    }
}
