//! The time that a report covers, cut into buckets at the edges of a zone's hours, days or months.
//!
//! All arithmetic with time zones happens here; everything behind it sees whole seconds in UTC. This module reads no clock.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cloudigrade_schemas::UtcSecond;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, tz};

use crate::limits::{BUCKETS_MAX, PERIOD_SECONDS_MAX};

const SECONDS_PER_HOUR: i64 = 3600;

/// How long a bucket is, by the clock of the report's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Granularity {
    /// From one full hour of the zone's clock to the next. It is another than 60 minutes only where a clock is changed by part of an hour.
    Hour,
    /// A calendar day: 23 or 25 hours where the clock is changed.
    Day,
    /// A calendar month.
    Month,
}

impl Granularity {
    const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    /// `hour`, `day` or `month`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Granularity {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let found = Self::ALL.into_iter().find(|granularity| granularity.name() == text);
        found.ok_or_else(|| PeriodError::Granularity { text: text.to_owned() })
    }
}

/// A period that cannot be reported on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// The start or the end does not read.
    #[error("{text:?} is not a time; write 2024-02-01 (midnight in the report's time zone) or 2024-02-01T00:00:00Z")]
    Moment {
        /// What was given.
        text: String,
    },
    /// The start is not before the end.
    #[error("the period ends at {end}, which is not after its start at {start}; the end itself does not belong to a period")]
    EndNotAfterStart {
        /// The start.
        start: UtcSecond,
        /// The end.
        end: UtcSecond,
    },
    /// No such time zone.
    #[error("there is no time zone {name:?}; did you mean {nearest:?}?")]
    Zone {
        /// What was given.
        name: String,
        /// The zone whose name is nearest to it.
        nearest: String,
    },
    /// No such granularity.
    #[error("there is no granularity {text:?}; it is one of hour, day and month")]
    Granularity {
        /// What was given.
        text: String,
    },
    /// The period has too many buckets.
    #[error("the period has more than {BUCKETS_MAX} buckets of one {granularity}; shorten it, or choose a coarser granularity")]
    TooManyBuckets {
        /// The length of a bucket.
        granularity: Granularity,
    },
    /// The period is longer than a hundred years.
    #[error("the period is longer than 100 years")]
    TooLong,
}

/// A half-open span of time `[start, end)`, cut into buckets.
///
/// The first and the last bucket are clipped to the span, so the buckets cover it without a gap and without overlap. `now` is the
/// moment of the question: a run without an end is counted up to it, and what lies after it is provisional.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    /// Ascending; bucket `i` is `[edges[i], edges[i + 1])`. At least two, in seconds since 1970 in UTC.
    edges: Arc<[i64]>,
    /// Buckets a second, as a fraction of 2^32: the mean, for a first guess.
    density: u64,
    granularity: Granularity,
    zone: Arc<str>,
    now: UtcSecond,
}

impl Period {
    /// Reads a period. `start` and `end` are dates (midnight in `zone`), times of that zone's clock, or times with an offset or `Z`.
    pub fn new(start: &str, end: &str, granularity: Granularity, zone: &str, now: UtcSecond) -> Result<Self, PeriodError> {
        let zone = find_zone(zone)?;
        let (start, end) = (read_moment(start, &zone)?, read_moment(end, &zone)?);
        if end <= start {
            return Err(PeriodError::EndNotAfterStart { start: UtcSecond(start), end: UtcSecond(end) });
        }
        if end - start > PERIOD_SECONDS_MAX {
            return Err(PeriodError::TooLong);
        }
        let mut edges = vec![start];
        let mut last = start;
        while last < end {
            if edges.len() > BUCKETS_MAX {
                return Err(PeriodError::TooManyBuckets { granularity });
            }
            last = next_edge(last, granularity, &zone).map_or(end, |next| next.min(end));
            edges.push(last);
        }
        let name = zone.iana_name().unwrap_or("UTC").into();
        Ok(Self { density: density(&edges), edges: edges.into(), granularity, zone: name, now })
    }

    /// The same span as one bucket.
    pub fn whole(&self) -> Self {
        let edges = [self.start(), self.end()];
        Self { density: density(&edges), edges: Arc::new(edges), ..self.clone() }
    }

    /// One of its buckets, as a period of its own; `None` beyond the last.
    pub fn bucket(&self, at: usize) -> Option<Self> {
        let edges = [*self.edges.get(at)?, *self.edges.get(at + 1)?];
        Some(Self { density: density(&edges), edges: Arc::new(edges), ..self.clone() })
    }

    /// The first second, since 1970.
    pub fn start(&self) -> i64 {
        self.edges[0]
    }

    /// The first second after the period, since 1970.
    pub fn end(&self) -> i64 {
        self.edges[self.edges.len() - 1]
    }

    /// How many buckets there are; at least one.
    pub fn buckets(&self) -> usize {
        self.edges.len() - 1
    }

    /// The edges of the buckets, ascending, in seconds since 1970: one more than there are buckets.
    pub fn edges(&self) -> &[i64] {
        &self.edges
    }

    /// The length of a bucket.
    pub fn granularity(&self) -> Granularity {
        self.granularity
    }

    /// The IANA name of the zone whose clock cuts the buckets.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The moment of the question.
    pub fn now(&self) -> UtcSecond {
        self.now
    }

    /// Up to when a run without an end counts: the period's end or now, whichever is first.
    pub fn open_end(&self) -> i64 {
        self.end().min(self.now.0)
    }

    /// The bucket that holds a second of the period. A second outside of it gives the nearest bucket.
    pub fn bucket_of(&self, second: i64) -> usize {
        let buckets = self.buckets();
        // Buckets are nearly of one length, so a proportional guess is off by few; clock changes and unequal months move it.
        let offset = (second - self.start()).clamp(0, self.end() - self.start() - 1) as u64;
        let mut at = ((offset * self.density) >> 32) as usize;
        while at + 1 < buckets && self.edges[at + 1] <= second {
            at += 1;
        }
        while at > 0 && self.edges[at] > second {
            at -= 1;
        }
        at
    }
}

/// See [`Period::density`]. A bucket is at least a second long and a period shorter than 2^32 seconds, so that the product of the
/// density with an offset fits 64 bits.
fn density(edges: &[i64]) -> u64 {
    let seconds = edges[edges.len() - 1] - edges[0];
    ((edges.len() as u64 - 1) << 32) / seconds as u64
}

fn find_zone(name: &str) -> Result<TimeZone, PeriodError> {
    TimeZone::get(name).map_err(|_| {
        let wanted = name.to_lowercase();
        let nearest = tz::db().available().map(|zone| zone.to_string()).min_by_key(|zone| levenshtein(&zone.to_lowercase(), &wanted));
        PeriodError::Zone { name: name.to_owned(), nearest: nearest.unwrap_or_else(|| "UTC".to_owned()) }
    })
}

/// Reads a moment in whole seconds since 1970.
fn read_moment(text: &str, zone: &TimeZone) -> Result<i64, PeriodError> {
    let refused = || PeriodError::Moment { text: text.chars().take(40).collect() };
    // A civil time would ignore a zone in brackets.
    if text.contains('[') {
        return Err(refused());
    }
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => text.parse::<DateTime>().and_then(|civil| zone.to_timestamp(civil)).map_err(|_| refused())?,
    };
    if moment.subsec_nanosecond() != 0 {
        return Err(refused());
    }
    Ok(moment.as_second())
}

/// The first edge after a moment; `None` at the end of representable time.
fn next_edge(after: i64, granularity: Granularity, zone: &TimeZone) -> Option<i64> {
    let now = Timestamp::from_second(after).ok()?;
    match granularity {
        Granularity::Hour => next_full_hour(after, zone),
        Granularity::Day => first_start_after(after, zone.to_datetime(now).date().tomorrow().ok()?, zone, |day| day.tomorrow().ok()),
        Granularity::Month => {
            let next_month = |day: Date| day.last_of_month().tomorrow().ok();
            first_start_after(after, next_month(zone.to_datetime(now).date())?, zone, next_month)
        }
    }
}

/// The start of the first of the days `day, next(day), ...` that begins after a moment. (A day can begin twice, where a clock is put
/// back over midnight; the first time counts.)
fn first_start_after(after: i64, mut day: Date, zone: &TimeZone, next: impl Fn(Date) -> Option<Date>) -> Option<i64> {
    loop {
        let start = zone.to_timestamp(DateTime::from(day)).ok()?.as_second();
        if start > after {
            return Some(start);
        }
        day = next(day)?;
    }
}

/// The next moment at which the zone's clock shows a full hour, or is set forward over one.
fn next_full_hour(after: i64, zone: &TimeZone) -> Option<i64> {
    let offset_at = |second: i64| Some(i64::from(zone.to_offset(Timestamp::from_second(second).ok()?).seconds()));
    let offset = offset_at(after)?;
    let strike = (after + offset).div_euclid(SECONDS_PER_HOUR) * SECONDS_PER_HOUR + SECONDS_PER_HOUR - offset;
    if offset_at(strike)? == offset {
        return Some(strike);
    }
    // The clock is changed before it strikes: set forward over a full hour it begins a new one; else it strikes by its new offset.
    let change = zone.following(Timestamp::from_second(after).ok()?).next()?.timestamp().as_second();
    let (before, offset) = (offset, offset_at(change)?);
    let to_strike = |offset: i64| (-(change + offset)).rem_euclid(SECONDS_PER_HOUR);
    let is_skipped = offset - before >= to_strike(before);
    Some(if is_skipped { change } else { change + to_strike(offset) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: UtcSecond = UtcSecond(4_000_000_000);

    fn period(start: &str, end: &str, granularity: Granularity, zone: &str) -> Period {
        Period::new(start, end, granularity, zone, LATER).unwrap()
    }

    fn hours(period: &Period) -> Vec<i64> {
        period.edges().windows(2).map(|edge| (edge[1] - edge[0]) / 60).collect()
    }

    #[test]
    fn a_day_on_which_the_clock_is_changed_has_23_or_25_hours() {
        for (day, next, count) in [("2024-03-31", "2024-04-01", 23), ("2024-10-27", "2024-10-28", 25), ("2024-06-01", "2024-06-02", 24)] {
            let by_hour = period(day, next, Granularity::Hour, "Europe/Berlin");
            assert_eq!(by_hour.buckets(), count, "{day}");
            assert!(hours(&by_hour).iter().all(|minutes| *minutes == 60));
            assert_eq!(period(day, next, Granularity::Day, "Europe/Berlin").buckets(), 1);
        }
    }

    #[test]
    fn hours_of_a_half_hour_zone_are_aligned_to_its_clock() {
        let kolkata = period("2024-02-01", "2024-02-02", Granularity::Hour, "Asia/Kolkata");
        assert_eq!((kolkata.buckets(), kolkata.start().rem_euclid(3600)), (24, 1800));
        let from_utc = period("2024-02-01T00:00:00Z", "2024-02-01T02:00:00Z", Granularity::Hour, "Asia/Kolkata");
        assert_eq!(hours(&from_utc), [30, 60, 30]);
    }

    #[test]
    fn a_clock_that_is_changed_by_half_an_hour_leaves_one_odd_hour() {
        assert_eq!(hours(&period("2024-04-07", "2024-04-07T04:00", Granularity::Hour, "Australia/Lord_Howe")), [60, 90, 60, 60]);
        assert_eq!(hours(&period("2024-10-06", "2024-10-06T04:00", Granularity::Hour, "Australia/Lord_Howe")), [60, 60, 30, 60]);
    }

    #[test]
    fn a_date_that_a_zone_left_out_gives_no_bucket() {
        assert_eq!(period("2011-12-29", "2012-01-01", Granularity::Day, "Pacific/Apia").buckets(), 2);
    }

    #[test]
    fn a_day_begins_when_its_midnight_is_left_out() {
        let beirut = period("2023-03-25", "2023-03-27", Granularity::Day, "Asia/Beirut");
        assert_eq!(hours(&beirut), [24 * 60, 23 * 60]);
    }

    #[test]
    fn the_first_and_the_last_bucket_are_clipped() {
        let clipped = period("2024-01-15", "2024-03-02", Granularity::Month, "UTC");
        assert_eq!(hours(&clipped), [17 * 1440, 29 * 1440, 1440]);
        assert_eq!(hours(&clipped.whole()), [47 * 1440]);
    }

    #[test]
    fn texts_are_read_in_the_zone_unless_they_say_otherwise() {
        let start = |text| period(text, "2024-07-03", Granularity::Day, "Europe/Berlin").start();
        assert_eq!(start("2024-07-01"), 1_719_784_800);
        assert_eq!(start("2024-07-01T00:00"), start("2024-07-01"));
        assert_eq!(start("2024-06-30T22:00:00Z"), start("2024-07-01"));
        assert_eq!(start("2024-07-01T03:30:00+05:30"), start("2024-07-01"));
    }

    #[test]
    fn a_wrong_period_is_refused_with_a_reason() {
        let refused = |start: &str, end: &str, granularity, zone: &str| {
            Period::new(start, end, granularity, zone, LATER).map_or_else(|error| error.to_string(), |period| format!("{period:?}"))
        };
        assert!(refused("2024-02-02", "2024-02-01", Granularity::Day, "UTC").contains("not after its start at 2024-02-02T00:00:00Z"));
        assert!(refused("2024-02-01", "2024-02-01", Granularity::Day, "UTC").contains("not after"));
        assert!(refused("2024-02-01", "2024-02-02", Granularity::Day, "Europe/Berlín").contains("did you mean \"Europe/Berlin\"?"));
        assert!(refused("2024-02-01", "2026-02-02", Granularity::Hour, "UTC").contains("more than 10000 buckets of one hour"));
        assert!(refused("1000-01-01", "2026-02-02", Granularity::Month, "UTC").contains("100 years"));
        for text in ["", "yesterday", "2024-02-30", "2024-02-01T00:00:00.5Z", "2024-02-01T00:00:00[Asia/Tokyo]"] {
            assert!(refused(text, "2024-03-01", Granularity::Day, "UTC").contains("is not a time"), "{text}");
        }
        assert!("week".parse::<Granularity>().is_err());
    }

    #[test]
    fn every_second_finds_its_bucket() {
        for (granularity, step) in [(Granularity::Hour, 97), (Granularity::Day, 1021), (Granularity::Month, 40_009)] {
            let period = period("2023-11-11T11:11", "2024-12-03", granularity, "America/St_Johns");
            let mut second = period.start();
            while second < period.end() {
                let bucket = period.bucket_of(second);
                assert!(period.edges()[bucket] <= second && second < period.edges()[bucket + 1]);
                second += step;
            }
        }
    }

    #[test]
    fn days_are_made_of_hours_and_months_of_days_in_every_zone() {
        for zone in tz::db().available() {
            let edges = |granularity| period("2024-01-01", "2025-01-01", granularity, zone.as_str()).edges().to_vec();
            let (hours, days, months) = (edges(Granularity::Hour), edges(Granularity::Day), edges(Granularity::Month));
            assert!(days.iter().all(|day| hours.binary_search(day).is_ok()), "{zone}");
            assert!(months.iter().all(|month| days.binary_search(month).is_ok()), "{zone}");
        }
    }
}
