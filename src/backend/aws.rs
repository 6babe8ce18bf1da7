//! What customers must know of us to let us in: our account, and what their role must allow.

use std::time::Instant;

use cloudigrade_connectors::aws::{PolicyFor, PolicyFormat, policy_text};
use cloudigrade_connectors::doctor;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::aws;
use crate::config::Config;
use crate::limits::{OWN_ACCOUNT_RETRY, OWN_ACCOUNT_WAIT};

/// The account that roles must trust: as configured, else as AWS says. It is asked when somebody wants to know.
pub struct OwnAccount {
    /// Absent where no accounts are collected from: nobody need trust us.
    config: Option<Config>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    account: Option<String>,
    asked: Option<Instant>,
}

impl OwnAccount {
    /// By the configuration.
    pub fn new(config: &Config) -> Self {
        let account = config.accounts.as_ref().and_then(|accounts| accounts.principal_account.clone());
        let known = Mutex::new(Known { account, asked: None });
        Self { config: config.accounts.as_ref().map(|_| config.clone()), known }
    }

    /// The account, if it is known by now.
    pub async fn get(&self) -> Option<String> {
        let config = self.config.as_ref()?;
        let mut known = self.known.lock().await;
        let is_due = known.asked.is_none_or(|asked| asked.elapsed() >= OWN_ACCOUNT_RETRY);
        if known.account.is_none() && is_due {
            known.asked = Some(Instant::now());
            let asking = async { doctor::identity(&aws::sdk(config).await).await };
            match tokio::time::timeout(OWN_ACCOUNT_WAIT, asking).await {
                Ok(Ok(identity)) => known.account = Some(identity.account),
                Ok(Err(finding)) => tracing::warn!(detail = finding.detail, "AWS does not say which account is ours"),
                Err(_late) => tracing::warn!(seconds = OWN_ACCOUNT_WAIT.as_secs(), "AWS does not say in time which account is ours"),
            }
        }
        known.account.clone()
    }
}

/// The documents that a role needs, by what they are for.
pub fn policies(config: &Config) -> Value {
    let accounts = config.accounts.clone().unwrap_or_default();
    let policy = PolicyFor {
        principal_account: accounts.principal_account.unwrap_or_default(),
        partition: "aws".to_owned(),
        external_id: String::new(),
        trail_prefix: accounts.trail_prefix,
        with_disks: accounts.read_disks,
        with_trail: accounts.make_trails && accounts.trail_bucket.is_some(),
    };
    let text = policy_text(PolicyFormat::Json, &policy).unwrap_or_default();
    let both: Value = serde_json::from_str(&text).unwrap_or_default();
    json!({ "traditional_inspection": both["PermissionsPolicy"] })
}
