//! Writes logs as Linux does, into an image of `mkfs.xfs`.

use super::super::geometry::Geometry;
use super::super::log::{BLOCK_BYTES, HEADER_MAGIC};
use crate::filesystem::bytes::{crc32c, u32_be};

const OPERATION_BYTES: usize = 12;
const BYTES_PER_HEADER: usize = 32 << 10;

pub(super) const START: u8 = 0x1;
pub(super) const COMMIT: u8 = 0x2;
pub(super) const CONTINUES: u8 = 0x4;
pub(super) const CONTINUED: u8 = 0x8;
const END: u8 = 0x10;
pub(super) const UNMOUNTED: u8 = 0x20;

/// How a system writes its log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Of the log: 1 or 2.
    pub version: u32,
    /// Bytes of a record, headers included.
    pub record_bytes: usize,
    /// Newer systems write checksums even into logs of XFS version 4.
    pub checksums: bool,
    /// The cycle in which writing begins, and how many blocks before the ring's end; at its begin if that is none.
    pub cycle: u32,
    pub before_end: u64,
}

impl Layout {
    /// As RHEL 7 writes a log of its first days.
    pub(super) const USUAL: Self = Self { version: 2, record_bytes: 32 << 10, checksums: true, cycle: 1, before_end: 0 };
}

/// A log that is being written.
pub(super) struct Writer {
    pub image: Vec<u8>,
    layout: Layout,
    begin: usize,
    pub blocks: u64,
    uuid: [u8; 16],
    cycle: u32,
    at: u64,
    /// The cycle and the block that records name as the oldest that is needed.
    pub tail: (u32, u64),
    operations: u32,
    body: Vec<u8>,
}

impl Writer {
    /// Begins with a ring that holds nothing but stamps of the pass before.
    pub(super) fn new(mut image: Vec<u8>, layout: Layout) -> Self {
        let geometry = Geometry::read(&image).unwrap();
        let (begin, end) = (geometry.log.start as usize, geometry.log.end as usize);
        let blocks = ((end - begin) / BLOCK_BYTES) as u64;
        let at = if layout.before_end == 0 { 0 } else { blocks - layout.before_end };
        for (number, block) in image[begin..end].chunks_exact_mut(BLOCK_BYTES).enumerate() {
            let cycle = if (number as u64) < at { layout.cycle } else { layout.cycle - 1 };
            block.fill(0);
            block[..4].copy_from_slice(&cycle.to_be_bytes());
        }
        let tail = (layout.cycle, at);
        Self { image, layout, begin, blocks, uuid: geometry.uuid, cycle: layout.cycle, at, tail, operations: 0, body: Vec::new() }
    }

    /// A whole transaction.
    pub(super) fn transaction(&mut self, number: u32, items: &[Vec<Vec<u8>>]) {
        self.start(number);
        for item in items {
            self.item(number, item);
        }
        self.operation(number, COMMIT, &[]);
    }

    pub(super) fn start(&mut self, number: u32) {
        self.operation(number, START, &[]);
        let words = [0x5452_414e_u32, 40, number, 1];
        self.region(number, &words.map(u32::to_le_bytes).concat());
    }

    pub(super) fn item(&mut self, number: u32, regions: &[Vec<u8>]) {
        for region in regions {
            self.region(number, region);
        }
    }

    /// A region, in as many pieces as it needs.
    fn region(&mut self, number: u32, region: &[u8]) {
        let mut rest = region;
        while self.left() < OPERATION_BYTES + rest.len() {
            let (piece, more) = rest.split_at((self.left() - OPERATION_BYTES) / 4 * 4);
            let before = if rest.len() == region.len() { 0 } else { CONTINUED };
            self.operation(number, before | CONTINUES, piece);
            rest = more;
        }
        let flags = if rest.len() == region.len() { 0 } else { CONTINUED | END };
        self.operation(number, flags, rest);
    }

    /// One operation, in a record of its own if it does not fit into this.
    pub(super) fn operation(&mut self, number: u32, flags: u8, bytes: &[u8]) {
        if self.left() < OPERATION_BYTES + bytes.len() {
            self.record();
        }
        self.body.extend([number.to_be_bytes(), (bytes.len() as u32).to_be_bytes(), [0x69, flags, 0, 0]].concat());
        self.body.extend(bytes);
        self.operations += 1;
        // Room for the begin of an operation and some of its bytes, as in Linux.
        if self.left() < OPERATION_BYTES + 4 {
            self.record();
        }
    }

    fn left(&self) -> usize {
        self.layout.record_bytes - self.header_blocks() * BLOCK_BYTES - self.body.len()
    }

    fn header_blocks(&self) -> usize {
        if self.layout.version == 1 { 1 } else { self.layout.record_bytes.div_ceil(BYTES_PER_HEADER) }
    }

    /// Ends a record; gives the block at which it begins.
    pub(super) fn record(&mut self) -> u64 {
        let (operations, mut body) = (std::mem::take(&mut self.operations), std::mem::take(&mut self.body));
        let exact = body.len();
        body.resize(exact.next_multiple_of(BLOCK_BYTES), 0);
        let stated = if self.layout.version == 1 { exact } else { body.len() };
        let mut headers = vec![0; self.header_blocks() * BLOCK_BYTES];
        let place = |(cycle, block): (u32, u64)| u64::from(cycle) << 32 | block;
        let mut put = |at: usize, bytes: &[u8]| headers[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[HEADER_MAGIC, self.cycle, self.layout.version, stated as u32].map(u32::to_be_bytes).concat());
        put(16, &[place((self.cycle, self.at)), place(self.tail)].map(u64::to_be_bytes).concat());
        put(40, &operations.to_be_bytes());
        put(300, &1_u32.to_be_bytes());
        put(304, &self.uuid);
        put(320, &(self.layout.record_bytes as u32).to_be_bytes());
        for (number, block) in body.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            let (header, word) = (number / 64, number % 64);
            put(if header == 0 { 44 + 4 * word } else { header * BLOCK_BYTES + 4 + 4 * word }, &block[..4]);
            block[..4].copy_from_slice(&self.cycle.to_be_bytes());
        }
        for header in headers.chunks_exact_mut(BLOCK_BYTES).skip(1) {
            header[..4].copy_from_slice(&self.cycle.to_be_bytes());
        }
        self.write(&mut headers, &mut body, stated)
    }

    /// Puts a record into the ring. What is behind the ring's end belongs to the next cycle.
    fn write(&mut self, headers: &mut [u8], body: &mut [u8], stated: usize) -> u64 {
        let count = ((headers.len() + body.len()) / BLOCK_BYTES) as u64;
        let before_end = (self.blocks - self.at) as usize;
        for block in headers.chunks_exact_mut(BLOCK_BYTES).chain(body.chunks_exact_mut(BLOCK_BYTES)).skip(before_end) {
            block[..4].copy_from_slice(&(self.cycle + 1).to_be_bytes());
        }
        if self.layout.checksums {
            let first = crc32c(!0, &headers[..328]);
            let further = headers.chunks_exact(BLOCK_BYTES).skip(1).take(stated.div_ceil(BYTES_PER_HEADER) - 1);
            let sum = !crc32c(further.fold(first, |sum, header| crc32c(sum, &header[..260])), &body[..stated]);
            headers[32..36].copy_from_slice(&sum.to_le_bytes());
        }
        let begin = self.at;
        for block in headers.chunks_exact(BLOCK_BYTES).chain(body.chunks_exact(BLOCK_BYTES)) {
            let place = self.place(self.at);
            self.image[place..place + BLOCK_BYTES].copy_from_slice(block);
            self.at += 1;
            if self.at == self.blocks {
                (self.at, self.cycle) = (0, self.cycle + 1);
            }
        }
        assert!(count < self.blocks);
        begin
    }

    /// The record with which an unmounted file system ends.
    pub(super) fn unmount(&mut self) {
        self.body.extend([[0; 4], 8_u32.to_be_bytes(), [0xaa, UNMOUNTED, 0, 0], *b"nU\0\0", [0; 4]].concat());
        self.operations += 1;
        self.record();
    }

    /// The byte of the image at which a block of the log begins.
    pub(super) fn place(&self, block: u64) -> usize {
        self.begin + block as usize * BLOCK_BYTES
    }

    /// Where the next record goes.
    pub(super) fn head(&self) -> u64 {
        self.at
    }

    /// The image; whatever was not in a record yet gets one.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.operations > 0 {
            self.record();
        }
        self.image
    }
}

/// Takes the checksums from all records of a log, as RHEL 6 writes none.
pub(super) fn without_checksums(image: &mut Vec<u8>) {
    let log = Geometry::read(image).unwrap().log;
    for block in image[log.start as usize..log.end as usize].chunks_exact_mut(BLOCK_BYTES) {
        if u32_be(block, 0) == HEADER_MAGIC {
            block[32..36].fill(0);
        }
    }
}
