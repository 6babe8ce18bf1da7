//! What tests start from.

use cloudigrade_schemas::account::Trail;
use cloudigrade_schemas::{Account, AccountState, UtcSecond};

/// An account in a state, without a trail, of which nothing else is known.
pub(crate) fn account(state: AccountState) -> Account {
    Account { state, ..Account::new("t", "111122223333", "arn:aws:iam::111122223333:role/x", UtcSecond(0)) }
}

/// A trail of that account.
pub(crate) fn trail(ours: bool) -> Trail {
    let arn = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/x".to_owned();
    Trail { arn, bucket: "b".to_owned(), organization: false, ours }
}
