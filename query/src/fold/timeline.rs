//! The changes of a level over the seconds of a period.
//!
//! Ends count before starts at one second, so the level during a second is what all changes up to and including it add up to, in
//! whatever order they are applied.

use std::collections::HashMap;

use super::bytes::{Reader, put_i64, put_u32, put_u64};
use super::pieces::Size;
use super::spans::{SPAN_SECONDS, Spans, add_changes};
use super::{FoldError, push_counted};

/// Sizes whose numbers are at hand without hashing; a power of two.
const SIZES_AT_HAND: usize = 128;

/// The sizes of instances by number, so that a change fits one word. Number 0 is the size that is not known.
#[derive(Debug)]
pub(crate) struct Sizes {
    list: Vec<Option<Size>>,
    /// What a start changes and what an end changes, of each size.
    levels: Vec<Level>,
    numbers: HashMap<Option<Size>, u32>,
    /// Each size that was asked for last of those that share its place.
    at_hand: Vec<(Option<Size>, u32)>,
}

impl Default for Sizes {
    fn default() -> Self {
        let levels = Level::of_start_and_end(None).to_vec();
        Self { list: vec![None], levels, numbers: HashMap::from([(None, 0)]), at_hand: vec![(None, 0); SIZES_AT_HAND] }
    }
}

impl Sizes {
    #[inline]
    pub(crate) fn number_of(&mut self, size: Option<Size>) -> u32 {
        // Memory comes in half GiB.
        let place = size.map_or(0, |size| size.vcpu.wrapping_mul(5).wrapping_add(size.memory_mib >> 9) as usize) % SIZES_AT_HAND;
        if self.at_hand[place].0 != size {
            self.at_hand[place] = (size, self.look_up(size));
        }
        self.at_hand[place].1
    }

    #[cold]
    fn look_up(&mut self, size: Option<Size>) -> u32 {
        *self.numbers.entry(size).or_insert_with(|| {
            self.list.push(size);
            self.levels.extend(Level::of_start_and_end(size));
            self.list.len() as u32 - 1
        })
    }
}

/// How many instances run, and how large they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) instances: i64,
    pub(crate) vcpu: i64,
    pub(crate) memory_mib: i64,
}

impl Level {
    fn of_start_and_end(size: Option<Size>) -> [Self; 2] {
        let Size { vcpu, memory_mib } = size.unwrap_or(Size { vcpu: 0, memory_mib: 0 });
        [1, -1].map(|sign| Self { instances: sign, vcpu: sign * vcpu, memory_mib: sign * memory_mib })
    }

    #[inline]
    pub(super) fn add(&mut self, other: &Self) {
        // Sizes are below 2^31, so 2^32 instances fit.
        self.instances += other.instances;
        self.vcpu += other.vcpu;
        self.memory_mib += other.memory_mib;
    }
}

/// One start or end, in one word: second of the period (32 bits), number of the size (31), whether it is an end (1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change(pub(super) u64);

const IS_END: u64 = 1;

impl Change {
    fn new(second: u32, is_end: bool, size: u32) -> Self {
        Self(u64::from(second) << 32 | u64::from(size) << 1 | u64::from(is_end))
    }

    pub(super) fn second(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn size(self) -> u32 {
        self.0 as u32 >> 1
    }

    /// What it changes.
    #[inline]
    pub(super) fn level(self, sizes: &Sizes) -> &Level {
        &sizes.levels[self.0 as u32 as usize]
    }

    /// The same by the numbers of other sizes.
    pub(super) fn renumbered(self, own: &Sizes, others: &mut Sizes) -> Self {
        self.with_size(others.number_of(own.list[self.size() as usize]))
    }

    fn with_size(self, size: u32) -> Self {
        Self::new(self.second(), self.0 & IS_END != 0, size)
    }
}

/// Changes that are gathered before they are added to sums that are there already: enough for each span to get many at a time.
const RECENT_MAX: usize = 1 << 20;

/// The changes of one group.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// The sum of the changes of each second of the period; empty as long as there are few.
    pub(super) summed: Vec<Level>,
    /// The changes that are not summed yet, in any order.
    pub(super) recent: Vec<Change>,
}

impl Timeline {
    /// Takes in that an instance ran from second `start` on, to second `end` if that lies in the period of `seconds`.
    #[inline]
    pub(crate) fn add(&mut self, start: u32, end: u32, seconds: u32, size: Option<Size>, sizes: &mut Sizes, growth: &mut usize) {
        let number = sizes.number_of(size);
        push_counted(&mut self.recent, Change::new(start, false, number), growth);
        if end < seconds {
            push_counted(&mut self.recent, Change::new(end, true, number), growth);
        }
        // Once there are sums, as many as there is memory for from before: each time, all sums pass through the cache.
        self.bound(self.recent.capacity().max(RECENT_MAX), seconds, sizes, growth);
    }

    /// Sums the changes by second once that takes not much more memory than keeping them, and, where there are sums, once there are `many`: it
    /// bounds a group.
    #[inline]
    fn bound(&mut self, many: usize, seconds: u32, sizes: &Sizes, growth: &mut usize) {
        let many = if self.summed.is_empty() { seconds as usize * size_of::<Level>() / (2 * size_of::<Change>()) } else { many };
        if self.recent.len() >= many {
            self.sum_up(seconds, sizes, growth);
        }
    }

    /// Sums the recent changes, span by span: each span's sums are in the cache while its changes are added.
    #[cold]
    fn sum_up(&mut self, seconds: u32, sizes: &Sizes, growth: &mut usize) {
        self.make_sums(seconds as usize, growth);
        let spans = Spans::of(&self.recent, &(0..seconds));
        for (span, sums) in self.summed.chunks_mut(SPAN_SECONDS).enumerate() {
            add_changes(sums, spans.at(span), sizes);
        }
        self.recent.clear();
    }

    fn make_sums(&mut self, seconds: usize, growth: &mut usize) {
        if self.summed.is_empty() {
            self.summed = vec![Level::default(); seconds];
            *growth += self.summed.capacity() * size_of::<Level>();
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.recent.capacity() * size_of::<Change>() + self.summed.capacity() * size_of::<Level>()
    }

    /// Writes the sums, and the recent changes with the sizes that they name, numbered anew.
    pub(crate) fn encode(&self, sizes: &Sizes, out: &mut Vec<u8>) {
        out.reserve(size_of_val(self.summed.as_slice()) + size_of_val(self.recent.as_slice()));
        put_u32(out, self.summed.len() as u32);
        for level in &self.summed {
            for part in [level.instances, level.vcpu, level.memory_mib] {
                put_i64(out, part);
            }
        }
        put_u32(out, self.recent.len() as u32);
        let mut local = vec![u32::MAX; sizes.list.len()];
        let mut named = Vec::new();
        for change in &self.recent {
            let number = &mut local[change.size() as usize];
            if *number == u32::MAX {
                *number = named.len() as u32;
                named.push(sizes.list[change.size() as usize]);
            }
            put_u64(out, change.with_size(*number).0);
        }
        put_u32(out, named.len() as u32);
        for size in named {
            let Size { vcpu, memory_mib } = size.unwrap_or(Size { vcpu: -1, memory_mib: -1 });
            put_i64(out, vcpu);
            put_i64(out, memory_mib);
        }
    }

    pub(crate) fn merge(&mut self, from: &mut Reader<'_>, seconds: u32, sizes: &mut Sizes, growth: &mut usize) -> Result<(), FoldError> {
        let sums = from.u32()? as usize;
        if sums > 0 {
            if sums != seconds as usize {
                return Err(FoldError::NotAState);
            }
            let others = from.items::<24>(sums)?;
            self.make_sums(sums, growth);
            for (level, bytes) in self.summed.iter_mut().zip(others) {
                let mut parts = Reader::new(bytes);
                level.add(&Level { instances: parts.i64()?, vcpu: parts.i64()?, memory_mib: parts.i64()? });
            }
        }
        let count = from.u32()? as usize;
        let changes = from.items::<8>(count)?;
        let numbers = (0..from.u32()?)
            .map(|_| {
                let (vcpu, memory_mib) = (from.i64()?, from.i64()?);
                Ok(sizes.number_of((vcpu >= 0).then_some(Size { vcpu, memory_mib })))
            })
            .collect::<Result<Vec<_>, FoldError>>()?;
        let before = self.recent.capacity();
        self.recent.reserve(count);
        for bytes in changes {
            let change = Change(u64::from_le_bytes(*bytes));
            let number = numbers.get(change.size() as usize).filter(|_| change.second() < seconds).ok_or(FoldError::NotAState)?;
            self.recent.push(change.with_size(*number));
        }
        *growth += (self.recent.capacity() - before) * size_of::<Change>();
        self.bound(RECENT_MAX, seconds, sizes, growth);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sweep::{DIVIDED_FROM, sweep};
    use super::*;

    const SECONDS: u32 = 100;

    /// A piece of a run: start, end, vCPU (0 stands for an unknown size).
    type Run = (u32, u32, i64);

    fn size(vcpu: i64) -> Option<Size> {
        (vcpu > 0).then_some(Size { vcpu, memory_mib: vcpu * 1000 })
    }

    fn timelines(parts: &[Vec<Run>]) -> Vec<(Timeline, Sizes)> {
        let timeline = |part: &Vec<Run>| {
            let (mut timeline, mut sizes) = (Timeline::default(), Sizes::default());
            for (start, end, vcpu) in part {
                timeline.add(*start, *end, SECONDS, size(*vcpu), &mut sizes, &mut 0);
            }
            (timeline, sizes)
        };
        parts.iter().map(timeline).collect()
    }

    /// The level of each second, by way of timelines of each part that are encoded and merged.
    fn levels(parts: &[Vec<Run>]) -> (bool, Vec<Level>) {
        let (mut merged, mut sizes) = (Timeline::default(), Sizes::default());
        for (timeline, own_sizes) in timelines(parts) {
            let mut bytes = Vec::new();
            timeline.encode(&own_sizes, &mut bytes);
            merged.merge(&mut Reader::new(&bytes), SECONDS, &mut sizes, &mut 0).unwrap();
        }
        let is_summed = !merged.summed.is_empty();
        (is_summed, swept(vec![(merged, sizes)], SECONDS))
    }

    /// The level of each second, and that each was told once, in their order.
    fn swept(parts: Vec<(Timeline, Sizes)>, seconds: u32) -> Vec<Level> {
        let (timelines, sizes): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let parts = timelines.into_iter().zip(&sizes).collect();
        let told = sweep(parts, seconds, 0..seconds, Vec::new, |told, second, level| told.push((second, *level)));
        let told = told.unwrap();
        let told: Vec<(u32, Level)> = told.into_iter().flatten().collect();
        assert!(told.iter().map(|(second, _)| *second).eq(0..seconds));
        told.into_iter().map(|(_, level)| level).collect()
    }

    fn naive(parts: &[Vec<Run>]) -> Vec<Level> {
        let level = |second: u32| {
            let mut level = Level::default();
            for (_, _, vcpu) in parts.iter().flatten().filter(|(start, end, _)| *start <= second && second < *end) {
                level.add(&Level::of_start_and_end(size(*vcpu))[0]);
            }
            level
        };
        (0..SECONDS).map(level).collect()
    }

    fn parts(runs: usize) -> impl Strategy<Value = Vec<Vec<Run>>> {
        let run = (0..SECONDS, 1..SECONDS, 0_i64..4).prop_map(|(start, length, vcpu)| (start, (start + length).min(SECONDS), vcpu));
        prop::collection::vec(prop::collection::vec(run, 0..runs), 1..4)
    }

    proptest! {
        #[test]
        fn few_changes_give_the_level_of_every_second(parts in parts(20)) {
            prop_assert_eq!(levels(&parts), (false, naive(&parts)));
            prop_assert_eq!(swept(timelines(&parts), SECONDS), naive(&parts));
        }

        #[test]
        fn many_changes_are_summed_and_give_the_same_levels(parts in parts(200)) {
            prop_assert_eq!(levels(&parts).1, naive(&parts));
            prop_assert_eq!(swept(timelines(&parts), SECONDS), naive(&parts));
        }
    }

    #[test]
    fn a_timeline_of_many_changes_is_no_larger_than_its_seconds() {
        let many = vec![(3, 50, 2); 1000];
        let (is_summed, found) = levels(&[many.clone(), vec![(0, 1, 0)], many.clone()]);
        assert!(is_summed);
        assert_eq!(found, naive(&[many.clone(), vec![(0, 1, 0)], many]));
    }

    #[test]
    fn a_long_timeline_that_threads_go_through_gives_the_level_of_every_second() {
        // Several spans, the last of them short, and enough changes to be divided; once more than are kept unsummed.
        let seconds = 5 * SPAN_SECONDS as u32 + 7;
        for changes in [DIVIDED_FROM, 3 * RECENT_MAX] {
            let mut parts = vec![(Timeline::default(), Sizes::default()), (Timeline::default(), Sizes::default())];
            let mut expected = vec![Level::default(); seconds as usize + 1];
            for number in 0..changes as u32 {
                let (start, vcpu) = (number.wrapping_mul(2_654_435_761) % seconds, i64::from(number % 4));
                let end = (start + 1 + number % 40_000).min(seconds);
                let (timeline, sizes) = &mut parts[number as usize % 2];
                timeline.add(start, end, seconds, size(vcpu), sizes, &mut 0);
                let [on, off] = Level::of_start_and_end(size(vcpu));
                expected[start as usize].add(&on);
                expected[end as usize].add(&off);
            }
            let mut level = Level::default();
            let expected: Vec<Level> = expected[..seconds as usize]
                .iter()
                .map(|change| {
                    level.add(change);
                    level
                })
                .collect();
            assert!(swept(parts, seconds) == expected, "of {changes} changes");
        }
    }

    #[test]
    fn bytes_that_are_no_state_are_refused() {
        for bytes in [&[9_u8, 0, 0, 0][..], &[], &[0, 0, 0, 0, 255, 255, 255, 255], &[100, 0, 0, 0, 1, 0, 0, 0]] {
            let merged = Timeline::default().merge(&mut Reader::new(bytes), SECONDS, &mut Sizes::default(), &mut 0);
            assert_eq!(merged, Err(FoldError::NotAState));
        }
    }
}
