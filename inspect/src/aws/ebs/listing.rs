//! Which blocks a snapshot has. It is asked for where it is needed: an inspection touches a few places of a disk, which may have millions.

use std::collections::HashMap;

use super::cache::Newest;
use super::client::{BlockError, Listed};
use crate::aws::limits::{BLOCKS_PER_LISTING, LISTINGS_PER_WINDOW_MAX, WINDOWS_KEPT_MAX};

/// Blocks that are listed together.
const WINDOW: u32 = BLOCKS_PER_LISTING.unsigned_abs();

/// The blocks of a snapshot, as far as they are known, each with its token.
#[derive(Debug)]
pub(super) struct Listing {
    snapshot: String,
    windows: Newest<HashMap<u32, String>>,
}

impl Listing {
    /// Nothing is known.
    pub(super) fn new(snapshot: &str) -> Self {
        Self { snapshot: snapshot.to_owned(), windows: Newest::new(WINDOWS_KEPT_MAX) }
    }

    /// The token of a block; `None` for one that the snapshot does not have, which is all zeros. `ask` makes a call.
    pub(super) fn token(
        &mut self,
        index: u32,
        ask: impl FnMut(u32, Option<&str>) -> Result<Listed, BlockError>,
    ) -> Result<Option<String>, BlockError> {
        let window = index / WINDOW;
        if let Some(known) = self.windows.get(window) {
            return Ok(known.get(&index).cloned());
        }
        let known = list(&self.snapshot, window * WINDOW, ask)?;
        let token = known.get(&index).cloned();
        self.windows.put(window, known);
        Ok(token)
    }

    /// Forgets what is known around a block: its token is no longer good.
    pub(super) fn forget(&mut self, index: u32) {
        self.windows.forget(index / WINDOW);
    }
}

/// The blocks from `first` on, as many as a window has.
fn list(
    snapshot: &str,
    first: u32,
    mut ask: impl FnMut(u32, Option<&str>) -> Result<Listed, BlockError>,
) -> Result<HashMap<u32, String>, BlockError> {
    let end = first.saturating_add(WINDOW);
    let (mut known, mut next) = (HashMap::new(), None::<String>);
    for _ in 0..LISTINGS_PER_WINDOW_MAX {
        let Listed { blocks, next: more, .. } = ask(first, next.as_deref())?;
        let is_past = blocks.last().is_some_and(|(index, _)| *index >= end);
        known.extend(blocks.into_iter().filter(|(index, _)| (first..end).contains(index)));
        next = more;
        if is_past || next.is_none() {
            return Ok(known);
        }
    }
    Err(BlockError::Unknown { snapshot: snapshot.to_owned(), why: format!("there is no end to the list of its blocks from {first} on") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot whose every block with a number that 10 divides is there, told in pages of `page`.
    fn sparse(page: usize) -> impl FnMut(u32, Option<&str>) -> Result<Listed, BlockError> {
        move |first, token| {
            let first = token.map_or(first, |token| token.parse().unwrap());
            let there: Vec<u32> = (first.div_ceil(10) * 10..100_000).step_by(10).collect();
            let blocks: Vec<_> = there.iter().take(page).map(|index| (*index, format!("token {index}"))).collect();
            Ok(Listed { next: there.get(page).map(u32::to_string), blocks, volume_gib: 48 })
        }
    }

    #[test]
    fn a_block_that_is_not_listed_has_no_token_whatever_the_pages() {
        for page in [2, 7, 1_000] {
            let mut listing = Listing::new("snap-1");
            for index in [0, 10, 990, WINDOW, 30_000, 99_990] {
                let there = index % 10 == 0;
                assert_eq!(listing.token(index, sparse(page)).unwrap(), there.then(|| format!("token {index}")), "{index} by {page}");
                assert_eq!(
                    listing.token(index + 1, sparse(page)).unwrap(),
                    (index + 1).is_multiple_of(10).then(|| format!("token {}", index + 1))
                );
            }
            assert_eq!(listing.token(2_000_000, sparse(page)).unwrap(), None);
        }
    }

    #[test]
    fn a_window_is_asked_for_once_until_it_is_forgotten() {
        let (mut listing, mut calls) = (Listing::new("snap-1"), 0);
        for index in 0..WINDOW {
            let mut sparse = sparse(100_000);
            listing
                .token(index, |first, token| {
                    calls += 1;
                    sparse(first, token)
                })
                .unwrap();
        }
        assert_eq!(calls, 1);
        listing.forget(5);
        let mut sparse = sparse(100_000);
        listing
            .token(0, |first, token| {
                calls += 1;
                sparse(first, token)
            })
            .unwrap();
        assert_eq!(calls, 2);
    }

    #[test]
    fn a_list_without_an_end_is_an_error() {
        let endless = |_: u32, _: Option<&str>| Ok(Listed { blocks: vec![], next: Some("on".into()), volume_gib: 1 });
        assert!(Listing::new("snap-1").token(0, endless).unwrap_err().to_string().contains("no end"));
    }
}
