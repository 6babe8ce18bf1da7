//! What is configured of inspections.

use cloudigrade_schemas::inspection::InspectionWay;

use crate::prices::Prices;

/// How inspections are carried out. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How disks are read.
    pub way: InspectionWay,
    /// Whether a scanner reads what cannot be read directly.
    pub scanner_instead: bool,
    /// Whether somebody must agree to what an inspection costs, unless they asked for it.
    pub consent: bool,
    /// Volumes that one scanner reads, at most.
    pub batch_size: usize,
    /// How long a volume waits for others.
    pub batch_wait: i64,
    /// Inspections that may have resources in the cloud at the same time.
    pub at_once: usize,
    /// Scanners that may run at the same time.
    pub scanners_at_once: usize,
    /// How long a step may take that AWS does at once, with all that is in its way.
    pub step_limit: i64,
    /// How long AWS may take to copy an image or a snapshot, or to make one available.
    pub copy_limit: i64,
    /// How long a scanner may take to start, to get its volumes, and to send its findings, each.
    pub scan_limit: i64,
    /// How long after an attempt that failed the next one begins.
    pub retry_after: i64,
    /// The region that scanners run in. Disks of other regions are copied there, which costs.
    pub region: String,
    /// What things cost.
    pub prices: Prices,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            way: InspectionWay::Scanner,
            scanner_instead: false,
            consent: false,
            batch_size: 20,
            batch_wait: 900,
            at_once: 100,
            scanners_at_once: 4,
            step_limit: 3600,
            copy_limit: 12 * 3600,
            scan_limit: 7200,
            retry_after: 3600,
            region: "us-east-1".to_owned(),
            prices: Prices::default(),
        }
    }
}
