//! `cloudigrade serve`: answers over HTTP, and collecting where the configuration says from what.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use cloudigrade_connectors::source::Readiness;
use cloudigrade_pipeline::embedded::OpenError;
use cloudigrade_query::QueryRuntime;
use cloudigrade_query::rest::backend::Backend;
use cloudigrade_query::rest::{self, Parts, Rest, RestOptions};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::backend::LogBackend;
use crate::cli::Serve;
use crate::config::Config;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::live::Live;
use crate::output::message;

/// Serves until SIGTERM or Ctrl-C: what is being answered is answered, what is being collected is finished or given back. A second signal
/// ends the process at once, which loses nothing either.
pub async fn run(data: &DataFolder, args: &Serve, config: &Config) -> anyhow::Result<Code> {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let listen = args.listen.unwrap_or(config.serve.listen);
    let listener = TcpListener::bind(listen).await.map_err(|cause| {
        let help = match cause.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there: choose another with --listen",
            std::io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose another with --listen",
            _ => "choose another with --listen",
        };
        error(Code::Storage, format!("{listen} cannot be listened at: {cause}; {help}"))
    })?;
    let readiness = Readiness::default();
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    // Before the tables are opened: it makes them where they are not there yet.
    let live = match owns_log(data, args, config) {
        true => Some(Live::start(data, config, readiness.clone(), stop.clone()).await.map_err(with_way_out)?),
        false => None,
    };
    let tables = Arc::new(data.open_tables().await?);
    let backend = live.as_ref().map(Live::backend);
    eprintln!("listening at http://{}", listener.local_addr()?);
    tell_who_may(&listener, backend.as_deref(), config)?;
    let problems =
        Arc::new(move || readiness.problems(now()).into_iter().map(|problem| serde_json::to_value(problem).unwrap_or_default()).collect());
    let options = RestOptions {
        identity: config.serve.identity_header,
        // Where nobody is known nobody can log in.
        open: config.serve.open || backend.is_none(),
        cors: config.serve.cors.clone(),
        proxies: config.serve.proxies.clone(),
        ..RestOptions::default()
    };
    let backend = backend.map(|backend| backend as Arc<dyn Backend>);
    let queries = Arc::new(QueryRuntime::new(std::thread::available_parallelism()?)?);
    let parts = Parts { tables, queries, backend, now, metrics: Arc::new(move || recorder.render()), problems };
    let rest = Rest::new(parts, options);
    let mut answering = pin!(rest::serve(rest, listener, stop.clone().cancelled_owned()));
    let answered = tokio::select! {
        () = &mut answering => true,
        () = stop.cancelled() => false,
    };
    let asked = Instant::now();
    let limit = config.serve.shutdown_limit;
    // What is being answered is answered, but a client that takes nothing does not hold the stop.
    if !answered && tokio::time::timeout(limit / 2, answering).await.is_err() {
        eprintln!("cloudigrade: some answers were not taken in time, and are given up");
    }
    if let Some(live) = live {
        let finished = tokio::time::timeout(limit.saturating_sub(asked.elapsed()), live.finish()).await;
        finished.map_err(|_| error(Code::Failed, format!("stopping took longer than {} s (serve.shutdown_limit); nothing is lost: what was not finished is done at the next start", limit.as_secs())))??;
    }
    eprintln!("stopped");
    Ok(Code::Done)
}

/// Whether this server has the log for itself: always where it collects, and else where there is one and nobody said otherwise.
fn owns_log(data: &DataFolder, args: &Serve, config: &Config) -> bool {
    !args.read_only && (config.collects() || data.has_log())
}

/// What to do where another process has the log.
fn with_way_out(cause: anyhow::Error) -> anyhow::Error {
    match cause.downcast_ref::<OpenError>() {
        Some(OpenError::InUse { .. }) => {
            let message = format!("{}; with --read-only, a server only answers reports, beside whatever has the folder", message(&cause));
            error(Code::Data, message)
        }
        _ => cause,
    }
}

/// Says how somebody gets in, and warns of what everybody can read.
fn tell_who_may(listener: &TcpListener, backend: Option<&LogBackend>, config: &Config) -> anyhow::Result<()> {
    let beyond = !listener.local_addr()?.ip().is_loopback();
    let open = backend.is_none() || config.serve.open;
    if backend.is_some_and(LogBackend::has_no_users) {
        eprintln!("cloudigrade: there are no users yet: `cloudigrade users create NAME --superuser` makes the first, also while this runs");
    }
    if open && beyond {
        eprintln!("cloudigrade: whoever reaches this address reads all reports, without logging in");
    }
    if beyond {
        eprintln!("cloudigrade: what is sent is not encrypted: let a proxy with TLS stand before this address, and nobody else reach it");
    }
    Ok(())
}

/// The first signal asks to stop; the second ends the process.
fn stop_on_signals(stop: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        signalled().await;
        eprintln!("cloudigrade: stopping; a second signal stops at once");
        stop.cancel();
        signalled().await;
        std::process::exit(Code::Interrupted as i32);
    });
    Ok(())
}
