//! How CloudTrail delivers records: gathered in files, late, twice, and not in order.

use std::collections::BTreeMap;

use cloudigrade_schemas::UtcSecond;

use super::calendar::{DAY, HOUR, MINUTE, later};
use super::place::Place;
use super::random::Random;
use super::record::Record;

/// CloudTrail gathers the records of five minutes.
const GATHERS: i64 = 5 * MINUTE;

/// One delivered file.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) place: Place,
    /// The minute that the file's name tells.
    pub(super) delivered_at: UtcSecond,
    /// Places in the list of records, in the order of the file.
    pub(super) records: Vec<usize>,
    pub(super) manner: Manner,
}

/// How a file is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Within minutes.
    Usual,
    /// After a quarter of an hour up to a day.
    Late,
    /// Once more, in part or in whole, after it had been delivered already.
    Again,
}

/// Gathers all records in files, ordered by the time of delivery.
pub(super) fn deliver(records: &[Record], random: &mut Random) -> Vec<Batch> {
    let mut gathered: BTreeMap<(UtcSecond, Place), Vec<usize>> = BTreeMap::new();
    for (number, record) in records.iter().enumerate() {
        let arrives = record.at.0 + random.between(MINUTE, 2 * MINUTE);
        let delivered_at = UtcSecond((arrives.div_euclid(GATHERS) + 1) * GATHERS);
        gathered.entry((delivered_at, record.place)).or_default().push(number);
    }
    let mut batches = Vec::new();
    for ((due, place), mut numbers) in gathered {
        let mut batch = |delay: i64, numbers: Vec<usize>, manner: Manner, random: &mut Random| {
            let records = disordered(numbers, records, random);
            batches.push(Batch { place, delivered_at: later(due, delay), records, manner });
        };
        match random.below(100) {
            0 => {
                let delay = random.between(15, DAY / MINUTE) * MINUTE;
                batch(delay, numbers, Manner::Late, random);
                continue;
            }
            1..=2 => {
                let part = random.between(1, numbers.len() as i64) as usize;
                let again = random.take(&mut numbers.clone(), part);
                let delay = random.between(5, 3 * HOUR / MINUTE) * MINUTE;
                batch(delay, again, Manner::Again, random);
            }
            // Some records miss the file of their five minutes.
            3..=22 if numbers.len() > 1 => {
                let half = numbers.len() / 2;
                let stragglers = random.take(&mut numbers, half);
                batch(GATHERS, stragglers, Manner::Usual, random);
            }
            _ => {}
        }
        batch(0, numbers, Manner::Usual, random);
    }
    batches.sort_by_key(|batch| (batch.delivered_at, batch.place));
    batches
}

/// Within a file, records are up to a minute and a half away from their place in time.
fn disordered(numbers: Vec<usize>, records: &[Record], random: &mut Random) -> Vec<usize> {
    let mut placed: Vec<_> = numbers.into_iter().map(|number| (later(records[number].at, random.between(0, 90)), number)).collect();
    placed.sort_unstable();
    placed.into_iter().map(|(_, number)| number).collect()
}
