//! Which images accounts used, by what any source told of launches. Of instances that came and went between two looks at EC2, nothing else
//! names them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cloudigrade_pipeline::log::{Log, LogError, PollLimits, Position, Record};
use cloudigrade_schemas::{ImageSighting, Topic};

use super::memory::off_the_runtime;
use crate::limits::SIGHTED_IMAGES_MAX;

/// Reads records of `image.sightings` from a partition and offset on.
type Read = dyn Fn(u32, u64) -> Result<Vec<Record>, LogError> + Send + Sync;

/// The images that each account used in each region. Cheap to clone.
#[derive(Clone)]
pub struct Sighted {
    read: Arc<Read>,
    /// The next offset of each partition. Held while it is read.
    next: Arc<Mutex<Vec<u64>>>,
    known: Arc<RwLock<Known>>,
}

/// What was read.
#[derive(Default)]
struct Known {
    /// Images by `account/region`.
    images: HashMap<String, BTreeSet<String>>,
    count: usize,
    /// Whether it was said that there are too many.
    is_full: bool,
}

impl fmt::Debug for Sighted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sighted").finish_non_exhaustive()
    }
}

impl Sighted {
    /// By what a log tells. Nothing is read yet.
    pub fn of<L: Log + 'static>(log: L) -> Self {
        let partitions = log.partitions();
        let read = move |partition, offset| log.read(Position { topic: Topic::ImageSightings, partition, offset }, PollLimits::default());
        let next = Mutex::new((0..partitions).map(|_| 0).collect());
        Self { read: Arc::new(read), next: Arc::new(next), known: Arc::default() }
    }

    /// Reads what was told since this was last called.
    ///
    /// # Errors
    /// Those of reading the log; what was read before them is known.
    pub(super) async fn catch_up(&self) -> Result<(), LogError> {
        let all = self.clone();
        off_the_runtime(move || all.read_on()).await
    }

    fn read_on(&self) -> Result<(), LogError> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        for (partition, offset) in (0..).zip(next.iter_mut()) {
            while let records @ [.., last] = (self.read)(partition, *offset)?.as_slice() {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                records.iter().for_each(|record| known.add(record));
                *offset = last.offset + 1;
            }
        }
        Ok(())
    }

    /// The images that an account used in a region, as far as was read.
    pub(super) fn images(&self, account: &str, region: &str) -> BTreeSet<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.images.get(&place(account, region)).cloned().unwrap_or_default()
    }
}

impl Known {
    fn add(&mut self, record: &Record) {
        let ImageSighting { image_id, region, account_id, .. } = match serde_json::from_slice(&record.value) {
            Ok(sighting) => sighting,
            Err(error) => {
                tracing::warn!(%error, partition = record.partition, offset = record.offset, "a message of image.sightings does not read");
                return;
            }
        };
        if self.count >= SIGHTED_IMAGES_MAX {
            if !std::mem::replace(&mut self.is_full, true) {
                tracing::warn!(
                    "accounts used more than {SIGHTED_IMAGES_MAX} images: EC2 is asked about further ones only where their instances are seen"
                );
            }
            return;
        }
        let is_new = self.images.entry(place(&account_id, &region)).or_default().insert(image_id);
        self.count += usize::from(is_new);
    }
}

fn place(account: &str, region: &str) -> String {
    format!("{account}/{region}")
}

#[cfg(test)]
mod tests {
    use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
    use cloudigrade_schemas::UtcSecond;

    use super::*;
    use crate::source::Committer;
    use crate::source::committer::{Entry, Message};

    fn message(value: Vec<u8>, key: String) -> Message {
        Message { topic: Topic::ImageSightings, partition_key: b"ami".to_vec(), key: key.into_bytes(), value }
    }

    fn sighting(account: &str, region: &str, image: &str) -> Message {
        let sighting =
            ImageSighting { image_id: image.to_owned(), region: region.to_owned(), account_id: account.to_owned(), at: UtcSecond(1) };
        message(serde_json::to_vec(&sighting).unwrap(), sighting.to_key(0))
    }

    #[tokio::test]
    async fn images_are_those_of_one_account_and_region_and_what_comes_later_is_read_then() {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let (committer, _thread) = Committer::start(&log, || UtcSecond(0)).unwrap();
        let told = |messages| committer.commit(Entry { messages, ..Entry::default() });
        let sighted = Sighted::of(log.clone());
        let images = |account: &str, region: &str| sighted.images(account, region).into_iter().collect::<Vec<_>>();

        let damaged = message(b"{".to_vec(), "x".to_owned());
        told(vec![sighting("1", "r", "ami-2"), damaged, sighting("2", "r", "ami-3"), sighting("1", "s", "ami-4")]).await.unwrap();
        assert_eq!(images("1", "r"), [""; 0], "nothing was read yet");
        sighted.catch_up().await.unwrap();
        told(vec![sighting("1", "r", "ami-1"), sighting("1", "r", "ami-2")]).await.unwrap();
        sighted.catch_up().await.unwrap();
        assert_eq!(images("1", "r"), ["ami-1", "ami-2"]);
        assert_eq!((images("2", "r"), images("1", "s")), (vec!["ami-3".to_owned()], vec!["ami-4".to_owned()]));
        assert_eq!(images("2", "s"), [""; 0]);
    }
}
