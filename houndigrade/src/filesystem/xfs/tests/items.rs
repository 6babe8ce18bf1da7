//! Items of transactions: what would have been logged, had an image become another.

use super::super::geometry::Geometry;
use crate::filesystem::bytes::{u16_be, u32_be, u64_be};

pub(super) type Item = Vec<Vec<u8>>;

pub(super) const BLOCK: usize = 4096;
pub(super) const INODE: usize = 256;
const PIECE: usize = 128;

const FREED: u16 = 0x2;

/// A description of a buffer of 4096 bytes, of which the pieces of a map are logged.
pub(super) fn buffer_description(place: usize, flags: u16, regions: u16, map: u32) -> Vec<u8> {
    let mut description = [0x123c, regions, flags, (BLOCK / 512) as u16].map(u16::to_le_bytes).concat();
    description.extend((place as u64 / 512).to_le_bytes());
    description.extend([1, map].map(u32::to_le_bytes).concat());
    description
}

/// A buffer of which all pieces are logged that differ between two blocks, those beside each other as one region.
pub(super) fn buffer(before: &[u8], after: &[u8], place: usize) -> Item {
    let (mut map, mut regions) = (0, Vec::<Vec<u8>>::new());
    for (number, (old, piece)) in before.chunks_exact(PIECE).zip(after.chunks_exact(PIECE)).enumerate() {
        if old != piece {
            match regions.last_mut() {
                Some(last) if map >> (number - 1) & 1 == 1 => last.extend(piece),
                _ => regions.push(piece.to_vec()),
            }
            map |= 1 << number;
        }
    }
    let description = buffer_description(place, 0, 1 + regions.len() as u16, map);
    [vec![description], regions].concat()
}

/// A buffer that is freed.
pub(super) fn freed(place: usize) -> Item {
    vec![buffer_description(place, FREED, 1, 0)]
}

/// An inode as it stands in an image, with `narrow` as a system of 32 bits describes it.
pub(super) fn inode(image: &[u8], place: usize, narrow: bool) -> Item {
    let inode = &image[place..place + INODE];
    let mut core = inode[..96].to_vec();
    for (at, bytes) in [(0, 2), (2, 2), (6, 2), (20, 2), (22, 2), (30, 2), (80, 2), (88, 2), (90, 2), (56, 8), (64, 8)] {
        core[at..at + bytes].reverse();
    }
    for at in [8, 12, 16, 32, 36, 40, 44, 48, 52, 72, 76, 84, 92] {
        core[at..at + 4].reverse();
    }
    assert_eq!(inode[82], 0, "attributes are not logged here");
    let fork = &inode[100..];
    let (mut fields, mut device, mut regions) = (1_u32, 0, vec![core]);
    match inode[5] {
        0 => (fields, device) = (fields | 0x10, u32_be(fork, 0)),
        1 => {
            fields |= 0x2;
            regions.push(fork[..(u64_be(inode, 56) as usize).next_multiple_of(4)].to_vec());
        }
        2 if u32_be(inode, 76) > 0 => {
            fields |= 0x4;
            regions.push(fork[..16 * u32_be(inode, 76) as usize].to_vec());
        }
        _ => {}
    }
    [vec![inode_description(place, fields, regions.len() as u16 + 1, device, narrow)], regions].concat()
}

fn inode_description(place: usize, fields: u32, regions: u16, device: u32, narrow: bool) -> Vec<u8> {
    let mut description = [0x123b, regions].map(u16::to_le_bytes).concat();
    description.extend(fields.to_le_bytes());
    description.extend(vec![0; if narrow { 4 } else { 8 }]);
    description.extend(7_u64.to_le_bytes());
    description.extend(device.to_le_bytes());
    description.extend([0; 12]);
    description.extend((place as u64 / BLOCK as u64 * BLOCK as u64 / 512).to_le_bytes());
    description.extend([BLOCK as u32 / 512, (place % BLOCK) as u32].map(u32::to_le_bytes).concat());
    description
}

/// What is logged so that one image becomes the other: inodes as such, a block that becomes one of inodes as it was when these were empty, all
/// else as buffers.
pub(super) fn difference(before: &[u8], after: &[u8], narrow: bool) -> Vec<Item> {
    let log = Geometry::read(&after.to_vec()).unwrap().log;
    let mut items = Vec::new();
    for place in (0..after.len()).step_by(BLOCK).filter(|place| !log.contains(&(*place as u64))) {
        let [old, new] = [before, after].map(|image| &image[place..place + BLOCK]);
        if old == new {
            continue;
        }
        if !is_of_inodes(new) {
            items.push(buffer(old, new, place));
            continue;
        }
        let mut there = old.to_vec();
        if !is_of_inodes(old) {
            for inode in there.chunks_exact_mut(INODE) {
                inode.fill(0);
                inode[..6].copy_from_slice(b"IN\0\0\x02\x02");
                inode[96..100].fill(0xff);
            }
            items.push(buffer(old, &there, place));
        }
        for at in (0..BLOCK).step_by(INODE).filter(|at| there[*at..at + INODE] != new[*at..at + INODE]) {
            items.push(inode(after, place + at, narrow));
        }
    }
    items
}

/// Whether a block holds nothing but inodes.
pub(super) fn is_of_inodes(block: &[u8]) -> bool {
    block.chunks_exact(INODE).all(|inode| u16_be(inode, 0) == 0x494e)
}
