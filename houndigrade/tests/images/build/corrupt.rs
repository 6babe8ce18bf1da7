//! What no tool would write: single fields of sound images, overwritten.

use super::filesystems;
use super::image::Image;

/// ext4 without checksums over its structures, so that a changed field is not refused for its checksum alone.
pub const EXT4_WITHOUT_CHECKSUMS: [&str; 6] = ["-t", "ext4", "-b", "4096", "-O", "^metadata_csum,^64bit"];
const EXT_BLOCK_BYTES: u64 = 4096;

/// Overwrites a 32-bit field of an ext superblock.
pub fn ext_superblock(image: &Image, field: u64, value: u32) {
    image.write(1024 + field, &value.to_le_bytes());
}

/// Where a file or folder of an ext file system has its first block, in bytes.
pub fn ext_first_block(image: &Image, path: &str) -> u64 {
    let blocks = filesystems::debugfs_says(image, &format!("blocks {path}"));
    blocks.split_whitespace().next().unwrap().parse::<u64>().unwrap() * EXT_BLOCK_BYTES
}

/// Where an inode of an ext file system is, in bytes.
pub fn ext_inode(image: &Image, path: &str) -> u64 {
    // "Inode 12 is part of block group 0\n\tlocated at block 38, offset 0x0b00"
    let said = filesystems::debugfs_says(image, &format!("imap {path}"));
    let number = |after: &str| said.split(after).nth(1).unwrap().split([',', '\n']).next().unwrap().trim().to_owned();
    let block: u64 = number("at block").parse().unwrap();
    block * EXT_BLOCK_BYTES + u64::from_str_radix(number("offset 0x").as_str(), 16).unwrap()
}

/// A table of one partition of each extended boot record: `(type, start, count)` in sectors, relative as the format has it.
pub fn boot_record(entries: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut sector = vec![0; 512];
    for (index, (kind, start, count)) in entries.iter().enumerate() {
        let entry = &mut sector[446 + 16 * index..462 + 16 * index];
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..16].copy_from_slice(&count.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Overwrites a field of a GPT's primary header and makes its checksum right again.
pub fn gpt_header(disk: &Image, field: usize, value: &[u8]) {
    let mut header = disk.read(512, 92);
    header[field..field + value.len()].copy_from_slice(value);
    header[16..20].fill(0);
    let sum = crc32fast::hash(&header);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    disk.write(512, &header);
}

/// A sequence of numbers that is the same each time: xorshift.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Takes the checksums from all records of the log of an XFS file system, as systems before RHEL 7 wrote none.
pub fn xfs_log_without_checksums(image: &Image) {
    for at in (0..image.len()).step_by(512) {
        if image.read(at, 4) == [0xfe, 0xed, 0xba, 0xbe] {
            image.write(at + 32, &[0; 4]);
        }
    }
}
