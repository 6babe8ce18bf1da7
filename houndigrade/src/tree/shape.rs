//! What a file system is by the look of its top directories: a root, a `/usr`, a `/var`.

use super::Files;
use crate::filesystem::{FileKind, FileSystem};
use crate::limits::ROOT_ENTRIES_MAX;

/// Whether it is the root of an installed system. A `/usr` has a directory `etc` too, but nothing in it that makes it a root's.
pub(super) fn is_root(system: &dyn FileSystem) -> bool {
    let is_there = |path: &str| system.stat(path.as_bytes()).is_ok();
    is_directory(system, "/etc")
        && (["/etc/fstab", "/etc/os-release", "/usr"].iter().any(|path| is_there(path)) || has_release_file(system))
}

/// Whether there is a file in `/etc` that tells which system it is.
fn has_release_file(system: &dyn FileSystem) -> bool {
    let entries = system.read_dir(b"/etc", ROOT_ENTRIES_MAX).unwrap_or_default();
    entries.iter().any(|entry| entry.name.ends_with(b"-release"))
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
