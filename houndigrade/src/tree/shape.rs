//! What a file system is by the look of its top directories: a root, a `/usr`, a `/var`.

use super::Files;
use crate::error::{ReadError, Result};
use crate::filesystem::{FileKind, FileSystem};
use crate::limits::ROOT_ENTRIES_MAX;

/// Whether it is the root of an installed system. A `/usr` has a directory `etc` too, but nothing in it that makes it a root's. What
/// hindered finding that out is noted where it is none.
pub(super) fn is_root(system: &dyn FileSystem, hindered: &mut Option<ReadError>) -> bool {
    let mut on_the_way = None;
    let mut stat = |path: &str| unless_absent(system.stat(path.as_bytes()), &mut on_the_way);
    let is_root = stat("/etc").is_some_and(|etc| etc.kind == FileKind::Directory)
        && (["/etc/fstab", "/etc/os-release", "/usr"].iter().any(|path| stat(path).is_some()) || has_release_file(system, &mut on_the_way));
    if !is_root {
        *hindered = hindered.take().or(on_the_way);
    }
    is_root
}

/// Whether there is a file in `/etc` that tells which system it is.
fn has_release_file(system: &dyn FileSystem, hindered: &mut Option<ReadError>) -> bool {
    let entries = unless_absent(system.read_dir(b"/etc", ROOT_ENTRIES_MAX), hindered).unwrap_or_default();
    entries.iter().any(|entry| entry.name.ends_with(b"-release"))
}

/// What was found. That it does not exist, or is of another kind, is an answer; any other error is noted if it is the first.
pub(super) fn unless_absent<T>(found: Result<T>, hindered: &mut Option<ReadError>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(ReadError::NotFound { .. } | ReadError::WrongKind { .. }) => None,
        Err(error) => {
            hindered.get_or_insert(error);
            None
        }
    }
}

/// Whether it is what belongs at `/usr`.
pub(super) fn is_usr(system: &dyn FileSystem) -> bool {
    ["/bin", "/lib", "/share"].iter().all(|path| is_directory(system, path))
}

/// Whether it is what belongs at `/var`.
pub(super) fn is_var(system: &dyn FileSystem) -> bool {
    is_directory(system, "/lib")
        && (is_directory(system, "/lib/rpm") || ["/log", "/spool", "/cache"].iter().all(|path| is_directory(system, path)))
}

fn is_directory(system: &dyn FileSystem, path: &str) -> bool {
    system.stat(path.as_bytes()).is_ok_and(|stat| stat.kind == FileKind::Directory)
}

/// Whether a tree lacks its `/usr`.
pub(super) fn lacks_usr(tree: &dyn Files) -> bool {
    ["/usr/lib", "/usr/bin", "/usr/share"].iter().all(|path| tree.stat(path.as_bytes()).is_err())
}

/// Whether a tree lacks its `/var`.
pub(super) fn lacks_var(tree: &dyn Files) -> bool {
    tree.stat(b"/var/lib").is_err()
}
