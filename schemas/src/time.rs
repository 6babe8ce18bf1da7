//! Moments, in whole seconds. CloudTrail's `eventTime` has no finer resolution.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// A moment in UTC, in whole seconds since 1970-01-01T00:00:00Z. Written as `2023-07-10T12:03:24Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcSecond(pub i64);

/// A text that is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a moment such as 2023-07-10T12:03:24Z")]
pub struct NotAMoment {
    /// The text, cut at 40 characters.
    pub text: String,
}

const SECONDS_PER_DAY: i64 = 86_400;
/// Length of `YYYY-MM-DDTHH:MM:SS` in bytes.
const STAMP_LEN: usize = 19;

impl UtcSecond {
    /// Reads `YYYY-MM-DDTHH:MM:SS`; what follows (a fraction, `Z`) is cut off, as CloudTrail's times are always UTC.
    pub fn parse_prefix(text: &str) -> Result<Self, NotAMoment> {
        Self::from_stamp(text.as_bytes()).ok_or_else(|| NotAMoment { text: text.chars().take(40).collect() })
    }

    fn from_stamp(text: &[u8]) -> Option<Self> {
        let stamp = text.get(..STAMP_LEN)?;
        let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if marks.iter().any(|&(at, mark)| stamp[at] != mark) {
            return None;
        }
        let number = |from: usize, to: usize| {
            stamp[from..to].iter().try_fold(0_i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
        };
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let valid = year >= 1
            && (1..=12).contains(&month)
            && day >= 1
            && day <= days_in_month(year, month)
            && hour < 24
            && minute < 60
            && second < 60;
        valid.then(|| Self(days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second))
    }

    /// As it is written; `None` for a year that has not four digits.
    fn stamp(self) -> Option<[u8; STAMP_LEN + 1]> {
        let (year, month, day) = civil_from_days(self.0.div_euclid(SECONDS_PER_DAY));
        let second = self.0.rem_euclid(SECONDS_PER_DAY);
        if !(0..=9999).contains(&year) {
            return None;
        }
        let mut stamp = *b"0000-00-00T00:00:00Z";
        let parts =
            [(0, year / 100), (2, year % 100), (5, month), (8, day), (11, second / 3600), (14, second / 60 % 60), (17, second % 60)];
        for (at, number) in parts {
            stamp[at] = b'0' + (number / 10) as u8;
            stamp[at + 1] = b'0' + (number % 10) as u8;
        }
        Some(stamp)
    }

    /// The calendar month in UTC that holds this moment, as (year, month 1-12).
    pub fn year_month(self) -> (i64, i64) {
        let (year, month, _) = civil_from_days(self.0.div_euclid(SECONDS_PER_DAY));
        (year, month)
    }

    /// The first second of a month in UTC.
    pub fn of_month(year: i64, month: i64) -> Self {
        Self(days_from_civil(year, month, 1) * SECONDS_PER_DAY)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, counted in 400-year eras that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: (year, month, day).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

impl fmt::Display for UtcSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(SECONDS_PER_DAY));
        let second = self.0.rem_euclid(SECONDS_PER_DAY);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

impl Serialize for UtcSecond {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Every message holds a few: formatting is slow beside writing digits.
        match self.stamp() {
            Some(stamp) => serializer.serialize_str(str::from_utf8(&stamp).map_err(ser::Error::custom)?),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for UtcSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_prefix(&text).map_err(de::Error::custom)
    }
}

impl JsonSchema for UtcSecond {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UtcSecond".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
            "description": "A moment in UTC, whole seconds."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_reads_and_writes_back_over_leap_years_and_centuries() {
        for text in ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2023-07-10T12:03:24Z", "2100-03-01T00:00:00Z", "1969-12-31T23:59:59Z"]
        {
            assert_eq!(UtcSecond::parse_prefix(text).map(|t| t.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(UtcSecond::parse_prefix("2023-07-10T12:03:24Z"), Ok(UtcSecond(1_688_990_604)));
    }

    #[test]
    fn a_moment_is_serialized_as_it_is_displayed() {
        for second in (-70_000_000_000..300_000_000_000).step_by(999_999_937) {
            let text = serde_json::to_string(&UtcSecond(second)).unwrap_or_default();
            assert_eq!(text, format!("\"{}\"", UtcSecond(second)));
        }
    }

    #[test]
    fn a_fraction_is_cut_off() {
        assert_eq!(UtcSecond::parse_prefix("2023-07-10T12:03:24.999Z"), UtcSecond::parse_prefix("2023-07-10T12:03:24Z"));
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01",
            "",
            "2023-01-01 00:00:00",
            "２０２３-01-01T00:00:00Z",
        ] {
            assert!(UtcSecond::parse_prefix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries_has_its_own_number() {
        let mut days = days_from_civil(1600, 1, 1);
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!((days_from_civil(year, month, day), civil_from_days(days)), (days, (year, month, day)));
                    days += 1;
                }
            }
        }
    }
}
