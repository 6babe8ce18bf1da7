//! `Packages.db` as rpm's own format ndb, as SUSE uses it: a table of slots, and each header whole in one piece with a checksum. It finds
//! headers and knows nothing of what is in them.

use super::fields::Order;
use super::tally::Tally;
use crate::error::{ReadError, Result};
use crate::filesystem::RandomFile;
use crate::limits::{PACKAGES_MAX, RPM_HEADER_BYTES_MAX};

/// Bytes of the file's head, which stands where the first slots would be.
const HEAD_BYTES: usize = 32;
/// Bytes of a page of slots.
const PAGE_BYTES: usize = 4096;
/// Bytes of a slot: magic, package, first block, blocks.
const SLOT_BYTES: usize = 16;
/// Bytes of a block, in which pieces are measured.
const BLOCK_BYTES: u64 = 16;
/// Bytes of a piece before its header: magic, package, generation, length.
const PIECE_HEAD_BYTES: usize = 16;
/// Bytes of a piece's end: checksum, length, magic.
const PIECE_TAIL_BYTES: usize = 12;

/// Gives each header of the database in `file` to `tally`.
///
/// # Errors
/// If it is no such database, if its version is not supported, or if the tally has had enough.
pub(super) fn read(file: &dyn RandomFile, tally: &mut Tally) -> Result<()> {
    let slot_pages = slot_pages(file)?;
    let mut left = file.len();
    let mut piece = Vec::new();
    let mut page = [0; PAGE_BYTES];
    for number in 0..slot_pages {
        if let Err(error) = file.read_at(number * PAGE_BYTES as u64, &mut page) {
            tally.damaged(error)?;
            continue;
        }
        let first = if number == 0 { HEAD_BYTES } else { 0 };
        for slot in page[first..].as_chunks::<SLOT_BYTES>().0 {
            let found = match place(file, slot) {
                Ok(None) => continue,
                Ok(Some(place)) => {
                    // Pieces do not overlap, so that all together are smaller than the file.
                    left = left.checked_sub(place.bytes).ok_or_else(|| damaged("its pieces together are larger than itself"))?;
                    header(file, &place, &mut piece)
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(header) => tally.header(header)?,
                Err(error) => tally.damaged(error)?,
            }
        }
    }
    Ok(())
}

/// How many pages of slots the file says it has.
fn slot_pages(file: &dyn RandomFile) -> Result<u64> {
    let mut head = [0; HEAD_BYTES];
    if file.len() < HEAD_BYTES as u64 {
        return Err(damaged("it is shorter than its head"));
    }
    file.read_at(0, &mut head)?;
    if !head.starts_with(b"RpmP") {
        return Err(damaged("its head is not that of an rpm database"));
    }
    let number = |at| u64::from(Order::Little.u32(&head, at).unwrap_or_default());
    let (version, pages) = (number(4), number(12));
    if version != 0 {
        return Err(ReadError::unsupported("the database Packages.db", format!("it is of version {version}")));
    }
    if pages > PACKAGES_MAX * SLOT_BYTES as u64 / PAGE_BYTES as u64 {
        return Err(ReadError::Limit { what: "the database Packages.db".to_owned(), limit: PACKAGES_MAX, unit: "packages" });
    }
    if pages == 0 || pages * PAGE_BYTES as u64 > file.len() {
        return Err(damaged(format!("its {pages} pages of slots are not within its {} bytes", file.len())));
    }
    Ok(pages)
}

/// Where a header's piece is.
struct Place {
    package: u32,
    /// In bytes from the file's beginning.
    start: u64,
    bytes: u64,
}

/// The piece that a slot refers to, within the file and of a size that may be read; `None` if the slot is free.
fn place(file: &dyn RandomFile, slot: &[u8; SLOT_BYTES]) -> Result<Option<Place>> {
    if !slot.starts_with(b"Slot") {
        return Err(damaged("a slot is not one"));
    }
    let [package, block, blocks] = [4, 8, 12].map(|at| Order::Little.u32(slot, at).unwrap_or_default());
    if package == 0 || block == 0 {
        return Ok(None);
    }
    // 32 bits times 16 are far from overflow.
    let (start, bytes) = (u64::from(block) * BLOCK_BYTES, u64::from(blocks) * BLOCK_BYTES);
    if bytes > RPM_HEADER_BYTES_MAX as u64 {
        return Err(ReadError::Limit {
            what: format!("the header of package {package}"),
            limit: RPM_HEADER_BYTES_MAX as u64,
            unit: "bytes",
        });
    }
    if start + bytes > file.len() {
        return Err(damaged(format!("package {package} ends behind the file")));
    }
    Ok(Some(Place { package, start, bytes }))
}

/// Reads a header's piece into `piece`.
fn header<'b>(file: &dyn RandomFile, place: &Place, piece: &'b mut Vec<u8>) -> Result<&'b [u8]> {
    piece.resize(place.bytes as usize, 0);
    file.read_at(place.start, piece)?;
    checked(piece, place.package)
}

/// The header within a piece, which must be whole.
fn checked(piece: &[u8], package: u32) -> Result<&[u8]> {
    let tail_at = piece.len().saturating_sub(PIECE_TAIL_BYTES);
    let (body, tail) = piece.split_at(tail_at);
    let number = |bytes, at| Order::Little.u32(bytes, at);
    let sound = body.starts_with(b"BlbS")
        && tail.ends_with(b"BlbE")
        && number(body, 4) == Some(package)
        && number(body, 12) == number(tail, 4)
        && number(tail, 0) == Some(adler32(body));
    let len = number(body, 12).unwrap_or_default() as usize;
    match body.get(PIECE_HEAD_BYTES..).and_then(|data| data.get(..len)) {
        Some(header) if sound => Ok(header),
        _ => Err(damaged(format!("the piece of package {package} contradicts its head, its end or its checksum"))),
    }
}

/// The checksum of RFC 1950.
fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    /// As many bytes as fit before the sums must be reduced.
    const RUN: usize = 5_552;
    let (mut low, mut high) = (1u32, 0u32);
    for run in bytes.chunks(RUN) {
        for byte in run {
            low += u32::from(*byte);
            high += low;
        }
        (low, high) = (low % MODULUS, high % MODULUS);
    }
    high << 16 | low
}

fn damaged(why: impl Into<String>) -> ReadError {
    ReadError::corrupt("the database Packages.db", why)
}
