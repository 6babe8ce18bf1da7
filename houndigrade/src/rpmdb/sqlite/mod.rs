//! `rpmdb.sqlite`, as rpm writes it since RHEL 9: the table `Packages` of a SQLite database, read without SQL and without writing, as it is
//! together with its write-ahead log. It finds headers and knows nothing of what is in them.

mod log;
mod pages;
mod record;
mod table;

use self::pages::Pages;
use super::tally::Tally;
use crate::error::{ReadError, Result};
use crate::filesystem::RandomFile;
use crate::limits::{RPM_HEADER_BYTES_MAX, SQLITE_SCHEMA_ROW_BYTES_MAX, SQLITE_SCHEMA_ROWS_MAX};

/// The page that the schema's table begins at.
const SCHEMA_ROOT: u64 = 1;
/// Bytes of a row beside the header in it: the sizes of its columns.
const ROW_HEAD_BYTES: usize = 64;

/// Gives each header of the database in `file` to `tally`, with what `log`, its write-ahead log, changes of it.
///
/// # Errors
/// If it is no such database, if it has no table `Packages`, if it uses what is not supported, or if the tally has had enough.
pub(super) fn read(file: &dyn RandomFile, log: Option<&dyn RandomFile>, tally: &mut Tally) -> Result<()> {
    let mut pages = Pages::open(file)?;
    if let Some(log) = log {
        match pages.overlay(log) {
            Ok(None) => {}
            Ok(Some(caveat)) => tally.incomplete(caveat),
            Err(error) => {
                tally.incomplete(format!("the write-ahead log is not taken into account, so the newest packages may be missing: {error}"))
            }
        }
    }
    let root = packages_root(&mut pages)?;
    table::for_each_row(&mut pages, root, RPM_HEADER_BYTES_MAX + ROW_HEAD_BYTES, &mut |row| match row.and_then(header) {
        Ok(header) => tally.header(header),
        Err(error) => tally.damaged(error),
    })
}

/// The header in a row of `Packages`: its first column is the row's number, its second the header.
fn header(row: &[u8]) -> Result<&[u8]> {
    match record::columns::<2>(row)?[1] {
        Some(column) if column.is_blob() => Ok(column.bytes),
        _ => Err(damaged("a row of Packages has no header")),
    }
}

/// The page that the table `Packages` begins at, as the schema says.
fn packages_root(pages: &mut Pages<'_>) -> Result<u64> {
    let mut root = None;
    let mut unread = None;
    let mut rows = 0;
    table::for_each_row(pages, SCHEMA_ROOT, SQLITE_SCHEMA_ROW_BYTES_MAX, &mut |row| {
        rows += 1;
        if rows > SQLITE_SCHEMA_ROWS_MAX {
            return Err(ReadError::Limit { what: "the schema of rpmdb.sqlite".to_owned(), limit: SQLITE_SCHEMA_ROWS_MAX, unit: "rows" });
        }
        match row.and_then(record::columns::<4>) {
            Ok([Some(kind), Some(name), _, Some(page)]) if kind.bytes == b"table" && name.bytes.eq_ignore_ascii_case(b"Packages") => {
                root = page.integer();
            }
            Ok(_) => {}
            Err(error) => unread = Some(error),
        }
        Ok(())
    })?;
    match root {
        Some(root) => Ok(root),
        None => Err(unread.unwrap_or_else(|| damaged("it has no table Packages"))),
    }
}

fn damaged(why: impl Into<String>) -> ReadError {
    ReadError::corrupt("the database rpmdb.sqlite", why)
}
