//! Days, and the clocks on office walls.

use cloudigrade_schemas::UtcSecond;
use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{FleetError, FleetOptions};

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 3_600;
pub(super) const DAY: i64 = 86_400;

/// How long before the window the log begins: the fleet is rolled out then, and the window starts in full swing.
const LEAD_DAYS: i64 = 3;
/// How long after the window the log goes on: a report on a month is made after its end.
const TAIL_DAYS: i64 = 1;

/// The half-open time `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first second.
    pub start: UtcSecond,
    /// The first second after it.
    pub end: UtcSecond,
}

impl Span {
    /// The first second of each UTC day of a span that begins at midnight.
    pub fn days(self) -> impl Iterator<Item = UtcSecond> {
        (self.start.0..self.end.0).step_by(DAY as usize).map(UtcSecond)
    }

    /// The part of `[from, to)` that lies in the span, if any.
    pub fn clip(self, from: UtcSecond, to: Option<UtcSecond>) -> Option<Span> {
        let clipped = Self { start: from.max(self.start), end: to.unwrap_or(self.end).min(self.end) };
        (clipped.start < clipped.end).then_some(clipped)
    }

    /// Its length.
    pub fn seconds(self) -> u64 {
        self.end.0.abs_diff(self.start.0)
    }
}

/// The midnight that begins the UTC day of a moment.
pub fn day_of(moment: UtcSecond) -> UtcSecond {
    UtcSecond(moment.0.div_euclid(DAY) * DAY)
}

/// `2024-03-01`, the UTC date of a moment.
pub fn date_text(moment: UtcSecond) -> String {
    let mut text = moment.to_string();
    text.truncate(text.len() - "T00:00:00Z".len());
    text
}

/// A moment some seconds later, or earlier.
pub(super) fn later(moment: UtcSecond, seconds: i64) -> UtcSecond {
    UtcSecond(moment.0 + seconds)
}

/// Days since Monday, 0 to 6, of a UTC day. 1970-01-01 was a Thursday.
pub(super) fn weekday(day: UtcSecond) -> i64 {
    (day.0.div_euclid(DAY) + 3).rem_euclid(7)
}

pub(super) const TUESDAY: i64 = 1;
pub(super) const WEDNESDAY: i64 = 2;
pub(super) const FRIDAY: i64 = 4;
pub(super) const SUNDAY: i64 = 6;

pub(super) fn is_workday(day: UtcSecond) -> bool {
    weekday(day) <= FRIDAY
}

/// What the fleet lives through, and the part of it that is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    /// What CloudTrail logs; longer than the window on both sides.
    pub(super) log: Span,
    /// What is reported.
    pub(super) window: Span,
}

impl Calendar {
    pub(super) fn of(options: &FleetOptions) -> Result<Self, FleetError> {
        if !(1..=FleetOptions::DAYS_MAX).contains(&options.days) {
            return Err(FleetError::Days { days: options.days });
        }
        let out_of_range = |source| FleetError::Calendar { source };
        let midnight = options.first_day.to_datetime(Time::midnight());
        let first = TimeZone::UTC.to_timestamp(midnight).map_err(out_of_range)?.as_second();
        let last = first + i64::from(options.days) * DAY;
        Ok(Self {
            log: Span { start: UtcSecond(first - LEAD_DAYS * DAY), end: UtcSecond(last + TAIL_DAYS * DAY) },
            window: Span { start: UtcSecond(first), end: UtcSecond(last) },
        })
    }
}

/// The clock on an office wall. Its hours move in UTC when summer time begins.
pub(super) struct WallClock(TimeZone);

impl WallClock {
    pub(super) fn of(zone: &str) -> Result<Self, FleetError> {
        TimeZone::get(zone).map(Self).map_err(|source| FleetError::Calendar { source })
    }

    /// The moment at which this clock shows `seconds` after midnight on a date, given by its UTC day.
    ///
    /// The offset is that of the date's noon: clocks are put forward and back on Sunday nights, when no office works.
    pub(super) fn at(&self, day: UtcSecond, seconds: i64) -> Result<UtcSecond, FleetError> {
        let noon = Timestamp::from_second(day.0 + DAY / 2).map_err(|source| FleetError::Calendar { source })?;
        Ok(later(day, seconds - i64::from(self.0.to_offset(noon).seconds())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> UtcSecond {
        UtcSecond::parse_prefix(text).unwrap()
    }

    #[test]
    fn offices_open_an_hour_earlier_in_utc_once_summer_time_has_begun() {
        let opens = |zone, day| WallClock::of(zone).unwrap().at(moment(day), 8 * HOUR).unwrap().to_string();
        assert_eq!(opens("America/New_York", "2024-03-08T00:00:00Z"), "2024-03-08T13:00:00Z");
        assert_eq!(opens("America/New_York", "2024-03-11T00:00:00Z"), "2024-03-11T12:00:00Z");
        assert_eq!(opens("Europe/Berlin", "2024-03-29T00:00:00Z"), "2024-03-29T07:00:00Z");
        assert_eq!(opens("Europe/Berlin", "2024-04-01T00:00:00Z"), "2024-04-01T06:00:00Z");
    }

    #[test]
    fn the_weekday_of_a_day_is_right() {
        assert_eq!(weekday(moment("2024-02-29T00:00:00Z")), 3);
        assert_eq!(weekday(moment("2024-03-31T00:00:00Z")), SUNDAY);
        assert_eq!(weekday(moment("1969-12-29T00:00:00Z")), 0);
    }

    #[test]
    fn a_span_without_seconds_in_the_window_is_clipped_away() {
        let window = Span { start: UtcSecond(100), end: UtcSecond(200) };
        assert_eq!(window.clip(UtcSecond(50), Some(UtcSecond(100))), None);
        assert_eq!(window.clip(UtcSecond(150), Some(UtcSecond(150))), None);
        assert_eq!(window.clip(UtcSecond(50), None), Some(window));
    }
}
