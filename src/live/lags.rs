//! How far behind everything is, and whether the disk has room: measured at intervals, for `/metrics` and `/readyz`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::log::DataLog;
use crate::log::lag::Lags;
use cloudigrade_connectors::source::Readiness;
use cloudigrade_connectors::source::harvest::reach;
use cloudigrade_pipeline::log::{Log, LogError};
use tokio_util::sync::CancellationToken;

use super::operators::TASKS;
use super::unless_later;
use crate::data::now;

/// How often is measured.
const EVERY: Duration = Duration::from_secs(10);
/// Free bytes of the data folder's disk below which the server says that it is not ready. The log needs room to grow and for a commit's copies.
const FREE_BYTES_MIN: u64 = 512 << 20;
/// The name under which readiness knows the disk.
const PART: &str = "disk";

/// Measures until it is told to stop.
pub async fn measure(log: DataLog, folder: PathBuf, readiness: Readiness, stop: CancellationToken) -> anyhow::Result<()> {
    let mut lags = Lags::default();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let (log, folder, readiness) = (log.clone(), folder.clone(), readiness.clone());
        // Reading the log waits for the disk.
        let measuring = tokio::task::spawn_blocking(move || {
            look_at_disk(&folder, &readiness);
            let measured = measure_log(&log, &mut lags);
            (lags, measured)
        });
        let measured;
        (lags, measured) = measuring.await?;
        unless_later("lags are not measured", measured)?;
    }
}

fn measure_log(log: &DataLog, lags: &mut Lags) -> Result<(), LogError> {
    for spec in TASKS {
        metrics::gauge!("cloudigrade_log_lag_records", "task" => spec.id.0).set(lags.of(log, spec)? as f64);
    }
    let reached = reach(log, log.partitions())?;
    if let Some(oldest) = reached.iter().map(|coverage| coverage.complete_through.0).min() {
        metrics::gauge!("cloudigrade_data_age_seconds").set((now().0 - oldest).max(0) as f64);
    }
    metrics::gauge!("cloudigrade_covered_regions").set(reached.len() as f64);
    Ok(())
}

fn look_at_disk(folder: &Path, readiness: &Readiness) {
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            metrics::gauge!("cloudigrade_disk_free_bytes").set(free as f64);
            if free < FREE_BYTES_MIN {
                let message = format!(
                    "{} MiB are free where {} is; free some: below {} MiB commits may fail; nothing is lost, what cannot be committed stays in the queue",
                    free >> 20,
                    folder.display(),
                    FREE_BYTES_MIN >> 20
                );
                readiness.report(PART, "nearly_full", PART, message, now());
            } else {
                readiness.works(PART);
            }
        }
        Err(error) => readiness.report(
            PART,
            "unreadable",
            PART,
            format!("{}: {error}; check that the data folder is still there", folder.display()),
            now(),
        ),
    }
}
