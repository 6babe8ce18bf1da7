//! The named limits of what is done in AWS, with their units.

use std::time::Duration;

/// Blocks of a snapshot that one call lists. AWS lists 100 to 10,000.
pub const BLOCKS_PER_LISTING: i32 = 1_000;
/// Calls that list the blocks of one window: AWS may give less at a time than it is asked for.
pub const LISTINGS_PER_WINDOW_MAX: usize = 64;
/// Windows of listed blocks that are kept of a disk: 125 GiB of it, in some 40 MB at most.
pub const WINDOWS_KEPT_MAX: usize = 256;
/// Blocks of 512 KiB that are kept of a disk.
pub const BLOCKS_KEPT_MAX: usize = 64;
/// How often a block, or a list of them, is asked for; each time the SDK has its own attempts.
pub const BLOCK_TRIES_MAX: u32 = 3;
/// Seconds that reading a snapshot's blocks may take. Each is a call, of some ten milliseconds; the largest package database has 600 of them.
pub const DIRECT_SECONDS_MAX: u64 = 600;
/// Snapshots whose blocks are read at the same time: each takes a process and the memory for its blocks.
pub const DIRECT_AT_ONCE_MAX: usize = 4;

/// Pages of one description. Each has a thousand resources.
pub const PAGES_MAX: usize = 100;
/// Resources of one page.
pub const PAGE: i32 = 1_000;

/// Volumes that one scanner reads. So many names there are for them; what the instance's type can attach is less, mostly 27.
pub const VOLUMES_PER_SCANNER_MAX: usize = 52;
/// Bytes of a scanner's user data. AWS takes 16 KiB before they are encoded.
pub const USER_DATA_BYTES_MAX: usize = 16 << 10;
/// Seconds that a scanner waits for its volumes. Those that are not attached by then are not read.
pub const ATTACH_WAIT_SECONDS: u64 = 900;
/// Seconds that a scanner may take for one image, above what houndigrade allows itself.
pub const IMAGE_SECONDS_MAX: u64 = 360;
/// How often a scanner tries to get the program that reads disks.
pub const DOWNLOAD_TRIES_MAX: u32 = 5;
/// How long after its last possible work a scanner ends itself at the latest.
pub const SCANNER_GRACE: Duration = Duration::from_secs(10 * 60);

/// Messages of findings that are received at once. SQS gives ten at most.
pub const FINDINGS_PER_CALL: i32 = 10;
/// How long the queue waits for the first message of findings.
pub const FINDINGS_WAIT: Duration = Duration::from_secs(5);
/// How long a received message is hidden from others.
pub const FINDINGS_HIDDEN: Duration = Duration::from_secs(60);

/// How often one step looks for what is left and removes it: images first, then their snapshots, then to see that nothing is.
pub const REMOVALS_PER_STEP: usize = 3;
/// How often one step looks whether volumes are attached, attaching those that are not.
pub const LOOKS_PER_ATTACHING: usize = 2;

/// Characters of a name of an image's copy. AWS takes 3 to 128.
pub const IMAGE_NAME_CHARS_MAX: usize = 128;
/// Characters of a tag's value. AWS takes 256.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
