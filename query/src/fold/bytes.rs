//! The bytes in which a group's state goes from one accumulator to another. They never leave the process.

use super::FoldError;

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Reads what the functions above wrote.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], FoldError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(FoldError::NotAState)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FoldError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FoldError> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, FoldError> {
        self.take().map(i64::from_le_bytes)
    }

    /// The next `count` items of `N` bytes each.
    pub(crate) fn items<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], FoldError> {
        let bytes = count.checked_mul(N).ok_or(FoldError::NotAState)?;
        let (head, rest) = self.rest.split_at_checked(bytes).ok_or(FoldError::NotAState)?;
        self.rest = rest;
        Ok(head.as_chunks().0)
    }
}
