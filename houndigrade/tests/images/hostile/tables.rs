//! Partition tables that contradict themselves or the disk.

use super::*;

#[test]
fn a_cycle_of_extended_partitions_ends() {
    if !have_tools() {
        return;
    }
    let root = ext(&roots::rhel(9));
    let sectors = (root.len() / 512) as u32;
    let disk = Image::blank(root.len() + 32 * MIB);
    disk.write(0, &corrupt::boot_record(&[(0x83, 8192, sectors), (5, 2048, 4096)]));
    disk.write(2048 * 512, &corrupt::boot_record(&[(0x83, 1, 16), (5, 100, 50)]));
    disk.write(2148 * 512, &corrupt::boot_record(&[(0x83, 1, 16), (5, 0, 4096)]));
    disk.place_all(8192 * 512, &root);
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
    assert_ne!(found.image.inspected.word(), "complete", "the cycle hides partitions: {}", found.json);
}

#[test]
fn an_extended_partition_that_is_its_own_next_ends() {
    let disk = Image::blank(8 * MIB);
    disk.write(0, &corrupt::boot_record(&[(5, 64, 8000), (15, 64, 8000)]));
    disk.write(64 * 512, &corrupt::boot_record(&[(0x83, 1, 16), (5, 0, 8000)]));
    Inspection::of(&[&disk]).assert_not_silent("corrupt");
}

#[test]
fn a_gpt_of_four_billion_entries_is_beyond_the_limit() {
    if !have_tools() {
        return;
    }
    for (field, value) in [(80, u32::MAX), (84, u32::MAX), (84, 0), (84, 1), (80, 0), (12, u32::MAX), (12, 0)] {
        let disk = partitions::gpt(&[(gpt_type::LINUX, &ext(&roots::rhel(9)))]);
        corrupt::gpt_header(&disk, field, &value.to_le_bytes());
        let found = Inspection::of(&[&disk]);
        assert_ne!(found.image.is_rhel, Some(false), "{field} {value}: {}", found.json);
        // Without its backup nothing is left but to say so.
        disk.write(disk.len() - 512, &[0; 512]);
        assert_ne!(Inspection::of(&[&disk]).image.is_rhel, Some(false), "{field} {value}: {}", found.json);
    }
}

#[test]
fn a_gpt_whose_entries_lie_outside_of_the_disk_is_a_finding() {
    if !have_tools() {
        return;
    }
    let disk = partitions::gpt(&[(gpt_type::LINUX, &ext(&roots::rhel(9)))]);
    for value in [u64::MAX, u64::MAX / 512, 1 << 40, 0] {
        corrupt::gpt_header(&disk, 72, &value.to_le_bytes());
        assert_ne!(Inspection::of(&[&disk]).image.is_rhel, Some(false));
    }
}

#[test]
fn hundreds_of_partitions_over_the_same_system_end_in_time() {
    if !have_tools() {
        return;
    }
    let root = ext(&roots::rhel(9));
    let disk = partitions::gpt(&[(gpt_type::LINUX, &root)]);
    let mut entries = disk.read(1024, 128 * 128);
    let first = entries[..128].to_vec();
    for (number, entry) in entries.chunks_exact_mut(128).enumerate() {
        entry.copy_from_slice(&first);
        entry[16] = number as u8;
    }
    disk.write(1024, &entries);
    corrupt::gpt_header(&disk, 88, &crc32fast::hash(&entries).to_le_bytes());
    assert_eq!(Inspection::of(&[&disk]).image.is_rhel, Some(true));
}
