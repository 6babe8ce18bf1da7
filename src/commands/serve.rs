//! `cloudigrade serve`: answers over HTTP, and collecting where the configuration says from what.

use std::sync::Arc;

use cloudigrade_connectors::source::Readiness;
use cloudigrade_query::rest::{self, Rest};
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
        true => Some(Live::start(data, config, readiness.clone(), stop.clone()).await?),
        false => None,
    };
    let tables = data.open_tables().await?;
    let backend = live.as_ref().map(Live::backend);
    eprintln!("listening at http://{}", listener.local_addr()?);
    tell_who_may(&listener, backend.as_deref(), config)?;
    let problems =
        Arc::new(move || readiness.problems(now()).into_iter().map(|problem| serde_json::to_value(problem).unwrap_or_default()).collect());
    let rest = Rest::new(tables, now, Arc::new(move || recorder.render()), problems);
    let limit = config.serve.shutdown_limit;
    // What is being answered is answered, within the limit: a client that takes nothing must not hold the stop.
    let answering = rest::serve(rest, listener, stop.clone().cancelled_owned());
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(limit).await;
    };
    tokio::select! {
        () = answering => {}
        () = given_up => tracing::warn!(seconds = limit.as_secs(), "some answers were not finished in time"),
    }
    if let Some(live) = live {
        let finished = tokio::time::timeout(limit, live.finish()).await;
        finished.map_err(|_| error(Code::Failed, format!("stopping took longer than {} s (serve.shutdown_limit); nothing is lost: what was not finished is done at the next start", limit.as_secs())))??;
    }
    eprintln!("stopped");
    Ok(Code::Done)
}

/// Whether this server has the log for itself: always where it collects, and else where there is one and nobody said otherwise.
fn owns_log(data: &DataFolder, args: &Serve, config: &Config) -> bool {
    !args.read_only && (config.collects() || data.has_log())
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
