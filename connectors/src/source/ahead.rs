//! Reading ahead of a worker, so that it decodes one object while the next ones are read.

use std::sync::mpsc::SyncSender;
use std::time::Instant;

use super::feed::{Delivery, Feed, FeedError};
use crate::limits::{READ_AHEAD_BYTES, READ_AHEAD_LINGER, READ_AHEAD_OBJECTS};

/// Objects that were read together: a worker is woken once for all of them. An error is the last that comes.
pub(super) type Read = Result<Vec<Delivery>, FeedError>;

/// Reads what the feeds give and hands it to a worker, until they end, `stopping` says so, or the worker is gone.
pub(super) fn read_ahead(feeds: &[Box<dyn Feed>], stopping: impl Fn() -> bool, worker: &SyncSender<Read>) {
    let (mut read, mut bytes, mut began) = (Vec::new(), 0, Instant::now());
    for feed in feeds {
        while !stopping() {
            let delivery = match feed.next() {
                Ok(Some(delivery)) => delivery,
                Ok(None) => break,
                Err(error) => {
                    // Nobody hears it if the worker is gone, which had its own reason to end.
                    let _ = worker.send(Ok(read)).and_then(|()| worker.send(Err(error)));
                    return;
                }
            };
            if read.is_empty() {
                began = Instant::now();
            }
            bytes += match &delivery {
                Delivery::Object(_, content) | Delivery::TooLarge(_, content) => content.len(),
                Delivery::Known(_) | Delivery::Unreadable(..) => 0,
            };
            read.push(delivery);
            if read.len() >= READ_AHEAD_OBJECTS || bytes >= READ_AHEAD_BYTES || began.elapsed() >= READ_AHEAD_LINGER {
                bytes = 0;
                if worker.send(Ok(std::mem::take(&mut read))).is_err() {
                    return;
                }
            }
        }
    }
    let _ = worker.send(Ok(read));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use bytes::Bytes;

    use super::*;
    use crate::source::Object;

    /// Gives objects of these sizes, and then an error if `fails`.
    struct Sizes {
        left: Mutex<Vec<usize>>,
        fails: bool,
    }

    impl Feed for Sizes {
        fn next(&self) -> Result<Option<Delivery>, FeedError> {
            let size = self.left.lock().unwrap().pop();
            match size {
                Some(size) => Ok(Some(Delivery::Object(
                    Object { uri: size.to_string(), version: None, fingerprint: String::new(), size: size as u64 },
                    Bytes::from(vec![0; size]),
                ))),
                None if self.fails => Err(FeedError::NoSuchPath { path: "/none".into() }),
                None => Ok(None),
            }
        }
    }

    fn feed(sizes: impl DoubleEndedIterator<Item = usize>, fails: bool) -> Box<dyn Feed> {
        Box::new(Sizes { left: Mutex::new(sizes.rev().collect()), fails })
    }

    /// What a worker gets of these feeds: the objects' sizes as they came together, and whether an error came last.
    fn told(feeds: &[Box<dyn Feed>]) -> (Vec<Vec<usize>>, bool) {
        let (sender, receiver) = sync_channel(0);
        thread::scope(|scope| {
            scope.spawn(move || read_ahead(feeds, || false, &sender));
            let (mut all, mut failed) = (Vec::new(), false);
            for read in receiver {
                assert!(!failed, "nothing follows an error");
                match read {
                    Ok(read) => all.push(read.iter().map(size_of).collect()),
                    Err(_) => failed = true,
                }
            }
            (all, failed)
        })
    }

    fn size_of(delivery: &Delivery) -> usize {
        match delivery {
            Delivery::Object(_, content) => content.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_objects_of_all_feeds_come_once_in_their_order() {
        let (told, failed) = told(&[feed(0..100, false), feed(100..300, false)]);
        assert!(told.concat().into_iter().eq(0..300) && !failed);
    }

    #[test]
    fn what_is_read_ahead_is_bounded_and_a_large_object_closes_it() {
        let large = READ_AHEAD_BYTES + 1;
        let (told, _) = told(&[feed([large, large, 1].into_iter().chain([2; 3 * READ_AHEAD_OBJECTS]), false)]);
        assert!(told.iter().all(|read| read.len() <= READ_AHEAD_OBJECTS));
        assert_eq!(told[..2], [[large], [large]]);
    }

    #[test]
    fn what_was_read_before_an_error_comes_before_it() {
        let (told, failed) = told(&[feed(0..3, true), feed(3..6, false)]);
        assert!(told.concat().into_iter().eq(0..3) && failed);
    }

    #[test]
    fn told_to_stop_it_reads_nothing_more() {
        let (sender, receiver) = sync_channel(1);
        read_ahead(&[feed(0..1000, false)], || true, &sender);
        assert!(receiver.try_iter().flatten().flatten().next().is_none());
    }

    #[test]
    fn it_reads_no_further_for_a_worker_that_is_gone() {
        let (sender, receiver) = sync_channel(1);
        drop(receiver);
        let feeds = [feed(0..1000, false)];
        read_ahead(&feeds, || false, &sender);
        assert!(feeds[0].next().unwrap().is_some(), "what it did not read is left");
    }
}
