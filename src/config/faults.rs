//! What is wrong with a configuration that no type can say.

use std::time::Duration;

use cloudigrade_schemas::arn::{RoleArn, is_account_id};

use super::sections::{Config, SourceKind};

/// Settings of lengths of time are at most so long: a day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long tables keep what was replaced, at most: ten years.
const HISTORY_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Characters of the prefix of trails' names. AWS takes names of 128; what is unique of each follows the prefix.
const TRAIL_PREFIX_CHARS_MAX: usize = 64;

fn is_trail_prefix(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= TRAIL_PREFIX_CHARS_MAX && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && text.bytes().all(plain)
}

/// How long a token works, at least.
const TOKEN_LIFETIME_MIN: Duration = Duration::from_secs(60);
/// How long a token works, at most.
const TOKEN_LIFETIME_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

impl Config {
    /// What no type can say: limits, and settings that do not go together. All that is wrong, not only the first.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut hold = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        if let Some(queue) = crate::aws::queue(self)
            && let Err(error) = queue.check()
        {
            hold(false, error.to_string());
        }
        if let Some(list) = crate::aws::listing(self)
            && let Err(error) = list.check()
        {
            hold(false, error.to_string());
        }
        let has_section = match self.source.kind {
            Some(SourceKind::Sqs) => self.source.sqs.is_some(),
            Some(SourceKind::List) => self.source.list.is_some(),
            None => true,
        };
        hold(has_section, "source.kind names a source without a section: add [source.sqs] or [source.list], or name the other".to_owned());
        if let Some(kafka) = &self.kafka {
            kafka.faults(&mut hold);
        }
        if let Some(accounts) = &self.accounts {
            let seconds = accounts.reconcile_every.as_secs();
            hold(
                (1..=1800).contains(&seconds),
                format!("accounts.reconcile_every is {seconds} s: terminated instances disappear from EC2 within an hour, so 30m at most"),
            );
            hold(
                accounts.history_days <= 90,
                format!("accounts.history_days is {}: CloudTrail keeps 90 days of event history", accounts.history_days),
            );
            if let Some(account) = &accounts.principal_account {
                hold(is_account_id(account), format!("accounts.principal_account is {account:?}: an AWS account id has twelve digits"));
            }
            hold(
                is_trail_prefix(&accounts.trail_prefix),
                format!(
                    "accounts.trail_prefix is {:?}: names of trails begin with a letter or digit, and have at most {TRAIL_PREFIX_CHARS_MAX} of those and ._- here",
                    accounts.trail_prefix
                ),
            );
        }
        let can_read = self.accounts.as_ref().is_some_and(|accounts| accounts.read_disks);
        self.inspection.faults(can_read).into_iter().for_each(|fault| hold(false, fault));
        if let Some(role) = &self.aws.assume_role
            && let Err(error) = role.role_arn.parse::<RoleArn>()
        {
            hold(false, format!("aws.assume_role.role_arn: {error}"));
        }
        let between = |name: &str, value: Duration, least: Duration, most: Duration| {
            let fault = format!("{name} is {value:?}: it is between {} s and {} s", least.as_secs(), most.as_secs());
            ((least..=most).contains(&value), fault)
        };
        for (holds, fault) in [
            between("serve.tables_every", self.serve.tables_every, Duration::from_secs(1), LONGEST),
            between("tables.history", self.tables.history, Duration::from_secs(60), HISTORY_MAX),
            between("serve.answer_wait", self.serve.answer_wait, Duration::from_secs(1), LONGEST),
            between("serve.shutdown_limit", self.serve.shutdown_limit, Duration::from_secs(1), LONGEST),
            between("source.silence_after", self.source.silence_after, Duration::from_secs(1), LONGEST),
            between("source.missing_after", self.source.missing_after, Duration::ZERO, LONGEST),
        ] {
            hold(holds, fault);
        }
        let serve = &self.serve;
        let lifetime = serve.token_lifetime;
        hold(
            (TOKEN_LIFETIME_MIN..=TOKEN_LIFETIME_MAX).contains(&lifetime),
            format!("serve.token_lifetime is {} s: a token works for a minute at least and for ten years at most", lifetime.as_secs()),
        );
        hold(
            !serve.identity_header || !serve.proxies.is_empty(),
            "serve.identity_header is on, but serve.proxies names no proxy: nobody would be believed".to_owned(),
        );
        hold(
            serve.postgres.tls_certificate.is_some() == serve.postgres.tls_key.is_some(),
            "serve.postgres.tls_certificate and serve.postgres.tls_key go together: give both or none".to_owned(),
        );
        for origin in &serve.cors {
            hold(
                is_origin(origin),
                format!("serve.cors has {origin:?}: an origin is written https://host or https://host:port, without a path and without *"),
            );
        }
        faults
    }
}

/// Whether a browser would send this in `Origin`.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)))
}
