//! Starts the worker that has machine images inspected, where the configuration wants them to be.

use std::sync::Arc;

use aws_config::SdkConfig;
use cloudigrade_connectors::aws::Checker;
use cloudigrade_connectors::aws::target::partition_of_region;
use cloudigrade_inspect::aws::{AwsCloud, CloudSettings, Network, Program, ScannerSettings};
use cloudigrade_inspect::prices::Prices;
use cloudigrade_inspect::{Clock, Settings, Worker};
use cloudigrade_pipeline::embedded::EmbeddedLog;
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::operators::accounts;
use cloudigrade_schemas::Account;
use cloudigrade_schemas::inspection::InspectionWay;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::config::{Inspection, InspectionMode};
use crate::data::now;
use crate::exit::{Code, error};

/// Starts the worker, unless disks are not to be read.
///
/// # Errors
/// Those of opening its task, and where our own account is not known.
pub fn start(
    parts: &mut Parts,
    log: &EmbeddedLog,
    checker: &Checker,
    config: &Inspection,
    accounts: watch::Receiver<Arc<Vec<Account>>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if config.mode == InspectionMode::Off {
        return Ok(());
    }
    let clients = checker.clients().clone();
    let our_account = checker.settings().our_account.clone().ok_or_else(|| {
        error(Code::Usage, "which AWS account is ours is not known, with which snapshots are shared: set accounts.principal_account")
    })?;
    let (of_tenants, partitions) = (log.clone(), log.partitions());
    let external_ids = Arc::new(move |tenant: &str| {
        let known = accounts::external_id(&of_tenants, partitions, tenant);
        known.inspect_err(|error| tracing::error!(%error, tenant, "the external id cannot be read")).ok().flatten()
    });
    let cloud_settings = cloud_settings(config, clients.own(), our_account);
    let region = cloud_settings.region.clone();
    let cloud = Arc::new(AwsCloud::new(clients, external_ids, cloud_settings));
    let clock: Clock = Arc::new(now);
    let worker = Worker::<AwsCloud, EmbeddedLog>::open(log, cloud, settings(config, region), accounts, clock)?;
    let stop = stop.clone();
    parts.spawn("inspections", async move { Ok(worker.run(stop).await?) });
    Ok(())
}

/// How inspections are carried out, by the configuration.
pub fn settings(config: &Inspection, region: String) -> Settings {
    let seconds = |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let is_direct = config.mode == InspectionMode::EbsDirect;
    Settings {
        way: if is_direct { InspectionWay::EbsDirect } else { InspectionWay::Scanner },
        scanner_instead: is_direct && config.scanner.is_some(),
        consent: config.consent,
        batch_size: config.batch_size.get(),
        batch_wait: seconds(config.batch_wait),
        at_once: config.at_once.get(),
        scanners_at_once: config.scanners_at_once.get(),
        step_limit: seconds(config.step_limit),
        copy_limit: seconds(config.copy_limit),
        scan_limit: seconds(config.scan_limit),
        retry_after: seconds(config.retry_after),
        region,
        // That they are prices was checked with the configuration.
        prices: Prices::with(&config.prices).unwrap_or_default(),
    }
}

/// Where scanners run. Without any, what only they need is empty and is not asked for.
pub fn cloud_settings(config: &Inspection, sdk: &SdkConfig, our_account: String) -> CloudSettings {
    let scanner = config.scanner.clone();
    let own_region = || sdk.region().map_or_else(|| "us-east-1".to_owned(), ToString::to_string);
    let region = scanner.as_ref().and_then(|scanner| scanner.region.clone()).unwrap_or_else(own_region);
    let program = |scanner: &crate::config::Scanner| match (&scanner.program_url, &scanner.program_sha256) {
        (Some(url), Some(sha256)) => Program::Fetched { url: url.clone(), sha256: sha256.to_ascii_lowercase() },
        _ => Program::At(scanner.program.clone()),
    };
    CloudSettings {
        installation: config.installation.clone(),
        our_account,
        partition: partition_of_region(&region).to_owned(),
        region,
        availability_zone: scanner.as_ref().map(|scanner| scanner.availability_zone.clone()).unwrap_or_default(),
        queue_url: scanner.as_ref().map(|scanner| scanner.queue_url.clone()).unwrap_or_default(),
        queue_region: scanner.as_ref().and_then(|scanner| scanner.queue_region.clone()),
        queue_endpoint: scanner.as_ref().and_then(|scanner| scanner.queue_endpoint.clone()),
        scanner: ScannerSettings {
            launch_template: scanner.as_ref().and_then(|scanner| scanner.launch_template.clone()),
            image_id: scanner.as_ref().and_then(|scanner| scanner.image_id.clone()),
            instance_type: scanner.as_ref().and_then(|scanner| scanner.instance_type.clone()),
            network: Network {
                subnet_id: scanner.as_ref().and_then(|scanner| scanner.subnet_id.clone()),
                security_group_ids: scanner.as_ref().map(|scanner| scanner.security_group_ids.clone()).unwrap_or_default(),
            },
            instance_profile: scanner.as_ref().and_then(|scanner| scanner.instance_profile.clone()),
            program: scanner.as_ref().map(program).unwrap_or_default(),
            lifetime_max: Some(config.scan_limit),
        },
    }
}
