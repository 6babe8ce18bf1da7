//! The chain of one trail's digests in one region: how far the data reaches without a hole, and where it has holes.
//!
//! This module knows no log, no clock and no I/O. What it says is a function of the set of digests and of which of their log files were
//! read, so the order in which they became known does not matter, nor whether one became known twice.
//!
//! # What is a hole
//! * A digest names a log file that was not read.
//! * Between two digests lies time that none is for, and the later does not name the earlier as the one before it. If it names another,
//!   that one is to be read. If it names none, a chain began anew there: the trail was stopped or changed, and nothing can be read.
//!
//! Before the first digest that is known lies no hole, even if it names one before it: collecting has to begin somewhere.
//!
//! # What is kept
//! Digests whose log files were all read need not be kept one by one: what follows each other without a hole is one [`Stretch`].

use cloudigrade_schemas::{GapKind, UtcSecond};
use serde::{Deserialize, Serialize};

/// A digest that is kept by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it was found.
    pub uri: String,
    /// It names the log files delivered from then on,
    pub start: UtcSecond,
    /// until then.
    pub end: UtcSecond,
    /// When the oldest event happened that its log files tell of.
    pub oldest: Option<UtcSecond>,
    /// The digest before it.
    pub previous: Option<String>,
    /// Those of its log files that were not read.
    pub unread: Vec<String>,
    /// When it was read.
    pub heard_at: UtcSecond,
}

/// Digests that follow each other without a hole and whose log files were all read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// The start of the first,
    pub start: UtcSecond,
    /// and the end of the last.
    pub end: UtcSecond,
    /// The digest before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The last digest.
    pub last: String,
    /// When the first was read.
    pub found_at: UtcSecond,
    /// When any of them was read, at last.
    pub heard_at: UtcSecond,
}

/// A hole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hole {
    /// Why.
    pub kind: GapKind,
    /// From, inclusive.
    pub from: UtcSecond,
    /// Until, exclusive.
    pub until: UtcSecond,
    /// The objects to read. None: nothing can be read.
    pub missing: Vec<String>,
    /// When the digest was read that shows it.
    pub shown_at: UtcSecond,
}

/// What a chain amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Its holes, in order.
    pub holes: Vec<Hole>,
    /// Up to then all that was delivered was read, from the first digest on; but for holes in which nothing can be read.
    pub complete_through: Option<UtcSecond>,
    /// What is to be kept of the digests that need not be kept by themselves, in order.
    pub stretches: Vec<Stretch>,
    /// Those links that need not be kept any more: they are in a stretch.
    pub folded: Vec<String>,
}

/// One piece of a chain: a link, or what was kept of many.
#[derive(Clone, Copy)]
struct Piece<'a> {
    start: UtcSecond,
    end: UtcSecond,
    previous: Option<&'a str>,
    last: &'a str,
    found_at: UtcSecond,
    heard_at: UtcSecond,
    link: Option<&'a Link>,
}

impl<'a> Piece<'a> {
    fn of_link(link: &'a Link) -> Self {
        let Link { uri, start, end, previous, heard_at, .. } = link;
        let (previous, heard_at) = (previous.as_deref(), *heard_at);
        Self { start: *start, end: *end, previous, last: uri, found_at: heard_at, heard_at, link: Some(link) }
    }

    fn of_stretch(stretch: &'a Stretch) -> Self {
        let Stretch { start, end, previous, last, found_at, heard_at } = stretch;
        let previous = previous.as_deref();
        Self { start: *start, end: *end, previous, last, found_at: *found_at, heard_at: *heard_at, link: None }
    }

    fn unread(&self) -> &'a [String] {
        self.link.map_or(&[], |link| &link.unread)
    }

    /// Whether nothing is missing between what ends with `end` and `last`, and this.
    fn follows(&self, end: UtcSecond, last: &str) -> bool {
        self.start <= end || self.previous == Some(last)
    }
}

/// Judges the chain of hourly digests.
pub fn judge(stretches: &[Stretch], links: &[Link]) -> Judged {
    let mut pieces: Vec<Piece<'_>> = stretches.iter().map(Piece::of_stretch).chain(links.iter().map(Piece::of_link)).collect();
    pieces.sort_by(|a, b| (a.start, a.end, a.last).cmp(&(b.start, b.end, b.last)));
    let mut judged = Judged::default();
    let mut tip: Option<(UtcSecond, &str)> = None;
    let mut closed = true;
    for piece in pieces {
        if let Some((end, last)) = tip
            && !piece.follows(end, last)
        {
            closed &= piece.previous.is_none();
            judged.holes.push(Hole {
                kind: GapKind::DigestMissing,
                from: end,
                until: piece.start,
                missing: piece.previous.map(str::to_owned).into_iter().collect(),
                shown_at: piece.found_at,
            });
        }
        if piece.unread().is_empty() {
            judged.absorb(&piece);
            if closed {
                judged.complete_through = judged.complete_through.max(Some(piece.end));
            }
        } else {
            closed = false;
        }
        if let Some(link) = piece.link {
            judged.look_at_log_files(link);
        }
        tip = tip.max(Some((piece.end, piece.last)));
    }
    judged.holes.sort();
    judged
}

/// Judges the digests that come beside the hourly ones. They are for times here and there, so there are no holes between them, and how far
/// the data reaches they do not tell.
pub fn judge_backfill(links: &[Link]) -> Judged {
    let mut judged = Judged::default();
    links.iter().for_each(|link| judged.look_at_log_files(link));
    judged.holes.sort();
    judged
}

impl Judged {
    /// Takes a link's unread log files for a hole; a link without any is folded.
    fn look_at_log_files(&mut self, link: &Link) {
        if link.unread.is_empty() {
            return self.folded.push(link.uri.clone());
        }
        self.holes.push(Hole {
            kind: GapKind::LogFilesMissing,
            from: link.oldest.map_or(link.start, |oldest| oldest.min(link.start)),
            until: link.end,
            missing: link.unread.clone(),
            shown_at: link.heard_at,
        });
    }

    /// Joins a complete piece to the stretch before it, if nothing is between them.
    fn absorb(&mut self, piece: &Piece<'_>) {
        if let Some(before) = self.stretches.last_mut()
            && piece.follows(before.end, &before.last)
        {
            before.heard_at = before.heard_at.max(piece.heard_at);
            if (piece.end, piece.last) > (before.end, &*before.last) {
                before.end = piece.end;
                before.last = piece.last.to_owned();
            }
            return;
        }
        self.stretches.push(Stretch {
            start: piece.start,
            end: piece.end,
            previous: piece.previous.map(str::to_owned),
            last: piece.last.to_owned(),
            found_at: piece.found_at,
            heard_at: piece.heard_at,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600;

    /// The digest for an hour, naming the one before it, with some log files.
    fn link(hour: i64, begins: bool, unread: &[&str]) -> Link {
        Link {
            uri: format!("d{hour}"),
            start: UtcSecond(hour * HOUR),
            end: UtcSecond((hour + 1) * HOUR),
            oldest: None,
            previous: (!begins).then(|| format!("d{}", hour - 1)),
            unread: unread.iter().map(ToString::to_string).collect(),
            heard_at: UtcSecond(0),
        }
    }

    fn hole(kind: GapKind, from: i64, until: i64, missing: &[&str]) -> Hole {
        let missing = missing.iter().map(ToString::to_string).collect();
        Hole { kind, from: UtcSecond(from * HOUR), until: UtcSecond(until * HOUR), missing, shown_at: UtcSecond(0) }
    }

    fn through(judged: &Judged) -> Option<i64> {
        judged.complete_through.map(|moment| moment.0 / HOUR)
    }

    #[test]
    fn a_chain_without_holes_is_one_stretch_and_reaches_to_its_end_also_over_empty_hours() {
        let judged = judge(&[], &[link(3, true, &[]), link(5, false, &[]), link(4, false, &[])]);
        assert_eq!((through(&judged), judged.holes.len(), judged.stretches.len(), judged.folded.len()), (Some(6), 0, 1, 3));
        assert_eq!((judged.stretches[0].last.as_str(), judged.stretches[0].previous.as_deref()), ("d5", None));
    }

    #[test]
    fn where_the_first_known_digest_names_one_before_it_is_no_hole() {
        let judged = judge(&[], &[link(3, false, &[])]);
        assert_eq!((through(&judged), judged.holes), (Some(4), vec![]));
    }

    #[test]
    fn log_files_that_were_not_read_are_a_hole_and_the_data_reaches_to_their_digest() {
        let judged = judge(&[], &[link(3, true, &[]), link(4, false, &["x", "y"]), link(5, false, &[])]);
        assert_eq!(judged.holes, [hole(GapKind::LogFilesMissing, 4, 5, &["x", "y"])]);
        assert_eq!((through(&judged), judged.stretches.len()), (Some(4), 2));
    }

    #[test]
    fn the_hole_of_a_log_file_begins_with_the_oldest_event_of_its_digest() {
        let late = Link { oldest: Some(UtcSecond(4 * HOUR - 600)), ..link(4, true, &["x"]) };
        assert_eq!(judge(&[], std::slice::from_ref(&late)).holes[0].from, UtcSecond(4 * HOUR - 600));
        assert_eq!(judge(&[], &[Link { oldest: Some(UtcSecond(5 * HOUR)), ..late }]).holes[0].from, UtcSecond(4 * HOUR));
    }

    #[test]
    fn a_digest_that_another_names_and_nobody_read_is_a_hole() {
        let judged = judge(&[], &[link(3, true, &[]), link(7, false, &[]), link(8, false, &[])]);
        assert_eq!(judged.holes, [hole(GapKind::DigestMissing, 4, 7, &["d6"])]);
        assert_eq!(through(&judged), Some(4));
    }

    #[test]
    fn where_a_chain_begins_anew_nothing_can_be_read_and_the_data_goes_on() {
        let judged = judge(&[], &[link(3, true, &[]), link(7, true, &[]), link(8, false, &[])]);
        assert_eq!(judged.holes, [hole(GapKind::DigestMissing, 4, 7, &[])]);
        assert_eq!(through(&judged), Some(9));
        let at_once = judge(&[], &[link(3, true, &[]), link(4, true, &[])]);
        assert_eq!((through(&at_once), at_once.holes.len()), (Some(5), 0));
    }

    #[test]
    fn a_digest_named_by_the_next_needs_no_second_to_meet_it() {
        let late = Link { start: UtcSecond(4 * HOUR + 7), ..link(4, false, &[]) };
        let judged = judge(&[], &[link(3, true, &[]), late]);
        assert_eq!((through(&judged), judged.holes.len(), judged.stretches.len()), (Some(5), 0, 1));
    }

    #[test]
    fn digests_beside_the_hourly_ones_have_log_files_but_no_holes_between_them() {
        let judged = judge_backfill(&[link(3, true, &[]), link(9, false, &["x"])]);
        assert_eq!(judged.holes, [hole(GapKind::LogFilesMissing, 9, 10, &["x"])]);
        assert_eq!((judged.folded, judged.complete_through, judged.stretches), (vec!["d3".to_owned()], None, vec![]));
    }

    /// What is kept between two looks, as the log keeps it.
    #[derive(Default)]
    struct Kept {
        stretches: Vec<Stretch>,
        links: BTreeMap<String, Link>,
    }

    impl Kept {
        fn look(&mut self, read: &BTreeSet<String>) -> Judged {
            let mut links: Vec<Link> = self.links.values().cloned().collect();
            links.iter_mut().for_each(|link| link.unread.retain(|file| !read.contains(file)));
            let judged = judge(&self.stretches, &links);
            self.stretches.clone_from(&judged.stretches);
            judged.folded.iter().for_each(|uri| _ = self.links.remove(uri));
            judged
        }
    }

    /// Something becomes known: a digest of the chain, or that a log file was read.
    #[derive(Clone, Debug)]
    enum Known {
        Digest(usize),
        File(String),
    }

    /// A chain of up to forty hours, which may begin anew here and there.
    fn chain() -> impl Strategy<Value = Vec<Link>> {
        let hour = (0..3_usize, prop::bool::weighted(0.1), prop::bool::weighted(0.15));
        prop::collection::vec(hour, 1..40).prop_map(|hours| {
            let mut links: Vec<Link> = Vec::new();
            let mut start = 0;
            for (at, (files, anew, paused)) in hours.into_iter().enumerate() {
                let anew = anew || at == 0;
                start += if anew && paused { 5 * HOUR } else { 0 };
                let unread = (0..files).map(|file| format!("f{at}.{file}")).collect();
                let previous = (!anew).then(|| format!("d{}", at - 1));
                let (begin, end) = (UtcSecond(start), UtcSecond(start + HOUR));
                links.push(Link { uri: format!("d{at}"), start: begin, end, oldest: None, previous, unread, heard_at: UtcSecond(0) });
                start += HOUR;
            }
            links
        })
    }

    fn history() -> impl Strategy<Value = (Vec<Link>, Vec<Known>, Vec<bool>)> {
        chain().prop_flat_map(|links| {
            let files = links.iter().flat_map(|link| link.unread.clone());
            let mut known: Vec<Known> = (0..links.len()).map(Known::Digest).chain(files.map(Known::File)).collect();
            known.extend(known.clone());
            let count = known.len();
            // Twice of each in any order; those beyond some place never become known.
            let known = (Just(known).prop_shuffle(), 0..=count).prop_map(|(mut known, upto)| {
                known.truncate(upto);
                known
            });
            (Just(links), known, prop::collection::vec(any::<bool>(), count))
        })
    }

    proptest! {
        #[test]
        fn any_order_and_repetition_of_digests_and_log_files_gives_what_the_set_of_them_gives((chain, known, looks) in history()) {
            let mut kept = Kept::default();
            let mut read = BTreeSet::new();
            let mut digests = BTreeSet::new();
            let mut reached = None;
            for (known, look) in known.iter().zip(looks) {
                match known {
                    Known::Digest(at) => {
                        digests.insert(*at);
                        kept.links.insert(chain[*at].uri.clone(), chain[*at].clone());
                    }
                    Known::File(file) => _ = read.insert(file.clone()),
                }
                if look {
                    reached = kept.look(&read).complete_through.max(reached);
                }
            }
            let judged = kept.look(&read);
            let mut all_at_once = Kept { links: digests.iter().map(|at| (chain[*at].uri.clone(), chain[*at].clone())).collect(), ..Kept::default() };
            let expected = all_at_once.look(&read);
            prop_assert_eq!(&judged.holes, &expected.holes);
            prop_assert_eq!(judged.complete_through, expected.complete_through);
            prop_assert_eq!(&kept.stretches, &all_at_once.stretches);
            prop_assert_eq!(&kept.links, &all_at_once.links);
        }

        #[test]
        fn the_holes_name_exactly_what_is_missing_and_without_holes_the_data_reaches_to_the_end((chain, known, _) in history()) {
            let digests: BTreeSet<usize> = known.iter().filter_map(|known| match known { Known::Digest(at) => Some(*at), Known::File(_) => None }).collect();
            let read: BTreeSet<String> = known.iter().filter_map(|known| match known { Known::File(file) => Some(file.clone()), Known::Digest(_) => None }).collect();
            let mut kept = Kept { links: digests.iter().map(|at| (chain[*at].uri.clone(), chain[*at].clone())).collect(), ..Kept::default() };
            let judged = kept.look(&read);
            let missing: BTreeSet<String> = judged.holes.iter().flat_map(|hole| hole.missing.clone()).collect();
            let files = digests.iter().flat_map(|at| chain[*at].unread.clone()).filter(|file| !read.contains(file));
            let first = digests.first().copied();
            let before = digests.iter().filter(|at| Some(**at) != first).filter_map(|at| chain[*at].previous.clone());
            let before = before.filter(|uri| !digests.iter().any(|at| chain[*at].uri == *uri));
            let expected: BTreeSet<String> = files.chain(before).collect();
            prop_assert_eq!(&missing, &expected);
            if missing.is_empty() {
                prop_assert_eq!(judged.complete_through, digests.last().map(|at| chain[*at].end));
            }
        }
    }
}
