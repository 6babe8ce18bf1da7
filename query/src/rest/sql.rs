//! Questions in SQL.

use super::endpoint::Endpoint;

/// Its endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    Vec::new()
}
