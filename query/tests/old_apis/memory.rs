//! A backend in memory whose overrides show in the tables.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use cloudigrade_query::rest::backend::{AccountChange, Backend, NewToken, NewUser, OverrideRequest, Refused, UserInfo};
use cloudigrade_query::rest::principal::Principal;
use cloudigrade_schemas::table::IMAGES;
use cloudigrade_schemas::{Account, Token, TokenScope};
use serde_json::{Value, json};

use crate::backend::{FakeBackend, account};
use crate::common::TableWriter;
use crate::world::{Known, image_rows};

/// A backend that knows some users, accounts and images.
pub struct Memory {
    fake: FakeBackend,
    state: Mutex<State>,
}

struct State {
    users: Vec<UserInfo>,
    accounts: Vec<Account>,
    images: Vec<Known>,
    table: TableWriter,
    /// What the next registration or change is answered with.
    refusal: Option<Refused>,
    asked: Vec<String>,
}

impl Memory {
    pub fn new(root: &Path, users: Vec<UserInfo>, accounts: Vec<Account>, images: Vec<Known>) -> Self {
        let mut table = TableWriter::new(root, IMAGES);
        table.add_file(&[], &image_rows(&images));
        table.commit();
        let state = State { users, accounts, images, table, refusal: None, asked: Vec::new() };
        Self { fake: FakeBackend::new(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Has the next registration or change refused.
    pub fn refuse(&self, why: Refused) {
        self.state().refusal = Some(why);
    }

    /// What was asked to be changed since this was last asked, in order.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    fn refused(&self) -> Result<(), Refused> {
        self.state().refusal.take().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Backend for Memory {
    async fn log_in(
        &self,
        name: &str,
        password: &str,
        scope: TokenScope,
        label: Option<String>,
        from: Option<IpAddr>,
    ) -> Result<NewToken, Refused> {
        self.state().asked.push(format!("log in {name} to {}", scope.word()));
        self.fake.log_in(name, password, scope, label, from).await
    }

    async fn check_password(&self, name: &str, password: &str, from: Option<IpAddr>) -> Result<Principal, Refused> {
        self.fake.check_password(name, password, from).await
    }

    fn bearer(&self, token: &str) -> Option<Principal> {
        self.fake.bearer(token)
    }

    fn identity(&self, account_number: Option<&str>, org_id: Option<&str>) -> Option<Principal> {
        self.fake.identity(account_number, org_id)
    }

    async fn revoke(&self, token: &str) -> Result<(), Refused> {
        self.state().asked.push(format!("revoke {token}"));
        Ok(())
    }

    fn tokens(&self, user: &str) -> Vec<Token> {
        self.fake.tokens(user)
    }

    async fn revoke_by_hash(&self, user: &str, hash: &str) -> Result<(), Refused> {
        self.fake.revoke_by_hash(user, hash).await
    }

    fn users(&self, tenant: Option<&str>) -> Vec<UserInfo> {
        self.state().users.iter().filter(|user| tenant.is_none_or(|tenant| user.tenant == tenant)).cloned().collect()
    }

    async fn create_user(&self, user: NewUser, by: &str) -> Result<UserInfo, Refused> {
        self.fake.create_user(user, by).await
    }

    async fn disable_user(&self, name: &str, disabled: bool, by: &str) -> Result<UserInfo, Refused> {
        self.fake.disable_user(name, disabled, by).await
    }

    async fn reset_password(&self, name: &str, password: &str, by: &str) -> Result<(), Refused> {
        self.fake.reset_password(name, password, by).await
    }

    async fn accounts(&self, tenant: Option<&str>) -> Result<Vec<Account>, Refused> {
        Ok(self.state().accounts.iter().filter(|account| tenant.is_none_or(|tenant| account.tenant == tenant)).cloned().collect())
    }

    async fn register(&self, tenant: &str, arn: &str, name: Option<String>, by: &str) -> Result<Account, Refused> {
        self.refused()?;
        let account_id = arn.split(':').nth(4).unwrap_or_default();
        let made = Account { arn: arn.to_owned(), name, ..account(tenant, account_id) };
        let mut state = self.state();
        state.asked.push(format!("register {tenant}/{account_id} by {by}"));
        state.accounts.push(made.clone());
        Ok(made)
    }

    async fn change_account(&self, tenant: &str, account_id: &str, change: AccountChange, by: &str) -> Result<Account, Refused> {
        self.refused()?;
        let mut state = self.state();
        state.asked.push(format!("{change:?} {tenant}/{account_id} by {by}"));
        let found = state.accounts.iter_mut().find(|account| account.tenant == tenant && account.account_id == account_id);
        let found = found.ok_or(Refused::NotFound { what: "account" })?;
        if let AccountChange::Rename(name) = change {
            found.name = name;
        }
        Ok(found.clone())
    }

    async fn delete_account(&self, tenant: &str, account_id: &str, by: &str) -> Result<(), Refused> {
        self.refused()?;
        let mut state = self.state();
        state.asked.push(format!("delete {tenant}/{account_id} by {by}"));
        state.accounts.retain(|account| account.tenant != tenant || account.account_id != account_id);
        Ok(())
    }

    async fn external_id(&self, tenant: &str) -> Result<String, Refused> {
        self.fake.external_id(tenant).await
    }

    async fn own_account(&self) -> Option<String> {
        self.fake.own_account().await
    }

    fn policies(&self) -> Value {
        self.fake.policies()
    }

    async fn override_image(&self, tenant: Option<&str>, said: OverrideRequest, by: &str) -> Result<(), Refused> {
        let mut state = self.state();
        state.asked.push(format!("override {} {} {:?} of {tenant:?} by {by}", said.image_id, said.product.word(), said.is));
        let image = state.images.iter_mut().find(|image| image.id == said.image_id).ok_or(Refused::NotFound { what: "image" })?;
        image.overrides.retain(|other| other["product"] != said.product.word() || other["tenant"] != json!(tenant));
        let at = "2024-03-01T00:00:00Z";
        image.overrides.push(json!({"tenant": tenant, "product": said.product.word(), "is": said.is, "by": by, "at": at}));
        let rows = image_rows(&state.images);
        state.table.replace_all();
        state.table.add_file(&[], &rows);
        state.table.commit();
        Ok(())
    }

    async fn settle_letters(&self, ids: Vec<String>, replay: bool, by: &str) -> Result<(usize, usize), Refused> {
        self.fake.settle_letters(ids, replay, by).await
    }
}
