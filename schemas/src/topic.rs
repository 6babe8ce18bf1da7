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
    pub const ALL: [Self; 5] = [Self::CloudTrailRecords, Self::PowerEvents, Self::InstanceIntervals, Self::Coverage, Self::DeadLetters];

    /// Its name, as in Kafka.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CloudTrailRecords => "cloudtrail.records",
            Self::PowerEvents => "power.events",
            Self::InstanceIntervals => "instance.intervals",
            Self::Coverage => "coverage",
            Self::DeadLetters => "dead.letters",
        }
    }

    /// What it keeps.
    pub const fn keeps(self) -> Keeps {
        match self {
            Self::CloudTrailRecords | Self::PowerEvents => Keeps::All,
            Self::InstanceIntervals | Self::Coverage | Self::DeadLetters => Keeps::Latest,
        }
    }
}

/// How many partitions a log has unless it is made with another number. It never changes afterwards.
pub const DEFAULT_PARTITIONS: u32 = 32;

/// The partition of a key: the same in every log, embedded or Kafka.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (xxhash_rust::xxh3::xxh3_64(key) % u64::from(partitions)) as u32
}
