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
/// Objects that are read ahead of a worker together, at most.
pub const READ_AHEAD_OBJECTS: usize = 64;
/// Bytes of objects from which on those that were read ahead of a worker wait for it. A worker has as many in hand meanwhile; either can be more
/// by one object.
pub const READ_AHEAD_BYTES: usize = 512 << 10;
/// How long an object that was read ahead of a worker waits for further ones.
pub const READ_AHEAD_LINGER: Duration = Duration::from_millis(5);
/// Harvested objects that a worker hands over at once, at most.
pub const BUNDLE_OBJECTS: usize = 16;
/// Bytes from which on a worker hands over what it has harvested.
pub const BUNDLE_BYTES: usize = 256 << 10;
/// Bundles of harvested objects that wait to be committed; the workers wait for room.
pub const HARVEST_QUEUE_MAX: usize = 16;
/// Bytes that are harvested but not committed; the workers wait for room.
pub const IN_FLIGHT_BYTES_MAX: usize = 48 << 20;
/// Objects that inflate to more than this many bytes are decoded one at a time.
pub const LARGE_OBJECT_BYTES: usize = 16 << 20;
/// Relevant records from which on a commit of the source joins no more.
pub const COMMIT_RECORDS: usize = 1_000;
/// Bytes from which on a commit of the source joins no more.
pub const COMMIT_BYTES: usize = 8 << 20;
/// Objects from which on a commit of the source joins no more. What the last commit of an ingest joins waits for all of it, so it is not many.
pub const COMMIT_OBJECTS: usize = 400;
/// How long a commit of the source waits for more.
pub const COMMIT_LINGER: Duration = Duration::from_millis(50);
/// Entries that wait for the committing thread while serving; finders wait for room.
pub const COMMIT_QUEUE_MAX: usize = 256;
/// Entries that one commit joins while serving.
pub const COMMIT_ENTRIES: usize = 256;

// Calls to AWS.

/// Attempts of one call, the first included. Standard back-off lies between them.
pub const AWS_ATTEMPTS_MAX: u32 = 4;
/// How long the back-off between two attempts of one call grows.
pub const AWS_BACKOFF_MAX: Duration = Duration::from_secs(20);
/// How long a connection to AWS may take to be made.
pub const AWS_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long AWS may take until the first byte of an answer.
pub const AWS_READ_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one attempt of a call may take.
pub const AWS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(45);
/// How long one call may take with all its attempts.
pub const AWS_CALL_TIMEOUT: Duration = Duration::from_secs(150);
/// How long before they expire the credentials of a role are renewed.
pub const CREDENTIALS_RENEWED_BEFORE: Duration = Duration::from_secs(300);
/// How long getting credentials may take.
pub const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the session of a role is good for. An hour is what every role allows.
pub const ROLE_SESSION: Duration = Duration::from_secs(3600);
/// Characters of an inline session policy that STS takes.
pub const SESSION_POLICY_CHARS_MAX: usize = 2048;
/// Characters of AWS's own words that are kept of an error.
pub const AWS_MESSAGE_CHARS_MAX: usize = 400;
/// Sessions of roles that are kept; the one that was used least recently goes.
pub const SESSIONS_MAX: usize = 1_000;
/// Clients of regions that one session keeps; there are fewer regions than this.
pub const CLIENTS_PER_SESSION_MAX: usize = 64;
/// Paces of account, region and API that are kept; those at rest go first.
pub const PACES_MAX: usize = 50_000;
/// How many times slower than its quota an API is called at most, when AWS throttles.
pub const PACE_SLOWEST: u32 = 32;
/// How much of the wait between two calls is added at random.
pub const PACE_JITTER_PERCENT: u32 = 20;

// Describing and looking up.

/// Instances of one page of `DescribeInstances`, which AWS limits to 1000.
pub const DESCRIBE_PAGE: i32 = 1_000;
/// Pages of one description of a region.
pub const DESCRIBE_PAGES_MAX: usize = 500;
/// Images that one `DescribeImages` asks for.
pub const IMAGES_PER_CALL: usize = 100;
/// Images of accounts and regions that are remembered from what was told of launches.
pub const SIGHTED_IMAGES_MAX: usize = 500_000;
/// Images of one region that one round asks about because of what was told of launches; the next one goes on.
pub const SIGHTED_IMAGES_PER_ROUND_MAX: usize = 2_000;
/// How long a description of an image is good for before EC2 is asked again.
pub const IMAGE_REFRESH_SECONDS: i64 = 24 * 3600;
/// Events of one page of `LookupEvents`, which AWS limits to 50.
pub const LOOKUP_PAGE: i32 = 50;
/// How far back `LookupEvents` reaches.
pub const HISTORY_DAYS_MAX: u32 = 90;
/// How long CloudTrail may take until an event can be looked up.
pub const LOOKUP_LAG_SECONDS: i64 = 15 * 60;
/// How often one pass begins anew where it stopped, because its token was refused, without getting any further.
pub const LOOKUP_RESTARTS_MAX: u32 = 3;
/// Image ids of one region that are remembered while its history is read.
pub const HISTORY_IMAGES_MAX: usize = 20_000;

// Accounts.

/// Accounts that are verified or reconciled at the same time.
pub const ACCOUNTS_AT_ONCE_MAX: usize = 8;
/// Accounts whose history is read at the same time.
pub const HISTORIES_AT_ONCE_MAX: usize = 4;
/// Lanes of AWS accounts above which those that nobody is in are forgotten.
pub const LANES_MAX: usize = 10_000;
/// Regions of one account that are worked on at the same time.
pub const REGIONS_AT_ONCE_MAX: usize = 6;
/// Observations that one entry of the log joins.
pub const OBSERVATIONS_PER_ENTRY: usize = 2_000;
/// How often an account is compared with EC2 at least, unless it is configured.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How rarely it may be: a terminated instance is gone from descriptions after about an hour.
pub const RECONCILE_INTERVAL_MAX: Duration = Duration::from_secs(30 * 60);
/// How often it may be.
pub const RECONCILE_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long the reconciliation of one account may take.
pub const RECONCILE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long the verification of one account may take.
pub const VERIFY_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How often role, permissions and trail of an account are verified while nothing is wrong.
pub const VERIFY_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// How long after a failure an account is tried again at first; it doubles up to the interval of reconciliation.
pub const ACCOUNT_RETRY: Duration = Duration::from_secs(30);
/// Failures of an account's history in a row after which they are told.
pub const HISTORY_FAILURES_TOLD: u32 = 3;
/// How old the last verification may become before it is told again although nothing changed.
pub const VERIFIED_TOLD_SECONDS: i64 = 24 * 3600;
/// Problems of one account that are told one by one.
pub const PROBLEMS_TOLD_MAX: usize = 50;

// The queue.

/// Bytes of one message of a queue. SQS takes no larger ones.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Envelopes around a notification that are opened: SNS around whatever was published.
pub const MESSAGE_WRAPPINGS_MAX: usize = 2;
/// Objects that one message may name. A message of [`MESSAGE_BYTES_MAX`] has no room for more keys of CloudTrail's length.
pub const OBJECTS_PER_MESSAGE_MAX: usize = 10_000;
/// Objects of one message that are worked on at the same time; other messages have theirs.
pub const OBJECTS_PER_MESSAGE_AT_ONCE: usize = 64;
/// Messages that are received but not yet deleted or given back, for each worker. Most of them wait for the log's commit.
pub const MESSAGES_PER_WORKER: usize = 32;
/// Messages that are received but not yet deleted or given back.
pub const MESSAGES_IN_HAND_MAX: usize = 4_096;
/// Objects, for each worker, that are received but wait for one. With more of them waiting the queue is not asked.
pub const OBJECTS_WAITING_PER_WORKER: usize = 1;
/// Bytes of fetched objects that wait to be decoded, and bytes of their harvests that wait to be committed: each no more than this.
pub const LIVE_BYTES_MAX: usize = 48 << 20;
/// Requests that wait for messages at the same time.
pub const RECEIVERS: usize = 2;
/// Messages that SQS gives, takes back or deletes in one request.
pub const QUEUE_BATCH_MAX: usize = 10;
/// How long a delete waits for others to go with it.
pub const ACK_LINGER: Duration = Duration::from_millis(100);
/// Batches of deletes that are under way at the same time.
pub const ACK_BATCHES_AT_ONCE: usize = 4;
/// Deletes that wait for their batch; whoever has one more waits for room.
pub const ACK_QUEUE_MAX: usize = 1_024;
/// How often the delete of a message is tried. If none succeeds it is delivered again, and changes nothing.
pub const ACK_ATTEMPTS_MAX: u32 = 5;
/// How often a message is received before what is wrong with its content is believed.
pub const RECEIVES_BEFORE_BURIAL: u32 = 2;
/// How often one delivery tries to get an object: answers that break off, besides what the AWS client repeats by itself.
pub const FETCH_ATTEMPTS_MAX: u32 = 3;
/// How long a fetch waits before it is tried again; doubled each time.
pub const FETCH_RETRY_WAIT: Duration = Duration::from_millis(200);
/// How long an answer of S3 may take from the request to its last byte.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a message rests after the first failure; doubled for each receive.
pub const BACKOFF_MIN: Duration = Duration::from_secs(5);
/// How long a message rests at most.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a message rests at least when somebody must mend something first.
pub const ENVIRONMENT_BACKOFF_MIN: Duration = Duration::from_secs(60);
/// How long the queue is not asked after it could not be reached; doubled up to [`QUEUE_BACKOFF_MAX`].
pub const QUEUE_BACKOFF_MIN: Duration = Duration::from_secs(1);
/// How long the queue is not asked at most.
pub const QUEUE_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How often the queue is asked how many messages it holds. SQS itself counts about once a minute.
pub const QUEUE_DEPTH_INTERVAL: Duration = Duration::from_secs(30);
/// How long a message can be held by heartbeats. SQS gives it to others after 12 hours, whatever is asked.
pub const HEARTBEAT_FOR_MAX: Duration = Duration::from_secs(11 * 3600);
/// How long finishing what is being committed may take once the program is asked to stop.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(20);
/// Regions whose S3 clients are kept.
pub const REGION_CLIENTS_MAX: usize = 40;
/// Buckets whose region is remembered.
pub const BUCKET_REGIONS_MAX: usize = 1_000;
/// Problems that readiness tells one by one.
pub const PROBLEMS_MAX: usize = 64;
/// Things that show a problem and are remembered, so that it is known to be over when they work.
pub const PROBLEM_WITNESSES_MAX: usize = 16;
/// How long a problem that shows no more is told: twice as long as a message rests at most.
pub const PROBLEM_KEPT: Duration = Duration::from_secs(30 * 60);
// Listing.

/// How long after one listing of the newest days the next begins. CloudTrail delivers about every five minutes.
pub const LIST_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How short that may be.
pub const LIST_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long that may be.
pub const LIST_INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
/// Days besides today that each listing looks at. CloudTrail delivers within minutes and replication within hours, also around midnight;
/// what comes later (CloudTrail tries for 30 days where it was denied) a full listing finds.
pub const LIST_RECENT_DAYS: u32 = 2;
/// How many days that may be.
pub const LIST_RECENT_DAYS_MAX: u32 = 366;
/// How often all of a place is listed: a request for each thousand objects.
pub const LIST_FULL_EVERY: Duration = Duration::from_secs(24 * 3600);
/// How rarely that may be.
pub const LIST_FULL_EVERY_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
/// Places that are listed.
pub const LIST_PLACES_MAX: usize = 64;
/// Objects of one page of a listing, which S3 limits to 1000.
pub const LIST_PAGE: i32 = 1_000;
/// Pages that were listed and wait to be held against the log.
pub const LIST_PAGES_WAITING: usize = 2;
/// Folders of one place that are listed at the same time.
pub const LIST_AT_ONCE: usize = 8;
/// Folders of one place that fail before no more of them are tried.
pub const LIST_FAILURES_MAX: usize = 16;
/// How long after a listing that failed it is tried again.
pub const LIST_RETRY: Duration = Duration::from_secs(60);
/// How long a file was not written to before it is taken to be whole.
pub const LIST_FILE_RESTS: Duration = Duration::from_secs(2);
/// New objects that wait to be read; the listing waits for room.
pub const LIST_WAITING_MAX: usize = 1_024;
/// Objects that are held, most of them to be tried again; those beyond are forgotten until the next full listing, which then comes soon.
pub const LIST_HELD_MAX: usize = 20_000;
/// Objects that were given up, such as poison, and are remembered while the program runs. When there are more, all are read once more.
pub const LIST_GIVEN_UP_MAX: usize = 100_000;
/// How long it may take until whoever waits for new objects looks again whether one is due.
pub const LIST_WAKES_AFTER: Duration = Duration::from_secs(1);
/// How long a digest's time is, in seconds: CloudTrail writes one an hour.
pub const DIGEST_PERIOD_SECONDS: i64 = 3_600;

// Backfilling.

/// Objects of one request to read them. It also bounds how long a server that stops waits for one.
pub const BATCH_OBJECTS_MAX: usize = 200;
/// Different reasons why objects were not read that are told.
pub const BATCH_REASONS_MAX: usize = 8;

/// Dead letters that one replay or drop takes.
pub const LETTERS_AT_ONCE_MAX: usize = 10_000;
/// Objects that one replay reads at the same time.
pub const REPLAYS_AT_ONCE: usize = 8;
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
/// How long an operator waits before it tries again what failed and may succeed.
pub const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// How long an operator that has only to catch up before it ends tries again what fails.
pub const RETRY_LAST_MAX: Duration = Duration::from_secs(30);
/// How often a commit that was given up is made again.
pub const COMMITS_REPEATED_MAX: usize = 16;

// The log on Kafka.

/// Bytes of what the names of a log's topics begin with. Kafka's names have 249 at most.
pub const KAFKA_PREFIX_BYTES_MAX: usize = 100;
/// Bytes of the largest record with what Kafka adds to it: a value, a key and headers.
pub const KAFKA_MESSAGE_BYTES_MAX: usize = (64 << 20) + (1 << 20);
/// Bytes of records of all partitions that one fetch asks for; a larger record comes alone.
pub const KAFKA_FETCH_BYTES_MAX: usize = 16 << 20;
/// Bytes of records of one partition that one fetch asks for; a larger record comes alone.
pub const KAFKA_PARTITION_FETCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of one answer of a broker, at most: a fetch that ends with the largest record.
pub const KAFKA_RESPONSE_BYTES_MAX: usize = KAFKA_MESSAGE_BYTES_MAX + KAFKA_FETCH_BYTES_MAX + (1 << 20);
/// Records that a consumer fetches ahead.
pub const KAFKA_PREFETCH_RECORDS: usize = 20_000;
/// Bytes that a consumer fetches ahead.
pub const KAFKA_PREFETCH_BYTES_MAX: usize = 16 << 20;
/// Bytes of records that a producer joins into one batch of a partition.
pub const KAFKA_BATCH_BYTES: usize = 1 << 20;
/// Records that wait in a producer; a commit waits for room.
pub const KAFKA_QUEUE_RECORDS_MAX: usize = 100_000;
/// Bytes that wait in a producer; a commit waits for room. A record that is larger than a quarter of it is the only one for a while.
pub const KAFKA_QUEUE_BYTES_MAX: usize = 256 << 20;
/// How long a commit waits for room before it looks again.
pub const KAFKA_QUEUE_WAIT: Duration = Duration::from_millis(20);
/// How long a commit waits for news of its records before it looks.
pub const KAFKA_FLUSH_SLICE: Duration = Duration::from_millis(2);
/// How long a producer waits for more records of a batch. A commit ends the wait.
pub const KAFKA_LINGER: Duration = Duration::from_millis(2);
/// How long a producer keeps a connection on which nothing comes or goes. Longer than an answer is waited for.
pub const KAFKA_PRODUCER_IDLE_MAX: Duration = Duration::from_secs(15);
/// How long a broker waits for new records before it answers a task's fetch.
pub const KAFKA_FETCH_WAIT: Duration = Duration::from_millis(100);
/// How long a broker waits for new records before it answers a reader, who asks only for what is there.
pub const KAFKA_READER_FETCH_WAIT: Duration = Duration::from_millis(10);
/// How long a broker may take to answer a request.
pub const KAFKA_SOCKET_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it is waited for word of a broker before it is heard what is in the way.
pub const KAFKA_REACH_SLICE: Duration = Duration::from_millis(100);
/// How long another broker may take to let this program in after one refused to.
pub const KAFKA_REFUSED_MAX: Duration = Duration::from_secs(1);
/// How long brokers should keep the positions of a group whose members are all away.
pub const KAFKA_POSITIONS_KEPT_MIN: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of a file with a secret.
pub const KAFKA_SECRET_BYTES_MAX: u64 = 64 << 10;
/// How long one call to Kafka may take with all that the library repeats inside.
pub const KAFKA_CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a transaction may be open. What a process that died leaves open hides later records for this long, at most.
pub const KAFKA_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a commit is repeated whose outcome is not known: until its transaction's time is over by far.
pub const KAFKA_COMMIT_MAX: Duration = Duration::from_secs(90);
/// How long one call that aborts a transaction waits before it is repeated.
pub const KAFKA_ABORT_CALL: Duration = Duration::from_millis(250);
/// How long aborting a transaction is repeated, before its task is left to be opened anew, which aborts it too.
pub const KAFKA_ABORT_MAX: Duration = Duration::from_secs(5);
/// How long opening a log or a task is repeated.
pub const KAFKA_OPEN_MAX: Duration = Duration::from_secs(60);
/// How long the positions of a group are waited for before it is looked whether they are refused.
pub const KAFKA_POSITIONS_SLICE: Duration = Duration::from_secs(5);
/// How long a poll waits for its group to divide its partitions before it says so.
pub const KAFKA_JOIN_SLICE: Duration = Duration::from_secs(5);
/// How often failures that the library meets and goes on from are said; those between are counted.
pub const KAFKA_SAID_AGAIN: Duration = Duration::from_secs(30);
/// How often who takes part in leading looks whether it may end.
pub const KAFKA_LEAD_LOOK: Duration = Duration::from_millis(250);
/// How long a member of a group may not be heard of before its partitions go to others, unless something else is set.
pub const KAFKA_SESSION_TIMEOUT: Duration = Duration::from_secs(15);
/// How often a member of a group says that it is there, in that time.
pub const KAFKA_HEARTBEATS: u32 = 5;
/// How long a batch may take, its commit with all that is repeated included, before the partitions it is of go to others.
pub const KAFKA_BATCH_MAX: Duration = Duration::from_secs(300);
/// How long reading waits at an open transaction before it says so.
pub const KAFKA_UNDECIDED_MAX: Duration = Duration::from_secs(2);
/// How long a read that has records waits for more of those that are there.
pub const KAFKA_READ_LINGER: Duration = Duration::from_millis(200);
/// How long bringing the cache of state up to date waits while nothing comes: longer than a transaction that nobody ends, which Kafka aborts
/// up to 10 s after its time.
pub const KAFKA_RESTORE_IDLE_MAX: Duration = Duration::from_secs(45);
/// Bytes of a changelog that are applied to the cache in one write.
pub const KAFKA_RESTORE_BYTES: usize = 4 << 20;
/// Writes to the cache of state of which only the last is synced; a crash has as many read again.
pub const KAFKA_CACHE_WRITES_UNSYNCED: u64 = 256;
/// Page cache of the cache of state, in bytes.
pub const KAFKA_STATE_CACHE_BYTES: usize = 64 << 20;
/// Consumers that are kept for the next read.
pub const KAFKA_READERS_KEPT: usize = 4;
/// The first wait before a request, or connecting, is repeated.
pub const KAFKA_RETRY_MIN: Duration = Duration::from_millis(50);
/// The longest wait before a request is repeated.
pub const KAFKA_RETRY_MAX: Duration = Duration::from_secs(1);
/// The first wait before connecting is repeated.
pub const KAFKA_RECONNECT_MIN: Duration = Duration::from_millis(50);
/// The longest wait before connecting is repeated.
pub const KAFKA_RECONNECT_MAX: Duration = Duration::from_secs(2);
