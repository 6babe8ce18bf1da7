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

mod collect;
pub mod inspect;
mod lags;
pub mod operators;
mod parts;
pub mod shown;
pub mod tables;

use std::sync::Arc;
use std::thread::JoinHandle;

use cloudigrade_connectors::aws::fleet::ExternalIds;
use cloudigrade_connectors::source::{Committer, Readiness};
use cloudigrade_pipeline::embedded::EmbeddedLog;
use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_pipeline::operators::accounts;
use tokio_util::sync::CancellationToken;

use self::collect::Finding;
use self::operators::Operators;
use self::parts::Parts;
use self::shown::Shown;
use self::tables::TableKeeper;
use crate::backend::LogBackend;
use crate::config::Config;
use crate::control::service::{Collecting, Service};
use crate::control::socket::Control;
use crate::data::{DataFolder, now};
use crate::limits::TOKENS_FORGOTTEN_EVERY;
use crate::users::Directory;

/// The parts that run.
pub struct Live {
    stop: CancellationToken,
    /// Sources, the fleet and the control socket. Each ends by itself when it is told to stop.
    parts: Parts,
    commits: JoinHandle<Result<(), LogError>>,
    operators: Operators,
    tables: TableKeeper,
    backend: Arc<LogBackend>,
    /// Kept to the end: no other process may have the log while anything here still runs.
    _log: EmbeddedLog,
}

impl Live {
    /// Opens the log and starts everything that the configuration names. A part that ends by itself, with a failure or a panic, stops the
    /// server: `stop` is cancelled.
    ///
    /// # Errors
    /// A log that is in use or damaged, tables that cannot be written, a configuration that AWS's client refuses.
    pub async fn start(data: &DataFolder, config: &Config, readiness: Readiness, stop: CancellationToken) -> anyhow::Result<Self> {
        let log = data.open_log()?;
        let tables = TableKeeper::start(data.table_root()?, log.clone(), config.serve.tables_every, readiness.clone(), &stop).await?;
        let (committer, commits) = Committer::start(&log, now)?;
        let operators = Operators::start(&log, &stop)?;
        let mut parts = Parts::new(stop.clone());
        let finding = Finding { config, log: &log, committer: &committer, readiness: &readiness, stop: &stop };
        let collecting = match config.collects() {
            true => finding.start(&mut parts).await?,
            false => Collecting::default(),
        };
        parts.spawn("lags", lags::measure(log.clone(), data.folder().to_owned(), readiness, stop.clone()));
        parts.spawn("commits", watch_commits(committer.clone(), stop.clone()));
        let control = Control::bind(data.folder())?;
        let shown = Shown::new(log.clone(), tables.wake());
        let service = Arc::new(Service::new(log.clone(), committer, collecting, Some(shown), config, now).await?);
        parts.spawn("tokens", forget_expired(Arc::clone(service.directory()), stop.clone()));
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
        Ok(Self { stop, parts, commits, operators, tables, backend, _log: log })
    }

    /// What changes users, accounts and overrides.
    pub fn backend(&self) -> Arc<LogBackend> {
        Arc::clone(&self.backend)
    }

    /// Waits until everything has stopped, in the order of the dataflow. Returns the first failure.
    ///
    /// # Errors
    /// Of any part. What was committed is in the log; the next start goes on from there.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.stop.cancel();
        let found = self.parts.finish().await;
        self.backend.finish().await;
        // The committing thread ends when nobody can give it anything any more.
        drop(self.backend);
        let threads = tokio::task::spawn_blocking(move || {
            let committed = self.commits.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let folded = self.operators.finish();
            let shown = self.tables.finish();
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

/// What the roles of tenants ask for.
fn external_ids(log: &EmbeddedLog) -> ExternalIds {
    let (log, partitions) = (log.clone(), log.partitions());
    Arc::new(move |tenant| {
        let known = accounts::external_id(&log, partitions, tenant);
        known.inspect_err(|error| tracing::error!(%error, tenant, "the external id cannot be read")).ok().flatten()
    })
}
