//! ostree, as Red Hat CoreOS uses it: the root that a machine sees is a directory deep within its file system, a deployment.

use std::rc::Rc;

use super::{Files, Tree};
use crate::filesystem::FileSystem;
use crate::limits::OSTREE_ENTRIES_MAX;

/// The tree of the first deployment that the boot loader can start, in the order of their names; `None` if there is none.
pub(super) fn deployment(system: &Rc<dyn FileSystem>) -> Option<Tree> {
    let whole = Tree::new(Rc::clone(system), b"");
    let root = ["/ostree/boot.0", "/ostree/boot.1"].iter().find_map(|boot| first_below(&whole, boot.as_bytes().to_vec(), 3))?;
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

/// The first system `levels` levels below `path`, without links. What has no `/usr` is none: it only lies where deployments do.
fn first_below(tree: &Tree, path: Vec<u8>, levels: u32) -> Option<Vec<u8>> {
    if levels == 0 {
        return tree.directory(&[path.as_slice(), b"/usr"].concat()).and_then(|_| tree.directory(&path)).ok();
    }
    let names = tree.list(&path, OSTREE_ENTRIES_MAX).ok()?;
    names.into_iter().find_map(|name| first_below(tree, [path.as_slice(), b"/", &name].concat(), levels - 1))
}
