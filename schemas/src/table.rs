//! The SQL contract: tables, columns, units. Names and types change only by addition.

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// A 64-bit integer.
    Integer,
    /// A moment in UTC with microsecond resolution (whole seconds are stored).
    Timestamp,
    /// True or false.
    Boolean,
}

impl ColumnType {
    /// Its name in SQL.
    pub const fn sql_name(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Integer => "BIGINT",
            Self::Timestamp => "TIMESTAMP WITH TIME ZONE",
            Self::Boolean => "BOOLEAN",
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// Whether it can be null, which always means "not known" (or, for an end, "not yet").
    pub nullable: bool,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name in SQL, and of its folder.
    pub name: &'static str,
    /// What a row is.
    pub meaning: &'static str,
    /// The columns that SQL shows.
    pub columns: &'static [Column],
    /// Further columns of the stored files: where a row is kept.
    pub stored: &'static [Column],
}

const fn column(name: &'static str, kind: ColumnType, nullable: bool, meaning: &'static str) -> Column {
    Column { name, kind, nullable, meaning }
}

use ColumnType::{Integer, Text, Timestamp};

const MONTH: Column = column("month", Text, false, "Partition: the UTC month of the row, 2024-02, or 'open' for runs without an end.");
const BUCKET: Column = column("bucket", Text, false, "Partition: a group of instances, so that a change rewrites a small file.");

/// When instances ran. In the stored files a run that touches several months has one row in each; `first_month` marks the one that
/// SQL shows.
pub const INSTANCE_INTERVALS: Table = Table {
    name: "instance_intervals",
    meaning: "One row a run: the half-open time [started_at, ended_at) in which an instance was on, with one type.",
    columns: &[
        column("account_id", Text, false, "AWS account, text with leading zeros; empty where CloudTrail did not say."),
        column("region", Text, false, "AWS region; empty where CloudTrail did not say."),
        column("instance_id", Text, false, "EC2 instance id."),
        column("image_id", Text, true, "Machine image; null where no event told it."),
        column("instance_type", Text, true, "EC2 instance type at the start; null where no event up to then told it."),
        column("vcpu", Integer, true, "Virtual CPUs of the type; null where the type is not known."),
        column("memory_mib", Integer, true, "Memory of the type in MiB; null where the type is not known."),
        column("started_at", Timestamp, false, "Start, inclusive: eventTime of the event that turned it on."),
        column("ended_at", Timestamp, true, "End, exclusive: eventTime of the event that turned it off; null while it runs."),
        column("start_event_id", Text, false, "CloudTrail eventID of the start, or the id of the observation."),
        column("end_event_id", Text, true, "CloudTrail eventID of the end, or the id of the observation; null while it runs."),
        column("start_kind", Text, false, "CloudTrail eventName of the start, or ObservedRunning."),
        column(
            "end_kind",
            Text,
            true,
            "CloudTrail eventName of the end, or ObservedStopped, or ObservedRunning where a new launch showed that it had ended; null while it runs.",
        ),
        column("start_source", Text, false, "The object and record index that told the start: uri#index."),
        column("end_source", Text, true, "The object and record index that told the end; null while it runs."),
        column("revision", Integer, false, "How often the instance's intervals had changed when this row was written, from 1."),
        column("recorded_at", Timestamp, false, "When the record that led to this row entered the log."),
        column(
            "end_not_before",
            Timestamp,
            true,
            "Where the exact end is not known: it lies between this and ended_at; null for an exact end, and while it runs.",
        ),
    ],
    stored: &[
        column("piece_start", Timestamp, false, "The part of the run that lies in the row's month: its start, inclusive."),
        column("piece_end", Timestamp, true, "The part of the run that lies in the row's month: its end, exclusive; null while it runs."),
        column("first_month", ColumnType::Boolean, false, "Whether this is the run's first row: each run has exactly one."),
        MONTH,
        BUCKET,
    ],
};

/// The distinct power events behind the intervals.
pub const POWER_EVENTS: Table = Table {
    name: "power_events",
    meaning: "One row a distinct power event of an instance: what its intervals are computed from.",
    columns: &[
        column("account_id", Text, false, "AWS account, text with leading zeros; empty where CloudTrail did not say."),
        column("region", Text, false, "AWS region; empty where CloudTrail did not say."),
        column("instance_id", Text, false, "EC2 instance id."),
        column("occurred_at", Timestamp, false, "eventTime."),
        column("action", Text, false, "eventName; ObservedRunning and ObservedStopped for what EC2 itself showed."),
        column("instance_type", Text, true, "Instance type, where the event gives it."),
        column("image_id", Text, true, "Machine image, where the event gives it."),
        column("event_id", Text, false, "CloudTrail eventID."),
        column("source", Text, false, "The object and record index it was read from: uri#index."),
        column("recorded_at", Timestamp, false, "When the record that led to this row entered the log."),
        column(
            "not_before",
            Timestamp,
            true,
            "Of an observation without its exact time: it was stopped, or launched, between this and occurred_at.",
        ),
    ],
    stored: &[MONTH, BUCKET],
};

/// How far the data reaches.
pub const COVERAGE: Table = Table {
    name: "coverage",
    meaning: "One row an account and region that CloudTrail was heard of.",
    columns: &[
        column("account_id", Text, false, "AWS account."),
        column("region", Text, false, "AWS region."),
        column(
            "complete_through",
            Timestamp,
            false,
            "The latest eventTime seen, or up to when digest files vouch that all was read; what lies after it is provisional in reports.",
        ),
    ],
    stored: &[],
};

/// What could not be used.
pub const DEAD_LETTERS: Table = Table {
    name: "dead_letters",
    meaning: "One row a file or record that could not be used.",
    columns: &[
        column("id", Text, false, "Deterministic: the same failure of the same file or record has the same id."),
        column("source", Text, false, "The object: s3://bucket/key or a file's path."),
        column("record_index", Integer, true, "The record's place in the object, from 0; null for the object as a whole."),
        column("reason", Text, false, "Why, as a stable word: corrupt_gzip, not_json, bad_record, ..."),
        column("detail", Text, false, "Why, in words, with what to do."),
        column("first_bytes", Text, false, "Its first bytes, at most 1024, with what is not UTF-8 replaced."),
        column("found_at", Timestamp, false, "When it was found."),
        column("version", Text, true, "The object's version; null where the bucket is not versioned."),
        column("resolved_at", Timestamp, true, "When it was resolved; null while it is open."),
        column("resolution", Text, true, "How it was resolved: replayed, dropped; null while it is open."),
        column("resolved_by", Text, true, "Who resolved it; null while it is open."),
    ],
    stored: &[],
};

/// The AWS accounts that are collected from.
pub const ACCOUNTS: Table = Table {
    name: "accounts",
    meaning: "One row an AWS account that a tenant registered, as it stands.",
    columns: &[
        column("tenant", Text, false, "Whose account."),
        column("account_id", Text, false, "AWS account, text with leading zeros."),
        column("arn", Text, false, "The role that is assumed in it."),
        column("name", Text, true, "What its tenant calls it."),
        column("state", Text, false, "pending, enabled, paused, disabled or deleted."),
        column("created_at", Timestamp, false, "When it was first registered."),
        column("changed_at", Timestamp, false, "When it last changed."),
        column("verified_at", Timestamp, true, "When its role, permissions and trail were last found in order."),
        column(
            "unmetered",
            Text,
            false,
            "JSON: the times in which it is not metered, [{\"from\":..,\"until\":..}]; without until while it lasts.",
        ),
        column("problems", Text, false, "JSON: what is in the way of collecting from it, [{\"code\":..,\"detail\":..,\"help\":..}]."),
        column("trail_arn", Text, true, "The trail that its events come from."),
        column("trail_bucket", Text, true, "The bucket that the trail writes to."),
    ],
    stored: &[],
};

/// Where data is known to be missing. SQL shows it as `sys.gaps`.
pub const GAPS: Table = Table {
    name: "gaps",
    meaning: "One row a time for which an account's data in a region is, or was, known to be incomplete. In SQL: sys.gaps.",
    columns: &[
        column("id", Text, false, "account/region/kind/beginning."),
        column("account_id", Text, false, "AWS account."),
        column("region", Text, false, "AWS region."),
        column("kind", Text, false, "log_files_missing, digest_missing or silence."),
        column("missing_from", Timestamp, false, "Beginning of the time, inclusive."),
        column("missing_until", Timestamp, true, "End of the time, exclusive; null for a silence that lasts."),
        column("missing_objects", Integer, false, "How many objects are known to be missing."),
        column("detail", Text, false, "What is known, and what to do."),
        column("found_at", Timestamp, false, "When it was found."),
        column("closed_at", Timestamp, true, "When it was found to be filled; null while it is open."),
        column("objects", Text, false, "JSON array: the objects to read, s3://bucket/key or a file's path."),
    ],
    stored: &[],
};

/// What is known of machine images.
pub const IMAGE_FACTS: Table = Table {
    name: "image_facts",
    meaning: "One row a fact about a machine image: what EC2 says of it, that EC2 does not show it to an account, a tag, an override, what its disks hold, how far reading them is, or that somebody wants them read. Where there are metadata the image is known, whoever does not see it.",
    columns: &[
        column("image_id", Text, false, "Machine image."),
        column("region", Text, false, "AWS region."),
        column(
            "fact",
            Text,
            false,
            "Which fact: metadata, unavailable/ACCOUNT, tag/ACCOUNT/KEY, override/PRODUCT/TENANT, findings, inspection, or inspection_request.",
        ),
        column("kind", Text, false, "metadata, unavailable, tag, override, findings, inspection or inspection_request."),
        column("at", Timestamp, false, "When it was so."),
        column("source", Text, false, "Where it was learned: the object and record index uri#index, or the API that said it."),
        column(
            "value",
            Text,
            false,
            "JSON: the metadata; the account that does not see the image, and whether that is over; the tag with its account, key and value, which is null where the tag was taken away; the override; the findings; how far the newest attempt is; or what is wanted, by whom.",
        ),
    ],
    stored: &[],
};

/// Machine images, and what is in them.
pub const IMAGES: Table = Table {
    name: "images",
    meaning: "One row a machine image that was used, or that something is known of, as it stands.",
    columns: &[
        column("image_id", Text, false, "Machine image."),
        column("region", Text, false, "AWS region; empty where nothing told it."),
        column("status", Text, false, "pending, preparing, inspecting, inspected, error or unavailable."),
        column("status_reason", Text, false, "Why, with what can be done."),
        column("name", Text, true, "Its name."),
        column("owner_id", Text, true, "The AWS account that owns it."),
        column("platform", Text, true, "windows, or null."),
        column("architecture", Text, true, "x86_64, arm64, ..."),
        column("rhel", ColumnType::Boolean, true, "Whether it counts as RHEL, overrides included; null where nothing is known."),
        column("openshift", ColumnType::Boolean, true, "Whether it counts as OpenShift, overrides included; null where nothing is known."),
        column("rhel_detected", ColumnType::Boolean, true, "Whether RHEL is in it by the evidence."),
        column("openshift_detected", ColumnType::Boolean, true, "Whether OpenShift is in it by the evidence."),
        column("rhel_version", Text, true, "The version of RHEL in it."),
        column("billing_model", Text, false, "Who is paid: payg (the cloud), byos (a subscription) or unknown."),
        column("is_encrypted", ColumnType::Boolean, false, "Whether its snapshot is encrypted."),
        column("is_marketplace", ColumnType::Boolean, false, "Whether it is sold in AWS Marketplace, or billed by AWS for its vendor."),
        column("is_cloud_access", ColumnType::Boolean, false, "Whether it is a vendor's image for customers who bring subscriptions."),
        column("syspurpose_role", Text, true, "What the system is for: its role."),
        column("syspurpose_sla", Text, true, "Its service level agreement."),
        column("syspurpose_usage", Text, true, "Its usage."),
        column("syspurpose_service_type", Text, true, "Its type of service."),
        column("evidence", Text, false, "JSON: all that says something, each by itself."),
        column("overrides", Text, false, "JSON: what was said against the evidence, by whom and when."),
        column("metadata", Text, true, "JSON: what EC2 says of it."),
        column("first_seen_at", Timestamp, true, "When it was first seen in use."),
        column("changed_at", Timestamp, true, "The latest moment of all that this follows from."),
    ],
    stored: &[column("untagged", Text, true, "JSON: how it stands for those who see none of its tags, where it has any.")],
};

/// The reference data of [`crate::instance_type`].
pub const INSTANCE_TYPES: Table = Table {
    name: "instance_types",
    meaning: "One row a known EC2 instance type.",
    columns: &[
        column("instance_type", Text, false, "The type, m5.large."),
        column("vcpu", Integer, false, "Virtual CPUs."),
        column("memory_mib", Integer, false, "Memory in MiB."),
        column("architecture", Text, false, "x86_64, arm64, i386 or a Mac variant; several are separated by a semicolon."),
    ],
    stored: &[],
};

/// The stored tables.
pub const STORED: [Table; 8] = [INSTANCE_INTERVALS, POWER_EVENTS, COVERAGE, DEAD_LETTERS, ACCOUNTS, GAPS, IMAGE_FACTS, IMAGES];

/// How many groups of instances share a month's files: the number of files of a month, at most.
pub const BUCKETS: u32 = 8;

/// The bucket of a log partition. It divides evenly, so that two sinks with different partitions can be given different buckets.
pub fn bucket_of(partition: u32) -> u32 {
    partition % BUCKETS
}
