use super::build::{Header, RED_HAT};
use super::read;
use crate::error::ReadError;
use crate::rpmdb::{Backend, read_file};

/// A database of one page of slots; the piece of the first header begins at byte 4096.
pub fn database(headers: &[Vec<u8>]) -> Vec<u8> {
    let number = |value: usize| (value as u32).to_le_bytes();
    let mut slots = [&b"RpmP"[..], &number(0), &number(1), &number(1), &number(headers.len() + 1), &[0; 12]].concat();
    let mut pieces: Vec<u8> = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let package = number(index + 1);
        let mut piece = [&b"BlbS"[..], &package, &number(1), &number(header.len()), header].concat();
        piece.resize((piece.len() + 12).next_multiple_of(16) - 12, 0);
        piece.extend([&checksum(&piece).to_le_bytes()[..], &number(header.len()), b"BlbE"].concat());
        slots.extend([&b"Slot"[..], &package, &number((4096 + pieces.len()) / 16), &number(piece.len() / 16)].concat());
        pieces.extend(piece);
    }
    while slots.len() < 4096 {
        slots.extend([&b"Slot"[..], &[0; 12]].concat());
    }
    [slots, pieces].concat()
}

/// Adler-32, as its definition has it.
fn checksum(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1u64, 0u64), |(low, high), byte| {
        let low = (low + u64::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16 | low) as u32
}

#[test]
fn packages_and_signers_are_counted() {
    let database = database(&[Header::signed("a", RED_HAT).large(100_000).blob(), Header::package("b").blob()]);
    let packages = read(Backend::Ndb, &database);
    assert_eq!((packages.package_count, packages.red_hat_signed, packages.unsigned), (2, 1, 1));
    assert_eq!((packages.damaged, packages.caveats.len()), (0, 0));
}

#[test]
fn a_piece_that_contradicts_its_checksum_does_not_hide_the_others() {
    let mut database = database(&[Header::package("a").blob(), Header::package("b").blob()]);
    database[4096 + 40] ^= 1;
    let packages = read(Backend::Ndb, &database);
    assert_eq!((packages.package_count, packages.damaged), (1, 1));
    assert!(packages.caveats[0].contains("package 1"), "{:?}", packages.caveats);
}

#[test]
fn slots_that_lead_behind_the_file_or_claim_all_of_memory_are_damage() {
    let mut database = database(&[Header::package("a").blob(), Header::package("b").blob(), Header::package("c").blob()]);
    database[32 + 8..32 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    database[48 + 12..48 + 16].copy_from_slice(&u32::MAX.to_le_bytes());
    let packages = read(Backend::Ndb, &database);
    assert_eq!((packages.package_count, packages.damaged), (1, 2));
}

#[test]
fn pieces_that_overlap_end_when_they_are_more_than_the_file() {
    let mut database = database(&[Header::package("a").large(50_000).blob()]);
    for slot in 2..256 {
        database.copy_within(32..48, 16 * slot);
    }
    let packages = read(Backend::Ndb, &database);
    assert_eq!((packages.package_count, packages.damaged), (1, 1));
    assert!(packages.caveats[0].contains("larger than itself"), "{:?}", packages.caveats);
}

#[test]
fn heads_that_are_none_or_promise_too_much_are_errors() {
    let with = |at: usize, value: u32| {
        let mut database = database(&[]);
        database[at..at + 4].copy_from_slice(&value.to_le_bytes());
        read_file(Backend::Ndb, &database, None).unwrap_err()
    };
    assert!(matches!(with(0, 7), ReadError::Corrupt { .. }));
    assert!(matches!(with(4, 1), ReadError::Unsupported { .. }));
    assert!(matches!(with(12, 2), ReadError::Corrupt { .. }));
    assert!(matches!(with(12, u32::MAX), ReadError::Limit { .. }));
    assert!(read_file(Backend::Ndb, &b"RpmP".to_vec(), None).is_err());
}
