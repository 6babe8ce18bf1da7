//! Sharing a snapshot with our account, and taking that back.

use aws_sdk_ec2::types::{OperationType, SnapshotAttributeName};
use cloudigrade_connectors::aws::{Api, AwsError, FailureKind};
use cloudigrade_schemas::inspection::Inspection;

use super::AwsCloud;
use super::clients::{Ec2, reader_of};
use super::copy::is_encrypted;
use super::halt::{Halt, Outcome};

impl AwsCloud {
    /// See [`crate::cloud::Cloud::share_snapshot`].
    pub(super) async fn share(&self, inspection: &Inspection) -> Outcome<()> {
        if self.is_own(&reader_of(inspection)?.account_id) {
            return Ok(());
        }
        let snapshot = inspection.snapshot_id().ok_or_else(|| Halt::missing(format!("no snapshot of {} is known", inspection.image_id)))?;
        let ec2 = self.reader(inspection).await?;
        let failed = |error: AwsError| Halt::of_disk(error, false, is_encrypted(inspection));
        if self.is_shared(&ec2, snapshot).await.map_err(failed)? {
            return Ok(());
        }
        self.modify(&ec2, snapshot, OperationType::Add).await.map_err(failed)?;
        if self.is_shared(&ec2, snapshot).await.map_err(failed)? { Ok(()) } else { Err(Halt::NotYet) }
    }

    /// See [`crate::cloud::Cloud::unshare_snapshot`].
    pub(super) async fn unshare(&self, inspection: &Inspection) -> Outcome<()> {
        let Some(snapshot) = inspection.made.shared_snapshot_id.as_deref() else { return Ok(()) };
        if self.is_own(&reader_of(inspection)?.account_id) {
            return Ok(());
        }
        let ec2 = self.reader(inspection).await?;
        let unshared = async {
            if self.is_shared(&ec2, snapshot).await? {
                self.modify(&ec2, snapshot, OperationType::Remove).await?;
                return self.is_shared(&ec2, snapshot).await;
            }
            Ok(false)
        };
        match unshared.await {
            Ok(false) => Ok(()),
            Ok(true) => Err(Halt::NotYet),
            // What is not there is shared with nobody; but nothing is left shared because AWS did not find it once.
            Err(error) if error.kind == FailureKind::NotFound => match ec2.snapshot(snapshot).await? {
                None => Ok(()),
                Some(_) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a snapshot is shared with our account.
    async fn is_shared(&self, ec2: &Ec2, snapshot: &str) -> Result<bool, AwsError> {
        let asked = ec2.client.describe_snapshot_attribute().snapshot_id(snapshot).attribute(SnapshotAttributeName::CreateVolumePermission);
        let told = ec2.call(Api::DescribeSnapshotAttribute, asked.send()).await?;
        Ok(told.create_volume_permissions().iter().any(|permission| permission.user_id() == Some(self.settings.our_account.as_str())))
    }

    async fn modify(&self, ec2: &Ec2, snapshot: &str, operation: OperationType) -> Result<(), AwsError> {
        let change = ec2
            .client
            .modify_snapshot_attribute()
            .snapshot_id(snapshot)
            .attribute(SnapshotAttributeName::CreateVolumePermission)
            .operation_type(operation)
            .user_ids(&self.settings.our_account);
        ec2.call(Api::ModifySnapshotAttribute, change.send()).await.map(drop)
    }
}
