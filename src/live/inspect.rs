//! Starts the worker that has machine images inspected, where the configuration wants them to be.

use std::sync::Arc;
use std::time::Duration;

use crate::log::DataLog;
use aws_config::SdkConfig;
use cloudigrade_connectors::aws::Checker;
use cloudigrade_connectors::aws::target::partition_of_region;
use cloudigrade_inspect::aws::{AwsCloud, CloudSettings, Network, Program, Queue, ScannerSettings};
use cloudigrade_inspect::prices::Prices;
use cloudigrade_inspect::{Clock, Settings, Worker};
use cloudigrade_schemas::Account;
use cloudigrade_schemas::inspection::InspectionWay;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::external_ids;
use super::parts::Parts;
use crate::config::{Inspection, InspectionMode, Scanner};
use crate::data::now;
use crate::exit::{Code, error};

/// Starts the worker, unless disks are not to be read.
///
/// # Errors
/// Those of opening its task, and where our own account is not known.
pub fn start(
    parts: &mut Parts,
    log: &DataLog,
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
    let cloud_settings = cloud_settings(config, clients.own(), our_account);
    let region = cloud_settings.region.clone();
    let cloud = Arc::new(AwsCloud::new(clients, external_ids(log), cloud_settings));
    let clock: Clock = Arc::new(now);
    let worker = Worker::<AwsCloud, DataLog>::open(log, cloud, settings(config, region), accounts, clock)?;
    let stop = stop.clone();
    parts.spawn("inspections", async move { Ok(worker.run(stop).await?) });
    Ok(())
}

/// How inspections are carried out, by the configuration.
pub fn settings(config: &Inspection, region: String) -> Settings {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
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

/// Where scanners run, if they do, and who we are.
pub fn cloud_settings(config: &Inspection, sdk: &SdkConfig, our_account: String) -> CloudSettings {
    let configured = config.scanner.as_ref().and_then(|scanner| scanner.region.clone());
    let region = configured.or_else(|| sdk.region().map(ToString::to_string)).unwrap_or_else(|| "us-east-1".to_owned());
    CloudSettings {
        installation: config.installation.clone(),
        our_account,
        partition: partition_of_region(&region).to_owned(),
        scanner: config.scanner.clone().map(|scanner| scanner_settings(scanner, &region, config.scan_limit)),
        region,
    }
}

/// The scanner, in the region where snapshots are copied to.
pub fn scanner_settings(scanner: Scanner, region: &str, scan_limit: Duration) -> ScannerSettings {
    let program = match (scanner.program_url, scanner.program_sha256) {
        (Some(url), Some(sha256)) => Program::Fetched { url, sha256: sha256.to_ascii_lowercase() },
        _ => Program::At(scanner.program),
    };
    let queue_region = scanner.queue_region.unwrap_or_else(|| region.to_owned());
    ScannerSettings {
        availability_zone: scanner.availability_zone,
        queue: Queue { url: scanner.queue_url, region: queue_region, endpoint: scanner.queue_endpoint },
        launch_template: scanner.launch_template,
        image_id: scanner.image_id,
        instance_type: scanner.instance_type,
        network: Network { subnet_id: scanner.subnet_id, security_group_ids: scanner.security_group_ids },
        instance_profile: scanner.instance_profile,
        program,
        lifetime_max: Some(scan_limit),
    }
}
