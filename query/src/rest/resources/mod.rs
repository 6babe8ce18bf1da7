//! The resources of this program's own: their paths end without a slash, where those of the APIs before it end with one.

mod accounts;
mod explain;
mod images;
mod letters;
mod listing;
mod page;
mod reports;
mod runs;
mod service;
mod tables;
mod tokens;
mod users;

use super::endpoint::Endpoint;

/// Their endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    [
        service::endpoints(),
        reports::endpoints(),
        explain::endpoints(),
        runs::endpoints(),
        tables::endpoints(),
        letters::endpoints(),
        images::endpoints(),
        accounts::endpoints(),
        tokens::endpoints(),
        users::endpoints(),
    ]
    .concat()
}
