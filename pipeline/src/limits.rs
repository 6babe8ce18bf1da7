//! The named limits of this crate, with their units.

use std::time::Duration;

/// Records that one poll returns, at most.
pub const POLL_RECORDS_MAX: usize = 20_000;
/// Bytes of keys and values that one poll returns; the record that reaches it is the last.
pub const POLL_BYTES_MAX: usize = 16 << 20;
/// How long a poll waits for a first record.
pub const POLL_WAIT: Duration = Duration::from_millis(200);
/// A key in the log or in the state, in bytes.
pub const KEY_BYTES_MAX: usize = 4 << 10;
/// A value in the log or in the state, in bytes. A state value holds all events of one instance.
pub const VALUE_BYTES_MAX: usize = 64 << 20;
/// Commits that one durable write of the embedded log joins.
pub const GROUP_COMMITS_MAX: usize = 64;
/// Commits that wait for the embedded log's writer; the next one waits for room.
pub const COMMIT_QUEUE_MAX: usize = 64;
/// Page cache of the embedded log, in bytes.
pub const EMBEDDED_CACHE_BYTES: usize = 64 << 20;
/// Records of one commit and partition that the embedded log stores as one entry, in bytes before compression. A larger record is an entry
/// of its own.
pub const BATCH_BYTES_MAX: usize = 256 << 10;
/// Entries of the embedded log from this size on are compressed, in bytes. A month of an instance is about twice as large, and a page of the
/// file holds one such message as it is, but several compressed.
pub const COMPRESSED_BYTES_MIN: usize = 1 << 10;
/// Rows of one table file; a file that would hold more is divided.
pub const FILE_ROWS_MAX: usize = 64 << 10;
/// Threads that read messages for the tables at the same time.
pub const DECODES_AT_ONCE_MAX: usize = 2;
/// Table files that are rewritten at the same time; each is in memory about twice.
pub const REWRITES_AT_ONCE_MAX: usize = 2;
/// Table files that are synced at the same time.
pub const SYNCS_AT_ONCE_MAX: usize = 8;
/// How long table files that were replaced are kept, unless another time is asked for: whoever reads an older version of a table, or wants a
/// report as of then, has this long. A busy table replaces a dozen files every few seconds, so this bounds the disk.
pub const TABLE_HISTORY: Duration = Duration::from_secs(3600);
/// How much longer a table's log names replaced files, and keeps entries that a checkpoint has summed up: files are found by it to be
/// deleted. It bounds what writing a checkpoint costs in memory.
pub const TABLE_HISTORY_MARGIN: Duration = Duration::from_secs(2 * 3600);
/// Commits of a table that one checkpoint sums up. Before it, replaced files are looked through. Who reads the table's log opens all entries
/// since the last checkpoint at once, each with buffers of more than a MiB.
pub const COMMITS_BETWEEN_CHECKPOINTS: u64 = 20;
/// Bytes of messages that the table sink applies in one commit, at most.
pub const SINK_BATCH_BYTES: usize = 16 << 20;
/// How often tables are opened, or written, anew because another process wrote them at the same moment. Each time that one did, it got on.
pub const SUPERSEDED_MAX: u32 = 32;
/// What came of this many of a tenant's commands is kept, the newest.
pub const ACCOUNT_OUTCOMES_KEPT: u64 = 1_000;
/// Accounts that a tenant can have, those it deleted not counted.
pub const ACCOUNTS_PER_TENANT_MAX: u64 = 10_000;
/// Times in which an account is not metered that it can have; one more for its deletion.
pub const UNMETERED_PERIODS_MAX: usize = 10_000;
/// Problems of an account that are kept; the first ones.
pub const ACCOUNT_PROBLEMS_MAX: usize = 50;
/// Accounts that use an image that are kept with it, those that used it first; and as many of those that EC2 does not show it to.
pub const IMAGE_ACCOUNTS_KEPT: usize = 32;
/// Accounts whose tags of an image are kept, at most: what is above it is counted and left out. It is far more than share an image that needs
/// a tag, and keeps the state of one that everybody uses below a megabyte.
pub const IMAGE_TAGGERS_MAX: usize = 1000;
/// Resources that one call tags, or takes tags from: AWS takes no more.
pub const TAGGED_RESOURCES_MAX: usize = 1_000;
/// Tags that one call sets or takes away: AWS takes no more.
pub const TAGS_PER_CALL_MAX: usize = 50;
/// Attempts to inspect an image that the rules make; those that somebody asks for begin a new count.
pub const INSPECTION_ATTEMPTS_MAX: u32 = 5;
/// A text of evidence about an image, in characters; what is longer is cut.
pub const EVIDENCE_CHARS_MAX: usize = 500;
/// A text of a problem of an account, in bytes; what is longer is cut.
pub const PROBLEM_TEXT_BYTES_MAX: usize = 2_000;
