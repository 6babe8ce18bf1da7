//! Names of what the tables said at a moment, so that an issued report can be asked for again.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloudigrade_schemas::UtcSecond;
use xxhash_rust::xxh3::xxh3_64;

use super::stored::{TABLES, Versions};

/// What tokens begin with: their first version.
const PREFIX: &str = "s1-";
/// Bytes of the number that finds mistyped tokens.
const CHECK_BYTES: usize = 4;
/// Characters of a token, at most; longer ones are not looked at.
const TOKEN_CHARS_MAX: usize = 200;

/// Why a question about an earlier moment has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AsOfError {
    /// It is neither a token nor a moment: correct it.
    #[error("{text:?} is neither the snapshot of a report nor a moment such as 2024-03-01T00:00:00Z")]
    Unreadable {
        /// What was given.
        text: String,
    },
    /// The moment is yet to come.
    #[error("{moment} is yet to come; as_of takes a moment that has passed")]
    Future {
        /// The moment.
        moment: UtcSecond,
    },
    /// The tables were made anew since.
    #[error("this snapshot is of other tables: these were made anew since; ask again without as_of, or with a moment")]
    OtherTables,
    /// Files of that version were deleted, as replaced files are after seven days, or its entry in the table's log was.
    #[error("the table {table} no longer has what it said then: replaced files are deleted after seven days; ask as of a later moment")]
    Gone {
        /// The table.
        table: &'static str,
    },
}

/// A moment to answer as of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// What a report said: [`Report::snapshot`](crate::Report::snapshot).
    Snapshot(SnapshotToken),
    /// What had been committed to the tables by then.
    Moment(UtcSecond),
}

impl FromStr for AsOf {
    type Err = AsOfError;

    fn from_str(text: &str) -> Result<Self, AsOfError> {
        if text.starts_with(PREFIX) {
            return text.parse().map(Self::Snapshot);
        }
        let moment = text.parse::<jiff::Timestamp>().map_err(|_| unreadable(text))?;
        Ok(Self::Moment(UtcSecond(moment.as_second())))
    }
}

/// The versions of all tables, and what time it was for whoever asked. Its text is opaque, and the same for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotToken {
    pub(super) versions: Versions,
    /// A number of the tables: made anew, they have another.
    pub(super) tables: u32,
    pub(super) now: UtcSecond,
}

impl fmt::Display for SnapshotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.tables.to_le_bytes());
        bytes.extend_from_slice(&self.now.0.to_le_bytes());
        for version in self.versions {
            // 0 stands for no table.
            put_varint(&mut bytes, version.map_or(0, |version| version.saturating_add(1)));
        }
        let check = xxh3_64(&bytes).to_le_bytes();
        bytes.extend_from_slice(&check[..CHECK_BYTES]);
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for SnapshotToken {
    type Err = AsOfError;

    fn from_str(text: &str) -> Result<Self, AsOfError> {
        read(text).ok_or_else(|| unreadable(text))
    }
}

fn read(text: &str) -> Option<SnapshotToken> {
    if text.len() > TOKEN_CHARS_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    let (told, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    if xxh3_64(told).to_le_bytes()[..CHECK_BYTES] != check[..] {
        return None;
    }
    let (tables, rest) = told.split_first_chunk()?;
    let (now, mut rest) = rest.split_first_chunk()?;
    let mut versions = Versions::default();
    for version in &mut versions {
        *version = take_varint(&mut rest)?.checked_sub(1);
    }
    let token = SnapshotToken { versions, tables: u32::from_le_bytes(*tables), now: UtcSecond(i64::from_le_bytes(*now)) };
    rest.is_empty().then_some(token)
}

fn unreadable(text: &str) -> AsOfError {
    AsOfError::Unreadable { text: text.chars().take(40).collect() }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A number of tables by the ids that Delta gave them.
pub(super) fn number_of_tables<'a>(ids: impl Iterator<Item = Option<&'a str>>) -> u32 {
    let mut text = String::new();
    for (table, id) in TABLES.iter().zip(ids) {
        if let Some(id) = id {
            text.push_str(table.name);
            text.push('/');
            text.push_str(id);
            text.push('\n');
        }
    }
    xxh3_64(text.as_bytes()) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_is_read_as_it_was_written_and_a_mistyped_one_is_not(
            versions in prop::array::uniform8(prop::option::of(0..u64::MAX)), tables: u32, now in -100_000_000_000..200_000_000_000_i64, at: usize, typo in "[A-Za-z0-9_-]",
        ) {
            let token = SnapshotToken { versions, tables, now: UtcSecond(now) };
            let text = token.to_string();
            prop_assert_eq!(text.parse::<AsOf>(), Ok(AsOf::Snapshot(token)));
            let at = PREFIX.len() + at % (text.len() - PREFIX.len());
            let mut mistyped = text.clone();
            mistyped.replace_range(at..=at, &typo);
            prop_assert!(mistyped == text || mistyped.parse::<AsOf>().is_err());
        }
    }

    #[test]
    fn moments_are_read_and_other_texts_are_refused() {
        assert_eq!("2024-03-01T00:00:00Z".parse(), Ok(AsOf::Moment(UtcSecond(1_709_251_200))));
        assert_eq!("2024-03-01T01:00:00+01:00".parse(), Ok(AsOf::Moment(UtcSecond(1_709_251_200))));
        for text in ["", "s1-", "yesterday", "2024-03-01", "s1-AAAA"] {
            assert!(matches!(text.parse::<AsOf>(), Err(AsOfError::Unreadable { .. })), "{text:?}");
        }
    }
}
