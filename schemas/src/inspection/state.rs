//! How far an inspection is, and what comes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SpecialImage;

/// How an image's disk is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InspectionWay {
    /// From a volume, made of a copy of the snapshot, by a scanner that is started for it.
    #[default]
    Scanner,
    /// From the snapshot itself, block by block, by the EBS direct APIs.
    EbsDirect,
}

impl InspectionWay {
    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scanner => "scanner",
            Self::EbsDirect => "ebs_direct",
        }
    }
}

/// How far an inspection is: the step that it takes next, or that AWS is working on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InspectionState {
    /// It waits until an account can be asked, an earlier attempt has cleaned up, or there is room for it.
    Waiting,
    /// The image and the snapshot of its root disk are looked at. Nothing was made yet.
    Looking,
    /// It waits until somebody agrees to what it costs.
    AwaitingConsent,
    /// The image, which is somebody else's, is being copied into the reader's account.
    CopyingImage,
    /// AWS is copying the image.
    AwaitingImageCopy,
    /// The snapshot is being shared with our account.
    Sharing,
    /// The copy of the snapshot into our account and region is being started.
    CopyingSnapshot,
    /// AWS is copying the snapshot.
    AwaitingSnapshot,
    /// The sharing is being taken back.
    Unsharing,
    /// The volume is being made.
    CreatingVolume,
    /// AWS is making the volume.
    AwaitingVolume,
    /// The volume waits until there are enough others for a scanner, or it has waited long enough.
    Ready,
    /// The scanner is being started, has the volume attached, or reads it.
    Scanning,
    /// The blocks of the snapshot are being read.
    ReadingDirectly,
    /// What was made is being removed.
    CleaningUp,
    /// It is over, and nothing of it is left.
    Over,
}

impl InspectionState {
    /// All states, in order.
    pub const ALL: [Self; 16] = [
        Self::Waiting,
        Self::Looking,
        Self::AwaitingConsent,
        Self::CopyingImage,
        Self::AwaitingImageCopy,
        Self::Sharing,
        Self::CopyingSnapshot,
        Self::AwaitingSnapshot,
        Self::Unsharing,
        Self::CreatingVolume,
        Self::AwaitingVolume,
        Self::Ready,
        Self::Scanning,
        Self::ReadingDirectly,
        Self::CleaningUp,
        Self::Over,
    ];

    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Looking => "looking",
            Self::AwaitingConsent => "awaiting_consent",
            Self::CopyingImage => "copying_image",
            Self::AwaitingImageCopy => "awaiting_image_copy",
            Self::Sharing => "sharing",
            Self::CopyingSnapshot => "copying_snapshot",
            Self::AwaitingSnapshot => "awaiting_snapshot",
            Self::Unsharing => "unsharing",
            Self::CreatingVolume => "creating_volume",
            Self::AwaitingVolume => "awaiting_volume",
            Self::Ready => "ready",
            Self::Scanning => "scanning",
            Self::ReadingDirectly => "reading_directly",
            Self::CleaningUp => "cleaning_up",
            Self::Over => "over",
        }
    }
}

/// What comes of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InspectionEnd {
    /// Its disk was read: the findings are in `inspection.findings` and a fact about the image.
    Found,
    /// It cannot be inspected, and trying again would not change that.
    Special {
        /// Why.
        special: SpecialImage,
        /// What AWS said.
        detail: String,
    },
    /// It failed in a way that another attempt may not.
    Failed {
        /// What happened, to what.
        detail: String,
    },
    /// It was given up: somebody wanted that, or it became known without reading the disk what is in the image.
    Aborted,
}

/// How far an attempt is, as far as what is known of the image depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum InspectionStage {
    /// It waits until somebody agrees to what it costs.
    AwaitingConsent {
        /// In millionths of a dollar.
        estimated_cost_micro_usd: u64,
    },
    /// Its disk is being made ready.
    Preparing,
    /// Its disk is being read.
    Inspecting,
    /// It is over, and what it made was removed, or is removed still in the background.
    Ended {
        /// What came of it.
        end: InspectionEnd,
    },
}
