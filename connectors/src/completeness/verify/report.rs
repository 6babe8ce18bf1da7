//! What verifying came to.

use std::collections::BTreeMap;

use cloudigrade_schemas::UtcSecond;
use serde::{Deserialize, Serialize};

use crate::limits::VERIFY_RESULTS_MAX;

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A digest.
    Digest,
    /// A log file.
    Log,
}

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileVerdict {
    /// It is what CloudTrail wrote.
    Valid,
    /// A log file that was delivered after the newest digest of its region: the next digest will name it.
    NotYetNamed,
    /// A digest whose signature is not at hand.
    SignatureAbsent,
    /// A digest whose signature is by a key that is not at hand.
    KeyUnknown,
    /// A log file as its digest says, but that digest is not known to be valid.
    DigestNotValid,
    /// A log file that no digest names.
    NotNamed,
    /// It could not be read.
    Unreadable,
    /// It is named, but is not there.
    Missing,
    /// Its content is not that which was written.
    HashMismatch,
    /// A digest whose signature is not by its key.
    SignatureInvalid,
    /// A digest that is not where CloudTrail put it.
    Moved,
}

impl FileVerdict {
    /// Its stable word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NotYetNamed => "not_yet_named",
            Self::SignatureAbsent => "signature_absent",
            Self::KeyUnknown => "key_unknown",
            Self::DigestNotValid => "digest_not_valid",
            Self::NotNamed => "not_named",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
            Self::HashMismatch => "hash_mismatch",
            Self::SignatureInvalid => "signature_invalid",
            Self::Moved => "moved",
        }
    }

    /// What it means for the whole.
    const fn verdict(self) -> Verdict {
        match self {
            Self::Valid | Self::NotYetNamed => Verdict::Verified,
            Self::SignatureAbsent | Self::KeyUnknown | Self::DigestNotValid | Self::NotNamed | Self::Unreadable => Verdict::NotProven,
            Self::Missing | Self::HashMismatch | Self::SignatureInvalid | Self::Moved => Verdict::Failed,
        }
    }
}

/// What the whole turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All digests and all log files that they name are what CloudTrail wrote, and there is nothing else.
    Verified,
    /// Nothing contradicts it, but not all of it could be proven.
    NotProven,
    /// Something was changed, removed or moved.
    Failed,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileResult {
    /// The file.
    pub uri: String,
    /// What kind it is.
    pub kind: FileKind,
    /// What it turned out to be.
    pub verdict: FileVerdict,
    /// More about it, where there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where a chain begins with a digest that names one before it, which is not there: what was before was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Beginning {
    /// The first digest.
    pub first: String,
    /// Its start: what was delivered before is not verified.
    pub from: UtcSecond,
    /// The one before it.
    pub previous: String,
}

/// Time between two digests of a chain that no digest is for, as the later begins a chain anew: the trail was stopped or changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pause {
    /// The digest that begins anew.
    pub digest: String,
    /// The end of the one before.
    pub from: UtcSecond,
    /// Its own start.
    pub until: UtcSecond,
}

/// How many files of a kind turned out to be what.
pub type FileCounts = BTreeMap<FileVerdict, u64>;

/// What verifying came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The whole.
    pub verdict: Verdict,
    /// The start of the earliest digest,
    pub from: Option<UtcSecond>,
    /// and the end of the latest.
    pub until: Option<UtcSecond>,
    /// How many digests turned out to be what.
    pub digests: FileCounts,
    /// How many log files turned out to be what.
    pub logs: FileCounts,
    /// Where chains begin within the time of a trail.
    pub beginnings: Vec<Beginning>,
    /// Where chains begin anew.
    pub pauses: Vec<Pause>,
    /// Each file, ordered: at most [`VERIFY_RESULTS_MAX`].
    pub files: Vec<FileResult>,
    /// Files that are counted but not in `files`, because there are too many.
    pub not_listed: u64,
}

impl VerifyReport {
    /// A report about nothing.
    pub(super) fn new() -> Self {
        Self {
            verdict: Verdict::Verified,
            from: None,
            until: None,
            digests: FileCounts::new(),
            logs: FileCounts::new(),
            beginnings: Vec::new(),
            pauses: Vec::new(),
            files: Vec::new(),
            not_listed: 0,
        }
    }

    pub(super) fn add(&mut self, result: FileResult) {
        let counts = match result.kind {
            FileKind::Digest => &mut self.digests,
            FileKind::Log => &mut self.logs,
        };
        *counts.entry(result.verdict).or_default() += 1;
        self.verdict = self.verdict.max(result.verdict.verdict());
        // What is wrong is always listed before what is not.
        if self.files.len() < VERIFY_RESULTS_MAX {
            return self.files.push(result);
        }
        self.not_listed += 1;
        if result.verdict != FileVerdict::Valid
            && let Some(valid) = self.files.iter_mut().find(|file| file.verdict == FileVerdict::Valid)
        {
            *valid = result;
        }
    }

    /// How many digests were looked for.
    pub fn digests_seen(&self) -> u64 {
        self.digests.values().sum()
    }
}
