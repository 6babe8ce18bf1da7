//! What happened before an account was registered, read back from CloudTrail's event history: up to 90 days, free, and on in every account.

mod event;
mod pass;

pub use event::{EVENT_NAMES, Looked, images_of, read, source_uri};
pub use pass::{Pass, settled};

use std::collections::BTreeSet;

use aws_sdk_cloudtrail::primitives::DateTime;
use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use cloudigrade_pipeline::log::Store;
use cloudigrade_schemas::{Coverage, Topic, UtcSecond};
use tokio::sync::watch;

use super::api::Api;
use super::collector::{CollectError, Collector};
use super::error::AwsError;
use super::memory::put;
use super::session::Session;
use crate::limits::{HISTORY_IMAGES_MAX, LOOKUP_PAGE, LOOKUP_RESTARTS_MAX};
use crate::source::committer::{Entry, Message};

/// How far the reading is, by `account/region/event name`, in the partition of `account/region`.
pub(crate) const HISTORY: Store = Store("collect.history");

/// How far the reading of an account's history is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryProgress {
    /// Passes in all: kinds of events times regions.
    pub passes: usize,
    /// Passes that are done.
    pub done: usize,
    /// Events that were read by this process.
    pub events: u64,
    /// The oldest moment that was reached.
    pub oldest: Option<UtcSecond>,
}

/// The reading of one region.
pub(super) struct RegionHistory<'a> {
    pub collector: &'a Collector,
    pub session: &'a Session,
    pub region: &'a str,
    /// See [`Pass::plan`].
    pub since: UtcSecond,
    pub progress: &'a watch::Sender<HistoryProgress>,
}

impl RegionHistory<'_> {
    /// Reads what was not read before, each page durable before the next one is asked for. Gives the images that launches named.
    pub async fn read(&self) -> Result<BTreeSet<String>, CollectError> {
        let mut images = BTreeSet::new();
        let (mut complete_through, mut is_news) = (None, false);
        for name in EVENT_NAMES {
            let stored = self.collector.memory.get(HISTORY, &self.place(), &self.key(name)).await?;
            let mut pass = Pass::plan(stored, self.collector.settings().history_days, self.since, (self.collector.now)());
            if !pass.done {
                self.read_pass(name, &mut pass, &mut images).await?;
                is_news = true;
            }
            // The data reaches as far as the kind of event that was read the least far.
            complete_through = complete_through.into_iter().chain([pass.complete_through()]).min();
            self.progress.send_modify(|progress| progress.done += 1);
        }
        if let Some(complete_through) = complete_through.filter(|_| is_news) {
            let (account_id, region) = (self.account().to_owned(), self.region.to_owned());
            let coverage = vec![Coverage { account_id, region, complete_through }];
            self.collector.committer.commit(Entry { coverage, ..Entry::default() }).await?;
        }
        Ok(images)
    }

    async fn read_pass(&self, name: &str, pass: &mut Pass, images: &mut BTreeSet<String>) -> Result<(), CollectError> {
        let mut restarts = 0;
        while !pass.done {
            let before = pass.read_down_to;
            let Some((from, to)) = pass.window((self.collector.now)()) else {
                pass.read(None, true);
                return self.commit(name, pass, &[]).await;
            };
            match self.read_window(name, from, to, pass, images).await {
                Err(CollectError::Aws(error)) if refused_token(&error) => {
                    restarts = if pass.read_down_to == before { restarts + 1 } else { 0 };
                    if restarts > LOOKUP_RESTARTS_MAX {
                        return Err(CollectError::Aws(error));
                    }
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Page by page from the newest to the oldest.
    async fn read_window(
        &self,
        name: &str,
        from: UtcSecond,
        to: UtcSecond,
        pass: &mut Pass,
        images: &mut BTreeSet<String>,
    ) -> Result<(), CollectError> {
        let cloudtrail = self.session.cloudtrail(self.region);
        let attribute = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value(name).build();
        let attribute = attribute.map_err(|error| CollectError::Fault(error.to_string()))?;
        let mut token: Option<String> = None;
        loop {
            let page = cloudtrail
                .lookup_events()
                .lookup_attributes(attribute.clone())
                .start_time(DateTime::from_secs(from.0))
                .end_time(DateTime::from_secs(to.0))
                .max_results(LOOKUP_PAGE)
                .set_next_token(token.take())
                .send();
            let page = self.session.call(self.region, Api::LookupEvents, page).await?;
            token = page.next_token.clone().filter(|token| !token.is_empty());
            let events = page.events();
            pass.read(events.iter().filter_map(|event| event.event_time()).map(|time| UtcSecond(time.secs())).min(), token.is_none());
            events.iter().for_each(|event| images_of(event, images, HISTORY_IMAGES_MAX));
            self.commit(name, pass, events).await?;
            self.progress.send_modify(|progress| {
                progress.events += events.len() as u64;
                progress.oldest = progress.oldest.into_iter().chain(pass.read_down_to).min();
            });
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes a page durable, and that it was read.
    async fn commit(&self, name: &str, pass: &Pass, events: &[Event]) -> Result<(), CollectError> {
        let now = (self.collector.now)();
        let mut entry = Entry { state: vec![put(HISTORY, &self.place(), &self.key(name), pass)?], ..Entry::default() };
        for event in events {
            match read(event, name, self.account(), self.region, now) {
                Looked::Record(id, message) => entry.records.push((id, message)),
                Looked::Nothing => {}
                Looked::Unusable(letter) => {
                    let value = serde_json::to_vec(&letter).map_err(|error| CollectError::Fault(error.to_string()))?;
                    let key = letter.id.into_bytes();
                    entry.messages.push(Message { topic: Topic::DeadLetters, partition_key: key.clone(), key, value });
                }
            }
        }
        metrics::counter!("cloudigrade_history_events_total").increment(entry.records.len() as u64);
        Ok(self.collector.committer.commit(entry).await?)
    }

    fn account(&self) -> &str {
        &self.session.target().account_id
    }

    fn place(&self) -> String {
        format!("{}/{}", self.account(), self.region)
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.place())
    }
}

/// Whether CloudTrail no longer takes the token of a next page. Tokens expire; what was read is known by time.
fn refused_token(error: &AwsError) -> bool {
    error.api == Api::LookupEvents && error.code == "InvalidNextTokenException"
}
