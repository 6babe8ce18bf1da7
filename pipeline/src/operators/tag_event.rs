//! What a CloudTrail record says about the tags of machine images: successful `CreateTags` and `DeleteTags` calls of EC2.
//!
//! These calls answer with nothing but success, so what they did is in the request. `DeleteTags` may name a value too, and does nothing
//! where the tag has another: it is taken to have met it.

use std::borrow::Cow;

use cloudigrade_schemas::image_fact::{TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX};
use cloudigrade_schemas::{DeadLetterReason, ImageTag, SourceRef};

use super::fields::Json;
use super::trail_event::{EVENT_SOURCE, Unusable, account_of, event_time};
use crate::limits::{TAGGED_RESOURCES_MAX, TAGS_PER_CALL_MAX};

/// What the ids of images begin with.
const IMAGE_ID_PREFIX: &str = "ami-";
/// Characters of the id of an image or an account, or of a region, at most: more than any has.
pub(super) const NAME_CHARS_MAX: usize = 64;

/// Reads a record; nothing where it is about no image's tags.
///
/// # Errors
/// [`Unusable`] for one about an image without a readable time, and for names and values that AWS would not take.
pub(super) fn tags_of(record: Json<'_>, source: &SourceRef<'_>) -> Result<Vec<ImageTag>, Unusable> {
    let [name, service, error, time, region, recipient, caller, request] = record.fields([
        "eventName",
        "eventSource",
        "errorCode",
        "eventTime",
        "awsRegion",
        "recipientAccountId",
        "userIdentity",
        "requestParameters",
    ]);
    let text = |value: Option<Json<'_>>| value.and_then(Json::text).map(Cow::into_owned);
    let is_set = match text(name).as_deref() {
        Some("CreateTags") => true,
        Some("DeleteTags") => false,
        _ => return Ok(Vec::new()),
    };
    if text(service).as_deref() != Some(EVENT_SOURCE) || error.is_some_and(Json::is_something) {
        return Ok(Vec::new());
    }
    let [resources, tags] = request.map_or([None; 2], |request| request.fields(["resourcesSet", "tagSet"]));
    let images = items(resources).into_iter().filter_map(|item| text(item.fields(["resourceId"])[0]));
    let images: Vec<String> = images.filter(|id| id.starts_with(IMAGE_ID_PREFIX)).collect();
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let at = event_time(time)?;
    let region = text(region).unwrap_or_default();
    let account = Some(account_of(recipient, caller).into_owned()).filter(|id| !id.is_empty());
    let mut named: Vec<(Option<String>, Option<String>)> = Vec::new();
    for item in items(tags) {
        let [key, value] = item.fields(["key", "value"]);
        // A tag can be set without a value: to the empty text.
        let value = is_set.then(|| text(value).unwrap_or_default());
        named.push((Some(text(key).unwrap_or_default()), value));
    }
    if named.is_empty() && !is_set {
        named.push((None, None));
    }
    let unusable = |detail: String| Unusable { reason: DeadLetterReason::BadField, detail };
    // One record must not become millions.
    if images.len() > TAGGED_RESOURCES_MAX || named.len() > TAGS_PER_CALL_MAX {
        let (images, tags) = (images.len(), named.len());
        return Err(unusable(format!(
            "{tags} tags of {images} images are more than the {TAGS_PER_CALL_MAX} of {TAGGED_RESOURCES_MAX} that AWS takes; check what wrote the \
             record"
        )));
    }
    let within = |text: &str, limit: usize| text.chars().count() <= limit;
    let sound = images.iter().chain([&region]).chain(&account).all(|name| within(name, NAME_CHARS_MAX))
        && named.iter().all(|(key, value)| {
            key.as_ref().is_none_or(|key| !key.is_empty() && within(key, TAG_KEY_CHARS_MAX))
                && value.as_ref().is_none_or(|value| within(value, TAG_VALUE_CHARS_MAX))
        });
    if !sound {
        return Err(unusable("a tag of an image has a name or a value that AWS does not take; check what wrote the record".to_owned()));
    }
    let source = source.to_string();
    let tag = |image: &String, (key, value): &(Option<String>, Option<String>)| ImageTag {
        image_id: image.clone(),
        region: region.clone(),
        at,
        source: source.clone(),
        account_id: account.clone(),
        key: key.clone(),
        value: value.clone(),
    };
    Ok(images.iter().flat_map(|image| named.iter().map(|named| tag(image, named)).collect::<Vec<_>>()).collect())
}

/// The items of a set, as EC2's requests have them.
fn items(set: Option<Json<'_>>) -> Vec<Json<'_>> {
    set.and_then(|set| set.fields(["items"])[0]).map(Json::items).unwrap_or_default()
}
