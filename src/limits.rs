//! The named limits of the program, with their units.

use std::time::Duration;

// Users.

/// Users that are kept. All are in memory.
pub const USERS_MAX: usize = 10_000;
/// Tokens that work at the same time, of all users. All are in memory.
pub const TOKENS_MAX: usize = 100_000;
/// Tokens of one user that work at the same time. One more ends the oldest.
pub const TOKENS_PER_USER_MAX: usize = 100;
/// Characters of a token's label.
pub const TOKEN_LABEL_CHARS_MAX: usize = 100;
/// Characters of an email address: what SMTP takes.
pub const EMAIL_CHARS_MAX: usize = 254;
/// Random bits of a token, in bytes.
pub const TOKEN_BYTES: usize = 20;
/// How often users and tokens are looked at that other processes may have changed.
pub const USERS_FOLLOWED_EVERY: Duration = Duration::from_millis(500);
/// How often tokens that have expired are forgotten.
pub const TOKENS_FORGOTTEN_EVERY: Duration = Duration::from_secs(3600);
/// Expired tokens that are forgotten in one commit.
pub const TOKENS_FORGOTTEN_AT_ONCE: usize = 1_000;

// Watching.

/// How long a task that has something to do may get no further before its process says that it is not ready. A batch takes seconds.
pub const STALLED_AFTER: Duration = Duration::from_secs(120);
/// How long a server that is watched may take to answer.
pub const TOP_ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of what it answers.
pub const TOP_ANSWER_BYTES_MAX: u64 = 4 << 20;

// Looking at records.

/// Records that one look shows, at most.
pub const LOOK_RECORDS_MAX: usize = 1_000;
/// Bytes of keys and values that one look reads; the record that reaches it is the last.
pub const LOOK_BYTES_MAX: usize = 1 << 20;
/// Bytes of a value that are shown.
pub const LOOK_VALUE_BYTES_MAX: usize = 1 << 20;
/// How often is looked for new records.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How much farther back is looked for the last records where too few were found.
pub const LOOK_BACK_FACTOR: u64 = 8;

// Moving a log.

/// Bytes of keys and values that one commit moves; the record that reaches it is the last.
pub const MOVE_BATCH_BYTES: usize = 4 << 20;
/// Records, or keys of state, that one commit moves.
pub const MOVE_BATCH_RECORDS: usize = 10_000;

// Passwords.

/// Characters of a password, at least.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Bytes of a password, at most: hashing takes as long as the password is long.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Memory of Argon2id in KiB: OWASP's first choice, with [`ARGON2_PASSES`] and [`ARGON2_LANES`].
pub const ARGON2_MEMORY_KIB: u32 = 19_456;
/// Passes of Argon2id.
pub const ARGON2_PASSES: u32 = 2;
/// Lanes of Argon2id.
pub const ARGON2_LANES: u32 = 1;
/// Passwords that are hashed at the same time. Each takes [`ARGON2_MEMORY_KIB`] and a processor.
pub const HASHES_AT_ONCE: usize = 2;
/// Passwords that wait to be hashed; more are refused.
pub const HASHES_WAITING_MAX: usize = 64;
/// Seconds after which somebody who was refused because too many wait may try again.
pub const HASHES_RETRY_SECONDS: u64 = 2;

// Attempts to log in that failed. Each kind allows a burst, and one more each time that an interval has passed.

/// Failures with one name from one address.
pub const PAIR_FAILURES_BURST: u32 = 5;
/// How long one failure with one name from one address counts.
pub const PAIR_FAILURE_EVERY: Duration = Duration::from_secs(15);
/// Failures from one address, whatever the names.
pub const ADDRESS_FAILURES_BURST: u32 = 20;
/// How long one failure from one address counts.
pub const ADDRESS_FAILURE_EVERY: Duration = Duration::from_secs(5);
/// Failures with one name, whatever the addresses. Where the name has logged in from before is not held to it, so that nobody can shut a
/// user out from elsewhere.
pub const NAME_FAILURES_BURST: u32 = 60;
/// How long one failure with one name counts.
pub const NAME_FAILURE_EVERY: Duration = Duration::from_secs(2);
/// Names, addresses and pairs whose failures are remembered.
pub const FAILURES_REMEMBERED_MAX: usize = 20_000;
/// Pairs of a name and an address that it has logged in from that are remembered.
pub const LOGINS_REMEMBERED_MAX: usize = 20_000;

// What is asked of the log.

/// How long a command repeats what a log refuses for the moment.
pub const LOG_RETRY_MAX: Duration = Duration::from_secs(60);
/// How long it waits before it repeats it.
pub const LOG_RETRY_EVERY: Duration = Duration::from_millis(200);

/// How long a request waits for what it asked for, unless something else is set; it is carried on with after that: AWS may take long. Clients
/// of the first API give up after 7 s.
pub const ANSWER_WAIT: Duration = Duration::from_secs(6);
const _: () = assert!(ANSWER_WAIT.as_secs() < 7);
/// How long is waited until something that was written shows in the tables.
pub const SHOWN_WAIT: Duration = Duration::from_secs(10);
/// How often is looked whether an operator has folded something.
pub const FOLDED_LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long AWS may take to say which account is ours.
pub const OWN_ACCOUNT_WAIT: Duration = Duration::from_secs(3);
/// How long it is not asked again after it did not say.
pub const OWN_ACCOUNT_RETRY: Duration = Duration::from_secs(60);
/// Characters of the reason of an override.
pub const REASON_CHARS_MAX: usize = 1_000;
/// Inspections that one answer tells of, at most; the latest.
pub const INSPECTIONS_TOLD_MAX: usize = 10_000;
/// Accounts that are being registered by requests at the same time.
pub const REGISTRATIONS_AT_ONCE_MAX: usize = 16;
