//! The objects of a window of buckets, listed once.

use aws_config::SdkConfig;
use tokio::sync::mpsc;

use super::keys::{Only, Window};
use super::options::{ListError, ListOptions, Place};
use super::pages::{Lister, S3Lister};
use super::walk::{Scope, walk};
use crate::limits::{BATCH_OBJECTS_MAX, LIST_PAGES_WAITING};
use crate::source::batch::Named;
use crate::source::sqs::classify::{Failure, help};
use crate::source::sqs::fetch::S3Objects;
use crate::source::sqs::filter::{Choice, choose};
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::options::Checked;

/// A window of buckets.
pub struct Survey {
    lister: S3Lister,
    places: Vec<(String, String)>,
    checked: Checked,
    scope: Scope,
}

/// Why a window cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The options cannot be.
    #[error(transparent)]
    Options(#[from] ListError),
    /// A place that is no bucket.
    #[error("{place}: a window is read from buckets; `cloudigrade ingest` reads folders")]
    Folder {
        /// The place.
        place: String,
    },
    /// A bucket cannot be listed.
    #[error("{place} cannot be listed: {failure}; {}", help(failure))]
    Listing {
        /// The place.
        place: String,
        /// Why.
        failure: Failure,
    },
}

impl Survey {
    /// A window as `config` reaches its buckets. Nothing is asked before it is listed.
    ///
    /// # Errors
    /// [`SurveyError::Options`], [`SurveyError::Folder`].
    pub fn new(config: &SdkConfig, options: &ListOptions, window: Window, only: Only) -> Result<Self, SurveyError> {
        let bucket = |place: Place| match place {
            Place::Bucket { bucket, prefix } => Ok((bucket, prefix)),
            Place::Folder(_) => Err(SurveyError::Folder { place: place.name() }),
        };
        let places = options.check()?.into_iter().map(bucket).collect::<Result<_, _>>()?;
        let reading = options.objects();
        let checked = reading.check_objects().map_err(ListError::from)?;
        let scope = Scope { since: window.start, window, only, flat: !options.include.is_empty() };
        Ok(Self { lister: S3Lister::new(S3Objects::new(config, &reading)), places, checked, scope })
    }

    /// Lists all places, and gives what is in the window in batches of at most [`BATCH_OBJECTS_MAX`].
    ///
    /// # Errors
    /// [`SurveyError::Listing`] for the first place that cannot be listed whole.
    pub async fn list(&self, out: mpsc::Sender<Vec<Named>>) -> Result<(), SurveyError> {
        for (bucket, prefix) in &self.places {
            let (sender, mut pages) = mpsc::channel::<Vec<ObjectRef>>(LIST_PAGES_WAITING);
            let listing = async {
                let listed = walk(&self.lister, bucket, prefix, &self.scope, &sender).await;
                drop(sender);
                listed
            };
            let out = &out;
            // The pages go with it: when it ends early, the listing does.
            let taking = async move {
                while let Some(page) = pages.recv().await {
                    let wanted: Vec<Named> = page.into_iter().filter(|object| self.wants(object)).map(named).collect();
                    for batch in wanted.chunks(BATCH_OBJECTS_MAX) {
                        if out.send(batch.to_vec()).await.is_err() {
                            return;
                        }
                    }
                }
            };
            let (listed, ()) = tokio::join!(listing, taking);
            listed.map_err(|failure| SurveyError::Listing { place: format!("s3://{bucket}/{prefix}"), failure })?;
            if out.is_closed() {
                break;
            }
        }
        Ok(())
    }

    fn wants(&self, object: &ObjectRef) -> bool {
        choose(object, &self.checked) == Choice::Read
            && self.scope.window.holds(&object.key, object.made_at)
            && self.scope.only.wants(&object.key)
    }

    /// How many requests were made so far.
    pub fn requests(&self) -> u64 {
        self.lister.requests()
    }

    /// The regions of the buckets, as far as S3 tells them.
    pub async fn regions(&self) -> Vec<String> {
        let mut regions = Vec::new();
        for (bucket, _) in &self.places {
            match self.lister.region(bucket).await {
                Ok(region) => regions.extend(region),
                Err(failure) => tracing::debug!(bucket, %failure, "the region of a bucket is not told"),
            }
        }
        regions.sort();
        regions.dedup();
        regions
    }
}

/// Without an ETag nobody can say that it was read before: it is read.
fn named(object: ObjectRef) -> Named {
    let ObjectRef { bucket, key, size, etag, .. } = object;
    Named { bucket, key, size: size.unwrap_or_default(), etag: etag.unwrap_or_default() }
}
