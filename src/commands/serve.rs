//! `cloudigrade serve`: reports over HTTP, and collecting where the configuration says from what.

use std::sync::Arc;

use cloudigrade_connectors::source::Readiness;
use cloudigrade_query::rest::{self, Parts, Rest, RestOptions};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

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
    // Before the tables are opened: collecting makes them where they are not there yet.
    let live = match config.collects() {
        true => Some(Live::start(data, config, readiness.clone(), stop.clone()).await?),
        false => None,
    };
    let tables = Arc::new(data.open_tables().await?);
    eprintln!("listening at http://{}", listener.local_addr()?);
    if !listen.ip().is_loopback() {
        eprintln!("cloudigrade: there are no users yet: whoever reaches this address reads all reports");
    }
    let problems =
        Arc::new(move || readiness.problems(now()).into_iter().map(|problem| serde_json::to_value(problem).unwrap_or_default()).collect());
    let parts = Parts { tables, backend: None, now, metrics: Arc::new(move || recorder.render()), problems };
    let rest = Rest::new(parts, RestOptions { open: true, ..RestOptions::default() });
    rest::serve(rest, listener, stop.clone().cancelled_owned()).await;
    if let Some(live) = live {
        let limit = config.serve.shutdown_limit;
        let finished = tokio::time::timeout(limit, live.finish()).await;
        finished.map_err(|_| error(Code::Failed, format!("stopping took longer than {} s (serve.shutdown_limit); nothing is lost: what was not finished is done at the next start", limit.as_secs())))??;
    }
    eprintln!("stopped");
    Ok(Code::Done)
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
