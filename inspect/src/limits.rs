//! The named limits of this crate, with their units.

use std::time::Duration;

/// Steps that are being taken at the same time, of all inspections and scanners.
pub const STEPS_AT_ONCE_MAX: usize = 16;
/// Volumes that one scanner reads, at most: as many names as there are for devices.
pub const BATCH_SIZE_MAX: usize = 52;
/// Inspections that may have resources in the cloud at the same time, at most.
pub const INSPECTIONS_AT_ONCE_MAX: usize = 1_000;
/// Scanners that run at the same time, at most.
pub const SCANNERS_AT_ONCE_MAX: usize = 20;
/// How often in a row something may be missing before the attempt is given up: AWS does not always show at once what it made.
pub const MISSING_TRIES_MAX: u32 = 6;
/// Seconds before a step that was not done is tried again, at first; doubled each time.
pub const RETRY_FIRST_SECONDS: i64 = 5;
/// Seconds before it is tried again, at most.
pub const RETRY_MAX_SECONDS: i64 = 300;
/// Seconds between two looks at something that AWS works on.
pub const LOOK_EVERY_SECONDS: i64 = 15;
/// Seconds between two looks for an account that can be asked, room, or the end of an earlier attempt.
pub const WAITING_EVERY_SECONDS: i64 = 60;
/// Seconds that findings may still come after a scanner ended.
pub const FINDINGS_AFTER_SCANNER_SECONDS: i64 = 300;
/// Seconds after which an attempt that does not get rid of what it made is told to be over all the same; it goes on trying.
pub const CLEAN_UP_TOLD_AFTER_SECONDS: i64 = 6 * 3600;
/// How often is looked for resources that belong to nothing.
pub const REAP_EVERY_SECONDS: i64 = 900;
/// Seconds that a resource is left alone after it was made: whoever makes it may not have written so yet.
pub const REAP_AGE_SECONDS: i64 = 3600;
/// How often is looked for commands, and for what is due.
pub const LOOK_FOR_WORK_EVERY: Duration = Duration::from_secs(1);
/// Seconds for which a worker acts after the log last said that the work is its own. It asks every second; this is for logs that answer slowly.
pub const HELD_FOR_SECONDS: i64 = 10;
/// How long is waited after the queue of findings failed.
pub const QUEUE_RETRY: Duration = Duration::from_secs(30);
/// Commands that are taken in one commit.
pub const COMMANDS_PER_COMMIT: usize = 256;
/// Inspections that wait that are looked at in one turn: each of them may be written.
pub const WAITING_PER_TURN_MAX: usize = 256;
/// Commits of the same that are tried before the worker gives up: each was said not to have happened.
pub const COMMITS_REPEATED_MAX: u32 = 20;
/// Characters of a text about what is in the way, at most; what is longer is cut.
pub const DETAIL_CHARS_MAX: usize = 500;
/// Accounts that an inspection names, at most; the owner and those that used the image first.
pub const INSPECTION_ACCOUNTS_MAX: usize = 33;
