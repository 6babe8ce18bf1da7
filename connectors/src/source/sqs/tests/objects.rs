//! Buckets that answer as they are told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::watch;

use super::files::etag;
use super::queue::failure;
use crate::source::sqs::classify::{Failure, Reached};
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::objects::{FetchError, Head, Objects, Opened};

/// What the bucket says of an object.
#[derive(Clone, Debug)]
pub enum Answer {
    Content(Bytes),
    Fails(Failure),
    /// The answer begins, and breaks off.
    Breaks(Bytes),
}

/// A bucket, or several.
#[derive(Default)]
pub struct FakeObjects {
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    opened: Mutex<Vec<String>>,
    /// While it is true, nothing that is opened is read.
    hold: watch::Sender<bool>,
    reading: Arc<Mutex<(usize, usize)>>,
}

impl FakeObjects {
    /// The last answer of an object is its answer for ever.
    pub fn put(&self, uri: &str, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().insert(uri.to_owned(), answers.into_iter().collect());
    }

    pub fn opened(&self) -> Vec<String> {
        self.opened.lock().unwrap().clone()
    }

    pub fn hold(&self, hold: bool) {
        self.hold.send_replace(hold);
    }

    /// How many objects are read now, and how many were at most.
    pub fn reading(&self) -> (usize, usize) {
        *self.reading.lock().unwrap()
    }
}

struct FakeOpened {
    head: Head,
    answer: Answer,
    hold: watch::Receiver<bool>,
    reading: Arc<Mutex<(usize, usize)>>,
}

impl Objects for FakeObjects {
    fn open<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Box<dyn Opened>, FetchError>> {
        async move {
            self.opened.lock().unwrap().push(object.uri());
            let mut answers = self.answers.lock().unwrap();
            let answer = match answers.get_mut(&object.uri()) {
                None => Answer::Fails(failure("NoSuchKey", 404)),
                Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
                Some(answers) => answers[0].clone(),
            };
            let content = match &answer {
                Answer::Fails(failure) => return Err(failure.clone().into()),
                Answer::Content(content) | Answer::Breaks(content) => content,
            };
            let head = Head { size: Some(content.len() as u64), etag: Some(etag(content)), version: object.version.clone() };
            let reading = self.reading.clone();
            let mut count = reading.lock().unwrap();
            count.0 += 1;
            count.1 = count.1.max(count.0);
            drop(count);
            Ok(Box::new(FakeOpened { head, answer, hold: self.hold.subscribe(), reading }) as Box<dyn Opened>)
        }
        .boxed()
    }
}

impl Drop for FakeOpened {
    fn drop(&mut self) {
        self.reading.lock().unwrap().0 -= 1;
    }
}

impl Opened for FakeOpened {
    fn head(&self) -> &Head {
        &self.head
    }

    fn read(mut self: Box<Self>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        async move {
            self.hold.wait_for(|hold| !hold).await.unwrap();
            match &self.answer {
                Answer::Content(content) => Ok(content.clone()),
                _ => Err(Failure { reached: Reached::PartOfAnswer, code: None, status: None, message: "connection reset".into() }.into()),
            }
        }
        .boxed()
    }
}
