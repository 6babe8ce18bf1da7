//! What the resources need of the program, over the log: who somebody is, and what changes something.
//!
//! What is changed is carried on with to its end, whether or not the request still waits for it; stopping waits for that too. Registering an
//! account and whatever else asks AWS is waited for as long as clients wait, and goes on in the background after that.

mod aws;
mod background;
mod refusals;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::log::DataLog;
use async_trait::async_trait;
use cloudigrade_inspect::record;
use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_pipeline::operators::accounts;
use cloudigrade_query::rest::backend::{AccountChange, Backend, NewToken, NewUser, OverrideRequest, Refused, UserInfo};
use cloudigrade_query::rest::principal::{Login, Principal};
use cloudigrade_schemas::account::is_tenant;
use cloudigrade_schemas::image_fact::InspectionWanted;
use cloudigrade_schemas::{Account, AccountState, Inspection, Token, TokenScope};
use serde_json::Value;

use self::aws::OwnAccount;
use self::background::Background;
use self::refusals::{refused, refused_registration};
use crate::config::Config;
use crate::control::registration;
use crate::control::service::Service;
use crate::control::wire::{
    self, Answer, Ask, InspectionsOperation, InspectionsRequest, LettersAction, LettersRequest, Operation, Refusal, Request, Told,
};
use crate::users::{Directory, Secret};

/// The implementation over the log of this process.
pub struct LogBackend {
    /// Taken away when the server stops: whoever still has the backend then must not keep the log.
    service: RwLock<Option<Arc<Service>>>,
    background: Background,
    own_account: OwnAccount,
    policies: Value,
}

impl LogBackend {
    /// By whoever answers what is asked of the log.
    pub fn new(service: Arc<Service>, config: &Config) -> Self {
        Self {
            service: RwLock::new(Some(service)),
            background: Background::new(config.serve.answer_wait),
            own_account: OwnAccount::new(config),
            policies: aws::policies(config),
        }
    }

    /// Waits for what is still being done, and gives the log back. What is asked afterwards is refused.
    pub async fn finish(&self) {
        let service = self.service.write().unwrap_or_else(PoisonError::into_inner).take();
        self.background.finish().await;
        drop(service);
    }

    /// Whether there are no users yet.
    pub fn has_no_users(&self) -> bool {
        self.directory().is_ok_and(|directory| directory.is_empty())
    }

    fn service(&self) -> Result<Arc<Service>, Refused> {
        let service = self.service.read().unwrap_or_else(PoisonError::into_inner).clone();
        service.ok_or_else(|| Refused::Unsupported { message: "the server is stopping".to_owned() })
    }

    fn directory(&self) -> Result<Arc<Directory>, Refused> {
        Ok(Arc::clone(self.service()?.directory()))
    }

    /// Asks about accounts, and waits until the outcome shows.
    async fn ask(&self, tenant: &str, by: &str, operation: Operation) -> Result<Answer, Refused> {
        let service = self.service()?;
        let request = Request { tenant: tenant.to_owned(), by: by.to_owned(), operation };
        let asked = async move {
            let told = service.answer(Ask::Accounts(request)).await?;
            service.show().await?;
            match told {
                Told::Accounts(answer) => Ok(answer),
                _ => Err(Refusal::failed(&"another kind of answer")),
            }
        };
        self.background.run(asked).await.unwrap_or_else(|| Err(still_working())).map_err(refused)
    }

    /// Reads the log where waiting for a disk keeps nobody else waiting.
    async fn read<T: Send + 'static>(&self, read: impl FnOnce(&DataLog) -> Result<T, LogError> + Send + 'static) -> Result<T, Refused> {
        let service = self.service()?;
        let read = tokio::task::spawn_blocking(move || read(service.log())).await.map_err(|error| refused(Refusal::failed(&error)))?;
        read.map_err(|error| refused(Refusal::failed(&error)))
    }

    /// An account as it stands.
    fn account(&self, tenant: &str, account_id: &str) -> Result<Option<Account>, Refused> {
        let service = self.service()?;
        let log = service.log();
        accounts::account(log, log.partitions(), tenant, account_id).map_err(|error| refused(Refusal::failed(&error)))
    }
}

fn still_working() -> Refusal {
    Refusal::new("still_working", "it is being worked on, which takes longer than can be waited for", "look again in a moment")
}

#[async_trait]
impl Backend for LogBackend {
    async fn log_in(
        &self,
        name: &str,
        password: &str,
        scope: TokenScope,
        label: Option<String>,
        from: Option<IpAddr>,
    ) -> Result<NewToken, Refused> {
        self.directory()?.log_in(name, Secret::new(password), scope, label, from).await
    }

    async fn check_password(&self, name: &str, password: &str, from: Option<IpAddr>) -> Result<Login, Refused> {
        self.directory()?.check_login(name, Secret::new(password), from).await
    }

    fn is_let_in(&self, login: &Login) -> bool {
        // A server that stops ends connections itself.
        self.directory().map_or(true, |directory| directory.is_let_in(login))
    }

    fn bearer(&self, token: &str) -> Option<Principal> {
        self.directory().ok()?.bearer(token)
    }

    fn identity(&self, account_number: Option<&str>, org_id: Option<&str>) -> Option<Principal> {
        let service = self.service().ok()?;
        let is_known = |tenant: &&str| {
            let log = service.log();
            let has_accounts = || accounts::external_id(log, log.partitions(), tenant);
            is_tenant(tenant)
                && (service.directory().has_tenant(tenant)
                    || has_accounts()
                        .inspect_err(|error| tracing::error!(%error, "tenants cannot be read"))
                        .is_ok_and(|external_id| external_id.is_some()))
        };
        let tenant = [account_number, org_id].into_iter().flatten().find(is_known)?;
        Some(Principal { name: tenant.into(), tenant: tenant.into(), superuser: false, scope: TokenScope::Read })
    }

    async fn revoke(&self, token: &str) -> Result<(), Refused> {
        self.directory()?.revoke(token).await
    }

    fn tokens(&self, user: &str) -> Vec<Token> {
        self.directory().map(|directory| directory.tokens(user)).unwrap_or_default()
    }

    async fn revoke_by_hash(&self, user: &str, hash: &str) -> Result<(), Refused> {
        self.directory()?.revoke_by_hash(user, hash).await
    }

    fn users(&self, tenant: Option<&str>) -> Vec<UserInfo> {
        self.directory().map(|directory| directory.users(tenant)).unwrap_or_default()
    }

    async fn create_user(&self, user: NewUser, by: &str) -> Result<UserInfo, Refused> {
        self.directory()?.create(user, by).await
    }

    async fn disable_user(&self, name: &str, disabled: bool, by: &str) -> Result<UserInfo, Refused> {
        self.directory()?.disable(name, disabled, by).await
    }

    async fn reset_password(&self, name: &str, password: &str, by: &str) -> Result<(), Refused> {
        self.directory()?.reset_password(name, Secret::new(password), by).await
    }

    async fn accounts(&self, tenant: Option<&str>) -> Result<Vec<Account>, Refused> {
        let tenant = tenant.map(str::to_owned);
        let read = move |log: &DataLog| match tenant {
            Some(tenant) => accounts::accounts_of(log, log.partitions(), &tenant),
            None => accounts::all_accounts(log, log.partitions()),
        };
        let accounts = self.read(read).await?;
        Ok(accounts.into_iter().filter(|account| account.state != AccountState::Deleted).collect())
    }

    async fn register(&self, tenant: &str, arn: &str, name: Option<String>, by: &str) -> Result<Account, Refused> {
        let service = self.service()?;
        let (tenant, arn, by) = (tenant.to_owned(), arn.to_owned(), by.to_owned());
        let registering = async move {
            let registered = registration::register(&service, &tenant, &arn, name, &by).await.map_err(refused_registration);
            // Whoever asked may have stopped waiting: then this alone tells.
            let account = registered.inspect_err(|refused| tracing::info!(tenant, arn, by, %refused, "an account was not registered"))?;
            tracing::info!(tenant, account = account.account_id, by, "an account was registered");
            service.show().await.map_err(refused)?;
            Ok(account)
        };
        let late = || Refused::StillWorking {
            message: "AWS is still asked whether the role works; the account is listed as soon as it has shown that".to_owned(),
        };
        self.background.run_one_of_few(registering).await?.unwrap_or_else(|| Err(late()))
    }

    async fn change_account(&self, tenant: &str, account_id: &str, change: AccountChange, by: &str) -> Result<Account, Refused> {
        let account = account_id.to_owned();
        let operation = match change {
            AccountChange::Rename(name) => Operation::Rename { account, name },
            AccountChange::Enable => Operation::Enable { account },
            AccountChange::Disable => Operation::Disable { account },
            AccountChange::Pause => Operation::Pause { account },
            AccountChange::Resume => Operation::Resume { account },
            AccountChange::Verify => Operation::Verify { account },
        };
        let answer = self.ask(tenant, by, operation).await?;
        answer.accounts.into_iter().next().ok_or(Refused::NotFound { what: "account" })
    }

    async fn delete_account(&self, tenant: &str, account_id: &str, by: &str) -> Result<(), Refused> {
        let deleted = self.ask(tenant, by, Operation::Delete { account: account_id.to_owned() }).await;
        match deleted {
            // It is forgotten at once; what takes longer is to remove its trail.
            Err(Refused::StillWorking { .. }) if self.account(tenant, account_id)?.is_none() => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    async fn external_id(&self, tenant: &str) -> Result<String, Refused> {
        let answer = self.ask(tenant, "server", Operation::ExternalId).await?;
        answer.external_id.ok_or(Refused::Failed)
    }

    async fn own_account(&self) -> Option<String> {
        self.own_account.get().await
    }

    fn policies(&self) -> Value {
        self.policies.clone()
    }

    async fn override_image(&self, tenant: Option<&str>, said: OverrideRequest, by: &str) -> Result<(), Refused> {
        let service = self.service()?;
        let OverrideRequest { image_id, region, product, is, reason } = said;
        let region = Some(region).filter(|region| !region.is_empty());
        let request = wire::OverrideRequest { tenant: tenant.map(str::to_owned), by: by.to_owned(), image_id, region, product, is, reason };
        let saying = async move { service.answer(Ask::Override(request)).await.map(drop) };
        self.background.run(saying).await.unwrap_or_else(|| Err(still_working())).map_err(refused)
    }

    async fn inspections(&self, image_id: &str) -> Result<Vec<Inspection>, Refused> {
        let image = image_id.to_owned();
        self.read(move |log| record::of_image(log, log.partitions(), &image)).await
    }

    async fn want_inspection(&self, image_id: &str, wanted: InspectionWanted, by: &str) -> Result<Vec<Inspection>, Refused> {
        let service = self.service()?;
        let operation = InspectionsOperation::Want { image: image_id.to_owned(), wanted };
        let request = InspectionsRequest { by: by.to_owned(), operation };
        let asked = async move {
            match service.answer(Ask::Inspections(request)).await? {
                Told::Inspections(inspections) => Ok(inspections),
                _ => Err(Refusal::failed(&"another kind of answer")),
            }
        };
        self.background.run(asked).await.unwrap_or_else(|| Err(still_working())).map_err(refused)
    }

    async fn settle_letters(&self, ids: Vec<String>, replay: bool, by: &str) -> Result<(usize, usize), Refused> {
        // For the command line no ids are all letters; here nobody means that by leaving them out.
        if ids.is_empty() {
            return Ok((0, 0));
        }
        let service = self.service()?;
        let action = if replay { LettersAction::Replay } else { LettersAction::Drop };
        let request = LettersRequest { ids, by: by.to_owned(), action };
        let settling = async move {
            let told = service.answer(Ask::DeadLetters(request)).await?;
            service.show().await?;
            match told {
                Told::DeadLetters(answer) => Ok((answer.resolved.len(), answer.open.len())),
                _ => Err(Refusal::failed(&"another kind of answer")),
            }
        };
        self.background.run(settling).await.unwrap_or_else(|| Err(still_working())).map_err(refused)
    }
}
