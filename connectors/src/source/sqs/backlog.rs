//! Counts the objects that were received but do not even stand in line yet.

use std::sync::Arc;

use tokio::sync::watch;

/// How many objects were received and are not in line.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    count: Arc<watch::Sender<usize>>,
}

/// An object that is not in line. It is, or needs to be no more, when this is dropped.
#[derive(Debug)]
pub(super) struct NotInLine {
    backlog: Backlog,
    objects: usize,
}

impl Backlog {
    pub(super) fn new() -> Self {
        Self { count: Arc::new(watch::Sender::new(0)) }
    }

    /// Counts the objects of a message, from the moment that it is received.
    pub(super) fn add(&self, objects: usize) -> NotInLine {
        self.count.send_modify(|count| *count += objects);
        NotInLine { backlog: self.clone(), objects }
    }

    /// Waits until all objects that were received are in line.
    pub(super) async fn is_empty(&self) {
        // The sender is part of this: it lives as long as this waits.
        drop(self.count.subscribe().wait_for(|count| *count == 0).await);
    }
}

impl NotInLine {
    /// One of the objects, counted by itself from here on.
    pub(super) fn take_one(&mut self) -> Self {
        let objects = self.objects.min(1);
        self.objects -= objects;
        Self { backlog: self.backlog.clone(), objects }
    }
}

impl Drop for NotInLine {
    fn drop(&mut self) {
        let objects = self.objects;
        self.backlog.count.send_if_modified(|count| {
            *count -= objects;
            *count == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn it_is_empty_when_every_object_of_every_message_is_in_line() {
        let backlog = Backlog::new();
        let mut first = backlog.add(2);
        let second = backlog.add(1);
        let one = first.take_one();
        drop(first);
        drop(second);
        assert!(backlog.is_empty().now_or_never().is_none());
        drop(one);
        assert!(backlog.is_empty().now_or_never().is_some());
    }
}
