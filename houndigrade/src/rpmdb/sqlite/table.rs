//! The rows of a table of SQLite, which are the leaves of a b-tree. It knows nothing of what is in the rows.

use super::damaged;
use super::pages::{HEAD_BYTES, Pages};
use super::record::varint;
use crate::error::{ReadError, Result};
use crate::limits::SQLITE_DEPTH_MAX;
use crate::rpmdb::fields::Order;

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;
/// Bytes of a leaf's head; an inner page has the number of its last child in addition.
const LEAF_HEAD_BYTES: usize = 8;
const INTERIOR_HEAD_BYTES: usize = 12;
/// Bytes of the number of the next page, with which the pages of a long row begin.
const NEXT_BYTES: usize = 4;

/// Takes a row, or why one or several could not be read; its error ends the walk.
type Each<'e> = dyn FnMut(Result<&[u8]>) -> Result<()> + 'e;

/// Gives each row of the table that begins at page `root` to `each`. Longer ones than `row_bytes_max` are errors.
///
/// # Errors
/// If the root cannot be read, or with the error of `each`.
pub(super) fn for_each_row(pages: &mut Pages<'_>, root: u64, row_bytes_max: usize, each: &mut Each<'_>) -> Result<()> {
    pages.claim(root)?;
    let mut rows = Rows { row_bytes_max, row: Vec::new() };
    let mut page = Vec::new();
    let mut open = vec![(root, 1)];
    while let Some((number, depth)) = open.pop() {
        match pages.page(number) {
            Ok(content) => {
                page.clear();
                page.extend_from_slice(content);
            }
            Err(error) if number == root => return Err(error),
            Err(error) => {
                each(Err(error))?;
                continue;
            }
        }
        let head = if number == 1 { HEAD_BYTES } else { 0 };
        match page[head] {
            LEAF => rows.of_leaf(pages, &page, head, each)?,
            INTERIOR if depth < SQLITE_DEPTH_MAX => {
                for child in children(&page, head) {
                    match child.and_then(|child| pages.claim(child).map(|()| child)) {
                        Ok(child) => open.push((child, depth + 1)),
                        Err(error) => each(Err(error))?,
                    }
                }
            }
            kind => {
                let error = damaged(format!("page {number} at level {depth} of a table is of type {kind}"));
                if number == root {
                    return Err(error);
                }
                each(Err(error))?;
            }
        }
    }
    Ok(())
}

/// The pages below an inner page, the last one first, so that they are taken from a stack in their order.
fn children(page: &[u8], head: usize) -> Vec<Result<u64>> {
    let child = |at: Option<usize>| {
        let number = at.and_then(|at| Order::Big.u32(page, at));
        number.map(u64::from).ok_or_else(|| damaged("a reference of an inner page is not within it"))
    };
    let cells = cells(page, head, INTERIOR_HEAD_BYTES).into_iter().rev();
    std::iter::once(child(Some(head + LEAF_HEAD_BYTES))).chain(cells.map(child)).collect()
}

/// Where the cells of a page are; `None` for one that is not behind the page's head.
fn cells(page: &[u8], head: usize, head_bytes: usize) -> Vec<Option<usize>> {
    let count = usize::from(Order::Big.u16(page, head + 3).unwrap_or_default());
    let table = head + head_bytes;
    // More cells than fit are not looked for; that the page is damaged shows in those that are.
    let count = count.min(page.len().saturating_sub(table) / 2);
    let behind = table + 2 * count;
    (0..count).map(|cell| Order::Big.u16(page, table + 2 * cell).map(usize::from).filter(|at| *at >= behind)).collect()
}

/// Puts rows together.
struct Rows {
    row_bytes_max: usize,
    row: Vec<u8>,
}

impl Rows {
    fn of_leaf(&mut self, pages: &mut Pages<'_>, page: &[u8], head: usize, each: &mut Each<'_>) -> Result<()> {
        for at in cells(page, head, LEAF_HEAD_BYTES) {
            let cell = at.and_then(|at| page.get(at..));
            let row = match cell {
                Some(cell) => self.read(pages, cell),
                None => Err(damaged("a row is not within its page")),
            };
            match row {
                Ok(()) => each(Ok(&self.row))?,
                Err(error) => each(Err(error))?,
            }
        }
        Ok(())
    }

    /// Reads a row: its length, its number, its first bytes, and of a long one the page where the rest begins.
    fn read(&mut self, pages: &mut Pages<'_>, cell: &[u8]) -> Result<()> {
        self.row.clear();
        let cut_off = || damaged("a row is cut off");
        let (len, rest) = varint(cell).ok_or_else(cut_off)?;
        let (_, rest) = varint(rest).ok_or_else(cut_off)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > self.row_bytes_max {
            return Err(ReadError::Limit { what: "a row of rpmdb.sqlite".to_owned(), limit: self.row_bytes_max as u64, unit: "bytes" });
        }
        let local = local_bytes(len, pages.usable_bytes());
        let (first, rest) = rest.split_at_checked(local).ok_or_else(cut_off)?;
        self.row.extend_from_slice(first);
        let mut next = if local < len { Order::Big.u32(rest, 0).ok_or_else(cut_off)? } else { 0 };
        while self.row.len() < len {
            pages.claim(u64::from(next))?;
            let page = pages.page(u64::from(next))?;
            let (head, content) = page.split_at(NEXT_BYTES);
            let missing = len - self.row.len();
            self.row.extend_from_slice(&content[..missing.min(content.len())]);
            next = Order::Big.u32(head, 0).unwrap_or_default();
        }
        Ok(())
    }
}

/// How many bytes of a row of `len` are in its leaf, by the rule of SQLite's file format.
fn local_bytes(len: usize, usable: usize) -> usize {
    let most = usable - 35;
    if len <= most {
        return len;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let fitting = least + (len - least) % (usable - NEXT_BYTES);
    if fitting <= most { fitting } else { least }
}
