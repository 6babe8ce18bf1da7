//! What went wrong with a call to AWS: one classification for all services, and what to do about it.

use std::error::Error;

use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use cloudigrade_schemas::account::AccountProblem;

use super::api::Api;
use crate::limits::AWS_MESSAGE_CHARS_MAX;

/// What kind of failure it is, named for what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// Somebody must permit it.
    Denied,
    /// It was too much at once; later it works.
    Throttled,
    /// Credentials are too old, or a clock is wrong.
    Expired,
    /// What was asked for does not exist.
    NotFound,
    /// No answer, or one that says that AWS itself is in trouble.
    Unreachable,
    /// Anything else; AWS's code and message say it.
    Other,
}

impl FailureKind {
    /// Its stable word, for metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Expired => "expired",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Other => "failed",
        }
    }

    /// By AWS's code.
    pub fn of_code(code: &str) -> Self {
        // EC2 puts `Client.` and `Server.` before some of its codes in some places.
        let code = code.strip_prefix("Client.").or_else(|| code.strip_prefix("Server.")).unwrap_or(code);
        match code {
            "AccessDenied"
            | "AccessDeniedException"
            | "AuthFailure"
            | "UnauthorizedOperation"
            | "NotAuthorized"
            | "OptInRequired"
            | "InsufficientDependencyServiceAccessPermissionException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "MissingAuthenticationToken"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "InvalidSignatureException"
            | "Blocked" => Self::Denied,
            "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "SlowDown"
            | "BandwidthLimitExceeded"
            | "EC2ThrottledException"
            | "PriorRequestNotComplete" => Self::Throttled,
            "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" | "RequestTimeTooSkewed" => Self::Expired,
            "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "Unavailable"
            | "InternalError"
            | "InternalFailure"
            | "InternalServerError"
            | "InternalServiceException"
            | "RequestTimeout"
            | "RequestTimeoutException" => Self::Unreachable,
            "TrailNotFoundException" | "S3BucketDoesNotExistException" | "ResourceNotFoundException" | "NoSuchEntity" => Self::NotFound,
            _ if code.ends_with(".NotFound") || code.ends_with(".NotFoundException") => Self::NotFound,
            _ => Self::Other,
        }
    }
}

/// A call to AWS that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {}: {message} ({code})", api.action(), self.said())]
pub struct AwsError {
    /// The call.
    pub api: Api,
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// AWS's code, or a word for a failure without one.
    pub code: String,
    /// AWS's own words, shortened and without anything secret.
    pub message: String,
}

impl AwsError {
    /// What an SDK's error says. An error of the credentials that a call needed is one of `sts:AssumeRole`, or of our own credentials.
    pub fn of<E>(api: Api, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(failed) = failed_role(error) {
            return Self::of(Api::AssumeRole, failed);
        }
        match error {
            SdkError::ServiceError(told) => {
                let status = told.raw().status().as_u16();
                Self::told(api, told.err().code(), told.err().message(), Some(status))
            }
            SdkError::TimeoutError(_) => Self::without_answer(api, "Timeout", "no answer in time"),
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                Self::without_answer(api, "BadResponse", &format!("an answer that cannot be read (HTTP {status})"))
            }
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::without_answer(api, "Timeout", "no connection in time"),
            SdkError::DispatchFailure(failure) if failure.is_io() => Self::without_answer(api, "NoConnection", "the connection failed"),
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => Self::without_credentials(api, error),
            _ => Self { api, kind: FailureKind::Other, code: "Unknown".to_owned(), message: "the SDK failed in an unknown way".to_owned() },
        }
    }

    /// By what a service said.
    pub fn told(api: Api, code: Option<&str>, message: Option<&str>, status: Option<u16>) -> Self {
        let code = code.unwrap_or("Unknown");
        let mut kind = FailureKind::of_code(code);
        if kind == FailureKind::Other {
            kind = match status {
                Some(429) => FailureKind::Throttled,
                Some(500..) => FailureKind::Unreachable,
                Some(401 | 403) => FailureKind::Denied,
                _ => kind,
            };
        }
        Self { api, kind, code: code.to_owned(), message: harmless(code, message.unwrap_or("no message")) }
    }

    fn without_answer(api: Api, code: &str, message: &str) -> Self {
        Self { api, kind: FailureKind::Unreachable, code: code.to_owned(), message: message.to_owned() }
    }

    /// The call was never sent. That is nearly always because there are no credentials to sign it with.
    fn without_credentials<E: Error + 'static>(api: Api, error: &SdkError<E>) -> Self {
        let told = DisplayErrorContext(error).to_string();
        if told.contains("timed out") {
            return Self::without_answer(api, "Timeout", "no credentials in time");
        }
        if told.contains("credential") || told.contains("identity") {
            let message = "no credentials for AWS were found (environment, profile, web identity, container, instance)";
            return Self { api, kind: FailureKind::Denied, code: "NoCredentials".to_owned(), message: message.to_owned() };
        }
        Self::without_answer(api, "NotSent", "the call could not be sent")
    }

    fn said(&self) -> &'static str {
        match self.kind {
            FailureKind::Denied => "is not permitted",
            FailureKind::Throttled => "is called too often for AWS",
            FailureKind::Expired => "was refused because of its age",
            FailureKind::NotFound => "found nothing",
            FailureKind::Unreachable => "got no answer",
            FailureKind::Other => "failed",
        }
    }

    /// Whether the same call may work later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, FailureKind::Throttled | FailureKind::Unreachable | FailureKind::Expired)
    }

    /// For the owner of the account.
    pub fn problem(&self) -> AccountProblem {
        let detail = self.to_string();
        let action = self.api.action();
        let (code, help) = match (self.api, self.kind) {
            (_, FailureKind::Denied) if self.code == "NoCredentials" => {
                ("own_credentials", "give this program credentials of its own account: `cloudigrade doctor` says which were looked for".to_owned())
            }
            (Api::AssumeRole, FailureKind::Denied) => (
                "assume_role_denied",
                "check that the role exists, trusts this program's account and asks for your external id: `cloudigrade accounts policy` prints it"
                    .to_owned(),
            ),
            (_, FailureKind::Denied) => (
                "permission_missing",
                format!("allow {action} in the role's policy (`cloudigrade accounts policy` prints it), and in your organisation's service control policies"),
            ),
            (_, FailureKind::Throttled) => {
                ("throttled", "nothing: it is tried again, more slowly. If it lasts, find out what else calls this API in the account".to_owned())
            }
            (_, FailureKind::Expired) => ("expired", "check the clock of the machine that this program runs on".to_owned()),
            (_, FailureKind::Unreachable) => {
                ("unreachable", "nothing: it is tried again. If it lasts, check the network and AWS's health dashboard".to_owned())
            }
            (_, FailureKind::NotFound | FailureKind::Other) => ("aws_failed", format!("see AWS's documentation of {action} for this code")),
        };
        AccountProblem { code: code.to_owned(), detail, help }
    }
}

/// The failure to assume the role under a failed call, if that is why it failed.
fn failed_role<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e SdkError<AssumeRoleError>> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(failed) = error.downcast_ref::<SdkError<AssumeRoleError>>() {
            return Some(failed);
        }
        cause = error.source();
    }
    None
}

/// AWS's words without what must not be told: refused signatures come with the signed request, session token included; refusals of
/// EC2 come with a long encoded text that differs each time.
fn harmless(code: &str, message: &str) -> String {
    if matches!(code, "SignatureDoesNotMatch" | "IncompleteSignature" | "InvalidSignatureException") {
        return "the signature is wrong: check the secret key and the clock of this machine".to_owned();
    }
    let message = message.split(" Encoded authorization failure message").next().unwrap_or(message).trim();
    let mut short: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(AWS_MESSAGE_CHARS_MAX).collect();
    if short.len() < message.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_all_services_have_the_kind_that_says_what_to_do() {
        let kinds = [
            ("UnauthorizedOperation", FailureKind::Denied),
            ("AccessDenied", FailureKind::Denied),
            ("AccessDeniedException", FailureKind::Denied),
            ("InvalidSignatureException", FailureKind::Denied),
            ("RequestLimitExceeded", FailureKind::Throttled),
            ("Client.RequestLimitExceeded", FailureKind::Throttled),
            ("ThrottlingException", FailureKind::Throttled),
            ("ExpiredToken", FailureKind::Expired),
            ("RequestExpired", FailureKind::Expired),
            ("InvalidAMIID.NotFound", FailureKind::NotFound),
            ("TrailNotFoundException", FailureKind::NotFound),
            ("InternalError", FailureKind::Unreachable),
            ("DryRunOperation", FailureKind::Other),
            ("MaximumNumberOfTrailsExceededException", FailureKind::Other),
        ];
        for (code, kind) in kinds {
            assert_eq!(FailureKind::of_code(code), kind, "{code}");
        }
    }

    #[test]
    fn a_status_decides_where_the_code_is_unknown() {
        let told = |status| AwsError::told(Api::DescribeInstances, Some("Odd"), None, Some(status)).kind;
        assert_eq!(
            (told(400), told(403), told(429), told(500), told(503)),
            (FailureKind::Other, FailureKind::Denied, FailureKind::Throttled, FailureKind::Unreachable, FailureKind::Unreachable)
        );
    }

    #[test]
    fn neither_the_signed_request_nor_the_encoded_refusal_is_told() {
        let message =
            "The request signature we calculated does not match. The Canonical String should have been 'x-amz-security-token:FwoGZX'";
        let error = AwsError::told(Api::DescribeRegions, Some("SignatureDoesNotMatch"), Some(message), Some(403));
        assert!(!error.to_string().contains("FwoG"), "{error}");
        let message = "You are not authorized to perform this operation. Encoded authorization failure message: 4b1tZ0";
        let error = AwsError::told(Api::DescribeInstances, Some("UnauthorizedOperation"), Some(message), Some(403));
        assert_eq!(
            error.to_string(),
            "ec2:DescribeInstances is not permitted: You are not authorized to perform this operation. (UnauthorizedOperation)"
        );
    }

    #[test]
    fn each_problem_has_a_code_and_says_what_to_do() {
        let problem = |api, code| AwsError::told(api, Some(code), Some("said so"), None).problem();
        assert_eq!(problem(Api::AssumeRole, "AccessDenied").code, "assume_role_denied");
        assert_eq!(problem(Api::DescribeInstances, "UnauthorizedOperation").code, "permission_missing");
        assert_eq!(problem(Api::DescribeInstances, "RequestLimitExceeded").code, "throttled");
        assert_eq!(problem(Api::DescribeInstances, "InternalError").code, "unreachable");
        assert!(problem(Api::LookupEvents, "AccessDeniedException").help.contains("cloudtrail:LookupEvents"));
    }

    #[test]
    fn what_keeps_a_role_from_being_assumed_is_found_under_the_call_that_needed_it() {
        use aws_sdk_ec2::config::http::HttpResponse;
        use aws_sdk_ec2::operation::describe_instances::DescribeInstancesError;
        let told = |role: SdkError<AssumeRoleError>| {
            let error: SdkError<DescribeInstancesError> = SdkError::construction_failure(role);
            let told = AwsError::of(Api::DescribeInstances, &error);
            (told.api, told.kind, told.code)
        };
        let meta = aws_sdk_ec2::error::ErrorMetadata::builder().code("AccessDenied").message("not you").build();
        let response = HttpResponse::new(403_u16.try_into().unwrap(), aws_sdk_s3::primitives::SdkBody::empty());
        let refused = SdkError::service_error(AssumeRoleError::generic(meta), response);
        assert_eq!(told(refused), (Api::AssumeRole, FailureKind::Denied, "AccessDenied".to_owned()));
        assert_eq!(told(SdkError::timeout_error("too slow")), (Api::AssumeRole, FailureKind::Unreachable, "Timeout".to_owned()));
    }

    #[test]
    fn a_timeout_is_no_answer() {
        use aws_sdk_ec2::operation::describe_instances::DescribeInstancesError;
        let error: SdkError<DescribeInstancesError> = SdkError::timeout_error("too slow");
        assert_eq!(AwsError::of(Api::DescribeInstances, &error).kind, FailureKind::Unreachable);
    }
}
