//! The resources of this program's own: their paths end without a slash, where those of the APIs before it end with one.

mod reports;
mod service;

use super::endpoint::Endpoint;

/// Their endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    [service::endpoints(), reports::endpoints()].concat()
}
