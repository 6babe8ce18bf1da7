//! A batch: the bytes of records that follow each other in one partition.
//!
//! A topic that keeps all records stores what one commit appended to a partition as few batches, so that a commit costs few tree
//! entries however small its records are. A topic that keeps the latest stores each record as a batch of its own, so that it can be
//! deleted alone.
//!
//! The first byte says whether the rest is compressed: records of one commit repeat each other's names and sources.

use std::borrow::Cow;

use cloudigrade_schemas::UtcSecond;

use crate::compression::{compress, decompress};
use crate::limits::{BATCH_BYTES_MAX, COMPRESSED_BYTES_MIN, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// First byte of a batch whose records follow as they are.
const PLAIN: u8 = 0;
/// First byte of a batch whose records follow compressed.
const COMPRESSED: u8 = 1;
/// What a sound batch holds at most, in bytes.
const PLAIN_BYTES_MAX: usize = BATCH_BYTES_MAX + HEAD_LEN + KEY_BYTES_MAX + VALUE_BYTES_MAX;

/// Length of what precedes a record's key: lengths of key and value and the second, little-endian.
const HEAD_LEN: usize = 4 + 4 + 8;

/// One record in a batch.
pub(super) struct Entry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) entered_at: UtcSecond,
}

/// The bytes that a record takes in a batch.
pub(super) const fn encoded_len(key: &[u8], value: &[u8]) -> usize {
    HEAD_LEN + key.len() + value.len()
}

/// A batch without records.
pub(super) fn begin(bytes: usize) -> Vec<u8> {
    let mut batch = Vec::with_capacity(1 + bytes);
    batch.push(PLAIN);
    batch
}

/// A batch as it is stored: compressed, if that is worth it.
pub(super) fn finish(batch: Vec<u8>) -> Vec<u8> {
    if batch.len() < COMPRESSED_BYTES_MIN {
        return batch;
    }
    match compress(&batch[1..]) {
        Ok(mut compressed) if compressed.len() < batch.len() - 1 => {
            compressed.insert(0, COMPRESSED);
            compressed
        }
        // What can not be compressed is stored as it is.
        Ok(_) | Err(_) => batch,
    }
}

/// The records of a stored batch, for [`split_first`]; `None` when the bytes are not what [`finish`] makes.
pub(super) fn open(stored: &[u8]) -> Option<Cow<'_, [u8]>> {
    match stored.split_first()? {
        (&PLAIN, records) => Some(Cow::Borrowed(records)),
        (&COMPRESSED, records) => decompress(records, PLAIN_BYTES_MAX).ok().map(Cow::Owned),
        _ => None,
    }
}

/// Adds a record to a batch. Key and value are shorter than 4 GiB, as [`crate::limits`] demands.
pub(super) fn push(batch: &mut Vec<u8>, entry: &Entry<'_>) {
    batch.extend_from_slice(&(entry.key.len() as u32).to_le_bytes());
    batch.extend_from_slice(&(entry.value.len() as u32).to_le_bytes());
    batch.extend_from_slice(&entry.entered_at.0.to_le_bytes());
    batch.extend_from_slice(entry.key);
    batch.extend_from_slice(entry.value);
}

/// Takes the first record off a batch; `None` when the bytes are not what [`push`] writes.
pub(super) fn split_first<'a>(batch: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (head, rest) = batch.split_first_chunk::<HEAD_LEN>()?;
    let [k0, k1, k2, k3, v0, v1, v2, v3, second @ ..] = *head;
    let key_len = u32::from_le_bytes([k0, k1, k2, k3]) as usize;
    let value_len = u32::from_le_bytes([v0, v1, v2, v3]) as usize;
    let (key, rest) = rest.split_at_checked(key_len)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    *batch = rest;
    Some(Entry { key, value, entered_at: UtcSecond(i64::from_le_bytes(second)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_and_cut_bytes_are_noticed() {
        let mut batch = begin(0);
        let entries = [(b"k".as_slice(), b"value".as_slice(), -1), (b"", b"", i64::MAX), (b"key", b"v", 0)];
        for (key, value, second) in entries {
            let before = batch.len();
            push(&mut batch, &Entry { key, value, entered_at: UtcSecond(second) });
            assert_eq!(batch.len() - before, encoded_len(key, value));
        }
        let mut rest = &batch[1..];
        for expected in entries {
            let entry = split_first(&mut rest).unwrap();
            assert_eq!((entry.key, entry.value, entry.entered_at.0), expected);
        }
        assert!(rest.is_empty());
        for cut in 1..encoded_len(b"k", b"value") {
            assert!(split_first(&mut &batch[1..][..cut]).is_none());
        }
    }

    #[test]
    fn a_large_batch_is_stored_smaller_and_comes_back_and_damage_is_noticed() {
        for (value, smaller) in [(vec![7; 2 * COMPRESSED_BYTES_MIN], true), (vec![7; 10], false)] {
            let mut batch = begin(0);
            push(&mut batch, &Entry { key: b"key", value: &value, entered_at: UtcSecond(1) });
            let stored = finish(batch.clone());
            assert_eq!(stored.len() < batch.len(), smaller);
            let records = open(&stored).unwrap();
            assert_eq!(split_first(&mut records.as_ref()).map(|entry| entry.value.to_vec()), Some(value));
            assert_eq!(open(&stored[..stored.len() - 1]).is_none(), smaller);
        }
        assert!(open(&[]).is_none() && open(&[9, 1]).is_none());
    }
}
