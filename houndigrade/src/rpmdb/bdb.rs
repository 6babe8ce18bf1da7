//! `Packages` as a hash table of Berkeley DB, versions 8 and 9, as rpm wrote it until RHEL 8: records of a number and a header. It finds
//! headers and knows nothing of what is in them.

use super::fields::Order;
use super::pages::{Numbers, PageFile};
use super::tally::Tally;
use crate::error::{ReadError, Result};
use crate::filesystem::RandomFile;
use crate::limits::{RPM_HEADER_BYTES_MAX, RPMDB_READ_BYTES};

/// What says that it is a hash table, in the writer's byte order.
const HASH_MAGIC: u32 = 0x0006_1561;
/// Bytes of the first page that are looked at.
const META_BYTES: usize = 512;
/// The table of where each doubling of the buckets begins.
const SPARES_AT: usize = 96;
const SPARES: u32 = 32;
/// Least size of a page in bytes.
const PAGE_BYTES_MIN: usize = 512;
/// Bytes of every page's head.
const HEAD_BYTES: usize = 26;

const PAGE_UNUSED: u8 = 0;
const PAGE_HASH_UNSORTED: u8 = 2;
const PAGE_OVERFLOW: u8 = 7;
const PAGE_HASH: u8 = 13;

const ITEM_INLINE: u8 = 1;
const ITEM_OVERFLOW: u8 = 3;

/// Gives each header of the database in `file` to `tally`.
///
/// # Errors
/// If it is no such database, if its kind is not supported, or if the tally has had enough.
pub(super) fn read(file: &dyn RandomFile, tally: &mut Tally) -> Result<()> {
    let table = Table::read(file)?;
    let pages = PageFile::new(file, table.page_bytes);
    let mut walk = Walk { order: table.order, used: Numbers::below(pages.count()), pages, blob: Vec::new() };
    for bucket in 0..=table.last_bucket {
        let walked = match table.first_page(bucket) {
            Some(first) => walk.bucket(first, tally)?,
            None => Err(damaged(format!("bucket {bucket} has no place"))),
        };
        if let Err(error) = walked {
            tally.damaged(error)?;
        }
    }
    Ok(())
}

/// What the first page says of the table.
struct Table {
    order: Order,
    page_bytes: usize,
    last_bucket: u32,
    spares: Vec<u32>,
}

impl Table {
    fn read(file: &dyn RandomFile) -> Result<Self> {
        let mut meta = [0; META_BYTES];
        if file.len() < META_BYTES as u64 {
            return Err(damaged("it is shorter than its first page"));
        }
        file.read_at(0, &mut meta)?;
        let Some(order) = [Order::Little, Order::Big].into_iter().find(|order| order.u32(&meta, 12) == Some(HASH_MAGIC)) else {
            return Err(damaged("its first page is not that of a hash table"));
        };
        let number = |at| order.u32(&meta, at).unwrap_or_default();
        let version = number(16);
        if !(8..=9).contains(&version) {
            return Err(ReadError::unsupported("the database Packages", format!("it is a hash table of version {version}")));
        }
        let (encryption, flags) = (meta[24], meta[26]);
        if encryption != 0 || flags != 0 {
            return Err(ReadError::unsupported("the database Packages", "its pages are encrypted or have checksums, which rpm never sets"));
        }
        let page_bytes = number(20) as usize;
        if !page_bytes.is_power_of_two() || !(PAGE_BYTES_MIN..=RPMDB_READ_BYTES).contains(&page_bytes) {
            return Err(damaged(format!("its pages have {page_bytes} bytes")));
        }
        let last_bucket = number(72);
        if u64::from(last_bucket) >= file.len() / page_bytes as u64 {
            return Err(damaged(format!("it has more buckets ({last_bucket}) than pages")));
        }
        let spares = (0..SPARES).map(|index| number(SPARES_AT + 4 * index as usize)).collect();
        Ok(Self { order, page_bytes, last_bucket, spares })
    }

    /// The first page of a bucket: buckets follow each other up to each doubling of their number, which begins at its own place.
    fn first_page(&self, bucket: u32) -> Option<u32> {
        let doubling = bucket.checked_add(1)?.checked_next_power_of_two()?.trailing_zeros();
        bucket.checked_add(*self.spares.get(doubling as usize)?)
    }
}

/// A walk through a table, which uses each page once.
struct Walk<'a> {
    order: Order,
    pages: PageFile<'a>,
    used: Numbers,
    /// The header that is put together.
    blob: Vec<u8>,
}

/// Where a record's header is.
enum Place {
    /// In the page itself, from and up to these bytes.
    Inline(usize, usize),
    /// In a chain of pages: the first, and the bytes in all of them.
    Chain(u32, u32),
}

impl Walk<'_> {
    /// Goes through the chain of a bucket's pages. The outer error ends all, the inner one the bucket.
    fn bucket(&mut self, first: u32, tally: &mut Tally) -> Result<Result<()>> {
        let mut next = first;
        loop {
            let page = match self.use_page(next) {
                Ok(page) => page.to_vec(),
                Err(error) => return Ok(Err(error)),
            };
            match page[25] {
                PAGE_HASH | PAGE_HASH_UNSORTED => self.records(next, &page, tally)?,
                PAGE_UNUSED => return Ok(Ok(())),
                kind => return Ok(Err(damaged(format!("page {next} of a bucket is of type {kind}")))),
            }
            next = self.order.u32(&page, 16).unwrap_or_default();
            if next == 0 {
                return Ok(Ok(()));
            }
        }
    }

    /// The records of one page. Each is two items, and the items lie from the page's end towards its head.
    fn records(&mut self, number: u32, page: &[u8], tally: &mut Tally) -> Result<()> {
        let items = usize::from(self.order.u16(page, 20).unwrap_or_default());
        let offset = |item: usize| self.order.u16(page, HEAD_BYTES + 2 * item).map(usize::from);
        let mut end = page.len();
        let mut places = Vec::new();
        for record in 0..items / 2 {
            let (key_at, data_at) = (offset(2 * record), offset(2 * record + 1));
            match (key_at, data_at) {
                (Some(key_at), Some(data_at)) if data_at >= HEAD_BYTES + 2 * items && data_at < key_at && key_at < end => {
                    places.extend(place(self.order, page, (key_at, end), (data_at, key_at)));
                    end = data_at;
                }
                _ => {
                    places.push(Err(damaged(format!("record {record} of page {number} is not within it"))));
                    break;
                }
            }
        }
        for place in places {
            match place {
                Ok(Place::Inline(start, end)) => tally.header(&page[start..end])?,
                Ok(Place::Chain(first, bytes)) => match self.chain(first, bytes) {
                    Ok(()) => tally.header(&self.blob)?,
                    Err(error) => tally.damaged(error)?,
                },
                Err(error) => tally.damaged(error)?,
            }
        }
        Ok(())
    }

    /// Puts together what is in a chain of pages.
    fn chain(&mut self, first: u32, bytes: u32) -> Result<()> {
        let bytes = bytes as usize;
        if bytes > RPM_HEADER_BYTES_MAX {
            return Err(ReadError::Limit { what: "a package's header".to_owned(), limit: RPM_HEADER_BYTES_MAX as u64, unit: "bytes" });
        }
        let (order, mut next) = (self.order, first);
        let mut blob = std::mem::take(&mut self.blob);
        blob.clear();
        while next != 0 && blob.len() < bytes {
            let page = self.use_page(next)?;
            let len = order.u16(page, 22).map(usize::from).unwrap_or_default();
            match page.get(HEAD_BYTES..HEAD_BYTES + len) {
                Some(data) if page[25] == PAGE_OVERFLOW && len > 0 => blob.extend_from_slice(data),
                _ => return Err(damaged(format!("page {next} is no part of a chain"))),
            }
            next = order.u32(page, 16).unwrap_or_default();
        }
        self.blob = blob;
        if self.blob.len() == bytes && next == 0 {
            return Ok(());
        }
        Err(damaged(format!("the chain from page {first} does not have its {bytes} bytes")))
    }

    /// A page that was not used before.
    fn use_page(&mut self, number: u32) -> Result<&[u8]> {
        if u64::from(number) < self.pages.count() && !self.used.insert(u64::from(number)) {
            return Err(damaged(format!("page {number} is used twice")));
        }
        self.pages.page(u64::from(number))
    }
}

/// Where the header of a record is; `None` for the record with number 0, which counts the numbers that were given.
fn place(order: Order, page: &[u8], key: (usize, usize), data: (usize, usize)) -> Option<Result<Place>> {
    let (key, item) = (&page[key.0..key.1], &page[data.0..data.1]);
    if key == [ITEM_INLINE, 0, 0, 0, 0] {
        return None;
    }
    Some(match item[0] {
        ITEM_INLINE => Ok(Place::Inline(data.0 + 1, data.1)),
        ITEM_OVERFLOW => match (order.u32(item, 4), order.u32(item, 8)) {
            (Some(first), Some(bytes)) => Ok(Place::Chain(first, bytes)),
            _ => Err(damaged("a reference to a chain is cut off")),
        },
        kind => Err(damaged(format!("a record's data is of type {kind}"))),
    })
}

fn damaged(why: impl Into<String>) -> ReadError {
    ReadError::corrupt("the database Packages", why)
}
