//! Makes what the fuzz targets begin with: a seed corpus for those that take files or the begin of a disk, and sound images for those that
//! change one. Run by `houndigrade/fuzz/run`.

#[path = "../../tests/images/build/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod build;
#[path = "../../tests/images/tools.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod tools;

use std::path::Path;

use build::corrupt::{self, EXT4_WITHOUT_CHECKSUMS};
use build::files::{Files, Node};
use build::image::{Image, MIB};
use build::rpm_header::{CENTOS_7_KEY, Package, RED_HAT_RELEASE_KEY, RED_HAT_RELEASE_KEY_2, Signature};
use build::{filesystems, lvm, partitions, roots, rpmdb};

/// A uuid of a physical volume.
const UUID: &str = "K668Hx-sjVa-8j5Z-HqiL-3XLr-MjWC-dPuJKp";
const BLOCK_BYTES: usize = 4096;

fn seed(target: &str, name: &str, content: impl AsRef<[u8]>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("seed-{name}")), content).unwrap();
}

/// Keeps an image without its empty blocks, with seeds for the target of its name.
fn base(name: &str, image: &Image) {
    keep(name, image);
    seed(name, "nothing", []);
    seed(name, "first-block", [0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]);
}

/// Keeps the images of the target `xfs`. Without checksums, a changed record of the log is not left out for that alone.
fn bases_of_xfs(files: &Files) {
    keep("xfs", &filesystems::xfs(files, 20 * MIB, &filesystems::XFS_OF_EL9));
    let dirty = Image::unpacked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/images/fixtures/dirty-xfs-v4.tar.gz"));
    corrupt::xfs_log_without_checksums(&dirty);
    keep("xfs-v4", &dirty);
    for (name, choice) in [("v5", 0), ("v4", 1)] {
        seed("xfs", &format!("{name}-nothing"), [choice]);
        seed("xfs", &format!("{name}-first-block"), [choice, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]);
    }
}

fn keep(name: &str, image: &Image) {
    let mut packed = image.len().to_le_bytes().to_vec();
    for (number, block) in image.read(0, image.len() as usize).chunks_exact(BLOCK_BYTES).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            packed.extend((number as u64).to_le_bytes());
            packed.extend(block);
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("base");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), packed).unwrap();
}

fn tables() {
    let part = Image::blank(4 * MIB);
    let begin = |disk: &Image| disk.read(0, 34 * 512);
    seed("partitions", "gpt", begin(&partitions::gpt(&[("8300", &part), ("8200", &part), ("ef02", &part)])));
    seed("partitions", "gpt-4k", partitions::gpt_4k(&[("8300", &part)]).read(0, 6 * 4096));
    seed("partitions", "mbr", begin(&partitions::mbr(&[("83", &part), ("82", &part)])));
    let mut extended = corrupt::boot_record(&[(0x83, 2048, 64), (5, 2, 4000)]);
    extended.extend([0; 512]);
    extended.extend(corrupt::boot_record(&[(0x83, 1, 16), (5, 1, 100)]));
    extended.extend(corrupt::boot_record(&[(0x83, 1, 16)]));
    seed("partitions", "extended", extended);
}

fn volume_groups() {
    let visible = r#""READ", "WRITE", "VISIBLE""#;
    let striped =
        "start_extent = 8\nextent_count = 4\ntype = \"striped\"\nstripe_count = 2\nstripe_size = 128\nstripes = [\"pv0\", 8, \"pv0\", 10]";
    let raid = "start_extent = 0\nextent_count = 2\ntype = \"raid1\"\ndevice_count = 1\nraids = [\"m_rmeta_0\", \"m_rimage_0\"]";
    let thin = "start_extent = 0\nextent_count = 8\ntype = \"thin\"\nthin_pool = \"pool\"\ntransaction_id = 0\ndevice_id = 1";
    let sections = [
        lvm::logical_section("root", visible, &[&lvm::linear(0, 8, 0), striped]),
        lvm::logical_section("m", visible, &[raid]),
        lvm::logical_section("m_rmeta_0", "\"READ\"", &[&lvm::linear(0, 1, 12)]),
        lvm::logical_section("m_rimage_0", "\"READ\"", &[&lvm::linear(0, 2, 13)]),
        lvm::logical_section("thin", visible, &[thin]),
    ];
    for (name, logical) in [("all", sections.concat()), ("linear", sections[0].clone())] {
        let metadata = lvm::metadata("rhel", UUID, 15, &logical);
        seed("lvm", name, lvm::physical_volume(64 * MIB, UUID, &metadata).read(0, 4608 + metadata.len() + 1));
    }
}

fn databases() {
    let signatures = [
        Signature::Rsa(RED_HAT_RELEASE_KEY_2),
        Signature::Dsa(RED_HAT_RELEASE_KEY),
        Signature::RsaV4(CENTOS_7_KEY),
        Signature::OpenPgp(RED_HAT_RELEASE_KEY_2),
    ];
    let packages: Vec<_> = signatures
        .iter()
        .enumerate()
        .map(|(number, signature)| Package {
            padding: number * 1500,
            ..Package::new(&format!("p{number}-release")).of("Red Hat, Inc.").signed(*signature)
        })
        .collect();
    for package in &packages {
        seed("rpm_header", &package.name, package.header());
    }
    seed("bdb", "four", rpmdb::berkeley(&packages));
    seed("ndb", "four", rpmdb::ndb(&packages));
    let plain = rpmdb::sqlite_of_pages(&packages, 512);
    seed("sqlite", "four", [&0u32.to_le_bytes()[..], &plain].concat());
    let (database, log) = rpmdb::sqlite_with_log(&packages[..1], &packages[1..]);
    seed("sqlite", "log", [&(log.len() as u32).to_le_bytes()[..], &log, &database].concat());
}

fn texts(files: &Files) {
    for (path, node) in files.iter() {
        let Node::File(content) = node else { continue };
        let path = String::from_utf8_lossy(path);
        let name = path.replace('/', "-");
        match path.as_ref() {
            _ if path.ends_with(".pem") => seed("certificates", &name, content),
            _ if path.ends_with(".repo") || path.ends_with(".conf") => seed("repositories", &name, content),
            "usr/bin/true" | "etc/redhat-release" | "usr/lib/os-release" => seed("texts", &name, content),
            _ if path.ends_with(".json") => seed("texts", &name, content),
            _ => {}
        }
    }
    let config = "[main]\nreposdir=/etc/yum.repos.d, \"/etc/with,comma\"\n[rhel-a]\nname=RHEL\n  continued\nenabled : 1\n";
    seed("repositories", "main", config);
}

fn main() {
    let files = roots::rhel(9);
    tables();
    volume_groups();
    databases();
    texts(&files);
    let mut of_ext = files.clone();
    // One whole block, which the target `fstab` finds by its begin and replaces.
    of_ext.file("etc/fstab", format!("# replaced{}", "\n".repeat(BLOCK_BYTES - 10)));
    base("ext", &filesystems::ext(&of_ext, 16 * MIB, &EXT4_WITHOUT_CHECKSUMS));
    let fstab = "UUID=11111111-2222-3333-4444-555555555555 / xfs defaults 0 0\nLABEL=x\\040y /var ext4 ro,subvol=/a,subvolid=5 0 0\n";
    seed("fstab", "usual", format!("{fstab}/dev/mapper/rhel-usr /usr btrfs subvol=usr 0 0\nPARTUUID=1-1 /boot auto noauto\n"));
    bases_of_xfs(&files);
    base("btrfs", &filesystems::btrfs(&files, 112 * MIB, &[]));
    let mut root = roots::rhel(8);
    let usr = root.split_off("usr");
    root.file("etc/fstab", "UUID=11111111-2222-3333-4444-555555555555 /usr ext4 ro 0 0\n");
    let usr = filesystems::ext(&usr, 8 * MIB, &[&EXT4_WITHOUT_CHECKSUMS[..], &["-U", "11111111-2222-3333-4444-555555555555"]].concat());
    let root = filesystems::xfs(&root, 20 * MIB, &filesystems::XFS_V4);
    base("whole", &partitions::gpt(&[("8300", &usr), ("8300", &root)]));
}
