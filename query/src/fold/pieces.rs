//! The columns of pieces, and how a row becomes a [`Piece`].

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use xxhash_rust::xxh3::xxh3_128;

use super::{FoldError, Reach};
use crate::limits::SIZE_MAX;
use crate::period::Period;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// The longest string that a string view holds in itself.
const INLINE_BYTES: u32 = 12;

/// The size of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Size {
    pub(crate) vcpu: i64,
    pub(crate) memory_mib: i64,
}

/// A part of a run that lies in the period, in seconds since 1970: `start < end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// `None` where the size of the instance's type is not known.
    pub(crate) size: Option<Size>,
    /// A hash of account, region and instance id; 0 where the fold needs none.
    pub(crate) instance: u128,
}

/// The names of the columns that a fold takes, in their order.
pub(crate) const COLUMNS: [&str; 7] = ["piece_start", "piece_end", "vcpu", "memory_mib", "account_id", "region", "instance_id"];

/// A batch of pieces.
pub(crate) struct Pieces<'a> {
    starts: &'a TimestampMicrosecondArray,
    ends: &'a TimestampMicrosecondArray,
    vcpu: &'a Int64Array,
    memory_mib: &'a Int64Array,
    account: &'a StringViewArray,
    region: &'a StringViewArray,
    instance: Option<&'a StringViewArray>,
}

impl<'a> Pieces<'a> {
    /// Reads the arguments of a fold.
    pub(crate) fn new(values: &'a [ArrayRef]) -> Result<Self, FoldError> {
        let argument = |index: usize| values.get(index).ok_or(FoldError::NotAState);
        let wrong = |index: usize| FoldError::Argument { index, found: values[index].data_type().clone() };
        let moments = |index| argument(index)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong(index));
        let integers = |index| argument(index)?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(index));
        let texts = |index| argument(index)?.as_string_view_opt().ok_or_else(|| wrong(index));
        Ok(Self {
            starts: moments(0)?,
            ends: moments(1)?,
            vcpu: integers(2)?,
            memory_mib: integers(3)?,
            account: texts(4)?,
            region: texts(5)?,
            instance: (values.len() == COLUMNS.len()).then(|| texts(6)).transpose()?,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The account of a row.
    pub(crate) fn account(&self, row: usize) -> &str {
        self.account.value(row)
    }

    /// The part of a row that lies in the period, without its instance; `None` if nothing does.
    // Always, as what it gives would go through memory, which takes longer than making it.
    #[inline(always)]
    pub(crate) fn clip(&self, row: usize, clip: &Clip) -> Result<Option<Piece>, FoldError> {
        let start = self.starts.value(row).div_euclid(MICROS_PER_SECOND).max(clip.start);
        let end = if self.ends.is_null(row) { clip.open_end } else { self.ends.value(row).div_euclid(MICROS_PER_SECOND).min(clip.end) };
        if end <= start {
            return Ok(None);
        }
        Ok(Some(Piece { start, end, size: self.size(row)?, instance: 0 }))
    }

    #[inline(always)]
    fn size(&self, row: usize) -> Result<Option<Size>, FoldError> {
        if self.vcpu.is_null(row) || self.memory_mib.is_null(row) {
            return Ok(None);
        }
        let (vcpu, memory_mib) = (self.vcpu.value(row), self.memory_mib.value(row));
        if !(1..=SIZE_MAX).contains(&vcpu) || !(1..=SIZE_MAX).contains(&memory_mib) {
            return Err(FoldError::SizeOutOfRange { vcpu, memory_mib });
        }
        Ok(Some(Size { vcpu, memory_mib }))
    }
}

/// The bounds that pieces are clipped to.
pub(crate) struct Clip {
    start: i64,
    end: i64,
    open_end: i64,
}

impl Clip {
    pub(crate) fn new(period: &Period) -> Self {
        Self { start: period.start(), end: period.end(), open_end: period.open_end() }
    }
}

/// Says of each row of a batch, in order, how far its data reaches and which instance it is of.
///
/// Stored files are sorted by account, region and instance, so nearly every row is like the one before it: strings are looked at
/// only where they change.
pub(crate) struct Origin<'a> {
    pieces: &'a Pieces<'a>,
    reaches: &'a Reach,
    last: Option<usize>,
    reach: i64,
    instance: u128,
    /// `account \0 region \0 instance`, of which `place_len` bytes stay while the place does.
    key: Vec<u8>,
    place_len: usize,
}

impl<'a> Origin<'a> {
    pub(crate) fn new(pieces: &'a Pieces<'a>, reaches: &'a Reach) -> Self {
        Self { pieces, reaches, last: None, reach: 0, instance: 0, key: Vec::new(), place_len: 0 }
    }

    /// Moves to a row; gives its reach and its instance's hash.
    #[inline]
    pub(crate) fn at(&mut self, row: usize) -> (i64, u128) {
        let Pieces { account, region, .. } = self.pieces;
        let same_place = self.last.is_some_and(|last| is_same(account, last, row) && is_same(region, last, row));
        if !same_place {
            self.reach = self.reaches.of(account.value(row), region.value(row));
            self.key.clear();
            for part in [account.value(row), region.value(row)] {
                self.key.extend_from_slice(part.as_bytes());
                self.key.push(0);
            }
            self.place_len = self.key.len();
        }
        if let Some(instances) = self.pieces.instance {
            let same_instance = same_place && self.last.is_some_and(|last| is_same(instances, last, row));
            if !same_instance {
                self.key.truncate(self.place_len);
                self.key.extend_from_slice(instances.value(row).as_bytes());
                self.instance = xxh3_128(&self.key);
            }
        }
        self.last = Some(row);
        (self.reach, self.instance)
    }
}

/// Whether two rows hold the same text.
#[inline]
fn is_same(texts: &StringViewArray, one: usize, other: usize) -> bool {
    let (a, b) = (texts.views()[one], texts.views()[other]);
    // The low half of a view is its length and its first four bytes; a short text is wholly in the view.
    a == b || (a as u32 > INLINE_BYTES && a as u64 == b as u64 && texts.value(one) == texts.value(other))
}
