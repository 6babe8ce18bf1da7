//! Systems put together from file systems in memory.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::rc::Weak;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::filesystem::memory::Memory;
use crate::filesystem::testing::{blank_image, image, run};

/// Volumes by name, `/dev/sda1` on drive `/dev/sda`, with what each holds.
#[derive(Default)]
struct Machine {
    volumes: Vec<Volume>,
    systems: HashMap<(String, Subvolume), Rc<dyn FileSystem>>,
}

impl Machine {
    fn volume(mut self, name: &str, contents: Contents) -> Self {
        let drive = if name.starts_with("/dev/mapper") { "/dev/sda" } else { &name[..8] };
        self.volumes.push(Volume {
            drive: drive.to_owned(),
            name: name.to_owned(),
            source: Arc::new(Vec::new()),
            contents,
            partition_uuid: Some(format!("PART-{name}")),
            partition_label: None,
        });
        self
    }

    fn with(mut self, name: &str, memory: Memory) -> Self {
        self = self.volume(name, Contents::Xfs);
        self.systems.insert((name.to_owned(), Subvolume::Default), Rc::new(memory));
        self
    }

    fn with_btrfs(mut self, name: &str, subvolumes: Vec<(Subvolume, Memory)>) -> Self {
        self = self.volume(name, Contents::Btrfs);
        for (subvolume, memory) in subvolumes {
            self.systems.insert((name.to_owned(), subvolume), Rc::new(memory));
        }
        self
    }

    fn assemble(&self) -> Assembly {
        assemble_by(&self.volumes, &|volume, subvolume| {
            let key = (volume.name.clone(), subvolume.clone());
            self.systems.get(&key).cloned().ok_or_else(|| ReadError::corrupt(&volume.name, "it is torn"))
        })
    }

    /// The only system.
    fn system(&self) -> System {
        let mut assembly = self.assemble();
        assert_eq!(assembly.systems.len(), 1);
        assembly.systems.remove(0)
    }
}

fn root(fstab: &str) -> Memory {
    Memory::new().with_link("/etc/os-release", "../usr/lib/os-release").with_dir("/usr").with_dir("/var").with_file("/etc/fstab", fstab)
}

fn usr() -> Memory {
    Memory::new().with_file("/lib/os-release", "ID=rhel").with_dir("/bin").with_dir("/share").with_dir("/etc")
}

fn var() -> Memory {
    Memory::new().with_file("/lib/rpm/rpmdb.sqlite", "db")
}

fn read(system: &System, path: &str) -> String {
    String::from_utf8(system.read(path.as_bytes(), 100).unwrap()).unwrap()
}

fn roles(assembly: &Assembly) -> Vec<Role> {
    assembly.volumes.iter().map(|volume| volume.role).collect()
}

#[test]
fn usr_and_var_are_joined_as_fstab_names_them() {
    let machine = Machine::default()
        .with("/dev/mapper/rhel-var", var())
        .with("/dev/sda2", usr().with_uuid("ab-cd"))
        .with("/dev/mapper/rhel-root", root("/dev/rhel/var /var xfs\nUUID=AB-CD /usr xfs\n/dev/mapper/rhel-root / xfs"));
    let system = machine.system();
    assert_eq!((read(&system, "/etc/os-release"), read(&system, "/var/lib/rpm/rpmdb.sqlite")), ("ID=rhel".into(), "db".into()));
    assert!(system.caveats.is_empty(), "{:?}", system.caveats);
    assert_eq!(system.joined.len(), 2);
    assert_eq!(roles(&machine.assemble()), [Role::Joined, Role::Joined, Role::Root]);
}

#[test]
fn of_volumes_of_one_name_those_of_the_roots_own_machine_are_joined() {
    let fstab = "/dev/mapper/vg-usr /usr xfs";
    let host = usr().with_file("/lib/os-release", "ID=host");
    let machine = Machine::default()
        .with("/dev/mapper/vg-root", root(fstab))
        .with("/dev/mapper/vg-usr", host)
        .with("/dev/mapper/vg-root (2)", root(fstab))
        .with("/dev/mapper/vg-usr (2)", usr());
    let systems = machine.assemble().systems;
    let told: Vec<_> = systems.iter().map(|system| (read(system, "/etc/os-release"), system.caveats.len())).collect();
    assert_eq!(told, [("ID=host".to_owned(), 0), ("ID=rhel".to_owned(), 0)]);
}

#[test]
fn file_systems_that_belong_to_no_system_are_not_held() {
    let machine = (1..9).fold(Machine::default(), |all, number| all.volume(&format!("/dev/sda{number}"), Contents::Xfs));
    let (opened, most) = (RefCell::new(Vec::<Weak<dyn FileSystem>>::new()), Cell::new(0));
    let assembly = assemble_by(&machine.volumes, &|_, _| {
        let system: Rc<dyn FileSystem> = Rc::new(Memory::new().with_dir("/data"));
        opened.borrow_mut().push(Rc::downgrade(&system));
        most.set(most.get().max(opened.borrow().iter().filter(|one| one.strong_count() > 0).count()));
        Ok(system)
    });
    assert_eq!((roles(&assembly), most.get()), (vec![Role::Other; 8], 1));
}

#[test]
fn labels_and_partitions_name_volumes_too() {
    for device in ["LABEL=the\\040usr", "PARTUUID=part-/dev/sda2", "/dev/disk/by-label/the\\040usr"] {
        let machine =
            Machine::default().with("/dev/sda1", root(&format!("{device} /usr xfs"))).with("/dev/sda2", usr().with_label("the usr"));
        let system = machine.system();
        assert_eq!(read(&system, "/etc/os-release"), "ID=rhel", "{device}");
        assert!(system.caveats.is_empty());
    }
}

#[test]
fn a_partition_number_is_followed_with_a_caveat() {
    let machine = Machine::default().with("/dev/sdf1", root("/dev/xvda2 /usr xfs")).with("/dev/sdf2", usr()).with("/dev/sdg2", usr());
    let system = machine.system();
    assert_eq!(system.joined, [("/usr".to_owned(), "/dev/sdf2".to_owned())]);
    assert_eq!(system.caveats.len(), 1);
}

#[test]
fn what_fstab_needs_and_no_disk_has_is_a_caveat() {
    let system = Machine::default().with("/dev/sda1", root("UUID=1 /var xfs\nUUID=2 /home xfs\nserver:/x /usr nfs")).system();
    assert_eq!(system.caveats, ["/var is not joined: UUID=1 is on none of the disks", "/usr is not joined: nfs is not read"]);
}

#[test]
fn an_encrypted_or_torn_var_is_a_caveat() {
    let fstab = "PARTUUID=part-/dev/sda2 /var xfs\nPARTUUID=part-/dev/sda3 /usr xfs";
    let machine = Machine::default()
        .with("/dev/sda1", root(fstab))
        .volume("/dev/sda2", Contents::Luks { version: 2 })
        .volume("/dev/sda3", Contents::Xfs);
    let assembly = machine.assemble();
    assert_eq!(assembly.systems[0].caveats.len(), 2, "{:?}", assembly.systems[0].caveats);
    assert_eq!(roles(&assembly), [Role::Root, Role::NoFiles, Role::Unreadable]);
    assert!(assembly.volumes[2].error.is_some());
}

#[test]
fn without_fstab_a_lone_usr_and_var_are_joined_for_what_they_hold() {
    let bare = Memory::new().with_link("/etc/os-release", "../usr/lib/os-release").with_dir("/usr").with_dir("/var");
    let system = Machine::default().with("/dev/sda1", bare).with("/dev/sda2", var()).with("/dev/sda3", usr()).system();
    assert_eq!((read(&system, "/etc/os-release"), read(&system, "/var/lib/rpm/rpmdb.sqlite")), ("ID=rhel".into(), "db".into()));
    assert_eq!(system.caveats.len(), 2);
}

#[test]
fn of_several_vars_none_is_guessed() {
    let whole = root("").with_file("/usr/lib/os-release", "ID=rhel");
    let system = Machine::default().with("/dev/sda1", whole).with("/dev/sda2", var()).with("/dev/sda3", var()).system();
    assert!(system.joined.is_empty());
    assert_eq!(system.caveats.len(), 1, "{:?}", system.caveats);
}

#[test]
fn two_systems_on_two_disks_are_two_roots() {
    let machine = Machine::default()
        .with("/dev/sda1", root("UUID=1 /var xfs"))
        .with("/dev/sda2", var().with_uuid("1"))
        .with("/dev/sdb1", root("UUID=1 /var xfs"))
        .with("/dev/sdb2", var().with_uuid("1"));
    let assembly = machine.assemble();
    let joined: Vec<_> = assembly.systems.iter().map(|system| (system.drive.as_str(), system.joined[0].1.as_str())).collect();
    assert_eq!(joined, [("/dev/sda", "/dev/sda2"), ("/dev/sdb", "/dev/sdb2")]);
    assert!(assembly.systems[0].caveats[0].contains("2 volumes"));
}

#[test]
fn boot_and_swap_and_a_usr_of_its_own_are_no_roots() {
    let machine = Machine::default()
        .with("/dev/sda1", Memory::new().with_dir("/grub2").with_file("/vmlinuz", ""))
        .volume("/dev/sda2", Contents::Known("swap"))
        .with("/dev/sda3", usr())
        .volume("/dev/sda4", Contents::Blank);
    let assembly = machine.assemble();
    assert!(assembly.systems.is_empty());
    assert_eq!(roles(&assembly), [Role::Other, Role::NoFiles, Role::Other, Role::NoFiles]);
}

#[test]
fn an_etc_with_nothing_but_a_release_file_is_a_root() {
    Machine::default().with("/dev/sda1", Memory::new().with_file("/etc/redhat-release", "Red Hat")).system();
}

#[test]
fn of_btrfs_the_root_subvolume_is_found_and_others_joined() {
    let top = Memory::new().with_dir("/root/etc").with_dir("/var").with_uuid("1");
    let path = |name: &str| Subvolume::Path(name.as_bytes().to_vec());
    let fstab = "UUID=1 / btrfs subvol=root\nUUID=1 /var btrfs subvol=/var\nUUID=1 /usr btrfs subvolid=300";
    let subvolumes = vec![(Subvolume::Default, top), (path("root"), root(fstab)), (path("/var"), var()), (Subvolume::Id(300), usr())];
    let system = Machine::default().with_btrfs("/dev/sda1", subvolumes).system();
    assert_eq!((read(&system, "/etc/os-release"), read(&system, "/var/lib/rpm/rpmdb.sqlite")), ("ID=rhel".into(), "db".into()));
    assert!(system.caveats.is_empty(), "{:?}", system.caveats);
}

fn coreos() -> Memory {
    let deployment = |name: &str| format!("/ostree/deploy/rhcos/deploy/{name}.0");
    Memory::new()
        .with_link("/ostree/boot.1", "boot.1.1")
        .with_link("/ostree/boot.1.1/rhcos/bbbb/0", format!("../../../deploy/rhcos/deploy/{}.0", "second"))
        .with_link("/ostree/boot.1.1/rhcos/aaaa/0", "../../../deploy/rhcos/deploy/first.0")
        .with_link(deployment("first") + "/etc/os-release", "/usr/lib/os-release")
        .with_file(deployment("first") + "/usr/lib/os-release", "ID=rhcos")
        .with_file(deployment("first") + "/usr/share/rpm/rpmdb.sqlite", "db")
        .with_dir(deployment("first") + "/var")
        .with_file(deployment("second") + "/usr/lib/os-release", "ID=second")
        .with_file("/ostree/deploy/rhcos/var/lib/state", "state")
        .with_file("/usr/lib/os-release", "outside")
}

#[test]
fn an_ostree_deployment_is_the_root() {
    let system = Machine::default().with("/dev/sda4", coreos()).with("/dev/sda3", Memory::new().with_dir("/ostree/rhcos-aaaa")).system();
    assert_eq!(read(&system, "/etc/os-release"), "ID=rhcos");
    assert_eq!(read(&system, "/usr/share/rpm/rpmdb.sqlite"), "db");
    assert_eq!(read(&system, "/var/lib/state"), "state");
    assert!(system.stat(b"/sysroot/ostree/deploy").is_ok());
    assert!(system.stat(b"/ostree").is_err());
}

/// Why it is not known whether a volume that is no root is one.
fn error_of_no_root(memory: Memory) -> Option<ReadError> {
    let mut assembly = Machine::default().with("/dev/sda4", memory).assemble();
    assert!(assembly.systems.is_empty());
    assert_eq!(roles(&assembly), [Role::Other]);
    assembly.volumes.remove(0).error
}

#[test]
fn what_is_torn_where_a_root_is_looked_for_is_an_error_and_not_the_absence_of_a_root() {
    for torn in ["/ostree", "/ostree/boot.1.1/rhcos", "/ostree/deploy/rhcos/deploy"] {
        assert!(matches!(error_of_no_root(coreos().with_torn(torn)), Some(ReadError::Corrupt { .. })), "{torn}");
    }
    for torn in ["/etc", "/etc/os-release", "/usr"] {
        assert!(matches!(error_of_no_root(Memory::new().with_dir("/etc").with_torn(torn)), Some(ReadError::Corrupt { .. })), "{torn}");
    }
    assert!(error_of_no_root(Memory::new().with_dir("/etc").with_dir("/home")).is_none());
}

#[test]
fn a_deployment_that_no_boot_loader_finds_is_not_supported_and_a_boot_is_no_deployment() {
    let unknown = Memory::new().with_dir("/ostree/deploy/rhcos/deploy/first.0/usr");
    assert!(matches!(error_of_no_root(unknown), Some(ReadError::Unsupported { .. })));
    assert!(error_of_no_root(Memory::new().with_dir("/ostree/rhcos-aaaa")).is_none());
}

#[test]
fn a_deployment_behind_a_torn_one_is_a_root_with_a_caveat() {
    let system = Machine::default().with("/dev/sda4", coreos().with_torn("/ostree/deploy/rhcos/deploy/first.0")).system();
    assert_eq!((read(&system, "/usr/lib/os-release").as_str(), system.caveats.len()), ("ID=second", 1));
}

#[test]
fn a_root_subvolume_that_cannot_be_opened_is_an_error_and_one_that_is_not_there_is_none() {
    let machine = Machine::default().volume("/dev/sda1", Contents::Btrfs);
    let error = |of_root: fn() -> ReadError| {
        let open = |_: &Volume, subvolume: &Subvolume| match subvolume {
            Subvolume::Default => Ok(Rc::new(Memory::new().with_dir("/home")) as Rc<dyn FileSystem>),
            _ => Err(of_root()),
        };
        assemble_by(&machine.volumes, &open).volumes.remove(0).error
    };
    assert!(matches!(error(|| ReadError::corrupt("root", "it is torn")), Some(ReadError::Corrupt { .. })));
    assert!(error(|| ReadError::not_found("root")).is_none());
}

#[test]
fn ostree_links_in_a_circle_are_no_deployment() {
    let memory =
        Memory::new().with_link("/ostree/boot.0", "boot.1").with_link("/ostree/boot.1", "boot.0").with_link("/ostree/boot.1.1/a/b/0", "0");
    assert!(Machine::default().with("/dev/sda4", memory).assemble().systems.is_empty());
}

#[test]
fn an_fstab_that_is_a_fifo_is_a_caveat() {
    let system =
        Machine::default().with("/dev/sda1", Memory::new().with_dir("/usr/lib").with_dir("/var/lib").with_fifo("/etc/fstab")).system();
    assert_eq!(system.caveats.len(), 1);
}

#[test]
fn more_mounts_than_the_limit_are_not_joined() {
    let fstab: String = (0..400).map(|i| format!("UUID=1 /mnt/{i} xfs\n")).collect();
    let machine = Machine::default().with("/dev/sda1", root(&fstab)).with("/dev/sda2", usr().with_uuid("1"));
    assert_eq!(machine.system().joined.len(), crate::limits::MOUNTS_MAX);
}

#[test]
fn an_fstab_with_more_entries_than_the_limit_is_a_caveat() {
    let fstab = |count: usize| "UUID=9 /home xfs\n".repeat(count);
    let caveats = |count| Machine::default().with("/dev/sda1", root(&fstab(count))).system().caveats;
    assert_eq!(caveats(crate::limits::FSTAB_ENTRIES_MAX).len(), 0);
    assert!(caveats(crate::limits::FSTAB_ENTRIES_MAX + 1)[0].contains("more than 512 entries"));
}

#[test]
fn real_file_systems_of_three_kinds_are_put_together() {
    const VAR: &str = "01234567-89ab-cdef-0123-456789abcdef";
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("root/etc")).unwrap();
    fs::write(at("root/etc/fstab"), format!("UUID={VAR} /var btrfs\nLABEL=usr /usr xfs\n")).unwrap();
    std::os::unix::fs::symlink("/usr/lib/os-release", at("root/etc/os-release")).unwrap();
    fs::create_dir_all(at("var/lib/rpm")).unwrap();
    fs::write(at("var/lib/rpm/rpmdb.sqlite"), "db").unwrap();
    fs::write(at("os-release"), "ID=rhel").unwrap();
    let list = format!("-\n0 0\nd--755 0 0\nlib d--755 0 0\nos-release ---644 0 0 {}\n$\n$\n", at("os-release").display());
    fs::write(at("prototype"), list).unwrap();
    ["ext4", "xfs", "btrfs"].iter().for_each(|name| blank_image(&at(name), 128 << 20));
    let mkfs = |tool: &str, args: &[&str], folder: &str, image: &str| {
        let args: Vec<_> = args.iter().map(OsStr::new).map(OsStr::to_owned).chain([at(folder).into(), at(image).into()]).collect();
        run(tool, &args.iter().map(AsRef::as_ref).collect::<Vec<_>>())
    };
    let made = [
        mkfs("mkfs.ext4", &["-q", "-d"], "root", "ext4"),
        mkfs("mkfs.xfs", &["--unsupported", "-q", "-L", "usr", "-p"], "prototype", "xfs"),
        mkfs("mkfs.btrfs", &["-q", "-U", VAR, "--rootdir"], "var", "btrfs"),
    ];
    if made.iter().any(Option::is_none) {
        return;
    }
    let mut machine =
        Machine::default().volume("/dev/sda1", Contents::Ext).volume("/dev/sda2", Contents::Xfs).volume("/dev/sda3", Contents::Btrfs);
    for (volume, name) in machine.volumes.iter_mut().zip(["ext4", "xfs", "btrfs"]) {
        volume.source = image(&at(name));
    }
    let assembly = assemble(&machine.volumes);
    assert_eq!(roles(&assembly), [Role::Root, Role::Joined, Role::Joined]);
    let system = &assembly.systems[0];
    assert_eq!((read(system, "/etc/os-release"), read(system, "/var/lib/rpm/rpmdb.sqlite")), ("ID=rhel".into(), "db".into()));
    assert!(system.caveats.is_empty(), "{:?}", system.caveats);
}
