//! A place that objects are read from: S3, or what stands for it in tests.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::classify::{Class, Failure, Reached, classify, help};
use super::notification::ObjectRef;
use crate::limits::INFLATED_BYTES_MAX;

/// What is known of an object before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its size in bytes, as the answer announces it.
    pub size: Option<u64>,
    /// Its ETag, without quotes.
    pub etag: Option<String>,
    /// Its version, where the bucket is versioned.
    pub version: Option<String>,
}

/// Objects by their names.
pub trait Objects: Send + Sync {
    /// Asks for an object. Nothing of it is in memory yet.
    ///
    /// # Errors
    /// [`FetchError::Failed`].
    fn open<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Box<dyn Opened>, FetchError>>;
}

/// An object that is about to be read. Dropping it ends the request.
pub trait Opened: Send {
    /// What is known of it.
    fn head(&self) -> &Head;

    /// Reads it. There are never more than [`INFLATED_BYTES_MAX`] bytes of it in memory, whatever it announced.
    ///
    /// # Errors
    /// [`FetchError`].
    fn read(self: Box<Self>) -> BoxFuture<'static, Result<Bytes, FetchError>>;
}

/// Why an object was not read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The request failed.
    #[error("{failure}; {}", help(failure))]
    Failed {
        /// How.
        failure: Failure,
    },
    /// It is larger than the limit.
    #[error("the object has {}; CloudTrail writes far smaller ones: split it by lines or records", too_many(*size))]
    TooLarge {
        /// Its size in bytes, where it was announced.
        size: Option<u64>,
        /// Its first bytes.
        beginning: Bytes,
    },
}

fn too_many(size: Option<u64>) -> String {
    match size {
        Some(size) => format!("{size} bytes, over the limit of {INFLATED_BYTES_MAX}"),
        None => format!("more bytes than the limit of {INFLATED_BYTES_MAX}"),
    }
}

impl FetchError {
    /// There was no whole answer in time.
    pub fn no_answer(within: Duration) -> Self {
        let message = format!("no whole answer in {} s", within.as_secs());
        Failure { reached: Reached::Nothing, code: None, status: None, message }.into()
    }

    /// What it means for the message that named the object.
    pub fn class(&self) -> Class {
        match self {
            Self::Failed { failure } => classify(failure),
            Self::TooLarge { .. } => Class::Content,
        }
    }
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        Self::Failed { failure }
    }
}
