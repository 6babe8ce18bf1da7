//! Objects that are files of this machine, beside those of S3.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};

use crate::source::feed::{Delivery, Object};
use crate::source::folder;
use crate::source::sqs::classify::{Failure, Reached};
use crate::source::sqs::fetch::S3Objects;
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::objects::{FetchError, Head, Objects, Opened};

/// Objects of S3, and files. Only what a listing found on the disk is read from there.
pub struct Anywhere {
    s3: S3Objects,
}

impl Anywhere {
    /// Files, and objects as `s3` reaches them.
    pub fn new(s3: S3Objects) -> Self {
        Self { s3 }
    }
}

impl Objects for Anywhere {
    fn open<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Box<dyn Opened>, FetchError>> {
        match object.on_disk {
            false => self.s3.open(object),
            true => {
                let head = Head { size: object.size, etag: object.etag.clone(), version: None };
                let file = File { path: PathBuf::from(&object.key), head };
                futures::future::ready(Ok(Box::new(file) as Box<dyn Opened>)).boxed()
            }
        }
    }
}

struct File {
    path: PathBuf,
    head: Head,
}

impl Opened for File {
    fn head(&self) -> &Head {
        &self.head
    }

    fn read(self: Box<Self>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        async move {
            let read = tokio::task::spawn_blocking(move || read(&self.path)).await;
            read.unwrap_or_else(|error| Err(unread(Reached::Nothing, "NotRead", &error.to_string())))
        }
        .boxed()
    }
}

fn read(path: &Path) -> Result<Bytes, FetchError> {
    let metadata = path.metadata().map_err(|error| match error.kind() {
        ErrorKind::NotFound => unread(Reached::Answer, "NoSuchKey", "the file is not there any more"),
        _ => unread(Reached::Answer, "Unreadable", &error.to_string()),
    })?;
    let object: Object = folder::describe(path, &metadata);
    match folder::read(path, object) {
        Delivery::Object(_, content) => Ok(content),
        Delivery::TooLarge(object, beginning) => Err(FetchError::TooLarge { size: Some(object.size), beginning }),
        Delivery::Unreadable(_, cause) => Err(unread(Reached::Answer, "Unreadable", &cause)),
        Delivery::Known(_) => Err(unread(Reached::Nothing, "NotRead", "the file was passed over")),
    }
}

fn unread(reached: Reached, code: &str, message: &str) -> FetchError {
    Failure { reached, code: Some(code.to_owned()), status: None, message: message.to_owned() }.into()
}
