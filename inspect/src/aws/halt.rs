//! What failures mean for a step.

use cloudigrade_connectors::aws::{AwsError, FailureKind};
use cloudigrade_schemas::inspection::SpecialImage;

use crate::cloud::Step;

/// Why a step is not done: all that a [`Step`] can be, but done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    NotYet,
    Refused { special: SpecialImage, detail: String },
    Retry { detail: String },
    Missing { detail: String },
    Failed { detail: String },
}

/// What comes of a step's parts.
pub(super) type Outcome<T> = Result<T, Halt>;

impl<T> From<Outcome<T>> for Step<T> {
    fn from(outcome: Outcome<T>) -> Self {
        match outcome {
            Ok(done) => Self::Done(done),
            Err(Halt::NotYet) => Self::NotYet,
            Err(Halt::Refused { special, detail }) => Self::Refused { special, detail },
            Err(Halt::Retry { detail }) => Self::Retry { detail },
            Err(Halt::Missing { detail }) => Self::Missing { detail },
            Err(Halt::Failed { detail }) => Self::Failed { detail },
        }
    }
}

impl From<AwsError> for Halt {
    /// What is not there may come; all else may be mended or pass, as far as AWS's code tells.
    fn from(error: AwsError) -> Self {
        if error.kind == FailureKind::NotFound {
            return Self::missing(error.to_string());
        }
        let problem = error.problem();
        Self::Retry { detail: format!("{}; {}", problem.detail, problem.help) }
    }
}

impl Halt {
    /// Somebody must do something, or time must pass.
    pub(super) fn retry(detail: impl Into<String>) -> Self {
        Self::Retry { detail: detail.into() }
    }

    /// Something is not there.
    pub(super) fn missing(detail: impl Into<String>) -> Self {
        Self::Missing { detail: detail.into() }
    }

    /// A failure in our own account, where no customer's role is to blame.
    pub(super) fn of_own(error: AwsError) -> Self {
        if error.kind != FailureKind::Denied || error.code == "NoCredentials" {
            return error.into();
        }
        let action = error.api.action();
        Self::Retry {
            detail: format!(
                "{error}; allow {action} to the identity that this program runs as: `cloudigrade accounts policy --for service` prints what it needs"
            ),
        }
    }

    /// A failure that has to do with an image's disk, where AWS's words can tell of a special image. `is_public` says whether everybody may use the
    /// image, `is_encrypted` whether its disk is known to be.
    pub(super) fn of_disk(error: AwsError, is_public: bool, is_encrypted: bool) -> Self {
        match special_of(&error, is_public, is_encrypted) {
            Some(special) => Self::Refused { special, detail: error.to_string() },
            None => error.into(),
        }
    }
}

/// The special image that a refusal speaks of. AWS has one code for most of them, and tells them apart by their words.
pub(super) fn special_of(error: &AwsError, is_public: bool, is_encrypted: bool) -> Option<SpecialImage> {
    if error.is_transient() {
        return None;
    }
    let said = error.message.to_lowercase();
    if said.contains("billingproduct") {
        Some(SpecialImage::BillingProduct)
    } else if said.contains("marketplace") {
        Some(SpecialImage::Marketplace)
    } else if speaks_of_storage(error) {
        Some(if is_public { SpecialImage::StorageNotPublic } else { SpecialImage::StorageNotShared })
    } else if speaks_of_keys(&said) || error.code.starts_with("KMS") || (is_encrypted && error.code == "OperationNotPermitted") {
        Some(SpecialImage::Encrypted)
    } else {
        None
    }
}

/// Whether AWS says that something was removed before, in other words than that it is not there.
pub(super) fn is_gone(error: &AwsError) -> bool {
    error.code == "InvalidAMIID.Unavailable"
}

/// Whether AWS refused because of the storage of an image.
pub(super) fn speaks_of_storage(error: &AwsError) -> bool {
    !error.is_transient() && error.message.to_lowercase().contains("permission to access the storage")
}

/// Whether AWS gave something up, or refused it, because of a key. A text in small letters.
pub(super) fn speaks_of_keys(said: &str) -> bool {
    ["encrypted snapshot", "kms", "key id is not accessible", "customer master key", "default key"].iter().any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use cloudigrade_connectors::aws::Api;

    use super::*;

    fn told(code: &str, message: &str) -> AwsError {
        AwsError::told(Api::CopyImage, Some(code), Some(message), Some(400))
    }

    #[test]
    fn awss_words_tell_special_images_apart_with_and_without_their_full_stop() {
        for (message, public, private) in [
            (
                "You do not have permission to access the storage of this ami",
                SpecialImage::StorageNotPublic,
                SpecialImage::StorageNotShared,
            ),
            ("Images from AWS Marketplace cannot be copied to another AWS account", SpecialImage::Marketplace, SpecialImage::Marketplace),
            (
                "Images with EC2 BillingProduct codes cannot be copied to another AWS account",
                SpecialImage::BillingProduct,
                SpecialImage::BillingProduct,
            ),
            ("Encrypted snapshots with EBS default key cannot be shared", SpecialImage::Encrypted, SpecialImage::Encrypted),
            ("The encrypted snapshot uses a KMS key that is not accessible", SpecialImage::Encrypted, SpecialImage::Encrypted),
        ] {
            for message in [message.to_owned(), format!("{message}.")] {
                let error = told("InvalidRequest", &message);
                assert_eq!((special_of(&error, true, false), special_of(&error, false, false)), (Some(public), Some(private)), "{message}");
            }
        }
        let subscribe = told("OptInRequired", "In order to use this AWS Marketplace product you need to accept terms and subscribe.");
        assert_eq!(special_of(&subscribe, false, false), Some(SpecialImage::Marketplace));
        assert_eq!(special_of(&told("OptInRequired", "You are not subscribed to this service."), false, false), None);
        assert_eq!(special_of(&told("OperationNotPermitted", "no"), false, true), Some(SpecialImage::Encrypted));
        assert_eq!(special_of(&told("OperationNotPermitted", "no"), false, false), None);
    }

    #[test]
    fn what_may_pass_is_no_special_image_whatever_it_says() {
        assert_eq!(special_of(&told("RequestLimitExceeded", "AWS Marketplace"), false, true), None);
        assert!(matches!(Halt::of_disk(told("InternalError", "kms"), false, true), Halt::Retry { .. }));
    }

    #[test]
    fn what_is_not_there_is_missing_and_all_else_can_be_tried_again_and_says_what_to_do() {
        assert!(matches!(Halt::from(told("InvalidSnapshot.NotFound", "snap-1")), Halt::Missing { .. }));
        let Halt::Retry { detail } = Halt::from(told("UnauthorizedOperation", "no")) else { panic!() };
        assert!(detail.contains("allow ec2:CopyImage in the role's policy"), "{detail}");
        let Halt::Retry { detail } = Halt::of_own(told("UnauthorizedOperation", "no")) else { panic!() };
        assert!(detail.contains("--for service"), "{detail}");
        assert!(matches!(Halt::from(told("ResourceLimitExceeded", "too many copies")), Halt::Retry { .. }));
    }
}
