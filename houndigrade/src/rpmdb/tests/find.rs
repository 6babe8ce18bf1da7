use std::collections::BTreeMap;

use super::build::{CENTOS, Header, RED_HAT};
use super::{bdb, ndb, sqlite};
use crate::error::{ReadError, Result};
use crate::filesystem::{FileKind, RandomFile, Stat};
use crate::limits::RELEASE_PACKAGES_MAX;
use crate::rpmdb::fields::Order;
use crate::rpmdb::keys::KeyId;
use crate::rpmdb::{Backend, find, read};
use crate::tree::Files;

/// Files in memory, with directories as links to others.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    directories: Vec<String>,
    links: BTreeMap<String, String>,
}

impl Memory {
    fn with(mut self, path: &str, content: Vec<u8>) -> Self {
        self.directories.push(path.rsplit_once('/').unwrap().0.to_owned());
        self.files.insert(path.to_owned(), content);
        self
    }

    fn link(mut self, from: &str, to: &str) -> Self {
        self.links.insert(from.to_owned(), to.to_owned());
        self
    }

    fn resolved(&self, path: &[u8]) -> String {
        let path = String::from_utf8(path.to_vec()).unwrap();
        let link = self.links.iter().find_map(|(from, to)| path.strip_prefix(from.as_str()).map(|rest| format!("{to}{rest}")));
        link.unwrap_or(path)
    }
}

impl Files for Memory {
    fn stat(&self, path: &[u8]) -> Result<Stat> {
        let path = self.resolved(path);
        match self.files.get(&path) {
            Some(file) => Ok(Stat { kind: FileKind::Regular, len: file.len() as u64 }),
            None if self.directories.contains(&path) => Ok(Stat { kind: FileKind::Directory, len: 0 }),
            None => Err(ReadError::not_found(path)),
        }
    }

    fn list(&self, path: &[u8], _: usize) -> Result<Vec<Vec<u8>>> {
        Err(ReadError::not_found(self.resolved(path)))
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        let path = self.resolved(path);
        if self.directories.contains(&path) {
            return Err(ReadError::WrongKind { what: path, is: "a directory".to_owned() });
        }
        self.files.get(&path).map(|file| Box::new(file.clone()) as Box<dyn RandomFile>).ok_or_else(|| ReadError::not_found(path))
    }
}

fn sqlite_of(names: &[&str]) -> Vec<u8> {
    let headers: Vec<_> = names.iter().map(|name| Header::signed(name, RED_HAT).blob()).collect();
    sqlite::Database::new(512, 0, &headers).bytes()
}

fn bdb() -> Vec<u8> {
    bdb::table(Order::Little, 9).database()
}

#[test]
fn a_system_without_a_database_has_no_place_and_an_empty_directory_is_an_answer() {
    assert_eq!(find(&Memory::default()).len(), 0);
    let places = find(&Memory::default().with("/var/lib/rpm/.rpm.lock", vec![1]).with("/var/lib/rpm/Packages", Vec::new()));
    assert_eq!((places.len(), places[0].directory), (1, "/var/lib/rpm"));
    assert!(matches!(places[0].packages, Ok(None)));
}

#[test]
fn the_form_is_known_by_the_file_and_each_directory_is_looked_at() {
    let ndb = ndb::database(&[Header::package("a").blob()]);
    for (backend, content) in [(Backend::Bdb, bdb()), (Backend::Ndb, ndb), (Backend::Sqlite, sqlite_of(&["a"]))] {
        for directory in crate::rpmdb::DIRECTORIES {
            let path = format!("{directory}/{}", backend.file_name());
            let places = find(&Memory::default().with("/var/lib/rpm/.rpm.lock", vec![1]).with(&path, content.clone()));
            assert_eq!(places.len(), 1, "{path}");
            let packages = places[0].packages.as_ref().unwrap().as_ref().unwrap();
            assert_eq!((packages.backend, packages.directory.as_str()), (Some(backend), directory));
        }
    }
}

#[test]
fn a_database_that_is_reached_twice_counts_once_and_two_count_twice() {
    let one = Memory::default().with("/usr/lib/sysimage/rpm/rpmdb.sqlite", sqlite_of(&["a"]));
    let linked = one.link("/var/lib/rpm", "/usr/lib/sysimage/rpm").link("/usr/share/rpm", "/usr/lib/sysimage/rpm");
    assert_eq!(find(&linked).len(), 1);
    let two = Memory::default().with("/var/lib/rpm/Packages", bdb()).with("/usr/share/rpm/rpmdb.sqlite", sqlite_of(&["a"]));
    assert_eq!(find(&two).len(), 2);
}

#[test]
fn of_several_forms_the_one_is_read_that_rpm_reads_and_the_others_are_told() {
    let files = Memory::default().with("/var/lib/rpm/Packages", bdb()).with("/var/lib/rpm/rpmdb.sqlite", sqlite_of(&["a"]));
    let packages = read(&files, "/var/lib/rpm").unwrap().unwrap();
    assert_eq!((packages.backend, packages.package_count), (Some(Backend::Sqlite), 1));
    assert!(packages.caveats[0].contains("also Packages"), "{:?}", packages.caveats);
}

#[test]
fn a_form_that_cannot_be_read_is_told_and_gives_way_to_the_next() {
    let broken = Memory::default().with("/var/lib/rpm/rpmdb.sqlite", vec![7; 5000]);
    assert!(matches!(read(&broken, "/var/lib/rpm"), Err(ReadError::Corrupt { .. })));
    let packages = read(&broken.with("/var/lib/rpm/Packages", bdb()), "/var/lib/rpm").unwrap().unwrap();
    assert_eq!((packages.backend, packages.package_count), (Some(Backend::Bdb), 3));
    assert!(packages.caveats[0].contains("rpmdb.sqlite cannot be read"), "{:?}", packages.caveats);
}

#[test]
fn a_rollback_journal_that_was_not_ended_is_told() {
    let journal = vec![0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7, 0, 0];
    let files = Memory::default().with("/var/lib/rpm/rpmdb.sqlite", sqlite_of(&["a"]));
    let files = files.with("/var/lib/rpm/rpmdb.sqlite-journal", journal);
    assert_eq!(read(&files, "/var/lib/rpm").unwrap().unwrap().caveats.len(), 1);
}

#[test]
fn a_database_beside_which_something_newer_cannot_be_read_is_incomplete() {
    let is_incomplete = |files: Memory| read(&files, "/var/lib/rpm").unwrap().unwrap().incomplete;
    let sqlite = || Memory::default().with("/var/lib/rpm/rpmdb.sqlite", sqlite_of(&["a"]));
    let journal = vec![0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7];
    assert!(is_incomplete(sqlite().with("/var/lib/rpm/rpmdb.sqlite-journal", journal)));
    assert!(is_incomplete(sqlite().with("/var/lib/rpm/rpmdb.sqlite-wal", vec![7; 5000])));
    assert!(is_incomplete(Memory::default().with("/var/lib/rpm/rpmdb.sqlite", vec![7; 5000]).with("/var/lib/rpm/Packages", bdb())));
    assert!(is_incomplete(sqlite().link("/var/lib/rpm/rpmdb.sqlite-journal", "/var/lib/rpm")));
    assert!(!is_incomplete(sqlite()));
    assert!(!is_incomplete(sqlite().with("/var/lib/rpm/rpmdb.sqlite-journal", vec![0xD9; 7])));
    assert!(!is_incomplete(sqlite().with("/var/lib/rpm/Packages", bdb())));
}

#[test]
fn the_write_ahead_log_beside_the_database_is_taken_into_account() {
    let old = sqlite::Database::new(512, 0, &[Header::package("a").blob()]);
    let new = sqlite::Database::new(512, 0, &[Header::package("a").blob(), Header::package("b").blob()]);
    let log = old.log(&[(4, &new.pages[3], 0), (2, &new.pages[1], 4)]);
    let files = Memory::default().with("/var/lib/rpm/rpmdb.sqlite", old.bytes()).with("/var/lib/rpm/rpmdb.sqlite-wal", log);
    assert_eq!(read(&files, "/var/lib/rpm").unwrap().unwrap().package_count, 2);
}

#[test]
fn the_counts_tell_signers_vendors_public_keys_and_releases_apart() {
    const AUXILIARY_3: u64 = 0x5054_e4a4_5a63_40b3;
    let headers = [
        Header::signed("redhat-release", RED_HAT).string(1011, "Red Hat, Inc."),
        Header::signed("kernel", AUXILIARY_3).string(1011, "Red Hat, Inc."),
        Header::signed("bash", CENTOS).string(1011, "CentOS"),
        Header::signed("both", RED_HAT).binary(259, &super::build::signature_v4(CENTOS)),
        Header::package("local").string(1011, "Red Hat, Inc. of Nowhere"),
        Header::package("unknown").binary(268, &[1, 2, 3]),
        Header::package("gpg-pubkey"),
    ];
    let blobs: Vec<_> = headers.into_iter().map(Header::blob).collect();
    let database = sqlite::Database::new(1024, 0, &blobs).bytes();
    let packages = super::read(Backend::Sqlite, &database);
    assert_eq!((packages.package_count, packages.public_keys, packages.unsigned, packages.signer_unknown), (7, 1, 1, 1));
    assert_eq!((packages.red_hat_signed, packages.predecessor_signed, packages.red_hat_vendor), (3, 2, 2));
    let signers: Vec<_> = packages.signers.iter().map(|signer| (signer.id, signer.packages)).collect();
    assert_eq!(signers, [(KeyId(RED_HAT), 2), (KeyId(CENTOS), 2), (KeyId(AUXILIARY_3), 1)]);
    assert_eq!(packages.signers[1].key.map(|key| key.owner), Some("CentOS"));
    let release = &packages.release_packages[0];
    assert_eq!((release.name.as_str(), release.version.as_str(), &release.signers[..]), ("redhat-release", "9.4", &[KeyId(RED_HAT)][..]));
    assert_eq!(packages.release_packages.len(), 1);
}

#[test]
fn release_packages_beyond_the_limit_are_told_and_make_it_incomplete() {
    let read = |packages: usize| {
        let blobs: Vec<_> = (0..packages).map(|_| Header::package("redhat-release").blob()).collect();
        super::read(Backend::Sqlite, &sqlite::Database::new(1024, 0, &blobs).bytes())
    };
    assert!(!read(RELEASE_PACKAGES_MAX).incomplete);
    let beyond = read(RELEASE_PACKAGES_MAX + 3);
    assert_eq!((beyond.incomplete, beyond.release_packages.len()), (true, RELEASE_PACKAGES_MAX));
    assert!(beyond.caveats.iter().any(|caveat| caveat.contains("3 more are installed")), "{:?}", beyond.caveats);
}
