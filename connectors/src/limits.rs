//! The named limits of this crate, with their units.

use std::time::Duration;

/// Bytes of one object once inflated. CloudTrail's files inflate to a few megabytes at most.
pub const INFLATED_BYTES_MAX: usize = 128 << 20;
/// Inflated bytes for each compressed byte, once [`RATIO_FREE_BYTES`] are passed. CloudTrail's files reach 10, deflate ends at 1032.
pub const INFLATE_RATIO_MAX: usize = 200;
/// Inflated bytes up to which no ratio is judged: a small object may be as repetitive as it likes.
pub const RATIO_FREE_BYTES: usize = 1 << 20;
/// Bytes of one record. CloudTrail cuts its records at 256 KiB.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Bytes of the inflate buffer that are kept for the next object; a larger buffer is given back when the next object is small.
pub const INFLATE_BUFFER_KEPT_BYTES: usize = 8 << 20;
/// Rejected records of one object that are told one by one; those beyond are only counted.
pub const REJECTED_PER_OBJECT_MAX: usize = 1_000;
/// Bytes of one damaged object that are read again in the search for the next sound record. It keeps the work linear.
pub const RESCANNED_BYTES_MAX: usize = 256 << 20;
/// Bytes that are kept of an object over [`INFLATED_BYTES_MAX`], to say what it looks like.
pub const FIRST_BYTES_OF_LARGE: usize = 1024;
/// Objects that are fetched from S3 at the same time.
pub const S3_GETS_AT_ONCE_MAX: usize = 16;
/// Harvested objects that wait to be committed; the workers wait for room.
pub const HARVEST_QUEUE_MAX: usize = 256;
/// Bytes that are harvested but not committed; the workers wait for room.
pub const IN_FLIGHT_BYTES_MAX: usize = 48 << 20;
/// Objects that inflate to more than this many bytes are decoded one at a time.
pub const LARGE_OBJECT_BYTES: usize = 16 << 20;
/// Relevant records that one commit of the source joins.
pub const COMMIT_RECORDS: usize = 2_000;
/// Bytes that one commit of the source joins.
pub const COMMIT_BYTES: usize = 8 << 20;
/// Objects that one commit of the source joins.
pub const COMMIT_OBJECTS: usize = 1_000;
/// How long a commit of the source waits for more.
pub const COMMIT_LINGER: Duration = Duration::from_millis(50);
/// Entries that wait for the committing thread while serving; finders wait for room.
pub const COMMIT_QUEUE_MAX: usize = 256;
/// Entries that one commit joins while serving.
pub const COMMIT_ENTRIES: usize = 256;
/// Bytes of one digest file once inflated. A digest has some 500 bytes for each log file.
pub const DIGEST_BYTES_MAX: usize = 32 << 20;
/// Log files that one digest file names. CloudTrail writes a few hundred in a busy hour.
pub const DIGEST_LOG_FILES_MAX: usize = 50_000;
/// Digest files of one chain that are looked at while log files or digests before them are missing: two years of hours. The others wait
/// until those before them are complete.
pub const DIGESTS_WAITING_MAX: usize = 20_000;
/// How long CloudTrail takes to deliver, typically at most: a digest's time tells when log files were delivered, and their events happened
/// up to this long before.
pub const CLOUDTRAIL_DELIVERY: Duration = Duration::from_secs(15 * 60);
/// How long a log file or a digest may be underway, once another digest named it, before it is missing.
pub const UNDERWAY: Duration = Duration::from_secs(20 * 60);
/// How long nothing may be heard from a region that is in use before it is a silence: digests come hourly, log files within 15 minutes.
pub const SILENCE_AFTER: Duration = Duration::from_secs(75 * 60);
/// A region of which nothing was heard for this long before anybody looked is not in use.
pub const REGION_FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Missing objects that one round of reading takes on.
pub const MISSING_AT_ONCE_MAX: usize = 100_000;
/// Objects of one place that are verified at a time; each costs its name in memory.
pub const VERIFIED_OBJECTS_MAX: usize = 2_000_000;
/// Files that a report of verification lists one by one; those beyond are counted.
pub const VERIFY_RESULTS_MAX: usize = 1_000_000;
/// Digests whose results are gathered before they enter the report.
pub const VERIFY_DIGESTS_AT_ONCE: usize = 1_024;
/// Threads that read and hash while verifying.
pub const VERIFY_THREADS: usize = 8;
/// Pages of public keys of one region.
pub const PUBLIC_KEY_PAGES_MAX: usize = 100;
