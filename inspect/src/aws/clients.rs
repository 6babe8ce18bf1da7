//! Who calls: a customer's role with no more than its session needs, or this program as itself.

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{Image, Instance, Snapshot, Volume};
use cloudigrade_connectors::aws::{Api, AwsError, Caller, FailureKind, PolicyFor, Target};
use cloudigrade_schemas::inspection::{Inspection, Reader};

use super::AwsCloud;
use super::halt::{Halt, Outcome};
use super::limits::{PAGE, PAGES_MAX};
use super::tags::filter;

/// EC2 of one account and region.
#[derive(Clone, Debug)]
pub(super) struct Ec2 {
    pub(super) caller: Caller,
    pub(super) region: String,
    pub(super) client: aws_sdk_ec2::Client,
}

impl AwsCloud {
    /// Our own account, where scanners run.
    pub(super) fn own(&self) -> Ec2 {
        Ec2::new(self.clients.as_itself(&self.settings.our_account), &self.settings.region)
    }

    /// The account whose role gets at an image, in the image's region.
    pub(super) async fn reader(&self, inspection: &Inspection) -> Outcome<Ec2> {
        self.role(reader_of(inspection)?, &inspection.region).await
    }

    /// An account by its role.
    pub(super) async fn role(&self, reader: &Reader, region: &str) -> Outcome<Ec2> {
        let unknown = || Halt::retry(format!("the tenant of account {} is not known; register the account", reader.account_id));
        let external_id = (self.external_ids)(&reader.tenant).ok_or_else(unknown)?;
        let target = Target::new(&reader.role_arn, external_id.as_str())
            .map_err(|error| Halt::retry(format!("{error}; register account {} with the ARN of its role", reader.account_id)))?;
        if target.account_id != reader.account_id {
            return Err(Halt::retry(format!(
                "{} is a role of account {}, not of account {}; give the account a role of its own",
                reader.role_arn, target.account_id, reader.account_id
            )));
        }
        let policy = PolicyFor {
            principal_account: self.settings.our_account.clone(),
            partition: target.partition.clone(),
            external_id,
            trail_prefix: String::new(),
            with_disks: true,
            with_trail: false,
        };
        let policy =
            policy.disks_session_policy().map_err(|error| Halt::retry(format!("the session policy cannot be written: {error}")))?;
        let session = self.clients.session(&target, &policy).await;
        Ok(Ec2::new(session.caller(), region))
    }

    /// Whether an account is our own: nothing has to be shared with it.
    pub(super) fn is_own(&self, account: &str) -> bool {
        account == self.settings.our_account
    }
}

/// The account that gets at an image.
pub(super) fn reader_of(inspection: &Inspection) -> Outcome<&Reader> {
    inspection.reader.as_ref().ok_or_else(|| Halt::retry(format!("no account that can be asked for {} is known", inspection.image_id)))
}

impl Ec2 {
    fn new(caller: Caller, region: &str) -> Self {
        let client = aws_sdk_ec2::Client::new(&caller.config(region));
        Self { caller, region: region.to_owned(), client }
    }

    /// Makes a call when its turn has come.
    pub(super) async fn call<T, E>(&self, api: Api, call: impl Future<Output = Result<T, SdkError<E>>>) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.caller.call(&self.region, api, call).await
    }

    /// An image; `None` where this account is not shown any of this id. A deregistered one is an error with its own code.
    pub(super) async fn image(&self, id: &str) -> Result<Option<Image>, AwsError> {
        let asked = self.client.describe_images().image_ids(id).include_deprecated(true).include_disabled(true);
        let told = self.call(Api::DescribeImages, asked.send()).await;
        Ok(found(told)?.and_then(|told| told.images.unwrap_or_default().pop()))
    }

    /// Images of this account that match.
    pub(super) async fn images(&self, filters: Vec<aws_sdk_ec2::types::Filter>) -> Result<Vec<Image>, AwsError> {
        let asked = self.client.describe_images().owners("self").include_deprecated(true).include_disabled(true).set_filters(Some(filters));
        let told = self.call(Api::DescribeImages, asked.send()).await?;
        Ok(told.images.unwrap_or_default())
    }

    /// A snapshot; `None` where this account is not shown any of this id.
    pub(super) async fn snapshot(&self, id: &str) -> Result<Option<Snapshot>, AwsError> {
        let told = self.call(Api::DescribeSnapshots, self.client.describe_snapshots().snapshot_ids(id).send()).await;
        Ok(found(told)?.and_then(|told| told.snapshots.unwrap_or_default().pop()))
    }

    /// Snapshots of this account that match.
    pub(super) async fn snapshots(&self, filters: Vec<aws_sdk_ec2::types::Filter>) -> Result<Vec<Snapshot>, AwsError> {
        let mut pages = Pages::new(Api::DescribeSnapshots);
        loop {
            let asked = self.client.describe_snapshots().owner_ids("self").set_filters(Some(filters.clone())).max_results(PAGE);
            let told = self.call(pages.api, asked.set_next_token(pages.next.take()).send()).await?;
            if pages.are_all(told.snapshots.unwrap_or_default(), told.next_token)? {
                return Ok(pages.told);
            }
        }
    }

    /// Volumes that match.
    pub(super) async fn volumes(&self, filters: Vec<aws_sdk_ec2::types::Filter>) -> Result<Vec<Volume>, AwsError> {
        let mut pages = Pages::new(Api::DescribeVolumes);
        loop {
            let asked = self.client.describe_volumes().set_filters(Some(filters.clone())).max_results(PAGE);
            let told = self.call(pages.api, asked.set_next_token(pages.next.take()).send()).await?;
            if pages.are_all(told.volumes.unwrap_or_default(), told.next_token)? {
                return Ok(pages.told);
            }
        }
    }

    /// Instances that match, in any state.
    pub(super) async fn instances(&self, filters: Vec<aws_sdk_ec2::types::Filter>) -> Result<Vec<Instance>, AwsError> {
        let mut pages = Pages::new(Api::DescribeInstances);
        loop {
            let asked = self.client.describe_instances().set_filters(Some(filters.clone())).max_results(PAGE);
            let told = self.call(pages.api, asked.set_next_token(pages.next.take()).send()).await?;
            let instances = told.reservations.unwrap_or_default().into_iter().flat_map(|one| one.instances.unwrap_or_default());
            if pages.are_all(instances, told.next_token)? {
                return Ok(pages.told);
            }
        }
    }

    /// Volumes by their ids; those that are not there are left out.
    pub(super) async fn volumes_of(&self, ids: &[&str]) -> Result<Vec<Volume>, AwsError> {
        self.volumes(vec![filter("volume-id", ids.iter().copied())]).await
    }
}

/// What pages of a description told so far. In a part of it what is missing would look as if it were gone, so one without an end is an error.
struct Pages<T> {
    api: Api,
    told: Vec<T>,
    next: Option<String>,
    count: usize,
}

impl<T> Pages<T> {
    fn new(api: Api) -> Self {
        Self { api, told: Vec::new(), next: None, count: 0 }
    }

    /// Takes a page; whether it was the last one.
    fn are_all(&mut self, page: impl IntoIterator<Item = T>, next: Option<String>) -> Result<bool, AwsError> {
        self.told.extend(page);
        self.count += 1;
        self.next = next.filter(|token| !token.is_empty());
        if self.next.is_some() && self.count >= PAGES_MAX {
            let message = format!("there are more than {PAGES_MAX} pages of {PAGE}; nothing of them is used");
            return Err(AwsError::told(self.api, Some("TooManyPages"), Some(&message), None));
        }
        Ok(self.next.is_none())
    }
}

/// What is not there is an answer too. A deregistered image's is not: its code says more.
fn found<T>(told: Result<T, AwsError>) -> Result<Option<T>, AwsError> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(error) if error.kind == FailureKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_whole_or_an_error() {
        let mut pages = Pages::new(Api::DescribeVolumes);
        for number in 1..PAGES_MAX {
            assert_eq!(pages.are_all([number], Some("on".into())), Ok(false));
        }
        assert_eq!(pages.next.as_deref(), Some("on"));
        assert!(pages.are_all([0], Some("on".into())).unwrap_err().to_string().contains("more than 100 pages"));
        let mut pages = Pages::new(Api::DescribeVolumes);
        assert_eq!((pages.are_all([1, 2], Some(String::new())), pages.told), (Ok(true), vec![1, 2]));
    }
}
