//! Files that are nothing but a path and its content.

use houndigrade::ReadError;
use houndigrade::Result;
use houndigrade::filesystem::{FileKind, RandomFile, Stat};
use houndigrade::tree::Files;

/// Files by absolute path. Folders are what is above them.
pub struct Fixed<'a>(pub &'a [(&'a str, &'a [u8])]);

struct Content<'a>(&'a [u8]);

impl RandomFile for Content<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let part = usize::try_from(offset).ok().and_then(|from| self.0.get(from..from.checked_add(buf.len())?));
        buf.copy_from_slice(part.ok_or_else(|| ReadError::corrupt("a file", "read behind its end"))?);
        Ok(())
    }
}

impl Fixed<'_> {
    fn content(&self, path: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known.as_bytes() == path).map(|(_, content)| *content)
    }

    /// The names directly in a folder.
    fn names(&self, folder: &[u8]) -> Vec<Vec<u8>> {
        let prefix = [folder.strip_suffix(b"/").unwrap_or(folder), b"/"].concat();
        let mut names: Vec<Vec<u8>> = self
            .0
            .iter()
            .filter_map(|(path, _)| path.as_bytes().strip_prefix(prefix.as_slice()))
            .map(|rest| rest.split(|byte| *byte == b'/').next().unwrap_or_default().to_vec())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

fn not_found(path: &[u8]) -> ReadError {
    ReadError::not_found(String::from_utf8_lossy(path))
}

impl Files for Fixed<'_> {
    fn stat(&self, path: &[u8]) -> Result<Stat> {
        match self.content(path) {
            Some(content) => Ok(Stat { kind: FileKind::Regular, len: content.len() as u64 }),
            None if !self.names(path).is_empty() => Ok(Stat { kind: FileKind::Directory, len: 0 }),
            None => Err(not_found(path)),
        }
    }

    fn list(&self, path: &[u8], _entries_max: usize) -> Result<Vec<Vec<u8>>> {
        match self.names(path) {
            names if names.is_empty() => Err(not_found(path)),
            names => Ok(names),
        }
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        self.content(path).map(|content| Box::new(Content(content)) as Box<dyn RandomFile>).ok_or_else(|| not_found(path))
    }
}
