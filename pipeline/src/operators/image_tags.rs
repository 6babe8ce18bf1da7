//! `image_tags`: what CloudTrail says of the tags of images to the tags that they have.
//!
//! Each account's tags of an image are its own, as AWS keeps them. Records come in any order, so the newest of each tag is kept: by time, and
//! within a second by value, where one that was set comes before none. A call that takes all tags of an account away counts for each that was
//! ever heard of. So a tag is a function of the set of what was said of it.

use cloudigrade_schemas::image_fact::Fact;
use cloudigrade_schemas::{ImageFact, ImageTag, Topic, UtcSecond};
use serde::{Deserialize, Serialize};

use crate::engine::{Cx, Operator};
use crate::log::{LogError, Record, Store};

/// The newest of each tag, by [`ImageFact::to_key`].
pub(super) const TAGS: Store = Store("images.tags");
/// When all tags of an image were last taken away, by `region/image/account`.
pub(super) const CLEARED: Store = Store("images.tags.cleared");

/// Name of what is counted when a message of `image.tags` cannot be read: it was not written by `extract`.
const UNREADABLE: &str = "unreadable_image_tags";

/// The operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageTags;

/// What is so of a tag. The greatest holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Told {
    at: UtcSecond,
    value: Option<String>,
}

/// A moment, and what told it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Cleared {
    at: UtcSecond,
    source: String,
}

impl Operator for ImageTags {
    fn inputs(&self) -> &'static [Topic] {
        &[Topic::ImageTags]
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        for record in records {
            match serde_json::from_slice::<ImageTag>(&record.value) {
                Ok(tag) => fold_tag(cx, record, tag)?,
                Err(_) => cx.count(UNREADABLE, 1),
            }
        }
        Ok(())
    }
}

fn fold_tag(cx: &mut Cx<'_>, record: &Record, tag: ImageTag) -> Result<(), LogError> {
    let ImageTag { image_id, region, at, source, account_id, key, value } = tag;
    let image = format!("{region}/{image_id}/{}", account_id.as_deref().unwrap_or_default());
    let cleared: Option<Cleared> = cx.get_json(CLEARED, record.partition, image.as_bytes())?;
    let fact = |at, source: &str, key: &str, value| ImageFact {
        image_id: image_id.clone(),
        region: region.clone(),
        at,
        source: source.to_owned(),
        fact: Fact::Tag { account_id: account_id.clone(), key: key.to_owned(), value },
    };
    if let Some(key) = key {
        tell(cx, record, fact(at, &source, &key, value))?;
        return match cleared {
            Some(cleared) => tell(cx, record, fact(cleared.at, &cleared.source, &key, None)),
            None => Ok(()),
        };
    }
    if cleared.is_some_and(|cleared| cleared.at >= at) {
        return Ok(());
    }
    cx.put_json(CLEARED, record.partition, image.as_bytes(), &Cleared { at, source: source.clone() })?;
    let prefix = fact(at, &source, "", None).to_key();
    for (known, _) in cx.scan(TAGS, record.partition, prefix.as_bytes())? {
        let key = String::from_utf8_lossy(&known[prefix.len()..]);
        tell(cx, record, fact(at, &source, &key, None))?;
    }
    Ok(())
}

/// Sends a fact about a tag, if it is newer than what is known.
fn tell(cx: &mut Cx<'_>, record: &Record, fact: ImageFact) -> Result<(), LogError> {
    let Fact::Tag { value, .. } = &fact.fact else { return Ok(()) };
    let told = Told { at: fact.at, value: value.clone() };
    let key = fact.to_key();
    let known: Option<Told> = cx.get_json(TAGS, record.partition, key.as_bytes())?;
    if known.is_some_and(|known| known >= told) {
        return Ok(());
    }
    cx.put_json(TAGS, record.partition, key.as_bytes(), &told)?;
    cx.send_to(Topic::ImageFacts, record.partition, key.as_bytes(), Cx::encode(&fact)?, record.entered_at);
    Ok(())
}
