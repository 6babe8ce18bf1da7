//! What can be set of reading the disks of machine images.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use cloudigrade_inspect::limits::{BATCH_SIZE_MAX, INSPECTIONS_AT_ONCE_MAX, SCANNERS_AT_ONCE_MAX};
use cloudigrade_inspect::prices::Prices;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration;

/// Whether and how the disks of machine images are read. It costs money, so by default they are not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Inspection {
    /// How disks are read.
    pub mode: InspectionMode,
    /// What this installation is called in the tags of all that it makes. No other one in the same AWS account may be called so: each removes what
    /// has its name and belongs to none of its inspections.
    pub installation: String,
    /// Whether each inspection waits until somebody agrees to what it is expected to cost (`images inspect`).
    pub consent: bool,
    /// Volumes that one scanner reads, at most.
    pub batch_size: NonZeroUsize,
    /// How long a volume waits for others, so that one scanner reads them all.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub batch_wait: Duration,
    /// Inspections that may have resources in the cloud at the same time.
    pub at_once: NonZeroUsize,
    /// Scanners that may run at the same time.
    pub scanners_at_once: NonZeroUsize,
    /// How long a step may take that AWS does at once, with all that is in its way; then the attempt is given up.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub step_limit: Duration,
    /// How long AWS may take to copy something.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub copy_limit: Duration,
    /// How long a scanner may take to start, to get its volumes and to send its findings, each; and reading without one.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub scan_limit: Duration,
    /// How long after an attempt that failed the next one begins; there are five.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub retry_after: Duration,
    /// Prices in dollars, where they are not those that the program knows: `snapshot_gib_month`, `transfer_gib`, `volume_gib_month`,
    /// `scanner_hour`, `thousand_blocks`, `thousand_listings`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, f64>,
    /// Scanners. With the mode `ebs-direct` they read what cannot be read without them, if this is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanner: Option<Scanner>,
}

/// How disks are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InspectionMode {
    /// They are not.
    #[default]
    Off,
    /// By an instance that reads copies.
    Scanner,
    /// By the EBS direct APIs, without an instance.
    EbsDirect,
}

/// The instances that read disks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scanner {
    /// The region that they run in; by default that of `aws.region` or the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The zone of the region where volumes are made and scanners run, `us-east-1b`.
    pub availability_zone: String,
    /// The queue that they send their findings to.
    pub queue_url: String,
    /// The queue's region, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_region: Option<String>,
    /// The endpoint of SQS as scanners reach it, if it is not AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_endpoint: Option<String>,
    /// A launch template, by its id or name; what else is set here wins over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_template: Option<String>,
    /// The image that they run: Linux with cloud-init. Needed unless the launch template names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Their type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// A subnet of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
    /// Their security groups; nothing has to come in.
    #[serde(default)]
    pub security_group_ids: Vec<String>,
    /// Their instance profile, whose role may send to the queue and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_profile: Option<String>,
    /// Where houndigrade is in their image.
    #[serde(default = "usual_program")]
    pub program: String,
    /// Where it is fetched from instead, over HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_url: Option<String>,
    /// Its SHA-256, 64 hexadecimal digits; needed with `program_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_sha256: Option<String>,
}

fn usual_program() -> String {
    "/usr/local/bin/houndigrade".to_owned()
}

/// What defaults give, which are not zero.
fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(number.saturating_sub(1))
}

impl Default for Inspection {
    fn default() -> Self {
        let usual = cloudigrade_inspect::Settings::default();
        let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
        Self {
            mode: InspectionMode::Off,
            installation: String::new(),
            consent: usual.consent,
            batch_size: count(usual.batch_size),
            batch_wait: seconds(usual.batch_wait),
            at_once: count(usual.at_once),
            scanners_at_once: count(usual.scanners_at_once),
            step_limit: seconds(usual.step_limit),
            copy_limit: seconds(usual.copy_limit),
            scan_limit: seconds(usual.scan_limit),
            retry_after: seconds(usual.retry_after),
            prices: BTreeMap::new(),
            scanner: None,
        }
    }
}

/// How long a step, a copy or a scan may take, at least and at most; and how long is waited at most.
const LIMIT_LEAST: Duration = Duration::from_secs(60);
const LIMIT_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Characters of an installation's name, at most.
const INSTALLATION_CHARS_MAX: usize = 64;
/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

impl Inspection {
    /// What no type can say. `can_read` tells whether accounts let us read disks.
    pub(super) fn faults(&self, can_read: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let mut hold = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        for (name, value, least) in [
            ("inspection.batch_wait", self.batch_wait, Duration::ZERO),
            ("inspection.step_limit", self.step_limit, LIMIT_LEAST),
            ("inspection.copy_limit", self.copy_limit, LIMIT_LEAST),
            ("inspection.scan_limit", self.scan_limit, LIMIT_LEAST),
            ("inspection.retry_after", self.retry_after, Duration::ZERO),
        ] {
            let fault = format!("{name} is {value:?}: it is between {} s and {} s", least.as_secs(), LIMIT_MOST.as_secs());
            hold((least..=LIMIT_MOST).contains(&value), &fault);
        }
        for (name, value, most) in [
            ("inspection.batch_size", self.batch_size, BATCH_SIZE_MAX),
            ("inspection.at_once", self.at_once, INSPECTIONS_AT_ONCE_MAX),
            ("inspection.scanners_at_once", self.scanners_at_once, SCANNERS_AT_ONCE_MAX),
        ] {
            hold(value.get() <= most, &format!("{name} is {value}: it is {most} at most"));
        }
        if let Err(error) = Prices::with(&self.prices) {
            hold(false, &format!("inspection.prices: {error}"));
        }
        if self.mode == InspectionMode::Off {
            return faults;
        }
        let is_name = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            (1..=INSTALLATION_CHARS_MAX).contains(&text.len()) && text.bytes().all(plain)
        };
        hold(
            is_name(&self.installation),
            "inspection.installation is to name this installation, as no other one in the AWS account is named: letters, digits and ._-, 64 at most",
        );
        hold(
            can_read,
            "inspection.mode needs [accounts] with read_disks = true: disks are read by the roles of the accounts that are registered",
        );
        hold(
            self.mode != InspectionMode::Scanner || self.scanner.is_some(),
            "inspection.mode = \"scanner\" needs a section [inspection.scanner]; \"ebs-direct\" needs none",
        );
        if let Some(scanner) = &self.scanner {
            let is_sha256 = |text: &String| text.len() == SHA256_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_https = |text: &String| text.starts_with("https://");
            hold(
                scanner.image_id.is_some() || scanner.launch_template.is_some(),
                "inspection.scanner needs image_id, or a launch_template that names one",
            );
            hold(
                scanner.program_url.as_ref().is_none_or(is_https) && scanner.program_url.is_some() == scanner.program_sha256.is_some(),
                "inspection.scanner.program_url is an address https://… and goes together with program_sha256",
            );
            hold(scanner.program_sha256.as_ref().is_none_or(is_sha256), "inspection.scanner.program_sha256 has 64 hexadecimal digits");
        }
        faults
    }
}
