//! Whatever the bytes are, reading ends, does not panic, and says no more than there can be.

use proptest::prelude::*;

use super::build::{CENTOS, Header, RED_HAT};
use super::{bdb, ndb, sqlite};
use crate::rpmdb::fields::Order;
use crate::rpmdb::signature::issuers;
use crate::rpmdb::{Backend, read_file};

/// Changes of a file: bytes at places, and where it is cut off.
fn changes() -> impl Strategy<Value = (Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>)> {
    let byte = prop_oneof![Just(0), Just(1), Just(0x7F), Just(0x80), Just(0xFF), any::<u8>()];
    (prop::collection::vec((any::<prop::sample::Index>(), byte), 0..12), prop::option::weighted(0.2, any::<prop::sample::Index>()))
}

fn change(bytes: &mut Vec<u8>, (places, cut): (Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>)) {
    for (place, byte) in places {
        let place = place.index(bytes.len());
        bytes[place] = byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
}

fn headers() -> Vec<Vec<u8>> {
    let strings = ["wsBcBAABCAAQ".to_owned(), "%".to_owned()];
    let last = Header::signed("c", CENTOS).strings(278, &strings).blob();
    vec![Header::package("a").blob(), Header::signed("redhat-release", RED_HAT).large(900).blob(), last]
}

/// That reading ends, and that each package needs at least a few bytes.
fn ends(backend: Backend, bytes: &Vec<u8>, log: Option<&Vec<u8>>) -> Result<(), TestCaseError> {
    let log = log.map(|log| log as &dyn crate::filesystem::RandomFile);
    if let Ok(packages) = read_file(backend, bytes, log) {
        let most = bytes.len() as u64 + log.map_or(0, |log| log.len());
        prop_assert!(packages.package_count * 24 <= most, "{} packages", packages.package_count);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_mutated_hash_table_ends(changes in changes(), big in any::<bool>()) {
        let mut bytes = bdb::table(if big { Order::Big } else { Order::Little }, 9).database();
        change(&mut bytes, changes);
        ends(Backend::Bdb, &bytes, None)?;
    }

    #[test]
    fn a_mutated_ndb_ends(changes in changes()) {
        let mut bytes = ndb::database(&headers());
        change(&mut bytes, changes);
        ends(Backend::Ndb, &bytes, None)?;
    }

    #[test]
    fn a_mutated_sqlite_database_ends(changes in changes(), changes_of_log in changes()) {
        let database = sqlite::Database::new(512, 0, &headers());
        let mut log = database.log(&[(2, &database.pages[1], 3), (3, &database.pages[2], 9)]);
        let mut bytes = database.bytes();
        change(&mut bytes, changes);
        change(&mut log, changes_of_log);
        ends(Backend::Sqlite, &bytes, Some(&log))?;
    }

    #[test]
    fn mutated_pages_in_a_sound_log_end(changes in prop::collection::vec(changes(), 3), commit in prop_oneof![1u32..40, any::<u32>()]) {
        let database = sqlite::Database::new(512, 0, &headers());
        let mut pages = database.pages.clone();
        for (page, (places, _)) in pages.iter_mut().zip(changes) {
            change(page, (places, None));
        }
        let log = database.log(&[(1, &pages[0], 0), (2, &pages[1], commit), (commit, &pages[2], 9)]);
        ends(Backend::Sqlite, &database.bytes(), Some(&log))?;
    }

    #[test]
    fn arbitrary_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        for backend in Backend::ALL {
            ends(backend, &bytes, None)?;
        }
        prop_assert!(issuers(&bytes).len() <= 16);
        let _ = crate::rpmdb::header::Package::parse(&bytes);
    }

    #[test]
    fn a_mutated_header_ends(changes in changes()) {
        let mut bytes = headers().remove(2);
        change(&mut bytes, changes);
        let _ = crate::rpmdb::header::Package::parse(&bytes);
    }
}
