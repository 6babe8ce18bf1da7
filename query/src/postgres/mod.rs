//! SQL by the protocol of Postgres, for `psql`, drivers, Grafana and DBeaver.
//!
//! The protocol's messages are written by `pgwire`, its catalogue is that of `datafusion-pg-catalog`; what may be asked, by whom, for how
//! long and on which threads is decided here. A connection belongs to a user, and each of its statements is planned in a session of its
//! own over what this user sees: no statement can reach another's, nor leave anything behind.
//!
//! * [`statement`], [`set`]: which statements there are; all else is refused
//! * [`connection`], [`extended`], [`sending`]: what a client asks, and its answers
//! * [`question`]: asking it; [`rewrite`]: in words that DataFusion knows
//! * [`catalogue`], [`functions`], [`settings`]: what tools look for
//! * [`login`], [`cancel`], [`server`]: connections
//! * [`frontend`], [`wire`], [`value`], [`running`], [`copy`], [`wrong`]: bytes

mod cancel;
mod catalogue;
mod connection;
mod copy;
mod extended;
mod frontend;
mod functions;
mod login;
mod question;
mod rewrite;
mod running;
mod sending;
mod server;
mod set;
mod settings;
mod statement;
mod tls;
mod value;
mod wire;
mod wrong;

use std::sync::Arc;
use std::time::Duration;

use cloudigrade_schemas::UtcSecond;

pub use self::server::serve;
pub use self::tls::{Tls, TlsError};

use crate::limits::{PG_CONNECTIONS_MAX, PG_IDLE_MAX, PG_MESSAGE_BYTES_MAX, PG_STALL_MAX, PG_STARTUP_WITHIN, PG_STOP_WITHIN};
use crate::rest::backend::Backend;
use crate::runtime::QueryRuntime;
use crate::session::Limits;
use crate::tables::Tables;

/// What the program gives.
pub struct Parts {
    /// The tables that are read.
    pub tables: Arc<Tables>,
    /// The threads that compute answers.
    pub queries: Arc<QueryRuntime>,
    /// What knows users.
    pub backend: Arc<dyn Backend>,
    /// The wall clock.
    pub now: fn() -> UtcSecond,
}

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// What connections are encrypted with. Passwords are sent as they are, so without it the server listens on loopback alone.
    pub tls: Option<Tls>,
    /// Whether a proxy that speaks TLS stands before the address, so that it may be another than loopback without [`Self::tls`].
    pub behind_tls_proxy: bool,
    /// Connections at once; more are refused.
    pub connections: usize,
    /// How long a client may take until it is let in.
    pub startup_within: Duration,
    /// How long a connection may be idle.
    pub idle: Duration,
    /// How long a client may take nothing of what it is sent.
    pub stall: Duration,
    /// Bytes of a message, at most.
    pub message_bytes: usize,
    /// How long statements that run when the server is told to stop may go on.
    pub stop_within: Duration,
    /// What a statement may take. A client can only set itself a shorter time.
    pub limits: Limits,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            tls: None,
            behind_tls_proxy: false,
            connections: PG_CONNECTIONS_MAX,
            startup_within: PG_STARTUP_WITHIN,
            idle: PG_IDLE_MAX,
            stall: PG_STALL_MAX,
            message_bytes: PG_MESSAGE_BYTES_MAX,
            stop_within: PG_STOP_WITHIN,
            limits: Limits::of_users(),
        }
    }
}

/// Why the protocol is not spoken.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Passwords would be sent in the clear.
    #[error(
        "the protocol of Postgres would send passwords unencrypted beyond this machine: give a certificate and a key, or say that a proxy with \
         TLS stands before the address"
    )]
    NotEncrypted,
    /// The address cannot be used.
    #[error("the address for the protocol of Postgres cannot be used: {0}")]
    Address(#[from] std::io::Error),
}
