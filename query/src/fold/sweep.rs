//! Going through a timeline, second by second.

use std::num::NonZeroUsize;
use std::ops::Range;

use cloudigrade_pipeline::threads;

use super::FoldError;
use super::spans::{SPAN_SECONDS, Spans, add_changes};
use super::timeline::{Change, Level, Sizes, Timeline};

/// As long as there are fewer changes than one in so many seconds, sorting them is faster than going through the seconds.
const SORT_BELOW_ONE_IN: usize = 16;
/// Changes and sums from which on a sweep is divided among threads: some milliseconds of work.
pub(super) const DIVIDED_FROM: usize = 1 << 19;
/// Threads that go through one timeline at once, at most.
const THREADS_MAX: usize = 8;

/// Calls `hold` with each level and the second from which on it held, ascending: at every second of `stops` (ascending), and
/// at those between at which something changed; where there is much to tell, at every one of the period's `seconds`. A long timeline is
/// gone through by several threads, each with a `seen` of its own. Gives those, the earliest first, or [`FoldError::NoThread`].
///
/// The timeline is given in parts that add up to it, each with the sizes that it names.
pub(super) fn sweep<S: Send>(
    mut parts: Vec<(Timeline, &Sizes)>,
    seconds: u32,
    stops: impl Iterator<Item = u32>,
    seen: impl Fn() -> S,
    hold: impl Fn(&mut S, u32, &Level) + Sync,
) -> Result<Vec<S>, FoldError> {
    let sums: usize = parts.iter().map(|(part, _)| part.summed.len()).sum();
    let changes: usize = parts.iter().map(|(part, _)| part.recent.len()).sum();
    if sums == 0 && changes < seconds as usize / SORT_BELOW_ONE_IN {
        let mut all = seen();
        let mut hold = |second, level: &Level| hold(&mut all, second, level);
        match &mut parts[..] {
            [(part, sizes)] => sweep_sorted(&mut part.recent, sizes, stops, &mut hold),
            parts => {
                let mut sizes = Sizes::default();
                let changes = parts.iter().flat_map(|(part, own)| part.recent.iter().map(move |change| (*change, *own)));
                let mut changes: Vec<Change> = changes.map(|(change, own)| change.renumbered(own, &mut sizes)).collect();
                sweep_sorted(&mut changes, &sizes, stops, &mut hold);
            }
        }
        return Ok(vec![all]);
    }
    let threads = if sums + changes >= DIVIDED_FROM { threads() } else { 1 };
    sweep_divided(&mut parts, seconds, threads, seen, hold)
}

/// How many threads go through a long timeline.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX)
}

fn sweep_sorted(changes: &mut [Change], sizes: &Sizes, stops: impl Iterator<Item = u32>, hold: &mut impl FnMut(u32, &Level)) {
    changes.sort_unstable();
    let mut level = Level::default();
    let mut changes = changes.iter().peekable();
    let mut stops = stops.peekable();
    loop {
        let second = match (changes.peek().map(|change| change.second()), stops.peek().copied()) {
            (Some(change), Some(stop)) => change.min(stop),
            (Some(second), None) | (None, Some(second)) => second,
            (None, None) => return,
        };
        while let Some(change) = changes.next_if(|change| change.second() == second) {
            level.add(change.level(sizes));
        }
        stops.next_if_eq(&second);
        hold(second, &level);
    }
}

fn sweep_divided<S: Send>(
    parts: &mut [(Timeline, &Sizes)],
    seconds: u32,
    threads: usize,
    seen: impl Fn() -> S,
    hold: impl Fn(&mut S, u32, &Level) + Sync,
) -> Result<Vec<S>, FoldError> {
    let length = (seconds as usize).div_ceil(SPAN_SECONDS).div_ceil(threads).max(1) * SPAN_SECONDS;
    let mut shares: Vec<Vec<Share<'_>>> = Vec::new();
    shares.resize_with((seconds as usize).div_ceil(length), Vec::new);
    for (part, sizes) in parts {
        let Timeline { summed, recent } = part;
        let mut sums = summed.chunks_mut(length);
        for shares in &mut shares {
            shares.push(Share { sums: sums.next().unwrap_or_default(), part_changes: recent, sizes });
        }
    }
    let stretches = shares.into_iter().enumerate().map(|(at, shares)| {
        let seconds = (at * length) as u32..((at + 1) * length).min(seconds as usize) as u32;
        move || Stretch::of(seconds, shares)
    });
    // A thread begins with the level that all changes before its seconds add up to.
    let mut level = Level::default();
    let sweeps = on_threads(stretches)?.into_iter().map(|stretch| {
        let (mut seen, from) = (seen(), level);
        level.add(&stretch.change);
        let hold = &hold;
        move || {
            stretch.sweep(from, |second, level| hold(&mut seen, second, level));
            seen
        }
    });
    on_threads(sweeps)
}

fn on_threads<T: Send>(works: impl Iterator<Item = impl FnOnce() -> T + Send>) -> Result<Vec<T>, FoldError> {
    threads::on_threads("sweep", works).map_err(|error| FoldError::NoThread { cause: error.to_string() })
}

/// What a part has of some of the period's seconds.
struct Share<'a> {
    /// The changes that are summed, by second; empty where none is.
    sums: &'a mut [Level],
    /// The other changes of the part, of all seconds.
    part_changes: &'a [Change],
    sizes: &'a Sizes,
}

/// The changes of some of a period's seconds.
struct Stretch<'a> {
    seconds: Range<u32>,
    /// Those that are summed, by second; empty where none is.
    sums: &'a mut [Level],
    /// The others, of each part, with the sizes that they name.
    spans: Vec<(Spans, &'a Sizes)>,
    /// What all of them add up to.
    change: Level,
}

impl<'a> Stretch<'a> {
    fn of(seconds: Range<u32>, shares: Vec<Share<'a>>) -> Self {
        let mut change = Level::default();
        let (mut sums, mut spans): (&mut [Level], Vec<_>) = (&mut [], Vec::new());
        for share in shares {
            let of_part = Spans::of(share.part_changes, &seconds);
            of_part.changes().iter().for_each(|one| change.add(one.level(share.sizes)));
            spans.push((of_part, share.sizes));
            if sums.is_empty() {
                sums = share.sums;
            } else {
                sums.iter_mut().zip(share.sums).for_each(|(sum, more)| sum.add(more));
            }
        }
        sums.iter().for_each(|sum| change.add(sum));
        Self { seconds, sums, spans, change }
    }

    /// Calls `hold` with the level of each second. Before the first of them it is `level`.
    fn sweep(self, mut level: Level, mut hold: impl FnMut(u32, &Level)) {
        let mut second = self.seconds.start;
        let mut sums_of_span = vec![Level::default(); SPAN_SECONDS.min(self.seconds.len())];
        for (span, start) in (0..self.seconds.len()).step_by(SPAN_SECONDS).enumerate() {
            let end = (start + SPAN_SECONDS).min(self.seconds.len());
            let sums = match self.sums.get_mut(start..end) {
                Some(sums) => sums,
                None => {
                    sums_of_span.fill(Level::default());
                    &mut sums_of_span[..end - start]
                }
            };
            for (spans, sizes) in &self.spans {
                add_changes(sums, spans.at(span), sizes);
            }
            for change in sums {
                level.add(change);
                hold(second, &level);
                second += 1;
            }
        }
    }
}
