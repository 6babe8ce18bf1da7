//! From volumes to the systems installed on them. Every volume is accounted for, whatever it holds.

use std::rc::Rc;

use super::join::{join_by_content, join_by_fstab};
use super::{Files, Tree, ostree, shape};
use crate::error::{ReadError, Result};
use crate::filesystem::{FileSystem, RandomFile, Stat, Subvolume, open_subvolume};
use crate::volumes::{Contents, Volume};

/// Subvolumes of btrfs that are roots by habit, where the default one is none: Fedora's, and that of Ubuntu and SUSE.
const ROOT_SUBVOLUMES: [&str; 2] = ["root", "@"];

/// What there is on some disks.
pub struct Assembly {
    /// The installed systems, in the order of their root volumes.
    pub systems: Vec<System>,
    /// Each volume, in the order given.
    pub volumes: Vec<VolumeOutcome>,
}

/// An installed system: a root with what belongs below it.
pub struct System {
    /// The name of the volume that holds its root.
    pub root_volume: String,
    /// The drive of that volume.
    pub drive: String,
    /// Mount points, and the names of the volumes joined there.
    pub joined: Vec<(String, String)>,
    /// What could not be taken into account; empty if all was.
    pub caveats: Vec<String>,
    pub(super) tree: Tree,
}

impl Files for System {
    fn stat(&self, path: &[u8]) -> Result<Stat> {
        self.tree.stat(path)
    }

    fn list(&self, path: &[u8], entries_max: usize) -> Result<Vec<Vec<u8>>> {
        self.tree.list(path, entries_max)
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        self.tree.open(path)
    }
}

/// What a volume is to the systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The root of a system.
    Root,
    /// Joined to a system below its root.
    Joined,
    /// A file system that belongs to no system found.
    Other,
    /// A file system that could not be opened: see the error.
    Unreadable,
    /// No file system that is read: see the contents.
    NoFiles,
}

/// What came of one volume.
#[derive(Clone, Debug)]
pub struct VolumeOutcome {
    /// The drive that it is reported under.
    pub drive: String,
    /// Its name.
    pub name: String,
    /// What it holds, as its first bytes say.
    pub contents: Contents,
    /// The kind of its file system, if it was opened.
    pub file_system: Option<&'static str>,
    /// What it is to the systems.
    pub role: Role,
    /// Why it could not be opened, or why it is not known whether it holds a root.
    pub error: Option<ReadError>,
    /// What of it could not be taken into account.
    pub caveats: Vec<String>,
}

/// How a volume's file system is opened.
pub(super) type Open<'a> = &'a dyn Fn(&Volume, &Subvolume) -> Result<Rc<dyn FileSystem>>;

/// A volume with what is known of its file system, if it has one that can be opened.
pub(super) struct Opened<'a> {
    pub volume: &'a Volume,
    /// The file system itself, as long as it is not known whether it holds a root. To hold all of them, with their journals, would take memory.
    system: Option<Rc<dyn FileSystem>>,
    /// What is known of it from then on.
    pub known: Option<Known>,
    pub error: Option<ReadError>,
    /// It was joined to a system.
    pub joined: bool,
    /// It is a system's root.
    pub root: bool,
}

/// What joining needs to know of a file system, each asked for once.
pub(super) struct Known {
    pub kind: &'static str,
    pub uuid: Option<String>,
    pub label: Option<String>,
    pub caveats: Vec<String>,
    /// It looks like a `/usr`, or a `/var`.
    pub is_usr: bool,
    pub is_var: bool,
}

impl Opened<'_> {
    /// Lets go of the file system. What is joined later is opened anew.
    fn close(&mut self) {
        self.known = self.system.take().map(|system| Known {
            kind: system.kind(),
            uuid: system.uuid(),
            label: system.label(),
            caveats: system.caveats(),
            is_usr: !self.root && shape::is_usr(system.as_ref()),
            is_var: !self.root && shape::is_var(system.as_ref()),
        });
    }
}

/// Finds the systems on `volumes`.
pub fn assemble(volumes: &[Volume]) -> Assembly {
    assemble_by(volumes, &open_subvolume)
}

pub(super) fn assemble_by(volumes: &[Volume], open: Open<'_>) -> Assembly {
    let (mut all, mut roots) = (Vec::new(), Vec::new());
    for (i, volume) in volumes.iter().enumerate() {
        let (mut one, mut hindered) = (opened(volume, open), None);
        if let Some(tree) = root_tree(&one, open, &mut hindered) {
            one.root = true;
            let mut system = system(&one, tree);
            system.caveats.extend(hindered.map(|error| format!("another root may be there, which was not found: {error}")));
            roots.push((i, system));
        } else if one.error.is_none() {
            one.error = hindered;
        }
        one.close();
        all.push(one);
    }
    for (i, system) in &mut roots {
        join_by_fstab(system, *i, &mut all, open);
    }
    join_by_content(&mut roots, &mut all, open);
    Assembly { systems: roots.into_iter().map(|(_, system)| system).collect(), volumes: all.into_iter().map(outcome).collect() }
}

fn opened<'a>(volume: &'a Volume, open: Open<'_>) -> Opened<'a> {
    let has_files = matches!(volume.contents, Contents::Ext | Contents::Xfs | Contents::Btrfs);
    let (system, error) = match has_files.then(|| open(volume, &Subvolume::Default)) {
        None => (None, None),
        Some(Ok(system)) => (Some(system), None),
        Some(Err(error)) => (None, Some(error)),
    };
    Opened { volume, system, known: None, error, joined: false, root: false }
}

/// The tree of a root, if the volume holds one. What hindered the search is noted, also if one was found behind it.
fn root_tree(opened: &Opened<'_>, open: Open<'_>, hindered: &mut Option<ReadError>) -> Option<Tree> {
    let system = opened.system.as_ref()?;
    if let Some(tree) = ostree::deployment(system, hindered) {
        return Some(tree);
    }
    if shape::is_root(system.as_ref(), hindered) {
        return Some(Tree::new(Rc::clone(system), b""));
    }
    if opened.volume.contents != Contents::Btrfs {
        return None;
    }
    let root = ROOT_SUBVOLUMES.iter().find_map(|name| {
        let subvolume = Subvolume::Path(name.as_bytes().to_vec());
        let system = shape::unless_absent(open(opened.volume, &subvolume), hindered)?;
        shape::is_root(system.as_ref(), hindered).then_some(system)
    })?;
    Some(Tree::new(root, b""))
}

fn system(opened: &Opened<'_>, tree: Tree) -> System {
    System {
        root_volume: opened.volume.name.clone(),
        drive: opened.volume.drive.clone(),
        joined: Vec::new(),
        caveats: opened.system.as_ref().map(|system| system.caveats()).unwrap_or_default(),
        tree,
    }
}

fn outcome(opened: Opened<'_>) -> VolumeOutcome {
    let role = match &opened {
        Opened { root: true, .. } => Role::Root,
        Opened { joined: true, .. } => Role::Joined,
        Opened { known: Some(_), .. } => Role::Other,
        Opened { error: Some(_), .. } => Role::Unreadable,
        _ => Role::NoFiles,
    };
    VolumeOutcome {
        drive: opened.volume.drive.clone(),
        name: opened.volume.name.clone(),
        contents: opened.volume.contents.clone(),
        file_system: opened.known.as_ref().map(|known| known.kind),
        role,
        caveats: opened.known.map(|known| known.caveats).unwrap_or_default(),
        error: opened.error,
    }
}

#[cfg(test)]
mod tests;
