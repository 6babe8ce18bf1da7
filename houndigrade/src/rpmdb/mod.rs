//! The RPM database: which packages are installed, and who signed them, as the database says. No signature is verified: the database
//! is as hostile as the rest of the disk, and counts are evidence, not proof.
//!
//! The forms of the database ([`Backend`]) find headers; [`tally`] counts them and drops them. In memory there are at most one header, a
//! few parts of the file, and the counts.

mod bdb;
mod fields;
mod header;
pub mod keys;
mod ndb;
mod pages;
mod signature;
mod sqlite;
mod tally;
#[cfg(test)]
mod tests;

use self::keys::{Key, KeyId};
use self::tally::Tally;
use crate::error::{ReadError, Result};
use crate::filesystem::{FileKind, RandomFile};
use crate::limits::RPMDB_BYTES_MAX;
use crate::tree::Files;

/// Where the database can be: where it long was, where it is on newer systems, and where it is in an ostree deployment.
pub const DIRECTORIES: [&str; 3] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"];

/// A form of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `rpmdb.sqlite`: RHEL 9 and later.
    Sqlite,
    /// `Packages.db`: SUSE.
    Ndb,
    /// `Packages` as a hash table of Berkeley DB: up to RHEL 8.
    Bdb,
}

impl Backend {
    /// In the order in which rpm looks for them.
    const ALL: [Self; 3] = [Self::Sqlite, Self::Ndb, Self::Bdb];

    /// The file that it is in.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Sqlite => "rpmdb.sqlite",
            Self::Ndb => "Packages.db",
            Self::Bdb => "Packages",
        }
    }
}

/// What a database says. Each package but the public keys is in exactly one of `unsigned`, `signer_unknown`, or the packages with signers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packages {
    /// Where it is, `/var/lib/rpm`.
    pub directory: String,
    /// Its form.
    pub backend: Option<Backend>,
    /// How many packages there are, as many as `rpm -qa` lists: public keys are among them.
    pub package_count: u64,
    /// How many of them are no packages but public keys, which rpm keeps as packages named `gpg-pubkey`.
    pub public_keys: u64,
    /// How many packages each key signed, the most first. A package that is signed with several is with each.
    pub signers: Vec<Signer>,
    /// Packages without any signature.
    pub unsigned: u64,
    /// Packages with a signature whose issuer could not be told.
    pub signer_unknown: u64,
    /// Packages signed with a key that counts for RHEL: the predecessor's, and those that it did not know.
    pub red_hat_signed: u64,
    /// Packages signed with one of the keys that the predecessor counts, also where only the tag OPENPGP says so, which it does not read.
    pub predecessor_signed: u64,
    /// Packages whose vendor is `Red Hat, Inc.`: another kind of evidence, which anyone who builds a package can claim.
    pub red_hat_vendor: u64,
    /// The packages that are named after a distribution's release: `redhat-release`, `redhat-release-server`, `centos-release`, and also
    /// `epel-release` and `redhat-release-notes`, which say nothing of the distribution.
    pub release_packages: Vec<ReleasePackage>,
    /// Entries that could not be read, of which each may have been one package or many.
    pub damaged: u64,
    /// Whether it is not as it last was: newer changes are in what could not be read, or a newer database is.
    pub incomplete: bool,
    /// What makes the counts less certain, for people.
    pub caveats: Vec<String>,
}

/// A key that packages are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Its id.
    pub id: KeyId,
    /// Whose it is, if that is known.
    pub key: Option<&'static Key>,
    /// How many packages are signed with it.
    pub packages: u64,
}

/// A package that is named after a distribution's release. What is not UTF-8 in it has been replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasePackage {
    /// `redhat-release`.
    pub name: String,
    /// `9.4`.
    pub version: String,
    /// `x86_64`.
    pub arch: String,
    /// `Red Hat, Inc.`.
    pub vendor: String,
    /// Who signed it.
    pub signers: Vec<KeyId>,
}

/// A directory for the database that there is.
#[derive(Clone, Debug)]
pub struct Place {
    /// One of [`DIRECTORIES`].
    pub directory: &'static str,
    /// What the database in it says; `None` if there is none, which is an answer too.
    pub packages: Result<Option<Packages>>,
}

/// Reads all databases of a system. A directory that does not exist is left out, and so is one whose database was seen before, as when
/// `/var/lib/rpm` is a link to `/usr/lib/sysimage/rpm`.
pub fn find(files: &dyn Files) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut seen = Vec::new();
    for directory in DIRECTORIES {
        match files.stat(directory.as_bytes()) {
            Err(ReadError::NotFound { .. }) => continue,
            Err(error) => places.push(Place { directory, packages: Err(error) }),
            Ok(stat) if stat.kind != FileKind::Directory => {
                let error = ReadError::WrongKind { what: directory.to_owned(), is: "no directory".to_owned() };
                places.push(Place { directory, packages: Err(error) });
            }
            Ok(_) => {
                let prints = prints(files, directory);
                if prints.is_empty() || !seen.contains(&prints) {
                    places.push(Place { directory, packages: read(files, directory) });
                    seen.push(prints);
                }
            }
        }
    }
    // An empty directory says nothing where another one has the database.
    if places.iter().any(|place| matches!(place.packages, Ok(Some(_)))) {
        places.retain(|place| !matches!(place.packages, Ok(None)));
    }
    places
}

/// Reads the database in a directory; `None` if there is none. Of several the one is read that rpm would read; if that cannot be read,
/// the next.
///
/// # Errors
/// Why the first one cannot be read, if none can.
pub fn read(files: &dyn Files, directory: &str) -> Result<Option<Packages>> {
    let mut first_error = None;
    let mut unread = Vec::new();
    for backend in Backend::ALL {
        let file = match open(files, directory, backend.file_name()) {
            Ok(Some(file)) => file,
            Ok(None) => continue,
            Err(error) => {
                unread.push(format!("{} cannot be read: {error}", backend.file_name()));
                first_error.get_or_insert(error);
                continue;
            }
        };
        match read_beside(files, directory, backend, &*file) {
            Ok(mut packages) => {
                packages.directory = directory.to_owned();
                packages.incomplete |= !unread.is_empty();
                unread.extend(others(files, directory, backend));
                packages.caveats.extend(unread);
                return Ok(Some(packages));
            }
            Err(error) => {
                unread.push(format!("{} cannot be read: {error}", backend.file_name()));
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(None), Err)
}

/// Reads a database of a known form, and what is to be said of the files beside it.
fn read_beside(files: &dyn Files, directory: &str, backend: Backend, file: &dyn RandomFile) -> Result<Packages> {
    if backend != Backend::Sqlite {
        return read_file(backend, file, None);
    }
    let (log, log_error) = match open(files, directory, "rpmdb.sqlite-wal") {
        Ok(log) => (log, None),
        Err(error) => (None, Some(error)),
    };
    let mut packages = read_file(backend, file, log.as_deref())?;
    if let Some(error) = log_error {
        packages.incomplete = true;
        packages.caveats.push(format!("the write-ahead log cannot be read, so the newest packages may be missing: {error}"));
    }
    let caveat = match has_hot_journal(files, directory) {
        Ok(false) => return Ok(packages),
        Ok(true) => "a transaction had not ended, and what it had changed is not undone: the counts may be between two states".to_owned(),
        Err(error) => format!("the rollback journal cannot be read, so the counts may be between two states: {error}"),
    };
    packages.incomplete = true;
    packages.caveats.push(caveat);
    Ok(packages)
}

/// Reads a database by itself: its file and, of SQLite, its write-ahead log.
///
/// # Errors
/// If it is too large, or if nothing at all can be read of it. Single entries that cannot be read are counted instead.
pub fn read_file(backend: Backend, file: &dyn RandomFile, log: Option<&dyn RandomFile>) -> Result<Packages> {
    if file.len() > RPMDB_BYTES_MAX {
        return Err(ReadError::Limit { what: backend.file_name().to_owned(), limit: RPMDB_BYTES_MAX, unit: "bytes" });
    }
    let log_bytes = log.map_or(0, RandomFile::len);
    let mut tally = Tally::new(file.len().saturating_add(log_bytes));
    let walked = match backend {
        Backend::Sqlite => sqlite::read(file, log, &mut tally),
        Backend::Ndb => ndb::read(file, &mut tally),
        Backend::Bdb => bdb::read(file, &mut tally),
    };
    match walked {
        Err(error) if tally.is_empty() => Err(error),
        ended => Ok(Packages { backend: Some(backend), ..tally.finish(ended.err()) }),
    }
}

/// Opens a file of the database; `None` if it does not exist or is empty.
fn open<'f>(files: &'f dyn Files, directory: &str, name: &str) -> Result<Option<Box<dyn RandomFile + 'f>>> {
    match files.open(format!("{directory}/{name}").as_bytes()) {
        Ok(file) if file.is_empty() => Ok(None),
        Ok(file) => Ok(Some(file)),
        Err(ReadError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is a rollback journal that was not ended. One that is too short for its header never began.
fn has_hot_journal(files: &dyn Files, directory: &str) -> Result<bool> {
    const MAGIC: [u8; 8] = [0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7];
    let Some(journal) = open(files, directory, "rpmdb.sqlite-journal")? else { return Ok(false) };
    if journal.len() < MAGIC.len() as u64 {
        return Ok(false);
    }
    let mut head = [0; MAGIC.len()];
    journal.read_at(0, &mut head)?;
    Ok(head == MAGIC)
}

/// What to say of other forms of the database beside the one that was read.
fn others(files: &dyn Files, directory: &str, read: Backend) -> Option<String> {
    let behind = Backend::ALL.into_iter().skip_while(|backend| *backend != read).skip(1);
    let there: Vec<_> = behind.map(Backend::file_name).filter(|name| matches!(open(files, directory, name), Ok(Some(_)))).collect();
    (!there.is_empty()).then(|| format!("{} is read, as rpm does; beside it there is also {}", read.file_name(), there.join(" and ")))
}

/// By what a database is known again when it is reached on another path: forms, lengths and first bytes of its files. Paths cannot tell,
/// as links have been followed. A copy of a database is taken for the same, which does no harm: it says the same.
fn prints(files: &dyn Files, directory: &str) -> Vec<(&'static str, u64, Vec<u8>)> {
    const BYTES: u64 = 4096;
    let mut prints = Vec::new();
    for name in Backend::ALL.map(Backend::file_name).into_iter().chain(["rpmdb.sqlite-wal"]) {
        if let Ok(Some(file)) = open(files, directory, name) {
            let mut first = vec![0; file.len().min(BYTES) as usize];
            if file.read_at(0, &mut first).is_ok() {
                prints.push((name, file.len(), first));
            }
        }
    }
    prints
}
