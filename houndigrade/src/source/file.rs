//! A file or block device of this machine as a source. Opened for reading only, and never opened where opening alone could hang or act.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::{BlockSource, checked_range};
use crate::error::{ReadError, Result};

/// A regular file or a block device. Reads by `pread`, so that the position of a descriptor shared with another process does not matter.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    name: String,
    len: u64,
}

impl FileSource {
    /// Opens a file or block device, links followed.
    ///
    /// # Errors
    /// [`ReadError::NotFound`], [`ReadError::WrongKind`] for a directory, FIFO, socket or character device, [`ReadError::Device`].
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        // Opening a character device can have effects (a tape rewinds), so its kind is asked first; opening a FIFO that was put there in
        // between does not wait.
        let kind = std::fs::metadata(path).map_err(|error| failed(&name, error))?.file_type();
        expect_readable(kind, &name)?;
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| failed(&name, error))?;
        Self::from_file(file, name)
    }

    /// Takes a file that is already open for reading, as a parent process hands one over; messages call it `name`.
    ///
    /// # Errors
    /// As [`FileSource::open`].
    pub fn from_file(file: File, name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let metadata = file.metadata().map_err(|error| failed(&name, error))?;
        expect_readable(metadata.file_type(), &name)?;
        let len = if metadata.is_file() {
            metadata.len()
        } else {
            // A block device has no length in its inode.
            (&file).seek(SeekFrom::End(0)).map_err(|error| failed(&name, error))?
        };
        Ok(Self { file, name, len })
    }

    /// The file, to be handed over to a child process.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl BlockSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        checked_range(self.len, offset, buf.len())?;
        self.file.read_exact_at(buf, offset).map_err(|error| ReadError::Device {
            what: format!("{} bytes of {} at byte {offset}", buf.len(), self.name),
            error: Arc::new(error),
        })
    }
}

fn failed(name: &str, error: io::Error) -> ReadError {
    match error.kind() {
        io::ErrorKind::NotFound => ReadError::not_found(name),
        _ => ReadError::Device { what: name.to_owned(), error: Arc::new(error) },
    }
}

fn expect_readable(kind: FileType, name: &str) -> Result<()> {
    let is = match kind {
        _ if kind.is_file() || kind.is_block_device() => return Ok(()),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a character device",
    };
    Err(ReadError::WrongKind { what: name.to_owned(), is: is.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn bytes_and_holes_of_a_file_are_read_at_any_place() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"begin").unwrap();
        file.set_len(10 << 30).unwrap();
        let source = FileSource::from_file(file, "image").unwrap();
        let mut buf = [1; 3];
        source.read_at(2, &mut buf).unwrap();
        assert_eq!((source.len(), &buf), (10 << 30, b"gin"));
        source.read_at((10 << 30) - 3, &mut buf).unwrap();
        assert_eq!(buf, [0; 3]);
    }

    #[test]
    fn bytes_behind_the_end_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        std::fs::write(&path, [7; 100]).unwrap();
        let source = FileSource::open(&path).unwrap();
        assert!(matches!(source.read_at(98, &mut [0; 3]), Err(ReadError::Corrupt { .. })));
        assert!(matches!(source.read_at(u64::MAX, &mut [0; 3]), Err(ReadError::Corrupt { .. })));
    }

    #[test]
    fn what_is_neither_file_nor_block_device_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let path = CString::new(fifo.as_os_str().as_bytes()).unwrap();
        // SAFETY: the path ends in NUL and lives through the call.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        for (path, expected) in [(fifo.as_path(), "a FIFO"), (folder.path(), "a directory"), (Path::new("/dev/zero"), "a character device")]
        {
            match FileSource::open(path) {
                Err(ReadError::WrongKind { is, .. }) => assert_eq!(is, expected),
                other => panic!("{path:?}: {other:?}"),
            }
        }
        assert!(matches!(FileSource::open(&folder.path().join("none")), Err(ReadError::NotFound { .. })));
    }
}
