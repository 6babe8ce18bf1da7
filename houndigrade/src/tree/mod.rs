//! The files of one installed system, joined from its volumes, with every path confined to them.

mod assemble;
mod fstab;
mod join;
mod ostree;
mod resolve;
mod shape;

use crate::error::{ReadError, Result};
use crate::filesystem::{RandomFile, Stat};

pub use assemble::{Assembly, Role, System, VolumeOutcome, assemble};
pub use resolve::Tree;

/// Files by path. Links are followed and confined: an absolute one restarts at the root of these files, `..` does not leave it, and a
/// circle ends. Paths are absolute; their bytes need not be UTF-8.
pub trait Files {
    /// What is at a path, links followed.
    fn stat(&self, path: &[u8]) -> Result<Stat>;

    /// The names in a directory, sorted; `Limit` if there are more than `entries_max`.
    fn list(&self, path: &[u8], entries_max: usize) -> Result<Vec<Vec<u8>>>;

    /// Opens a regular file; `WrongKind` for whatever else there is.
    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>>;

    /// The whole content of a regular file; `Limit` if it has more than `bytes_max` bytes.
    fn read(&self, path: &[u8], bytes_max: usize) -> Result<Vec<u8>> {
        let file = self.open(path)?;
        if file.len() > bytes_max as u64 {
            let what = String::from_utf8_lossy(path).into_owned();
            return Err(ReadError::Limit { what, limit: bytes_max as u64, unit: "bytes" });
        }
        let mut content = vec![0; file.len() as usize];
        file.read_at(0, &mut content)?;
        Ok(content)
    }
}
