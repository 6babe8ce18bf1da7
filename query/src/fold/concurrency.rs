//! The peaks: how many instances ran at once in each bucket, at most, and how large they were together.

use arrow::datatypes::{DataType, Field};

use super::bytes::Reader;
use super::pieces::Piece;
use super::sweep::sweep;
use super::timeline::{Level, Sizes, Timeline};
use super::{Fold, FoldError, Scope};
use crate::period::Period;
use crate::tables::contract::timestamp;

/// The fold of [`measures`](Fold::measures) `peak_instances`, `peak_at`, `peak_vcpu`, `peak_memory_mib`.
///
/// Each peak is the maximum of its own level, so the three need not be at one time; `peak_at` is the first second of the peak of
/// instances. Sizes that are not known do not count in `peak_vcpu` and `peak_memory_mib`, which are null where no size is known.
pub(crate) struct Concurrency {
    period: Period,
    every_bucket: bool,
    sizes: Sizes,
    growth: usize,
}

impl Concurrency {
    fn seconds(&self) -> u32 {
        // A period is at most a hundred years long.
        (self.period.end() - self.period.start()) as u32
    }

    fn offset(&self, second: i64) -> u32 {
        (second - self.period.start()) as u32
    }

    /// The rows of a group, from the parts of its timeline, each with the sizes that it names.
    fn finish_parts(&self, parts: Vec<(Timeline, &Sizes)>, row: &mut dyn FnMut(usize, &[Option<i64>])) -> Result<(), FoldError> {
        let edges: Vec<u32> = self.period.edges().iter().map(|edge| self.offset(*edge)).collect();
        let mut emit = |bucket: usize, peak: &Peak| {
            if peak.instances == 0 && !self.every_bucket {
                return;
            }
            let at = (self.period.start() + i64::from(peak.at)) * 1_000_000;
            // A known size is never zero.
            let known = |sum: i64| (sum > 0 || peak.instances == 0).then_some(sum);
            row(bucket, &[Some(peak.instances), (peak.instances > 0).then_some(at), known(peak.vcpu), known(peak.memory_mib)]);
        };
        let starts = edges[..edges.len() - 1].iter().copied();
        let seen = sweep(parts, self.seconds(), starts, || Peaks::of(&edges), Peaks::see)?;
        let mut peaks = seen.into_iter().flat_map(Peaks::all).peekable();
        for bucket in 0..edges.len() - 1 {
            let mut peak = Peak::default();
            // A bucket that was divided has one of each thread.
            while let Some((_, part)) = peaks.next_if(|(of, _)| *of == bucket) {
                peak.go_on(&part);
            }
            emit(bucket, &peak);
        }
        Ok(())
    }
}

/// The highest levels of one bucket.
#[derive(Clone, Copy, Default)]
struct Peak {
    instances: i64,
    at: u32,
    vcpu: i64,
    memory_mib: i64,
}

impl Peak {
    #[inline]
    fn see(&mut self, second: u32, level: &Level) {
        if level.instances > self.instances {
            (self.instances, self.at) = (level.instances, second);
        }
        self.vcpu = self.vcpu.max(level.vcpu);
        self.memory_mib = self.memory_mib.max(level.memory_mib);
    }

    /// Takes in the peak of later seconds.
    fn go_on(&mut self, later: &Self) {
        let level = Level { instances: later.instances, vcpu: later.vcpu, memory_mib: later.memory_mib };
        self.see(later.at, &level);
    }
}

/// The peaks of buckets, of the seconds that were seen.
struct Peaks<'a> {
    /// The first second of each bucket, and the end of the last.
    edges: &'a [u32],
    /// Which bucket the last second was of, and the peak there up to that second.
    bucket: usize,
    peak: Peak,
    /// Those of the buckets before it in which something ran.
    before: Vec<(usize, Peak)>,
}

impl<'a> Peaks<'a> {
    fn of(edges: &'a [u32]) -> Self {
        Self { edges, bucket: 0, peak: Peak::default(), before: Vec::new() }
    }

    /// Takes in the level of a second, which no earlier one follows.
    #[inline]
    fn see(&mut self, second: u32, level: &Level) {
        if second >= self.edges[self.bucket + 1] {
            self.turn();
            while second >= self.edges[self.bucket + 1] {
                self.bucket += 1;
            }
        }
        self.peak.see(second, level);
    }

    #[cold]
    fn turn(&mut self) {
        let peak = std::mem::take(&mut self.peak);
        if peak.instances > 0 {
            self.before.push((self.bucket, peak));
        }
    }

    /// Those of the buckets in which something ran.
    fn all(mut self) -> Vec<(usize, Peak)> {
        self.turn();
        self.before
    }
}

impl Fold for Concurrency {
    const NAME: &'static str = "concurrency_fold";
    const ARGUMENTS: usize = 6;
    type Group = Timeline;

    fn new(scope: &Scope) -> Self {
        Self { period: scope.period.clone(), every_bucket: scope.every_bucket, sizes: Sizes::default(), growth: 0 }
    }

    fn measures() -> Vec<Field> {
        vec![
            Field::new("peak_instances", DataType::Int64, false),
            Field::new("peak_at", timestamp(), true),
            Field::new("peak_vcpu", DataType::Int64, true),
            Field::new("peak_memory_mib", DataType::Int64, true),
        ]
    }

    #[inline(always)]
    fn add(&mut self, group: &mut Timeline, piece: Piece) -> Result<(), FoldError> {
        let (start, end, seconds) = (self.offset(piece.start), self.offset(piece.end), self.seconds());
        group.add(start, end, seconds, piece.size, &mut self.sizes, &mut self.growth);
        Ok(())
    }

    fn encode(&self, group: &Timeline, out: &mut Vec<u8>) {
        group.encode(&self.sizes, out);
    }

    fn merge(&mut self, group: &mut Timeline, from: &mut Reader<'_>) -> Result<(), FoldError> {
        let seconds = self.seconds();
        group.merge(from, seconds, &mut self.sizes, &mut self.growth)
    }

    fn finish(&self, group: Timeline, row: &mut dyn FnMut(usize, &[Option<i64>])) -> Result<(), FoldError> {
        self.finish_parts(vec![(group, &self.sizes)], row)
    }

    fn finish_together(
        first: (Self, Timeline),
        others: Vec<(Self, Timeline)>,
        row: &mut dyn FnMut(usize, &[Option<i64>]),
    ) -> Result<(), FoldError> {
        let (folds, groups): (Vec<Self>, Vec<Timeline>) = [first].into_iter().chain(others).unzip();
        let parts = groups.into_iter().zip(folds.iter().map(|fold| &fold.sizes)).collect();
        folds[0].finish_parts(parts, row)
    }

    fn heap_bytes(group: &Timeline) -> usize {
        group.heap_bytes()
    }

    fn take_growth(&mut self) -> usize {
        std::mem::take(&mut self.growth)
    }
}
