//! Whoever calls AWS, a role's session or this program as itself, and the one way in which all do.

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};

use super::api::Api;
use super::error::{AwsError, FailureKind};
use super::pace::Paces;
use super::permissions::DRY_RUN_PERMITTED;

/// Somebody's credentials, and the pace of their calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    account: Arc<str>,
    sdk: SdkConfig,
    paces: Arc<Paces>,
}

impl Caller {
    /// Calls into an account with the credentials of `sdk`.
    pub(super) fn new(account: &str, sdk: SdkConfig, paces: Arc<Paces>) -> Self {
        Self { account: account.into(), sdk, paces }
    }

    /// The account that is called into.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// What clients of a region are made of.
    pub fn config(&self, region: &str) -> SdkConfig {
        self.sdk.clone().into_builder().region(Region::new(region.to_owned())).build()
    }

    /// Makes a call when its turn has come, counts it, and slows down when AWS asks for it.
    ///
    /// # Errors
    /// [`AwsError`], after the SDK's attempts.
    pub async fn call<T, E>(&self, region: &str, api: Api, call: impl Future<Output = Result<T, SdkError<E>>>) -> Result<T, AwsError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.paces.wait(&self.account, region, api).await;
        let outcome = call.await.map_err(|error| AwsError::of(api, &error));
        let word = match &outcome {
            Ok(_) => {
                self.paces.went_well(&self.account, region, api);
                "ok"
            }
            Err(error) => {
                if error.kind == FailureKind::Throttled {
                    self.paces.throttled(&self.account, region, api);
                }
                // A dry run that would have been carried out is told as an error.
                if error.code == DRY_RUN_PERMITTED { "ok" } else { error.kind.word() }
            }
        };
        metrics::counter!("cloudigrade_aws_calls_total", "api" => api.action(), "outcome" => word).increment(1);
        outcome
    }
}
