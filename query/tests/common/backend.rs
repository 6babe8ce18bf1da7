//! A backend in memory: two tenants, an operator, and a list of what was asked for.
#![allow(dead_code, reason = "each test uses its part")]

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use cloudigrade_query::rest::backend::{AccountChange, Backend, NewToken, NewUser, OverrideRequest, Refused, UserInfo};
use cloudigrade_query::rest::principal::{Login, Principal};
use cloudigrade_schemas::account::AccountState;
use cloudigrade_schemas::image_fact::InspectionWanted;
use cloudigrade_schemas::inspection::InspectionState;
use cloudigrade_schemas::{Account, Inspection, Token, TokenScope, UtcSecond};
use serde_json::{Value, json};

/// Tokens of the operator, of a user of each tenant, and of one who may only read.
pub const ROOT: &str = "00000000000000000000000000000000000000aa";
pub const ALICE: &str = "00000000000000000000000000000000000000a1";
pub const BOB: &str = "00000000000000000000000000000000000000b0";
pub const READER: &str = "00000000000000000000000000000000000000ff";

/// The accounts of `acme` (Alice's) and of `beta` (Bob's).
pub const ACME_ACCOUNT: &str = "000000000012";
pub const BETA_ACCOUNT: &str = "000000000034";

/// What an override does besides being noted.
type Overrides = Box<dyn FnMut(Option<&str>, &OverrideRequest, &str) -> Result<(), Refused> + Send>;

/// A backend in memory.
pub struct FakeBackend {
    state: Mutex<State>,
}

struct State {
    accounts: Vec<Account>,
    users: Vec<UserInfo>,
    overrides: Overrides,
    /// What the next registration, change or deletion of an account is answered with.
    refusal: Option<Refused>,
    asked: Vec<String>,
}

impl State {
    fn refused(&mut self) -> Result<(), Refused> {
        self.refusal.take().map_or(Ok(()), Err)
    }

    fn find(&mut self, tenant: &str, account_id: &str) -> Result<&mut Account, Refused> {
        let found = self.accounts.iter_mut().find(|account| account.tenant == tenant && account.account_id == account_id);
        found.ok_or(Refused::NotFound { what: "account" })
    }
}

pub fn account(tenant: &str, account_id: &str) -> Account {
    let new = Account::new(tenant, account_id, &format!("arn:aws:iam::{account_id}:role/cloudigrade"), UtcSecond(0));
    Account { name: Some(format!("account of {tenant}")), state: AccountState::Enabled, ..new }
}

/// An attempt to inspect an image, by the role of an account of `beta`.
fn inspection(image_id: &str, attempt: u32, state: InspectionState) -> Inspection {
    let inspection = json!({
        "command_id": format!("{attempt:032}"),
        "image_id": image_id,
        "region": "us-east-1",
        "attempt": attempt,
        "state": state,
        "way": "scanner",
        "reader": {"account_id": BETA_ACCOUNT, "tenant": "beta", "role_arn": format!("arn:aws:iam::{BETA_ACCOUNT}:role/x")},
        "accounts": [BETA_ACCOUNT],
        "tenants": ["beta"],
        "due_at": UtcSecond(0),
        "end": (state == InspectionState::Over).then(|| json!({"kind": "failed", "detail": "it took too long"})),
        "created_at": UtcSecond(0),
        "state_since": UtcSecond(0),
        "changed_at": UtcSecond(0),
    });
    serde_json::from_value(inspection).unwrap()
}

fn user(name: &str, tenant: &str, superuser: bool) -> UserInfo {
    UserInfo { name: name.to_owned(), tenant: tenant.to_owned(), email: None, superuser, disabled: false, created_at: UtcSecond(0) }
}

impl FakeBackend {
    pub fn new() -> Self {
        let accounts = vec![account("acme", ACME_ACCOUNT), account("beta", BETA_ACCOUNT)];
        let users = vec![user("root", "operator", true), user("alice", "acme", false), user("bob", "beta", false)];
        Self::of(users, accounts, Box::new(|_, _, _| Ok(())))
    }

    /// One with other users and accounts, whose overrides do something.
    pub fn of(users: Vec<UserInfo>, accounts: Vec<Account>, overrides: Overrides) -> Self {
        Self { state: Mutex::new(State { accounts, users, overrides, refusal: None, asked: Vec::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has the next registration, change or deletion of an account refused.
    pub fn refuse(&self, why: Refused) {
        self.state().refusal = Some(why);
    }

    /// What was asked to be changed since this was last asked, in order.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }
}

fn principal(name: &str, tenant: &str, superuser: bool, scope: TokenScope) -> Principal {
    Principal { name: name.into(), tenant: tenant.into(), superuser, scope }
}

fn kept(user: &str, scope: TokenScope, label: Option<String>) -> Token {
    let hash = "a".repeat(64);
    Token { hash, user: user.to_owned(), scope, label, created_at: UtcSecond(0), expires_at: UtcSecond(4_000_000_000), revoked_at: None }
}

#[async_trait]
impl Backend for FakeBackend {
    async fn log_in(
        &self,
        name: &str,
        password: &str,
        scope: TokenScope,
        label: Option<String>,
        from: Option<IpAddr>,
    ) -> Result<NewToken, Refused> {
        if password == "too often" {
            return Err(Refused::TooManyAttempts { seconds: 30 });
        }
        let Login { principal, .. } = self.check_password(name, password, from).await?;
        self.state().asked.push(format!("log in {name} to {}", scope.word()));
        Ok(NewToken { token: ALICE.to_owned(), kept: kept(name, scope, label), principal })
    }

    async fn check_password(&self, name: &str, password: &str, _: Option<IpAddr>) -> Result<Login, Refused> {
        if (name, password) != ("alice", "correct horse") {
            return Err(Refused::Credentials);
        }
        Ok(Login { principal: principal("alice", "acme", false, TokenScope::Write), ended_before: 0 })
    }

    fn is_let_in(&self, login: &Login) -> bool {
        login.ended_before == 0
    }

    fn bearer(&self, token: &str) -> Option<Principal> {
        match token {
            ROOT => Some(principal("root", "operator", true, TokenScope::Admin)),
            ALICE => Some(principal("alice", "acme", false, TokenScope::Write)),
            BOB => Some(principal("bob", "beta", false, TokenScope::Write)),
            READER => Some(principal("alice", "acme", false, TokenScope::Read)),
            _ => None,
        }
    }

    fn identity(&self, account_number: Option<&str>, org_id: Option<&str>) -> Option<Principal> {
        let known = account_number == Some("acme") || org_id == Some("org-acme");
        known.then(|| principal("acme", "acme", false, TokenScope::Read))
    }

    async fn revoke(&self, token: &str) -> Result<(), Refused> {
        self.state().asked.push(format!("revoke {token}"));
        Ok(())
    }

    fn tokens(&self, user: &str) -> Vec<Token> {
        vec![kept(user, TokenScope::Write, None)]
    }

    async fn revoke_by_hash(&self, user: &str, hash: &str) -> Result<(), Refused> {
        if hash != "a".repeat(64) {
            return Err(Refused::NotFound { what: "token" });
        }
        self.state().asked.push(format!("revoke a token of {user}"));
        Ok(())
    }

    fn users(&self, tenant: Option<&str>) -> Vec<UserInfo> {
        self.state().users.iter().filter(|user| tenant.is_none_or(|tenant| user.tenant == tenant)).cloned().collect()
    }

    async fn create_user(&self, new: NewUser, by: &str) -> Result<UserInfo, Refused> {
        let made = user(&new.name, new.tenant.as_deref().unwrap_or(&new.name), new.superuser);
        let mut state = self.state();
        if state.users.iter().any(|user| user.name == new.name) {
            let message = "there is a user of this name".to_owned();
            return Err(Refused::Invalid { field: Some("name"), code: "duplicate_name".to_owned(), message, details: Vec::new() });
        }
        state.asked.push(format!("create {} by {by}", new.name));
        state.users.push(made.clone());
        Ok(made)
    }

    async fn disable_user(&self, name: &str, disabled: bool, by: &str) -> Result<UserInfo, Refused> {
        self.state().asked.push(format!("disable {name} {disabled} by {by}"));
        Ok(UserInfo { disabled, ..user(name, "acme", false) })
    }

    async fn reset_password(&self, name: &str, _: &str, by: &str) -> Result<(), Refused> {
        self.state().asked.push(format!("reset {name} by {by}"));
        Ok(())
    }

    async fn accounts(&self, tenant: Option<&str>) -> Result<Vec<Account>, Refused> {
        Ok(self.state().accounts.iter().filter(|account| tenant.is_none_or(|tenant| account.tenant == tenant)).cloned().collect())
    }

    async fn register(&self, tenant: &str, arn: &str, name: Option<String>, by: &str) -> Result<Account, Refused> {
        self.state().refused()?;
        let Some(account_id) = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.get(..12)) else {
            let message = "Invalid ARN.".to_owned();
            return Err(Refused::Invalid { field: Some("account_arn"), code: "invalid_arn".to_owned(), message, details: Vec::new() });
        };
        let made = Account { arn: arn.to_owned(), name, ..account(tenant, account_id) };
        let mut state = self.state();
        state.asked.push(format!("register {tenant}/{account_id} by {by}"));
        state.accounts.push(made.clone());
        Ok(made)
    }

    async fn change_account(&self, tenant: &str, account_id: &str, change: AccountChange, by: &str) -> Result<Account, Refused> {
        let mut state = self.state();
        state.refused()?;
        state.find(tenant, account_id)?;
        state.asked.push(format!("{change:?} {tenant}/{account_id} by {by}"));
        let account = state.find(tenant, account_id)?;
        match change {
            AccountChange::Rename(name) => account.name = name,
            AccountChange::Pause => account.state = AccountState::Paused,
            AccountChange::Disable => account.state = AccountState::Disabled,
            AccountChange::Enable | AccountChange::Resume | AccountChange::Verify => account.state = AccountState::Enabled,
        }
        Ok(account.clone())
    }

    async fn delete_account(&self, tenant: &str, account_id: &str, by: &str) -> Result<(), Refused> {
        let mut state = self.state();
        state.refused()?;
        state.find(tenant, account_id)?;
        state.asked.push(format!("delete {tenant}/{account_id} by {by}"));
        state.accounts.retain(|account| account.tenant != tenant || account.account_id != account_id);
        Ok(())
    }

    async fn external_id(&self, tenant: &str) -> Result<String, Refused> {
        Ok(format!("external-{tenant}"))
    }

    async fn own_account(&self) -> Option<String> {
        Some("999999999999".to_owned())
    }

    fn policies(&self) -> Value {
        json!({"traditional_inspection": {"Version": "2012-10-17", "Statement": []}})
    }

    async fn override_image(&self, tenant: Option<&str>, said: OverrideRequest, by: &str) -> Result<(), Refused> {
        let OverrideRequest { image_id, product, is, .. } = &said;
        let mut state = self.state();
        state.asked.push(format!("override {image_id} {} {is:?} of {tenant:?} by {by}", product.word()));
        (state.overrides)(tenant, &said, by)
    }

    async fn inspections(&self, image_id: &str) -> Result<Vec<Inspection>, Refused> {
        Ok(vec![inspection(image_id, 1, InspectionState::Over), inspection(image_id, 2, InspectionState::Sharing)])
    }

    async fn want_inspection(&self, image_id: &str, wanted: InspectionWanted, by: &str) -> Result<Vec<Inspection>, Refused> {
        self.state().asked.push(format!("{wanted:?} {image_id} by {by}"));
        self.inspections(image_id).await
    }

    async fn settle_letters(&self, ids: Vec<String>, replay: bool, by: &str) -> Result<(usize, usize), Refused> {
        self.state().asked.push(format!("settle {} {replay} by {by}", ids.join(" ")));
        Ok((ids.iter().filter(|id| id.starts_with("aa")).count(), ids.iter().filter(|id| id.starts_with("bb")).count()))
    }
}
