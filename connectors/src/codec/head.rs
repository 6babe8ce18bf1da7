//! What must be known of a record, read without building the rest of it.
//!
//! serde's derived readers are strict: a key that comes twice, or a field of another kind than CloudTrail writes, is an error. The fast
//! path asks [`slow`](super::slow) about such a record.

use std::borrow::Cow;

use cloudigrade_schemas::UtcSecond;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::words::{self, EC2, INSIGHT, begins_as_record};
use super::{CoverageSample, RelevantRecord};

/// A string that borrows from the text unless it holds escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What a JSON object is, and whether it is relevant: the fields that tell.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    #[serde(rename = "Records")]
    records: Option<IgnoredAny>,
    #[serde(rename = "detail-type")]
    detail_type: Option<IgnoredAny>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    event_version: Option<IgnoredAny>,
    #[serde(borrow)]
    event_source: Option<Text<'a>>,
    #[serde(borrow)]
    event_name: Option<Text<'a>>,
    #[serde(borrow, rename = "eventID")]
    event_id: Option<Text<'a>>,
    #[serde(borrow)]
    error_code: Option<Text<'a>>,
    #[serde(borrow)]
    event_category: Option<Text<'a>>,
    insight_details: Option<IgnoredAny>,
    #[serde(rename = "digestS3Bucket")]
    digest_bucket: Option<IgnoredAny>,
}

/// What an object on its own, outside of `Records`, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// It has a `Records` key.
    Container,
    /// A record, in an envelope or not.
    Record,
    /// A CloudTrail digest.
    Digest,
    /// Something else.
    Other,
}

impl<'a> Head<'a> {
    /// Reads a whole object.
    pub(super) fn read(object: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(object)
    }

    pub(super) fn shape(&self) -> Shape {
        if self.records.is_some() {
            Shape::Container
        } else if self.enveloped().is_some() || self.is_record() {
            Shape::Record
        } else if self.digest_bucket.is_some() {
            Shape::Digest
        } else {
            Shape::Other
        }
    }

    /// The record, if this is an EventBridge envelope.
    pub(super) fn enveloped(&self) -> Option<&'a str> {
        let detail = self.detail?.get();
        (self.detail_type.is_some() && detail.starts_with('{')).then_some(detail)
    }

    /// The record, if it can be a power event or tag an image. `json` is its text.
    pub(super) fn relevant(self, index: u64, json: &'a str) -> Option<RelevantRecord<'a>> {
        let failed = self.error_code.as_ref().is_some_and(|code| !code.0.is_empty());
        let ec2 = is(&self.event_source, EC2);
        let event_id = self.event_id.as_ref().filter(|id| !id.0.is_empty());
        let relevant =
            ec2 && !failed && !self.is_insight() && self.event_name.as_ref().is_some_and(|name| words::is_relevant(&name.0, json));
        relevant.then(|| RelevantRecord { index, event_id: event_id.map(|id| id.0.clone()), json })
    }

    fn is_record(&self) -> bool {
        self.event_version.is_some() || self.event_source.is_some() || self.event_name.is_some()
    }

    fn is_insight(&self) -> bool {
        self.insight_details.is_some() || is(&self.event_category, INSIGHT)
    }
}

fn is(text: &Option<Text<'_>>, word: &str) -> bool {
    text.as_ref().is_some_and(|text| text.0 == word)
}

/// What an object's first or last record tells of the whole.
#[derive(Debug)]
pub(super) struct Sketch {
    /// It has what all of CloudTrail's records have.
    pub is_cloudtrail: bool,
    /// It is an Insight event.
    pub is_insight: bool,
    /// How far the data reaches. Insight events do not tell.
    pub coverage: Option<CoverageSample>,
}

/// The fields that a sketch is made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline<'a> {
    #[serde(rename = "detail-type")]
    detail_type: Option<IgnoredAny>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    event_version: Option<IgnoredAny>,
    event_source: Option<IgnoredAny>,
    event_name: Option<IgnoredAny>,
    #[serde(borrow)]
    event_category: Option<Text<'a>>,
    insight_details: Option<IgnoredAny>,
    #[serde(borrow)]
    aws_region: Option<Text<'a>>,
    #[serde(borrow)]
    event_time: Option<Text<'a>>,
    #[serde(borrow)]
    recipient_account_id: Option<Text<'a>>,
    #[serde(borrow)]
    user_identity: Option<Identity<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow)]
    account_id: Option<Text<'a>>,
}

impl Sketch {
    /// Sketches a record, in an envelope or not. Of what cannot be read, only its beginning tells.
    pub(super) fn of(item: &[u8]) -> Self {
        Self::read(item).unwrap_or_else(|| Self { is_cloudtrail: begins_as_record(item), is_insight: false, coverage: None })
    }

    fn read(item: &[u8]) -> Option<Self> {
        let mut outline: Outline<'_> = serde_json::from_slice(item).ok()?;
        if outline.detail_type.is_some()
            && let Some(detail) = outline.detail.filter(|detail| detail.get().starts_with('{'))
        {
            outline = serde_json::from_str(detail.get()).ok()?;
        }
        let is_insight = outline.insight_details.is_some() || is(&outline.event_category, INSIGHT);
        let is_cloudtrail = outline.event_version.is_some() || outline.event_source.is_some() || outline.event_name.is_some();
        Some(Self { is_cloudtrail, is_insight, coverage: if is_insight { None } else { outline.coverage() } })
    }
}

impl Outline<'_> {
    fn coverage(self) -> Option<CoverageSample> {
        let account = self.recipient_account_id.or_else(|| self.user_identity?.account_id)?.0;
        let region = self.aws_region?.0;
        let event_time = UtcSecond::parse_prefix(&self.event_time?.0).ok()?;
        let known = !account.is_empty() && !region.is_empty();
        known.then(|| CoverageSample { account_id: account.into_owned(), region: region.into_owned(), event_time })
    }
}
