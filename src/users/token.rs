//! Tokens: made, and known by what is kept of them.

use cloudigrade_query::rest::backend::Refused;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::limits::TOKEN_BYTES;

/// A token that nobody can guess: 40 hex digits.
///
/// # Errors
/// [`Refused::Failed`] where the system gives no random numbers.
pub fn make() -> Result<String, Refused> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        Refused::Failed
    })?;
    Ok(hex(&bytes))
}

/// What is kept of a token: its SHA-256, in hex. A token is as random as a key, so it needs no slow hash. `None` for what is no token.
pub fn hash(token: &str) -> Option<String> {
    let is_token = token.len() == TOKEN_BYTES * 2 && token.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_token.then(|| hex(&Sha256::digest(token.as_bytes())))
}

/// Whether two hashes are the same, in a time that does not tell how much of them is.
pub fn is_same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
