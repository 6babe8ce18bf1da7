//! Rows of SQLite's file format: numbers of variable length, and columns with their types in front. It knows nothing of pages.

use super::damaged;
use crate::error::Result;

/// Most bytes of a number of variable length.
const VARINT_BYTES_MAX: usize = 9;

/// The value of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column<'a> {
    /// SQLite's number for type and size.
    kind: u64,
    /// The value's bytes; of the constants 0 and 1 there are none.
    pub bytes: &'a [u8],
}

impl Column<'_> {
    /// Whether it is bytes, rather than text, a number or nothing.
    pub(super) fn is_blob(self) -> bool {
        self.kind >= 12 && self.kind.is_multiple_of(2)
    }

    /// The value, if it is an integer that is not negative.
    pub(super) fn integer(self) -> Option<u64> {
        match self.kind {
            8 => Some(0),
            9 => Some(1),
            1..=6 if self.bytes[0] < 0x80 => Some(self.bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))),
            _ => None,
        }
    }
}

/// The number at the beginning of `bytes`, and what is behind it: seven bits a byte, the ninth byte whole.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        if index == VARINT_BYTES_MAX - 1 {
            return Some((number << 8 | u64::from(*byte), &bytes[VARINT_BYTES_MAX..]));
        }
        number = number << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

/// The first `N` columns of a row; `None` for those that it does not have.
pub(super) fn columns<const N: usize>(row: &[u8]) -> Result<[Option<Column<'_>>; N]> {
    let cut_off = || damaged("a row is cut off");
    let (head_bytes, behind) = varint(row).ok_or_else(cut_off)?;
    let length_bytes = row.len() - behind.len();
    let head_bytes = usize::try_from(head_bytes).unwrap_or(usize::MAX);
    let mut kinds = row.get(length_bytes..head_bytes).ok_or_else(cut_off)?;
    let mut values = row.get(head_bytes..).ok_or_else(cut_off)?;
    let mut columns = [None; N];
    for column in &mut columns {
        if kinds.is_empty() {
            break;
        }
        let (kind, rest) = varint(kinds).ok_or_else(cut_off)?;
        let (bytes, behind) = size_of(kind).and_then(|size| values.split_at_checked(size)).ok_or_else(cut_off)?;
        *column = Some(Column { kind, bytes });
        (kinds, values) = (rest, behind);
    }
    Ok(columns)
}

/// Bytes of a value of this type; `None` for the types that do not exist.
fn size_of(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => Some(kind as usize),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_to_nine_bytes_are_read_and_cut_ones_are_not() {
        assert_eq!(varint(&[0x7F, 9]), Some((127, &[9][..])));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, &[][..])));
        assert_eq!(varint(&[0xFF; 9]), Some((u64::MAX, &[][..])));
        assert_eq!(varint(&[0xFF; 8]), None);
        assert_eq!(varint(&[]), None);
    }

    #[test]
    fn columns_are_split_by_their_types() {
        // NULL, the integer 258 in two bytes, the constant 1, and a blob of three bytes.
        let row = [5, 0, 2, 9, 18, 1, 2, 7, 8, 9];
        let [null, number, one, blob, none] = columns::<5>(&row).unwrap();
        assert_eq!(null.unwrap().bytes, b"");
        assert_eq!((number.unwrap().integer(), one.unwrap().integer()), (Some(258), Some(1)));
        assert_eq!((blob.unwrap().is_blob(), blob.unwrap().bytes), (true, &[7, 8, 9][..]));
        assert_eq!(none, None);
    }

    #[test]
    fn a_head_that_ends_before_it_begins_or_behind_the_row_is_an_error() {
        assert!(columns::<1>(&[0]).is_err());
        assert!(columns::<1>(&[200]).is_err());
        assert!(columns::<1>(&[2, 10, 0]).is_err());
        assert!(columns::<1>(&[3, 0xFF, 0x7F]).is_err());
    }
}
