//! How changes of users and tokens are made, by one at a time: of the tasks of this process, and of the processes that share the log.

use std::sync::{Arc, PoisonError};

use cloudigrade_connectors::source::committer::commit;
use cloudigrade_pipeline::log::{Log, LogError, TaskSpec};
use cloudigrade_query::rest::backend::Refused;
use tokio::sync::OwnedMutexGuard;

use super::directory::{Directory, read};
use super::stored::{self, Edit};
use crate::log::DataTask;

/// What whoever changes users has alone, of all processes that write to the log.
const ALONE: TaskSpec = TaskSpec::alone("users", &[]);
/// How often it is tried to have it: servers that try at the same moment get in each other's way.
const OPENED_AGAIN_MAX: usize = 8;

/// Held from the look at what there is until it is changed.
pub(super) struct Changing {
    _one: OwnedMutexGuard<()>,
    /// What other processes are held off by.
    alone: Option<DataTask>,
}

impl Directory {
    pub(super) async fn change(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// For changes that rest on what there is, of whoever made it: a name is given once. Where other processes write as well, what they wrote is
    /// read, and whoever does this after us has our write refused.
    pub(super) async fn change_alone(self: &Arc<Self>) -> Result<Changing, Refused> {
        let one = self.change().await;
        let Some(log) = self.shared.clone() else { return Ok(Changing { _one: one, alone: None }) };
        let directory = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || {
            let (partitions, all): (u32, Vec<u32>) = (log.partitions(), (0..log.partitions()).collect());
            let task = (1..OPENED_AGAIN_MAX).find_map(|_| match log.open_task(ALONE, &all) {
                Err(LogError::Retry { .. }) => None,
                opened => Some(opened),
            });
            let task = task.unwrap_or_else(|| log.open_task(ALONE, &all))?;
            *directory.known.write().unwrap_or_else(PoisonError::into_inner) = read(&task, partitions)?;
            Ok::<_, LogError>(Changing { _one: one, alone: Some(task) })
        });
        opened.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
    }

    /// As [`Self::write`], of what [`Self::change_alone`] allowed.
    pub(super) async fn write_alone(self: &Arc<Self>, changing: Changing, edits: Vec<Edit>) -> Result<(), Refused> {
        let Changing { _one: one, alone } = changing;
        let Some(mut task) = alone else { return self.write(one, edits).await };
        let (directory, partitions, now) = (Arc::clone(self), self.shared.as_ref().map_or(1, Log::partitions), (self.now)());
        let written = tokio::task::spawn_blocking(move || {
            let _one = one;
            match commit(&mut task, partitions, vec![stored::entry(&edits)?], now) {
                Err(LogError::Fenced { .. }) => return Ok(false),
                committed => committed?,
            }
            let mut known = directory.known.write().unwrap_or_else(PoisonError::into_inner);
            edits.into_iter().for_each(|edit| edit.apply(&mut known));
            Ok::<_, LogError>(true)
        });
        match written.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))? {
            true => Ok(()),
            false => Err(Refused::Unsupported {
                message: "another server changed users at the same moment, so this was not done: try again".to_owned(),
            }),
        }
    }

    /// Makes changes durable, and then known. It does so to the end, whether or not the caller still waits: what is in the log and what is
    /// in memory must not differ.
    pub(super) async fn write(self: &Arc<Self>, changing: OwnedMutexGuard<()>, edits: Vec<Edit>) -> Result<(), Refused> {
        let directory = Arc::clone(self);
        let written = tokio::spawn(async move {
            let _changing = changing;
            let entry = stored::entry(&edits).map_err(|error| failed(&error))?;
            directory.committer.commit(entry).await.map_err(|error| failed(&error))?;
            let mut known = directory.known.write().unwrap_or_else(PoisonError::into_inner);
            edits.into_iter().for_each(|edit| edit.apply(&mut known));
            Ok(())
        });
        written.await.map_err(|error| failed(&error))?
    }
}

fn failed(error: &dyn std::fmt::Display) -> Refused {
    tracing::error!(%error, "a change of users or tokens was not made");
    Refused::Failed
}
