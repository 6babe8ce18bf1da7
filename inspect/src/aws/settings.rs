//! What is configured of inspections in AWS.

use std::time::Duration;

/// Where scanners run, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudSettings {
    /// The installation's name: resources of others in the same account are left alone.
    pub installation: String,
    /// Our own account, with which snapshots are shared: twelve digits.
    pub our_account: String,
    /// Its partition: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The region where scanners run and snapshots are copied to. Without scanners, the one that costs are reckoned from.
    pub region: String,
    /// What reads disks; `None` where they are read directly only.
    pub scanner: Option<ScannerSettings>,
}

/// The instance that reads disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannerSettings {
    /// The zone of the region where volumes are made and scanners run.
    pub availability_zone: String,
    /// The queue that scanners send their findings to.
    pub queue: Queue,
    /// A launch template, by its id or name. What is given beside it wins.
    pub launch_template: Option<String>,
    /// The image that it runs: Linux with cloud-init. Needed unless the launch template names one.
    pub image_id: Option<String>,
    /// Its type.
    pub instance_type: Option<String>,
    /// Where it is in the network.
    pub network: Network,
    /// The name of its instance profile, whose role may send to the queue and nothing else.
    pub instance_profile: Option<String>,
    /// The program that reads disks.
    pub program: Program,
    /// How long it may take for one batch before it ends itself; `None`: as long as its images may take.
    pub lifetime_max: Option<Duration>,
}

/// The queue of findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its address.
    pub url: String,
    /// Its region.
    pub region: String,
    /// The endpoint of SQS as scanners reach it, if it is not AWS's.
    pub endpoint: Option<String>,
}

/// Where a scanner is in the network. It must reach the queue and, where it gets the program from there, the program's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// A subnet of the zone.
    pub subnet_id: Option<String>,
    /// Security groups: nothing has to come in.
    pub security_group_ids: Vec<String>,
}

/// Where a scanner has houndigrade from. It must have been built to send to queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// It is in the scanner's image.
    At(String),
    /// It is fetched over HTTPS, and run only if this is its SHA-256.
    Fetched {
        /// Its address.
        url: String,
        /// 64 hexadecimal digits.
        sha256: String,
    },
}

impl Default for Program {
    fn default() -> Self {
        Self::At("/usr/local/bin/houndigrade".to_owned())
    }
}

#[cfg(test)]
impl CloudSettings {
    /// What tests start from.
    pub(crate) fn sample() -> Self {
        Self {
            installation: "test".into(),
            our_account: "000011112222".into(),
            partition: "aws".into(),
            region: "us-east-1".into(),
            scanner: Some(ScannerSettings::sample()),
        }
    }
}

#[cfg(test)]
impl ScannerSettings {
    /// What tests start from.
    pub(crate) fn sample() -> Self {
        Self {
            availability_zone: "us-east-1b".into(),
            queue: Queue {
                url: "https://sqs.us-east-1.amazonaws.com/000011112222/findings".into(),
                region: "us-east-1".into(),
                endpoint: None,
            },
            launch_template: None,
            image_id: Some("ami-1".into()),
            instance_type: None,
            network: Network::default(),
            instance_profile: None,
            program: Program::default(),
            lifetime_max: None,
        }
    }
}
