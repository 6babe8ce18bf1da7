//! What a failed call says, in one line.

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

/// AWS's code and message, or what kept the call from reaching AWS. Never anything of the request.
pub fn told<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => innermost(error),
    }
}

/// Whether AWS was not reached at all.
pub fn is_unreachable<E>(error: &SdkError<E>) -> bool {
    matches!(error, SdkError::DispatchFailure(_) | SdkError::TimeoutError(_))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
