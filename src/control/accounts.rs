//! Answers what is asked about accounts: commands go into the log, the one writer decides, and the outcome is read back.

use std::time::Duration;

use cloudigrade_connectors::aws::fleet::is_trail_due;
use cloudigrade_connectors::aws::{AccountCheck, HistoryProgress};
use cloudigrade_connectors::source::committer::{Entry, Message};
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::operators::accounts::{self, Outcome};
use cloudigrade_schemas::account::{TENANT_CHARS_MAX, is_tenant};
use cloudigrade_schemas::arn::RoleArn;
use cloudigrade_schemas::{Account, AccountAction, AccountCommand, AccountState, Topic};

use super::service::Service;
use super::wire::{Answer, Operation, Refusal, Request};

/// How long the one writer may take to decide.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);
/// How often is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Random bytes of an external id or a command's id.
const RANDOM_BYTES: usize = 16;

/// Does what is asked.
///
/// # Errors
/// [`Refusal`]: nothing of it was done, unless it says otherwise.
pub(super) async fn answer(service: &Service, Request { tenant, by, operation }: Request) -> Result<Answer, Refusal> {
    // The one writer decides nothing about what cannot be a tenant, so waiting for it would be in vain.
    if !is_tenant(&tenant) {
        let help = format!("use at most {TENANT_CHARS_MAX} letters, digits and ._@+-");
        return Err(Refusal::new("tenant_invalid", format!("{tenant:?} is no name for a tenant"), help));
    }
    let asked = Asked { service, tenant: &tenant, by: &by };
    match operation {
        Operation::ExternalId => Ok(Answer { external_id: Some(asked.external_id().await?), ..Answer::default() }),
        Operation::Register { arn, name } => asked.register(&arn, name).await,
        Operation::List => {
            let accounts = asked.accounts()?;
            Ok(Answer { notes: asked.progress(&accounts), accounts, ..Answer::default() })
        }
        Operation::Show { account } => {
            let found = of(asked.find(&account)?);
            Ok(Answer { notes: asked.progress(&found.accounts), ..found })
        }
        Operation::Rename { account, name } => asked.change(&account, AccountAction::Rename { name }).await,
        Operation::ChangeRole { account, arn } => {
            asked.change(&account, AccountAction::ChangeRole { arn }).await?;
            asked.verify(&account).await
        }
        Operation::Enable { account } => {
            asked.change(&account, AccountAction::Enable).await?;
            asked.verify(&account).await
        }
        Operation::Resume { account } => {
            asked.change(&account, AccountAction::Resume).await?;
            asked.verify(&account).await
        }
        Operation::Pause { account } => asked.change(&account, AccountAction::Pause).await,
        Operation::Disable { account } => asked.end(&account, AccountAction::Disable).await,
        Operation::Delete { account } => asked.end(&account, AccountAction::Delete).await,
        Operation::Verify { account } => asked.verify(&account).await,
    }
}

/// A request under way.
pub(super) struct Asked<'a> {
    pub(super) service: &'a Service,
    pub(super) tenant: &'a str,
    pub(super) by: &'a str,
}

impl Asked<'_> {
    fn partitions(&self) -> u32 {
        self.service.log.partitions()
    }

    fn accounts(&self) -> Result<Vec<Account>, Refusal> {
        let known = accounts::accounts_of(&self.service.log, self.partitions(), self.tenant).map_err(|error| Refusal::failed(&error))?;
        Ok(known.into_iter().filter(|account| account.state != AccountState::Deleted).collect())
    }

    /// The account of this id or name. One of another tenant is as unknown as one that nobody has.
    fn find(&self, account: &str) -> Result<Account, Refusal> {
        let known = self.accounts()?;
        let found = known.into_iter().find(|known| known.account_id == account || known.name.as_deref() == Some(account));
        found.ok_or_else(|| unknown(account))
    }

    /// Whether the tenant has neither the account nor one of this name.
    pub(super) fn is_new(&self, account_id: &str, arn: &str, name: Option<&str>) -> Result<(), Refusal> {
        let known = self.accounts()?;
        let refused = known.iter().find_map(|known| {
            let help = "rename it, or delete it first";
            if known.account_id == account_id && known.arn == arn {
                Some(Refusal::new("arn_exists", format!("the role {arn} is registered already"), help))
            } else if known.account_id == account_id {
                Some(Refusal::new(
                    "account_exists",
                    format!("the account {account_id} is registered already, with the role {}", known.arn),
                    help,
                ))
            } else if name.is_some() && known.name.as_deref() == name {
                Some(Refusal::new(
                    "name_exists",
                    format!("there is an account named {:?} already", name.unwrap_or_default()),
                    "choose another name",
                ))
            } else {
                None
            }
        });
        refused.map_or(Ok(()), Err)
    }

    /// What is still being read of accounts that are collected from.
    fn progress(&self, accounts: &[Account]) -> Vec<String> {
        let Some(overview) = &self.service.overview else { return Vec::new() };
        let overview = overview.borrow();
        let of_account = |account: &Account| {
            let progress = overview.get(&account.to_key()).filter(|progress| !progress.history_done)?;
            let HistoryProgress { passes, done, events, oldest } = progress.history;
            let reached = oldest.map_or_else(String::new, |oldest| format!(", back to {oldest}"));
            Some(format!("{}: its history is being read: {done} of {passes} passes are done, {events} events{reached}", account.account_id))
        };
        let active = accounts.iter().filter(|account| account.state == AccountState::Enabled);
        active.filter_map(of_account).collect()
    }

    /// What the tenant's roles ask for, made at the first time.
    pub(super) async fn external_id(&self) -> Result<String, Refusal> {
        let known = || accounts::external_id(&self.service.log, self.partitions(), self.tenant).map_err(|error| Refusal::failed(&error));
        if let Some(known) = known()? {
            return Ok(known);
        }
        let external_id = format!("cloudigrade-{}", random()?);
        match self.decide("", AccountAction::OpenTenant { external_id }).await? {
            Outcome::TenantOpened { external_id } => Ok(external_id),
            outcome => Err(Refusal::failed(&format!("a tenant was opened with the outcome {outcome:?}"))),
        }
    }

    async fn register(&self, arn: &str, name: Option<String>) -> Result<Answer, Refusal> {
        let role = role_of(arn)?;
        self.external_id().await?;
        self.accepted(&role.account_id, AccountAction::Register { arn: arn.to_owned(), name }).await?;
        let mut answer = self.verify(&role.account_id).await?;
        answer.notes.push(match &self.service.overview {
            Some(_) => "instances are described and history is read now; `cloudigrade accounts show` tells how far it is".to_owned(),
            None => "it is collected from while `cloudigrade serve` runs with a configuration that has [accounts]".to_owned(),
        });
        Ok(answer)
    }

    async fn change(&self, account: &str, action: AccountAction) -> Result<Answer, Refusal> {
        let known = self.find(account)?;
        Ok(of(self.accepted(&known.account_id, action).await?))
    }

    /// Disables or deletes an account, and removes the trail that we made in it unless another tenant still collects by it.
    async fn end(&self, account: &str, action: AccountAction) -> Result<Answer, Refusal> {
        let known = self.find(account)?;
        let ended = self.accepted(&known.account_id, action).await?;
        let all = accounts::all_accounts(&self.service.log, self.partitions()).map_err(|error| Refusal::failed(&error))?;
        let mut answer = of(ended.clone());
        if let (Some(aws), Some(trail)) = (&self.service.aws, ended.trail.as_ref().filter(|_| is_trail_due(&ended, &all))) {
            let external_id = self.external_id().await?;
            match aws.remove_trail(&ended, &external_id).await {
                Ok(()) => answer.notes.push(format!("the trail {} was removed", trail.arn)),
                Err(problem) => answer.notes.push(format!("the trail {} was not removed: {}; {}", trail.arn, problem.detail, problem.help)),
            }
        }
        Ok(answer)
    }

    /// Looks whether role, permissions and trail are in order, and has the account say so from then on.
    async fn verify(&self, account: &str) -> Result<Answer, Refusal> {
        let known = self.find(account)?;
        let Some(aws) = &self.service.aws else {
            let note = "it was not looked whether the role works: there is no [accounts] section in the configuration";
            return Ok(Answer { notes: vec![note.to_owned()], ..of(known) });
        };
        let external_id = self.external_id().await?;
        let action = match aws.check(&known, &external_id).await {
            AccountCheck::InOrder { trail } => AccountAction::Verified { trail },
            AccountCheck::Obstructed { problems, trail } => AccountAction::Failed { problems, trail },
        };
        Ok(of(self.accepted(&known.account_id, action).await?))
    }

    /// Has an action decided that gives an account.
    pub(super) async fn accepted(&self, account_id: &str, action: AccountAction) -> Result<Account, Refusal> {
        match self.decide(account_id, action).await? {
            Outcome::Accepted(account) => Ok(*account),
            Outcome::Refused { code, detail, help } => Err(Refusal { code, detail, help }),
            outcome @ Outcome::TenantOpened { .. } => Err(Refusal::failed(&format!("an account had the outcome {outcome:?}"))),
        }
    }

    async fn decide(&self, account_id: &str, action: AccountAction) -> Result<Outcome, Refusal> {
        let command = AccountCommand {
            id: random()?,
            tenant: self.tenant.to_owned(),
            account_id: account_id.to_owned(),
            at: (self.service.now)(),
            by: self.by.to_owned(),
            action,
        };
        let key = command.tenant.clone().into_bytes();
        let value = serde_json::to_vec(&command).map_err(|error| Refusal::failed(&error))?;
        let message = Message { topic: Topic::AccountCommands, partition_key: key.clone(), key, value };
        let entry = Entry { messages: vec![message], ..Entry::default() };
        self.service.committer.commit(entry).await.map_err(|error| Refusal::failed(&error))?;
        let decided = async {
            loop {
                let outcome = accounts::outcome(&self.service.log, self.partitions(), self.tenant, &command.id);
                match outcome.map_err(|error| Refusal::failed(&error))? {
                    Some(outcome) => return Ok(outcome),
                    None => tokio::time::sleep(LOOK_EVERY).await,
                }
            }
        };
        let late = |_| Refusal::failed(&format!("the command is in the log, but was not decided within {} s", DECIDED_WITHIN.as_secs()));
        tokio::time::timeout(DECIDED_WITHIN, decided).await.map_err(late)?
    }
}

/// What is answered where there is no log yet; `None` where one is to be made. Asking about what cannot be there must leave nothing behind.
pub(super) fn answer_without_log(operation: &Operation) -> Option<Result<Answer, Refusal>> {
    match operation {
        Operation::ExternalId => None,
        Operation::Register { arn, .. } => role_of(arn).err().map(Err),
        Operation::List => Some(Ok(Answer::default())),
        Operation::Show { account }
        | Operation::Rename { account, .. }
        | Operation::ChangeRole { account, .. }
        | Operation::Enable { account }
        | Operation::Disable { account }
        | Operation::Pause { account }
        | Operation::Resume { account }
        | Operation::Delete { account }
        | Operation::Verify { account } => Some(Err(unknown(account))),
    }
}

fn role_of(arn: &str) -> Result<RoleArn, Refusal> {
    arn.parse().map_err(|error: cloudigrade_schemas::arn::ArnError| {
        Refusal::new("arn_invalid", error.to_string(), "give the ARN of the role that you made for cloudigrade, as IAM shows it")
    })
}

fn unknown(account: &str) -> Refusal {
    Refusal::new("account_unknown", format!("there is no account {account:?}"), "`cloudigrade accounts list` shows those there are")
}

fn of(account: Account) -> Answer {
    Answer { accounts: vec![account], ..Answer::default() }
}

fn random() -> Result<String, Refusal> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Refusal::failed(&format!("the system gives no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
