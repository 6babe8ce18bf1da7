//! The peaks: how many instances ran at once in each bucket, at most, and how large they were together.

use arrow::datatypes::{DataType, Field};

use super::bytes::Reader;
use super::pieces::Piece;
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

    #[inline]
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

    fn finish(&self, group: Timeline, row: &mut dyn FnMut(usize, &[Option<i64>])) {
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
        let (mut bucket, mut peak) = (0, Peak::default());
        let starts = edges[..edges.len() - 1].iter().copied();
        group.sweep(self.seconds(), &self.sizes, starts, |second, level| {
            // Every bucket's first second is a stop, so a sweep never jumps over a bucket.
            if second == edges[bucket + 1] {
                emit(bucket, &peak);
                (bucket, peak) = (bucket + 1, Peak::default());
            }
            peak.see(second, level);
        });
        emit(bucket, &peak);
    }

    fn heap_bytes(group: &Timeline) -> usize {
        group.heap_bytes()
    }

    fn take_growth(&mut self) -> usize {
        std::mem::take(&mut self.growth)
    }
}
