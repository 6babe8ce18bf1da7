//! What one disk may cost. Each limit has its unit in its name; what is beyond is a finding, never cut silently.

/// Bytes of a symbolic link's target, as in Linux.
pub const SYMLINK_BYTES_MAX: usize = 4096;
/// Links that are followed for one path, as in Linux.
pub const SYMLINKS_MAX: usize = 40;

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
/// Bytes of the system purpose file, as the first inspector had it.
pub const SYSPURPOSE_BYTES_MAX: usize = 1024;
/// Bytes of all files of repositories together.
pub const REPOSITORY_BYTES_MAX: usize = 64 << 20;

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
