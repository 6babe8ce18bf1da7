//! `/etc/fstab`: which file system belongs where. Read tolerantly: a line that makes no sense hides no other.

use crate::filesystem::Subvolume;
use crate::limits::FSTAB_ENTRIES_MAX;

/// How an entry names its file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// The file system's UUID.
    Uuid(String),
    /// The file system's label.
    Label(String),
    /// The partition's UUID.
    PartUuid(String),
    /// The partition's name.
    PartLabel(String),
    /// A volume's name, of a logical volume as the device mapper forms it.
    Volume(String),
    /// The number of a partition of the first disk. Weak: disks change their names and order.
    Partition(u32),
    /// Something else: not a disk, or another disk.
    Other(String),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub device: Device,
    pub point: Vec<u8>,
    /// `xfs`, `ext4`, `auto` and so on.
    pub kind: String,
    pub subvolume: Subvolume,
}

/// What an fstab says.
pub(super) struct Fstab {
    /// The first entries that are mounted somewhere, at most [`FSTAB_ENTRIES_MAX`].
    pub entries: Vec<Entry>,
    /// Whether there are more.
    pub has_more: bool,
}

/// Reads an fstab.
pub(super) fn parse(content: &[u8]) -> Fstab {
    let mut all = content.split(|byte| *byte == b'\n').filter_map(entry);
    let entries = all.by_ref().take(FSTAB_ENTRIES_MAX).collect();
    Fstab { entries, has_more: all.next().is_some() }
}

fn entry(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let device = fields.next().filter(|device| !device.starts_with(b"#"))?;
    let point = unescaped(fields.next()?);
    let kind = String::from_utf8_lossy(fields.next().unwrap_or(b"auto")).into_owned();
    let subvolume = subvolume(fields.next().unwrap_or_default());
    let device = self::device(&String::from_utf8_lossy(&unescaped(device)));
    point.starts_with(b"/").then_some(Entry { device, point, kind, subvolume })
}

fn subvolume(options: &[u8]) -> Subvolume {
    let value = |name: &[u8]| options.split(|byte| *byte == b',').find_map(|option| option.strip_prefix(name));
    if let Some(id) = value(b"subvolid=").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok()) {
        return Subvolume::Id(id);
    }
    value(b"subvol=").map_or(Subvolume::Default, |path| Subvolume::Path(unescaped(path)))
}

fn device(name: &str) -> Device {
    let after = |prefixes: [&str; 2]| {
        let value = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        Some(value.trim_matches('"').to_owned())
    };
    if let Some(uuid) = after(["UUID=", "/dev/disk/by-uuid/"]) {
        Device::Uuid(uuid)
    } else if let Some(label) = after(["LABEL=", "/dev/disk/by-label/"]) {
        Device::Label(label)
    } else if let Some(uuid) = after(["PARTUUID=", "/dev/disk/by-partuuid/"]) {
        Device::PartUuid(uuid)
    } else if let Some(label) = after(["PARTLABEL=", "/dev/disk/by-partlabel/"]) {
        Device::PartLabel(label)
    } else {
        path_device(name)
    }
}

fn path_device(name: &str) -> Device {
    let Some(path) = name.strip_prefix("/dev/") else { return Device::Other(name.to_owned()) };
    match path.split_once('/') {
        Some(("mapper", _)) => Device::Volume(name.to_owned()),
        // The device mapper joins group and volume by a hyphen and doubles those within.
        Some((group, volume)) if !volume.contains('/') && group != "disk" => {
            Device::Volume(format!("/dev/mapper/{}-{}", group.replace('-', "--"), volume.replace('-', "--")))
        }
        Some(_) => Device::Other(name.to_owned()),
        None => partition(path).map_or_else(|| Device::Other(name.to_owned()), Device::Partition),
    }
}

/// The number of a partition of the first disk: `sda2`, `xvda2`, `nvme0n1p2`.
fn partition(name: &str) -> Option<u32> {
    const FIRST_DISKS: [&str; 7] = ["sda", "xvda", "vda", "hda", "nvme0n1p", "mmcblk0p", "xvde"];
    FIRST_DISKS.iter().find_map(|disk| name.strip_prefix(disk)?.parse().ok())
}

/// Octal escapes, which stand for blanks, undone.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = after.first_chunk::<3>().filter(|_| *first == b'\\').and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 8).ok()
        });
        plain.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn only(line: &str) -> Entry {
        let mut entries = parse(line.as_bytes()).entries;
        assert_eq!(entries.len(), 1, "{line}");
        entries.remove(0)
    }

    #[test]
    fn devices_are_told_apart() {
        let device = |name: &str| only(&format!("{name} /x xfs defaults 0 0")).device;
        assert_eq!(device("UUID=AB-cd"), Device::Uuid("AB-cd".into()));
        assert_eq!(device("UUID=\"AB-cd\""), Device::Uuid("AB-cd".into()));
        assert_eq!(device("/dev/disk/by-uuid/ab"), Device::Uuid("ab".into()));
        assert_eq!(device("LABEL=a\\040b"), Device::Label("a b".into()));
        assert_eq!(device("PARTUUID=ab"), Device::PartUuid("ab".into()));
        assert_eq!(device("PARTLABEL=p.lxroot"), Device::PartLabel("p.lxroot".into()));
        assert_eq!(device("/dev/mapper/rhel-root"), Device::Volume("/dev/mapper/rhel-root".into()));
        assert_eq!(device("/dev/my-vg/lv-root"), Device::Volume("/dev/mapper/my--vg-lv--root".into()));
        assert_eq!(device("/dev/xvda2"), Device::Partition(2));
        assert_eq!(device("/dev/nvme0n1p3"), Device::Partition(3));
        assert_eq!(device("/dev/sdb1"), Device::Other("/dev/sdb1".into()));
        assert_eq!(device("server:/export"), Device::Other("server:/export".into()));
    }

    #[test]
    fn subvolumes_are_read_from_the_options() {
        assert_eq!(only("UUID=a / btrfs compress=zstd,subvol=root 0 0").subvolume, Subvolume::Path(b"root".to_vec()));
        assert_eq!(only("UUID=a / btrfs subvolid=256").subvolume, Subvolume::Id(256));
        assert_eq!(only("UUID=a / btrfs").subvolume, Subvolume::Default);
    }

    #[test]
    fn comments_swap_and_broken_lines_are_passed_over() {
        let text = b"# UUID=a / xfs\n\n  \nUUID=b\nUUID=c swap swap defaults 0 0\nUUID=d none swap sw\n\tUUID=e\t/mnt\\040x\txfs\r\n";
        let entries = parse(text).entries;
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].point.as_slice(), entries[0].kind.as_str()), (b"/mnt x".as_slice(), "xfs"));
    }

    #[test]
    fn no_more_entries_than_the_limit_are_looked_at_and_that_there_are_more_is_told() {
        let of = |count: usize| {
            let fstab = parse("UUID=a /x xfs\n".repeat(count).as_bytes());
            (fstab.entries.len(), fstab.has_more)
        };
        assert_eq!(of(FSTAB_ENTRIES_MAX), (FSTAB_ENTRIES_MAX, false));
        assert_eq!(of(10_000), (FSTAB_ENTRIES_MAX, true));
    }

    #[test]
    fn comments_before_an_entry_do_not_hide_it_however_many() {
        let text = "# UUID=a /x xfs\n\n".repeat(FSTAB_ENTRIES_MAX) + "UUID=b /usr xfs\n";
        assert_eq!(parse(text.as_bytes()).entries.len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            parse(&bytes);
            parse(&[b"/dev/a /x xfs ", bytes.as_slice()].concat());
        }
    }
}
