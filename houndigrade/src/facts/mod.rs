//! What the files of a system tell. Each fact is read by itself: one that cannot be read does not hide the others.
//!
//! This module knows files, not disks: everything is reached through [`Files`]. It draws no conclusions: [`crate::verdict`] does.

pub mod architecture;
pub mod certificates;
pub mod ini;
pub mod os_release;
mod packages;
mod products;
pub mod release;
pub mod repositories;
pub mod syspurpose;
#[cfg(test)]
pub(crate) mod testing;

use cloudigrade_schemas::findings::{Facts, Unread, UnreadKind};

use crate::error::ReadError;
use crate::filesystem::FileKind;
use crate::tree::Files;

/// Reads all facts of the system on a partition of an image.
pub fn read(files: &dyn Files, partition: &str, image: &str) -> Facts {
    let mut unread = Unreadable::default();
    let os_release = os_release::read(files, &mut unread);
    let purpose = syspurpose::read(files, &mut unread);
    Facts {
        rhel_release_files: release::read(files, partition, &mut unread),
        rhel_product_certs: products::read(files, &mut unread),
        rhel_signed_packages: packages::read(files, partition, image),
        rhel_enabled_repos: repositories::read(files, partition, &mut unread),
        os_version: os_release.as_ref().and_then(|own| own.version_id.clone()),
        syspurpose_contents: purpose.contents,
        syspurpose_status: purpose.status,
        is_system: is_system(files),
        os_release,
        architecture: architecture::read(files),
        unread: unread.into_noted(),
    }
}

/// Gathers what could not be read, so that an absent fact is not taken for a "no".
#[derive(Debug, Default)]
pub struct Unreadable {
    noted: Vec<Unread>,
}

impl Unreadable {
    /// Notes a failure. That something does not exist, or is of a kind that is never read, is an answer and no failure.
    pub fn note(&mut self, path: &[u8], error: &ReadError) {
        if !matches!(error, ReadError::NotFound { .. } | ReadError::WrongKind { .. }) {
            self.note_always(path, error);
        }
    }

    /// Notes a failure whatever it is: for a file that should be there, as a link to it is.
    pub fn note_always(&mut self, path: &[u8], error: &ReadError) {
        self.noted.push(Unread { path: shown(path), kind: kind_of(error), why: error.to_string() });
    }

    /// All that was noted, in its order.
    pub fn into_noted(self) -> Vec<Unread> {
        self.noted
    }
}

/// Of what kind a failure is.
pub fn kind_of(error: &ReadError) -> UnreadKind {
    match error {
        ReadError::Unsupported { .. } => UnreadKind::Unsupported,
        ReadError::Limit { .. } => UnreadKind::Limit,
        ReadError::NotFound { .. } | ReadError::WrongKind { .. } | ReadError::Corrupt { .. } | ReadError::Device { .. } => {
            UnreadKind::Corrupt
        }
    }
}

/// A path as it is written in findings: what is not UTF-8 is replaced.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The path of an entry of a directory.
pub(crate) fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory.strip_suffix(b"/").unwrap_or(directory), b"/", name].concat()
}

/// Whether files look like an installed system and not like data: it configures itself, and has programs. A `/usr` of its own has `etc` and
/// `bin` too, and is none.
pub fn is_system(files: &dyn Files) -> bool {
    let is = |path: &[u8], kind| files.stat(path).is_ok_and(|stat| stat.kind == kind);
    let has_programs = [&b"/usr/bin"[..], b"/usr/lib"].iter().any(|path| is(path, FileKind::Directory));
    let is_configured = [&b"/etc/passwd"[..], b"/etc/os-release", b"/etc/fstab"].iter().any(|path| files.stat(path).is_ok());
    is(b"/etc", FileKind::Directory) && (has_programs || is_configured)
}

#[cfg(test)]
mod tests {
    use super::testing::MemoryFiles;
    use super::*;

    #[test]
    fn a_system_is_told_from_data() {
        assert!(is_system(&MemoryFiles::of(&[("/etc/passwd", "root"), ("/usr/bin/true", "")])));
        assert!(!is_system(&MemoryFiles::of(&[("/lost+found/x", ""), ("/data/etc/passwd", "")])));
        assert!(!is_system(&MemoryFiles::default()));
    }

    #[test]
    fn a_usr_of_its_own_is_no_system() {
        assert!(!is_system(&MemoryFiles::of(&[("/bin/bash", ""), ("/lib/os-release", "ID=rhel"), ("/etc/ld.so.conf", "")])));
    }
}
