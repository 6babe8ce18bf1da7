//! What `extract` remembers of an event: the winning delivery, small enough to keep for ever.

use serde_json::value::RawValue;

use super::binary;
use crate::compression::{compress, decompress};
use crate::limits::VALUE_BYTES_MAX;
use crate::log::LogError;

/// The first byte of the encoding.
const FORMAT: u8 = 1;
/// Format, telling, hash.
const HEAD_BYTES: usize = 1 + 4 + 8;

/// What is remembered of an event.
#[derive(Debug)]
pub struct Seen {
    /// Which telling won, from 0.
    pub telling: u32,
    /// Hash of the winning delivery's bytes: the common repeat is known by it without looking further.
    pub bytes_hash: u64,
    /// The winning delivery, compressed. It is needed only when another delivery says something else.
    record: Vec<u8>,
}

impl Seen {
    /// Remembers a delivery.
    pub fn new(telling: u32, bytes_hash: u64, record: &RawValue) -> Result<Self, LogError> {
        let record = compress(record.get().as_bytes()).map_err(|error| damaged(&error))?;
        Ok(Self { telling, bytes_hash, record })
    }

    /// The winning delivery, verbatim.
    pub fn record(&self) -> Result<Box<RawValue>, LogError> {
        let text = decompress(&self.record, VALUE_BYTES_MAX).map_err(|error| damaged(&error))?;
        let text = String::from_utf8(text).map_err(|error| damaged(&error))?;
        RawValue::from_string(text).map_err(|error| damaged(&error))
    }

    /// As it is kept.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.record.len());
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.telling.to_le_bytes());
        bytes.extend_from_slice(&self.bytes_hash.to_le_bytes());
        bytes.extend_from_slice(&self.record);
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        let parts = || {
            let ([FORMAT], rest) = bytes.split_first_chunk()? else { return None };
            let (telling, rest) = rest.split_first_chunk()?;
            let (bytes_hash, record) = rest.split_first_chunk()?;
            Some(Self { telling: u32::from_le_bytes(*telling), bytes_hash: u64::from_le_bytes(*bytes_hash), record: record.to_vec() })
        };
        parts().ok_or_else(|| damaged(&"not a remembered event"))
    }
}

fn damaged(cause: &dyn std::fmt::Display) -> LogError {
    binary::damaged("reading what is remembered of an event", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_back_and_what_is_not_is_refused() {
        let record = RawValue::from_string("{\"a\":\"é\"}".to_owned()).unwrap();
        let kept = Seen::new(3, 7, &record).unwrap().encode();
        let read = Seen::decode(&kept).unwrap();
        assert_eq!((read.telling, read.bytes_hash, read.record().unwrap().get()), (3, 7, record.get()));
        assert!(Seen::decode(&kept[..HEAD_BYTES - 1]).is_err() && Seen::decode(&[]).is_err());
        assert!(Seen::decode(&kept[..kept.len() - 1]).unwrap().record().is_err());
    }
}
