//! Looks at what is kept about completeness, and says what changed: gaps that opened or closed, and how far the data reaches.
//!
//! A look is a function of committed state and the time. Nothing is remembered between two looks but what the log keeps, so a crash between
//! them changes nothing, and a log file or digest that arrives late is seen by the next look.
//!
//! # What `complete_through` means
//! Up to then everything that happened is in the log, apart from the gaps that are open. It never falls. Two things raise it: the time of a
//! record that was read, and a digest, even one without log files, if all log files that its chain names until then were read and no digest
//! is missing before it. A digest tells of what was *delivered* by its end, so it raises to [`CLOUDTRAIL_DELIVERY`] before its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{LogError, StateRead};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Coverage, Gap, GapKind, Topic, UtcSecond};

use super::chain::{Hole, Judged, Link, Stretch, judge, judge_backfill};
use super::digest;
use super::keep::{self, DIGESTS, GAPS, Kept, KeptDigest, KeptStretch, Region};
use super::silence::{Heard, Listened, SilenceLimits};
use crate::limits::{CLOUDTRAIL_DELIVERY, DIGESTS_WAITING_MAX, UNDERWAY};
use crate::source::committer::{Change, Entry, Message};
use crate::source::ledger;

/// How to look.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long what is missing may be underway before it is a gap.
    pub underway: Duration,
    /// Which accounts are listened to; `None`: silences are left as they are.
    pub listened: Option<Listened>,
    /// When a region is silent.
    pub silence: SilenceLimits,
}

impl Rules {
    /// For a source that goes on: what is missing may be underway, and silence means something.
    pub fn while_serving(listened: Listened) -> Self {
        Self { underway: UNDERWAY, listened: Some(listened), silence: SilenceLimits::default() }
    }

    /// For places that were read to their end: what is missing is missing.
    pub fn at_the_end() -> Self {
        Self { underway: Duration::ZERO, listened: None, silence: SilenceLimits::default() }
    }
}

/// Looks at one partition. Each entry is all that changed about one account and region; nothing where nothing changed.
///
/// Only one may look at a time, and the entries are to be committed before the next look.
///
/// # Errors
/// Those of [`StateRead`], and [`LogError::Storage`] for state that cannot be read.
pub fn look(
    state: &(impl StateRead + ?Sized),
    partitions: u32,
    partition: u32,
    rules: &Rules,
    now: UtcSecond,
) -> Result<Vec<Entry>, LogError> {
    let mut all = keep::read(state, partition, rules.listened.is_some())?;
    for (account, home) in rules.listened.iter().flat_map(Listened::homes) {
        let region = Region { account_id: account.to_owned(), region: home.to_owned() };
        if partition_of(region.to_key().as_bytes(), partitions) == partition {
            all.entry(region).or_default();
        }
    }
    let mut entries = Vec::new();
    for (region, kept) in all {
        let looker = Looker { state, partitions, partition, rules, now, region };
        let entry = looker.look(kept)?;
        if !(entry.state.is_empty() && entry.messages.is_empty() && entry.coverage.is_empty()) {
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// A look at one account and region.
struct Looker<'a, S: ?Sized> {
    state: &'a S,
    partitions: u32,
    partition: u32,
    rules: &'a Rules,
    now: UtcSecond,
    region: Region,
}

impl<S: StateRead + ?Sized> Looker<'_, S> {
    fn look(&self, kept: Kept) -> Result<Entry, LogError> {
        let mut entry = Entry::default();
        let mut found: BTreeMap<String, (Gap, UtcSecond)> = BTreeMap::new();
        let mut complete_through = None;
        let mut heard = Heard { told_of: kept.reach, heard_at: None };
        let mut chains: BTreeMap<&str, (Vec<&Stretch>, Vec<&KeptDigest>)> = BTreeMap::new();
        for kept in kept.stretches.values() {
            chains.entry(&kept.chain).or_default().0.push(&kept.stretch);
        }
        for (_, digest) in &kept.digests {
            chains.entry(&digest.chain).or_default().1.push(digest);
        }
        let mut folded = BTreeSet::new();
        let mut stretches = BTreeMap::new();
        for (chain, (of_chain, digests)) in chains {
            let heard_now = of_chain.iter().map(|stretch| (stretch.end, stretch.heard_at));
            for (end, heard_at) in heard_now.chain(digests.iter().map(|digest| (digest.end, digest.heard_at))) {
                heard.told_of = heard.told_of.max(Some(end));
                heard.heard_at = heard.heard_at.max(Some(heard_at));
            }
            let judged = self.judge(chain, &of_chain, digests)?;
            for hole in judged.holes {
                let shown_at = hole.shown_at;
                let gap = self.gap(hole);
                let merged = found.entry(gap.to_key()).or_insert_with(|| (gap.clone(), shown_at));
                merge(&mut merged.0, gap);
                merged.1 = merged.1.min(shown_at);
            }
            complete_through = complete_through.max(judged.complete_through);
            folded.extend(judged.folded);
            let of_chain = judged.stretches.into_iter();
            stretches.extend(
                of_chain.map(|stretch| (self.region.stretch_key(chain, stretch.start), KeptStretch { chain: chain.to_owned(), stretch })),
            );
        }
        self.keep_stretches(&mut entry, &kept.stretches, &stretches)?;
        let gone = kept.digests.iter().filter(|(_, digest)| folded.contains(&digest.uri));
        entry.state.extend(gone.map(|(key, _)| self.change(DIGESTS, key, None)));
        self.raise(&mut entry, complete_through)?;
        let silence = self.silence(heard);
        self.settle(&mut entry, kept.open, found, silence, heard)?;
        Ok(entry)
    }

    fn judge(&self, chain: &str, stretches: &[&Stretch], mut digests: Vec<&KeptDigest>) -> Result<Judged, LogError> {
        digests.sort_by_key(|digest| (digest.start, digest.end));
        if digests.len() > DIGESTS_WAITING_MAX {
            tracing::warn!(
                chain,
                waiting = digests.len(),
                limit = DIGESTS_WAITING_MAX,
                "more digests wait for missing log files than are looked at; the later ones are looked at when those before them are complete"
            );
            digests.truncate(DIGESTS_WAITING_MAX);
        }
        let links = digests.into_iter().map(|digest| {
            let mut unread = Vec::new();
            for file in &digest.log_files {
                if !ledger::was_read(self.state, file, self.partitions)? {
                    unread.push(file.clone());
                }
            }
            let KeptDigest { uri, start, end, oldest, previous, heard_at, .. } = digest.clone();
            Ok(Link { uri, start, end, oldest, previous, unread, heard_at })
        });
        let links = links.collect::<Result<Vec<Link>, LogError>>()?;
        let stretches: Vec<Stretch> = stretches.iter().map(|stretch| (*stretch).clone()).collect();
        Ok(if digest::is_backfill(chain) { judge_backfill(&links) } else { judge(&stretches, &links) })
    }

    fn keep_stretches(
        &self,
        entry: &mut Entry,
        before: &BTreeMap<Vec<u8>, KeptStretch>,
        after: &BTreeMap<Vec<u8>, KeptStretch>,
    ) -> Result<(), LogError> {
        for (key, stretch) in after {
            if before.get(key) != Some(stretch) {
                entry.state.push(self.change(DIGESTS, key, Some(Cx::encode(stretch)?)));
            }
        }
        let gone = before.keys().filter(|key| !after.contains_key(*key));
        entry.state.extend(gone.map(|key| self.change(DIGESTS, key, None)));
        Ok(())
    }

    /// Raises how far the data reaches, if a digest does.
    fn raise(&self, entry: &mut Entry, complete_through: Option<UtcSecond>) -> Result<(), LogError> {
        let Some(end) = complete_through else { return Ok(()) };
        let complete_through = UtcSecond(end.0 - CLOUDTRAIL_DELIVERY.as_secs().cast_signed());
        let known = keep::reach(self.state, self.partition, &self.region)?;
        if known.is_none_or(|known| known < complete_through) {
            let Region { account_id, region } = self.region.clone();
            entry.coverage.push(Coverage { account_id, region, complete_through });
        }
        Ok(())
    }

    /// Since when the region is silent; `None` if it is not known.
    fn silence(&self, heard: Heard) -> Option<Option<UtcSecond>> {
        let listened = self.rules.listened.as_ref()?;
        let Region { account_id, region } = &self.region;
        Some(listened.silent_since(account_id, region, heard, self.rules.silence, self.now))
    }

    /// Compares the gaps that were open with those that were found.
    fn settle(
        &self,
        entry: &mut Entry,
        open: BTreeMap<String, Gap>,
        mut found: BTreeMap<String, (Gap, UtcSecond)>,
        silence: Option<Option<UtcSecond>>,
        heard: Heard,
    ) -> Result<(), LogError> {
        if let Some(Some(from)) = silence {
            let gap = self.silent(from);
            found.insert(gap.to_key(), (gap, UtcSecond(i64::MIN)));
        }
        for (key, gap) in &open {
            let left_as_it_is = gap.kind == GapKind::Silence && silence.is_none();
            if !found.contains_key(key) && !left_as_it_is {
                let until =
                    if gap.kind == GapKind::Silence { heard.told_of.filter(|told| *told > gap.from).or(Some(self.now)) } else { gap.until };
                self.tell(entry, &Gap { until, closed_at: Some(self.now), ..gap.clone() })?;
                entry.state.push(self.change(GAPS, key.as_bytes(), None));
            }
        }
        for (key, (mut gap, shown_at)) in found {
            match open.get(&key) {
                Some(known) => gap.found_at = known.found_at,
                None if self.is_underway(shown_at) => continue,
                None => {}
            }
            if open.get(&key) != Some(&gap) {
                self.tell(entry, &gap)?;
                entry.state.push(self.change(GAPS, key.as_bytes(), Some(Cx::encode(&gap)?)));
            }
        }
        Ok(())
    }

    /// Whether what a digest that was read at this time names may be underway still.
    fn is_underway(&self, shown_at: UtcSecond) -> bool {
        let since = u64::try_from(self.now.0.saturating_sub(shown_at.0)).unwrap_or(0);
        since < self.rules.underway.as_secs()
    }

    fn gap(&self, hole: Hole) -> Gap {
        let Hole { kind, from, until, missing, .. } = hole;
        let detail = match (kind, missing.is_empty()) {
            (GapKind::LogFilesMissing, _) => {
                "a digest file names log files that were not read; `cloudigrade ingest --missing` reads them, and `cloudigrade dead-letters list` says why one could not be used"
            }
            (_, false) => {
                "a digest file was not read, so it is not known which log files were delivered; `cloudigrade ingest --missing` reads it, and what it names"
            }
            (_, true) => {
                "no digest file was written: the trail was stopped or changed, or its log file validation was off; find out whether that was meant, there is nothing to read"
            }
        };
        self.new_gap(kind, from, Some(until), missing, detail)
    }

    fn silent(&self, from: UtcSecond) -> Gap {
        let detail = "neither log files nor digest files came; look whether the trail logs (`cloudigrade doctor`) and whether log file validation is on: without it a quiet region cannot be told from a silent one";
        self.new_gap(GapKind::Silence, from, None, Vec::new(), detail)
    }

    fn new_gap(&self, kind: GapKind, from: UtcSecond, until: Option<UtcSecond>, missing: Vec<String>, detail: &str) -> Gap {
        let Region { account_id, region } = self.region.clone();
        Gap { account_id, region, kind, from, until, missing, detail: detail.to_owned(), found_at: self.now, closed_at: None }
    }

    fn tell(&self, entry: &mut Entry, gap: &Gap) -> Result<(), LogError> {
        let (partition_key, key) = (gap.partition_key().into_bytes(), gap.to_key().into_bytes());
        entry.messages.push(Message { topic: Topic::Gaps, partition_key, key, value: Cx::encode(gap)? });
        Ok(())
    }

    fn change(&self, store: cloudigrade_pipeline::log::Store, key: &[u8], value: Option<Vec<u8>>) -> Change {
        Change { store, partition_key: self.region.to_key().into_bytes(), key: key.to_vec(), value }
    }
}

/// Two trails may miss files of the same time: one gap.
fn merge(into: &mut Gap, other: Gap) {
    into.until = into.until.max(other.until);
    let missing: BTreeSet<String> = into.missing.drain(..).chain(other.missing).collect();
    into.missing = missing.into_iter().collect();
}
