//! The changes of a level over the seconds of a period.
//!
//! Ends count before starts at one second, so the level during a second is what all changes up to and including it add up to, in
//! whatever order they are applied.

mod span;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::iter::Peekable;

use self::span::{SPAN_SECONDS, Span};
use super::bytes::{Reader, put_i64, put_u32, put_u64};
use super::pieces::Size;
use super::{FoldError, push_counted};

/// Sizes whose numbers are at hand without hashing; a power of two.
const SIZES_AT_HAND: usize = 128;

/// The sizes of instances by number, so that a change fits one word. Number 0 is the size that is not known.
#[derive(Debug)]
pub(crate) struct Sizes {
    list: Vec<Option<Size>>,
    numbers: HashMap<Option<Size>, u32>,
    /// Each size that was asked for last of those that share its place.
    at_hand: Vec<(Option<Size>, u32)>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { list: vec![None], numbers: HashMap::from([(None, 0)]), at_hand: vec![(None, 0); SIZES_AT_HAND] }
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
    pub(crate) fn add_level(&mut self, other: &Self) {
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

    fn span(self) -> usize {
        self.second() as usize / SPAN_SECONDS
    }

    fn is_end(self) -> bool {
        self.0 & IS_END != 0
    }

    fn sign(self) -> i64 {
        if self.is_end() { -1 } else { 1 }
    }

    fn size(self) -> u32 {
        (self.0 & (IS_END - 1)) as u32
    }

    fn with_size(self, size: u32) -> Self {
        Self(self.0 & !(IS_END - 1) | u64::from(size))
    }
}

/// As long as a group has fewer changes than this for each span, they are kept in one list.
const FEW_PER_SPAN: usize = 16;
/// In an encoded timeline: its few changes follow.
const FEW: u32 = 0;
/// In an encoded timeline: its spans follow.
const SPANS: u32 = 1;

/// The changes of one group.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// The changes, in any order, as long as they are few.
    few: Vec<Change>,
    /// The changes by the part of the period that they lie in; empty as long as they are few.
    spans: Vec<Span>,
}

impl Timeline {
    /// Takes in that an instance ran from second `start` on, to second `end` if that lies in the period of `seconds`.
    #[inline]
    pub(crate) fn add(&mut self, start: u32, end: u32, seconds: u32, size: Option<Size>, sizes: &mut Sizes, growth: &mut usize) {
        let number = sizes.number_of(size);
        self.push(Change::new(start, false, number), seconds, sizes, growth);
        if end < seconds {
            self.push(Change::new(end, true, number), seconds, sizes, growth);
        }
    }

    #[inline]
    fn push(&mut self, change: Change, seconds: u32, sizes: &Sizes, growth: &mut usize) {
        if let Some(span) = self.spans.get_mut(change.span()) {
            return span.push(change, sizes, growth);
        }
        push_counted(&mut self.few, change, growth);
        if self.few.len() >= FEW_PER_SPAN * span::count(seconds) {
            self.divide(seconds, sizes, growth);
        }
    }

    /// Keeps the changes by span from now on.
    #[cold]
    fn divide(&mut self, seconds: u32, sizes: &Sizes, growth: &mut usize) {
        if self.spans.is_empty() {
            self.spans = span::all(seconds);
            *growth += self.spans.capacity() * size_of::<Span>();
        }
        for change in self.few.drain(..) {
            self.spans[change.span()].push(change, sizes, growth);
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let of_spans = self.spans.capacity() * size_of::<Span>() + self.spans.iter().map(Span::heap_bytes).sum::<usize>();
        self.few.capacity() * size_of::<Change>() + of_spans
    }

    /// Writes the changes, with the sizes that they name.
    pub(crate) fn encode(&self, sizes: &Sizes, out: &mut Vec<u8>) {
        if self.spans.is_empty() {
            return self.encode_few(sizes, out);
        }
        put_u32(out, SPANS);
        put_sizes(out, &sizes.list);
        put_u32(out, self.spans.len() as u32);
        out.reserve(self.spans.iter().map(Span::encoded_bytes).sum());
        self.spans.iter().for_each(|span| span.encode(out));
    }

    /// Groups are many where they have few changes: only the sizes that are named are written, numbered anew.
    fn encode_few(&self, sizes: &Sizes, out: &mut Vec<u8>) {
        put_u32(out, FEW);
        put_u32(out, self.few.len() as u32);
        let mut named: Vec<(u32, u32)> = Vec::new();
        for change in &self.few {
            let known = named.iter().find(|(size, _)| *size == change.size()).copied();
            let (_, number) = known.unwrap_or_else(|| {
                named.push((change.size(), named.len() as u32));
                (0, named.len() as u32 - 1)
            });
            put_u64(out, change.with_size(number).0);
        }
        put_sizes(out, &named.iter().map(|(size, _)| sizes.list[*size as usize]).collect::<Vec<_>>());
    }

    pub(crate) fn merge(&mut self, from: &mut Reader<'_>, seconds: u32, sizes: &mut Sizes, growth: &mut usize) -> Result<(), FoldError> {
        match from.u32()? {
            FEW => {
                let count = from.u32()? as usize;
                let changes = from.items::<8>(count)?;
                let numbers = read_sizes(from, sizes)?;
                for bytes in changes {
                    let change = Change(u64::from_le_bytes(*bytes));
                    let number = numbers.get(change.size() as usize).filter(|_| change.second() < seconds).ok_or(FoldError::NotAState)?;
                    self.push(change.with_size(*number), seconds, sizes, growth);
                }
                Ok(())
            }
            SPANS => {
                let numbers = read_sizes(from, sizes)?;
                if from.u32()? as usize != span::count(seconds) {
                    return Err(FoldError::NotAState);
                }
                self.divide(seconds, sizes, growth);
                self.spans.iter_mut().try_for_each(|span| span.merge(from, &numbers, sizes, growth))
            }
            _ => Err(FoldError::NotAState),
        }
    }

    /// The timeline in parts that follow each other, so that threads can go over them at the same time: `most` of them, or fewer so that each
    /// has `weight_min` changes and seconds to go over.
    pub(crate) fn parts(&mut self, most: usize, weight_min: usize) -> Vec<Part<'_>> {
        if self.spans.is_empty() {
            self.few.sort_unstable();
            return vec![Part { start: 0, few: &self.few, spans: &mut [] }];
        }
        let weight: usize = self.spans.iter().map(Span::weight).sum();
        let share = self.spans.len().div_ceil((weight / weight_min.max(1)).clamp(1, most.max(1)));
        let parts = self.spans.chunks_mut(share).enumerate();
        parts.map(|(number, spans)| Part { start: (number * share * SPAN_SECONDS) as u32, few: &[], spans }).collect()
    }
}

/// A part of a timeline.
pub(crate) struct Part<'t> {
    /// The second of the period at which it begins.
    pub(crate) start: u32,
    /// All changes, in their order, if there are no spans.
    few: &'t [Change],
    spans: &'t mut [Span],
}

impl Part<'_> {
    /// Calls `hold` with each level, as if it had been zero before this part, and the second from which on it held, ascending: at every
    /// second of `stops` (ascending) that lies in this part, and at those between at which something changed; where there is much to tell, at
    /// every second. Returns the level at the end.
    pub(crate) fn sweep(self, sizes: &Sizes, stops: impl Iterator<Item = u32>, mut hold: impl FnMut(u32, &Level)) -> Level {
        let (mut level, mut stops) = (Level::default(), stops.skip_while(|stop| *stop < self.start).peekable());
        if self.spans.is_empty() {
            let changes = self.few.iter().map(|change| (change.second(), change.sign(), change.size()));
            sweep_sorted(&mut level, changes, u32::MAX, sizes, &mut stops, &mut hold);
        }
        let mut sums = Vec::new();
        for span in self.spans {
            span.sweep(&mut level, &mut sums, sizes, &mut stops, &mut hold);
        }
        level
    }
}

/// Goes over changes in their order (second, sign, number of the size), and the stops before `end`.
fn sweep_sorted(
    level: &mut Level,
    changes: impl Iterator<Item = (u32, i64, u32)>,
    end: u32,
    sizes: &Sizes,
    stops: &mut Peekable<impl Iterator<Item = u32>>,
    hold: &mut impl FnMut(u32, &Level),
) {
    let mut changes = changes.peekable();
    loop {
        let stop = stops.peek().copied().filter(|stop| *stop < end);
        let second = match (changes.peek().map(|(second, ..)| *second), stop) {
            (Some(change), Some(stop)) => change.min(stop),
            (Some(second), None) | (None, Some(second)) => second,
            (None, None) => return,
        };
        while let Some((_, sign, size)) = changes.next_if(|(at, ..)| *at == second) {
            level.add(sign, sizes.list[size as usize]);
        }
        stops.next_if_eq(&second);
        hold(second, level);
    }
}

fn put_sizes(out: &mut Vec<u8>, sizes: &[Option<Size>]) {
    put_u32(out, sizes.len() as u32);
    for size in sizes {
        let Size { vcpu, memory_mib } = size.unwrap_or(Size { vcpu: -1, memory_mib: -1 });
        put_i64(out, vcpu);
        put_i64(out, memory_mib);
    }
}

/// Reads what [`put_sizes`] wrote: the numbers of these sizes here.
fn read_sizes(from: &mut Reader<'_>, sizes: &mut Sizes) -> Result<Vec<u32>, FoldError> {
    let count = from.u32()?;
    let read = |_| {
        let (vcpu, memory_mib) = (from.i64()?, from.i64()?);
        Ok(sizes.number_of((vcpu >= 0).then_some(Size { vcpu, memory_mib })))
    };
    (0..count).map(read).collect()
}
