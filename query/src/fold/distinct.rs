//! Counting distinct instances exactly, without a table of all of them.
//!
//! Each arrival of an instance in a word of 64 buckets is logged as it comes and counted at once. Files are sorted by instance, so an
//! instance arrives rarely more than once; at the end, the log is searched for those that did, and what was counted twice is
//! taken back.

use super::bytes::{Reader, put_u32, put_u64};
use super::{FoldError, push_counted};

/// Buckets that one word covers.
pub(crate) const WORD_BUCKETS: usize = 64;
/// Entries that are searched at once; a table of them fits the first levels of cache.
const PART_ENTRIES: usize = 4096;
/// A free slot of that table.
const FREE: u32 = u32::MAX;

/// An instance, and in which buckets of a word it ran.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    instance: [u64; 2],
    buckets: u64,
}

/// The arrivals of instances, by word.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    words: Vec<Vec<Arrival>>,
}

impl Arrivals {
    /// Logs that an instance ran in a bucket; true if that was not known of the instance's last arrival.
    #[inline]
    pub(crate) fn log(&mut self, instance: u128, bucket: usize, growth: &mut usize) -> bool {
        let (word, bit) = (bucket / WORD_BUCKETS, 1_u64 << (bucket % WORD_BUCKETS));
        while self.words.len() <= word {
            push_counted(&mut self.words, Vec::new(), growth);
        }
        let instance = [(instance >> 64) as u64, instance as u64];
        match self.words[word].last_mut() {
            Some(last) if last.instance == instance => {
                let is_new = last.buckets & bit == 0;
                last.buckets |= bit;
                is_new
            }
            _ => {
                push_counted(&mut self.words[word], Arrival { instance, buckets: bit }, growth);
                true
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u32(out, self.words.len() as u32);
        for word in &self.words {
            put_u32(out, word.len() as u32);
            for arrival in word {
                for part in [arrival.instance[0], arrival.instance[1], arrival.buckets] {
                    put_u64(out, part);
                }
            }
        }
    }

    pub(crate) fn merge(&mut self, from: &mut Reader<'_>, growth: &mut usize) -> Result<(), FoldError> {
        for word in 0..from.u32()? as usize {
            while self.words.len() <= word {
                push_counted(&mut self.words, Vec::new(), growth);
            }
            let count = from.u32()? as usize;
            let held = &mut self.words[word];
            let before = held.capacity();
            held.extend(from.items::<24>(count)?.iter().map(|item| {
                let mut parts = Reader::new(item);
                let mut part = || parts.u64().unwrap_or_default();
                Arrival { instance: [part(), part()], buckets: part() }
            }));
            *growth += (held.capacity() - before) * size_of::<Arrival>();
        }
        Ok(())
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let words: usize = self.words.iter().map(|word| word.capacity() * size_of::<Arrival>()).sum();
        words + self.words.capacity() * size_of::<Vec<Arrival>>()
    }

    /// Calls `repeated` with a bucket for each time that an instance was counted in it beyond the first.
    pub(crate) fn find_repeated(self, mut repeated: impl FnMut(usize)) {
        for (word, arrivals) in self.words.into_iter().enumerate() {
            for_each_part(arrivals, |part| {
                search_part(part, |buckets| {
                    let mut rest: u64 = buckets;
                    while rest != 0 {
                        repeated(word * WORD_BUCKETS + rest.trailing_zeros() as usize);
                        rest &= rest - 1;
                    }
                });
            });
        }
    }
}

/// Parts the arrivals by the upper bits of their hash, so that those of one instance are in one part.
fn for_each_part(mut arrivals: Vec<Arrival>, mut search: impl FnMut(&mut [Arrival])) {
    let bits = (arrivals.len() / PART_ENTRIES).next_power_of_two().trailing_zeros();
    if bits == 0 {
        return search(&mut arrivals);
    }
    let part_of = |arrival: &Arrival| (arrival.instance[0] >> (64 - bits)) as usize;
    let mut ends = vec![0_usize; 1 << bits];
    arrivals.iter().for_each(|arrival| ends[part_of(arrival)] += 1);
    let mut at = 0;
    for end in &mut ends {
        (*end, at) = (at, at + *end);
    }
    // Each entry of `ends` is where its part begins; filling moves it to where the part ends.
    let mut parted = vec![Arrival { instance: [0; 2], buckets: 0 }; arrivals.len()];
    for arrival in arrivals {
        let slot = &mut ends[part_of(&arrival)];
        parted[*slot] = arrival;
        *slot += 1;
    }
    let mut start = 0;
    for end in ends {
        search(&mut parted[start..end]);
        start = end;
    }
}

/// Joins the arrivals of each instance; calls `repeated` with the buckets that were known of it already.
fn search_part(part: &mut [Arrival], mut repeated: impl FnMut(u64)) {
    let mask = (part.len() * 2).next_power_of_two() - 1;
    let mut table = vec![FREE; mask + 1];
    for at in 0..part.len() {
        let Arrival { instance, buckets } = part[at];
        let mut slot = instance[1] as usize & mask;
        loop {
            match table[slot] {
                FREE => {
                    table[slot] = at as u32;
                    break;
                }
                first if part[first as usize].instance == instance => {
                    let known = &mut part[first as usize].buckets;
                    repeated(*known & buckets);
                    *known |= buckets;
                    break;
                }
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    /// The distinct instances of each bucket, by way of the log, in `streams` that are merged.
    fn count(streams: &[Vec<(u32, usize)>], buckets: usize) -> Vec<i64> {
        let mut counts = vec![0_i64; buckets];
        let mut merged = Arrivals::default();
        for stream in streams {
            let mut arrivals = Arrivals::default();
            for (instance, bucket) in stream {
                counts[*bucket] += i64::from(arrivals.log(xxh3_128(&instance.to_le_bytes()), *bucket, &mut 0));
            }
            let mut bytes = Vec::new();
            arrivals.encode(&mut bytes);
            merged.merge(&mut Reader::new(&bytes), &mut 0).unwrap();
        }
        merged.find_repeated(|bucket| counts[bucket] -= 1);
        counts
    }

    fn naive(streams: &[Vec<(u32, usize)>], buckets: usize) -> Vec<i64> {
        let distinct: HashSet<_> = streams.iter().flatten().copied().collect();
        (0..buckets).map(|bucket| distinct.iter().filter(|(_, b)| *b == bucket).count() as i64).collect()
    }

    proptest! {
        #[test]
        fn instances_are_counted_once_a_bucket_in_whatever_order_they_come(
            streams in prop::collection::vec(prop::collection::vec((0_u32..40, 0_usize..200), 0..120), 0..4)
        ) {
            prop_assert_eq!(count(&streams, 200), naive(&streams, 200));
        }
    }

    #[test]
    fn more_instances_than_one_table_holds_are_counted_exactly() {
        let stream: Vec<_> = (0..30_000).map(|i| (i % 20_000, (i % 3) as usize)).collect();
        let streams = [stream.clone(), stream];
        assert_eq!(count(&streams, 3), naive(&streams, 3));
    }
}
