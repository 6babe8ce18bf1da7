//! Reading an image's disk straight from its snapshot, by its reader's role. Nothing is shared, copied or made.

use std::sync::Arc;

use cloudigrade_connectors::aws::{Api, FailureKind};
use cloudigrade_schemas::inspection::Inspection;
use houndigrade::sandbox::{Allowance, End, inspect_served};
use houndigrade::source::Source;
use houndigrade::volumes::Disk;
use tokio_util::sync::CancellationToken;

use super::AwsCloud;
use super::ebs::{BlockError, EbsClient, SnapshotSource};
use super::find::may_come;
use super::halt::{Halt, Outcome};
use super::limits::DIRECT_SECONDS_MAX;
use crate::cloud::DirectRead;

/// Why a disk could not be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Blocks(#[from] BlockError),
    #[error(transparent)]
    Ended(#[from] End),
}

impl AwsCloud {
    /// See [`crate::cloud::Cloud::read_directly`].
    pub(super) async fn read_blocks(&self, inspection: &Inspection) -> Outcome<DirectRead> {
        // Whoever has to wait for a place keeps nobody else from taking steps meanwhile.
        let place = Arc::clone(&self.direct_places).try_acquire_owned().map_err(|_| Halt::NotYet)?;
        let image = inspection.image_id.clone();
        let disk = inspection.disk.as_ref().ok_or_else(|| Halt::missing(format!("no snapshot of {image} is known")))?;
        let (ec2, snapshot) = (self.reader(inspection).await?, disk.snapshot_id.clone());
        // When this is given up, so is the thread that waits for blocks.
        let given_up = CancellationToken::new();
        let _until_here = given_up.clone().drop_guard();
        let blocks = EbsClient::new(ec2.caller, &ec2.region, &snapshot, given_up);
        // Threads that may wait: blocks are fetched while the disk is being read, and only what is needed.
        let reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            read(Box::new(blocks), &image, snapshot)
        });
        match reading.await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => after(error, disk.owner_id.is_some() && may_come(inspection)),
            Err(error) => Err(Halt::retry(format!("the reading of {} ended: {error}", inspection.image_id))),
        }
    }
}

/// Reads a snapshot's disk in a process of its own. What was found is only told where no block failed.
fn read(blocks: Box<EbsClient>, image: &str, snapshot: String) -> Result<DirectRead, Unread> {
    let source = Arc::new(SnapshotSource::open(blocks, &snapshot)?);
    let disk = Disk { name: snapshot, source: Arc::clone(&source) as Source };
    let allowance = Allowance { seconds: DIRECT_SECONDS_MAX, ..Allowance::default() };
    let findings = inspect_served(image, vec![disk], allowance);
    // A block that failed is why the rest went wrong.
    if let Some(error) = source.failure() {
        return Err(error.into());
    }
    let read = source.read();
    tracing::info!(image, blocks = read.blocks, listings = read.listings, "a snapshot was read directly");
    Ok(DirectRead::Found { findings: Box::new(findings?), blocks: read.blocks })
}

/// What a failure means: what AWS refuses here, a scanner may have all the same. `may_come` says whether a snapshot that is not found is one that was
/// described, and is looked for once more.
fn after(error: Unread, may_come: bool) -> Outcome<DirectRead> {
    let error = match error {
        Unread::Blocks(error) => error,
        // This attempt is over; nothing was found out, and so nothing is known of the image.
        Unread::Ended(end) => return Err(Halt::Failed { detail: format!("it was not read: {end}") }),
    };
    match &error {
        // Whose role cannot be assumed is not refused blocks.
        BlockError::Aws(aws) if aws.is_transient() || aws.api == Api::AssumeRole || aws.code == "NoCredentials" => Err(aws.clone().into()),
        BlockError::Aws(aws) if may_come && aws.kind == FailureKind::NotFound => Err(aws.clone().into()),
        BlockError::Damaged { .. } | BlockError::GivenUp => Err(Halt::retry(error.to_string())),
        BlockError::Aws(_) | BlockError::Unknown { .. } => Ok(DirectRead::NotPossible { detail: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use cloudigrade_connectors::aws::AwsError;

    use super::*;

    #[test]
    fn what_aws_refuses_a_scanner_may_read_and_what_passes_is_tried_again() {
        let told = |code: &str| {
            let status = if code.starts_with("Internal") { 500 } else { 400 };
            after(BlockError::from(AwsError::told(Api::GetSnapshotBlock, Some(code), Some("said so"), Some(status))).into(), false)
        };
        for code in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", "ServiceQuotaExceededException"] {
            assert!(matches!(told(code), Ok(DirectRead::NotPossible { .. })), "{code}");
        }
        for code in ["RequestThrottledException", "InternalServerException", "ExpiredToken"] {
            assert!(matches!(told(code), Err(Halt::Retry { .. })), "{code}");
        }
        let damaged = BlockError::Damaged { snapshot: "snap-1".into(), index: 1, why: "short".into() };
        assert!(matches!(after(damaged.into(), false), Err(Halt::Retry { .. })));
    }

    #[test]
    fn a_snapshot_that_was_described_and_is_not_found_is_looked_for_once_more() {
        let told = |code: &str, may_come| {
            after(BlockError::from(AwsError::told(Api::ListSnapshotBlocks, Some(code), Some("said so"), Some(404))).into(), may_come)
        };
        assert!(matches!(told("ResourceNotFoundException", true), Err(Halt::Missing { .. })));
        assert!(matches!(told("ResourceNotFoundException", false), Ok(DirectRead::NotPossible { .. })));
        assert!(matches!(told("AccessDeniedException", true), Ok(DirectRead::NotPossible { .. })));
    }

    #[test]
    fn an_inspection_that_this_machine_could_not_carry_out_is_no_verdict() {
        assert!(matches!(after(End::TooLong(600).into(), true), Err(Halt::Failed { .. })));
    }
}
