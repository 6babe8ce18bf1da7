//! From the configuration to clients of AWS.

use aws_config::SdkConfig;
use cloudigrade_connectors::aws::target::partition_of_region;
use cloudigrade_connectors::aws::{self, AwsSettings, Checker, Clients, CollectSettings, OwnRole, PolicyFor, PolicyFormat};
use cloudigrade_connectors::doctor;
use cloudigrade_connectors::source::listing::ListOptions;
use cloudigrade_connectors::source::sqs::SqsOptions;
use cloudigrade_inspect::aws::{CloudSettings, ScannerSettings, policy};

use crate::config::{Accounts, Config, SourceKind};
use crate::exit::{Code, error};
use crate::live::inspect;

/// The client's configuration for all that this program does as itself.
pub async fn sdk(config: &Config) -> SdkConfig {
    let settings = AwsSettings {
        endpoint_url: config.aws.endpoint_url.clone(),
        region: config.aws.region.clone(),
        profile: config.aws.profile.clone(),
        assume_role: config
            .aws
            .assume_role
            .as_ref()
            .map(|role| OwnRole { role_arn: role.role_arn.clone(), external_id: role.external_id.clone() }),
    };
    aws::load_config(&settings).await
}

/// Another endpoint than AWS's, if there is one.
pub fn endpoint(config: &Config) -> Option<String> {
    config.aws.endpoint_url.clone().or_else(|| std::env::var("AWS_ENDPOINT_URL").ok().filter(|url| !url.is_empty()))
}

/// What asks AWS about accounts.
pub async fn checker(config: &Config, accounts: &Accounts) -> anyhow::Result<Checker> {
    let sdk = sdk(config).await;
    // Only for sharing snapshots of disks is it needed to know our own account, and only where nobody says it is AWS asked.
    let our_account = match (&accounts.principal_account, accounts.read_disks) {
        (Some(account), _) => Some(account.clone()),
        (None, true) => Some(identity(&sdk).await?.account),
        (None, false) => None,
    };
    let settings = CollectSettings {
        trail_bucket: accounts.trail_bucket.clone(),
        trail_prefix: accounts.trail_prefix.clone(),
        make_trails: accounts.make_trails,
        our_account,
        with_disks: accounts.read_disks,
        history_days: accounts.history_days,
        skip_regions: accounts.skip_regions.clone(),
    };
    Ok(Checker::new(Clients::new(sdk), settings))
}

/// Who we are to AWS.
async fn identity(sdk: &SdkConfig) -> anyhow::Result<doctor::Identity> {
    doctor::identity(sdk)
        .await
        .map_err(|finding| error(Code::Storage, format!("AWS does not say who we are: {}; {}", finding.detail, finding.help)))
}

/// What an account must allow, as text.
pub async fn policy_text(
    config: &Config,
    form: PolicyFormat,
    principal: Option<String>,
    external_id: String,
    with_disks: bool,
) -> anyhow::Result<String> {
    let accounts = config.accounts.clone().unwrap_or_default();
    let (principal_account, partition) = match principal.or(accounts.principal_account) {
        Some(account) => (account, partition_of_region(sdk(config).await.region().map_or("", |region| region.as_ref())).to_owned()),
        None => {
            let doctor::Identity { account, arn } = identity(&sdk(config).await).await?;
            (account, arn.split(':').nth(1).unwrap_or("aws").to_owned())
        }
    };
    let policy = PolicyFor {
        principal_account,
        partition,
        external_id,
        trail_prefix: accounts.trail_prefix,
        with_disks: with_disks || accounts.read_disks,
        with_trail: accounts.make_trails,
    };
    Ok(aws::policy_text(form, &policy)?)
}

/// What this program needs in its own account for inspections by scanners, as text.
pub async fn service_policy_text(config: &Config, principal: Option<String>) -> anyhow::Result<String> {
    let (settings, scanner) = scanner_settings(config, principal).await?;
    policy_document(&policy::service_policy(&settings, &scanner))
}

/// What scanners need, and who may be one, as text.
pub async fn scanner_policy_text(config: &Config, principal: Option<String>) -> anyhow::Result<String> {
    let (settings, scanner) = scanner_settings(config, principal).await?;
    policy_document(&serde_json::json!({
        "PermissionsPolicy": policy::scanner_policy(&settings.partition, &scanner.queue),
        "TrustPolicy": policy::scanner_trust(&settings.partition),
    }))
}

async fn scanner_settings(config: &Config, principal: Option<String>) -> anyhow::Result<(CloudSettings, ScannerSettings)> {
    if let Some(scanner) = config.inspection.scanner.clone() {
        let sdk = sdk(config).await;
        let our_account = match principal.or_else(|| config.accounts.as_ref().and_then(|accounts| accounts.principal_account.clone())) {
            Some(account) => account,
            None => identity(&sdk).await?.account,
        };
        let settings = inspect::cloud_settings(&config.inspection, &sdk, our_account);
        let scanner = inspect::scanner_settings(scanner, &settings.region, config.inspection.scan_limit);
        return Ok((settings, scanner));
    }
    let none = "no scanner is configured, so nothing is needed beyond sts:AssumeRole: write a section [inspection.scanner] first";
    Err(error(Code::Usage, none))
}

fn policy_document(document: &serde_json::Value) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// What is listed, if that is how new log files are found.
pub fn listing(config: &Config) -> Option<ListOptions> {
    let list = config.source.list.as_ref().filter(|_| config.source_kind() == Some(SourceKind::List))?;
    let defaults = ListOptions::new(list.places.clone());
    Some(ListOptions {
        interval: list.interval,
        recent_days: list.recent_days,
        full_every: list.full_every,
        since: list.since,
        workers: config.source.workers.map_or(defaults.workers, usize::from),
        include: config.source.include.clone(),
        expected_bucket_owner: list.expected_bucket_owner.clone(),
        request_payer: list.request_payer,
        endpoint: endpoint(config),
        ..defaults
    })
}

/// How objects are read, if any are collected: from the queue's buckets, or those that are listed.
pub fn objects(config: &Config) -> Option<SqsOptions> {
    queue(config).or_else(|| listing(config).map(|list| list.objects()))
}

/// How the queue is read, if that is how new log files are found.
pub fn queue(config: &Config) -> Option<SqsOptions> {
    let sqs = config.source.sqs.as_ref().filter(|_| config.source_kind() == Some(SourceKind::Sqs))?;
    let defaults = SqsOptions::new(sqs.queue_url.clone(), sqs.buckets.clone());
    Some(SqsOptions {
        region: sqs.region.clone(),
        visibility_timeout: sqs.visibility_timeout,
        wait_time: sqs.wait_time,
        max_messages: sqs.max_messages,
        workers: config.source.workers.map_or(defaults.workers, usize::from),
        max_receive_count: sqs.max_receive_count,
        include: config.source.include.clone(),
        expected_bucket_owner: sqs.expected_bucket_owner.clone(),
        request_payer: sqs.request_payer,
        endpoint: endpoint(config),
        ..defaults
    })
}
