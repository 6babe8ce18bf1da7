//! The files `/etc/*-release`: any of them that holds the words `Red Hat` counts, whatever else it says. What that is worth is weighed by
//! [`crate::verdict`].

use cloudigrade_schemas::findings::{ReleaseFile, ReleaseFiles};

use super::{Unreadable, joined, shown};
use crate::error::ReadError;
use crate::limits::{ETC_ENTRIES_MAX, RELEASE_FILE_BYTES_MAX, RELEASE_FILES_MAX};
use crate::tree::Files;

/// The words that are looked for.
const WORDS: &str = "Red Hat";

/// Reads all release files of the system on a partition.
pub fn read(files: &dyn Files, partition: &str, unread: &mut Unreadable) -> ReleaseFiles {
    let mut found = ReleaseFiles::default();
    let paths = match paths(files) {
        Ok(paths) => paths,
        Err(error) => {
            unread.note(b"/etc", &error);
            found.status = status(partition, &error);
            Vec::new()
        }
    };
    for path in paths {
        match read_one(files, &path) {
            Ok(file) => found.release_files.push(file),
            Err(error) => {
                unread.note(&path, &error);
                found.status = found.status.take().or_else(|| status(partition, &error));
                found.release_files.push(not_read(&path));
            }
        }
    }
    found.rhel_found = found.release_files.iter().any(|file| file.rhel_found);
    if found.release_files.is_empty() && found.status.is_none() {
        found.status = Some(format!("No release files found on {partition}"));
    }
    found
}

fn status(partition: &str, error: &ReadError) -> Option<String> {
    Some(format!("Error reading release files on {partition}: {error}"))
}

fn paths(files: &dyn Files) -> Result<Vec<Vec<u8>>, ReadError> {
    let names = match files.list(b"/etc", ETC_ENTRIES_MAX) {
        Err(ReadError::NotFound { .. } | ReadError::WrongKind { .. }) => return Ok(Vec::new()),
        names => names?,
    };
    let paths: Vec<_> = names
        .into_iter()
        .filter(|name| name.ends_with(b"-release") && !name.starts_with(b"."))
        .map(|name| joined(b"/etc", &name))
        .collect();
    if paths.len() > RELEASE_FILES_MAX {
        return Err(ReadError::Limit { what: "/etc/*-release".to_owned(), limit: RELEASE_FILES_MAX as u64, unit: "files" });
    }
    Ok(paths)
}

/// A file that is no regular file, or a link that leads nowhere, has no contents, which is no error.
fn read_one(files: &dyn Files, path: &[u8]) -> Result<ReleaseFile, ReadError> {
    let content = match files.read(path, RELEASE_FILE_BYTES_MAX) {
        Err(ReadError::NotFound { .. } | ReadError::WrongKind { .. }) => return Ok(not_read(path)),
        content => content?,
    };
    let text = String::from_utf8(content).map_err(|_| ReadError::corrupt(shown(path), "it is not UTF-8"))?;
    Ok(ReleaseFile { rhel_release_file: shown(path), rhel_found: text.contains(WORDS), rhel_release_file_contents: Some(text) })
}

fn not_read(path: &[u8]) -> ReleaseFile {
    ReleaseFile { rhel_release_file: shown(path), rhel_release_file_contents: None, rhel_found: false }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryFiles;
    use super::*;

    fn found(files: &MemoryFiles) -> (ReleaseFiles, usize) {
        let mut unread = Unreadable::default();
        let found = read(files, "/dev/xvdb1", &mut unread);
        (found, unread.into_noted().len())
    }

    #[test]
    fn the_words_are_found_as_they_are_written_in_any_release_file() {
        let files = MemoryFiles::of(&[
            ("/etc/redhat-release", "Red Hat Enterprise Linux release 9.4 (Plow)\n"),
            ("/etc/os-release", "REDHAT_SUPPORT_PRODUCT=\"centos\"\n"),
            ("/etc/shouting-release", "RED HAT"),
            ("/etc/release", "Red Hat"),
            ("/etc/.hidden-release", "Red Hat"),
        ]);
        let (found, unread) = found(&files);
        let of: Vec<_> = found.release_files.iter().map(|file| (file.rhel_release_file.as_str(), file.rhel_found)).collect();
        assert_eq!(of, [("/etc/os-release", false), ("/etc/redhat-release", true), ("/etc/shouting-release", false)]);
        assert_eq!((found.rhel_found, found.status, unread), (true, None, 0));
    }

    #[test]
    fn no_release_file_is_told_as_such() {
        let (found, unread) = found(&MemoryFiles::of(&[("/boot/vmlinuz", "")]));
        assert_eq!((found.status.as_deref(), unread), (Some("No release files found on /dev/xvdb1"), 0));
    }

    #[test]
    fn what_cannot_be_read_is_told_and_does_not_hide_its_neighbour() {
        let files = MemoryFiles::of(&[("/etc/redhat-release", "Red Hat")]).with("/etc/a-release", b"Red Hat \xff");
        let (found, unread) = found(&files);
        assert_eq!((found.rhel_found, found.release_files[0].rhel_found, unread), (true, false, 1));
        let told = "Error reading release files on /dev/xvdb1: /etc/a-release is damaged: it is not UTF-8";
        assert_eq!(found.status.as_deref(), Some(told));
    }

    #[test]
    fn a_link_to_nowhere_a_fifo_and_a_directory_have_no_contents_and_are_no_error() {
        let files = MemoryFiles::of(&[("/etc/c-release/file", "Red Hat")]);
        let (found, unread) = found(&files.odd("/etc/a-release", "a link that leads nowhere").odd("/etc/b-release", "a FIFO"));
        assert!(found.release_files.iter().all(|file| file.rhel_release_file_contents.is_none()));
        assert_eq!((found.release_files.len(), found.rhel_found, found.status, unread), (3, false, None, 0));
    }

    #[test]
    fn too_large_a_file_is_beyond_the_limit() {
        let (found, unread) = found(&MemoryFiles::default().with("/etc/x-release", &vec![b'x'; RELEASE_FILE_BYTES_MAX + 1]));
        assert!(found.status.is_some_and(|status| status.contains("beyond the limit of 65536 bytes")));
        assert_eq!(unread, 1);
    }
}
