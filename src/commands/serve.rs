//! `cloudigrade serve`: answers over HTTP, and collecting where the configuration says from what.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cloudigrade_connectors::source::Readiness;
use cloudigrade_pipeline::embedded::OpenError;
use cloudigrade_query::postgres::{self, PostgresOptions, Tls};
use cloudigrade_query::rest::backend::Backend;
use cloudigrade_query::rest::{self, Parts, Rest, RestOptions, Watched};
use cloudigrade_query::{QueryRuntime, Tables};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::backend::LogBackend;
use crate::cli::Serve;
use crate::config::Config;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::live::Live;
use crate::live::roles::{Role, Roles};
use crate::output::{message, tell};

/// How often measurements are summed up. Until then each is kept by itself.
const METRICS_SUMMED_EVERY: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or Ctrl-C: what is being answered is answered, what is being collected is finished or given back. A second signal
/// ends the process at once, which loses nothing either.
pub async fn run(data: &DataFolder, args: &Serve, roles: &Roles, config: &Config) -> anyhow::Result<Code> {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let listen = args.listen.unwrap_or(config.serve.listen);
    let listener = TcpListener::bind(listen).await.map_err(|cause| cannot_listen(listen, &cause, "--listen"))?;
    let postgres_listen = args.postgres.or(config.serve.postgres.listen);
    let postgres = match postgres_listen {
        Some(listen) => {
            Some((TcpListener::bind(listen).await.map_err(|cause| cannot_listen(listen, &cause, "--postgres"))?, postgres_options(config)?))
        }
        None => None,
    };
    let readiness = Readiness::default();
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    tokio::spawn(sum_up(recorder.clone(), stop.clone()));
    // Before the tables are opened: it makes them where they are not there yet.
    let live = match owns_log(data, args, config) {
        true => Some(Live::start(data, config, roles, readiness.clone(), stop.clone()).await.map_err(with_way_out)?),
        false => None,
    };
    let watched = Watched {
        metrics: measured(recorder, readiness.clone()),
        problems: Arc::new(move || {
            readiness.problems(now()).into_iter().map(|problem| serde_json::to_value(problem).unwrap_or_default()).collect()
        }),
    };
    let listening = format!("listening at http://{}", listener.local_addr()?);
    let stopped = stop.clone().cancelled_owned();
    let (answering, speaking): (Ends<()>, Ends<anyhow::Result<()>>) = if roles.has(Role::Api) {
        let tables = Arc::new(data.open_tables().await?);
        let backend = live.as_ref().and_then(Live::backend);
        tell(&listening);
        tell_who_may(&listener, backend.as_deref(), config)?;
        let options = rest_options(config, backend.is_none());
        let backend = backend.map(|backend| backend as Arc<dyn Backend>);
        let queries = Arc::new(QueryRuntime::new(std::thread::available_parallelism()?)?);
        let speaking = speak_postgres(postgres, &tables, &queries, backend.as_ref(), &stop)?;
        let parts = Parts { tables, queries, backend, now, metrics: watched.metrics, problems: watched.problems };
        (Box::pin(rest::serve(Rest::new(parts, options), listener, stopped)), Box::pin(speaking))
    } else {
        tell(&listening);
        (Box::pin(rest::watch(watched, listener, stopped)), Box::pin(std::future::ready(Ok(()))))
    };
    let (answered, spoken, finished) = tokio::join!(
        within(config.serve.shutdown_limit, &stop, answering),
        within(config.serve.shutdown_limit, &stop, speaking),
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
    spoken.transpose()?;
    tell("stopped");
    Ok(Code::Done)
}

/// Something that ends.
type Ends<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What gives the text of `/metrics`. How many problems `/readyz` would tell at that moment is in it, so that whoever reads it need not ask both.
fn measured(recorder: PrometheusHandle, readiness: Readiness) -> Arc<dyn Fn() -> String + Send + Sync> {
    Arc::new(move || {
        metrics::gauge!("cloudigrade_problems").set(readiness.problems(now()).len() as f64);
        recorder.render()
    })
}

/// How resources are answered, as the operator decided.
fn rest_options(config: &Config, has_no_users: bool) -> RestOptions {
    RestOptions {
        identity: config.serve.identity_header,
        // Where nobody is known nobody can log in.
        open: config.serve.open || has_no_users,
        cors: config.serve.cors.clone(),
        proxies: config.serve.proxies.clone(),
        ..RestOptions::default()
    }
}

fn cannot_listen(at: SocketAddr, cause: &std::io::Error, flag: &str) -> anyhow::Error {
    let help = match cause.kind() {
        std::io::ErrorKind::AddrInUse => format!("another program listens there: choose another with {flag}"),
        std::io::ErrorKind::PermissionDenied => format!("ports below 1024 need a privilege: choose another with {flag}"),
        _ => format!("choose another with {flag}"),
    };
    error(Code::Storage, format!("{at} cannot be listened at: {cause}; {help}"))
}

/// How the protocol of Postgres is spoken.
fn postgres_options(config: &Config) -> anyhow::Result<PostgresOptions> {
    let postgres = &config.serve.postgres;
    let tls = match (&postgres.tls_certificate, &postgres.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(Tls::from_files(certificate, key).map_err(|cause| error(Code::Usage, format!("serve.postgres: {cause}")))?)
        }
        _ => None,
    };
    Ok(PostgresOptions { tls, behind_tls_proxy: postgres.behind_tls_proxy, ..PostgresOptions::default() })
}

/// Speaks the protocol of Postgres, if it is to be spoken, until the server stops. If it cannot go on, the server stops.
fn speak_postgres(
    listener: Option<(TcpListener, PostgresOptions)>,
    tables: &Arc<Tables>,
    queries: &Arc<QueryRuntime>,
    backend: Option<&Arc<dyn Backend>>,
    stop: &CancellationToken,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + use<>> {
    let spoken = match (listener, backend) {
        (None, _) => None,
        (Some(_), None) => {
            let message = "the protocol of Postgres needs users, and so a log of this server's own: leave it out with --read-only";
            return Err(error(Code::Usage, message));
        }
        (Some((listener, options)), Some(backend)) => {
            tell(format_args!("listening at postgres://{}", listener.local_addr()?));
            let parts = postgres::Parts { tables: Arc::clone(tables), queries: Arc::clone(queries), backend: Arc::clone(backend), now };
            Some(postgres::serve(parts, options, listener, stop.clone().cancelled_owned()))
        }
    };
    let ends = stop.clone().drop_guard();
    Ok(async move {
        let Some(spoken) = spoken else {
            ends.disarm().cancelled().await;
            return Ok(());
        };
        let _ends = ends;
        spoken.await.map_err(|cause| error(Code::Usage, cause.to_string()))
    })
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
        tell("cloudigrade: there are no users yet: `cloudigrade users create NAME --superuser` makes the first, also while this runs");
    }
    if open && beyond {
        tell("cloudigrade: whoever reaches this address reads all reports, without logging in");
    }
    if beyond {
        tell("cloudigrade: what is sent is not encrypted: let a proxy with TLS stand before this address, and nobody else reach it");
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
        stop.cancel();
        tell("cloudigrade: stopping; a second signal stops at once");
        signalled().await;
        std::process::exit(Code::Interrupted as i32);
    });
    Ok(())
}
