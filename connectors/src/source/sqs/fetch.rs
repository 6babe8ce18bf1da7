//! Objects of S3, each from its bucket's region.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, RequestPayer};
use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, FutureExt};

use super::classify::{Failure, Reached};
use super::failure;
use super::notification::ObjectRef;
use super::objects::{FetchError, Head, Objects, Opened};
use super::options::SqsOptions;
use crate::limits::{BUCKET_REGIONS_MAX, FIRST_BYTES_OF_LARGE, INFLATED_BYTES_MAX, REGION_CLIENTS_MAX};

/// Where S3 says which region a bucket is in, also when it refuses to answer from another.
const REGION_HEADER: &str = "x-amz-bucket-region";

/// S3, with a client for each region that was needed.
pub struct S3Objects {
    config: SdkConfig,
    endpoint: Option<String>,
    expected_bucket_owner: Option<String>,
    request_payer: bool,
    regions: Mutex<Regions>,
}

#[derive(Default)]
struct Regions {
    clients: BTreeMap<String, Client>,
    of_buckets: BTreeMap<String, String>,
}

impl S3Objects {
    /// Objects as the configuration reaches them.
    pub fn new(config: &SdkConfig, options: &SqsOptions) -> Self {
        Self {
            config: config.clone(),
            endpoint: options.endpoint.clone(),
            expected_bucket_owner: options.expected_bucket_owner.clone(),
            request_payer: options.request_payer,
            regions: Mutex::default(),
        }
    }

    /// The region to ask for a bucket first: where it was found before, where somebody says, or where we are.
    fn region_of(&self, bucket: &str, told: Option<&str>) -> String {
        let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.filter(|region| is_region(region));
        let known = regions.of_buckets.get(bucket).map(String::as_str).or(told);
        let ours = || self.config.region().map_or("us-east-1", Region::as_ref);
        known.unwrap_or_else(ours).to_owned()
    }

    /// The account that must own the buckets.
    pub(in crate::source) fn expected_bucket_owner(&self) -> Option<&String> {
        self.expected_bucket_owner.as_ref()
    }

    /// Whether the requester pays.
    pub(in crate::source) fn request_payer(&self) -> bool {
        self.request_payer
    }

    /// The client of a region.
    pub(in crate::source) fn client(&self, region: &str) -> Client {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = regions.clients.get(region) {
            return client.clone();
        }
        let mut config = aws_sdk_s3::config::Builder::from(&self.config).region(Region::new(region.to_owned()));
        if let Some(endpoint) = self.endpoint.as_deref().or(self.config.endpoint_url()) {
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        let client = Client::from_conf(config.build());
        if regions.clients.len() >= REGION_CLIENTS_MAX {
            regions.clients.clear();
        }
        regions.clients.insert(region.to_owned(), client.clone());
        client
    }

    fn remember(&self, bucket: &str, region: &str) {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if regions.of_buckets.len() >= BUCKET_REGIONS_MAX {
            regions.of_buckets.clear();
        }
        regions.of_buckets.insert(bucket.to_owned(), region.to_owned());
    }

    /// Asks about a bucket in its region: where S3 says that it is elsewhere, once more there.
    ///
    /// # Errors
    /// [`Failure`].
    pub(in crate::source) async fn in_its_region<'a, T>(
        &'a self,
        bucket: &str,
        told: Option<&str>,
        ask: impl Fn(String) -> BoxFuture<'a, Result<T, Refused>> + Send,
    ) -> Result<T, Failure> {
        let region = self.region_of(bucket, told);
        let refused = match ask(region.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(refused) if misses_the_region(&refused.failure) => refused,
            Err(refused) => return Err(refused.failure),
        };
        let Some(elsewhere) = refused.elsewhere else { return Err(wrong_region(bucket, &region, "another", &refused.failure)) };
        let answer = ask(elsewhere.clone()).await.map_err(|again| match misses_the_region(&again.failure) {
            true => wrong_region(bucket, &region, &elsewhere, &again.failure),
            false => again.failure,
        })?;
        self.remember(bucket, &elsewhere);
        Ok(answer)
    }

    async fn ask(&self, object: &ObjectRef, region: &str) -> Result<GetObjectOutput, Refused> {
        let mut request = self.client(region).get_object().bucket(&object.bucket).key(&object.key).checksum_mode(ChecksumMode::Enabled);
        request = request.set_version_id(object.version.clone()).set_expected_bucket_owner(self.expected_bucket_owner.clone());
        if self.request_payer {
            request = request.request_payer(RequestPayer::Requester);
        }
        request.send().await.map_err(|error| refused(&error, region))
    }

    async fn get<'a>(&'a self, object: &'a ObjectRef) -> Result<Box<dyn Opened>, FetchError> {
        let ask = |region: String| async move { self.ask(object, &region).await }.boxed();
        let output = self.in_its_region(&object.bucket, object.region.as_deref(), ask).await?;
        let head = Head {
            size: output.content_length.and_then(|size| u64::try_from(size).ok()),
            etag: output.e_tag.as_deref().map(|etag| etag.trim_matches('"').to_owned()),
            version: output.version_id.filter(|version| version != "null"),
        };
        Ok(Box::new(S3Object { head, body: output.body }))
    }
}

impl Objects for S3Objects {
    fn open<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Box<dyn Opened>, FetchError>> {
        self.get(object).boxed()
    }
}

/// A request that failed.
pub(in crate::source) struct Refused {
    failure: Failure,
    /// Where S3 says that the bucket is, if that is not where it was asked for.
    elsewhere: Option<String>,
}

/// What is known of a request to a region that failed.
pub(in crate::source) fn refused<E>(error: &SdkError<E, HttpResponse>, region: &str) -> Refused
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let elsewhere = error.raw_response().and_then(|response| response.headers().get(REGION_HEADER));
    let elsewhere = elsewhere.filter(|told| is_region(told) && *told != region).map(str::to_owned);
    Refused { failure: failure::of(error), elsewhere }
}

/// Whether S3 answered that the bucket is to be asked for in another region.
fn misses_the_region(failure: &Failure) -> bool {
    let by_code = matches!(
        failure.code.as_deref(),
        Some("PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
    );
    by_code || matches!(failure.status, Some(301 | 307 | 308))
}

fn wrong_region(bucket: &str, asked: &str, followed: &str, failure: &Failure) -> Failure {
    let message = format!("bucket {bucket} is neither in {asked} nor in {followed}: {}", failure.message);
    Failure { reached: Reached::Answer, code: Some("WrongRegion".to_owned()), status: failure.status, message }
}

/// A region becomes part of a host's name, so what notifications and headers say is not taken as it is.
fn is_region(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=32).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

struct S3Object {
    head: Head,
    body: ByteStream,
}

impl Opened for S3Object {
    fn head(&self) -> &Head {
        &self.head
    }

    fn read(self: Box<Self>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        read(self.body, self.head.size).boxed()
    }
}

async fn read(mut body: ByteStream, size: Option<u64>) -> Result<Bytes, FetchError> {
    let announced = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let too_large = announced > INFLATED_BYTES_MAX;
    let enough = if too_large { FIRST_BYTES_OF_LARGE } else { INFLATED_BYTES_MAX };
    let mut content = BytesMut::with_capacity(announced.min(enough));
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| failure::of_body(&error))?;
        if content.len() + piece.len() > enough {
            content.extend_from_slice(&piece[..enough - content.len()]);
            content.truncate(FIRST_BYTES_OF_LARGE);
            return Err(FetchError::TooLarge { size, beginning: Bytes::copy_from_slice(&content) });
        }
        content.extend_from_slice(&piece);
    }
    match size {
        _ if too_large => Err(FetchError::TooLarge { size, beginning: content.freeze() }),
        Some(size) if size != content.len() as u64 => {
            let message = format!("the answer ended after {} of {size} bytes", content.len());
            Err(Failure { reached: Reached::PartOfAnswer, code: None, status: None, message }.into())
        }
        _ => Ok(content.freeze()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_region_never_becomes_a_host() {
        assert!(["us-east-1", "us-gov-west-1", "cn-north-1"].into_iter().all(is_region));
        assert!(!["", "eu", "evil.com/", "a@b", "US-EAST-1", "-x-", "us-east-1#", &"a".repeat(40)].into_iter().any(is_region));
    }

    #[tokio::test]
    async fn an_answer_that_is_shorter_than_announced_is_not_taken_for_the_object() {
        let short = read(ByteStream::from_static(b"abc"), Some(5)).await.unwrap_err();
        assert!(short.to_string().contains("3 of 5 bytes"), "{short}");
        assert_eq!(read(ByteStream::from_static(b"abc"), None).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn of_an_object_over_the_limit_only_the_beginning_is_read() {
        let content = vec![b'x'; 4096];
        let error = read(ByteStream::from(content), Some(INFLATED_BYTES_MAX as u64 + 1)).await.unwrap_err();
        let FetchError::TooLarge { beginning, .. } = error else { panic!("{error}") };
        assert_eq!(beginning.len(), FIRST_BYTES_OF_LARGE);
    }
}
