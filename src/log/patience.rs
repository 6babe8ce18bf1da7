//! Patience with a log that refuses something for the moment.

use std::thread::sleep;
use std::time::Instant;

use cloudigrade_pipeline::log::LogError;

use crate::limits::{LOG_RETRY_EVERY, LOG_RETRY_MAX};

/// Repeats what may succeed later, for [`LOG_RETRY_MAX`].
///
/// # Errors
/// The last answer.
pub fn patiently<T>(mut call: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
    let began = Instant::now();
    loop {
        match call() {
            Err(LogError::Retry { .. }) if began.elapsed() < LOG_RETRY_MAX => sleep(LOG_RETRY_EVERY),
            answer => return answer,
        }
    }
}
