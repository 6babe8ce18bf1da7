//! Going through a long timeline, second by second, by several threads at once.

use std::num::NonZeroUsize;
use std::ops::Range;

use cloudigrade_pipeline::threads;

use super::FoldError;
use super::timeline::{Change, Level, Sizes};

/// Threads that go through one timeline at once, at most.
const THREADS_MAX: usize = 8;
/// Seconds whose sums are written at a time: few enough that they stay in the processor's second-level cache.
pub(super) const SPAN_SECONDS: usize = 1 << SPAN_SECONDS_LOG2;
const SPAN_SECONDS_LOG2: u32 = 14;

/// How many threads go through a long timeline.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX)
}

/// Calls `hold` with the level of each of a period's `seconds`, ascending for each thread, which has a `seen` of its own. Gives those, the
/// earliest first, or [`FoldError::NoThread`]. `summed` are the changes that are summed by second, if there are any, and `changes` the others.
pub(super) fn sweep_divided<S: Send>(
    seconds: u32,
    summed: &mut [Level],
    changes: &[Change],
    sizes: &Sizes,
    threads: usize,
    seen: impl Fn() -> S,
    hold: impl Fn(&mut S, u32, &Level) + Sync,
) -> Result<Vec<S>, FoldError> {
    let stretch = (seconds as usize).div_ceil(SPAN_SECONDS).div_ceil(threads) * SPAN_SECONDS;
    let mut sums: Vec<&mut [Level]> = summed.chunks_mut(stretch).collect();
    sums.resize_with((seconds as usize).div_ceil(stretch), Default::default);
    let stretches = sums.into_iter().enumerate().map(|(at, sums)| {
        let seconds = (at * stretch) as u32..((at + 1) * stretch).min(seconds as usize) as u32;
        move || Stretch::of(seconds, sums, changes, sizes)
    });
    // A thread begins with the level that all changes before its seconds add up to.
    let mut level = Level::default();
    let sweeps = on_threads(stretches)?.into_iter().map(|stretch| {
        let (mut seen, from) = (seen(), level);
        level.add_level(&stretch.change);
        let hold = &hold;
        move || {
            stretch.sweep(from, sizes, |second, level| hold(&mut seen, second, level));
            seen
        }
    });
    on_threads(sweeps)
}

fn on_threads<T: Send>(works: impl Iterator<Item = impl FnOnce() -> T + Send>) -> Result<Vec<T>, FoldError> {
    threads::on_threads("sweep", works).map_err(|error| FoldError::NoThread { cause: error.to_string() })
}

/// The changes of some of a period's seconds.
struct Stretch<'a> {
    seconds: Range<u32>,
    /// Those that are summed, by second; empty where none is.
    sums: &'a mut [Level],
    spans: Spans,
    /// What all of them add up to.
    change: Level,
}

impl<'a> Stretch<'a> {
    fn of(seconds: Range<u32>, sums: &'a mut [Level], changes: &[Change], sizes: &Sizes) -> Self {
        let spans = Spans::of(changes, &seconds);
        let mut change = Level::default();
        spans.changes.iter().for_each(|one| change.add(one.sign(), sizes.list[one.size() as usize]));
        sums.iter().for_each(|sum| change.add_level(sum));
        Self { seconds, sums, spans, change }
    }

    /// Calls `hold` with the level of each second. Before the first of them it is `level`.
    fn sweep(self, mut level: Level, sizes: &Sizes, mut hold: impl FnMut(u32, &Level)) {
        let mut second = self.seconds.start;
        let mut sums_of_span = vec![Level::default(); SPAN_SECONDS.min(self.seconds.len())];
        for (start, changes) in (0..self.seconds.len()).step_by(SPAN_SECONDS).zip(self.spans.iter()) {
            let end = (start + SPAN_SECONDS).min(self.seconds.len());
            let sums = match self.sums.get_mut(start..end) {
                Some(sums) => sums,
                None => {
                    sums_of_span.fill(Level::default());
                    &mut sums_of_span[..end - start]
                }
            };
            add_changes(sums, changes, sizes);
            for change in sums {
                level.add_level(change);
                hold(second, &level);
                second += 1;
            }
        }
    }
}

/// Changes in the order of the spans of [`SPAN_SECONDS`] that they lie in.
pub(super) struct Spans {
    changes: Vec<Change>,
    /// Where each span ends in `changes`.
    ends: Vec<usize>,
}

impl Spans {
    /// The changes of some seconds, which begin with a span.
    pub(super) fn of(changes: &[Change], seconds: &Range<u32>) -> Self {
        let first = seconds.start >> SPAN_SECONDS_LOG2;
        let span_of = |change: &Change| ((change.second() >> SPAN_SECONDS_LOG2) - first) as usize;
        let inside = || changes.iter().filter(|change| seconds.contains(&change.second()));
        let mut ends = vec![0_usize; seconds.len().div_ceil(SPAN_SECONDS)];
        inside().for_each(|change| ends[span_of(change)] += 1);
        let mut at = 0;
        for end in &mut ends {
            (*end, at) = (at, at + *end);
        }
        // Each entry of `ends` is where its span begins; filling moves it to where the span ends.
        let mut by_span = vec![Change(0); at];
        for change in inside() {
            let slot = &mut ends[span_of(change)];
            by_span[*slot] = *change;
            *slot += 1;
        }
        Self { changes: by_span, ends }
    }

    /// The changes of each span.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[Change]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.changes[start..*end])
    }
}

/// Adds a span's changes to its sums.
pub(super) fn add_changes(sums: &mut [Level], changes: &[Change], sizes: &Sizes) {
    for change in changes {
        let second = change.second() as usize % SPAN_SECONDS;
        sums[second].add(change.sign(), sizes.list[change.size() as usize]);
    }
}
