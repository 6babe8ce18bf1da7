//! Everything that runs while serving, beside HTTP: sources and the fleet of accounts put into the log where the configuration names them,
//! operators fold, the tables follow. Without sources it is what changes users, accounts and overrides.
//!
//! ```text
//! queue, places -> source -\                       /-> extract -> intervals --\
//! accounts -> fleet ------+--> committer --> log --+-> accounts              +--> tables
//! HTTP, control socket -> service                  \-------------------------/
//! ```
//! Stopping goes the same way: sources first, then the committer, the operators, the tables. Each part waits for the one before it, so what
//! was committed is folded and shown, and what was not is given back.

pub mod collect;
pub mod inspect;
mod lags;
mod leading;
pub mod operators;
mod parts;
pub mod roles;
pub mod shown;
mod stall;
pub mod tables;

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::log::{DataLog, Process};
use cloudigrade_connectors::aws::fleet::ExternalIds;
use cloudigrade_connectors::source::{Committer, Readiness};
use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_pipeline::operators::accounts;
use cloudigrade_pipeline::sink::Tables;
use cloudigrade_schemas::Topic;
use tokio_util::sync::CancellationToken;

use self::collect::Finding;
use self::operators::Operators;
use self::parts::Parts;
use self::roles::{Role, Roles};
use self::shown::Shown;
use self::tables::TableKeeper;
use crate::backend::LogBackend;
use crate::config::Config;
use crate::control::service::{Collecting, Service};
use crate::control::socket::Control;
use crate::data::{DataFolder, now};
use crate::limits::{TOKENS_FORGOTTEN_EVERY, USERS_FOLLOWED_EVERY};
use crate::users::Directory;

/// The parts that run.
pub struct Live {
    stop: CancellationToken,
    /// Sources, the fleet and the control socket. Each ends by itself when it is told to stop.
    parts: Parts,
    commits: Option<JoinHandle<Result<(), LogError>>>,
    operators: Option<Operators>,
    tables: Option<TableKeeper>,
    backend: Option<Arc<LogBackend>>,
    /// Kept to the end: no other process may have the log while anything here still runs.
    _log: DataLog,
}

impl Live {
    /// Opens the log and starts everything that the roles and the configuration name. A part that ends by itself, with a failure or a panic,
    /// stops the server: `stop` is cancelled.
    ///
    /// # Errors
    /// A log that is in use or damaged, tables that cannot be written, a configuration that AWS's client refuses.
    pub async fn start(
        data: &DataFolder,
        config: &Config,
        roles: &Roles,
        readiness: Readiness,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let log = data.open_log(&Process::Lasting(roles.name()))?;
        let tables = match roles.has(Role::Sink) {
            true => {
                let root = data.table_root()?;
                Some(TableKeeper::start(root, log.clone(), config.serve.tables_every, readiness.clone(), &stop).await?)
            }
            false => {
                if roles.has(Role::Api) {
                    // Reports are answered before whoever keeps the tables has begun.
                    Tables::open(&data.table_root()?, log.partitions()).await?;
                }
                None
            }
        };
        let operators = roles.has(Role::Operators).then(|| Operators::start(&log, &stop)).transpose()?;
        let mut parts = Parts::new(stop.clone());
        let (committer, commits) = match roles.enter().then(|| Committer::start(&log, now)).transpose()? {
            Some((committer, commits)) => {
                parts.spawn("commits", watch_commits(committer.clone(), stop.clone()));
                (Some(committer), Some(commits))
            }
            None => (None, None),
        };
        let finding = Finding { config, log: &log, readiness: &readiness, stop: &stop };
        let collecting = match config.collects() {
            true => finding.start(roles, committer.as_ref(), &mut parts).await?,
            false => Collecting::default(),
        };
        parts.spawn("lags", lags::measure(log.clone(), data.folder().to_owned(), roles.clone(), readiness, stop.clone()));
        let shown = tables.as_ref().map(|tables| Shown::new(log.clone(), tables.wake()));
        let backend = match committer {
            Some(committer) => {
                let service = Arc::new(Service::new(log.clone(), committer, collecting, shown, config, now).await?);
                Some(Self::answer(data, config, service, &mut parts, &stop)?)
            }
            None => None,
        };
        Ok(Self { stop, parts, commits, operators, tables, backend, _log: log })
    }

    /// Starts what answers commands, and makes what answers over HTTP.
    fn answer(
        data: &DataFolder,
        config: &Config,
        service: Arc<Service>,
        parts: &mut Parts,
        stop: &CancellationToken,
    ) -> anyhow::Result<Arc<LogBackend>> {
        let control = Control::bind(data.folder())?;
        parts.spawn("tokens", forget_expired(Arc::clone(service.directory()), stop.clone()));
        if service.log().is_shared() {
            parts.spawn("users", follow_users(Arc::clone(&service), stop.clone()));
        }
        let backend = Arc::new(LogBackend::new(Arc::clone(&service), config));
        let stopped = stop.clone();
        parts.spawn("control", async move {
            control
                .serve(stopped, move |request| {
                    let service = Arc::clone(&service);
                    async move { service.answer(request).await }
                })
                .await;
            Ok(())
        });
        Ok(backend)
    }

    /// What changes users, accounts and overrides, where something can be changed here.
    pub fn backend(&self) -> Option<Arc<LogBackend>> {
        self.backend.clone()
    }

    /// Waits until everything has stopped, in the order of the dataflow. Returns the first failure.
    ///
    /// # Errors
    /// Of any part. What was committed is in the log; the next start goes on from there.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let found = self.parts.finish().await;
        if let Some(backend) = self.backend {
            backend.finish().await;
            // The committing thread ends when nobody can give it anything any more.
        }
        let threads = tokio::task::spawn_blocking(move || {
            let joined = self.commits.map(|commits| commits.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            let committed = joined.unwrap_or(Ok(()));
            let folded = self.operators.map_or(Ok(()), Operators::finish);
            let shown = self.tables.map_or(Ok(()), TableKeeper::finish);
            committed?;
            folded?;
            anyhow::Ok(shown?)
        });
        // Where the log failed, what gave to it failed too: the log's failure is the one that tells why.
        threads.await?.and(found)
    }
}

/// Ends when nothing can enter the log any more.
async fn watch_commits(committer: Committer, stop: CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = stop.cancelled() => {}
        () = committer.ended() => {}
    }
    Ok(())
}

/// Forgets expired tokens, now and at intervals. That it fails ends nothing: they do not work, whether they are known or not.
async fn forget_expired(directory: Arc<Directory>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(TOKENS_FORGOTTEN_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        match directory.forget_expired().await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "expired tokens were forgotten"),
            Err(refused) => tracing::warn!(%refused, "expired tokens were not forgotten"),
        }
    }
}

/// Has users and tokens follow the log, which other processes write them to as well.
async fn follow_users(service: Arc<Service>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut seen = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(USERS_FOLLOWED_EVERY) => {}
        }
        let log = service.log().clone();
        let ends = tokio::task::spawn_blocking(move || Ok::<_, LogError>([log.ends(Topic::Users)?, log.ends(Topic::Tokens)?])).await?;
        let followed = match ends {
            Ok(ends) if seen.as_ref() == Some(&ends) => continue,
            Ok(ends) => service.directory().read_again(service.log()).await.map(|()| seen = Some(ends)),
            Err(error) => Err(error),
        };
        unless_later("users are not followed", followed)?;
    }
}

/// What may succeed later is told, and is no reason to end.
fn unless_later(what: &str, done: Result<(), LogError>) -> Result<(), LogError> {
    match done {
        Err(error @ LogError::Retry { .. }) => {
            tracing::warn!(%error, "{what}; it is tried again");
            Ok(())
        }
        done => done,
    }
}

/// What the roles of tenants ask for.
fn external_ids(log: &DataLog) -> ExternalIds {
    let (log, partitions) = (log.clone(), log.partitions());
    Arc::new(move |tenant| {
        let known = accounts::external_id(&log, partitions, tenant);
        known.inspect_err(|error| tracing::error!(%error, tenant, "the external id cannot be read")).ok().flatten()
    })
}
