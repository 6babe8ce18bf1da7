//! Connections: how many at once, and how long each may take for what.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Reply};

use super::dispatch::{Peer, routes};
use super::stall::NoStall;
use super::watch::{Watched, watch_routes};
use super::{RequestLimits, Rest};
use crate::limits::{HTTP_ACCEPT_PAUSE, HTTP_HEADERS_MAX};

/// Serves until `stop`; requests under way are answered. HTTP/1.1 only: a proxy in front speaks whatever else with the clients.
pub async fn serve(rest: Rest, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
    let limits = rest.options().limits;
    answer(routes(rest).map(Reply::into_response).boxed(), limits, listener, stop).await;
}

/// Serves only what tells how the process is, for one that answers nothing else.
pub async fn watch(watched: Watched, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
    answer(watch_routes(watched), RequestLimits::default(), listener, stop).await;
}

async fn answer(
    routes: BoxedFilter<(Response,)>,
    limits: RequestLimits,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let service = TowerToHyperService::new(warp::service(routes));
    let connections = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepting = async {
            // Beyond the limit they wait in the system's queue. The semaphore is never closed.
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = &mut stop => break,
            accepted = accepting => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                refuse(&error).await;
                continue;
            }
        };
        let service = service.clone();
        let resources = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            service.call(request)
        });
        let connection = builder(&limits).serve_connection(io(stream, &limits), resources);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _permit = permit;
            // Clients go away, stall and send what is no HTTP: nothing of it is the server's failure.
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn builder(limits: &RequestLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_headers(HTTP_HEADERS_MAX)
        .max_header_size(limits.head_bytes);
    builder
}

fn io(stream: TcpStream, limits: &RequestLimits) -> TokioIo<NoStall<TcpStream>> {
    // Answers are written whole; waiting for more to send with them only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    TokioIo::new(NoStall::new(stream, limits.stall))
}

/// What to do when no connection can be accepted: most often there are too many open files, which takes a while to pass.
async fn refuse(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "connections cannot be accepted");
        tokio::time::sleep(HTTP_ACCEPT_PAUSE).await;
    }
}
