//! `os-release`: what a system says of itself, after os-release(5).

use cloudigrade_schemas::findings::OsReleaseFile;

use super::{Unreadable, shown};
use crate::error::ReadError;
use crate::limits::{ETC_ENTRIES_MAX, RELEASE_FILE_BYTES_MAX};
use crate::tree::Files;

/// Where the file may be; the first that is there holds.
const PATHS: [&[u8]; 2] = [b"/etc/os-release", b"/usr/lib/os-release"];

/// A distribution, as far as it matters for licences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Red Hat Enterprise Linux.
    Rhel,
    /// Built from the same sources or upstream of it, but not licensed as RHEL: CentOS Stream, Fedora, Alma, Rocky, Oracle Linux.
    Relative,
    /// Anything else.
    Other,
}

/// `ID`s of RHEL.
const RHEL: [&str; 2] = ["rhel", "rhcos"];
/// `ID`s of its relatives.
const RELATIVES: [&str; 15] = [
    "almalinux",
    "amzn",
    "centos",
    "circle",
    "cloudlinux",
    "eurolinux",
    "fedora",
    "miraclelinux",
    "navylinux",
    "ol",
    "oracle",
    "rocky",
    "scientific",
    "scos",
    "virtuozzo",
];

/// The distribution of an `ID` in lower case.
pub fn distribution_of(id: &str) -> Distribution {
    match id {
        id if RHEL.contains(&id) => Distribution::Rhel,
        id if RELATIVES.contains(&id) => Distribution::Relative,
        _ => Distribution::Other,
    }
}

/// What `os-release` says. A field that it does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`, in lower case: `rhel`.
    pub id: Option<String>,
    /// `VERSION_ID`: `9.4`.
    pub version_id: Option<String>,
    /// `VARIANT_ID`, in lower case: `coreos`.
    pub variant_id: Option<String>,
    /// `NAME`: `Red Hat Enterprise Linux`.
    pub name: Option<String>,
    /// `PRETTY_NAME`: `Red Hat Enterprise Linux 9.4 (Plow)`.
    pub pretty_name: Option<String>,
}

impl OsRelease {
    /// Reads the file's content. Lines that are no assignments are passed over, and of a repeated name the last one holds.
    pub fn parse(content: &str) -> Self {
        let mut release = Self::default();
        let end = content.floor_char_boundary(RELEASE_FILE_BYTES_MAX);
        let content = content[..end].trim_start_matches('\u{feff}');
        for (name, value) in content.lines().filter_map(|line| line.trim().split_once('=')) {
            let value = unquoted(value.trim());
            match name {
                "ID" => release.id = Some(value.to_ascii_lowercase()),
                "VERSION_ID" => release.version_id = Some(value),
                "VARIANT_ID" => release.variant_id = Some(value.to_ascii_lowercase()),
                "NAME" => release.name = Some(value),
                "PRETTY_NAME" => release.pretty_name = Some(value),
                _ => {}
            }
        }
        release
    }
}

/// Reads the file of a system; `None` where there is none that can be read.
pub fn read(files: &dyn Files, unread: &mut Unreadable) -> Option<OsReleaseFile> {
    for path in PATHS {
        match files.read(path, RELEASE_FILE_BYTES_MAX) {
            Ok(content) => return Some(found(path, OsRelease::parse(&String::from_utf8_lossy(&content)))),
            Err(ReadError::NotFound { .. }) if !is_listed(files, path) => {}
            // A link to a file of a volume that is missing says that the system has one, and the system cannot be told without it.
            Err(error) => unread.note_always(path, &error),
        }
    }
    None
}

/// Whether the directory of a path has an entry of its name, if only a link that leads nowhere.
fn is_listed(files: &dyn Files, path: &[u8]) -> bool {
    let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else { return false };
    let (directory, name) = (&path[..slash], &path[slash + 1..]);
    files.list(directory, ETC_ENTRIES_MAX).is_ok_and(|names| names.iter().any(|listed| listed == name))
}

fn found(path: &[u8], release: OsRelease) -> OsReleaseFile {
    OsReleaseFile {
        path: shown(path),
        id: release.id,
        version_id: release.version_id,
        variant_id: release.variant_id,
        name: release.pretty_name.or(release.name),
    }
}

/// Takes off a pair of quotes and the backslashes that escape.
fn unquoted(value: &str) -> String {
    let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    let mut plain = String::with_capacity(value.len());
    let mut escaped = false;
    for c in quoted.unwrap_or(value).chars() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            _ => {
                plain.push(c);
                escaped = false;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryFiles;
    use super::*;

    #[test]
    fn rhel_is_told_from_its_relatives_and_from_silence() {
        let of = |text| OsRelease::parse(text).id.as_deref().map(distribution_of);
        assert_eq!(of("NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nVERSION_ID=\"9.4\"\n"), Some(Distribution::Rhel));
        assert_eq!(of("ID='centos'\nID_LIKE=\"rhel fedora\"\n"), Some(Distribution::Relative));
        assert_eq!(of("ID=debian\n"), Some(Distribution::Other));
        assert_eq!(of("# nothing\n"), None);
    }

    #[test]
    fn quotes_escapes_and_broken_lines_do_no_harm() {
        let release = OsRelease::parse("garbage\n=\nID=rh\\el\nVERSION_ID=\"9\\\"4\"\nVERSION_ID=\"8\n");
        assert_eq!((release.id.as_deref(), release.version_id.as_deref()), (Some("rhel"), Some("\"8")));
    }

    #[test]
    fn the_file_in_etc_goes_before_that_of_the_vendor() {
        let both = MemoryFiles::of(&[("/etc/os-release", "ID=rhel"), ("/usr/lib/os-release", "ID=fedora")]);
        let path = |files: &MemoryFiles| read(files, &mut Unreadable::default()).map(|file| file.path);
        assert_eq!(path(&both).as_deref(), Some("/etc/os-release"));
        assert_eq!(path(&MemoryFiles::of(&[("/usr/lib/os-release", "ID=rhel")])).as_deref(), Some("/usr/lib/os-release"));
    }

    #[test]
    fn a_link_that_leads_to_a_missing_volume_is_noted_and_the_absence_of_the_file_is_not() {
        let mut unread = Unreadable::default();
        let dangling = MemoryFiles::default().failing("/etc/os-release", ReadError::not_found("/usr/lib/os-release"));
        assert_eq!(read(&dangling, &mut unread), None);
        assert_eq!(unread.into_noted().len(), 1);
        let mut unread = Unreadable::default();
        assert_eq!(read(&MemoryFiles::default(), &mut unread), None);
        assert!(unread.into_noted().is_empty());
    }
}
