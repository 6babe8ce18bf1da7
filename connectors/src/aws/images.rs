//! Which images to ask EC2 about, and what is new of an answer. Pure.
//!
//! What is known is kept for each account by itself: an account sees its own tags only, and not every image of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cloudigrade_pipeline::log::Store;
use cloudigrade_schemas::image_fact::Fact;
use cloudigrade_schemas::{ImageFact, UtcSecond};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::answers::DescribedImage;
use crate::limits::{IMAGE_REFRESH_SECONDS, SIGHTED_IMAGES_PER_ROUND_MAX};

/// What is known of images, by `account/region/image`, in the partition of `account/region`.
pub(crate) const IMAGES: Store = Store("collect.images");

/// What an account was told of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownImage {
    /// When EC2 was last asked.
    pub asked_at: UtcSecond,
    /// A digest of what was written of it; `None` when EC2 never showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether it was written that EC2 does not show it.
    #[serde(default)]
    pub unavailable: bool,
    /// The keys of the tags that it had.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// The images to ask about. Of those that instances are seen to have now: new ones, and those that were asked about too long ago, as tags set
/// before we were told of changes, and what becomes of images, show only so. Of those that were `sighted`, which may have been used years ago
/// and be many: new ones, so many at once.
pub fn due(known: &BTreeMap<String, KnownImage>, seen: &BTreeSet<String>, sighted: &BTreeSet<String>, now: UtcSecond) -> Vec<String> {
    let is_image = |id: &&String| id.starts_with("ami-");
    let is_due = |id: &&String| known.get(*id).is_none_or(|known| now.0 - known.asked_at.0 >= IMAGE_REFRESH_SECONDS);
    let is_new = |id: &&String| !known.contains_key(*id) && !seen.contains(*id);
    let of_sighted = sighted.iter().filter(is_image).filter(is_new).take(SIGHTED_IMAGES_PER_ROUND_MAX);
    seen.iter().filter(is_image).filter(is_due).chain(of_sighted).cloned().collect()
}

/// The facts to write, and what is known then.
pub fn news(
    known: Option<&KnownImage>,
    image: &DescribedImage,
    account: &str,
    region: &str,
    at: UtcSecond,
) -> (Vec<ImageFact>, KnownImage) {
    let unavailable = matches!(image, DescribedImage::Unavailable(_));
    let (mut facts, digest, tags) = match image {
        // What was known stays known when the image is deregistered: instances still run from it.
        DescribedImage::Unavailable(_) => {
            let (digest, tags) = known.map(|known| (known.digest.clone(), known.tags.clone())).unwrap_or_default();
            (Vec::new(), digest, tags)
        }
        DescribedImage::Known { tags, metadata, .. } => {
            let digest = Some(digest(&serde_json::json!([metadata, tags]).to_string()));
            let same = known.is_some_and(|known| known.digest == digest);
            let facts = if same { Vec::new() } else { image.facts(account, known.map_or(&[], |known| &known.tags)) };
            (facts, digest, tags.iter().map(|(key, _)| key.clone()).collect())
        }
    };
    if unavailable != known.is_some_and(|known| known.unavailable) {
        facts.push(Fact::Unavailable { account_id: Some(account.to_owned()), over: !unavailable });
    }
    let source = format!("ec2://{account}/{region}/{}", image.id());
    let fact = |fact| ImageFact { image_id: image.id().to_owned(), region: region.to_owned(), at, source: source.clone(), fact };
    (facts.into_iter().map(fact).collect(), KnownImage { asked_at: at, digest, unavailable, tags })
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(16).fold(String::new(), |mut hex, byte| {
        // Writing into a text does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::image_fact::ImageMetadata;

    use super::*;

    fn image(name: &str, tags: &[&str]) -> DescribedImage {
        DescribedImage::Known {
            id: "ami-1".to_owned(),
            metadata: Box::new(ImageMetadata { name: Some(name.to_owned()), ..ImageMetadata::default() }),
            tags: tags.iter().map(|key| ((*key).to_owned(), String::new())).collect(),
        }
    }

    fn told(known: Option<&KnownImage>, image: &DescribedImage, at: i64) -> (Vec<Fact>, KnownImage) {
        let (facts, known) = news(known, image, "1", "r", UtcSecond(at));
        assert!(facts.iter().all(|fact| (fact.at, &*fact.source) == (UtcSecond(at), "ec2://1/r/ami-1")));
        (facts.into_iter().map(|fact| fact.fact).collect(), known)
    }

    #[test]
    fn an_image_is_told_once_and_again_when_it_changes() {
        let (first, known) = told(None, &image("a", &["x"]), 1);
        assert_eq!(first.len(), 2);
        let (second, known) = told(Some(&known), &image("a", &["x"]), 2);
        assert_eq!((second, known.asked_at), (vec![], UtcSecond(2)));
        let (third, _) = told(Some(&known), &image("a", &["y"]), 3);
        let tag = |key: &str, value: Option<&str>| Fact::Tag {
            account_id: Some("1".to_owned()),
            key: key.to_owned(),
            value: value.map(str::to_owned),
        };
        assert_eq!(third[1..], [tag("y", Some("")), tag("x", None)]);
    }

    fn unavailable(over: bool) -> Fact {
        Fact::Unavailable { account_id: Some("1".to_owned()), over }
    }

    #[test]
    fn that_an_image_is_not_shown_is_told_once_and_again_when_that_changes() {
        let gone = DescribedImage::Unavailable("ami-1".to_owned());
        let (first, known) = told(None, &gone, 1);
        assert_eq!(first, [unavailable(false)]);
        assert_eq!(told(Some(&known), &gone, 2).0, []);
        let (shown, known) = told(Some(&known), &image("a", &["x"]), 3);
        assert_eq!((shown.len(), &shown[2]), (3, &unavailable(true)));
        let (facts, still) = told(Some(&known), &gone, 4);
        assert_eq!(facts, [unavailable(false)]);
        assert_eq!((&still.digest, &still.tags), (&known.digest, &known.tags), "what was known stays known");
        assert_eq!(told(Some(&still), &image("a", &["x"]), 5).0, [unavailable(true)]);
    }

    #[test]
    fn what_one_account_is_not_shown_takes_no_fact_of_another_away() {
        let (seen, _) = news(None, &image("a", &["x"]), "1", "r", UtcSecond(1));
        let (unseen, _) = news(None, &DescribedImage::Unavailable("ami-1".to_owned()), "2", "r", UtcSecond(2));
        let keys: Vec<String> = seen.iter().chain(&unseen).map(ImageFact::to_key).collect();
        assert_eq!(keys, ["r/ami-1/metadata", "r/ami-1/tag/1/x", "r/ami-1/unavailable/2"]);
    }

    #[test]
    fn only_new_images_and_those_asked_about_long_ago_are_asked_about() {
        let asked = |at| KnownImage { asked_at: UtcSecond(at), digest: None, unavailable: true, tags: vec![] };
        let known = BTreeMap::from([("ami-1".to_owned(), asked(0)), ("ami-2".to_owned(), asked(IMAGE_REFRESH_SECONDS))]);
        let seen = ids(&["ami-1", "ami-2", "ami-3", "aki-kernel"]);
        assert_eq!(due(&known, &seen, &BTreeSet::new(), UtcSecond(IMAGE_REFRESH_SECONDS)), ["ami-1", "ami-3"]);
    }

    fn ids(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn images_that_were_only_told_of_are_asked_about_once_and_never_too_many_at_once() {
        let asked = KnownImage { asked_at: UtcSecond(0), digest: None, unavailable: true, tags: vec![] };
        let known = BTreeMap::from([("ami-1".to_owned(), asked)]);
        let sighted = ids(&["ami-1", "ami-2", "ami-3", "aki-kernel", ""]);
        assert_eq!(due(&known, &ids(&["ami-3"]), &sighted, UtcSecond(IMAGE_REFRESH_SECONDS)), ["ami-3", "ami-2"]);
        let many = (0..=SIGHTED_IMAGES_PER_ROUND_MAX).map(|number| format!("ami-{number:08}")).collect();
        assert_eq!(due(&known, &BTreeSet::new(), &many, UtcSecond(0)).len(), SIGHTED_IMAGES_PER_ROUND_MAX);
    }
}
