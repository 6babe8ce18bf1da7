//! What one disk may cost. Each limit has its unit in its name; what is beyond is a finding, never cut silently.

/// Bytes of a symbolic link's target, as in Linux.
pub const SYMLINK_BYTES_MAX: usize = 4096;
/// Links that are followed for one path, as in Linux.
pub const SYMLINKS_MAX: usize = 40;

// Disks and volumes.

/// Bytes that are read from one disk's device.
pub const DISK_DEVICE_BYTES_MAX: u64 = 8 << 30;
/// Reads that are made of one disk's device.
pub const DISK_DEVICE_READS_MAX: u64 = 4_000_000;
/// Bytes that are asked of one disk, whether or not they are in its cache.
pub const DISK_REQUESTED_BYTES_MAX: u64 = 64 << 30;
/// Reads that are asked of one disk, whether or not they are in its cache.
pub const DISK_REQUESTS_MAX: u64 = 50_000_000;
/// Bytes of one page of a disk's cache.
pub const CACHE_PAGE_BYTES: usize = 16 << 10;
/// Bytes of a disk's cache.
pub const CACHE_BYTES_MAX: usize = 32 << 20;
/// Bytes of a read that still goes through the cache.
pub const CACHED_READ_BYTES_MAX: usize = 256 << 10;
/// Bytes at the begin of a volume in which its contents are recognised: up to the superblock of btrfs at 64 KiB.
pub const VOLUME_HEAD_BYTES: usize = 68 << 10;
/// Places on all disks that are inspected together where a volume can be: disks, partitions, logical volumes.
pub const VOLUMES_MAX: usize = 2048;
/// Things found wrong on the way to the volumes.
pub const VOLUME_PROBLEMS_MAX: usize = 2048;
/// Layers of RAID and LVM over each other: a mirror, volumes in it, and once more volumes or partitions in one of those.
pub const VOLUME_NESTING_MAX: usize = 3;
/// Entries of a GPT; 128 are usual.
pub const GPT_ENTRIES_MAX: u32 = 1024;
/// Bytes of an entry of a GPT; 128 are usual.
pub const GPT_ENTRY_BYTES_MAX: u32 = 4096;
/// Logical partitions in the chain of extended boot records; Linux numbers up to 64 partitions by old custom.
pub const LOGICAL_PARTITIONS_MAX: usize = 64;
/// Physical volumes of a volume group, and on all disks that are inspected together.
pub const LVM_PHYSICAL_MAX: usize = 256;
/// Metadata areas of a physical volume; LVM makes at most two.
pub const LVM_AREAS_MAX: usize = 4;
/// Volume groups on all disks that are inspected together.
pub const LVM_GROUPS_MAX: usize = 16;
/// Bytes of the text that describes a volume group.
pub const LVM_METADATA_BYTES_MAX: u64 = 4 << 20;
/// Bytes of all such texts, of which each physical volume holds one or two.
pub const LVM_METADATA_TOTAL_BYTES_MAX: u64 = 64 << 20;
/// Values and sections in such a text.
pub const LVM_METADATA_NODES_MAX: usize = 200_000;
/// Depth of sections in such a text; LVM writes four.
pub const LVM_METADATA_DEPTH_MAX: usize = 16;
/// Logical volumes of a group, hidden ones included.
pub const LVM_LOGICAL_MAX: usize = 2048;
/// Parts of disks from which the logical volumes of a group are made.
pub const LVM_PARTS_MAX: usize = 65_536;
/// Logical volumes that lie in each other: a volume moved between disks, whose mirror's halves are mirrored.
pub const LVM_STACK_MAX: usize = 8;
