//! A session of an account's role: clients with its credentials, and the one way in which they are called.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::config::SharedCredentialsProvider;
use cloudigrade_schemas::account::AccountProblem;

use super::api::Api;
use super::caller::Caller;
use super::clients::identity_cache;
use super::error::{AwsError, FailureKind};
use super::pace::Paces;
use super::target::Target;
use crate::limits::{CLIENTS_PER_SESSION_MAX, ROLE_SESSION};

/// A session of a role. Cheap to clone. Credentials are got when first needed, and renewed before they expire.
#[derive(Clone, Debug)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    caller: Caller,
    regions: Mutex<HashMap<String, RegionClients>>,
}

/// The clients of one region.
#[derive(Clone, Debug)]
struct RegionClients {
    ec2: aws_sdk_ec2::Client,
    cloudtrail: aws_sdk_cloudtrail::Client,
}

/// The policy of a session that is only made to see whether it can be.
const NOTHING_ALLOWED: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// The name of a role's session, as the customer's CloudTrail shows it.
pub fn session_name(account_id: &str) -> String {
    format!("cloudigrade-{account_id}")
}

impl Session {
    /// A session that assumes the role by `sdk`'s credentials. `policy` limits it to what we need, however much the role may.
    pub(super) async fn new(sdk: &SdkConfig, paces: Arc<Paces>, target: &Target, policy: &str) -> Self {
        let provider = AssumeRoleProvider::builder(&target.arn)
            .external_id(&target.external_id)
            .session_name(session_name(&target.account_id))
            .session_length(ROLE_SESSION)
            .policy(policy)
            .region(Region::from_static(target.home_region()))
            .configure(sdk)
            .build()
            .await;
        let sdk = sdk
            .clone()
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(provider))
            .identity_cache(identity_cache())
            .region(Region::from_static(target.home_region()))
            .build();
        let caller = Caller::new(&target.account_id, sdk, paces);
        Self { shared: Arc::new(Shared { target: target.clone(), caller, regions: Mutex::default() }) }
    }

    /// Whose session it is.
    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// Who calls, for services and actions that this session has no clients for.
    pub fn caller(&self) -> Caller {
        self.shared.caller.clone()
    }

    /// EC2 in a region.
    pub fn ec2(&self, region: &str) -> aws_sdk_ec2::Client {
        self.clients(region).ec2
    }

    /// CloudTrail in a region.
    pub fn cloudtrail(&self, region: &str) -> aws_sdk_cloudtrail::Client {
        self.clients(region).cloudtrail
    }

    fn clients(&self, region: &str) -> RegionClients {
        // Each change is a single step: a panic elsewhere leaves nothing half done.
        let mut regions = self.shared.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clients) = regions.get(region) {
            return clients.clone();
        }
        if regions.len() >= CLIENTS_PER_SESSION_MAX {
            regions.clear();
        }
        let sdk = self.shared.caller.config(region);
        let clients = RegionClients { ec2: aws_sdk_ec2::Client::new(&sdk), cloudtrail: aws_sdk_cloudtrail::Client::new(&sdk) };
        regions.insert(region.to_owned(), clients.clone());
        clients
    }

    /// Makes a call when its turn has come, counts it, and slows down when AWS asks for it.
    ///
    /// # Errors
    /// [`AwsError`], after the SDK's attempts.
    pub async fn call<T, E>(&self, region: &str, api: Api, call: impl Future<Output = Result<T, SdkError<E>>>) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.shared.caller.call(region, api, call).await
    }

    /// Tries to assume the role without its external id, which AWS must refuse. A role that does not ask for one lends itself to every tenant
    /// that learns its ARN.
    ///
    /// # Errors
    /// What is in the way: that it was not refused, or that AWS did not say.
    pub async fn check_external_id(&self, own: &SdkConfig) -> Result<(), AccountProblem> {
        let target = self.target();
        let home = target.home_region();
        let config = aws_sdk_sts::config::Builder::from(own).region(Region::new(home)).build();
        let assume = aws_sdk_sts::Client::from_conf(config)
            .assume_role()
            .role_arn(&target.arn)
            .role_session_name(session_name(&target.account_id))
            .policy(NOTHING_ALLOWED);
        match self.call(home, Api::AssumeRole, assume.send()).await {
            Err(error) if error.kind == FailureKind::Denied => Ok(()),
            Err(error) => Err(error.problem()),
            Ok(_) => Err(AccountProblem {
                code: "external_id_not_required".to_owned(),
                detail: format!(
                    "the role {} can be assumed without an external id, so by anybody who uses this program and knows its ARN",
                    target.arn
                ),
                help: "add the condition on sts:ExternalId to the role's trust policy; `cloudigrade accounts policy` prints it".to_owned(),
            }),
        }
    }

    /// Assumes the role and asks whose account it is in: an ARN is what somebody typed, this is what AWS says.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn check_identity(&self) -> Result<(), AccountProblem> {
        let home = self.target().home_region();
        let sts = aws_sdk_sts::Client::new(&self.shared.caller.config(home));
        let identity = self.call(home, Api::GetCallerIdentity, sts.get_caller_identity().send()).await.map_err(|error| error.problem())?;
        right_account(self.target(), identity.account())
    }
}

fn right_account(target: &Target, told: Option<&str>) -> Result<(), AccountProblem> {
    if told == Some(target.account_id.as_str()) {
        return Ok(());
    }
    Err(AccountProblem {
        code: "wrong_account".to_owned(),
        detail: format!(
            "the session of {} is in account {}, not in account {}",
            target.arn,
            told.unwrap_or("(not told)"),
            target.account_id
        ),
        help: "check the role's ARN, and where AWS_ENDPOINT_URL leads".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_in_another_account_is_a_problem() {
        let target = Target::new("arn:aws:iam::111122223333:role/x", "e").unwrap();
        assert_eq!(right_account(&target, Some("111122223333")), Ok(()));
        assert_eq!(right_account(&target, Some("999922223333")).unwrap_err().code, "wrong_account");
        assert_eq!(right_account(&target, None).unwrap_err().code, "wrong_account");
    }
}
