//! `cloudigrade serve`: reports over HTTP, and collecting where the configuration says from what.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cloudigrade_connectors::source::Readiness;
use cloudigrade_query::rest::{self, Rest};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::Serve;
use crate::config::Config;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::live::Live;
use crate::output::tell;

/// How often measurements are summed up. Until then each is kept by itself.
const METRICS_SUMMED_EVERY: Duration = Duration::from_secs(5);

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
    tokio::spawn(sum_up(recorder.clone(), stop.clone()));
    // Before the tables are opened: collecting makes them where they are not there yet.
    let live = match config.collects() {
        true => Some(Live::start(data, config, readiness.clone(), stop.clone()).await?),
        false => None,
    };
    let tables = data.open_tables().await?;
    tell(format_args!("listening at http://{}", listener.local_addr()?));
    if !listen.ip().is_loopback() {
        tell("cloudigrade: there are no users yet: whoever reaches this address reads all reports");
    }
    let problems =
        Arc::new(move || readiness.problems(now()).into_iter().map(|problem| serde_json::to_value(problem).unwrap_or_default()).collect());
    let rest = Rest::new(tables, now, Arc::new(move || recorder.render()), problems);
    let answering = rest::serve(rest, listener, stop.clone().cancelled_owned());
    let (answered, finished) = tokio::join!(
        within(config.serve.shutdown_limit, &stop, answering),
        within(config.serve.shutdown_limit, &stop, async {
            stop.cancelled().await;
            match live {
                Some(live) => live.finish().await,
                None => Ok(()),
            }
        }),
    );
    if answered.is_none() {
        tell("cloudigrade: requests were under way and are cut off");
    }
    let Some(finished) = finished else {
        let message = format!(
            "stopping took longer than {} s (serve.shutdown_limit); nothing is lost: what was not finished is done at the next start",
            config.serve.shutdown_limit.as_secs()
        );
        return Err(error(Code::Failed, message));
    };
    finished?;
    tell("stopped");
    Ok(Code::Done)
}

/// Waits for something that ends once `stop` is told, at most so long after that.
async fn within<T>(limit: Duration, stop: &CancellationToken, ending: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        ended = ending => Some(ended),
        () = async {
            stop.cancelled().await;
            tokio::time::sleep(limit).await;
        } => None,
    }
}

/// Sums up what was measured. Reading `/metrics` does so too, but where nobody reads it, each message would cost memory for ever.
async fn sum_up(recorder: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(METRICS_SUMMED_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        recorder.run_upkeep();
    }
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
        stop.cancel();
        tell("cloudigrade: stopping; a second signal stops at once");
        signalled().await;
        std::process::exit(Code::Interrupted as i32);
    });
    Ok(())
}
