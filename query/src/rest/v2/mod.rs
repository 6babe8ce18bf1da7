//! The second API, as its clients know it; it only reads.

use super::endpoint::Endpoint;

/// Its endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    Vec::new()
}
