//! A logical volume as a source: its runs of extents put behind each other, stripes dealt together again.

use crate::error::Result;
use crate::source::{BlockSource, Source, checked_range};

/// The bytes of a logical volume.
pub(super) struct Mapped {
    /// One behind the other, without a gap.
    runs: Vec<Run>,
    len: u64,
}

/// A run of bytes that is dealt out to legs, `stripe_bytes` to each in turn.
pub(super) struct Run {
    /// Bytes of the volume before it.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Not 0; without meaning if there is one leg.
    pub stripe_bytes: u64,
    /// Not empty; each holds its share of the run's bytes.
    pub legs: Vec<Leg>,
}

/// A share of a run.
#[derive(Clone)]
pub(super) struct Leg {
    /// What it lies on.
    pub source: Source,
    /// Where it begins there, in bytes.
    pub start: u64,
}

impl Mapped {
    pub(super) fn new(runs: Vec<Run>) -> Self {
        let len = runs.last().map_or(0, |run| run.start + run.len);
        Self { runs, len }
    }
}

impl BlockSource for Mapped {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut at = checked_range(self.len, offset, buf.len())?;
        let mut rest = buf;
        let first = self.runs.partition_point(|run| run.start + run.len <= at);
        for run in self.runs.iter().skip(first) {
            while !rest.is_empty() && at < run.start + run.len {
                let (leg, leg_at, contiguous) = run.locate(at - run.start);
                let (now, later) = rest.split_at_mut((rest.len() as u64).min(contiguous) as usize);
                leg.source.read_at(leg.start + leg_at, now)?;
                at += now.len() as u64;
                rest = later;
            }
        }
        Ok(())
    }
}

impl Run {
    /// The leg that holds byte `at` of the run, where in it, and how many bytes follow there.
    fn locate(&self, at: u64) -> (&Leg, u64, u64) {
        if let [leg] = self.legs.as_slice() {
            return (leg, at, self.len - at);
        }
        let (stripe, within) = (at / self.stripe_bytes, at % self.stripe_bytes);
        let legs = self.legs.len() as u64;
        let leg = &self.legs[(stripe % legs) as usize];
        (leg, stripe / legs * self.stripe_bytes + within, (self.stripe_bytes - within).min(self.len - at))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn leg(first: u8, start: u64) -> Leg {
        Leg { source: Arc::new((first..first + 100).collect::<Vec<u8>>()), start }
    }

    /// Ten bytes of one leg, then twelve of two in stripes of three.
    fn sample() -> (Mapped, Vec<u8>) {
        let runs = vec![
            Run { start: 0, len: 10, stripe_bytes: u64::MAX, legs: vec![leg(0, 5)] },
            Run { start: 10, len: 12, stripe_bytes: 3, legs: vec![leg(0, 50), leg(100, 0)] },
        ];
        let mut expected: Vec<u8> = (5..15).collect();
        expected.extend([50, 51, 52, 100, 101, 102, 53, 54, 55, 103, 104, 105]);
        (Mapped::new(runs), expected)
    }

    proptest! {
        #[test]
        fn any_part_is_read_as_it_was_dealt(from in 0usize..23, len in 0usize..24) {
            let (volume, expected) = sample();
            let mut buf = vec![0; len];
            let read = volume.read_at(from as u64, &mut buf);
            prop_assert_eq!(read.is_ok(), from + len <= expected.len());
            if read.is_ok() {
                prop_assert_eq!(&buf, &expected[from..from + len]);
            }
        }
    }
}
