//! A snapshot as a disk: blocks are fetched when they are asked for, kept for a while, and counted.

use std::sync::{Arc, Mutex, PoisonError};

use houndigrade::source::{BlockSource, checked_range};
use houndigrade::{ReadError, Result};

use super::BLOCK_BYTES;
use super::cache::Newest;
use super::client::{BlockError, Blocks};
use super::listing::Listing;
use crate::aws::limits::{BLOCK_TRIES_MAX, BLOCKS_KEPT_MAX};

/// What was asked of AWS for one disk: each call is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlocksRead {
    /// Calls of `GetSnapshotBlock`, those in vain included.
    pub blocks: u64,
    /// Calls of `ListSnapshotBlocks`.
    pub listings: u64,
}

/// A snapshot's blocks as a disk. What it does not have reads as zeros.
pub struct SnapshotSource {
    blocks: Box<dyn Blocks>,
    snapshot: String,
    len: u64,
    state: Mutex<State>,
}

struct State {
    listing: Listing,
    kept: Newest<Arc<[u8]>>,
    read: BlocksRead,
    /// Why nothing more can be read.
    failed: Option<BlockError>,
}

impl SnapshotSource {
    /// Asks for the first blocks' list, by which AWS shows that they can be read and how many there are.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn open(blocks: Box<dyn Blocks>, snapshot: &str) -> std::result::Result<Self, BlockError> {
        let mut read = BlocksRead::default();
        let (mut listing, mut volume_gib) = (Listing::new(snapshot), 0);
        listing.token(0, |first, token| {
            let listed = persist(&mut read.listings, || blocks.list(first, token))?;
            volume_gib = listed.volume_gib;
            Ok(listed)
        })?;
        let state = State { listing, kept: Newest::new(BLOCKS_KEPT_MAX), read, failed: None };
        Ok(Self { blocks, snapshot: snapshot.to_owned(), len: volume_gib << 30, state: Mutex::new(state) })
    }

    /// What was asked of AWS so far.
    pub fn read(&self) -> BlocksRead {
        self.state().read
    }

    /// Why blocks could not be read, if that was so. What was found then is not all that is there.
    pub fn failure(&self) -> Option<BlockError> {
        self.state().failed.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Each change is a single step: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block's bytes; `None` for zeros.
    fn block(&self, index: u32) -> std::result::Result<Option<Arc<[u8]>>, BlockError> {
        let state = &mut *self.state();
        if let Some(failed) = &state.failed {
            return Err(failed.clone());
        }
        if let Some(bytes) = state.kept.get(index) {
            return Ok(Some(Arc::clone(bytes)));
        }
        let fetched = self.fetch(state, index).or_else(|error| {
            if !error.is_refused_token() {
                return Err(error);
            }
            state.listing.forget(index);
            self.fetch(state, index)
        });
        match fetched {
            Ok(Some(bytes)) => {
                let bytes: Arc<[u8]> = bytes.into();
                state.kept.put(index, Arc::clone(&bytes));
                Ok(Some(bytes))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                state.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn fetch(&self, state: &mut State, index: u32) -> std::result::Result<Option<Vec<u8>>, BlockError> {
        let State { listing, read, .. } = state;
        let token = listing.token(index, |first, token| persist(&mut read.listings, || self.blocks.list(first, token)))?;
        token.map(|token| persist(&mut read.blocks, || self.blocks.get(index, &token))).transpose()
    }
}

/// Asks until there is an answer, a failure that stays, or no more tries. How long lies between two calls is the caller's pace.
fn persist<T>(calls: &mut u64, ask: impl Fn() -> std::result::Result<T, BlockError>) -> std::result::Result<T, BlockError> {
    let mut tries = 0;
    loop {
        tries += 1;
        *calls += 1;
        match ask() {
            Err(error) if error.may_pass() && tries < BLOCK_TRIES_MAX => tracing::debug!(%error, "asked again"),
            answer => return answer,
        }
    }
}

impl BlockSource for SnapshotSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| ReadError::Device {
            what: self.snapshot.clone(),
            error: Arc::new(std::io::Error::other(error.to_string())),
        };
        let (mut at, mut rest) = (checked_range(self.len, offset, buf.len())?, buf);
        while !rest.is_empty() {
            let within = (at % BLOCK_BYTES as u64) as usize;
            let (now, later) = rest.split_at_mut(rest.len().min(BLOCK_BYTES - within));
            let index = u32::try_from(at / BLOCK_BYTES as u64).map_err(|error| failed(&error))?;
            match self.block(index).map_err(|error| failed(&error))? {
                Some(bytes) => now.copy_from_slice(&bytes[within..within + now.len()]),
                None => now.fill(0),
            }
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
