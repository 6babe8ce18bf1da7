//! The peaks: how many instances ran at once in each bucket, at most, and how large they were together.

use std::sync::{Mutex, PoisonError};
use std::thread;

use arrow::datatypes::{DataType, Field};

use super::bytes::Reader;
use super::pieces::Piece;
use super::timeline::{Level, Part, Sizes, Timeline};
use super::{Fold, FoldError, Scope};
use crate::limits::{SWEEP_THREADS_MAX, SWEEP_WEIGHT_MIN};
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

/// The highest levels of one bucket, or of a part of it.
#[derive(Clone, Copy)]
struct Peak {
    instances: i64,
    at: u32,
    vcpu: i64,
    memory_mib: i64,
}

impl Peak {
    /// Before anything was seen.
    const NONE: Self = Self { instances: i64::MIN, at: 0, vcpu: i64::MIN, memory_mib: i64::MIN };

    #[inline]
    fn see(&mut self, second: u32, level: &Level) {
        if level.instances > self.instances {
            (self.instances, self.at) = (level.instances, second);
        }
        self.vcpu = self.vcpu.max(level.vcpu);
        self.memory_mib = self.memory_mib.max(level.memory_mib);
    }

    /// Takes in a later part of the same bucket.
    fn join(&mut self, later: &Self) {
        self.see(later.at, &Level { instances: later.instances, vcpu: later.vcpu, memory_mib: later.memory_mib });
    }

    /// The same, if the levels had begun with another than zero.
    fn above(self, level: &Level) -> Self {
        let Self { instances, at, vcpu, memory_mib } = self;
        Self { instances: instances + level.instances, at, vcpu: vcpu + level.vcpu, memory_mib: memory_mib + level.memory_mib }
    }
}

/// The peaks of a part of a timeline by bucket, as if nothing had run before it, and the level at its end.
type PartPeaks = (Vec<(usize, Peak)>, Level);

impl Concurrency {
    fn peaks(&self, part: Part<'_>, edges: &[u32]) -> PartPeaks {
        let (mut peaks, mut peak) = (Vec::new(), Peak::NONE);
        let mut bucket = edges.partition_point(|edge| *edge <= part.start).saturating_sub(1);
        let starts = edges[..edges.len() - 1].iter().copied();
        let end = part.sweep(&self.sizes, starts, |second, level| {
            // Every bucket's first second is a stop, so a sweep never jumps over a bucket.
            if second == edges[bucket + 1] {
                peaks.push((bucket, peak));
                (bucket, peak) = (bucket + 1, Peak::NONE);
            }
            peak.see(second, level);
        });
        peaks.push((bucket, peak));
        // A part may begin in a bucket in which nothing changes any more.
        peaks.retain(|(_, peak)| peak.instances > i64::MIN);
        (peaks, end)
    }

    /// The peaks of all parts, in their order. Threads that cannot be started are done without.
    fn peaks_of_all(&self, parts: Vec<Part<'_>>, edges: &[u32]) -> Vec<PartPeaks> {
        let helpers = parts.len() - 1;
        let queue = Mutex::new(parts.into_iter().enumerate());
        let work = || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            std::iter::from_fn(next).map(|(number, part)| (number, self.peaks(part, edges))).collect::<Vec<_>>()
        };
        let mut done = thread::scope(|scope| {
            let start = |_| thread::Builder::new().name("sweep".to_owned()).spawn_scoped(scope, work).ok();
            let helpers: Vec<_> = (0..helpers).filter_map(start).collect();
            let mut done = work();
            for helper in helpers {
                done.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, peaks)| peaks).collect()
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

    fn finish(&self, mut group: Timeline, row: &mut dyn FnMut(usize, &[Option<i64>])) {
        let edges: Vec<u32> = self.period.edges().iter().map(|edge| self.offset(*edge)).collect();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(SWEEP_THREADS_MAX);
        let parts = self.peaks_of_all(group.parts(threads, SWEEP_WEIGHT_MIN), &edges);
        let mut before = Level::default();
        let mut peaks: Vec<(usize, Peak)> = Vec::new();
        for (of_part, end) in parts {
            for (bucket, peak) in of_part {
                let peak = peak.above(&before);
                match peaks.last_mut() {
                    Some((last, known)) if *last == bucket => known.join(&peak),
                    _ => peaks.push((bucket, peak)),
                }
            }
            before.add_level(&end);
        }
        for (bucket, peak) in peaks.iter().filter(|(_, peak)| peak.instances > 0 || self.every_bucket) {
            let at = (self.period.start() + i64::from(peak.at)) * 1_000_000;
            // A known size is never zero.
            let known = |sum: i64| (sum > 0 || peak.instances == 0).then_some(sum);
            row(*bucket, &[Some(peak.instances), (peak.instances > 0).then_some(at), known(peak.vcpu), known(peak.memory_mib)]);
        }
    }

    fn heap_bytes(group: &Timeline) -> usize {
        group.heap_bytes()
    }

    fn take_growth(&mut self) -> usize {
        std::mem::take(&mut self.growth)
    }
}
