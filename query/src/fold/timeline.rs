//! The changes of a level over the seconds of a period.
//!
//! Ends count before starts at one second, so the level during a second is what all changes up to and including it add up to, in
//! whatever order they are applied.

use std::collections::HashMap;

use super::bytes::{Reader, put_i64, put_u32, put_u64};
use super::pieces::Size;
use super::{FoldError, push_counted};

/// The sizes of instances by number, so that a change fits one word. Number 0 is the size that is not known.
#[derive(Debug)]
pub(crate) struct Sizes {
    list: Vec<Option<Size>>,
    numbers: HashMap<Option<Size>, u32>,
    last: (Option<Size>, u32),
}

impl Default for Sizes {
    fn default() -> Self {
        Self { list: vec![None], numbers: HashMap::from([(None, 0)]), last: (None, 0) }
    }
}

impl Sizes {
    #[inline]
    pub(crate) fn number_of(&mut self, size: Option<Size>) -> u32 {
        if self.last.0 != size {
            self.last = (size, self.look_up(size));
        }
        self.last.1
    }

    fn look_up(&mut self, size: Option<Size>) -> u32 {
        *self.numbers.entry(size).or_insert_with(|| {
            self.list.push(size);
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
    #[inline]
    fn add(&mut self, sign: i64, size: Option<Size>) {
        let Size { vcpu, memory_mib } = size.unwrap_or(Size { vcpu: 0, memory_mib: 0 });
        self.add_level(&Self { instances: sign, vcpu: sign * vcpu, memory_mib: sign * memory_mib });
    }

    #[inline]
    fn add_level(&mut self, other: &Self) {
        // Sizes are below 2^31, so 2^32 instances fit.
        self.instances += other.instances;
        self.vcpu += other.vcpu;
        self.memory_mib += other.memory_mib;
    }
}

/// One start or end, in one word: second of the period (32 bits), whether it is an end (1), number of the size (31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change(u64);

const IS_END: u64 = 1 << 31;

impl Change {
    fn new(second: u32, is_end: bool, size: u32) -> Self {
        Self(u64::from(second) << 32 | if is_end { IS_END } else { 0 } | u64::from(size))
    }

    fn second(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn sign(self) -> i64 {
        if self.0 & IS_END == 0 { 1 } else { -1 }
    }

    fn size(self) -> u32 {
        (self.0 & (IS_END - 1)) as u32
    }

    fn with_size(self, size: u32) -> Self {
        Self(self.0 & !(IS_END - 1) | u64::from(size))
    }
}

/// The changes of one group.
#[derive(Debug)]
pub(crate) enum Timeline {
    /// Each change by itself, in any order.
    Sparse(Vec<Change>),
    /// The sum of the changes of each second of the period.
    Dense(Vec<Level>),
}

impl Default for Timeline {
    fn default() -> Self {
        Self::Sparse(Vec::new())
    }
}

const SPARSE: u32 = 0;
const DENSE: u32 = 1;

impl Timeline {
    /// Takes in that an instance ran from second `start` on, to second `end` if that lies in the period of `seconds`.
    #[inline]
    pub(crate) fn add(&mut self, start: u32, end: u32, seconds: u32, size: Option<Size>, sizes: &mut Sizes, growth: &mut usize) {
        match self {
            Self::Sparse(changes) => {
                let number = sizes.number_of(size);
                push_counted(changes, Change::new(start, false, number), growth);
                if end < seconds {
                    push_counted(changes, Change::new(end, true, number), growth);
                }
                self.densify(seconds, sizes, growth);
            }
            Self::Dense(levels) => {
                levels[start as usize].add(1, size);
                if end < seconds {
                    levels[end as usize].add(-1, size);
                }
            }
        }
    }

    /// Sums the changes by second once that takes not much more memory than keeping them: it bounds a group, and spares a sort.
    fn densify(&mut self, seconds: u32, sizes: &Sizes, growth: &mut usize) {
        let Self::Sparse(changes) = self else { return };
        if 2 * changes.len() * size_of::<Change>() < seconds as usize * size_of::<Level>() {
            return;
        }
        let mut levels = vec![Level::default(); seconds as usize];
        for change in changes.iter() {
            levels[change.second() as usize].add(change.sign(), sizes.list[change.size() as usize]);
        }
        let freed = changes.capacity() * size_of::<Change>();
        *growth = (*growth + levels.capacity() * size_of::<Level>()).saturating_sub(freed);
        *self = Self::Dense(levels);
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Sparse(changes) => changes.capacity() * size_of::<Change>(),
            Self::Dense(levels) => levels.capacity() * size_of::<Level>(),
        }
    }

    /// Writes the changes with the sizes that they name, numbered anew.
    pub(crate) fn encode(&self, sizes: &Sizes, out: &mut Vec<u8>) {
        match self {
            Self::Sparse(changes) => {
                put_u32(out, SPARSE);
                put_u32(out, changes.len() as u32);
                let mut local = vec![u32::MAX; sizes.list.len()];
                let mut named = Vec::new();
                for change in changes {
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
            Self::Dense(levels) => {
                put_u32(out, DENSE);
                put_u32(out, levels.len() as u32);
                for level in levels {
                    for part in [level.instances, level.vcpu, level.memory_mib] {
                        put_i64(out, part);
                    }
                }
            }
        }
    }

    pub(crate) fn merge(&mut self, from: &mut Reader<'_>, seconds: u32, sizes: &mut Sizes, growth: &mut usize) -> Result<(), FoldError> {
        match from.u32()? {
            SPARSE => self.merge_sparse(from, seconds, sizes, growth),
            DENSE => self.merge_dense(from, seconds, sizes, growth),
            _ => Err(FoldError::NotAState),
        }
    }

    fn merge_sparse(&mut self, from: &mut Reader<'_>, seconds: u32, sizes: &mut Sizes, growth: &mut usize) -> Result<(), FoldError> {
        let count = from.u32()? as usize;
        let changes = from.items::<8>(count)?;
        let numbers = (0..from.u32()?)
            .map(|_| {
                let (vcpu, memory_mib) = (from.i64()?, from.i64()?);
                Ok(sizes.number_of((vcpu >= 0).then_some(Size { vcpu, memory_mib })))
            })
            .collect::<Result<Vec<_>, FoldError>>()?;
        let mut changes = changes.iter().map(|bytes| {
            let change = Change(u64::from_le_bytes(*bytes));
            let number = numbers.get(change.size() as usize).copied();
            number.filter(|_| change.second() < seconds).map(|number| change.with_size(number)).ok_or(FoldError::NotAState)
        });
        match self {
            Self::Sparse(held) => {
                let before = held.capacity();
                held.reserve(count);
                changes.try_for_each(|change| change.map(|change| held.push(change)))?;
                *growth += (held.capacity() - before) * size_of::<Change>();
                self.densify(seconds, sizes, growth);
            }
            Self::Dense(levels) => changes.try_for_each(|change| {
                change.map(|change| levels[change.second() as usize].add(change.sign(), sizes.list[change.size() as usize]))
            })?,
        }
        Ok(())
    }

    fn merge_dense(&mut self, from: &mut Reader<'_>, seconds: u32, sizes: &Sizes, growth: &mut usize) -> Result<(), FoldError> {
        let count = from.u32()? as usize;
        if count != seconds as usize {
            return Err(FoldError::NotAState);
        }
        let others = from.items::<24>(count)?;
        let mut levels = match std::mem::take(self) {
            Self::Dense(levels) => levels,
            Self::Sparse(changes) => {
                let mut levels = vec![Level::default(); count];
                changes.iter().for_each(|c| levels[c.second() as usize].add(c.sign(), sizes.list[c.size() as usize]));
                *growth += levels.capacity() * size_of::<Level>();
                levels
            }
        };
        for (level, bytes) in levels.iter_mut().zip(others) {
            let mut parts = Reader::new(bytes);
            level.add_level(&Level { instances: parts.i64()?, vcpu: parts.i64()?, memory_mib: parts.i64()? });
        }
        *self = Self::Dense(levels);
        Ok(())
    }

    /// Calls `hold` with each level and the second from which on it held, ascending: at every second of `stops` (ascending), and
    /// at those between at which something changed.
    pub(crate) fn sweep(self, sizes: &Sizes, stops: impl Iterator<Item = u32>, mut hold: impl FnMut(u32, &Level)) {
        let mut level = Level::default();
        match self {
            Self::Dense(levels) => {
                for (second, change) in levels.iter().enumerate() {
                    level.add_level(change);
                    hold(second as u32, &level);
                }
            }
            Self::Sparse(mut changes) => {
                changes.sort_unstable();
                let mut changes = changes.into_iter().peekable();
                let mut stops = stops.peekable();
                loop {
                    let second = match (changes.peek().map(|change| change.second()), stops.peek().copied()) {
                        (Some(change), Some(stop)) => change.min(stop),
                        (Some(second), None) | (None, Some(second)) => second,
                        (None, None) => return,
                    };
                    while let Some(change) = changes.next_if(|change| change.second() == second) {
                        level.add(change.sign(), sizes.list[change.size() as usize]);
                    }
                    stops.next_if_eq(&second);
                    hold(second, &level);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECONDS: u32 = 100;

    /// A piece of a run: start, end, vCPU (0 stands for an unknown size).
    type Run = (u32, u32, i64);

    fn size(vcpu: i64) -> Option<Size> {
        (vcpu > 0).then_some(Size { vcpu, memory_mib: vcpu * 1000 })
    }

    /// The level of each second, by way of timelines of each part that are encoded and merged.
    fn levels(parts: &[Vec<Run>]) -> (bool, Vec<Level>) {
        let (mut merged, mut sizes, mut growth) = (Timeline::default(), Sizes::default(), 0);
        for part in parts {
            let (mut timeline, mut own_sizes) = (Timeline::default(), Sizes::default());
            for (start, end, vcpu) in part {
                timeline.add(*start, *end, SECONDS, size(*vcpu), &mut own_sizes, &mut growth);
            }
            let mut bytes = Vec::new();
            timeline.encode(&own_sizes, &mut bytes);
            merged.merge(&mut Reader::new(&bytes), SECONDS, &mut sizes, &mut growth).unwrap();
        }
        let is_dense = matches!(merged, Timeline::Dense(_));
        let mut levels = Vec::new();
        merged.sweep(&sizes, 0..SECONDS, |second, level| {
            assert_eq!(second as usize, levels.len());
            levels.push(*level);
        });
        (is_dense, levels)
    }

    fn naive(parts: &[Vec<Run>]) -> Vec<Level> {
        let level = |second: u32| {
            let mut level = Level::default();
            for (_, _, vcpu) in parts.iter().flatten().filter(|(start, end, _)| *start <= second && second < *end) {
                level.add(1, size(*vcpu));
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
        }

        #[test]
        fn many_changes_are_summed_and_give_the_same_levels(parts in parts(200)) {
            prop_assert_eq!(levels(&parts).1, naive(&parts));
        }
    }

    #[test]
    fn a_timeline_of_many_changes_is_no_larger_than_its_seconds() {
        let many = vec![(3, 50, 2); 1000];
        let (is_dense, found) = levels(&[many.clone(), vec![(0, 1, 0)], many.clone()]);
        assert!(is_dense);
        assert_eq!(found, naive(&[many.clone(), vec![(0, 1, 0)], many]));
    }

    #[test]
    fn bytes_that_are_no_state_are_refused() {
        for bytes in [&[9_u8, 0, 0, 0][..], &[], &[0, 0, 0, 0, 255, 255, 255, 255], &[1, 0, 0, 0, 1, 0, 0, 0]] {
            let merged = Timeline::default().merge(&mut Reader::new(bytes), SECONDS, &mut Sizes::default(), &mut 0);
            assert_eq!(merged, Err(FoldError::NotAState));
        }
    }
}
