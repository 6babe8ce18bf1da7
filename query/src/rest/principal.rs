//! Who makes a request.

use std::sync::Arc;

use cloudigrade_schemas::TokenScope;

use crate::viewer::Viewer;

/// Somebody who has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user's name; for an identity that a trusted proxy vouches for, what it says.
    pub name: Arc<str>,
    /// Whose accounts they see.
    pub tenant: Arc<str>,
    /// Whether they see all tenants and manage users.
    pub superuser: bool,
    /// What they may do, at most.
    pub scope: TokenScope,
}

/// Somebody who was let in by a password for as long as a connection lasts, or until that login is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Who it is.
    pub principal: Principal,
    /// How often logins of this user had been ended by then.
    pub ended_before: u64,
}

impl Principal {
    /// What they see: all, if they are a superuser.
    pub fn viewer(&self) -> Viewer {
        if self.superuser { Viewer::Everything } else { Viewer::Tenant(Arc::clone(&self.tenant)) }
    }

    /// Whether they may do what asks for a scope.
    pub fn may(&self, scope: TokenScope) -> bool {
        self.scope >= scope && (scope != TokenScope::Admin || self.superuser)
    }
}
