//! `instance.intervals`: when an instance ran, month by month, with the events that say so.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::power::{PowerAction, PowerChange};
use crate::{EventId, InstanceKey, SourceRef, UtcSecond};

/// Where rows are kept: one calendar month in UTC, or `open` for the runs that have not ended.
///
/// Cutting runs at month boundaries lets a query over a month read that month's files (and the few open runs) and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Month {
    /// A calendar month in UTC.
    Of {
        /// The year.
        year: i16,
        /// The month, 1 to 12.
        month: u8,
    },
    /// Runs without an end, whole.
    Open,
}

/// The name of [`Month::Open`] in keys and partitions.
const OPEN: &str = "open";

impl Month {
    /// The month that holds a moment.
    pub fn containing(moment: UtcSecond) -> Self {
        let (year, month) = moment.year_month();
        Self::Of { year: year as i16, month: month as u8 }
    }

    /// The first second after a closed month; `None` for [`Month::Open`].
    pub fn end(self) -> Option<UtcSecond> {
        match self {
            Self::Of { year, month: 12 } => Some(UtcSecond::of_month(i64::from(year) + 1, 1)),
            Self::Of { year, month } => Some(UtcSecond::of_month(i64::from(year), i64::from(month) + 1)),
            Self::Open => None,
        }
    }

    /// Reads `2024-02` or `open`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == OPEN {
            return Some(Self::Open);
        }
        let (year, month) = text.split_once('-')?;
        let (year, month) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Self::Of { year, month })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of { year, month } => write!(f, "{year:04}-{month:02}"),
            Self::Open => f.write_str(OPEN),
        }
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is neither a month such as 2024-02 nor \"open\"")))
    }
}

impl JsonSchema for Month {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Month".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^([0-9]{4}-(0[1-9]|1[0-2])|open)$",
            "description": "A calendar month in UTC, or open."
        })
    }
}

/// One end of a run: the event that opened or closed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edge<'a> {
    /// When.
    pub at: UtcSecond,
    /// By what. An end by [`PowerAction::ObservedRunning`] was told by a new launch: the instance had stopped at some moment before it.
    pub kind: PowerAction,
    /// The CloudTrail event, or the observation.
    #[serde(borrow)]
    pub event_id: EventId<'a>,
    /// Where it was read.
    #[serde(borrow)]
    pub source: SourceRef<'a>,
    /// Only for an end whose exact time is not known: it lies between this moment and `at`, so the run is not longer than it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UtcSecond>,
}

/// A half-open run `[start, end)` of an instance. It still runs when `end` is absent. `start.at <= end.at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interval<'a> {
    /// What opened it.
    #[serde(borrow)]
    pub start: Edge<'a>,
    /// What closed it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Edge<'a>>,
    /// The instance type at its start; absent where no event up to then told it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub instance_type: Option<Cow<'a, str>>,
    /// The machine image; absent where no event told it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub image_id: Option<Cow<'a, str>>,
}

impl Interval<'_> {
    /// The months that this interval is kept under: every month it touches, or [`Month::Open`] alone while it has no end.
    ///
    /// A run of zero seconds touches the month of its start. A run that ends at the first second of a month does not touch it.
    pub fn months(&self) -> Vec<Month> {
        let Some(end) = &self.end else { return vec![Month::Open] };
        let mut months = vec![Month::containing(self.start.at)];
        while let Some(next) = months.last().and_then(|month| month.end()).filter(|next| *next < end.at) {
            months.push(Month::containing(next));
        }
        months
    }
}

/// All that is known of one instance in one month. A message of `instance.intervals`.
///
/// Each message replaces the one before it with the same instance and month; one without intervals and events takes them back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InstanceMonth<'a> {
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceKey<'a>,
    /// The month.
    pub month: Month,
    /// How often this instance's intervals have changed, up to this message; from 1.
    pub revision: u32,
    /// The runs that touch the month, whole (not cut at its ends), ordered by start.
    pub intervals: Vec<Interval<'a>>,
    /// The distinct events of the instance that occurred in the month, in their order. Empty for [`Month::Open`].
    pub events: Vec<MonthEvent<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for InstanceMonth<'a> {
    /// By a form without `flatten`, for which serde would keep every field in a buffer first.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Flat<'a> {
            #[serde(borrow)]
            account_id: Cow<'a, str>,
            #[serde(borrow)]
            region: Cow<'a, str>,
            #[serde(borrow)]
            instance_id: Cow<'a, str>,
            month: Month,
            revision: u32,
            #[serde(borrow)]
            intervals: Vec<Interval<'a>>,
            #[serde(borrow)]
            events: Vec<MonthEvent<'a>>,
        }
        let Flat { account_id, region, instance_id, month, revision, intervals, events } = Flat::deserialize(deserializer)?;
        Ok(Self { instance: InstanceKey { account_id, region, instance_id }, month, revision, intervals, events })
    }
}

impl InstanceMonth<'_> {
    /// The key under which a newer message replaces this one: `account/region/instance/month`.
    pub fn to_key(&self) -> String {
        format!("{}/{}", self.instance.to_key(), self.month)
    }
}

/// One distinct event of an instance, as the table `power_events` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MonthEvent<'a> {
    /// The CloudTrail event.
    pub event_id: EventId<'a>,
    /// What it said.
    #[serde(flatten)]
    pub change: PowerChange<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for MonthEvent<'a> {
    /// By a form without `flatten`, for which serde would keep every field in a buffer first.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Flat<'a> {
            #[serde(borrow)]
            event_id: EventId<'a>,
            occurred_at: UtcSecond,
            action: PowerAction,
            #[serde(borrow, default, deserialize_with = "crate::text::maybe")]
            instance_type: Option<Cow<'a, str>>,
            #[serde(borrow, default, deserialize_with = "crate::text::maybe")]
            image_id: Option<Cow<'a, str>>,
            #[serde(borrow)]
            source: SourceRef<'a>,
            #[serde(default)]
            not_before: Option<UtcSecond>,
        }
        let Flat { event_id, occurred_at, action, instance_type, image_id, source, not_before } = Flat::deserialize(deserializer)?;
        Ok(Self { event_id, change: PowerChange { occurred_at, action, instance_type, image_id, source, not_before } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(at: &str) -> Edge<'static> {
        Edge {
            at: UtcSecond::parse_prefix(at).unwrap_or(UtcSecond(0)),
            kind: PowerAction::RunInstances,
            event_id: EventId("e".into()),
            source: SourceRef { uri: "f".into(), version: None, index: 0 },
            not_before: None,
        }
    }

    fn months(start: &str, end: Option<&str>) -> Vec<String> {
        let interval = Interval { start: edge(start), end: end.map(edge), instance_type: None, image_id: None };
        interval.months().iter().map(Month::to_string).collect()
    }

    #[test]
    fn an_interval_is_kept_under_each_month_that_it_touches() {
        assert_eq!(months("2023-12-31T23:59:59Z", Some("2024-02-01T00:00:01Z")), ["2023-12", "2024-01", "2024-02"]);
        assert_eq!(months("2023-12-31T23:59:59Z", Some("2024-01-01T00:00:00Z")), ["2023-12"]);
        assert_eq!(months("2024-01-01T00:00:00Z", Some("2024-01-01T00:00:00Z")), ["2024-01"]);
        assert_eq!(months("2024-01-01T00:00:00Z", None), ["open"]);
    }

    #[test]
    fn a_month_reads_as_it_is_written() {
        for text in ["2024-02", "open", "1999-12"] {
            assert_eq!(Month::parse(text).map(|m| m.to_string()), Some(text.to_owned()));
        }
        assert_eq!((Month::parse("2024-13"), Month::parse("2024"), Month::parse("")), (None, None, None));
    }
}
