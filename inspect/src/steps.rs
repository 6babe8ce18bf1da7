//! Which step each state takes in the cloud.

use std::sync::Arc;

use cloudigrade_schemas::Inspection;
use cloudigrade_schemas::inspection::InspectionState;

use crate::advance::Gave;
use crate::batch::{Batch, BatchState};
use crate::batching::BatchGave;
use crate::cloud::{Cloud, Step};

impl<T> Step<T> {
    /// The same outcome of something else.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Done(gave) => Step::Done(of(gave)),
            Self::NotYet => Step::NotYet,
            Self::Refused { special, detail } => Step::Refused { special, detail },
            Self::Retry { detail } => Step::Retry { detail },
            Self::Missing { detail } => Step::Missing { detail },
            Self::Failed { detail } => Step::Failed { detail },
        }
    }

    /// Its stable word, for metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::NotYet => "not_yet",
            Self::Refused { .. } => "refused",
            Self::Retry { .. } => "retry",
            Self::Missing { .. } => "missing",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Whether an inspection in this state takes steps of its own.
pub(crate) const fn has_step(state: InspectionState) -> bool {
    use InspectionState as S;
    !matches!(state, S::Waiting | S::AwaitingConsent | S::Ready | S::Scanning | S::Over)
}

/// Takes the step of an inspection's state.
pub(crate) async fn take<C: Cloud>(cloud: Arc<C>, inspection: Inspection) -> Step<Gave> {
    use InspectionState as S;
    let inspection = &inspection;
    match inspection.state {
        S::Looking => cloud.find_disk(inspection).await.map(Gave::Disk),
        S::CopyingImage => cloud.copy_image(inspection).await.map(Gave::Id),
        S::AwaitingImageCopy => cloud.find_copied_disk(inspection).await.map(Gave::Disk),
        S::Sharing => cloud.share_snapshot(inspection).await.map(|()| Gave::Nothing),
        S::CopyingSnapshot => cloud.copy_snapshot(inspection).await.map(Gave::Id),
        S::AwaitingSnapshot => cloud.check_snapshot(inspection).await.map(|()| Gave::Nothing),
        S::Unsharing => cloud.unshare_snapshot(inspection).await.map(|()| Gave::Nothing),
        S::CreatingVolume => cloud.create_volume(inspection).await.map(Gave::Id),
        S::AwaitingVolume => cloud.check_volume(inspection).await.map(|()| Gave::Nothing),
        S::ReadingDirectly => cloud.read_directly(inspection).await.map(Gave::Read),
        S::CleaningUp => cloud.clean_up(inspection).await.map(|()| Gave::Nothing),
        S::Waiting | S::AwaitingConsent | S::Ready | S::Scanning | S::Over => Step::NotYet,
    }
}

/// Takes the step of a batch's state.
pub(crate) async fn take_of_batch<C: Cloud>(cloud: Arc<C>, batch: Batch) -> Step<BatchGave> {
    match batch.state {
        BatchState::Starting => cloud.start_scanner(&batch).await.map(BatchGave::Id),
        BatchState::Attaching => cloud.attach_volumes(&batch).await.map(|()| BatchGave::Nothing),
        BatchState::Scanning => cloud.check_scanner(&batch).await.map(BatchGave::Scanner),
        BatchState::Draining => Step::NotYet,
        BatchState::Stopping => cloud.stop_scanner(&batch).await.map(|()| BatchGave::Nothing),
    }
}
