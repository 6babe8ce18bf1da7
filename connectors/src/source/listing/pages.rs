//! Pages of a listing: from S3, or from what stands for it in tests.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::RequestPayer;
use cloudigrade_schemas::UtcSecond;
use futures::future::{BoxFuture, FutureExt};
use metrics::counter;

use crate::limits::LIST_PAGE;
use crate::source::sqs::classify::Failure;
use crate::source::sqs::fetch::{Refused, S3Objects, refused};
use crate::source::sqs::notification::ObjectRef;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The bucket.
    pub bucket: String,
    /// What keys begin with.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<String>,
    /// Only the folders right below the prefix, not the objects in them.
    pub folders: bool,
    /// Where the page before ended.
    pub token: Option<String>,
}

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects, in the order of their keys.
    pub objects: Vec<ObjectRef>,
    /// Folders, each with its whole prefix.
    pub folders: Vec<String>,
    /// What to ask the next page with; `None` at the end.
    pub token: Option<String>,
}

/// Lists buckets.
pub trait Lister: Send + Sync {
    /// One page.
    ///
    /// # Errors
    /// [`Failure`], after what the client repeats by itself.
    fn page<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Page, Failure>>;

    /// How many requests were made so far. They are what listing costs.
    fn requests(&self) -> u64;
}

/// Lists buckets of S3, each in its region.
pub struct S3Lister {
    s3: S3Objects,
    requests: AtomicU64,
}

impl S3Lister {
    /// A lister that reaches buckets as `s3` does.
    pub fn new(s3: S3Objects) -> Self {
        Self { s3, requests: AtomicU64::new(0) }
    }

    /// The region of a bucket, where S3 tells it. This is one request of its own.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn region(&self, bucket: &str) -> Result<Option<String>, Failure> {
        let ask = |region: String| {
            async move {
                let request = self.s3.client(&region).head_bucket().bucket(bucket);
                let request = request.set_expected_bucket_owner(self.s3.expected_bucket_owner().cloned());
                request.send().await.map_err(|error| refused(&error, &region))
            }
            .boxed()
        };
        self.s3.in_its_region(bucket, None, ask).await.map(|output| output.bucket_region)
    }

    async fn ask(&self, ask: &Ask, region: String) -> Result<ListObjectsV2Output, Refused> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        counter!("cloudigrade_list_requests_total").increment(1);
        let request = self.s3.client(&region).list_objects_v2().bucket(&ask.bucket).prefix(&ask.prefix).max_keys(LIST_PAGE);
        let request = request
            .set_start_after(ask.after.clone())
            .set_continuation_token(ask.token.clone())
            .set_delimiter(ask.folders.then(|| "/".to_owned()))
            .set_expected_bucket_owner(self.s3.expected_bucket_owner().cloned())
            .set_request_payer(self.s3.request_payer().then_some(RequestPayer::Requester));
        request.send().await.map_err(|error| refused(&error, &region))
    }
}

impl Lister for S3Lister {
    fn page<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Page, Failure>> {
        async move {
            let output = self.s3.in_its_region(&ask.bucket, None, |region| self.ask(ask, region).boxed()).await?;
            Ok(page(&ask.bucket, output))
        }
        .boxed()
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

fn page(bucket: &str, output: ListObjectsV2Output) -> Page {
    let object = |found: aws_sdk_s3::types::Object| {
        Some(ObjectRef {
            bucket: bucket.to_owned(),
            key: found.key?,
            size: found.size.and_then(|size| u64::try_from(size).ok()),
            etag: found.e_tag.map(|etag| etag.trim_matches('"').to_owned()),
            made_at: found.last_modified.map(|at| UtcSecond(at.secs())),
            ..ObjectRef::default()
        })
    };
    Page {
        objects: output.contents.unwrap_or_default().into_iter().filter_map(object).collect(),
        folders: output.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix).collect(),
        token: output.next_continuation_token.filter(|_| output.is_truncated == Some(true)),
    }
}
