//! What messages say about a table: whose rows are replaced, and by which rows.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray};
use cloudigrade_schemas::interval::MonthEvent;
use cloudigrade_schemas::table::{self, Table};
use cloudigrade_schemas::{
    Account, Coverage, DeadLetter, Gap, Image, ImageFact, InstanceMonth, Interval, Month, Resolution, SourceRef, Topic, UtcSecond,
    instance_type,
};

use super::columns::file_schema;
use super::facts;
use super::slice::Cell;
use crate::log::Record;

/// The stored tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`table::INSTANCE_INTERVALS`].
    Intervals,
    /// [`table::POWER_EVENTS`].
    Events,
    /// [`table::COVERAGE`].
    Coverage,
    /// [`table::DEAD_LETTERS`].
    DeadLetters,
    /// [`table::ACCOUNTS`].
    Accounts,
    /// [`table::GAPS`].
    Gaps,
    /// [`table::IMAGE_FACTS`].
    ImageFacts,
    /// [`table::IMAGES`].
    Images,
}

/// Whose rows they are: the values of [`Kind::key_columns`]; a key of fewer columns ends with empty text.
pub type RowKey<'a> = [Cow<'a, str>; 3];

/// What a message says.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// All of an instance's month.
    Month(InstanceMonth<'a>),
    /// How far an account's data reaches in a region.
    Coverage(Coverage),
    /// What could not be used.
    DeadLetter(Box<DeadLetter>),
    /// An account as it stands.
    Account(Box<Account>),
    /// Where data is missing.
    Gap(Box<Gap>),
    /// What is known of an image.
    ImageFact(Box<ImageFact>),
    /// An image as it stands.
    Image(Box<Image>),
}

/// One message: the rows of `key` in `cell` become those of `content`.
#[derive(Debug)]
pub struct Change<'a> {
    /// Where the rows are.
    pub cell: Cell,
    /// Whose rows they are.
    pub key: RowKey<'a>,
    /// What the rows say.
    pub content: Content<'a>,
    /// When the fact behind it entered the log.
    pub entered_at: UtcSecond,
}

/// The one cell of a table that is not partitioned.
const WHOLE: Cell = Cell { month: Month::Open, bucket: 0 };

impl<'a> Change<'a> {
    /// Reads a message.
    pub fn read(record: &'a Record) -> Result<Self, serde_json::Error> {
        let (cell, key, content) = match record.topic {
            Topic::Coverage => {
                let coverage: Coverage = serde_json::from_slice(&record.value)?;
                let key = [coverage.account_id.clone().into(), coverage.region.clone().into(), Cow::Borrowed("")];
                (WHOLE, key, Content::Coverage(coverage))
            }
            Topic::DeadLetters => {
                let letter: DeadLetter = serde_json::from_slice(&record.value)?;
                (WHOLE, [letter.id.clone().into(), Cow::Borrowed(""), Cow::Borrowed("")], Content::DeadLetter(Box::new(letter)))
            }
            Topic::Accounts => {
                let account: Account = serde_json::from_slice(&record.value)?;
                let key = [account.tenant.clone().into(), account.account_id.clone().into(), Cow::Borrowed("")];
                (WHOLE, key, Content::Account(Box::new(account)))
            }
            Topic::Gaps => {
                let gap: Gap = serde_json::from_slice(&record.value)?;
                (WHOLE, [gap.to_key().into(), Cow::Borrowed(""), Cow::Borrowed("")], Content::Gap(Box::new(gap)))
            }
            Topic::ImageFacts => {
                let fact: ImageFact = serde_json::from_slice(&record.value)?;
                let key = [fact.image_id.clone().into(), fact.region.clone().into(), fact.fact.name()];
                (WHOLE, key.map(|part: Cow<'_, str>| Cow::Owned(part.into_owned())), Content::ImageFact(Box::new(fact)))
            }
            Topic::Images => {
                let image: Image = serde_json::from_slice(&record.value)?;
                (WHOLE, [image.image_id.clone().into(), Cow::Borrowed(""), Cow::Borrowed("")], Content::Image(Box::new(image)))
            }
            _ => {
                let month: InstanceMonth<'_> = serde_json::from_slice(&record.value)?;
                let cell = Cell { month: month.month, bucket: table::bucket_of(record.partition) };
                let of = month.instance.clone();
                (cell, [of.account_id, of.region, of.instance_id], Content::Month(month))
            }
        };
        Ok(Self { cell, key, content, entered_at: record.entered_at })
    }
}

impl Kind {
    /// The table's columns.
    pub const fn table(self) -> Table {
        match self {
            Self::Intervals => table::INSTANCE_INTERVALS,
            Self::Events => table::POWER_EVENTS,
            Self::Coverage => table::COVERAGE,
            Self::DeadLetters => table::DEAD_LETTERS,
            Self::Accounts => table::ACCOUNTS,
            Self::Gaps => table::GAPS,
            Self::ImageFacts => table::IMAGE_FACTS,
            Self::Images => table::IMAGES,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.table().name
    }

    /// The columns that its files are sorted by.
    pub const fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::Intervals => &["account_id", "region", "instance_id", "started_at"],
            Self::Events => &["account_id", "region", "instance_id", "occurred_at", "event_id"],
            Self::Coverage => &["account_id", "region"],
            Self::DeadLetters => &["source", "record_index", "id"],
            Self::Accounts => &["tenant", "account_id"],
            Self::Gaps => &["account_id", "region", "missing_from", "id"],
            Self::ImageFacts => &["image_id", "region", "fact"],
            Self::Images => &["image_id"],
        }
    }

    /// The text columns whose values say whose a row is.
    pub const fn key_columns(self) -> &'static [&'static str] {
        match self {
            Self::Intervals | Self::Events => &["account_id", "region", "instance_id"],
            Self::Coverage => &["account_id", "region"],
            Self::DeadLetters | Self::Gaps => &["id"],
            Self::Accounts => &["tenant", "account_id"],
            Self::ImageFacts => &["image_id", "region", "fact"],
            Self::Images => &["image_id"],
        }
    }

    /// The rows that some changes of one cell make.
    pub fn rows(self, changes: &[&Change<'_>]) -> Result<RecordBatch, arrow::error::ArrowError> {
        let columns = match self {
            Self::Intervals => interval_columns(&changes.iter().flat_map(|change| intervals_of(change)).collect::<Vec<_>>()),
            Self::Events => event_columns(&changes.iter().flat_map(|change| events_of(change)).collect::<Vec<_>>()),
            Self::Coverage => coverage_columns(&told(changes, |content| match content {
                Content::Coverage(coverage) => Some(coverage),
                _ => None,
            })),
            Self::DeadLetters => letter_columns(&told(changes, |content| match content {
                Content::DeadLetter(letter) => Some(&**letter),
                _ => None,
            })),
            Self::Accounts => facts::account_columns(&told(changes, |content| match content {
                Content::Account(account) => Some(&**account),
                _ => None,
            }))?,
            Self::Gaps => facts::gap_columns(&told(changes, |content| match content {
                Content::Gap(gap) => Some(&**gap),
                _ => None,
            }))?,
            Self::ImageFacts => facts::image_fact_columns(&told(changes, |content| match content {
                Content::ImageFact(fact) => Some(&**fact),
                _ => None,
            }))?,
            Self::Images => facts::image_columns(&told(changes, |content| match content {
                Content::Image(image) => Some(&**image),
                _ => None,
            }))?,
        };
        RecordBatch::try_new(file_schema(&self.table()), columns)
    }
}

struct IntervalRow<'a> {
    change: &'a Change<'a>,
    month: &'a InstanceMonth<'a>,
    interval: &'a Interval<'a>,
}

fn intervals_of<'a>(change: &'a Change<'a>) -> Vec<IntervalRow<'a>> {
    let Content::Month(month) = &change.content else { return Vec::new() };
    month.intervals.iter().map(|interval| IntervalRow { change, month, interval }).collect()
}

struct EventRow<'a> {
    change: &'a Change<'a>,
    event: &'a MonthEvent<'a>,
}

fn events_of<'a>(change: &'a Change<'a>) -> Vec<EventRow<'a>> {
    let Content::Month(month) = &change.content else { return Vec::new() };
    month.events.iter().map(|event| EventRow { change, event }).collect()
}

/// What changes of a table with one row a message say.
fn told<'a, T>(changes: &[&'a Change<'a>], of: impl Fn(&'a Content<'a>) -> Option<&'a T>) -> Vec<&'a T> {
    changes.iter().filter_map(|change| of(&change.content)).collect()
}

/// The columns of [`table::INSTANCE_INTERVALS`] that files hold, in its order.
fn interval_columns(rows: &[IntervalRow<'_>]) -> Vec<ArrayRef> {
    let size = |row: &IntervalRow<'_>| row.interval.instance_type.as_deref().and_then(instance_type::lookup);
    let piece_start = |row: &IntervalRow<'_>| match row.month.month {
        Month::Of { year, month } => row.interval.start.at.max(UtcSecond::of_month(i64::from(year), i64::from(month))),
        Month::Open => row.interval.start.at,
    };
    let piece_end = |row: &IntervalRow<'_>| match (row.month.month.end(), &row.interval.end) {
        (Some(month_end), Some(end)) => Some(end.at.min(month_end)),
        _ => None,
    };
    let first_month = |row: &IntervalRow<'_>| row.month.month == Month::Open || row.month.month == Month::containing(row.interval.start.at);
    vec![
        text(rows, |row| &row.change.key[0]),
        text(rows, |row| &row.change.key[1]),
        text(rows, |row| &row.change.key[2]),
        maybe_text(rows, |row| row.interval.image_id.as_deref()),
        maybe_text(rows, |row| row.interval.instance_type.as_deref()),
        maybe_integer(rows, |row| size(row).map(|size| i64::from(size.vcpu))),
        maybe_integer(rows, |row| size(row).and_then(|size| i64::try_from(size.memory_mib).ok())),
        moment(rows, |row| Some(row.interval.start.at)),
        moment(rows, |row| row.interval.end.as_ref().map(|end| end.at)),
        text(rows, |row| &row.interval.start.event_id.0),
        maybe_text(rows, |row| row.interval.end.as_ref().map(|end| &*end.event_id.0)),
        maybe_text(rows, |row| Some(row.interval.start.kind.name())),
        maybe_text(rows, |row| row.interval.end.as_ref().map(|end| end.kind.name())),
        source(rows, |row| Some(&row.interval.start.source)),
        source(rows, |row| row.interval.end.as_ref().map(|end| &end.source)),
        maybe_integer(rows, |row| Some(i64::from(row.month.revision))),
        moment(rows, |row| Some(row.change.entered_at)),
        moment(rows, |row| row.interval.end.as_ref().and_then(|end| end.not_before)),
        moment(rows, |row| Some(piece_start(row))),
        moment(rows, piece_end),
        maybe_boolean(rows, |row| Some(first_month(row))),
    ]
}

/// The columns of [`table::POWER_EVENTS`] that files hold, in its order.
fn event_columns(rows: &[EventRow<'_>]) -> Vec<ArrayRef> {
    vec![
        text(rows, |row| &row.change.key[0]),
        text(rows, |row| &row.change.key[1]),
        text(rows, |row| &row.change.key[2]),
        moment(rows, |row| Some(row.event.change.occurred_at)),
        maybe_text(rows, |row| Some(row.event.change.action.name())),
        maybe_text(rows, |row| row.event.change.instance_type.as_deref()),
        maybe_text(rows, |row| row.event.change.image_id.as_deref()),
        text(rows, |row| &row.event.event_id.0),
        source(rows, |row| Some(&row.event.change.source)),
        moment(rows, |row| Some(row.change.entered_at)),
        moment(rows, |row| row.event.change.not_before),
    ]
}

/// The columns of [`table::COVERAGE`], in its order.
fn coverage_columns(rows: &[&Coverage]) -> Vec<ArrayRef> {
    vec![text(rows, |row| &row.account_id), text(rows, |row| &row.region), moment(rows, |row| Some(row.complete_through))]
}

/// The columns of [`table::DEAD_LETTERS`], in its order.
fn letter_columns(rows: &[&DeadLetter]) -> Vec<ArrayRef> {
    vec![
        text(rows, |row| &row.id),
        text(rows, |row| &row.source),
        maybe_integer(rows, |row| row.index.and_then(|index| i64::try_from(index).ok())),
        maybe_text(rows, |row| Some(row.reason.word())),
        text(rows, |row| &row.detail),
        text(rows, |row| &row.first_bytes),
        moment(rows, |row| Some(row.found_at)),
        maybe_text(rows, |row| row.version.as_deref()),
        moment(rows, |row| row.resolved_at),
        maybe_text(rows, |row| row.resolution.map(Resolution::word)),
        maybe_text(rows, |row| row.resolved_by.as_deref()),
    ]
}

pub(super) fn text<R>(rows: &[R], value: impl Fn(&R) -> &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
}

pub(super) fn maybe_text<R>(rows: &[R], value: impl Fn(&R) -> Option<&str>) -> ArrayRef {
    Arc::new(StringArray::from_iter(rows.iter().map(value)))
}

/// Places as text, each written where it stays.
fn source<'s, R>(rows: &'s [R], value: impl Fn(&'s R) -> Option<&'s SourceRef<'s>>) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(rows.len(), rows.len() * 128);
    for row in rows {
        match value(row) {
            // Writing into memory does not fail.
            Some(source) => drop(write!(column, "{source}").map(|()| column.append_value(""))),
            None => column.append_null(),
        }
    }
    Arc::new(column.finish())
}

pub(super) fn maybe_boolean<R>(rows: &[R], value: impl Fn(&R) -> Option<bool>) -> ArrayRef {
    Arc::new(BooleanArray::from_iter(rows.iter().map(value)))
}

pub(super) fn maybe_integer<R>(rows: &[R], value: impl Fn(&R) -> Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(rows.iter().map(value)))
}

pub(super) fn moment<R>(rows: &[R], value: impl Fn(&R) -> Option<UtcSecond>) -> ArrayRef {
    const MICROSECONDS: i64 = 1_000_000;
    let values = rows.iter().map(|row| value(row).map(|moment| moment.0 * MICROSECONDS));
    Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
}
