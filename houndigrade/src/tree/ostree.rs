//! ostree, as Red Hat CoreOS uses it: the root that a machine sees is a directory deep within its file system, a deployment.

use std::rc::Rc;

use super::{Files, Tree, shape};
use crate::error::ReadError;
use crate::filesystem::FileSystem;
use crate::limits::OSTREE_ENTRIES_MAX;

/// Where deployments lie. A `/boot` has `/ostree` too, but not this.
const DEPLOYMENTS: &[u8] = b"/ostree/deploy";
/// Where the boot loader finds them: in a system's directory, in one for each kernel, by number.
const BOOTED: [&[u8]; 2] = [b"/ostree/boot.0", b"/ostree/boot.1"];
const BOOTED_LEVELS: u32 = 3;

/// The tree of the first deployment that the boot loader can start, in the order of their names; `None` if there is none. What hindered
/// the search is noted, also if one was found behind it.
pub(super) fn deployment(system: &Rc<dyn FileSystem>, hindered: &mut Option<ReadError>) -> Option<Tree> {
    let whole = Tree::new(Rc::clone(system), b"");
    let mut search = Search { tree: &whole, entries_left: Some(OSTREE_ENTRIES_MAX), hindered };
    let Some(root) = BOOTED.iter().find_map(|boot| search.first_below(boot.to_vec(), BOOTED_LEVELS)) else {
        search.note_if_there_should_be_one();
        return None;
    };
    let mut tree = Tree::new(Rc::clone(system), &root);
    // /ostree/deploy/<system>/deploy/<deployment> has its /var at /ostree/deploy/<system>/var.
    let of_system = root.rsplitn(3, |byte| *byte == b'/').nth(2).unwrap_or_default();
    if let Ok(var) = whole.directory(&[of_system, b"/var"].concat()) {
        // What cannot be mounted is seen as it is in the deployment: empty.
        let _ = tree.mount(b"/var", Rc::clone(system), &var);
    }
    let _ = tree.mount(b"/sysroot", Rc::clone(system), b"");
    Some(tree)
}

struct Search<'a> {
    tree: &'a Tree,
    /// Entries that may still be looked at; `None` once there were more, which ends it.
    entries_left: Option<usize>,
    hindered: &'a mut Option<ReadError>,
}

impl Search<'_> {
    /// The first system `levels` levels below `path`, without links. What has no `/usr` is none: it only lies where deployments do.
    fn first_below(&mut self, path: Vec<u8>, levels: u32) -> Option<Vec<u8>> {
        let left = self.entries_left?;
        if levels == 0 {
            let found = self.tree.directory(&[path.as_slice(), b"/usr"].concat()).and_then(|_| self.tree.directory(&path));
            return shape::unless_absent(found, self.hindered);
        }
        let listed = self.tree.list(&path, OSTREE_ENTRIES_MAX);
        let entries = listed.as_ref().map_or(0, Vec::len);
        self.entries_left = left.checked_sub(entries).filter(|_| !matches!(listed, Err(ReadError::Limit { .. })));
        let names = shape::unless_absent(listed, self.hindered)?;
        if self.entries_left.is_none() {
            let what = "the way to the deployments in /ostree".to_owned();
            self.hindered.get_or_insert(ReadError::Limit { what, limit: OSTREE_ENTRIES_MAX as u64, unit: "entries" });
        }
        names.into_iter().find_map(|name| self.first_below([path.as_slice(), b"/", &name].concat(), levels - 1))
    }

    /// Notes that there are deployments, of which none was found.
    fn note_if_there_should_be_one(&mut self) {
        if shape::unless_absent(self.tree.directory(DEPLOYMENTS), self.hindered).is_some() {
            let why = "the boot loader's way to its deployments is none that is known";
            self.hindered.get_or_insert_with(|| ReadError::unsupported("/ostree/deploy", why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::memory::Memory;

    #[test]
    fn the_search_ends_at_the_limit_of_all_directories_together() {
        let of_kernel = |kernel: usize| (0..64).map(move |i| format!("/ostree/boot.0/rhcos/{kernel}/{i}"));
        let memory = (0..64).flat_map(of_kernel).fold(Memory::new(), Memory::with_dir);
        let (memory, mut hindered) = (Rc::new(memory), None);
        let system: Rc<dyn FileSystem> = memory.clone();
        assert!(deployment(&system, &mut hindered).is_none());
        assert!(matches!(hindered, Some(ReadError::Limit { limit, .. }) if limit == OSTREE_ENTRIES_MAX as u64), "{hindered:?}");
        assert!(memory.calls() < 3 * OSTREE_ENTRIES_MAX as u64, "{}", memory.calls());
    }
}
