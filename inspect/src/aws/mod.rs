//! AWS as the worker's [`Cloud`].
//!
//! * [`settings`]: what is configured
//! * [`halt`], [`tags`], [`clients`]: what failures mean for a step, how resources are named and found, who calls
//! * [`find`], [`copy`], [`share`], [`volume`]: from an image to a volume
//! * [`scanner`], [`user_data`], [`attach`], [`findings`]: from a volume to findings
//! * [`ebs`], [`direct`]: the same without a scanner
//! * [`remove`], [`listing`]: nothing is left
//! * [`policy`]: what all of it needs to be permitted

mod attach;
mod clients;
mod copy;
mod direct;
pub mod ebs;
mod find;
mod findings;
mod halt;
pub mod limits;
mod listing;
pub mod policy;
mod remove;
mod scanner;
pub mod settings;
mod share;
mod tags;
mod user_data;
mod volume;

use std::sync::Arc;

use async_trait::async_trait;
use cloudigrade_connectors::aws::Clients;
use cloudigrade_connectors::aws::fleet::ExternalIds;
use cloudigrade_schemas::inspection::{Inspection, SourceDisk};
use tokio::sync::Semaphore;

pub use settings::{CloudSettings, Network, Program, Queue, ScannerSettings};

use self::halt::{Halt, Outcome};
use crate::batch::Batch;
use crate::cloud::{Cloud, DirectRead, FindingsMessage, Place, ScannerState, Step, TaggedResource};

/// Our own account, and the roles of others. Cheap to clone.
#[derive(Clone)]
pub struct AwsCloud {
    clients: Clients,
    external_ids: ExternalIds,
    settings: Arc<CloudSettings>,
    /// Places for disks that are read directly at the same time.
    direct_places: Arc<Semaphore>,
}

impl AwsCloud {
    /// AWS, called by `clients`. Nothing is called yet.
    pub fn new(clients: Clients, external_ids: ExternalIds, settings: CloudSettings) -> Self {
        let direct_places = Arc::new(Semaphore::new(limits::DIRECT_AT_ONCE_MAX));
        Self { clients, external_ids, settings: Arc::new(settings), direct_places }
    }

    /// What is configured.
    pub fn settings(&self) -> &CloudSettings {
        &self.settings
    }

    /// The scanner, where a step needs one. It may have been there when the step before was taken.
    fn scanner_settings(&self) -> Outcome<&ScannerSettings> {
        let none = "no scanner is configured any more: write the section [inspection.scanner], or abort the inspection";
        self.settings.scanner.as_ref().ok_or_else(|| Halt::retry(none))
    }
}

#[async_trait]
impl Cloud for AwsCloud {
    async fn find_disk(&self, inspection: &Inspection) -> Step<SourceDisk> {
        self.root_disk(inspection).await.into()
    }

    async fn copy_image(&self, inspection: &Inspection) -> Step<String> {
        self.start_image_copy(inspection).await.into()
    }

    async fn find_copied_disk(&self, inspection: &Inspection) -> Step<SourceDisk> {
        self.copied_disk(inspection).await.into()
    }

    async fn share_snapshot(&self, inspection: &Inspection) -> Step<()> {
        self.share(inspection).await.into()
    }

    async fn copy_snapshot(&self, inspection: &Inspection) -> Step<String> {
        self.start_snapshot_copy(inspection).await.into()
    }

    async fn check_snapshot(&self, inspection: &Inspection) -> Step<()> {
        self.snapshot_is_complete(inspection).await.into()
    }

    async fn unshare_snapshot(&self, inspection: &Inspection) -> Step<()> {
        self.unshare(inspection).await.into()
    }

    async fn create_volume(&self, inspection: &Inspection) -> Step<String> {
        self.make_volume(inspection).await.into()
    }

    async fn check_volume(&self, inspection: &Inspection) -> Step<()> {
        self.volume_is_available(inspection).await.into()
    }

    async fn start_scanner(&self, batch: &Batch) -> Step<String> {
        self.run_scanner(batch).await.into()
    }

    async fn attach_volumes(&self, batch: &Batch) -> Step<()> {
        self.attach_all(batch).await.into()
    }

    async fn check_scanner(&self, batch: &Batch) -> Step<ScannerState> {
        self.scanner_state(batch).await.into()
    }

    async fn stop_scanner(&self, batch: &Batch) -> Step<()> {
        self.terminate_scanner(batch).await.into()
    }

    async fn read_directly(&self, inspection: &Inspection) -> Step<DirectRead> {
        self.read_blocks(inspection).await.into()
    }

    async fn receive_findings(&self) -> Result<Vec<FindingsMessage>, String> {
        self.receive().await
    }

    async fn delete_findings(&self, message: &FindingsMessage) -> Result<(), String> {
        self.delete(message).await
    }

    async fn clean_up(&self, inspection: &Inspection) -> Step<()> {
        self.remove_all(inspection).await.into()
    }

    async fn list_tagged(&self, place: &Place) -> Step<Vec<TaggedResource>> {
        self.all_tagged(place).await.into()
    }

    async fn remove_tagged(&self, place: &Place, resource: &TaggedResource) -> Step<()> {
        self.remove_one(place, resource).await.into()
    }
}
