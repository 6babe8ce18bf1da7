//! Images that are not inspected like others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What AWS says of an image that cannot be inspected, now or ever. Each has a status, a reason, and what its users can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpecialImage {
    /// It is private, of somebody else, and its owner gives no access to its storage: `You do not have permission to access the storage of this
    /// ami`.
    StorageNotShared,
    /// It is public and its storage is not: an image of the community, or one that is sold.
    StorageNotPublic,
    /// `Images from AWS Marketplace cannot be copied to another AWS account`, or `OptInRequired` with the Marketplace in its message.
    Marketplace,
    /// `Images with EC2 BillingProduct codes cannot be copied to another AWS account`: AWS bills what is in it.
    BillingProduct,
    /// Its snapshot is encrypted with a key that cannot be used: AWS's own key of another account, or one whose policy does not let us.
    Encrypted,
    /// Its root device has no snapshot: an instance store.
    NoSnapshot,
    /// AWS says that the image failed, is invalid or in error.
    ImageFailed,
    /// AWS does not know the image, or the snapshot of its root disk, any more.
    ImageGone,
    /// It is in another partition of AWS (China, GovCloud) than our own account: nothing can be copied from there.
    OtherPartition,
    /// AWS does not let its snapshot be read directly, and there is no scanner to read it instead.
    NotDirectly,
}

impl SpecialImage {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::StorageNotShared,
        Self::StorageNotPublic,
        Self::Marketplace,
        Self::BillingProduct,
        Self::Encrypted,
        Self::NoSnapshot,
        Self::ImageFailed,
        Self::ImageGone,
        Self::OtherPartition,
        Self::NotDirectly,
    ];

    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::StorageNotShared => "storage_not_shared",
            Self::StorageNotPublic => "storage_not_public",
            Self::Marketplace => "marketplace",
            Self::BillingProduct => "billing_product",
            Self::Encrypted => "encrypted",
            Self::NoSnapshot => "no_snapshot",
            Self::ImageFailed => "image_failed",
            Self::ImageGone => "image_gone",
            Self::OtherPartition => "other_partition",
            Self::NotDirectly => "not_directly",
        }
    }

    /// Whether it is sold, or billed by AWS for its vendor, so that no subscription is needed for what is in it. Nobody has to look into it then.
    pub const fn is_sold(self) -> bool {
        matches!(self, Self::StorageNotPublic | Self::Marketplace | Self::BillingProduct)
    }
}
