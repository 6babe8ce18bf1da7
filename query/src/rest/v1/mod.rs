//! The first API, as its clients know it.

use super::endpoint::Endpoint;

/// Its endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    Vec::new()
}
