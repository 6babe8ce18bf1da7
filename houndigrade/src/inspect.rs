//! One image's disks to findings: volumes, systems, facts, verdict, joined here and nowhere else. It starts no process and sets no limit
//! of time or memory: [`crate::sandbox`] does.

use cloudigrade_schemas::findings::{DatabaseState, Facts, ImageFindings, Inspected, JoinedVolume, PartitionFindings, UnreadKind};

use crate::error::ReadError;
use crate::source::{Guarded, fingerprint};
use crate::tree::{Assembly, Role, System, Tree, VolumeOutcome, assemble};
use crate::volumes::{Contents, Discovery, Disk, Problem, Volume, discover};
use crate::{facts, filesystem, verdict};

/// Says what is on the disks of an image. Always gives findings: what fails is in them.
pub fn inspect(image: &str, disks: Vec<Disk>) -> ImageFindings {
    let guards: Vec<Guarded> = disks.iter().map(|disk| Guarded::new(disk.source.clone(), &disk.name)).collect();
    let guarded = disks.into_iter().zip(&guards).map(|(disk, guard)| Disk { source: guard.source.clone(), ..disk });
    let disks: Vec<Disk> = guarded.collect();
    let mut report = Report::new(image, &disks);
    let Discovery { volumes, problems } = discover(&disks);
    let Assembly { systems, volumes: outcomes } = assemble(&volumes);
    for (volume, outcome) in volumes.iter().zip(outcomes) {
        report.volume(volume, outcome);
    }
    for system in &systems {
        report.system(system);
    }
    for problem in problems {
        report.problem(&problem);
    }
    report.findings.bytes_read = guards.iter().map(|guard| guard.device.bytes()).sum();
    report.findings.fingerprint = fingerprint(guards.iter().map(|guard| &*guard.contents));
    report.finish()
}

/// File systems that can hold a system and are recognised, but not read.
const NOT_READ: [&str; 6] = ["squashfs", "erofs", "F2FS", "ReiserFS", "JFS", "ISO 9660"];

struct Report<'a> {
    image: &'a str,
    findings: ImageFindings,
}

impl<'a> Report<'a> {
    /// A report in which every disk is there, whatever comes of it.
    fn new(image: &'a str, disks: &[Disk]) -> Self {
        let drives = disks.iter().map(|disk| (disk.name.clone(), Default::default())).collect();
        Self { image, findings: ImageFindings { drives, ..ImageFindings::default() } }
    }

    fn partition(&mut self, drive: &str, name: &str) -> &mut PartitionFindings {
        self.findings.drives.entry(drive.to_owned()).or_default().entry(name.to_owned()).or_default()
    }

    fn volume(&mut self, volume: &Volume, outcome: VolumeOutcome) {
        // A file system that is no system's root, such as /boot, is asked too: not all that was installed looks like a system.
        let facts = (outcome.role == Role::Other).then(|| own_facts(volume, self.image));
        let (inspected, error) = match (&outcome.error, facts.as_ref()) {
            (Some(error), _) | (None, Some(Err(error))) => (kind_of(error), Some(format!("{}: {error}", volume.name))),
            (None, _) => state_of(volume, &outcome),
        };
        let partition = self.partition(&volume.drive, &volume.name);
        *partition = PartitionFindings {
            contents: contents_of(&outcome),
            inspected,
            error,
            caveats: outcome.caveats,
            ..PartitionFindings::default()
        };
        if let Some(Ok(facts)) = facts {
            hold(partition, facts);
        }
    }

    fn system(&mut self, system: &System) {
        let facts = facts::read(system, &system.root_volume, self.image);
        let joined: Vec<_> =
            system.joined.iter().map(|(place, volume)| JoinedVolume { volume: volume.clone(), mounted_at: place.clone() }).collect();
        for (name, volume) in self.findings.drives.values_mut().flatten() {
            if joined.iter().any(|joined| joined.volume == *name) && *name != system.root_volume {
                volume.part_of = Some(system.root_volume.clone());
            }
        }
        let partition = self.partition(&system.drive, &system.root_volume);
        partition.joined = joined;
        partition.caveats = system.caveats.clone();
        if !system.caveats.is_empty() {
            partition.inspected = Inspected::Partial;
        }
        hold(partition, facts);
    }

    fn problem(&mut self, problem: &Problem) {
        let told = format!("{}: {}", problem.name, problem.error);
        if !problem.hides {
            return self.findings.caveats.push(told);
        }
        let partition = self.partition(&problem.drive, &problem.name);
        // A volume that could be read beside the problem stays what it is, but is not all that there is.
        partition.inspected = match partition.facts {
            Some(_) => Inspected::Partial,
            None => kind_of(&problem.error),
        };
        match &mut partition.error {
            Some(error) => *error = format!("{error}; {told}"),
            none => *none = Some(told),
        }
    }

    fn finish(mut self) -> ImageFindings {
        let partitions = self.findings.drives.values().flat_map(|drive| drive.values());
        self.findings.errors = partitions.filter_map(|partition| partition.error.clone()).collect();
        verdict::decide(&mut self.findings);
        self.findings
    }
}

/// The facts of a volume that belongs to no system.
fn own_facts(volume: &Volume, image: &str) -> crate::Result<Facts> {
    let tree = Tree::new(filesystem::open(volume)?, b"");
    Ok(facts::read(&tree, &volume.name, image))
}

/// Adds facts to a volume, which is partial if any of them is.
fn hold(partition: &mut PartitionFindings, facts: Facts) {
    let packages = &facts.rhel_signed_packages;
    let is_whole = facts.unread.is_empty()
        && packages.error.is_none()
        && packages.databases.iter().all(|database| database.state == DatabaseState::Whole);
    if !is_whole {
        partition.inspected = Inspected::Partial;
    }
    partition.facts = Some(facts);
}

/// How far a volume could be looked into whose file system, if it has one, could be opened; and why no files of it could be read.
fn state_of(volume: &Volume, outcome: &VolumeOutcome) -> (Inspected, Option<String>) {
    let name = &volume.name;
    let unsupported = |what: &str| (Inspected::Unsupported, Some(format!("{name} is not supported: it holds {what}")));
    match &outcome.contents {
        Contents::Luks { version } => {
            (Inspected::Encrypted, Some(format!("{name} is encrypted with LUKS {version}: what is in it cannot be read")))
        }
        Contents::Member(what) => unsupported(what),
        Contents::Unknown => unsupported("nothing that is known"),
        Contents::Known(what) if NOT_READ.contains(what) => unsupported(what),
        Contents::Blank if volume.source.is_empty() => (Inspected::Corrupt, Some(format!("{name} has no bytes at all"))),
        Contents::Known(_) | Contents::Blank => (Inspected::Complete, None),
        Contents::Ext | Contents::Xfs | Contents::Btrfs if outcome.caveats.is_empty() => (Inspected::Complete, None),
        Contents::Ext | Contents::Xfs | Contents::Btrfs => (Inspected::Partial, None),
    }
}

fn contents_of(outcome: &VolumeOutcome) -> String {
    match &outcome.contents {
        Contents::Ext => outcome.file_system.unwrap_or("ext").to_owned(),
        Contents::Xfs => "xfs".to_owned(),
        Contents::Btrfs => "btrfs".to_owned(),
        Contents::Known(what) => (*what).to_owned(),
        Contents::Luks { version } => format!("LUKS {version}"),
        Contents::Member(what) => what.clone(),
        Contents::Blank => "blank".to_owned(),
        Contents::Unknown => "unknown".to_owned(),
    }
}

fn kind_of(error: &ReadError) -> Inspected {
    match facts::kind_of(error) {
        UnreadKind::Unsupported => Inspected::Unsupported,
        UnreadKind::Corrupt | UnreadKind::Limit => Inspected::Corrupt,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn found(bytes: Vec<u8>) -> ImageFindings {
        inspect("ami-1", vec![Disk { name: "/dev/xvdb".into(), source: Arc::new(bytes) }])
    }

    fn with(at: usize, signature: &[u8]) -> Vec<u8> {
        let mut disk = vec![0; 1 << 20];
        disk[at..at + signature.len()].copy_from_slice(signature);
        disk
    }

    #[test]
    fn each_kind_of_disk_without_files_is_told_apart() {
        let of = |bytes| {
            let image = found(bytes);
            let volume = &image.drives["/dev/xvdb"]["/dev/xvdb"];
            (volume.contents.clone(), image.inspected, image.is_rhel, image.errors.len())
        };
        assert_eq!(of(with(0, b"LUKS\xba\xbe\0\x02")), ("LUKS 2".to_owned(), Inspected::Encrypted, None, 1));
        assert_eq!(of(with(3, b"NTFS    ")), ("NTFS".to_owned(), Inspected::Complete, Some(false), 0));
        assert_eq!(of(with(0, b"hsqs")), ("squashfs".to_owned(), Inspected::Unsupported, None, 1));
        assert_eq!(of(with(0, b"")), ("blank".to_owned(), Inspected::Complete, Some(false), 0));
        assert_eq!(of(with(9, b"x")), ("unknown".to_owned(), Inspected::Unsupported, None, 1));
    }

    #[test]
    fn a_damaged_file_system_is_an_error_of_its_volume_and_its_image() {
        let image = found(with(1080, b"\x53\xef"));
        let error = image.drives["/dev/xvdb"]["/dev/xvdb"].error.clone();
        assert_eq!((image.inspected, image.is_rhel), (Inspected::Corrupt, None));
        assert_eq!(image.errors, error.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_disk_without_any_bytes_is_in_the_report() {
        let image = found(Vec::new());
        assert!(image.drives.contains_key("/dev/xvdb"));
        assert_eq!(image.is_rhel, None);
    }

    #[test]
    fn bytes_are_counted() {
        assert!((1..1 << 20).contains(&found(with(3, b"NTFS    ")).bytes_read));
    }
}
