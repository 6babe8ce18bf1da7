//! The instance that reads the disks of a batch: started, looked after, ended.

use aws_sdk_ec2::types::{
    HttpTokensState, IamInstanceProfileSpecification, Instance, InstanceMetadataOptionsRequest, InstanceStateName, InstanceType,
    LaunchTemplateSpecification, Placement, ResourceType, ShutdownBehavior,
};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cloudigrade_connectors::aws::{Api, AwsError, FailureKind};

use super::AwsCloud;
use super::clients::Ec2;
use super::halt::{Halt, Outcome};
use super::limits::{USER_DATA_BYTES_MAX, VOLUMES_PER_SCANNER_MAX};
use super::tags::{Tags, filter};
use super::user_data::user_data;
use crate::batch::Batch;
use crate::cloud::ScannerState;

impl AwsCloud {
    /// See [`crate::cloud::Cloud::start_scanner`].
    pub(super) async fn run_scanner(&self, batch: &Batch) -> Outcome<String> {
        let (own, scanner) = (self.own(), self.scanner_settings()?);
        let known = self.scanners(&own, batch).await.map_err(Halt::of_own)?;
        if let Some(id) = known.first().and_then(|instance| instance.instance_id()) {
            return Ok(id.to_owned());
        }
        if batch.members.len() > VOLUMES_PER_SCANNER_MAX {
            let detail = format!("{} volumes are more than the {VOLUMES_PER_SCANNER_MAX} that one scanner can have", batch.members.len());
            return Err(Halt::Failed { detail });
        }
        let script = user_data(scanner, batch).map_err(|bytes| Halt::Failed {
            detail: format!(
                "the scanner's script has {bytes} bytes, more than the {USER_DATA_BYTES_MAX} that AWS takes; make smaller batches"
            ),
        })?;
        let tags = Tags::of_batch(&self.settings, batch);
        let template = scanner.launch_template.as_deref().map(|named| {
            let (id, name) = if named.starts_with("lt-") { (Some(named), None) } else { (None, Some(named)) };
            let template = LaunchTemplateSpecification::builder().set_launch_template_id(id.map(str::to_owned));
            template.set_launch_template_name(name.map(str::to_owned)).build()
        });
        let profile = scanner.instance_profile.as_deref().map(|name| IamInstanceProfileSpecification::builder().name(name).build());
        // A subnet is in one zone, which must be the volumes'.
        let zone = Placement::builder().availability_zone(&scanner.availability_zone).build();
        let groups = (!scanner.network.security_group_ids.is_empty()).then(|| scanner.network.security_group_ids.clone());
        let run = own
            .client
            .run_instances()
            .min_count(1)
            .max_count(1)
            .client_token(tags.token("scanner"))
            .set_launch_template(template)
            .set_image_id(scanner.image_id.clone())
            .set_instance_type(scanner.instance_type.as_deref().map(InstanceType::from))
            .set_subnet_id(scanner.network.subnet_id.clone())
            .set_security_group_ids(groups)
            .placement(zone)
            .set_iam_instance_profile(profile)
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .metadata_options(InstanceMetadataOptionsRequest::builder().http_tokens(HttpTokensState::Required).build())
            .user_data(BASE64_STANDARD.encode(script))
            .tag_specifications(tags.specification(ResourceType::Instance));
        let started = own.call(Api::RunInstances, run.send()).await.map_err(Halt::of_own)?;
        let id = started.instances().first().and_then(|instance| instance.instance_id());
        id.map(str::to_owned).ok_or_else(|| Halt::retry("ec2:RunInstances gave no id"))
    }

    /// See [`crate::cloud::Cloud::check_scanner`].
    pub(super) async fn scanner_state(&self, batch: &Batch) -> Outcome<ScannerState> {
        let own = self.own();
        let known = self.scanners(&own, batch).await.map_err(Halt::of_own)?;
        let Some(scanner) = known.first() else {
            return Err(Halt::missing(format!("the scanner {} is not there", batch.instance_id.as_deref().unwrap_or("?"))));
        };
        if is_on(scanner) {
            return Ok(ScannerState::Running);
        }
        let state = state_of(scanner).map_or("in no state", InstanceStateName::as_str);
        let told = scanner.state_reason().and_then(|reason| reason.message()).or(scanner.state_transition_reason());
        let why = told.filter(|told| !told.is_empty()).map(|told| format!(": {told}")).unwrap_or_default();
        Ok(ScannerState::Ended { detail: format!("the scanner {} is {state}{why}", scanner.instance_id().unwrap_or("?")) })
    }

    /// See [`crate::cloud::Cloud::stop_scanner`].
    pub(super) async fn terminate_scanner(&self, batch: &Batch) -> Outcome<()> {
        let own = self.own();
        let known = self.scanners(&own, batch).await.map_err(Halt::of_own)?;
        let left: Vec<&Instance> = known.iter().filter(|scanner| state_of(scanner) != Some(&InstanceStateName::Terminated)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let to_end = left.iter().filter(|scanner| state_of(scanner) != Some(&InstanceStateName::ShuttingDown));
        let ids: Vec<&str> = to_end.filter_map(|scanner| scanner.instance_id()).collect();
        terminate(&own, &ids).await.map_err(Halt::of_own)?;
        Err(Halt::NotYet)
    }

    /// The batch's scanners, by their tags and by the id that is known: mostly one, first those that run.
    pub(super) async fn scanners(&self, own: &Ec2, batch: &Batch) -> Result<Vec<Instance>, AwsError> {
        let mut known = own.instances(Tags::of_batch(&self.settings, batch).filters()).await?;
        if let Some(id) = batch.instance_id.as_deref()
            && known.iter().all(|scanner| scanner.instance_id() != Some(id))
        {
            known.extend(own.instances(vec![filter("instance-id", [id])]).await?);
        }
        known.sort_by_key(|scanner| (!is_on(scanner), scanner.instance_id().map(str::to_owned)));
        Ok(known)
    }
}

/// Ends instances. One that is not there is as good as ended.
pub(super) async fn terminate(own: &Ec2, ids: &[&str]) -> Result<(), AwsError> {
    if ids.is_empty() {
        return Ok(());
    }
    let end = own.client.terminate_instances().set_instance_ids(Some(ids.iter().map(|id| (*id).to_owned()).collect()));
    match own.call(Api::TerminateInstances, end.send()).await {
        Err(error) if error.kind == FailureKind::NotFound => Ok(()),
        told => told.map(drop),
    }
}

/// Whether an instance runs, or is about to.
pub(super) fn is_on(scanner: &Instance) -> bool {
    matches!(state_of(scanner), Some(InstanceStateName::Pending | InstanceStateName::Running))
}

/// EC2's word for how an instance is.
pub(super) fn state_of(scanner: &Instance) -> Option<&InstanceStateName> {
    scanner.state().and_then(|state| state.name())
}
