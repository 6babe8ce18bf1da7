//! Turns the description of a logical volume into its bytes, out of the physical volumes that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::group::{Group, Layout, Logical, Part, Segment};
use super::mapped::{Leg, Mapped, Run};
use crate::error::{ReadError, Result};
use crate::limits::LVM_STACK_MAX;
use crate::source::Source;

/// A physical volume that is there.
#[derive(Clone)]
pub(super) struct Present {
    pub drive: String,
    pub source: Source,
}

/// Bytes, and the drive on which they begin.
#[derive(Clone)]
pub(super) struct Built {
    pub drive: String,
    pub source: Source,
}

/// Why a logical volume has no bytes.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// It is of a kind that is not read: `thin volume`.
    Kind(String),
    /// It cannot be read.
    Error(ReadError),
}

/// Builds logical volumes of one group, each once, also where they lie in each other.
pub(super) struct Builder<'a> {
    group: &'a Group,
    /// By UUID.
    present: &'a BTreeMap<String, Present>,
    /// Those that are done, and `None` for those that are being built.
    done: BTreeMap<&'a str, Option<Result<Built, Refusal>>>,
    len_max: u64,
    /// Mirrors that were read from one of their halves since [`Builder::take_halved`].
    halved: BTreeSet<&'a str>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(group: &'a Group, present: &'a BTreeMap<String, Present>) -> Self {
        // Extents belong to one volume each, so none is larger than all disks together.
        let len_max = group.members().filter_map(|uuid| present.get(uuid)).map(|present| present.source.len()).fold(0, u64::saturating_add);
        Self { group, present, done: BTreeMap::new(), len_max, halved: BTreeSet::new() }
    }

    /// The bytes of a logical volume of the group.
    pub(super) fn build(&mut self, name: &'a str) -> Result<Built, Refusal> {
        self.stacked(name, 0)
    }

    /// The mirrors of which only one half was read for what was built last.
    pub(super) fn take_halved(&mut self) -> BTreeSet<&'a str> {
        std::mem::take(&mut self.halved)
    }

    fn stacked(&mut self, name: &'a str, depth: usize) -> Result<Built, Refusal> {
        match self.done.get(name) {
            Some(Some(done)) => return done.clone(),
            Some(None) => return Err(damaged(name, "it lies in itself")),
            None if depth > LVM_STACK_MAX => {
                let what = format!("the depth of logical volumes below {name}");
                return Err(Refusal::Error(ReadError::Limit { what, limit: LVM_STACK_MAX as u64, unit: "volumes" }));
            }
            None => {}
        }
        let group = self.group;
        let logical = group.logical.get(name).ok_or_else(|| damaged(name, "the group does not describe it"))?;
        self.done.insert(name, None);
        let built = self.assemble(name, logical, depth);
        self.done.insert(name, Some(built.clone()));
        built
    }

    fn assemble(&mut self, name: &'a str, logical: &'a Logical, depth: usize) -> Result<Built, Refusal> {
        if let Some(kind) = &logical.disguise {
            return Err(Refusal::Kind(kind.clone()));
        }
        let mut runs = Vec::new();
        let mut drive = None;
        for segment in &logical.segments {
            let (run, begins_on) = self.run(name, segment, depth)?;
            drive.get_or_insert(begins_on);
            runs.push(run);
        }
        let drive = drive.ok_or_else(|| damaged(name, "it has no segments"))?;
        Ok(Built { drive, source: Arc::new(Mapped::new(runs)) })
    }

    fn run(&mut self, name: &'a str, segment: &'a Segment, depth: usize) -> Result<(Run, String), Refusal> {
        let extent_bytes = self.group.extent_bytes;
        let bytes = |extents: u64| extents.checked_mul(extent_bytes);
        let too_large = || damaged(name, "it is larger than its disks");
        let start = bytes(segment.start).ok_or_else(too_large)?;
        let len =
            bytes(segment.count).filter(|len| start.checked_add(*len).is_some_and(|end| end <= self.len_max)).ok_or_else(too_large)?;
        let (stripe_bytes, legs) = match &segment.layout {
            Layout::Other(kind) => return Err(Refusal::Kind(readable_kind(kind))),
            Layout::Mirrored(parts) => (u64::MAX, vec![self.any_leg(name, parts, len, depth)?]),
            Layout::Striped { stripe_bytes, parts } => {
                let count = parts.len() as u64;
                if *stripe_bytes == 0 || !segment.count.is_multiple_of(count) {
                    return Err(damaged(name, "its stripes do not divide it"));
                }
                let legs = parts.iter().map(|part| self.leg(name, part, len / count, depth)).collect::<Result<Vec<_>, _>>()?;
                (*stripe_bytes, legs)
            }
        };
        let drive = legs.first().map(|(_, drive)| drive.clone()).ok_or_else(|| damaged(name, "a segment has no parts"))?;
        let legs = legs.into_iter().map(|(leg, _)| leg).collect();
        Ok((Run { start, len, stripe_bytes, legs }, drive))
    }

    /// The first part of a mirror that is filled and can be read.
    fn any_leg(&mut self, name: &'a str, parts: &'a [Part], len: u64, depth: usize) -> Result<(Leg, String), Refusal> {
        let mut refusal = damaged(name, "no half of it is filled");
        let is_filled = |part: &&Part| !self.group.logical.get(&part.volume).is_some_and(|half| half.rebuilding);
        for part in parts.iter().filter(is_filled).collect::<Vec<_>>() {
            match self.leg(name, part, len, depth) {
                Ok(leg) => {
                    if parts.len() > 1 {
                        self.halved.insert(name);
                    }
                    return Ok(leg);
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// `len` bytes of a physical or logical volume from an extent on, and the drive that they begin on.
    fn leg(&mut self, name: &str, part: &'a Part, len: u64, depth: usize) -> Result<(Leg, String), Refusal> {
        let group = self.group;
        let (below, before) = match group.physical.get(&part.volume) {
            Some(physical) => {
                let present = self.present.get(&physical.uuid).filter(|_| !physical.missing);
                let missing = || format!("physical volume {} of {name} (UUID {})", part.volume, physical.uuid);
                let present = present.ok_or_else(|| Refusal::Error(ReadError::not_found(missing())))?;
                (Built { drive: present.drive.clone(), source: present.source.clone() }, physical.start)
            }
            None => (self.stacked(&part.volume, depth + 1)?, 0),
        };
        let start = part.extent.checked_mul(group.extent_bytes).and_then(|bytes| bytes.checked_add(before));
        let start = start.filter(|start| start.checked_add(len).is_some_and(|end| end <= below.source.len()));
        let start = start.ok_or_else(|| damaged(name, &format!("it ends behind the end of {}", part.volume)))?;
        Ok((Leg { source: below.source, start }, below.drive))
    }
}

fn damaged(name: &str, why: &str) -> Refusal {
    Refusal::Error(ReadError::corrupt(format!("logical volume {name}"), why))
}

/// A segment's type for people.
fn readable_kind(kind: &str) -> String {
    let kind: String = kind.chars().filter(char::is_ascii_graphic).take(40).collect();
    match kind.as_str() {
        "thin" => "thin volume".to_owned(),
        "thin-pool" => "thin pool".to_owned(),
        kind if kind.starts_with("cache") || kind.starts_with("writecache") => "cached volume".to_owned(),
        kind if kind.starts_with("vdo") => "VDO volume".to_owned(),
        kind => format!("volume of type {kind}"),
    }
}
