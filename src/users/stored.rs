//! Users and tokens in the log. The topics tell them to others; state is what is read at the start, as it has only what holds.

use cloudigrade_connectors::source::committer::{Change, Entry, Message};
use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{LogError, StateRead, Store};
use cloudigrade_schemas::{Token, Topic, User, UtcSecond};
use serde::de::DeserializeOwned;

use super::known::Known;

/// Users as they stand, by name.
const USERS: Store = Store("users.users");
/// Tokens that were not revoked, by hash.
const TOKENS: Store = Store("users.tokens");

/// All stores of state of users.
pub const STORES: &[Store] = &[USERS, TOKENS];

/// A change of users or tokens.
pub enum Edit {
    /// A user as they are from now on.
    PutUser(User),
    /// A new token.
    PutToken(Token),
    /// A token that was ended at a moment.
    Revoke(Token, UtcSecond),
    /// A token that has expired, by its hash.
    Forget(String),
}

impl Edit {
    /// Makes it known.
    pub fn apply(self, known: &mut Known) {
        match self {
            Self::PutUser(user) => known.put_user(user),
            Self::PutToken(token) => known.put_token(token),
            Self::Revoke(Token { hash, .. }, _) | Self::Forget(hash) => known.forget_token(&hash),
        }
    }
}

/// What makes changes durable, all or none of them.
///
/// # Errors
/// Those of [`Cx::encode`].
pub fn entry(edits: &[Edit]) -> Result<Entry, LogError> {
    let mut entry = Entry::default();
    for edit in edits {
        let (topic, store, key, message, state) = match edit {
            Edit::PutUser(user) => {
                let value = Cx::encode(user)?;
                (Topic::Users, USERS, &user.name, value.clone(), Some(value))
            }
            Edit::PutToken(token) => {
                let value = Cx::encode(token)?;
                (Topic::Tokens, TOKENS, &token.hash, value.clone(), Some(value))
            }
            Edit::Revoke(token, at) => {
                let revoked = Token { revoked_at: Some(*at), ..token.clone() };
                (Topic::Tokens, TOKENS, &token.hash, Cx::encode(&revoked)?, None)
            }
            // A message without a value says that there is nothing more of this key.
            Edit::Forget(hash) => (Topic::Tokens, TOKENS, hash, Vec::new(), None),
        };
        let key = key.clone().into_bytes();
        entry.messages.push(Message { topic, partition_key: key.clone(), key: key.clone(), value: message });
        entry.state.push(Change { store, partition_key: key.clone(), key, value: state });
    }
    Ok(entry)
}

/// Reads the users and tokens of a partition.
///
/// # Errors
/// Those of [`StateRead::scan`], and [`LogError::Storage`] for state that does not read.
pub fn read(state: &dyn StateRead, partition: u32, known: &mut Known) -> Result<(), LogError> {
    for (_, value) in state.scan(USERS, partition, b"")? {
        known.put_user(decode(&value)?);
    }
    for (_, value) in state.scan(TOKENS, partition, b"")? {
        known.put_token(decode(&value)?);
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, LogError> {
    // The cause could tell a part of what is kept: where it is wrong is enough.
    serde_json::from_slice(value).map_err(|error| LogError::Storage {
        doing: "reading users and tokens",
        cause: format!("line {}, column {} of what is kept of one does not read", error.line(), error.column()),
        help: "the log is damaged or was written by a newer version; restore it, or use that version",
    })
}
