//! The topics: their names, and what each keeps.

/// A topic of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// [`crate::TrailRecord`], keyed by `eventID`.
    CloudTrailRecords,
    /// [`crate::PowerEvent`], keyed by the instance.
    PowerEvents,
    /// [`crate::InstanceMonth`], in the instance's partition, keyed by instance and month.
    InstanceIntervals,
    /// [`crate::Coverage`], keyed by account and region.
    Coverage,
    /// [`crate::DeadLetter`], keyed by its id.
    DeadLetters,
    /// [`crate::AccountCommand`], keyed by the tenant.
    AccountCommands,
    /// [`crate::Account`], in the tenant's partition, keyed by tenant and account.
    Accounts,
    /// [`crate::ImageFact`], in the image's partition, keyed by region, image and fact.
    ImageFacts,
    /// [`crate::Gap`], in the partition of account and region.
    Gaps,
    /// [`crate::ImageTag`], keyed by the image.
    ImageTags,
    /// [`crate::Image`], keyed by the image.
    Images,
    /// [`crate::User`], keyed by the name.
    Users,
    /// [`crate::Token`], keyed by its hash.
    Tokens,
    /// [`crate::ImageSighting`], in the image's partition, keyed by region, image, account and the partition that told it.
    ImageSightings,
    /// [`crate::InspectionCommand`], keyed by the image.
    InspectionCommands,
    /// [`crate::Inspection`], in the image's partition, keyed by the attempt.
    Inspections,
    /// [`crate::Findings`] of one image, keyed by the image.
    InspectionFindings,
}

/// How long a topic keeps a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// All records.
    All,
    /// The latest record of each key.
    Latest,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 17] = [
        Self::CloudTrailRecords,
        Self::PowerEvents,
        Self::InstanceIntervals,
        Self::Coverage,
        Self::DeadLetters,
        Self::AccountCommands,
        Self::Accounts,
        Self::ImageFacts,
        Self::Gaps,
        Self::ImageTags,
        Self::Images,
        Self::Users,
        Self::Tokens,
        Self::ImageSightings,
        Self::InspectionCommands,
        Self::Inspections,
        Self::InspectionFindings,
    ];

    /// Its name, as in Kafka.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudTrailRecords => "cloudtrail.records",
            Self::PowerEvents => "power.events",
            Self::InstanceIntervals => "instance.intervals",
            Self::Coverage => "coverage",
            Self::DeadLetters => "dead.letters",
            Self::AccountCommands => "account.commands",
            Self::Accounts => "accounts",
            Self::ImageFacts => "image.facts",
            Self::Gaps => "gaps",
            Self::ImageTags => "image.tags",
            Self::Images => "images",
            Self::Users => "users",
            Self::Tokens => "tokens",
            Self::ImageSightings => "image.sightings",
            Self::InspectionCommands => "inspection.commands",
            Self::Inspections => "inspections",
            Self::InspectionFindings => "inspection.findings",
        }
    }

    /// Whether others may read it. Its messages are a contract: `asyncapi.json`.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Images | Self::Inspections | Self::InspectionFindings)
    }

    /// What it keeps.
    pub const fn keeps(self) -> Keeps {
        match self {
            Self::CloudTrailRecords
            | Self::PowerEvents
            | Self::AccountCommands
            | Self::ImageTags
            | Self::InspectionCommands
            | Self::InspectionFindings => Keeps::All,
            Self::InstanceIntervals
            | Self::Coverage
            | Self::DeadLetters
            | Self::Accounts
            | Self::ImageFacts
            | Self::Gaps
            | Self::Images
            | Self::Users
            | Self::Tokens
            | Self::ImageSightings
            | Self::Inspections => Keeps::Latest,
        }
    }
}

/// How many partitions a log has unless it is made with another number. It never changes afterwards.
pub const DEFAULT_PARTITIONS: u32 = 32;

/// The partition of a key: the same in every log, embedded or Kafka.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (xxhash_rust::xxh3::xxh3_64(key) % u64::from(partitions)) as u32
}
