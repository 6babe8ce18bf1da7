//! How long a data folder's log takes to open: `reopen FOLDER`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that fails has no result")]

use std::path::Path;
use std::time::Instant;

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::log::{Log, PollLimits, Position};
use cloudigrade_schemas::Topic;

fn main() {
    let folder = std::env::args().nth(1).expect("usage: reopen FOLDER");
    let started = Instant::now();
    let log = EmbeddedLog::open(Path::new(&folder), EmbeddedOptions::default()).unwrap();
    let (mut events, mut last) = (0, 0);
    for partition in 0..log.partitions() {
        let end = log.end(Topic::PowerEvents, partition).unwrap();
        events += end.offset;
        // The newest record reads: what was committed last is whole.
        let from = Position { offset: end.offset.saturating_sub(1), ..end };
        last += log.read(from, PollLimits::default()).unwrap().len();
    }
    let took = started.elapsed();
    println!("{events} power events, {last} partitions: opened and read at the end in {:.3} s", took.as_secs_f64());
}
