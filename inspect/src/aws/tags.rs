//! How resources are named, and found by that.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use cloudigrade_schemas::inspection::Inspection;

use super::limits::TAG_VALUE_CHARS_MAX;
use super::settings::CloudSettings;
use crate::batch::Batch;
use crate::cloud::{TAG_BATCH, TAG_COMMAND, TAG_IMAGE, TAG_INSTALLATION};

/// The tags of one owner's resources: of an attempt, or a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tags {
    installation: String,
    key: &'static str,
    owner: String,
    image: Option<String>,
}

impl Tags {
    /// Those of an attempt.
    pub(super) fn of_attempt(settings: &CloudSettings, inspection: &Inspection) -> Self {
        Self {
            installation: settings.installation.clone(),
            key: TAG_COMMAND,
            owner: inspection.command_id.to_string(),
            image: Some(inspection.image_id.clone()),
        }
    }

    /// Those of a batch.
    pub(super) fn of_batch(settings: &CloudSettings, batch: &Batch) -> Self {
        Self { installation: settings.installation.clone(), key: TAG_BATCH, owner: batch.batch_id.clone(), image: None }
    }

    /// For a call that makes something.
    pub(super) fn specification(&self, kind: ResourceType) -> TagSpecification {
        let tag =
            |key: &str, value: &str| Tag::builder().key(key).value(value.chars().take(TAG_VALUE_CHARS_MAX).collect::<String>()).build();
        let name = match &self.image {
            Some(image) => format!("cloudigrade {image}"),
            None => "cloudigrade scanner".to_owned(),
        };
        let mut tags = vec![tag(TAG_INSTALLATION, &self.installation), tag(self.key, &self.owner), tag("Name", &name)];
        tags.extend(self.image.as_deref().map(|image| tag(TAG_IMAGE, image)));
        TagSpecification::builder().resource_type(kind).set_tags(Some(tags)).build()
    }

    /// For a call that looks for what was made.
    pub(super) fn filters(&self) -> Vec<Filter> {
        vec![tag_filter(TAG_INSTALLATION, &self.installation), tag_filter(self.key, &self.owner)]
    }

    /// The token by which a call is the same call when it is repeated: 32 hexadecimal digits, of which AWS takes up to 64.
    pub(super) fn token(&self, what: &str) -> String {
        let text = format!("{}/{}/{what}", self.installation, self.owner);
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }
}

/// What has a tag with a value.
pub(super) fn tag_filter(key: &str, value: &str) -> Filter {
    filter(&format!("tag:{key}"), [value])
}

/// What has any of some values.
pub(super) fn filter<'v>(name: &str, values: impl IntoIterator<Item = &'v str>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(str::to_owned).collect())).build()
}

/// The value of a tag.
pub(super) fn value<'t>(tags: &'t [Tag], key: &str) -> Option<&'t str> {
    tags.iter().find(|tag| tag.key() == Some(key)).and_then(|tag| tag.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(installation: &str, owner: &str, image: Option<&str>) -> Tags {
        Tags { installation: installation.into(), key: TAG_COMMAND, owner: owner.into(), image: image.map(str::to_owned) }
    }

    #[test]
    fn a_token_is_that_of_one_thing_of_one_owner_of_one_installation() {
        let all = [
            tags("a", "1", None).token("volume"),
            tags("a", "2", None).token("volume"),
            tags("b", "1", None).token("volume"),
            tags("a", "1", None).token("image"),
        ];
        assert!(all.iter().all(|token| token.len() == 32));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(all[0], tags("a", "1", Some("ami-1")).token("volume"));
    }

    #[test]
    fn what_is_made_has_the_tags_that_it_is_found_by() {
        let tags = tags("prod", "0123", Some("ami-1"));
        let made = tags.specification(ResourceType::Volume);
        for wanted in tags.filters() {
            let key = wanted.name().and_then(|name| name.strip_prefix("tag:")).unwrap();
            assert_eq!(value(made.tags(), key), wanted.values().first().map(String::as_str));
        }
        assert_eq!((value(made.tags(), TAG_IMAGE), value(made.tags(), "Name")), (Some("ami-1"), Some("cloudigrade ami-1")));
    }
}
