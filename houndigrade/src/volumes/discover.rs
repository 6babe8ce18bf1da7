//! Goes from disks through partition tables, mirrors and LVM to the volumes in them.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;

use super::detect::{Found, look};
use super::layout::{Layout, layout};
use super::lvm::{self, Label, Unread};
use super::md::Member;
use super::partition::{Partition, Table};
use super::{Contents, Discovery, Disk, Problem, Volume, names, vhd};
use crate::error::{ReadError, Result};
use crate::limits::{VOLUME_NESTING_MAX, VOLUME_PROBLEMS_MAX, VOLUMES_MAX};
use crate::source::{Slice, Source};

/// The volumes of the disks of one machine.
pub fn discover(disks: &[Disk]) -> Discovery {
    let mut search = Search::default();
    for disk in disks {
        search.disk(disk);
    }
    // Each round goes into what the one before found. Mirrors come first: a volume group can lie on a mirror and a plain disk at once.
    for depth in 1.. {
        let (halves, physical) = (take(&mut search.halves), take(&mut search.physical));
        if !halves.is_empty() {
            search.physical = physical;
            search.mirrors(halves, depth);
        } else if !physical.is_empty() {
            search.groups(physical, depth);
        } else {
            break;
        }
    }
    search.found
}

/// Somewhere that can hold a volume.
#[derive(Clone)]
struct Place {
    drive: String,
    name: String,
    source: Source,
    purpose: Option<&'static str>,
    uuid: Option<String>,
    label: Option<String>,
}

impl Place {
    fn new(drive: &str, name: &str, source: Source) -> Self {
        Self { drive: drive.to_owned(), name: name.to_owned(), source, purpose: None, uuid: None, label: None }
    }
}

#[derive(Default)]
struct Search {
    found: Discovery,
    /// Halves of mirrors and physical volumes that this round found.
    halves: Vec<(Place, Member)>,
    physical: Vec<(Place, Label)>,
    /// The names of all volumes.
    names: BTreeSet<String>,
    /// How many places were looked at, or would have been.
    places: usize,
}

impl Search {
    fn disk(&mut self, disk: &Disk) {
        let place = Place::new(&disk.name, &disk.name, disk.source.clone());
        match vhd::without_footer(&disk.source) {
            Ok(source) => self.whole(Place { source, ..place }),
            Err(error) => {
                // The last sector cannot be read; the rest may be.
                self.problem(&place, error, false);
                self.whole(place);
            }
        }
    }

    /// A disk, or what is like one.
    fn whole(&mut self, place: Place) {
        if !self.admits(&place) {
            return;
        }
        match layout(&place.source) {
            Err(error) => self.problem(&place, error, true),
            Ok(Layout::Whole(found, flaws)) => {
                flaws.into_iter().for_each(|flaw| self.problem(&place, flaw.error, flaw.hides));
                self.volume(place, found);
            }
            Ok(Layout::Table(table)) => self.table(place, table),
        }
    }

    fn table(&mut self, place: Place, table: Table) {
        for flaw in table.flaws {
            let name = flaw.number.map_or_else(|| place.name.clone(), |number| names::partition(&place.name, number));
            self.problem(&Place { name, ..place.clone() }, flaw.error, flaw.hides);
        }
        if table.partitions.is_empty() {
            return self.push(place, Contents::Known("partition table without partitions"));
        }
        for partition in table.partitions {
            let name = names::partition(&place.name, partition.number);
            let part = Place::new(&place.drive, &name, place.source.clone());
            if !self.admits(&part) {
                return;
            }
            match partition.source(&place.source).and_then(|source| Ok((look(source.as_ref())?, source))) {
                Ok((found, source)) => {
                    let Partition { purpose, uuid, label, .. } = partition;
                    self.volume(Place { source, purpose, uuid, label, ..part }, found);
                }
                Err(error) => self.problem(&part, error, true),
            }
        }
    }

    /// What was found in a place: a volume, or something for the next round.
    fn volume(&mut self, place: Place, found: Found) {
        match found {
            Found::Plain(contents) => self.push(place, contents),
            Found::Physical(label) => self.physical.push((place, label)),
            Found::Md(member) if member.mirrored.is_some() => self.halves.push((place, member)),
            Found::Md(member) => {
                let what = format!("md {} member (metadata {})", member.level, member.version);
                self.push(place, Contents::Member(what));
            }
        }
    }

    fn push(&mut self, place: Place, contents: Contents) {
        let contents = match (place.purpose, contents) {
            (Some(purpose), Contents::Blank | Contents::Unknown) => Contents::Known(purpose),
            (_, contents) => contents,
        };
        let Place { drive, name, source, uuid, label, .. } = place;
        let name = self.own_name(&name);
        self.found.volumes.push(Volume { drive, name, source, contents, partition_uuid: uuid, partition_label: label });
    }

    /// A name that no other volume has.
    fn own_name(&mut self, name: &str) -> String {
        let own = (1..).map(|number| names::repeated(name, number)).find(|name| !self.names.contains(name)).unwrap_or_default();
        self.names.insert(own.clone());
        own
    }

    /// Whether one more place may be looked at. That there are too many is said once.
    fn admits(&mut self, place: &Place) -> bool {
        self.places += 1;
        if self.places == VOLUMES_MAX + 1 {
            let what = "the number of volumes".to_owned();
            self.problem(place, ReadError::Limit { what, limit: VOLUMES_MAX as u64, unit: "volumes" }, true);
        }
        self.places <= VOLUMES_MAX
    }

    /// Reads each mirror from its newest half.
    fn mirrors(&mut self, halves: Vec<(Place, Member)>, depth: usize) {
        let mut newest = BTreeMap::<[u8; 16], u64>::new();
        for (_, half) in &halves {
            let events = newest.entry(half.array).or_default();
            *events = half.events.max(*events);
        }
        for (place, half) in halves {
            // The first of several that are as new takes the entry away.
            if newest.get(&half.array) != Some(&half.events) {
                self.push(place, Contents::Known("half of an md RAID1 that is read from another half"));
                continue;
            }
            newest.remove(&half.array);
            match mirrored(&place, &half) {
                Ok(_) if depth > VOLUME_NESTING_MAX => self.too_deep(place),
                Ok(source) => {
                    let what = format!("joining the halves of an md RAID1 (metadata {})", half.version);
                    let note = "only this half of it was read, and another may be newer";
                    self.problem(&place, ReadError::unsupported(what, note), false);
                    self.whole(Place { source, ..place });
                }
                Err(error) => self.problem(&place, error, true),
            }
        }
    }

    /// Joins physical volumes to groups and goes into their logical volumes.
    fn groups(&mut self, places: Vec<(Place, Label)>, depth: usize) {
        if depth > VOLUME_NESTING_MAX {
            return places.into_iter().for_each(|(place, _)| self.too_deep(place));
        }
        let physical = |(place, label): &(Place, Label)| lvm::Physical {
            drive: place.drive.clone(),
            name: place.name.clone(),
            source: place.source.clone(),
            label: label.clone(),
        };
        let joined = lvm::join(&places.iter().map(physical).collect::<Vec<_>>());
        for problem in joined.problems {
            let lvm::Problem { drive, name, error, hides } = problem;
            self.note(Problem { drive, name, error, hides });
        }
        for (index, unread) in joined.unread {
            let contents = match unread {
                Unread::Unused => Contents::Known("LVM physical volume without a group"),
                Unread::Orphan => Contents::Member("LVM physical volume whose group is not read".to_owned()),
            };
            if let Some((place, _)) = places.get(index) {
                self.push(place.clone(), contents);
            }
        }
        for volume in joined.volumes {
            match volume.source {
                Ok(source) => self.whole(Place::new(&volume.drive, &volume.name, source)),
                Err(kind) => {
                    let place = Place::new(&volume.drive, &volume.name, Arc::new(Vec::new()));
                    if self.admits(&place) {
                        self.push(place, Contents::Member(format!("LVM {kind}")));
                    }
                }
            }
        }
    }

    fn too_deep(&mut self, place: Place) {
        let what = format!("the depth of volumes in each other down to {}", place.name);
        self.problem(&place, ReadError::Limit { what, limit: VOLUME_NESTING_MAX as u64, unit: "layers" }, true);
    }

    fn problem(&mut self, place: &Place, error: ReadError, hides: bool) {
        self.note(Problem { drive: place.drive.clone(), name: place.name.clone(), error, hides });
    }

    /// The last of too many problems is that there are too many.
    fn note(&mut self, problem: Problem) {
        match VOLUME_PROBLEMS_MAX.saturating_sub(self.found.problems.len()) {
            0 => {}
            1 => {
                let what = "the number of problems".to_owned();
                let error = ReadError::Limit { what, limit: VOLUME_PROBLEMS_MAX as u64, unit: "problems" };
                self.found.problems.push(Problem { error, hides: true, ..problem });
            }
            _ => self.found.problems.push(problem),
        }
    }
}

/// The data of a mirror, as its half has them.
fn mirrored(place: &Place, half: &Member) -> Result<Source> {
    let (start, len) = half.mirrored.unwrap_or_default();
    match Slice::new(place.source.clone(), start, len) {
        Ok(data) => Ok(Arc::new(data)),
        Err(_) => Err(ReadError::corrupt(format!("the md RAID1 on {}", place.name), "its data are not within its half")),
    }
}

#[cfg(test)]
mod tests;
