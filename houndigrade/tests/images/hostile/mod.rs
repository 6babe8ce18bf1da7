//! Hostile disks: each ends with a finding within its limits, whatever its bytes claim.

mod contents;
mod damage;
mod ext4;
mod tables;
mod targets;
mod volume_groups;

use cloudigrade_schemas::findings::{DatabaseState, Unread, UnreadKind};

use crate::build::corrupt::{self, EXT4_WITHOUT_CHECKSUMS, Numbers};
use crate::build::files::{Files, Node};
use crate::build::image::{Image, MIB};
use crate::build::partitions::{self, gpt_type};
use crate::build::rpm_header::{Package, RED_HAT_RELEASE_KEY_2, Signature};
use crate::build::{filesystems, lvm, roots, rpmdb};
use crate::inspection::Inspection;
use crate::tools::{self, have};

const UUID: &str = "K668Hx-sjVa-8j5Z-HqiL-3XLr-MjWC-dPuJKp";
const VISIBLE: &str = r#""READ", "WRITE", "VISIBLE""#;

fn have_tools() -> bool {
    have(&["sgdisk", "mke2fs", "debugfs", "mkfs.xfs", "mkfs.btrfs"]) && have(&roots::TOOLS)
}

fn ext(files: &Files) -> Image {
    filesystems::ext(files, 64 * MIB, &EXT4_WITHOUT_CHECKSUMS)
}
