//! Partition tables, made by sfdisk and sgdisk, with volumes in the partitions.

use super::image::{Image, MIB};
use crate::tools;

/// Types of MBR partitions.
pub mod mbr_type {
    pub const LINUX: &str = "83";
    pub const SWAP: &str = "82";
}

/// Types of GPT partitions, as sgdisk names them.
pub mod gpt_type {
    pub const LINUX: &str = "8300";
    pub const SWAP: &str = "8200";
    pub const LVM: &str = "8e00";
    pub const EFI: &str = "ef00";
    pub const BIOS_BOOT: &str = "ef02";
}

/// A partition that is to be: its type and what is in it.
pub type Partition<'a> = (&'a str, &'a Image);

/// A disk with an MBR: at most four primary partitions.
pub fn mbr(partitions: &[Partition]) -> Image {
    let mut script = "label: dos\n".to_owned();
    let mut start = MIB;
    let mut starts = Vec::new();
    for (kind, volume) in partitions {
        script += &format!("start={}, size={}, type={kind}\n", start / 512, volume.len() / 512);
        starts.push(start);
        start += volume.len().next_multiple_of(MIB);
    }
    let disk = Image::blank(start + MIB);
    tools::run_with_input("sfdisk", [disk.path()], script.as_bytes());
    filled(disk, partitions, &starts)
}

/// A disk with an MBR whose first partition is primary and whose others are logical ones in an extended partition: numbers 1, 5, 6, …
pub fn mbr_extended(partitions: &[Partition]) -> Image {
    let mut script = "label: dos\n".to_owned();
    let mut start = MIB;
    let mut starts = Vec::new();
    for (number, (kind, volume)) in partitions.iter().enumerate() {
        if number == 1 {
            let rest: u64 = partitions[1..].iter().map(|(_, volume)| volume.len().next_multiple_of(MIB) + 2 * MIB).sum();
            script += &format!("start={}, size={}, type=5\n", start / 512, rest / 512);
        }
        if number >= 1 {
            // The sector before a logical partition describes it.
            start += MIB;
        }
        script += &format!("start={}, size={}, type={kind}\n", start / 512, volume.len() / 512);
        starts.push(start);
        start += volume.len().next_multiple_of(MIB);
    }
    let disk = Image::blank(start + 2 * partitions.len() as u64 * MIB);
    // The numbers of logical partitions begin at 5.
    let numbered: String = script
        .lines()
        .enumerate()
        .map(|(line, text)| match line {
            0 => format!("{text}\n"),
            1 | 2 => format!("{line}: {text}\n"),
            _ => format!("{}: {text}\n", line + 2),
        })
        .collect();
    tools::run_with_input("sfdisk", [disk.path()], numbered.as_bytes());
    filled(disk, partitions, &starts)
}

/// A disk with a GPT.
pub fn gpt(partitions: &[Partition]) -> Image {
    let total: u64 = partitions.iter().map(|(_, volume)| volume.len().next_multiple_of(MIB)).sum();
    let disk = Image::blank(total + 2 * MIB);
    let mut arguments = Vec::new();
    let mut start = MIB;
    let mut starts = Vec::new();
    for (index, (kind, volume)) in partitions.iter().enumerate() {
        let number = index + 1;
        let last = (start + volume.len()) / 512 - 1;
        arguments.push(format!("--new={number}:{}:{last}", start / 512));
        arguments.push(format!("--typecode={number}:{kind}"));
        arguments.push(format!("--change-name={number}:part{number}"));
        starts.push(start);
        start += volume.len().next_multiple_of(MIB);
    }
    tools::succeed(tools::command("sgdisk").args(arguments).arg(disk.path()));
    filled(disk, partitions, &starts)
}

/// A disk with a GPT in sectors of 4096 bytes. sgdisk can make that only on a device that has such sectors, so its table is carried over
/// from 512-byte sectors: the same headers with their places counted anew.
pub fn gpt_4k(partitions: &[Partition]) -> Image {
    let disk = gpt(partitions);
    let table = disk.read(512, 33 * 512);
    let (mut header, mut entries) = (table[..92].to_vec(), table[512..].to_vec());
    for entry in entries.chunks_exact_mut(128).filter(|entry| entry[..16] != [0; 16]) {
        let (first, last) = (u64_at(entry, 32) / 8, (u64_at(entry, 40) + 1) / 8 - 1);
        entry[32..40].copy_from_slice(&first.to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
    }
    let sectors = disk.len() / 4096;
    disk.write(512, &vec![0; 33 * 512]);
    disk.write(disk.len() - 33 * 512, &vec![0; 33 * 512]);
    for (own, other, table) in [(1, sectors - 1, 2), (sectors - 1, 1, sectors - 5)] {
        for (at, value) in [(24, own), (32, other), (40, 6), (48, sectors - 6), (72, table)] {
            header[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        }
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        header[16..20].fill(0);
        let sum = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        disk.write(own * 4096, &header);
        disk.write(table * 4096, &entries);
    }
    disk
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn filled(disk: Image, partitions: &[Partition], starts: &[u64]) -> Image {
    for ((_, volume), start) in partitions.iter().zip(starts) {
        disk.place_all(*start, volume);
    }
    disk
}
