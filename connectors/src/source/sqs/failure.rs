//! Failures of the AWS client, as [`Failure`].

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::classify::{Failure, Reached};

/// Characters of a service's message that are kept. It names ARNs, which are what an operator needs.
const MESSAGE_CHARS_MAX: usize = 500;

/// What is known of a failed request. Of requests and credentials it tells nothing.
pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let (reached, code, message) = match error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            (Reached::Answer, meta.code().map(str::to_owned), meta.message().unwrap_or("the service gives no reason").to_owned())
        }
        SdkError::ResponseError(_) => (Reached::PartOfAnswer, None, innermost(error)),
        SdkError::TimeoutError(_) => (Reached::Nothing, None, "no answer in time".to_owned()),
        SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io() => (Reached::Nothing, None, innermost(error)),
        _ => (Reached::NotSent, None, innermost(error)),
    };
    Failure { reached, code, status, message: message.chars().take(MESSAGE_CHARS_MAX).collect() }
}

/// An answer that broke off while it was read.
pub(super) fn of_body(error: &(dyn std::error::Error + 'static)) -> Failure {
    let message = innermost(error).chars().take(MESSAGE_CHARS_MAX).collect();
    Failure { reached: Reached::PartOfAnswer, code: None, status: None, message }
}

/// The innermost message, without the layers that carried it.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
