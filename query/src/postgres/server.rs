//! Accepting connections, and stopping.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::cancel::Cancellers;
use super::question::Asker;
use super::{Parts, PostgresError, PostgresOptions, login};
use crate::limits::{HTTP_ACCEPT_PAUSE, PG_OPENINGS_MAX};
use crate::rest::backend::Backend;

/// What all connections share.
pub(super) struct Server {
    pub(super) asker: Asker,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) options: PostgresOptions,
    pub(super) cancellers: Arc<Cancellers>,
    pub(super) connections: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// Serves until `stop`. Statements that run then have a while to end; connections that are idle are told and end at once.
///
/// # Errors
/// Where the address is beyond this machine, and nothing encrypts what is sent.
pub async fn serve(
    parts: Parts,
    options: PostgresOptions,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), PostgresError> {
    if !listener.local_addr()?.ip().is_loopback() && options.tls.is_none() && !options.behind_tls_proxy {
        return Err(PostgresError::NotEncrypted);
    }
    let server = Arc::new(Server {
        asker: Asker::new(parts.tables, parts.queries, parts.now),
        backend: parts.backend,
        cancellers: Arc::default(),
        connections: Arc::new(Semaphore::new(options.connections)),
        stop: CancellationToken::new(),
        options,
    });
    let openings = Arc::new(Semaphore::new(PG_OPENINGS_MAX));
    let mut running = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepting = async {
            // Beyond the limit they wait in the system's queue. The semaphore is never closed.
            let opening = Arc::clone(&openings).acquire_owned().await;
            (opening, listener.accept().await)
        };
        tokio::select! {
            () = &mut stop => break,
            accepted = accepting => match accepted {
                (Ok(opening), Ok((stream, peer))) => _ = running.spawn(connected(stream, peer, opening, Arc::clone(&server))),
                (_, Err(error)) => refuse(&error).await,
                (Err(_), _) => break,
            },
            Some(ended) = running.join_next() => report(ended),
        }
    }
    drop(listener);
    server.stop.cancel();
    let all = async {
        while let Some(ended) = running.join_next().await {
            report(ended);
        }
    };
    if timeout(server.options.stop_within, all).await.is_err() {
        tracing::warn!("statements over the protocol of Postgres took too long to end and are given up");
        running.shutdown().await;
    }
    Ok(())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection over the protocol of Postgres ended abnormally");
    }
}

/// Counts a connection while it is there.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("cloudigrade_postgres_connections").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("cloudigrade_postgres_connections").decrement(1.0);
    }
}

async fn connected(stream: TcpStream, peer: SocketAddr, opening: OwnedSemaphorePermit, server: Arc<Server>) {
    let _counted = Counted::new();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    let opened = tokio::select! {
        opened = timeout(server.options.startup_within, Box::pin(login::open(stream, peer.ip().to_canonical(), &server))) => opened,
        () = server.stop.cancelled() => return,
    };
    drop(opening);
    let ended = match opened {
        Err(_) => {
            tracing::debug!(%peer, "a client took too long until it could be let in");
            return;
        }
        Ok(Ok(None)) => return,
        Ok(Ok(Some(connection))) => Box::pin(connection.serve()).await,
        Ok(Err(broken)) => Err(broken),
    };
    // Clients go away, stall and send what is no message: nothing of it is the server's failure.
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection over the protocol of Postgres ended early");
    }
}

/// What to do when no connection can be accepted: most often there are too many open files, which takes a while to pass.
async fn refuse(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    const PAUSE: Duration = HTTP_ACCEPT_PAUSE;
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "connections over the protocol of Postgres cannot be accepted");
        tokio::time::sleep(PAUSE).await;
    }
}
