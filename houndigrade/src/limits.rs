//! What one disk may cost. Each limit has its unit in its name; what is beyond is a finding, never cut silently.

/// Bytes of a symbolic link's target, as in Linux.
pub const SYMLINK_BYTES_MAX: usize = 4096;
/// Links that are followed for one path, as in Linux.
pub const SYMLINKS_MAX: usize = 40;

// File systems and their trees.

/// Bytes of a path after its links are resolved, as in Linux.
pub const PATH_BYTES_MAX: usize = 4096;
/// Bytes of one component of a path, as in Linux.
pub const NAME_BYTES_MAX: usize = 255;
/// Components that are looked at while one path is resolved, those of its links included.
pub const PATH_COMPONENTS_MAX: usize = 512;
/// Bytes of a directory itself, not of the files in it: some hundred thousand entries.
pub const DIRECTORY_BYTES_MAX: u64 = 64 << 20;
/// Contiguous pieces that one file of an ext file system may have.
pub const EXT_RUNS_MAX: usize = 1 << 18;
/// Blocks that map one file of an ext file system to its pieces.
pub const EXT_MAP_BLOCKS_MAX: usize = 1 << 14;
/// Blocks of an ext journal that are gone through: 4 GiB with the usual blocks, four times the largest that mkfs makes.
pub const EXT_JOURNAL_BLOCKS_MAX: u64 = 1 << 20;
/// Bytes that are read and kept at once of a file system's own structures.
pub const CACHE_BLOCK_BYTES: usize = 16 << 10;
/// Such blocks that are kept for each file system: 4 MiB.
pub const CACHE_BLOCKS_MAX: usize = 256;
/// Bytes that are read and kept at once of an XFS file.
pub const XFS_WINDOW_BYTES: usize = 16 << 10;
/// Bytes that are read and kept at once of a btrfs file: a compressed extent's, which cannot be read in part.
pub const BTRFS_WINDOW_BYTES: usize = 128 << 10;
/// Bytes that are kept of each open file of XFS or btrfs.
pub const FILE_CACHE_BYTES_MAX: usize = 16 << 20;
/// Bytes of an fstab.
pub const FSTAB_BYTES_MAX: usize = 256 << 10;
/// Entries of an fstab that are looked at.
pub const FSTAB_ENTRIES_MAX: usize = 512;
/// Entries of one directory on the way to an ostree deployment.
pub const OSTREE_ENTRIES_MAX: usize = 1024;
/// File systems that are joined to one root.
pub const MOUNTS_MAX: usize = 64;
/// Directories and links of a tree that are remembered.
pub const RESOLVED_MAX: usize = 4096;
/// Entries of a root's `/etc` among which a release file is looked for.
pub const ROOT_ENTRIES_MAX: usize = 1 << 14;
