//! `users` and `tokens`: who may ask, and with what they prove it. Neither is shown in SQL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

/// Somebody who can log in. A message of `users`, keyed by the name; the latest holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// What they log in as. Never given to another.
    pub name: String,
    /// Whose accounts they see, unless they are a superuser.
    pub tenant: String,
    /// Where they can be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether they see all tenants and manage users.
    #[serde(default)]
    pub superuser: bool,
    /// Their password as Argon2id hashes it, in PHC's format.
    pub password_hash: String,
    /// When they were made known.
    pub created_at: UtcSecond,
    /// When this last changed.
    pub changed_at: UtcSecond,
    /// Who changed it.
    pub changed_by: String,
    /// Whether they are shut out. Their tokens do not work meanwhile.
    #[serde(default)]
    pub disabled: bool,
    /// Tokens made before this moment no longer work: the last change of password.
    pub tokens_from: UtcSecond,
    /// How often all connections that were let in by the password were ended: by another password, by shutting the user out, by ending all
    /// tokens.
    #[serde(default)]
    pub logins_ended: u64,
}

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// Read reports, tables and settings.
    Read,
    /// Also change accounts and overrides.
    Write,
    /// Also manage users, where the user is a superuser.
    Admin,
}

impl TokenScope {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Its stable word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A token that stands for a user. A message of `tokens`, keyed by its hash; the latest holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// SHA-256 of the token, in hex. The token itself is kept nowhere.
    pub hash: String,
    /// Whose it is.
    pub user: String,
    /// What it lets do, at most.
    pub scope: TokenScope,
    /// What it is for, as the user calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was made.
    pub created_at: UtcSecond,
    /// From when on it no longer works.
    pub expires_at: UtcSecond,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<UtcSecond>,
}

impl Token {
    /// Whether it works at a moment, as far as it says itself.
    pub fn works_at(&self, now: UtcSecond) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Characters of a user's name, at most.
pub const USER_CHARS_MAX: usize = 150;

/// Whether a user can be called this: letters, digits and `._@+-` of ASCII, at most [`USER_CHARS_MAX`].
pub fn is_user_name(text: &str) -> bool {
    (1..=USER_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte))
}
