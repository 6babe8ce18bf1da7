//! What tests start from.

use cloudigrade_schemas::account::Trail;
use cloudigrade_schemas::{Account, AccountState, UtcSecond};

/// An account in a state, without a trail, of which nothing else is known.
pub(crate) fn account(state: AccountState) -> Account {
    Account {
        tenant: "t".to_owned(),
        account_id: "111122223333".to_owned(),
        arn: "arn:aws:iam::111122223333:role/x".to_owned(),
        name: None,
        state,
        created_at: UtcSecond(0),
        changed_at: UtcSecond(0),
        verified_at: None,
        unmetered: Vec::new(),
        trail: None,
        problems: Vec::new(),
    }
}

/// A trail of that account.
pub(crate) fn trail(ours: bool) -> Trail {
    let arn = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/x".to_owned();
    Trail { arn, bucket: "b".to_owned(), organization: false, ours }
}
