//! The reaper: finds what has our tags and belongs to nothing that is at work, and removes it.
//!
//! Inspections remove what they made by themselves. What is left over was made by a worker that was already given up, or by one whose log was lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use cloudigrade_pipeline::log::Log;
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::account::AccountState;
use futures::FutureExt;

use crate::advance::after;
use crate::cloud::{Cloud, Place, Step, TaggedResource};
use crate::limits::{REAP_AGE_SECONDS, REAP_EVERY_SECONDS};
use crate::worker::{Doing, Outcome, Worker};

impl<C: Cloud, L: Log> Worker<C, L>
where
    L::Task: 'static,
{
    /// Begins to look everywhere, if it is time to.
    pub(crate) fn begin_reaping(&mut self, now: UtcSecond) {
        if now < self.reap_at {
            return;
        }
        self.reap_at = after(now, REAP_EVERY_SECONDS);
        for place in self.all_places() {
            let (cloud, at) = (Arc::clone(&self.cloud), place.clone());
            let listing = async move { Outcome::Listed(cloud.list_tagged(&at).await) };
            self.begin(Doing::Listing(place), listing.boxed());
        }
    }

    /// Our own account, and those of readers that we may still call.
    fn all_places(&self) -> BTreeSet<Place> {
        let accounts = self.accounts.borrow();
        let of =
            |account_id: &str| accounts.iter().find(|account| account.account_id == account_id && account.state == AccountState::Enabled);
        let mut places = BTreeSet::from([Place::Own]);
        for place in self.book.places() {
            if let Some(account) = of(&place.reader.account_id) {
                let mut reader = place.reader.clone();
                (reader.tenant, reader.role_arn) = (account.tenant.clone(), account.arn.clone());
                places.insert(Place::Of { reader, region: place.region.clone() });
            }
        }
        places
    }

    /// Begins to remove what belongs to nothing.
    pub(crate) fn begin_removing(&mut self, place: &Place, listed: Step<Vec<TaggedResource>>, now: UtcSecond) {
        let resources = match listed {
            Step::Done(resources) => resources,
            other => {
                tracing::warn!(?place, outcome = ?other, "what inspections left over cannot be listed; it is tried again");
                return;
            }
        };
        let owners: BTreeSet<&str> =
            self.book.live().keys().map(|id| id.as_str()).chain(self.book.batches().keys().map(String::as_str)).collect();
        let is_left = |resource: &TaggedResource| {
            let is_old = resource.made_at.is_none_or(|made_at| after(made_at, REAP_AGE_SECONDS) <= now);
            is_old && !owners.contains(resource.owner.as_str())
        };
        let left: Vec<TaggedResource> = resources.into_iter().filter(is_left).collect();
        for resource in left {
            let (cloud, at, what) = (Arc::clone(&self.cloud), place.clone(), resource.clone());
            let removing = async move { Outcome::Removed(cloud.remove_tagged(&at, &what).await) };
            self.begin(Doing::Removing(place.clone(), resource), removing.boxed());
        }
    }

    /// Tells what became of something that was left over. What was not removed is found again.
    pub(crate) fn tell_removed(&self, place: &Place, resource: &TaggedResource, removed: Step<()>) {
        let (kind, id, owner) = (resource.kind.word(), &resource.id, &resource.owner);
        metrics::counter!("cloudigrade_inspection_reaped_total", "kind" => kind, "outcome" => removed.word()).increment(1);
        match removed {
            Step::Done(()) => tracing::info!(?place, kind, id, owner, "a resource that belonged to no inspection at work was removed"),
            other => {
                tracing::warn!(?place, kind, id, owner, outcome = ?other, "a resource that is left over was not removed; it is tried again")
            }
        }
    }
}
