//! Reading an image's disk straight from its snapshot, by its reader's role. Nothing is shared, copied or made.

use std::sync::{Arc, LazyLock};

use cloudigrade_connectors::aws::Api;
use cloudigrade_schemas::findings::ImageFindings;
use cloudigrade_schemas::inspection::Inspection;
use houndigrade::sandbox::{Allowance, inspect_served};
use houndigrade::source::Source;
use houndigrade::volumes::Disk;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::AwsCloud;
use super::ebs::{BlockError, EbsClient, SnapshotSource};
use super::halt::{Halt, Outcome};
use super::limits::{DIRECT_AT_ONCE_MAX, DIRECT_SECONDS_MAX};
use crate::cloud::DirectRead;

/// Places for disks that are read at the same time, of the whole process.
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(DIRECT_AT_ONCE_MAX)));

impl AwsCloud {
    /// See [`crate::cloud::Cloud::read_directly`].
    pub(super) async fn read_blocks(&self, inspection: &Inspection) -> Outcome<DirectRead> {
        let image = inspection.image_id.clone();
        let disk = inspection.disk.as_ref().ok_or_else(|| Halt::missing(format!("no snapshot of {image} is known")))?;
        let (ec2, snapshot) = (self.reader(inspection).await?, disk.snapshot_id.clone());
        // When this is given up, so is the thread that waits for blocks.
        let given_up = CancellationToken::new();
        let _until_here = given_up.clone().drop_guard();
        let blocks = EbsClient::new(ec2.caller, &ec2.region, &snapshot, given_up);
        let place = Arc::clone(&PLACES).acquire_owned().await.map_err(|error| Halt::retry(error.to_string()))?;
        // Threads that may wait: blocks are fetched while the disk is being read, and only what is needed.
        let reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            read(Box::new(blocks), &image, snapshot)
        });
        match reading.await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => after(error),
            Err(error) => Err(Halt::retry(format!("the reading of {} ended: {error}", inspection.image_id))),
        }
    }
}

/// Reads a snapshot's disk in a process of its own. What was found is only told where no block failed.
fn read(blocks: Box<EbsClient>, image: &str, snapshot: String) -> Result<DirectRead, BlockError> {
    let source = Arc::new(SnapshotSource::open(blocks, &snapshot)?);
    let disk = Disk { name: snapshot, source: Arc::clone(&source) as Source };
    let allowance = Allowance { seconds: DIRECT_SECONDS_MAX, ..Allowance::default() };
    let findings: ImageFindings = inspect_served(image, vec![disk], allowance);
    match source.failure() {
        Some(error) => Err(error),
        None => {
            let read = source.read();
            tracing::info!(image, blocks = read.blocks, listings = read.listings, "a snapshot was read directly");
            Ok(DirectRead::Found { findings: Box::new(findings), blocks: read.blocks })
        }
    }
}

/// What a failure means: what AWS refuses here, a scanner may have all the same.
fn after(error: BlockError) -> Outcome<DirectRead> {
    match &error {
        // Whose role cannot be assumed is not refused blocks.
        BlockError::Aws(aws) if aws.is_transient() || aws.api == Api::AssumeRole || aws.code == "NoCredentials" => Err(aws.clone().into()),
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
            after(AwsError::told(Api::GetSnapshotBlock, Some(code), Some("said so"), Some(status)).into())
        };
        for code in ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", "ServiceQuotaExceededException"] {
            assert!(matches!(told(code), Ok(DirectRead::NotPossible { .. })), "{code}");
        }
        for code in ["RequestThrottledException", "InternalServerException", "ExpiredToken"] {
            assert!(matches!(told(code), Err(Halt::Retry { .. })), "{code}");
        }
        let damaged = BlockError::Damaged { snapshot: "snap-1".into(), index: 1, why: "short".into() };
        assert!(matches!(after(damaged), Err(Halt::Retry { .. })));
    }
}
