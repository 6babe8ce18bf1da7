//! What a failure to read an object means: the table by which messages are kept or given up. Pure.

use std::fmt;

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It passes by itself: try again later.
    Transient,
    /// Somebody must change something first. The message is never given up.
    Environment,
    /// The object, or its version, is not there any more.
    Gone,
    /// The object is there and can be read, but is nothing that can be used.
    Content,
}

impl Class {
    /// Its word in metrics and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Environment => "environment",
            Self::Gone => "gone",
            Self::Content => "content",
        }
    }
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The service answered.
    Answer,
    /// The answer broke off, did not hold its checksum or could not be read.
    PartOfAnswer,
    /// There was no connection, or no answer in time.
    Nothing,
    /// The request could not be made: no credentials, an endpoint that is none.
    NotSent,
}

/// What is known of a failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far it came.
    pub reached: Reached,
    /// The service's code, `AccessDenied`.
    pub code: Option<String>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What the service or the client said.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), _) => write!(f, "{code}: {}", self.message),
            (None, Some(status)) => write!(f, "HTTP status {status}: {}", self.message),
            (None, None) => f.write_str(&self.message),
        }
    }
}

/// Codes that pass by themselves although their status is one of the client's.
const TRANSIENT: [&str; 15] = [
    "SlowDown",
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "OperationAborted",
    "KmsThrottled",
];
/// Of KMS's codes, as S3 passes them on, those that pass by themselves.
const TRANSIENT_OF_KMS: [&str; 5] = [
    "KMS.ThrottlingException",
    "KMS.KMSInternalException",
    "KMS.InternalException",
    "KMS.DependencyTimeoutException",
    "KMS.LimitExceededException",
];

/// The class of a failure to get an object.
pub fn classify(failure: &Failure) -> Class {
    match failure.reached {
        Reached::PartOfAnswer | Reached::Nothing => return Class::Transient,
        Reached::NotSent => return Class::Environment,
        Reached::Answer => {}
    }
    let code = failure.code.as_deref().unwrap_or_default();
    match (code, failure.status.unwrap_or_default()) {
        // A version that only marks the deletion cannot be got.
        ("NoSuchKey" | "NoSuchVersion" | "MethodNotAllowed", _) => Class::Gone,
        (code, _) if TRANSIENT.contains(&code) || TRANSIENT_OF_KMS.contains(&code) => Class::Transient,
        (code, _) if code.starts_with("KMS.") || code == "NoSuchBucket" => Class::Environment,
        (_, 408 | 429 | 500..) => Class::Transient,
        // What is not known is never taken for a reason to give an object up: a 404 without a code is another server's, not S3's.
        _ => Class::Environment,
    }
}

/// What to do about a failure that somebody must mend, by the service's code.
pub fn help(failure: &Failure) -> &'static str {
    let code = failure.code.as_deref().unwrap_or_default();
    match code {
        _ if failure.reached == Reached::NotSent => {
            "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an instance role) and the endpoint"
        }
        "KMS.DisabledException" | "KMS.KMSInvalidStateException" | "KMS.InvalidStateException" => {
            "enable the KMS key of the objects, or cancel its deletion"
        }
        "KMS.NotFoundException" => "the KMS key of the objects is not there; restore it, or copy the objects under another key",
        "KMS.KeyUnavailableException" => "the KMS key of the objects is not available; see its key store",
        "AccessDenied" if failure.message.contains("kms:") => {
            "allow kms:Decrypt on the key of the objects, in the key's policy and in the role's"
        }
        code if code.starts_with("KMS.") => "allow kms:Decrypt on the key of the objects, in the key's policy and in the role's",
        "NoSuchBucket" => "the bucket is not there; mend the notification that names it, or the list of buckets",
        "WrongRegion" | "PermanentRedirect" | "AuthorizationHeaderMalformed" => {
            "set the region of the bucket, or remove the endpoint override"
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            "renew the session's credentials, or use a role, which renews them by itself"
        }
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "the credentials are not valid here; check the access key, its secret and the partition"
        }
        "RequestTimeTooSkewed" => "set this machine's clock",
        "InvalidObjectState" => "the object is archived; restore it from Glacier",
        "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => "check the queue's URL, its region and the account",
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => {
            "allow s3:GetObject, s3:GetObjectVersion and s3:ListBucket on the bucket, and sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the queue; check the expected owner of the bucket"
        }
        "" if failure.status == Some(404) => "what answered is not S3; check the endpoint",
        _ => "see the service's message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: &str, status: u16) -> Class {
        let code = (!code.is_empty()).then(|| code.to_owned());
        classify(&Failure { reached: Reached::Answer, code, status: Some(status), message: String::new() })
    }

    #[test]
    fn each_answer_of_s3_has_its_class() {
        for (code, status) in [
            ("SlowDown", 503),
            ("ServiceUnavailable", 503),
            ("InternalError", 500),
            ("", 500),
            ("", 502),
            ("RequestTimeout", 400),
            ("", 429),
        ] {
            assert_eq!(answered(code, status), Class::Transient, "{code} {status}");
        }
        for code in ["KMS.ThrottlingException", "KMS.KMSInternalException"] {
            assert_eq!(answered(code, 400), Class::Transient, "{code}");
        }
        for (code, status) in [
            ("AccessDenied", 403),
            ("KMS.DisabledException", 400),
            ("KMS.KMSInvalidStateException", 400),
            ("KMS.KeyUnavailableException", 500),
            ("KMS.NotFoundException", 400),
            ("KMS.AccessDeniedException", 400),
            ("ExpiredToken", 400),
            ("InvalidAccessKeyId", 403),
            ("NoSuchBucket", 404),
            ("PermanentRedirect", 301),
            ("InvalidObjectState", 403),
            ("", 403),
            ("", 404),
            ("SomethingNew", 400),
        ] {
            assert_eq!(answered(code, status), Class::Environment, "{code} {status}");
        }
        for (code, status) in [("NoSuchKey", 404), ("NoSuchVersion", 404), ("MethodNotAllowed", 405)] {
            assert_eq!(answered(code, status), Class::Gone, "{code} {status}");
        }
    }

    #[test]
    fn what_was_not_answered_is_never_a_reason_to_give_an_object_up() {
        let without = |reached| classify(&Failure { reached, code: None, status: Some(200), message: String::new() });
        assert_eq!(without(Reached::Nothing), Class::Transient);
        assert_eq!(without(Reached::PartOfAnswer), Class::Transient);
        assert_eq!(without(Reached::NotSent), Class::Environment);
    }

    #[test]
    fn a_denial_by_the_key_is_told_apart_from_one_by_the_bucket() {
        let denied = |message: &str| Failure {
            reached: Reached::Answer,
            code: Some("AccessDenied".into()),
            status: Some(403),
            message: message.into(),
        };
        assert!(help(&denied("not authorized to perform: kms:Decrypt on resource")).contains("kms:Decrypt"));
        assert!(help(&denied("Access Denied")).contains("s3:GetObject"));
    }
}
