//! What of all facts about an image holds.
//!
//! Of two facts about the same the later one holds, and of one second the one that was written later, as the topic keeps it. Nothing is kept that
//! decides nothing: other tags, and what disks hold beyond what is said of them.

use std::collections::BTreeMap;

use cloudigrade_schemas::image::{ImageUse, OPENSHIFT_TAG, Override, Product, RHEL_TAG};
use cloudigrade_schemas::image_fact::{Fact, ImageMetadata, InspectionProgress, InspectionRequest};
use cloudigrade_schemas::inspection::{InspectionEnd, InspectionStage, SpecialImage};
use cloudigrade_schemas::{ImageFact, ImageSighting, UtcSecond};
use serde::{Deserialize, Serialize};

use super::disks::Disks;
use crate::limits::{IMAGE_ACCOUNTS_KEPT, IMAGE_TAGGERS_MAX};

/// Something that is so, when and where that was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told<T> {
    pub(super) at: UtcSecond,
    pub(super) source: String,
    pub(super) region: String,
    pub(super) what: T,
}

/// What holds of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// What EC2 says of it, to whichever account last asked.
    pub(super) metadata: Option<Told<ImageMetadata>>,
    /// The accounts that EC2 does not show it to, and those that it shows it to after all (`false`); empty once there are metadata. What one
    /// account sees is known, whoever does not see it, and stays known when nobody sees it any more.
    pub(super) unavailable: BTreeMap<String, Told<bool>>,
    /// Whether it has [`RHEL_TAG`], by account; the empty one is unnamed.
    pub(super) rhel_tags: BTreeMap<String, Told<bool>>,
    /// Whether it has [`OPENSHIFT_TAG`], by account.
    pub(super) openshift_tags: BTreeMap<String, Told<bool>>,
    /// What was said against the evidence, by product and tenant.
    pub(super) overrides: BTreeMap<String, Told<Override>>,
    /// What its disks hold.
    pub(super) disks: Option<Told<Disks>>,
    /// How far the newest attempt to read its disks is.
    pub(super) inspection: Option<Told<InspectionProgress>>,
    /// What somebody wants done about that.
    pub(super) request: Option<Told<InspectionRequest>>,
    /// The accounts that used it first, in that order.
    pub(super) uses: Vec<ImageUse>,
}

impl<T> Told<T> {
    /// Whether this takes the place of what is known.
    fn is_after(&self, known: Option<&Self>) -> bool {
        known.is_none_or(|known| known.at <= self.at)
    }
}

fn tell<T>(known: &mut Option<Told<T>>, told: Told<T>) {
    if told.is_after(known.as_ref()) {
        *known = Some(told);
    }
}

fn tell_of<T>(known: &mut BTreeMap<String, Told<T>>, key: String, told: Told<T>) {
    if told.is_after(known.get(&key)) {
        known.insert(key, told);
    }
}

impl Known {
    /// Whether EC2 shows it to none of the accounts that asked, as far as is known.
    pub(super) fn is_unavailable(&self) -> bool {
        self.metadata.is_none() && !self.unavailable.is_empty() && self.unavailable.values().all(|told| told.what)
    }

    /// The tags that say that a product is there, by account.
    pub(super) fn tags(&self, product: Product) -> &BTreeMap<String, Told<bool>> {
        match product {
            Product::Rhel => &self.rhel_tags,
            Product::Openshift => &self.openshift_tags,
        }
    }

    /// Whether a tag says that RHEL is in it for all accounts that use it: nobody needs its disks read then, and who tagged it may not want that.
    /// Where as many use it as are kept there may be others, whose tags say nothing.
    pub(super) fn is_vouched_for(&self) -> bool {
        let tags = |account: &str| self.rhel_tags.get(account).is_some_and(|tag| tag.what);
        let is_tagged = self.rhel_tags.values().any(|tag| tag.what);
        is_tagged && self.uses.len() < IMAGE_ACCOUNTS_KEPT && self.uses.iter().all(|used| tags(&used.account_id))
    }

    /// The accounts that can be asked for its disks: the one that owns it, and those that use it, each once.
    pub(super) fn accounts(&self) -> Vec<String> {
        let owner = self.metadata.as_ref().and_then(|told| told.what.owner_id.as_ref());
        let mut accounts: Vec<String> = Vec::new();
        for account in owner.into_iter().chain(self.uses.iter().map(|used| &used.account_id)) {
            if !account.is_empty() && !accounts.contains(account) {
                accounts.push(account.clone());
            }
        }
        accounts
    }

    /// What came of the newest attempt to read its disks, if it is over.
    pub(super) fn end(&self) -> Option<(u32, &InspectionEnd)> {
        let told = &self.inspection.as_ref()?.what;
        match &told.progress {
            InspectionStage::Ended { end } => Some((told.attempt, end)),
            _ => None,
        }
    }

    /// Why it cannot be inspected, where that was found out.
    pub(super) fn special(&self) -> Option<SpecialImage> {
        match self.end()?.1 {
            InspectionEnd::Special { special, .. } => Some(*special),
            _ => None,
        }
    }

    /// Takes a fact into account; whether there was room for it.
    pub(super) fn hear(&mut self, fact: ImageFact) -> bool {
        let ImageFact { region, at, source, fact, .. } = fact;
        match fact {
            Fact::Metadata(what) => {
                tell(&mut self.metadata, Told { at, source, region, what });
                self.unavailable.clear();
            }
            Fact::Unavailable { .. } if self.metadata.is_some() => {}
            Fact::Unavailable { account_id, over } => {
                let told = Told { at, source, region, what: !over };
                tell_of(&mut self.unavailable, account_id.unwrap_or_default(), told);
                // Those left out have a greater name than all that are kept: so which are kept does not depend on the order of arrival.
                while self.unavailable.len() > IMAGE_ACCOUNTS_KEPT {
                    self.unavailable.pop_last();
                }
            }
            Fact::Tag { account_id, key, value } => {
                let tags = match key.as_str() {
                    RHEL_TAG => &mut self.rhel_tags,
                    OPENSHIFT_TAG => &mut self.openshift_tags,
                    _ => return true,
                };
                tell_of(tags, account_id.unwrap_or_default(), Told { at, source, region, what: value.is_some() });
                // As above, which are kept does not depend on the order of arrival.
                return tags.len() <= IMAGE_TAGGERS_MAX || tags.pop_last().is_none();
            }
            Fact::Override(what) => {
                let key = format!("{}/{}", what.product.word(), what.tenant.as_deref().unwrap_or_default());
                tell_of(&mut self.overrides, key, Told { at, source, region, what });
            }
            Fact::Findings(findings) => tell(&mut self.disks, Told { at, source, region, what: Disks::of(&findings) }),
            Fact::Inspection(what) => tell(&mut self.inspection, Told { at, source, region, what }),
            Fact::InspectionRequest(what) => tell(&mut self.request, Told { at, source, region, what }),
        }
        true
    }

    /// Takes into account that an account used it.
    ///
    /// The accounts that are left out came later than all that are kept, and can only come in by an earlier use: so which are kept does not depend
    /// on the order of arrival.
    pub(super) fn see(&mut self, sighting: ImageSighting) {
        let ImageSighting { region, account_id, at, .. } = sighting;
        match self.uses.iter_mut().find(|known| known.account_id == account_id && known.region == region) {
            Some(known) => known.since = known.since.min(at),
            None => self.uses.push(ImageUse { since: at, account_id, region }),
        }
        self.uses.sort();
        self.uses.truncate(IMAGE_ACCOUNTS_KEPT);
    }

    /// The region that it is in: what EC2 says before what CloudTrail does.
    pub(super) fn region(&self) -> &str {
        let told = [
            self.metadata.as_ref().map(|told| &told.region),
            self.uses.first().map(|first| &first.region),
            self.unavailable.values().next().map(|told| &told.region),
            self.disks.as_ref().map(|told| &told.region),
            self.rhel_tags.values().next().map(|told| &told.region),
            self.openshift_tags.values().next().map(|told| &told.region),
            self.overrides.values().next().map(|told| &told.region),
        ];
        told.into_iter().flatten().find(|region| !region.is_empty()).map_or("", String::as_str)
    }

    /// The latest moment of all that holds.
    pub(super) fn changed_at(&self) -> Option<UtcSecond> {
        let facts = [
            self.metadata.as_ref().map(|told| told.at),
            self.disks.as_ref().map(|told| told.at),
            self.inspection.as_ref().map(|told| told.at),
        ];
        let tags = Product::ALL.into_iter().flat_map(|product| self.tags(product).values()).map(|told| told.at);
        let unavailable = self.unavailable.values().map(|told| told.at);
        let overrides = self.overrides.values().map(|told| told.at);
        let uses = self.uses.iter().map(|used| used.since);
        facts.into_iter().flatten().chain(tags).chain(unavailable).chain(overrides).chain(uses).max()
    }
}
