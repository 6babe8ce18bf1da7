//! What one disk may cost. Each limit has its unit in its name; what is beyond is a finding, never cut silently.

// The process in which an image is inspected.

/// Bytes of address space that an inspection may take, besides what the program itself does.
pub const INSPECTION_ADDRESS_SPACE_BYTES_MAX: u64 = 512 << 20;
/// Seconds of processor time.
pub const INSPECTION_CPU_SECONDS_MAX: u64 = 240;
/// Seconds from its begin to its end.
pub const INSPECTION_SECONDS_MAX: u64 = 300;
/// Files that are open, those of the disks included.
pub const INSPECTION_OPEN_FILES_MAX: u64 = 64;
/// Bytes of the findings on one image, as JSON.
pub const INSPECTION_OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Bytes of what a process says on standard error that are repeated where it fails.
pub const INSPECTION_MESSAGE_BYTES_MAX: usize = 1024;
/// Disks of one image; clouds attach fewer.
pub const DISKS_MAX: usize = 48;

// Disks that the parent reads for the process in which they are inspected.

/// Bytes that are asked for at once.
pub const SERVED_READ_BYTES_MAX: usize = 512 << 10;
/// Bytes of the reason why they cannot be read.
pub const SERVED_MESSAGE_BYTES_MAX: usize = 2048;

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

// File systems and their trees.

/// Bytes of a symbolic link's target, as in Linux.
pub const SYMLINK_BYTES_MAX: usize = 4096;
/// Links that are followed for one path, as in Linux.
pub const SYMLINKS_MAX: usize = 40;
/// Bytes of a path, or of where a link on it leads, before it is resolved, as in Linux.
pub const PATH_BYTES_MAX: usize = 4096;
/// Bytes of one component of a path, as in Linux.
pub const NAME_BYTES_MAX: usize = 255;
/// Names of a path below each other after its links are resolved; what is looked for has less than 20.
pub const PATH_DEPTH_MAX: usize = 256;
/// Components that are looked at while one path is resolved, those of its links included.
pub const PATH_COMPONENTS_MAX: usize = 4096;
/// Bytes of a directory itself, not of the files in it: some hundred thousand entries.
pub const DIRECTORY_BYTES_MAX: u64 = 64 << 20;
/// Contiguous pieces that one file of an ext file system may have.
pub const EXT_RUNS_MAX: usize = 1 << 18;
/// Blocks that map one file of an ext file system to its pieces.
pub const EXT_MAP_BLOCKS_MAX: usize = 1 << 14;
/// Blocks of an ext journal that are gone through: 4 GiB with the usual blocks, four times the largest that mkfs makes.
pub const EXT_JOURNAL_BLOCKS_MAX: u64 = 1 << 20;
/// Revocations in an ext journal; each takes some memory until the journal is replayed.
pub const EXT_REVOKED_MAX: usize = 1 << 20;
/// Bytes between the tail and the head of a log of XFS version 4. Logs of systems have some 10 MiB in all, the largest 2 GiB.
pub const XFS_LOG_LIVE_BYTES_MAX: u64 = 512 << 20;
/// Bytes of transactions that are in memory until their commit is found, with what each part of them costs besides. Linux ends one at 64 MiB.
pub const XFS_TRANSACTIONS_BYTES_MAX: usize = 96 << 20;
/// Buffers that the log says are freed; each takes some memory until the log is replayed.
pub const XFS_CANCELLED_MAX: usize = 1 << 20;
/// Bytes of sectors that the log changes, which are kept in memory.
pub const XFS_REPLAYED_BYTES_MAX: usize = 128 << 20;
/// Bytes of an fstab.
pub const FSTAB_BYTES_MAX: usize = 256 << 10;
/// Entries of an fstab that are looked at, comments and what is mounted nowhere not counted.
pub const FSTAB_ENTRIES_MAX: usize = 512;
/// Entries of all directories on the way to an ostree deployment together.
pub const OSTREE_ENTRIES_MAX: usize = 1024;
/// File systems that are joined to one root.
pub const MOUNTS_MAX: usize = 64;
/// Bytes that are read and kept at once of an XFS file.
pub const XFS_WINDOW_BYTES: usize = 16 << 10;
/// Bytes that are read and kept at once of a btrfs file: a compressed extent's, which cannot be read in part.
pub const BTRFS_WINDOW_BYTES: usize = 128 << 10;
/// Bytes that are kept of each open file of XFS or btrfs.
pub const FILE_CACHE_BYTES_MAX: usize = 16 << 20;
/// Directories and links of a tree that are remembered.
pub const RESOLVED_MAX: usize = 4096;
/// Entries of a root's `/etc` among which a release file is looked for.
pub const ROOT_ENTRIES_MAX: usize = 1 << 14;

// Facts: what is read of one system.

/// Bytes of a release file or os-release; real ones have less than one KiB.
pub const RELEASE_FILE_BYTES_MAX: usize = 64 << 10;
/// Files `/etc/*-release`; real systems have less than ten.
pub const RELEASE_FILES_MAX: usize = 100;
/// Entries of `/etc`; real systems have some hundred.
pub const ETC_ENTRIES_MAX: usize = 20_000;
/// Bytes of a file of repositories.
pub const REPOSITORY_FILE_BYTES_MAX: usize = 1 << 20;
/// Files of repositories, over all folders.
pub const REPOSITORY_FILES_MAX: usize = 2_000;
/// Entries of a folder of repositories, those of other kinds included.
pub const REPOSITORY_FOLDER_ENTRIES_MAX: usize = 20_000;
/// Folders of repositories.
pub const REPOSITORY_FOLDERS_MAX: usize = 100;
/// Repositories that findings list, of each kind.
pub const REPOSITORIES_LISTED_MAX: usize = 2_000;
/// Bytes of a repository's id or name that is told.
pub const REPOSITORY_NAME_BYTES_MAX: usize = 1024;
/// Bytes of the system purpose file, as the first inspector had it.
pub const SYSPURPOSE_BYTES_MAX: usize = 1024;
/// Bytes of all files of repositories together.
pub const REPOSITORY_BYTES_MAX: usize = 64 << 20;

// The RPM database and certificates.

/// Bytes of an RPM database, its write-ahead log apart. A full desktop has 300 MB.
pub const RPMDB_BYTES_MAX: u64 = 512 << 20;
/// Bytes of a write-ahead log. SQLite empties it at 4 MB, unless a reader holds it.
pub const RPMDB_LOG_BYTES_MAX: u64 = 256 << 20;
/// Bytes that are read at once of an RPM database, a multiple of every page size.
pub const RPMDB_READ_BYTES: usize = 64 << 10;
/// Reads of [`RPMDB_READ_BYTES`] that are kept for pages nearby.
pub const RPMDB_READS_KEPT: usize = 32;
/// Levels of a b-tree of SQLite; 512 MiB in pages of 512 bytes need fewer than ten.
pub const SQLITE_DEPTH_MAX: usize = 20;
/// Rows of SQLite's schema; that of rpm has 60.
pub const SQLITE_SCHEMA_ROWS_MAX: u64 = 1_000;
/// Bytes of one row of SQLite's schema.
pub const SQLITE_SCHEMA_ROW_BYTES_MAX: usize = 64 << 10;
/// Installed packages. A full desktop has 5 000.
pub const PACKAGES_MAX: u64 = 200_000;
/// Bytes of a package's header; that of a kernel with its modules has 2 MB.
pub const RPM_HEADER_BYTES_MAX: usize = 64 << 20;
/// Entries of a package's header, as in rpm.
pub const RPM_HEADER_ENTRIES_MAX: usize = 65_535;
/// Bytes of a package's name, version, release, architecture or vendor.
pub const RPM_STRING_BYTES_MAX: usize = 1024;
/// Signatures of one package.
pub const RPM_SIGNATURES_MAX: usize = 16;
/// Bytes of one signature; post-quantum ones have 5 KB.
pub const RPM_SIGNATURE_BYTES_MAX: usize = 64 << 10;
/// Different keys that a database's packages are signed with.
pub const RPM_SIGNERS_MAX: usize = 256;
/// Packages named `*-release` that are told one by one.
pub const RELEASE_PACKAGES_MAX: usize = 64;
/// Damaged entries of a database that are told one by one; those beyond are only counted.
pub const DAMAGE_TOLD_MAX: usize = 8;
/// Packets of one OpenPGP signature blob.
pub const OPENPGP_PACKETS_MAX: usize = 16;
/// Subpackets of one area of a signature.
pub const OPENPGP_SUBPACKETS_MAX: usize = 64;
/// Names in a directory of product certificates.
pub const CERTIFICATES_MAX: usize = 1_000;
/// Bytes of a file with product certificates; real ones have 2 KB.
pub const CERTIFICATE_BYTES_MAX: usize = 64 << 10;
/// Bytes of all files of product certificates together.
pub const CERTIFICATES_BYTES_MAX: usize = 8 << 20;
/// Bytes of what a certificate says of a product: its name, version, architecture or tags.
pub const PRODUCT_STRING_BYTES_MAX: usize = 1024;
/// Products in one file of certificates.
pub const CERTIFICATE_PRODUCTS_MAX: usize = 100;
