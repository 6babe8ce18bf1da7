//! The named limits of this crate, with their units.

use std::time::Duration;

/// Buckets of one period, at most: every hour of a year is 8,784.
pub const BUCKETS_MAX: usize = 10_000;
/// The length of a period in seconds, at most: a hundred years. Offsets into it fit 32 bits.
pub const PERIOD_SECONDS_MAX: i64 = 100 * 366 * 86_400;
/// Virtual CPUs, or MiB of memory, of one instance, at most: sums over four billion instances then fit 64 bits.
pub const SIZE_MAX: i64 = i32::MAX as i64;
/// Bytes that one query may hold in memory, unless the caller says otherwise.
pub const QUERY_MEMORY_BYTES: usize = 1 << 30;
/// Bytes that one query may spill to disk, unless the caller says otherwise.
pub const QUERY_SPILL_BYTES: u64 = 16 << 30;
/// Rows that one query or report may return, unless the caller says otherwise.
pub const QUERY_ROWS_MAX: usize = 1_000_000;
/// How long one query may take, unless the caller says otherwise.
pub const QUERY_DEADLINE: Duration = Duration::from_secs(300);
/// How long a digest of all tables may take.
pub const DIGEST_DEADLINE: Duration = Duration::from_secs(24 * 3600);
/// Parquet footers that are kept between queries, in bytes.
pub const FOOTER_CACHE_BYTES: usize = 64 << 20;
/// How far into a file's end the first read of its footer reaches, in bytes.
pub const FOOTER_HINT_BYTES: usize = 64 << 10;
/// Viewers whose part of a snapshot is kept, beside the snapshot.
pub const VIEWS_KEPT_MAX: usize = 256;
/// Earlier snapshots that are kept, each with the names of its files: a few hundred bytes a file.
pub const PAST_SNAPSHOTS_KEPT_MAX: usize = 16;
/// Files of an earlier version that are looked for at the same time.
pub const LOOKS_AT_ONCE_MAX: usize = 32;
/// Runs that one explanation may list.
pub const EXPLAINED_RUNS_MAX: usize = 100_000;
/// Rows of a group that a result in Parquet is written in.
pub const RESULT_ROW_GROUP_ROWS: usize = 128 << 10;
/// Bytes that one query may hold in memory that a user wrote and sent over the network.
pub const USER_SQL_MEMORY_BYTES: usize = 256 << 20;
/// Bytes that such a query may spill to disk.
pub const USER_SQL_SPILL_BYTES: u64 = 4 << 30;
/// Rows that such a query may return.
pub const USER_SQL_ROWS_MAX: usize = 1_000_000;
/// How long such a query may take.
pub const USER_SQL_DEADLINE: Duration = Duration::from_secs(60);
/// Queries of users that run at the same time.
pub const SQL_AT_ONCE_MAX: usize = 2;
/// Queries of users that wait to run; those beyond are told to come again.
pub const SQL_WAITING_MAX: usize = 16;
/// The stack of a thread that plans questions, in bytes: planning goes as deep as a question is nested, and what overflows ends the process.
/// Only what is used of it takes memory.
pub const THREAD_STACK_BYTES: usize = 64 << 20;
/// Threads of a lane that read files, beside those that compute.
pub const LANE_BLOCKING_THREADS_MAX: usize = 32;
/// Batches that a lane computes ahead of whoever reads them.
pub const ROWS_AHEAD_BATCHES: usize = 2;
/// Reports that are computed at the same time over HTTP.
pub const REPORTS_AT_ONCE_MAX: usize = 4;
/// Reports that wait to be computed over HTTP; those beyond are told to come again.
pub const REPORTS_WAITING_MAX: usize = 64;
/// Connections at once over HTTP; more wait to be accepted.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;
/// Bytes of a request's first line and headers, at most.
pub const HTTP_HEAD_BYTES_MAX: usize = 32 << 10;
/// Headers of a request, at most.
pub const HTTP_HEADERS_MAX: usize = 100;
/// Bytes of a request's path and query, at most.
pub const HTTP_TARGET_BYTES_MAX: usize = 8 << 10;
/// Bytes of a request's body, at most.
pub const HTTP_BODY_BYTES_MAX: usize = 1 << 20;
/// How long a request's head may take, and how long a connection may be idle.
pub const HTTP_HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a request's body may take.
pub const HTTP_BODY_WITHIN: Duration = Duration::from_secs(30);
/// How long the rest of a body may take that is not needed any more, for the connection to go on.
pub const HTTP_UNREAD_BODY_WITHIN: Duration = Duration::from_secs(1);
/// How long an answer may take to begin: a query's time, and that to wait for its turn.
pub const HTTP_ANSWER_WITHIN: Duration = Duration::from_secs(330);
/// How long a client may take nothing of its answer.
pub const HTTP_STALL_MAX: Duration = Duration::from_secs(60);
/// How long the server waits after it could not accept a connection.
pub const HTTP_ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Bytes from which on an answer of known length is worth compressing.
pub const HTTP_COMPRESS_BYTES_MIN: u64 = 1024;
/// Bytes of a piece of a compressed answer, about.
pub const HTTP_COMPRESS_PIECE_BYTES: usize = 32 << 10;
/// Characters of a request's id that a client may choose, at most.
pub const HTTP_REQUEST_ID_CHARS_MAX: usize = 128;
/// Bytes of a piece of an answer that is sent as it is made, about.
pub const HTTP_PIECE_BYTES: usize = 64 << 10;
/// Pieces of an answer that wait for its client.
pub const HTTP_PIECES_WAITING_MAX: usize = 4;
/// Rows of one page of a list, unless the request says otherwise.
pub const PAGE_ROWS: usize = 100;
/// Rows of one page of a list, at most.
pub const PAGE_ROWS_MAX: usize = 1000;
/// Items of one page of the old APIs' lists, unless the request says otherwise.
pub const OLD_PAGE_ITEMS: usize = 10;
/// Dead letters that one request settles, at most.
pub const LETTERS_SETTLED_MAX: usize = 1000;
/// Answers of many rows that are sent at the same time over HTTP, fewer than reports at once; those beyond are told to come again.
pub const EXPORTS_AT_ONCE_MAX: usize = 2;
/// Rows of an answer that are written before it is sent, at most; more are written as the client takes them.
pub const HTTP_WHOLE_ROWS_MAX: usize = 10_000;
/// Parameters of one query, at most.
pub const SQL_PARAMETERS_MAX: usize = 1000;
/// Connections at once over the protocol of Postgres; more are refused.
pub const PG_CONNECTIONS_MAX: usize = 100;
/// Connections over the protocol of Postgres that are not let in yet; more wait to be accepted.
pub const PG_OPENINGS_MAX: usize = 100;
/// Bytes of the first message of a connection: as in Postgres.
pub const PG_OPENING_BYTES_MAX: usize = 10_000;
/// Bytes of a message with a password.
pub const PG_PASSWORD_BYTES_MAX: usize = 2048;
/// Bytes of any other message.
pub const PG_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How long a client may take until it is let in.
pub const PG_STARTUP_WITHIN: Duration = Duration::from_secs(30);
/// How long a connection may be idle. Pools keep theirs for hours.
pub const PG_IDLE_MAX: Duration = Duration::from_secs(8 * 3600);
/// How long a client may take nothing of what it is sent.
pub const PG_STALL_MAX: Duration = Duration::from_secs(60);
/// How long statements go on that run when the server is told to stop.
pub const PG_STOP_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that wait to be sent before more rows are computed, about.
pub const PG_WRITE_BYTES: usize = 64 << 10;
/// Statements in one query.
pub const PG_STATEMENTS_AT_ONCE_MAX: usize = 100;
/// Prepared statements that a connection keeps.
pub const PG_PREPARED_MAX: usize = 500;
/// Portals and cursors that a connection keeps.
pub const PG_PORTALS_MAX: usize = 50;
/// How often is looked, besides at each statement, whether a user whose connection is open is let in still.
pub const PG_LET_IN_LOOK_EVERY: Duration = Duration::from_secs(2);
/// Operators that may follow each other in a query: how deep the tree is that it is parsed to.
pub const SQL_NESTING_MAX: usize = 1000;
