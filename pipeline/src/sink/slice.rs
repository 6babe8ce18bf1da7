//! Which file a row belongs to: month, bucket, and a slice of the bucket.
//!
//! A change rewrites the files of the instances it touches, so files must stay small. A bucket's month begins as one file, slice
//! ``; a file that grows past the limit is divided by the next bit of the instances' hash, into slices `0` and `1`, those into `00`,
//! `01` and so on. The slices of a month and bucket never overlap and together hold all hashes. A file's name begins with its slice.

use cloudigrade_schemas::Month;

use super::group::RowKey;

/// A month of one bucket: the unit that slices divide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The month.
    pub month: Month,
    /// The bucket.
    pub bucket: u32,
}

/// The leading bits of the hashes that a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice {
    bits: u64,
    len: u32,
}

/// A slice is divided no further than this.
const SLICE_BITS_MAX: u32 = 32;

impl Slice {
    /// The hash of a row's key, for slices. It is not the one that chooses partitions: those bits are alike within a bucket.
    pub fn hash(key: &RowKey<'_>) -> u64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::with_seed(1);
        for part in key {
            hasher.update(part.as_bytes());
            hasher.update(b"/");
        }
        hasher.digest()
    }

    /// Whether rows with this hash belong here.
    pub fn holds(self, hash: u64) -> bool {
        self.len == 0 || hash >> (64 - self.len) == self.bits
    }

    /// The two halves, unless it is as small as slices get.
    pub fn halves(self) -> Option<[Self; 2]> {
        (self.len < SLICE_BITS_MAX).then(|| [0, 1].map(|bit| Self { bits: self.bits << 1 | bit, len: self.len + 1 }))
    }

    /// The slice for a hash: the one of `taken` that holds it, else the largest that overlaps none of them.
    pub fn for_hash(hash: u64, taken: impl Iterator<Item = Self> + Clone) -> Self {
        let mut slice = Self::default();
        while taken.clone().any(|other| other != slice && slice.contains(other)) {
            let Some(half) = slice.halves().and_then(|halves| halves.into_iter().find(|half| half.holds(hash))) else { break };
            slice = half;
        }
        slice
    }

    /// Whether all that another slice holds belongs here.
    fn contains(self, other: Self) -> bool {
        self.len <= other.len && (self.len == 0 || other.bits >> (other.len - self.len) == self.bits)
    }

    /// How a file of this slice is named; `tag` makes the name its own.
    pub fn file_name(self, tag: &str) -> String {
        let bits: String = (0..self.len).rev().map(|i| if self.bits >> i & 1 == 1 { '1' } else { '0' }).collect();
        format!("part{bits}-{tag}.parquet")
    }

    /// Reads the slice off a file's name.
    pub fn of_file(name: &str) -> Option<Self> {
        let bits = name.rsplit('/').next()?.strip_prefix("part")?.split('-').next()?;
        let len = u32::try_from(bits.len()).ok().filter(|len| *len <= SLICE_BITS_MAX)?;
        let value = if bits.is_empty() { 0 } else { u64::from_str_radix(bits, 2).ok()? };
        Some(Self { bits: value, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_slice_hold_what_it_holds_and_do_not_overlap() {
        let mut slice = Slice::default();
        let hash = Slice::hash(&["1".into(), "r".into(), "i-1".into()]);
        while let Some([low, high]) = slice.halves() {
            assert!(slice.holds(hash) && (low.holds(hash) != high.holds(hash)));
            slice = if low.holds(hash) { low } else { high };
        }
        assert!(slice.holds(hash) && !slice.holds(!hash));
    }

    #[test]
    fn a_hash_finds_the_slice_that_holds_it_or_the_largest_free_one() {
        let [zero, one] = Slice::default().halves().unwrap();
        let [one_zero, one_one] = one.halves().unwrap();
        let low = 0;
        let high = u64::MAX;
        assert_eq!(Slice::for_hash(low, [].into_iter()), Slice::default());
        assert_eq!(Slice::for_hash(high, [Slice::default()].into_iter()), Slice::default());
        assert_eq!(Slice::for_hash(high, [zero, one_zero, one_one].into_iter()), one_one);
        assert_eq!(Slice::for_hash(low, [one_zero, one_one].into_iter()), zero);
        assert_eq!(Slice::for_hash(high, [one_zero].into_iter()), one_one);
    }

    #[test]
    fn a_slice_is_read_back_from_a_file_name() {
        let all = Slice::default();
        let [_, one] = all.halves().unwrap();
        let [one_zero, _] = one.halves().unwrap();
        for slice in [all, one, one_zero] {
            assert_eq!(Slice::of_file(&format!("month=2024-02/bucket=3/{}", slice.file_name("7f"))), Some(slice));
        }
        assert_eq!(one_zero.file_name("7f"), "part10-7f.parquet");
        assert_eq!((Slice::of_file("data.parquet"), Slice::of_file("part2-x.parquet")), (None, None));
    }
}
