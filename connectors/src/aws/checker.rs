//! Whether an account can be collected from: its role, permissions and trail.

use std::sync::Arc;

use cloudigrade_schemas::Account;
use cloudigrade_schemas::account::{AccountProblem, Trail};

use super::clients::Clients;
use super::permissions;
use super::policy::PolicyFor;
use super::session::Session;
use super::target::Target;
use super::trail::{self, Wanted};
use crate::limits::{PROBLEMS_TOLD_MAX, SESSION_POLICY_CHARS_MAX, VERIFY_TIMEOUT};

/// What is configured of collecting from accounts.
#[derive(Clone, Debug)]
pub struct CollectSettings {
    /// The bucket that trails must write to. Without one no trail is looked for.
    pub trail_bucket: Option<String>,
    /// How the names of trails that are made begin.
    pub trail_prefix: String,
    /// Whether trails may be made where none serves.
    pub make_trails: bool,
    /// Our own account, as roles trust it. Without it disks are never read.
    pub our_account: Option<String>,
    /// Whether images' disks may be read.
    pub with_disks: bool,
    /// Days of history that are read at registration.
    pub history_days: u32,
    /// Regions that are never called: those that an organisation forbids.
    pub skip_regions: Vec<String>,
}

impl Default for CollectSettings {
    fn default() -> Self {
        Self {
            trail_bucket: None,
            trail_prefix: "cloudigrade-".to_owned(),
            make_trails: true,
            our_account: None,
            with_disks: false,
            history_days: 90,
            skip_regions: Vec::new(),
        }
    }
}

/// What is found of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCheck {
    /// It can be collected from.
    InOrder {
        /// The trail that its events come from, where one was looked for.
        trail: Option<Trail>,
    },
    /// It cannot.
    Obstructed {
        /// All that is in the way.
        problems: Vec<AccountProblem>,
        /// The trail, if that was in order or was made all the same.
        trail: Option<Trail>,
    },
}

/// Checks accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Checker {
    clients: Clients,
    settings: Arc<CollectSettings>,
}

impl Checker {
    /// A checker that calls by these clients.
    pub fn new(clients: Clients, settings: CollectSettings) -> Self {
        Self { clients, settings: Arc::new(settings) }
    }

    /// What it calls by.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// What is configured.
    pub fn settings(&self) -> &CollectSettings {
        &self.settings
    }

    /// Assumes the account's role anew, tries all permissions, and finds, mends or makes the trail.
    pub async fn check(&self, account: &Account, external_id: &str) -> AccountCheck {
        let checked = async { self.check_target(&target_of(account, external_id)?).await };
        let checked = tokio::time::timeout(VERIFY_TIMEOUT, checked).await.unwrap_or_else(|_| Err(too_slow()));
        let (mut problems, trail) = checked.unwrap_or_else(|problem| (vec![problem], None));
        problems.truncate(PROBLEMS_TOLD_MAX);
        if problems.is_empty() { AccountCheck::InOrder { trail } } else { AccountCheck::Obstructed { problems, trail } }
    }

    /// All that is in the way, and the trail. An error is what makes any further look useless.
    async fn check_target(&self, target: &Target) -> Result<(Vec<AccountProblem>, Option<Trail>), AccountProblem> {
        // Credentials of before may outlive what they were given for.
        self.clients.forget(target);
        let session = self.session(target).await?;
        session.check_identity().await?;
        session.check_external_id(self.clients.own()).await?;
        let share_with = self.settings.our_account.as_deref().filter(|_| self.settings.with_disks);
        let mut problems = permissions::check(&session, share_with).await;
        let trail = match &self.settings.trail_bucket {
            None => None,
            Some(bucket) => {
                let wanted = Wanted::new(bucket, &self.settings.trail_prefix, &target.account_id, self.settings.make_trails);
                match trail::ensure(&session, &wanted).await {
                    Ok(trail) => Some(trail),
                    Err(problem) => {
                        problems.push(problem);
                        None
                    }
                }
            }
        };
        Ok((problems, trail))
    }

    /// Deletes the trail that this program made in an account. One that is gone is as good; one that is not ours is left alone.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn remove_trail(&self, account: &Account, external_id: &str) -> Result<(), AccountProblem> {
        let Some(trail) = account.trail.as_ref().filter(|trail| trail.ours) else { return Ok(()) };
        let target = target_of(account, external_id)?;
        let removed = async {
            let session = self.session_for(&target, true).await?;
            trail::remove(&session, trail).await.map_err(|error| error.problem())
        };
        tokio::time::timeout(VERIFY_TIMEOUT, removed).await.unwrap_or_else(|_| Err(too_slow()))
    }

    /// A session that can do no more than this program needs.
    pub(super) async fn session(&self, target: &Target) -> Result<Session, AccountProblem> {
        self.session_for(target, self.settings.trail_bucket.is_some()).await
    }

    async fn session_for(&self, target: &Target, with_trail: bool) -> Result<Session, AccountProblem> {
        let policy = PolicyFor {
            principal_account: self.settings.our_account.clone().unwrap_or_default(),
            partition: target.partition.clone(),
            external_id: String::new(),
            trail_prefix: self.settings.trail_prefix.clone(),
            with_disks: self.settings.with_disks && self.settings.our_account.is_some(),
            with_trail,
        };
        let text = policy.session_policy(&target.account_id).unwrap_or_default();
        if text.is_empty() || text.len() > SESSION_POLICY_CHARS_MAX {
            return Err(AccountProblem {
                code: "session_policy".to_owned(),
                detail: format!("the session policy has {} characters, STS takes {SESSION_POLICY_CHARS_MAX}", text.len()),
                help: "configure a shorter trail prefix".to_owned(),
            });
        }
        Ok(self.clients.session(target, &text).await)
    }
}

/// Whom to call for an account.
pub(super) fn target_of(account: &Account, external_id: &str) -> Result<Target, AccountProblem> {
    let target = Target::new(&account.arn, external_id).map_err(|error| AccountProblem {
        code: "invalid_arn".to_owned(),
        detail: error.to_string(),
        help: "register the account with the ARN of its role".to_owned(),
    })?;
    if target.account_id != account.account_id {
        return Err(AccountProblem {
            code: "wrong_account".to_owned(),
            detail: format!("{} is a role of account {}, not of account {}", account.arn, target.account_id, account.account_id),
            help: "give the account a role of its own".to_owned(),
        });
    }
    Ok(target)
}

fn too_slow() -> AccountProblem {
    AccountProblem {
        code: "unreachable".to_owned(),
        detail: format!("AWS did not answer all that was asked within {} s", VERIFY_TIMEOUT.as_secs()),
        help: "nothing: it is tried again. If it lasts, check the network and AWS's health dashboard".to_owned(),
    }
}
