//! `sightings`: which accounts use which images, from power events.
//!
//! An image that is used must be known of at once, whatever else is known of it. Each event of a launch passes here, so what is not needed is
//! not decoded, and of each image and account only the first use goes on. Events of one account are in many partitions; each remembers and tells
//! its own first use, and an earlier one when it comes late. A use is not taken back: an event that is told anew with another image leaves
//! the first one known of.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cloudigrade_schemas::{ImageSighting, Topic, UtcSecond};
use memchr::memmem;

use super::binary;
use super::fields::Json;
use super::tag_event::NAME_CHARS_MAX;
use crate::engine::{Cx, Operator};
use crate::log::{LogError, Record, Store};

/// The first use that a partition told, by `region/image/account`: seconds since 1970, eight bytes.
pub(super) const SEEN: Store = Store("sightings.seen");

/// What an event holds that names an image, as `extract` writes it.
const NAMES_AN_IMAGE: &[u8] = b"\"image_id\":\"";

/// Name of what is counted when an event names an image in a way that AWS does not.
const UNUSABLE: &str = "unusable_image_ids";

/// The operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sightings;

/// Who used what: partition, region, image, account.
type Use<'a> = (u32, Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

impl Operator for Sightings {
    fn inputs(&self) -> &'static [Topic] {
        &[Topic::PowerEvents]
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        let mut uses: BTreeMap<Use<'_>, (UtcSecond, UtcSecond)> = BTreeMap::new();
        for record in records.iter().filter(|record| memmem::find(&record.value, NAMES_AN_IMAGE).is_some()) {
            let Some((used, at)) = use_told(record) else { continue };
            if [&used.1, &used.2, &used.3].iter().any(|name| name.chars().count() > NAME_CHARS_MAX) {
                cx.count(UNUSABLE, 1);
                continue;
            }
            let (first, entered_at) = uses.entry(used).or_insert((at, record.entered_at));
            *first = at.min(*first);
            *entered_at = record.entered_at.max(*entered_at);
        }
        uses.into_iter().try_for_each(|(used, (at, entered_at))| tell(cx, used, at, entered_at))
    }
}

/// Reads what an event says; nothing where it names no image, or was not written by `extract`.
fn use_told<'r>(record: &'r Record) -> Option<(Use<'r>, UtcSecond)> {
    let event = Json(str::from_utf8(&record.value).ok()?);
    let [account, region, change] = event.fields(["account_id", "region", "change"]);
    let [at, image] = change?.fields(["occurred_at", "image_id"]);
    let at = UtcSecond::parse_prefix(&at?.text()?).ok()?;
    let text = |text: Option<Json<'r>>| text.and_then(Json::text).unwrap_or_default();
    Some(((record.partition, text(region), image?.text()?, text(account)), at))
}

/// Sends a use, if it is earlier than what its partition told.
fn tell(cx: &mut Cx<'_>, (partition, region, image_id, account_id): Use<'_>, at: UtcSecond, entered_at: UtcSecond) -> Result<(), LogError> {
    let place = format!("{region}/{image_id}/{account_id}");
    if let Some(told) = cx.get(SEEN, partition, place.as_bytes())? {
        let told = told.try_into().map(i64::from_le_bytes).map_err(|_| binary::damaged("reading the first use of an image", &place))?;
        if told <= at.0 {
            return Ok(());
        }
    }
    cx.put(SEEN, partition, place.as_bytes(), at.0.to_le_bytes().to_vec());
    let sighting = ImageSighting { image_id: image_id.into(), region: region.into(), account_id: account_id.into(), at };
    let key = sighting.to_key(partition);
    cx.send_under(Topic::ImageSightings, sighting.image_id.as_bytes(), key.as_bytes(), Cx::encode(&sighting)?, entered_at);
    Ok(())
}
