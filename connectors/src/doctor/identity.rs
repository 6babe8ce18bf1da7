//! Who we are to AWS.

use aws_config::SdkConfig;

use super::Finding;
use super::failure::{CREDENTIALS, help, told};

const CHECK: &str = "credentials";

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The AWS account.
    pub account: String,
    /// The user or the session of a role.
    pub arn: String,
}

/// Whose our own credentials are.
///
/// # Errors
/// A finding that says what is wrong with them.
pub async fn identity(sdk: &SdkConfig) -> Result<Identity, Finding> {
    let answered = aws_sdk_sts::Client::new(sdk).get_caller_identity().send().await;
    let answer = answered.map_err(|error| Finding::failure(CHECK, "AWS", told(&error), help(&error, CREDENTIALS)))?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Identity { account, arn }),
        _ => Err(Finding::failure(CHECK, "AWS", "GetCallerIdentity did not say who we are", CREDENTIALS)),
    }
}

/// Whether there are credentials, and whose.
pub async fn check_identity(sdk: &SdkConfig) -> Finding {
    match identity(sdk).await {
        Ok(Identity { account, arn }) => Finding::ok(CHECK, account, arn),
        Err(finding) => finding,
    }
}
