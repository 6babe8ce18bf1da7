//! What belongs below a root: by its fstab, else by what volumes look like.

use std::rc::Rc;

use super::assemble::{Known, Open, Opened, System};
use super::fstab::{self, Device, Entry, Fstab};
use super::{Files, shape};
use crate::error::ReadError;
use crate::filesystem::{FileSystem, Subvolume, describe, shown};
use crate::limits::{FSTAB_BYTES_MAX, FSTAB_ENTRIES_MAX, MOUNTS_MAX};
use crate::volumes::{Volume, names};

/// Kinds of an fstab entry that can be on a volume that is read.
const KINDS: [&str; 6] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "auto"];
/// Mount points without which facts are missed.
const NEEDED: [&str; 8] = ["/etc", "/usr", "/usr/lib", "/usr/lib/sysimage", "/usr/share", "/var", "/var/lib", "/var/lib/rpm"];

/// Joins what the root's fstab names. What is needed and cannot be had becomes a caveat.
pub(super) fn join_by_fstab(system: &mut System, root: usize, opened: &mut [Opened<'_>], open: Open<'_>) {
    let Fstab { mut entries, has_more } = match system.read(b"/etc/fstab", FSTAB_BYTES_MAX) {
        Ok(content) => fstab::parse(&content),
        Err(ReadError::NotFound { .. }) => return,
        Err(error) => return system.caveats.push(format!("volumes below the root may be missing: {error}")),
    };
    if has_more {
        system.caveats.push(format!("volumes below the root may be missing: fstab has more than {FSTAB_ENTRIES_MAX} entries"));
    }
    entries.retain(|entry| entry.point.iter().any(|byte| *byte != b'/'));
    // What is mounted below something must be mounted after it.
    entries.sort_by_key(|entry| entry.point.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).count());
    for entry in entries {
        if let Err(why) = join_entry(system, root, &entry, opened, open)
            && NEEDED.contains(&shown(&entry.point).trim_end_matches('/'))
        {
            system.caveats.push(format!("{} is not joined: {why}", shown(&entry.point)));
        }
    }
}

fn join_entry(system: &mut System, root: usize, entry: &Entry, opened: &mut [Opened<'_>], open: Open<'_>) -> Result<(), String> {
    if !KINDS.contains(&entry.kind.as_str()) {
        return Err(format!("{} is not read", entry.kind));
    }
    let candidates = matching(&entry.device, root, opened);
    let found = *candidates.first().ok_or_else(|| format!("{} is on none of the disks", shown_device(&entry.device)))?;
    let volume = opened[found].volume;
    let below = below_root(found == root, entry, &opened[found], open)?;
    if candidates.len() > 1 {
        let point = shown(&entry.point);
        system.caveats.push(format!("{} volumes are what fstab names for {point}; {} was taken", candidates.len(), volume.name));
    }
    if matches!(entry.device, Device::Partition(_)) {
        system.caveats.push(format!("{} was joined as {} by the number of its partition", volume.name, shown(&entry.point)));
    }
    join(system, &entry.point, volume, below)?;
    opened[found].joined = true;
    Ok(())
}

/// The file system to be mounted.
fn below_root(is_root: bool, entry: &Entry, opened: &Opened<'_>, open: Open<'_>) -> Result<Rc<dyn FileSystem>, String> {
    let name = &opened.volume.name;
    match (&opened.known, &opened.error) {
        (Some(_), _) if entry.subvolume != Subvolume::Default => {
            open(opened.volume, &entry.subvolume).map_err(|error| format!("the subvolume on {name} cannot be opened: {error}"))
        }
        (Some(_), _) if is_root => Err(format!("{name} is the root itself")),
        (Some(_), _) => open(opened.volume, &Subvolume::Default).map_err(|error| format!("{name} cannot be opened: {error}")),
        (None, Some(error)) => Err(format!("{name} cannot be opened: {error}")),
        (None, None) => Err(format!("{name} holds {}", describe(&opened.volume.contents))),
    }
}

fn join(system: &mut System, point: &[u8], volume: &Volume, below: Rc<dyn FileSystem>) -> Result<(), String> {
    if system.joined.len() >= MOUNTS_MAX {
        return Err(format!("there are more than {MOUNTS_MAX}"));
    }
    system.caveats.extend(below.caveats().into_iter().map(|caveat| format!("{}: {caveat}", volume.name)));
    system.tree.mount(point, below, b"").map_err(|error| error.to_string())?;
    system.joined.push((shown(point), volume.name.clone()));
    Ok(())
}

/// The volumes that a device of the root's fstab can be, those on the root's drive first.
fn matching(device: &Device, root: usize, opened: &[Opened<'_>]) -> Vec<usize> {
    let drive = &opened[root].volume.drive;
    let is = |one: &Opened<'_>| {
        let (volume, same) =
            (one.volume, |value: &Option<String>, wanted: &str| value.as_deref().is_some_and(|is| is.eq_ignore_ascii_case(wanted)));
        match device {
            Device::Uuid(uuid) => one.known.as_ref().is_some_and(|known| same(&known.uuid, uuid)),
            Device::Label(label) => one.known.as_ref().is_some_and(|known| known.label.as_deref() == Some(label)),
            Device::PartUuid(uuid) => same(&volume.partition_uuid, uuid),
            Device::PartLabel(label) => volume.partition_label.as_deref() == Some(label),
            Device::Volume(name) => names::parted(&volume.name).0 == name,
            Device::Partition(number) => volume.drive == *drive && partition_number(volume) == Some(*number),
            Device::Other(_) => false,
        }
    };
    let mut found: Vec<usize> = (0..opened.len()).filter(|i| is(&opened[*i])).collect();
    found.sort_by_key(|i| opened[*i].volume.drive != *drive);
    if let Device::Volume(_) = device {
        // Groups of several machines can have the same name: one knows only its own.
        let group = names::parted(&opened[root].volume.name).1;
        let own: Vec<usize> = found.iter().copied().filter(|i| names::parted(&opened[*i].volume.name).1 == group).collect();
        found = if own.is_empty() { found } else { own };
    }
    found
}

/// The number at the end of a partition's name: that of its drive, `p` if the drive ends with a digit, and the number.
fn partition_number(volume: &Volume) -> Option<u32> {
    let rest = volume.name.strip_prefix(&volume.drive)?;
    rest.strip_prefix('p').unwrap_or(rest).parse().ok()
}

fn shown_device(device: &Device) -> String {
    match device {
        Device::Uuid(uuid) => format!("UUID={uuid}"),
        Device::Label(label) => format!("LABEL={label}"),
        Device::PartUuid(uuid) => format!("PARTUUID={uuid}"),
        Device::PartLabel(label) => format!("PARTLABEL={label}"),
        Device::Partition(number) => format!("partition {number} of the first disk"),
        Device::Volume(name) | Device::Other(name) => name.clone(),
    }
}

/// How a volume is known for what belongs at a mount point, and how a root is known to lack it.
type Place = (&'static str, fn(&Known) -> bool, fn(&dyn Files) -> bool);
const PLACES: [Place; 2] = [("/usr", |known| known.is_usr, shape::lacks_usr), ("/var", |known| known.is_var, shape::lacks_var)];

/// Joins a `/usr` and a `/var` that no fstab names to the root that lacks them, if there is no doubt which belong together.
pub(super) fn join_by_content(roots: &mut [(usize, System)], opened: &mut [Opened<'_>], open: Open<'_>) {
    for (point, looks_like_it, lacks_it) in PLACES {
        let free = |one: &Opened<'_>| !one.joined && !one.root && one.known.as_ref().is_some_and(looks_like_it);
        let candidates: Vec<usize> = (0..opened.len()).filter(|i| free(&opened[*i])).collect();
        let lacking: Vec<usize> = (0..roots.len()).filter(|i| lacks_it(&roots[*i].1.tree)).collect();
        match (lacking.as_slice(), candidates.as_slice()) {
            ([], _) | (_, []) => {}
            ([root], [found]) => {
                let one = &mut opened[*found];
                let system = &mut roots[*root].1;
                let below = open(one.volume, &Subvolume::Default).map_err(|error| error.to_string());
                match below.and_then(|below| join(system, point.as_bytes(), one.volume, below)) {
                    Ok(()) => {
                        one.joined = true;
                        system.caveats.push(format!("{} was joined as {point} for what it holds; no fstab names it", one.volume.name));
                    }
                    Err(why) => system.caveats.push(format!("{} looks like {point} and is not joined: {why}", one.volume.name)),
                }
            }
            (lacking, candidates) => {
                for root in lacking {
                    let why = format!("{point} is missing; {} volumes look like it, which belongs here is not known", candidates.len());
                    roots[*root].1.caveats.push(why);
                }
            }
        }
    }
}
