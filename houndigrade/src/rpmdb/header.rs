//! A package's header as all databases keep it: two counts, an index of tags, and their data. It knows nothing of where the bytes were.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fields::Order;
use super::keys::KeyId;
use super::signature::issuers;
use crate::error::{ReadError, Result};
use crate::limits::{RPM_HEADER_ENTRIES_MAX, RPM_SIGNATURE_BYTES_MAX, RPM_SIGNATURES_MAX, RPM_STRING_BYTES_MAX};

/// Bytes before the index: the number of its entries, and the bytes of the data behind it.
const COUNTS_BYTES: usize = 8;
/// Bytes of an entry of the index: tag, type, offset in the data, number of values, each big-endian.
const ENTRY_BYTES: usize = 16;

const TAG_REGIONS: std::ops::RangeInclusive<u32> = 61..=63;
const TAG_SIGPGP: u32 = 259;
const TAG_SIGGPG: u32 = 262;
const TAG_DSAHEADER: u32 = 267;
const TAG_RSAHEADER: u32 = 268;
const TAG_OPENPGP: u32 = 278;
const TAG_NAME: u32 = 1000;
const TAG_VERSION: u32 = 1001;
const TAG_VENDOR: u32 = 1011;
const TAG_ARCH: u32 = 1022;

const TYPE_STRING: u32 = 6;
const TYPE_BINARY: u32 = 7;
const TYPE_STRING_ARRAY: u32 = 8;
const TYPE_I18N_STRING: u32 = 9;
/// Bytes of a value of each type; of a string at least its end.
const TYPE_BYTES: [u64; 10] = [0, 1, 1, 2, 4, 8, 1, 1, 1, 1];

/// What a header says of its package. Strings are the header's own bytes, empty if it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Package<'a> {
    /// `redhat-release`.
    pub name: &'a [u8],
    /// `9.4`.
    pub version: &'a [u8],
    /// `x86_64`.
    pub arch: &'a [u8],
    /// `Red Hat, Inc.`.
    pub vendor: &'a [u8],
    /// How many signatures there are, those included that do not name their issuer.
    pub signatures: usize,
    /// The keys that it is signed with, each once, as far as the signatures name them.
    pub signers: Vec<KeyId>,
}

/// The entries whose values are read once all are known: of a tag that is there twice, the last one holds.
#[derive(Default)]
struct Last<'a> {
    name: Option<Entry<'a>>,
    version: Option<Entry<'a>>,
    vendor: Option<Entry<'a>>,
    arch: Option<Entry<'a>>,
}

/// One entry of the index, its range checked.
struct Entry<'a> {
    tag: u32,
    kind: u32,
    count: usize,
    /// The data from the entry's offset on.
    data: &'a [u8],
}

impl<'a> Package<'a> {
    /// Reads a header.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] if its counts, an entry or a string contradict its size, or if it names no package; [`ReadError::Limit`] if it
    /// has too many entries.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self> {
        let (index, data) = split(blob)?;
        let mut package = Self::default();
        let mut last = Last::default();
        for entry in index.as_chunks::<ENTRY_BYTES>().0 {
            let entry = Entry::read(entry, data)?;
            match entry.tag {
                TAG_NAME => last.name = Some(entry),
                TAG_VERSION => last.version = Some(entry),
                TAG_VENDOR => last.vendor = Some(entry),
                TAG_ARCH => last.arch = Some(entry),
                TAG_SIGPGP | TAG_SIGGPG | TAG_DSAHEADER | TAG_RSAHEADER => package.add_signature(entry.binary()?),
                TAG_OPENPGP => package.add_armoured(&entry)?,
                _ => {}
            }
        }
        let string = |entry: Option<Entry<'a>>| entry.map_or(Ok(&b""[..]), |entry| entry.string());
        package.name = string(last.name)?;
        package.version = string(last.version)?;
        package.vendor = string(last.vendor)?;
        package.arch = string(last.arch)?;
        if package.name.is_empty() {
            return Err(damaged("it names no package"));
        }
        Ok(package)
    }

    /// Adds what a signature says; those beyond the limit are not looked at.
    fn add_signature(&mut self, signature: &[u8]) {
        self.signatures += 1;
        if self.signatures > RPM_SIGNATURES_MAX || signature.len() > RPM_SIGNATURE_BYTES_MAX {
            return;
        }
        for id in issuers(signature) {
            if !self.signers.contains(&id) {
                self.signers.push(id);
            }
        }
    }

    /// Adds signatures that are strings in base64.
    fn add_armoured(&mut self, entry: &Entry<'a>) -> Result<()> {
        let mut rest = entry.strings()?;
        for _ in 0..entry.count {
            if self.signatures >= RPM_SIGNATURES_MAX {
                break;
            }
            let (string, behind) = split_string(rest, 2 * RPM_SIGNATURE_BYTES_MAX)?;
            rest = behind;
            let letters: Vec<u8> = string.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            self.add_signature(&STANDARD.decode(letters).unwrap_or_default());
        }
        Ok(())
    }
}

/// The index and the data of a header.
fn split(blob: &[u8]) -> Result<(&[u8], &[u8])> {
    let Some((counts, rest)) = blob.split_at_checked(COUNTS_BYTES) else {
        return Err(damaged("it is shorter than its counts"));
    };
    let (entries, data_bytes) = (number_at(counts, 0) as usize, number_at(counts, 4) as usize);
    if entries > RPM_HEADER_ENTRIES_MAX {
        return Err(ReadError::Limit { what: "a package's header".to_owned(), limit: RPM_HEADER_ENTRIES_MAX as u64, unit: "entries" });
    }
    match rest.split_at_checked(entries * ENTRY_BYTES) {
        Some((index, data)) if data.len() == data_bytes => Ok((index, data)),
        _ => Err(damaged(format!("{entries} entries with {data_bytes} bytes of data do not make its {} bytes", blob.len()))),
    }
}

impl<'a> Entry<'a> {
    fn read(entry: &[u8; ENTRY_BYTES], data: &'a [u8]) -> Result<Self> {
        let [tag, kind, offset, count] = [0, 4, 8, 12].map(|at| number_at(entry, at));
        // The tags of regions say where a part of the header is that was signed as one; what they hold is not needed.
        if TAG_REGIONS.contains(&tag) {
            return Ok(Self { tag, kind, count: 0, data: &[] });
        }
        let Some(value_bytes) = TYPE_BYTES.get(kind as usize) else {
            return Err(damaged(format!("tag {tag} has the unknown type {kind}")));
        };
        match data.get(offset as usize..) {
            Some(data) if value_bytes * u64::from(count) <= data.len() as u64 => Ok(Self { tag, kind, count: count as usize, data }),
            _ => Err(damaged(format!("tag {tag}, {count} values at {offset}, ends behind the data"))),
        }
    }

    /// The first of its strings.
    fn string(&self) -> Result<&'a [u8]> {
        Ok(split_string(self.strings()?, RPM_STRING_BYTES_MAX)?.0)
    }

    /// The data that its strings are in, each with a zero byte behind it.
    fn strings(&self) -> Result<&'a [u8]> {
        match self.kind {
            TYPE_STRING | TYPE_STRING_ARRAY | TYPE_I18N_STRING => Ok(self.data),
            _ => Err(self.of_wrong_type()),
        }
    }

    fn binary(&self) -> Result<&'a [u8]> {
        match self.kind {
            TYPE_BINARY => Ok(self.data.get(..self.count).unwrap_or_default()),
            _ => Err(self.of_wrong_type()),
        }
    }

    fn of_wrong_type(&self) -> ReadError {
        damaged(format!("tag {} is of type {}", self.tag, self.kind))
    }
}

/// The string up to the next zero byte, which is looked for in no more than `bytes_max` bytes, and what is behind it.
fn split_string(data: &[u8], bytes_max: usize) -> Result<(&[u8], &[u8])> {
    match data.iter().take(bytes_max.saturating_add(1)).position(|byte| *byte == 0) {
        Some(end) => Ok((&data[..end], &data[end + 1..])),
        None if data.len() > bytes_max => {
            Err(ReadError::Limit { what: "a string of a package's header".to_owned(), limit: bytes_max as u64, unit: "bytes" })
        }
        None => Err(damaged("a string has no end")),
    }
}

/// The number at a place whose four bytes are known to be there.
fn number_at(bytes: &[u8], at: usize) -> u32 {
    Order::Big.u32(bytes, at).unwrap_or_default()
}

fn damaged(why: impl Into<String>) -> ReadError {
    ReadError::corrupt("a package's header", why)
}
