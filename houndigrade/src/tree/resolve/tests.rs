//! What the resolver does is compared with what Linux does when it is told to stay within a root.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::filesystem::memory::Memory;

fn tree(memory: Memory) -> Tree {
    Tree::new(Rc::new(memory), b"")
}

fn read(tree: &Tree, path: &str) -> Vec<u8> {
    tree.read(path.as_bytes(), 100).unwrap()
}

#[test]
fn an_absolute_link_restarts_at_the_root_of_the_image() {
    let tree = tree(Memory::new().with_link("/etc/redhat-release", "/etc/shadow").with_file("/etc/shadow", "of the image"));
    assert_eq!(read(&tree, "/etc/redhat-release"), b"of the image");
}

#[test]
fn dots_do_not_leave_the_root() {
    let tree = tree(Memory::new().with_link("/etc/link", "../../../../../etc/./file").with_file("/etc/file", "in"));
    assert_eq!(read(&tree, "/etc/link"), b"in");
    assert_eq!(read(&tree, "/../../etc/file"), b"in");
}

#[test]
fn a_circle_of_links_ends() {
    let tree = tree(Memory::new().with_link("/a", "/b").with_link("/b", "a").with_link("/c", "c/c/c"));
    for path in ["/a", "/b/x", "/c"] {
        assert!(matches!(tree.stat(path.as_bytes()), Err(ReadError::WrongKind { .. })), "{path}");
    }
}

#[test]
fn links_that_multiply_their_length_end() {
    let target = "x/".repeat(2000);
    let tree = tree(Memory::new().with_link("/x", target.as_str()));
    assert!(tree.stat(b"/x").is_err());
}

#[test]
fn what_lies_deeper_than_the_limit_is_not_reached_by_path_or_by_links() {
    let deep = |names: usize| "/a".repeat(names);
    let memory = Memory::new().with_dir(deep(PATH_DEPTH_MAX + 1)).with_link("/half", deep(PATH_DEPTH_MAX / 2));
    let tree = tree(memory.with_link(deep(PATH_DEPTH_MAX / 2) + "/rest", &deep(PATH_DEPTH_MAX / 2 + 1)[1..]));
    assert!(tree.stat(deep(PATH_DEPTH_MAX).as_bytes()).is_ok());
    for path in [deep(PATH_DEPTH_MAX + 1).as_str(), "/half/rest"] {
        assert!(matches!(tree.stat(path.as_bytes()), Err(ReadError::Limit { limit, .. }) if limit == PATH_DEPTH_MAX as u64), "{path}");
    }
}

#[test]
fn only_regular_files_are_opened() {
    let tree = tree(Memory::new().with_fifo("/etc/x-release").with_dir("/etc/y-release").with_link("/etc/z-release", "x-release"));
    for path in ["/etc/x-release", "/etc/y-release", "/etc/z-release"] {
        assert!(matches!(tree.open(path.as_bytes()).err(), Some(ReadError::WrongKind { .. })), "{path}");
    }
    assert!(matches!(tree.list(b"/etc/x-release", 9), Err(ReadError::WrongKind { .. })));
}

#[test]
fn what_a_link_misses_is_not_found_by_the_name_that_was_asked_for() {
    let tree = tree(Memory::new().with_link("/etc/os-release", "../usr/lib/os-release"));
    assert_eq!(tree.stat(b"/etc/os-release").unwrap_err().to_string(), "/etc/os-release does not exist");
}

#[test]
fn a_directory_with_more_entries_than_wanted_is_beyond_the_limit() {
    let memory = (0..1000).fold(Memory::new(), |memory, i| memory.with_file(format!("/etc/{i}"), ""));
    let tree = tree(memory);
    assert!(matches!(tree.list(b"/etc", 999), Err(ReadError::Limit { limit: 999, .. })));
    assert_eq!(tree.list(b"/etc", 1000).unwrap().len(), 1000);
}

#[test]
fn names_are_sorted_and_need_not_be_utf_8() {
    let odd = b"/d/\xff\xfe";
    let tree = tree(Memory::new().with_file(odd, "odd").with_file("/d/b", "").with_file("/d/a", ""));
    assert_eq!(tree.list(b"/d", 9).unwrap(), [b"a".to_vec(), b"b".to_vec(), b"\xff\xfe".to_vec()]);
    assert_eq!(tree.read(odd, 9).unwrap(), b"odd");
}

#[test]
fn a_mounted_file_system_hides_what_is_below_it() {
    let mut tree = tree(Memory::new().with_file("/var/old", "").with_link("/etc/up", "/var/lib/file").with_link("/srv", "var"));
    let var = Memory::new().with_file("/lib/file", "new").with_link("/out", "../etc/up").with_dir("/lib/deep");
    tree.mount(b"/var", Rc::new(var), b"").unwrap();
    tree.mount(b"/srv/lib/deep", Rc::new(Memory::new().with_file("/x", "deeper")), b"").unwrap();
    assert_eq!(read(&tree, "/etc/up"), b"new");
    assert_eq!(read(&tree, "/var/out"), b"new");
    assert_eq!(read(&tree, "/var/lib/deep/x"), b"deeper");
    assert!(tree.stat(b"/var/old").is_err());
}

#[test]
fn a_base_is_never_left() {
    let memory = Memory::new().with_file("/secret", "").with_link("/deep/root/up", "../../secret").with_link("/deep/root/abs", "/secret");
    let tree = Tree::new(Rc::new(memory.with_file("/deep/root/in", "in")), b"/deep/root");
    assert_eq!(read(&tree, "/in"), b"in");
    for path in ["/up", "/abs", "/../secret", "/../../secret"] {
        assert!(matches!(tree.stat(path.as_bytes()), Err(ReadError::NotFound { .. })), "{path}");
    }
}

#[test]
fn directories_passed_again_are_not_asked_for_again() {
    let memory = Rc::new((0..50).fold(Memory::new(), |memory, i| memory.with_file(format!("/a/b/c/d/{i}"), "")));
    let tree = Tree::new(memory.clone(), b"");
    for i in 0..50 {
        tree.stat(format!("/a/b/c/d/{i}").as_bytes()).unwrap();
    }
    assert!(memory.calls() < 60, "{}", memory.calls());
}

/// What Linux finds at a path below `root`; `None` if nothing.
fn by_kernel(root: &fs::File, path: &str) -> io::Result<(u64, u64)> {
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    const RESOLVE_IN_ROOT: u64 = 0x10;
    let path = CString::new(path).unwrap();
    let how = OpenHow { flags: (libc::O_PATH | libc::O_CLOEXEC) as u64, mode: 0, resolve: RESOLVE_IN_ROOT };
    // SAFETY: the path ends with a zero byte, `how` has the size that is stated, and both live until the call returns.
    let fd = unsafe { libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &raw const how, size_of::<OpenHow>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to nobody else.
    let metadata = unsafe { fs::File::from_raw_fd(fd as i32) }.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A path of few names, so that they meet.
fn some_path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", ".", ".."]);
    (any::<bool>(), prop::collection::vec(name, 1..5), any::<bool>()).prop_map(|(absolute, names, slash)| {
        format!("{}{}{}", if absolute { "/" } else { "" }, names.join("/"), if slash { "/" } else { "" })
    })
}

#[derive(Clone, Debug)]
enum Made {
    Directory,
    File,
    Link(String),
}

/// Makes the same tree on this machine and in memory.
fn make(root: &Path, nodes: &[(String, Made)]) -> Memory {
    let mut memory = Memory::new();
    for (path, made) in nodes {
        let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | "." | "..")).collect();
        let path = names.join("/");
        let on_disk = root.join(&path);
        let parents_are_directories = on_disk
            .ancestors()
            .skip(1)
            .take_while(|above| *above != root)
            .all(|above| above.symlink_metadata().is_ok_and(|above| above.is_dir()));
        if path.is_empty() || !parents_are_directories || on_disk.symlink_metadata().is_ok() {
            continue;
        }
        memory = match made {
            Made::Directory => {
                fs::create_dir(&on_disk).unwrap();
                memory.with_dir(path)
            }
            Made::File => {
                fs::write(&on_disk, &path).unwrap();
                memory.with_file(path.clone(), path)
            }
            Made::Link(target) => {
                symlink(target, &on_disk).unwrap();
                memory.with_link(path, target.as_str())
            }
        };
    }
    memory
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn paths_lead_where_linux_leads_them_within_a_root(
        nodes in prop::collection::vec(
            (some_path(), prop_oneof![2 => Just(Made::Directory), 1 => Just(Made::File), 3 => some_path().prop_map(Made::Link)]),
            1..25,
        ),
        paths in prop::collection::vec(some_path(), 1..10),
    ) {
        let folder = TempDir::new().unwrap();
        let tree = tree(make(folder.path(), &nodes));
        let root = fs::File::open(folder.path()).unwrap();
        for path in paths {
            let expected = match by_kernel(&root, &path) {
                Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => return Ok(()),
                other => other.ok(),
            };
            let found = tree.find(path.as_bytes()).ok().map(|found| {
                let place = folder.path().join(String::from_utf8(joined(&[], &found.names)).unwrap().trim_start_matches('/'));
                let metadata = place.symlink_metadata().unwrap();
                (metadata.dev(), metadata.ino())
            });
            prop_assert_eq!(found, expected, "{}", path);
        }
    }
}
