//! `inspection.commands` and `inspections`: attempts to find out what is inside machine images, and how far each is.
//!
//! The `images` operator decides that an image is to be looked into and writes a [`InspectionCommand`]. The worker carries it out, in steps, and
//! writes an [`Inspection`] after each. What comes of it are facts about the image ([`crate::image_fact::Fact::Findings`] and
//! [`crate::image_fact::Fact::Inspection`]): the operator knows neither a clock nor the worker.

mod command;
mod special;
mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

pub use command::{CommandId, InspectionCommand, InspectionOrder};
pub use special::SpecialImage;
pub use state::{InspectionEnd, InspectionStage, InspectionState, InspectionWay};

/// One attempt to inspect one image, as it stands. A message of `inspections`, in the image's partition, keyed by the command's id; the latest
/// holds.
///
/// It holds all that is needed to go on with the attempt, or to remove what it made, after the worker died at any moment: it is written before
/// the step that its state names is taken, and names every resource that an earlier step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inspection {
    /// The attempt. Whatever it makes in the cloud is tagged with this.
    pub command_id: CommandId,
    /// The image.
    pub image_id: String,
    /// The region that the image is in.
    pub region: String,
    /// Which attempt it is, counted from 1 for each image.
    pub attempt: u32,
    /// How far it is.
    pub state: InspectionState,
    /// How its disk is read.
    pub way: InspectionWay,
    /// Who asked for it; `None` where the rules did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_by: Option<String>,
    /// Who agreed to what it costs, where somebody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_by: Option<String>,
    /// Who gave it up; `None` where the rules did, or nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted_by: Option<String>,
    /// The account whose role is used to get at the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<Reader>,
    /// The accounts that use it, or own it: those that can be asked.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// The tenants whose accounts those are, as of when one was last looked for. Who sees this inspection is who uses the image.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// The image's root disk, once it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<SourceDisk>,
    /// What was made for it in the cloud, and is not known to be removed.
    #[serde(default)]
    pub made: Made,
    /// The scanner that its volume is read by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanner: Option<ScannerPlace>,
    /// What it is expected to cost, in millionths of a dollar (`us-east-1`'s prices).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost_micro_usd: Option<u64>,
    /// How often the step was tried and not done, since it last went on.
    #[serde(default)]
    pub tries: u32,
    /// How often in a row something was missing that should have been there.
    #[serde(default)]
    pub missing: u32,
    /// What is in the way of the step now, with what to do. No account is named in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When the step is to be tried, or looked at, next.
    pub due_at: UtcSecond,
    /// When the attempt is given up unless its state has changed by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<UtcSecond>,
    /// What came of it; it may still have to clean up after itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<InspectionEnd>,
    /// When it was asked for.
    pub created_at: UtcSecond,
    /// Since when it is in its state.
    pub state_since: UtcSecond,
    /// When this was written.
    pub changed_at: UtcSecond,
}

/// The account whose role is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Reader {
    /// The AWS account.
    pub account_id: String,
    /// Whose it is: its external id is needed to assume the role.
    pub tenant: String,
    /// The role.
    pub role_arn: String,
}

/// The snapshot of an image's root disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceDisk {
    /// The snapshot.
    pub snapshot_id: String,
    /// The account that owns the snapshot; `None` where it is not shown to the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// Its size in GiB, as EC2 counts.
    pub size_gib: u32,
    /// Whether it is encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// The ARN of the key that it is encrypted with, where that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// The image that this one is a copy of, as EC2 says: then their disks are identical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<CopiedFrom>,
}

/// The image that another one is a copy of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopiedFrom {
    /// Its id.
    pub image_id: String,
    /// Its region.
    pub region: String,
}

/// What an attempt made in the cloud.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Made {
    /// The copy of an image of somebody else, in the reader's account and the image's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_copy_id: Option<String>,
    /// The snapshot of that copy, in the reader's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_copy_snapshot_id: Option<String>,
    /// The snapshot that may be shared with our account: the image's own, or its copy's. Set before it is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_snapshot_id: Option<String>,
    /// The copy of the snapshot, in our account and region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_copy_id: Option<String>,
    /// The volume, in our account and zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<String>,
}

/// Where a volume is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScannerPlace {
    /// The batch that it is read in. The scanner is tagged with this.
    pub batch_id: String,
    /// The name under which it is attached, `/dev/sdf`.
    pub device: String,
    /// The scanner, once it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
}

impl Inspection {
    /// The key in the topic, in the partition of the image.
    pub fn to_key(&self) -> &str {
        self.command_id.as_str()
    }

    /// The snapshot to be shared and copied, in the image's region: that of the image's copy, where there is one, else the image's own.
    pub fn snapshot_id(&self) -> Option<&str> {
        self.made.image_copy_snapshot_id.as_deref().or_else(|| self.disk.as_ref().map(|disk| disk.snapshot_id.as_str()))
    }
}
