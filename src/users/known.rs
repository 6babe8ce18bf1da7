//! The users and tokens that there are, in memory: what the log keeps of them.

use std::collections::HashMap;
use std::sync::Arc;

use cloudigrade_query::rest::principal::{Login, Principal};
use cloudigrade_schemas::{Token, TokenScope, User, UtcSecond};

use super::token;

/// Users by name, tokens by hash.
#[derive(Default)]
pub struct Known {
    users: HashMap<String, User>,
    tokens: HashMap<String, Token>,
    /// Hashes of each user's tokens.
    of_user: HashMap<String, Vec<String>>,
}

impl Known {
    /// A user.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// A user whose name differs in nothing but the case of letters.
    pub fn alike(&self, name: &str) -> Option<&User> {
        self.users.values().find(|user| user.name.eq_ignore_ascii_case(name))
    }

    /// All users, in the order in which they were made.
    pub fn users(&self) -> Vec<&User> {
        let mut users: Vec<&User> = self.users.values().collect();
        users.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        users
    }

    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    /// How many tokens there are.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// Whether a tenant has a user.
    pub fn has_tenant(&self, tenant: &str) -> bool {
        self.users.values().any(|user| user.tenant == tenant)
    }

    /// Whom a token stands for at a moment.
    pub fn bearer(&self, hash: &str, now: UtcSecond) -> Option<Principal> {
        let token = self.tokens.get(hash).filter(|known| token::is_same(&known.hash, hash))?;
        let user = self.users.get(&token.user)?;
        let works = token.works_at(now) && token.created_at >= user.tokens_from && !user.disabled;
        works.then(|| principal(user, token.scope))
    }

    /// A token, by its hash.
    pub fn token(&self, hash: &str) -> Option<&Token> {
        self.tokens.get(hash)
    }

    /// A user's tokens, the oldest first.
    pub fn tokens(&self, user: &str) -> Vec<&Token> {
        let mut tokens: Vec<&Token> = self.of_user.get(user).into_iter().flatten().filter_map(|hash| self.tokens.get(hash)).collect();
        tokens.sort_by(|a, b| (a.created_at, &a.hash).cmp(&(b.created_at, &b.hash)));
        tokens
    }

    /// Hashes of tokens that work no more at a moment, at most so many.
    pub fn expired(&self, now: UtcSecond, max: usize) -> Vec<String> {
        self.tokens.values().filter(|token| !token.works_at(now)).take(max).map(|token| token.hash.clone()).collect()
    }

    /// A user as they are from now on.
    pub fn put_user(&mut self, user: User) {
        self.users.insert(user.name.clone(), user);
    }

    /// A token that works from now on.
    pub fn put_token(&mut self, token: Token) {
        self.of_user.entry(token.user.clone()).or_default().push(token.hash.clone());
        self.tokens.insert(token.hash.clone(), token);
    }

    /// A token that works no more.
    pub fn forget_token(&mut self, hash: &str) {
        let Some(token) = self.tokens.remove(hash) else { return };
        if let Some(hashes) = self.of_user.get_mut(&token.user) {
            hashes.retain(|known| known != hash);
            if hashes.is_empty() {
                self.of_user.remove(&token.user);
            }
        }
    }
}

/// Somebody who has proved to be a user.
pub fn principal(user: &User, scope: TokenScope) -> Principal {
    Principal { name: Arc::from(user.name.as_str()), tenant: Arc::from(user.tenant.as_str()), superuser: user.superuser, scope }
}

/// Somebody who has given their password: they may do all that the user may.
pub fn login(user: &User) -> Login {
    let scope = if user.superuser { TokenScope::Admin } else { TokenScope::Write };
    Login { principal: principal(user, scope), ended_before: user.logins_ended }
}
