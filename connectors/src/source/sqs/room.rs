//! Bounds what is in memory, and says when there is room for more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for so many bytes, or objects. Whoever waits is let in in the order of asking, so nothing large waits for ever.
#[derive(Debug)]
pub(in crate::source) struct Room {
    free: Arc<Semaphore>,
    capacity: usize,
}

/// A place in a room; it is free again when this is dropped.
#[derive(Debug)]
pub(in crate::source) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(in crate::source) fn new(capacity: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(capacity)), capacity }
    }

    /// Waits until there is room. What is larger than the room enters when it is alone.
    pub(in crate::source) async fn enter(&self, weight: usize) -> Place {
        let weight = weight.clamp(1, self.capacity);
        let permit = self.free.clone().acquire_many_owned(u32::try_from(weight).unwrap_or(u32::MAX)).await;
        // The semaphore is never closed.
        Place { _permit: permit.ok() }
    }

    /// Takes up to `most` single places without waiting.
    pub(in crate::source) fn take(&self, most: usize) -> Vec<Place> {
        let one = || self.free.clone().try_acquire_owned().ok().map(|permit| Place { _permit: Some(permit) });
        std::iter::repeat_with(one).take(most).map_while(|place| place).collect()
    }

    /// Waits until all who waited before are inside and there is room left.
    pub(in crate::source) async fn has_room(&self) {
        drop(self.enter(1).await);
    }

    /// How much is inside.
    pub(in crate::source) fn inside(&self) -> usize {
        self.capacity.saturating_sub(self.free.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_heavier_than_the_room_enters_alone() {
        let room = Room::new(10);
        let light = room.enter(3).await;
        let mut heavy = Box::pin(room.enter(25));
        assert!((&mut heavy).now_or_never().is_none());
        drop(light);
        let heavy = heavy.await;
        assert_eq!(room.inside(), 10);
        drop(heavy);
        assert_eq!(room.inside(), 0);
    }

    #[tokio::test]
    async fn there_is_no_room_while_somebody_waits_for_it() {
        let room = Room::new(10);
        let inside = room.enter(6).await;
        let mut waiting = Box::pin(room.enter(8));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(room.has_room().now_or_never().is_none());
        drop(inside);
        drop(waiting.await);
        assert!(room.has_room().now_or_never().is_some());
        assert_eq!(room.take(20).len(), 10);
    }
}
