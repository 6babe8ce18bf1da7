//! New objects without a queue: places are listed again and again, and what was not read yet is read like what a queue tells of.
//!
//! ```text
//! each interval: today and some days before --\
//! now and then: all of it ---------------------+--> new? -> found: a queue of our own -> the source for queues
//! ```
//! * [`keys`]: what keys say of where and when; pure
//! * [`pages`], [`walk`]: pages of a listing, and which of them are asked for
//! * [`found`]: what was found and is not done with, as a queue
//! * [`disk`]: objects that are files
//! * [`window`]: the objects of a window, listed once
//! * [`options`]: how, and what is refused
//! * [`estimate`]: what S3 will charge; pure
//!
//! Whether an object was read before, the log knows: it is written there in one commit with what the object gave. So nothing is read
//! twice, and what a listing missed the next one finds.

pub mod disk;
pub mod estimate;
pub mod found;
pub mod keys;
pub mod options;
pub mod pages;
#[cfg(test)]
mod tests;
pub mod walk;
pub mod window;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use cloudigrade_pipeline::log::LogError;
use cloudigrade_schemas::UtcSecond;
use metrics::{counter, gauge};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::disk::Anywhere;
use self::found::Found;
use self::keys::Window;
pub use self::options::{ListError, ListOptions, Place};
use self::pages::{Lister, S3Lister};
use self::walk::{Scope, walk, walk_disk};
use crate::limits::{BACKOFF_MAX, LIST_PAGES_WAITING, LIST_RETRY};
use crate::source::committer::NotCommitted;
use crate::source::readiness::Readiness;
use crate::source::sqs::classify::{Class, Failure, classify, help};
use crate::source::sqs::clock::{Clock, SystemClock};
use crate::source::sqs::fetch::S3Objects;
use crate::source::sqs::filter::{Choice, choose};
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::objects::Objects;
use crate::source::sqs::options::Checked;
use crate::source::sqs::{Inside, Outside, SqsSource};

/// Collects from places by listing them.
pub struct ListSource {
    source: SqsSource,
    looker: Looker,
}

/// The outside of a source that lists.
pub struct ListOutside {
    /// Pages of buckets.
    pub lister: Arc<dyn Lister>,
    /// The objects.
    pub objects: Arc<dyn Objects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl ListSource {
    /// A source that reaches AWS as `config` says. Nothing is asked before [`Self::run`].
    ///
    /// # Errors
    /// [`ListError`].
    pub fn connect(config: &SdkConfig, options: ListOptions, inside: Inside) -> Result<Self, ListError> {
        let s3 = || S3Objects::new(config, &options.objects());
        let outside = ListOutside {
            lister: Arc::new(S3Lister::new(s3())),
            objects: Arc::new(Anywhere::new(s3())),
            clock: Arc::new(SystemClock::start()),
        };
        Self::new(outside, options, inside)
    }

    /// A source with this outside.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn new(outside: ListOutside, options: ListOptions, inside: Inside) -> Result<Self, ListError> {
        let ListOutside { lister, objects, clock } = outside;
        let places = options.check()?;
        let reading = options.objects();
        let checked = reading.check_objects()?;
        let found = Arc::new(Found::new(inside.known.clone(), clock.clone(), reading.visibility_timeout));
        let readiness = inside.readiness.clone();
        let source = SqsSource::new(Outside { queue: found.clone(), objects, clock: clock.clone() }, reading, inside)?;
        Ok(Self { source, looker: Looker { places, options, checked, lister, clock, found, readiness } })
    }

    /// Collects until told to end, as [`SqsSource::run`] does.
    ///
    /// # Errors
    /// [`NotCommitted`] when the log fails.
    pub async fn run(self, stop: CancellationToken, now: CancellationToken) -> Result<(), NotCommitted> {
        let Self { source, looker } = self;
        let stop = stop.child_token();
        let reading = source.run(stop.clone(), now);
        let looking = async {
            let looked = tokio::select! {
                looked = looker.look_often() => looked,
                looked = looker.look_at_all() => looked,
                () = stop.cancelled() => Ok(()),
            };
            // A log that cannot be read takes nothing any more either.
            stop.cancel();
            looked
        };
        let reading = async {
            let read = reading.await;
            stop.cancel();
            read
        };
        let (read, looked) = tokio::join!(reading, looking);
        read?;
        looked.map_err(|error| NotCommitted { cause: error.to_string().into() })
    }
}

/// How much of the places is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Today and some days before.
    Recent,
    /// All.
    Full,
}

impl Depth {
    const fn word(self) -> &'static str {
        match self {
            Self::Recent => "recent",
            Self::Full => "full",
        }
    }
}

/// Lists places and offers what it finds.
struct Looker {
    places: Vec<Place>,
    options: ListOptions,
    checked: Checked,
    lister: Arc<dyn Lister>,
    clock: Arc<dyn Clock>,
    found: Arc<Found>,
    readiness: Readiness,
}

impl Looker {
    /// Looks at the newest days at intervals. Only a log that cannot be read ends it.
    async fn look_often(&self) -> Result<(), LogError> {
        loop {
            let began = self.clock.elapsed();
            let whole = self.look(Depth::Recent).await?;
            let pause = if whole { self.options.interval } else { self.options.interval.min(LIST_RETRY) };
            self.pause_until(began + pause).await;
        }
    }

    /// Looks at all of it: at the start, since nobody knows what came while the program did not run, and then now and then. Sooner where
    /// a look failed or something was forgotten.
    async fn look_at_all(&self) -> Result<(), LogError> {
        loop {
            let began = self.clock.elapsed();
            let whole = self.look(Depth::Full).await?;
            let mut pause = if whole { self.options.full_every } else { self.options.full_every.min(LIST_RETRY) };
            while self.clock.elapsed() < began + pause {
                let rest = (began + pause).saturating_sub(self.clock.elapsed()).min(BACKOFF_MAX);
                self.pause_until(self.clock.elapsed() + rest).await;
                if self.found.has_forgotten() {
                    pause = Duration::ZERO;
                }
            }
        }
    }

    async fn pause_until(&self, moment: Duration) {
        self.clock.sleep(moment.saturating_sub(self.clock.elapsed())).await;
    }

    /// Looks at all places. Gives whether all could be listed.
    async fn look(&self, depth: Depth) -> Result<bool, LogError> {
        let mut whole = true;
        for place in &self.places {
            whole &= self.look_at(place, depth).await?;
        }
        if whole {
            gauge!("cloudigrade_list_completed_seconds", "look" => depth.word()).set(self.clock.wall().0 as f64);
        }
        Ok(whole)
    }

    async fn look_at(&self, place: &Place, depth: Depth) -> Result<bool, LogError> {
        let (out, mut pages) = mpsc::channel(LIST_PAGES_WAITING);
        let listing = async {
            match place {
                // The sender goes with the walk: the pages end when it does.
                Place::Folder(path) => walk_disk(path, out).await,
                Place::Bucket { bucket, prefix } => {
                    let listed = walk(&*self.lister, bucket, prefix, &self.scope(depth), &out).await;
                    drop(out);
                    listed
                }
            }
        };
        let window = Window { start: self.options.since, end: None };
        // The pages go with it: when it ends early, the listing does.
        let taking = async move {
            while let Some(page) = pages.recv().await {
                let wanted =
                    |object: &ObjectRef| choose(object, &self.checked) == Choice::Read && window.holds(&object.key, object.made_at);
                let new = self.found.offer(page.into_iter().filter(wanted).collect()).await?;
                counter!("cloudigrade_list_found_total").increment(new as u64);
            }
            Ok::<_, LogError>(())
        };
        let (listed, taken) = tokio::join!(listing, taking);
        taken?;
        self.tell(place, depth, &listed);
        Ok(listed.is_ok())
    }

    fn scope(&self, depth: Depth) -> Scope {
        let recent = UtcSecond(self.clock.wall().0 - i64::from(self.options.recent_days) * 86_400);
        let since = match depth {
            Depth::Recent => self.options.since.max(Some(recent)),
            Depth::Full => self.options.since,
        };
        Scope { since, flat: !self.options.include.is_empty(), ..Scope::default() }
    }

    fn tell(&self, place: &Place, depth: Depth, listed: &Result<(), Failure>) {
        let name = place.name();
        let witness = format!("{name}: {} listing", depth.word());
        match listed {
            Ok(()) => self.readiness.works(&witness),
            Err(failure) => {
                let class = classify(failure);
                counter!("cloudigrade_source_errors_total", "class" => "list").increment(1);
                tracing::warn!(place = name, %failure, "a place cannot be listed; trying again");
                if class != Class::Transient {
                    let subject = match place {
                        Place::Bucket { bucket, .. } => format!("s3://{bucket}"),
                        Place::Folder(_) => name.clone(),
                    };
                    let code = failure.code.as_deref().unwrap_or("NotSent");
                    let message = format!("{name} cannot be listed: {failure}; {}", help(failure));
                    self.readiness.report(&subject, code, &witness, message, self.clock.wall());
                }
            }
        }
    }
}
