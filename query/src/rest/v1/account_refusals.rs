//! Why an account is not registered or renamed, in the words that clients of the first API know.

use warp::http::StatusCode;

use crate::rest::answer::{Failure, NON_FIELD_ERRORS};
use crate::rest::backend::Refused;

/// What was tried.
pub(super) struct Attempt<'a> {
    pub(super) arn: &'a str,
    pub(super) name: &'a str,
    /// Who tried it.
    pub(super) user: &'a str,
}

const ARN: &str = "account_arn";

/// What a refusal is told as.
pub(super) fn refused(why: Refused, Attempt { arn, name, user }: &Attempt<'_>) -> Failure {
    let Refused::Invalid { field, code, message, details } = why else { return why.into() };
    match code.as_str() {
        "invalid_arn" => Failure::field(ARN, "Invalid ARN."),
        "duplicate_name" => Failure::field(NON_FIELD_ERRORS, format!("Account with name '{name}' for user '{user}' already exists")),
        "duplicate_arn" => Failure::field(ARN, "aws account with this account arn already exists."),
        "duplicate_account" => {
            let account_id = arn.split(':').nth(4).unwrap_or_default();
            Failure::field(ARN, format!("An ARN already exists for account \"{account_id}\""))
        }
        "permission_denied" => Failure::field(ARN, format!("Permission denied for ARN \"{arn}\"")),
        "verification_failed" => {
            let denied = details.iter().map(|action| format!("Access denied for policy action \"{action}\"."));
            let messages = std::iter::once("Account verification failed.".to_owned()).chain(denied).collect();
            Failure { fields: vec![(ARN, messages)], ..Failure::new(StatusCode::BAD_REQUEST, "verification_failed", message) }
        }
        "trail_denied" => Failure::field(ARN, format!("Access denied to create CloudTrail for ARN \"{arn}\"")),
        "trail_quota" => Failure::conflict("trail_quota", message),
        // Something else that AWS answered.
        "obstructed" => {
            tracing::warn!(message, "an account was not registered");
            Failure::internal()
        }
        _ => Refused::Invalid { field, code, message, details }.into(),
    }
}
