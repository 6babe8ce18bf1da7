//! LVM2: physical volumes of all disks are joined to their groups, and the groups' logical volumes become sources. This module knows
//! nothing of what is in a logical volume.

mod build;
mod group;
mod label;
mod mapped;
mod metadata;
mod text;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use label::Label;

use self::build::{Builder, Present, Refusal};
use self::group::Group;
use super::names;
use crate::error::{ReadError, Result};
use crate::limits::{LVM_GROUPS_MAX, LVM_METADATA_TOTAL_BYTES_MAX, LVM_PHYSICAL_MAX};
use crate::source::Source;

/// A physical volume, with what findings call it.
pub(super) struct Physical {
    pub drive: String,
    pub name: String,
    pub source: Source,
    pub label: Label,
}

/// What was made of the physical volumes.
#[derive(Default)]
pub(super) struct Joined {
    pub volumes: Vec<Logical>,
    /// Physical volumes of which nothing is read, as index, and what to say of them.
    pub unread: Vec<(usize, Unread)>,
    pub problems: Vec<Problem>,
}

/// A logical volume that is meant for use.
pub(super) struct Logical {
    pub drive: String,
    pub name: String,
    /// Its bytes, or what it is instead: `thin volume`.
    pub source: Result<Source, String>,
}

/// Why nothing of a physical volume is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It belongs to no group.
    Unused,
    /// Its group is known but not read, or not known.
    Orphan,
}

/// What is wrong with a group, a physical or a logical volume.
pub(super) struct Problem {
    pub drive: String,
    pub name: String,
    pub error: ReadError,
    /// Whether something may be hidden by it.
    pub hides: bool,
}

/// LVM's checksum: CRC-32 with a first value of its own and without the final inversion.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    hasher.update(bytes);
    !hasher.finalize()
}

/// Joins physical volumes to groups.
pub(super) fn join(physical: &[Physical]) -> Joined {
    let mut joiner = Joiner {
        physical,
        joined: Joined::default(),
        groups: BTreeMap::new(),
        read: BTreeSet::new(),
        bytes_left: LVM_METADATA_TOTAL_BYTES_MAX,
    };
    let without_metadata = joiner.collect();
    joiner.read_groups();
    joiner.note_unread(&without_metadata);
    joiner.joined
}

struct Joiner<'a> {
    physical: &'a [Physical],
    joined: Joined,
    /// The newest metadata of each group, by UUID.
    groups: BTreeMap<String, Group>,
    /// The UUIDs of the groups that are read.
    read: BTreeSet<String>,
    bytes_left: u64,
}

impl Joiner<'_> {
    /// Reads all metadata. Gives the indices of the physical volumes whose metadata areas are all sound and empty.
    fn collect(&mut self) -> BTreeSet<usize> {
        let mut empty = BTreeSet::new();
        for (index, physical) in self.physical.iter().enumerate() {
            if index == LVM_PHYSICAL_MAX {
                let what = "the number of LVM physical volumes".to_owned();
                self.problem(physical, ReadError::Limit { what, limit: LVM_PHYSICAL_MAX as u64, unit: "volumes" }, true);
                break;
            }
            let mut errors = Vec::new();
            let mut texts = 0;
            for area in &physical.label.areas {
                match self.read_metadata(physical, *area) {
                    Ok(found) => texts += usize::from(found),
                    Err(error) => errors.push(error),
                }
            }
            if texts == 0 && errors.is_empty() && !physical.label.areas.is_empty() {
                empty.insert(index);
            }
            // One sound copy is enough.
            errors.into_iter().for_each(|error| self.problem(physical, error, texts == 0));
        }
        empty
    }

    /// Reads the metadata of one area; whether there are any.
    fn read_metadata(&mut self, physical: &Physical, area: label::Area) -> Result<bool> {
        let Some(text) = metadata::read(physical.source.as_ref(), area)? else { return Ok(false) };
        self.bytes_left = self.bytes_left.checked_sub(text.len() as u64).ok_or_else(|| ReadError::Limit {
            what: "the metadata of all LVM physical volumes".to_owned(),
            limit: LVM_METADATA_TOTAL_BYTES_MAX,
            unit: "bytes",
        })?;
        let group = Group::parse(&text)?;
        let known = self.groups.get(&group.uuid).map(|known| known.seqno);
        if known.is_none() && self.groups.len() == LVM_GROUPS_MAX {
            let what = "the number of LVM volume groups".to_owned();
            return Err(ReadError::Limit { what, limit: LVM_GROUPS_MAX as u64, unit: "groups" });
        }
        if known.is_none_or(|seqno| seqno < group.seqno) {
            self.groups.insert(group.uuid.clone(), group);
        }
        Ok(true)
    }

    fn read_groups(&mut self) {
        let mut present = BTreeMap::new();
        let mut copied = BTreeSet::new();
        for physical in self.physical {
            let uuid = physical.label.uuid.clone();
            let volume = Present { drive: physical.drive.clone(), source: physical.source.clone() };
            if present.insert(uuid.clone(), volume).is_some() {
                copied.insert(uuid);
            }
        }
        let mut names = BTreeSet::new();
        let groups = std::mem::take(&mut self.groups);
        for (uuid, group) in &groups {
            if !self.is_ambiguous(group, &copied) {
                self.read_group(group, &present, names.insert(&group.name));
                self.read.insert(uuid.clone());
            }
        }
        self.groups = groups;
    }

    /// Whether a physical volume of the group is there twice: copies of a disk, of which one may be older, are not mixed.
    fn is_ambiguous(&mut self, group: &Group, copied: &BTreeSet<String>) -> bool {
        let Some(uuid) = group.members().find(|uuid| copied.contains(*uuid)) else { return false };
        for physical in self.physical.iter().filter(|physical| physical.label.uuid == uuid) {
            let what = format!("volume group {}", group.name);
            let why = format!("its physical volume {uuid} is on several of the disks, which are copies of each other");
            self.problem(physical, ReadError::unsupported(what, why), true);
        }
        true
    }

    fn read_group(&mut self, group: &Group, present: &BTreeMap<String, Present>, has_own_name: bool) {
        let mut builder = Builder::new(group, present);
        let first = self.physical.iter().find(|physical| group.members().any(|uuid| uuid == physical.label.uuid));
        for (name, _) in group.logical.iter().filter(|(_, logical)| logical.visible) {
            let mut full_name = names::logical(&group.name, name);
            if !has_own_name {
                // Findings are told apart by their names.
                full_name = format!("{full_name} (volume group {})", group.uuid);
            }
            let built = builder.build(name);
            let drive = match &built {
                Ok(built) => built.drive.clone(),
                Err(_) => first.map(|physical| physical.drive.clone()).unwrap_or_default(),
            };
            for mirror in builder.take_halved() {
                let what = format!("joining the halves of the LVM mirror {mirror}");
                let error = ReadError::unsupported(what, "only one of them was read, and another may be newer");
                self.joined.problems.push(Problem { drive: drive.clone(), name: full_name.clone(), error, hides: false });
            }
            match built {
                Ok(built) => self.joined.volumes.push(Logical { drive, name: full_name, source: Ok(built.source) }),
                Err(Refusal::Kind(kind)) => self.joined.volumes.push(Logical { drive, name: full_name, source: Err(kind) }),
                Err(Refusal::Error(error)) => self.joined.problems.push(Problem { drive, name: full_name, error, hides: true }),
            }
        }
    }

    fn note_unread(&mut self, empty: &BTreeSet<usize>) {
        for (index, physical) in self.physical.iter().enumerate() {
            let uuid = physical.label.uuid.as_str();
            let mut groups = self.groups.iter().filter(|(_, group)| group.members().any(|member| member == uuid)).map(|(group, _)| group);
            match groups.next() {
                None if empty.contains(&index) => self.joined.unread.push((index, Unread::Unused)),
                Some(group) if self.read.contains(group) || groups.any(|group| self.read.contains(group)) => {}
                _ => self.joined.unread.push((index, Unread::Orphan)),
            }
        }
    }

    fn problem(&mut self, physical: &Physical, error: ReadError, hides: bool) {
        self.joined.problems.push(Problem { drive: physical.drive.clone(), name: physical.name.clone(), error, hides });
    }
}

#[cfg(test)]
pub(super) mod tests;
