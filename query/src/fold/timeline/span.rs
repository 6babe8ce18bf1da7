//! The changes of a part of a period that is short enough for the sums of its seconds to stay in the processor's second-level cache.

use std::iter::Peekable;

use super::{Change, FoldError, Level, Reader, Sizes, push_counted, put_i64, put_u32, sweep_sorted};

/// Seconds of a span; the last of a period has fewer.
pub(super) const SPAN_SECONDS: usize = 1 << (u32::BITS - SECOND_SHIFT);
/// Changes of a span that are kept beside its sums, at most: until then they take less memory than the sums do.
const RECENT_MAX: usize = 2 * SPAN_SECONDS;
/// As long as a span has fewer changes than one in so many seconds, sorting them is faster than going through the seconds.
const SORT_BELOW_ONE_IN: usize = 16;

/// One start or end, in one word: second of the span (14 bits), whether it is an end (1), number of the size (17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Brief(u32);

const SECOND_SHIFT: u32 = 18;
const IS_END: u32 = 1 << 17;
/// Numbers of sizes that fit; there are some thousand sizes.
const SIZES_MAX: u32 = IS_END;

impl Brief {
    fn of(change: Change) -> Self {
        let second = change.second() % SPAN_SECONDS as u32;
        Self(second << SECOND_SHIFT | if change.is_end() { IS_END } else { 0 } | change.size())
    }

    fn second(self) -> usize {
        (self.0 >> SECOND_SHIFT) as usize
    }

    fn sign(self) -> i64 {
        if self.0 & IS_END == 0 { 1 } else { -1 }
    }

    fn size(self) -> u32 {
        self.0 & (SIZES_MAX - 1)
    }
}

/// The changes of one span.
#[derive(Debug)]
pub(super) struct Span {
    /// The second of the period at which it begins.
    start: u32,
    /// How many seconds it has.
    seconds: usize,
    /// The sum of the changes of each second; empty as long as there are few.
    sums: Vec<Level>,
    /// The changes that are not summed yet, in any order.
    recent: Vec<Brief>,
}

/// How many spans a period has.
pub(super) fn count(seconds: u32) -> usize {
    (seconds as usize).div_ceil(SPAN_SECONDS)
}

/// All spans of a period.
pub(super) fn all(seconds: u32) -> Vec<Span> {
    let seconds = seconds as usize;
    let span = |start| Span { start: start as u32, seconds: SPAN_SECONDS.min(seconds - start), sums: Vec::new(), recent: Vec::new() };
    (0..seconds).step_by(SPAN_SECONDS).map(span).collect()
}

impl Span {
    #[inline]
    pub(super) fn push(&mut self, change: Change, sizes: &Sizes, growth: &mut usize) {
        if change.size() >= SIZES_MAX {
            return self.add_to_sums(change, sizes, growth);
        }
        push_counted(&mut self.recent, Brief::of(change), growth);
        if self.recent.len() >= RECENT_MAX {
            self.sum_up(sizes, growth);
        }
    }

    #[cold]
    fn add_to_sums(&mut self, change: Change, sizes: &Sizes, growth: &mut usize) {
        self.make_sums(growth);
        self.sums[change.second() as usize % SPAN_SECONDS].add(change.sign(), sizes.list[change.size() as usize]);
    }

    #[cold]
    fn sum_up(&mut self, sizes: &Sizes, growth: &mut usize) {
        self.make_sums(growth);
        add_changes(&mut self.sums, &self.recent, sizes);
        self.recent.clear();
    }

    fn make_sums(&mut self, growth: &mut usize) {
        if self.sums.is_empty() {
            self.sums = vec![Level::default(); self.seconds];
            *growth += self.sums.capacity() * size_of::<Level>();
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.sums.capacity() * size_of::<Level>() + self.recent.capacity() * size_of::<Brief>()
    }

    /// How much there is to go over.
    pub(super) fn weight(&self) -> usize {
        self.recent.len() + if self.is_dense() { self.seconds } else { 0 }
    }

    fn is_dense(&self) -> bool {
        !self.sums.is_empty() || self.recent.len() >= SPAN_SECONDS / SORT_BELOW_ONE_IN
    }

    pub(super) fn encoded_bytes(&self) -> usize {
        2 * size_of::<u32>() + size_of_val(self.sums.as_slice()) + size_of_val(self.recent.as_slice())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.sums.len() as u32);
        for level in &self.sums {
            for part in [level.instances, level.vcpu, level.memory_mib] {
                put_i64(out, part);
            }
        }
        put_u32(out, self.recent.len() as u32);
        self.recent.iter().for_each(|change| put_u32(out, change.0));
    }

    /// Takes in what [`Self::encode`] wrote of the same span; `numbers` are the numbers here of the sizes that it names.
    pub(super) fn merge(&mut self, from: &mut Reader<'_>, numbers: &[u32], sizes: &Sizes, growth: &mut usize) -> Result<(), FoldError> {
        let sums = from.u32()? as usize;
        if sums > 0 {
            if sums != self.seconds {
                return Err(FoldError::NotAState);
            }
            let others = from.items::<24>(sums)?;
            self.make_sums(growth);
            for (level, bytes) in self.sums.iter_mut().zip(others) {
                let mut parts = Reader::new(bytes);
                level.add_level(&Level { instances: parts.i64()?, vcpu: parts.i64()?, memory_mib: parts.i64()? });
            }
        }
        let count = from.u32()? as usize;
        let changes = from.items::<4>(count)?;
        let before = self.recent.capacity();
        self.recent.reserve(count);
        *growth += (self.recent.capacity() - before) * size_of::<Brief>();
        for bytes in changes {
            let change = Brief(u32::from_le_bytes(*bytes));
            let number = numbers.get(change.size() as usize).filter(|_| change.second() < self.seconds).ok_or(FoldError::NotAState)?;
            self.push(Change::new(self.start + change.second() as u32, change.sign() < 0, *number), sizes, growth);
        }
        Ok(())
    }

    /// Goes over the span; see [`super::Part::sweep`]. `sums` is room for the sums of a span.
    pub(super) fn sweep(
        &mut self,
        level: &mut Level,
        sums: &mut Vec<Level>,
        sizes: &Sizes,
        stops: &mut Peekable<impl Iterator<Item = u32>>,
        hold: &mut impl FnMut(u32, &Level),
    ) {
        let (start, end) = (self.start, self.start + self.seconds as u32);
        if !self.is_dense() {
            self.recent.sort_unstable();
            let changes = self.recent.iter().map(|change| (start + change.second() as u32, change.sign(), change.size()));
            return sweep_sorted(level, changes, end, sizes, stops, hold);
        }
        if self.sums.is_empty() {
            sums.clear();
            sums.resize(self.seconds, Level::default());
        }
        let sums = if self.sums.is_empty() { sums } else { &mut self.sums };
        add_changes(sums, &self.recent, sizes);
        for (second, change) in (start..end).zip(sums) {
            level.add_level(change);
            hold(second, level);
        }
        while stops.next_if(|stop| *stop < end).is_some() {}
    }
}

/// Adds a span's changes to its sums.
fn add_changes(sums: &mut [Level], changes: &[Brief], sizes: &Sizes) {
    for change in changes {
        sums[change.second()].add(change.sign(), sizes.list[change.size() as usize]);
    }
}
