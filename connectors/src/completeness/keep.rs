//! What the log keeps about completeness, and how it is read again.
//!
//! | store | key | value |
//! |---|---|---|
//! | `completeness.digests` | `account/region/digest/END/HASH` | a digest that is not folded yet |
//! | | `account/region/stretch/HASH/START` | a [`Stretch`] of a chain |
//! | `completeness.gaps` | as [`Gap::to_key`] | a gap that is open |
//!
//! All of it is in the partition of `account/region`. A digest has a key of its own, so noting one asks for nothing that was noted before:
//! whoever reads digests does so in any order, and as many at a time as he likes.

use std::collections::BTreeMap;

use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{KeyValue, LogError, StateRead, Store};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Coverage, Gap, UtcSecond};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::chain::Stretch;
use super::digest::{self, Digest};
use super::place::Copy;
use crate::limits::MISSING_AT_ONCE_MAX;
use crate::source::harvest::REACH;

/// Digests by themselves, and stretches of them.
pub(crate) const DIGESTS: Store = Store("completeness.digests");
/// The gaps that are open.
pub(crate) const GAPS: Store = Store("completeness.gaps");

/// A digest as it is kept until it is folded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptDigest {
    /// Where it was found.
    pub uri: String,
    /// See [`digest::chain_of`].
    pub chain: String,
    pub start: UtcSecond,
    pub end: UtcSecond,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<UtcSecond>,
    /// Where the digest before it would be found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Where its log files would be found.
    pub log_files: Vec<String>,
    pub heard_at: UtcSecond,
}

/// A stretch with the chain that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptStretch {
    pub chain: String,
    #[serde(flatten)]
    pub stretch: Stretch,
}

/// An account and region. Ordered, so that both of a key follow each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Region {
    pub account_id: String,
    pub region: String,
}

/// What is kept of one account and region.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// With the key of each.
    pub digests: Vec<(Vec<u8>, KeptDigest)>,
    pub stretches: BTreeMap<Vec<u8>, KeptStretch>,
    /// By its key.
    pub open: BTreeMap<String, Gap>,
    /// How far the data reaches.
    pub reach: Option<UtcSecond>,
}

impl Region {
    /// What decides the partition, and what all its keys begin with.
    pub fn to_key(&self) -> String {
        format!("{}/{}", self.account_id, self.region)
    }

    pub fn stretch_key(&self, chain: &str, start: UtcSecond) -> Vec<u8> {
        format!("{}/stretch/{}/{start}", self.to_key(), short(chain)).into_bytes()
    }

    fn of_key(key: &[u8]) -> Option<(Self, &str)> {
        let mut parts = std::str::from_utf8(key).ok()?.splitn(4, '/');
        let region = Self { account_id: parts.next()?.to_owned(), region: parts.next()?.to_owned() };
        Some((region, parts.next().unwrap_or("")))
    }
}

/// Notes a digest that was found at `uri`. The same digest once more changes nothing but when it was heard.
///
/// # Errors
/// Those of [`Cx::put_json`].
pub fn note(cx: &mut Cx<'_>, uri: &str, digest: &Digest, partitions: u32, now: UtcSecond) -> Result<(), LogError> {
    let copy = Copy::of(uri, &digest.place);
    let kept = KeptDigest {
        uri: uri.to_owned(),
        chain: digest::chain_of(uri),
        start: digest.start,
        end: digest.end,
        oldest: digest.oldest_event(),
        previous: digest.previous.as_ref().map(|previous| copy.uri_of(&previous.place)),
        log_files: digest.log_files.iter().map(|file| copy.uri_of(&file.place)).collect(),
        heard_at: now,
    };
    let region = Region { account_id: digest.account_id.clone(), region: digest.region.clone() }.to_key();
    let key = format!("{region}/digest/{}/{}", kept.end, short(uri));
    cx.put_json(DIGESTS, partition_of(region.as_bytes(), partitions), key.as_bytes(), &kept)
}

/// All that one partition keeps, by account and region.
pub(super) fn read(state: &(impl StateRead + ?Sized), partition: u32, with_reach: bool) -> Result<BTreeMap<Region, Kept>, LogError> {
    let mut all: BTreeMap<Region, Kept> = BTreeMap::new();
    for (key, value) in state.scan(DIGESTS, partition, b"")? {
        let (region, kind) = parse_key(DIGESTS, &key)?;
        let kept = all.entry(region).or_default();
        match kind.as_str() {
            "stretch" => _ = kept.stretches.insert(key.clone(), parse(DIGESTS, &key, &value)?),
            _ => kept.digests.push((key.clone(), parse(DIGESTS, &key, &value)?)),
        }
    }
    for (key, value) in state.scan(GAPS, partition, b"")? {
        let gap: Gap = parse(GAPS, &key, &value)?;
        let region = Region { account_id: gap.account_id.clone(), region: gap.region.clone() };
        all.entry(region).or_default().open.insert(gap.to_key(), gap);
    }
    let reaches: Vec<KeyValue> = if with_reach { state.scan(REACH, partition, b"")? } else { Vec::new() };
    for (key, value) in reaches {
        let Coverage { account_id, region, complete_through } = parse(REACH, &key, &value)?;
        all.entry(Region { account_id, region }).or_default().reach = Some(complete_through);
    }
    Ok(all)
}

/// How far the data of one account and region is known to reach.
pub(super) fn reach(state: &(impl StateRead + ?Sized), partition: u32, region: &Region) -> Result<Option<UtcSecond>, LogError> {
    let key = region.to_key();
    let Some(value) = state.get(REACH, partition, key.as_bytes())? else { return Ok(None) };
    parse::<Coverage>(REACH, key.as_bytes(), &value).map(|coverage| Some(coverage.complete_through))
}

/// The objects that all open gaps name, each once, in order: what to read so that the gaps close. At most
/// [`MISSING_AT_ONCE_MAX`]; when those were read, ask again.
///
/// # Errors
/// Those of [`StateRead::scan`], and [`LogError::Storage`] for state that cannot be read.
pub fn missing(state: &(impl StateRead + ?Sized), partitions: u32) -> Result<Vec<String>, LogError> {
    let mut missing = std::collections::BTreeSet::new();
    for partition in 0..partitions {
        for (key, value) in state.scan(GAPS, partition, b"")? {
            missing.extend(parse::<Gap>(GAPS, &key, &value)?.missing);
        }
    }
    Ok(missing.into_iter().take(MISSING_AT_ONCE_MAX).collect())
}

/// The gaps that are open, ordered by their keys.
///
/// # Errors
/// As [`missing`].
pub fn open_gaps(state: &(impl StateRead + ?Sized), partitions: u32) -> Result<Vec<Gap>, LogError> {
    let mut gaps = BTreeMap::new();
    for partition in 0..partitions {
        for (key, value) in state.scan(GAPS, partition, b"")? {
            let gap: Gap = parse(GAPS, &key, &value)?;
            gaps.insert(gap.to_key(), gap);
        }
    }
    Ok(gaps.into_values().collect())
}

/// A name for a path that may be longer than a key.
fn short(path: &str) -> String {
    Sha256::digest(path.as_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_key(store: Store, key: &[u8]) -> Result<(Region, String), LogError> {
    let parsed = Region::of_key(key).map(|(region, kind)| (region, kind.to_owned()));
    parsed.ok_or_else(|| damaged(store, key, "its key has no account and region"))
}

fn parse<T: DeserializeOwned>(store: Store, key: &[u8], value: &[u8]) -> Result<T, LogError> {
    serde_json::from_slice(value).map_err(|error| damaged(store, key, &error.to_string()))
}

fn damaged(store: Store, key: &[u8], cause: &str) -> LogError {
    LogError::Storage {
        doing: "reading state",
        cause: format!("{}/{}: {cause}", store.0, String::from_utf8_lossy(key)),
        help: "the log is damaged or was written by a newer version; restore it or ingest into a new data folder",
    }
}
