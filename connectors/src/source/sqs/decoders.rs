//! Decodes objects on blocking threads, a bounded number at a time.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::room::{Place, Room};
use crate::codec::{CodecLimits, Decoder};
use crate::limits::LARGE_OBJECT_BYTES;
use crate::source::feed::Object;
use crate::source::harvest::Harvest;
use crate::source::ingest::inflated_estimate;

/// Decoders with their buffers, each used by one thread at a time.
pub(in crate::source) struct Decoders {
    idle: Arc<Mutex<Vec<Decoder>>>,
    limits: CodecLimits,
    at_once: Room,
    large: Room,
}

/// The program failed on an object.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the decoder failed ({cause}); this is a fault of the program: please report it with the object")]
pub(in crate::source) struct DecoderFailed {
    cause: String,
}

impl Decoders {
    pub(in crate::source) fn new(at_once: usize, limits: CodecLimits) -> Self {
        Self { idle: Arc::default(), limits, at_once: Room::new(at_once), large: Room::new(1) }
    }

    /// Decodes an object. The decoder's place is kept by whoever holds the harvest before it is accounted for elsewhere, so that no more
    /// harvests are unaccounted for than there are decoders.
    pub(in crate::source) async fn decode(&self, object: Object, content: Bytes) -> Result<(Harvest, Place), DecoderFailed> {
        let _alone = match inflated_estimate(&content) > LARGE_OBJECT_BYTES {
            true => Some(self.large.enter(1).await),
            false => None,
        };
        let place = self.at_once.enter(1).await;
        let (idle, limits) = (self.idle.clone(), self.limits);
        let harvest = tokio::task::spawn_blocking(move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut decoder = kept.unwrap_or_else(|| Decoder::new(limits));
            let harvest = Harvest::of(object, decoder.decode(&content));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(decoder);
            harvest
        });
        let harvest = harvest.await.map_err(|error| DecoderFailed { cause: error.to_string() })?;
        Ok((harvest, place))
    }
}
