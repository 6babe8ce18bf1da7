//! Headers to counts: each is looked at and dropped. It knows nothing of databases and files.

use std::collections::BTreeMap;

use super::header::Package;
use super::keys::{Counted, KeyId, lookup};
use super::{Packages, ReleasePackage, Signer};
use crate::error::{ReadError, Result};
use crate::limits::{DAMAGE_TOLD_MAX, PACKAGES_MAX, RELEASE_PACKAGES_MAX, RPM_SIGNERS_MAX};

/// The name under which rpm keeps public keys among the packages.
const PUBLIC_KEY: &[u8] = b"gpg-pubkey";
/// The vendor of Red Hat's packages.
const RED_HAT: &[u8] = b"Red Hat, Inc.";

/// What has been counted so far.
pub(super) struct Tally {
    packages: Packages,
    signers: BTreeMap<KeyId, u64>,
    /// Packages of keys that there was no room for.
    of_other_keys: u64,
    other_release_packages: u64,
    damage_told: Vec<String>,
    /// Bytes of headers that may still come: together they cannot be larger than the database.
    header_bytes_left: u64,
}

impl Tally {
    /// For a database of `database_bytes` bytes, its log included.
    pub(super) fn new(database_bytes: u64) -> Self {
        Self {
            packages: Packages::default(),
            signers: BTreeMap::new(),
            of_other_keys: 0,
            other_release_packages: 0,
            damage_told: Vec::new(),
            header_bytes_left: database_bytes,
        }
    }

    /// Whether nothing was found yet, sound or damaged.
    pub(super) fn is_empty(&self) -> bool {
        self.packages.package_count == 0 && self.packages.damaged == 0
    }

    /// Counts a package by its header; one that is damaged is counted as such.
    ///
    /// # Errors
    /// If there can be no more packages, so that the walk must end.
    pub(super) fn header(&mut self, blob: &[u8]) -> Result<()> {
        let Some(left) = self.header_bytes_left.checked_sub(blob.len() as u64) else {
            return Err(ReadError::corrupt("the RPM database", "its packages together are larger than itself"));
        };
        self.header_bytes_left = left;
        match Package::parse(blob) {
            Ok(package) => self.package(&package),
            Err(error) => self.note(error),
        }
        self.room()
    }

    /// Counts something that could not be read.
    ///
    /// # Errors
    /// If there can be no more packages, so that the walk must end.
    pub(super) fn damaged(&mut self, error: ReadError) -> Result<()> {
        self.note(error);
        self.room()
    }

    /// An error if more packages were counted than there may be.
    fn room(&self) -> Result<()> {
        if self.packages.package_count + self.packages.damaged <= PACKAGES_MAX {
            return Ok(());
        }
        Err(ReadError::Limit { what: "the RPM database".to_owned(), limit: PACKAGES_MAX, unit: "packages" })
    }

    fn note(&mut self, error: ReadError) {
        self.packages.damaged += 1;
        if self.damage_told.len() < DAMAGE_TOLD_MAX {
            self.damage_told.push(error.to_string());
        }
    }

    /// Notes that newer changes could not be read, and why.
    pub(super) fn incomplete(&mut self, caveat: String) {
        self.packages.incomplete = true;
        self.packages.caveats.push(caveat);
    }

    fn package(&mut self, package: &Package<'_>) {
        self.packages.package_count += 1;
        if package.name == PUBLIC_KEY {
            self.packages.public_keys += 1;
            return;
        }
        match (package.signatures, package.signers.is_empty()) {
            (0, _) => self.packages.unsigned += 1,
            (_, true) => self.packages.signer_unknown += 1,
            (_, false) => self.signed(&package.signers),
        }
        self.packages.red_hat_vendor += u64::from(package.vendor == RED_HAT);
        if package.name.ends_with(b"-release") || package.name.starts_with(b"redhat-release-") {
            self.release_package(package);
        }
    }

    fn signed(&mut self, signers: &[KeyId]) {
        let counted = |wanted: fn(Counted) -> bool| signers.iter().any(|id| lookup(*id).is_some_and(|key| wanted(key.counted)));
        self.packages.red_hat_signed += u64::from(counted(|counted| counted != Counted::No));
        self.packages.predecessor_signed += u64::from(counted(|counted| counted == Counted::Predecessor));
        for id in signers {
            if self.signers.len() < RPM_SIGNERS_MAX || self.signers.contains_key(id) {
                *self.signers.entry(*id).or_default() += 1;
            } else {
                self.of_other_keys += 1;
            }
        }
    }

    fn release_package(&mut self, package: &Package<'_>) {
        if self.packages.release_packages.len() == RELEASE_PACKAGES_MAX {
            self.other_release_packages += 1;
            return;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.packages.release_packages.push(ReleasePackage {
            name: text(package.name),
            version: text(package.version),
            arch: text(package.arch),
            vendor: text(package.vendor),
            signers: package.signers.clone(),
        });
    }

    /// The counts, with all that there is to say of them, and with the error that ended the walk if one did.
    pub(super) fn finish(mut self, ended_by: Option<ReadError>) -> Packages {
        if let Some(error) = ended_by {
            // The reason why the rest is missing is told however much else is.
            self.damage_told.truncate(DAMAGE_TOLD_MAX - 1);
            self.note(error);
        }
        let signer = |(id, packages)| Signer { id, key: lookup(id), packages };
        self.packages.signers = self.signers.into_iter().map(signer).collect();
        self.packages.signers.sort_by_key(|signer| std::cmp::Reverse(signer.packages));
        self.packages.release_packages.sort_by(|a, b| a.name.cmp(&b.name));
        if self.of_other_keys > 0 {
            let caveat = format!("only {RPM_SIGNERS_MAX} keys are told apart; {} signatures are of others", self.of_other_keys);
            self.packages.caveats.push(caveat);
        }
        if self.other_release_packages > 0 {
            // What one of them says could have changed the verdict.
            self.packages.incomplete = true;
            let caveat =
                format!("only {RELEASE_PACKAGES_MAX} release packages are looked at; {} more are installed", self.other_release_packages);
            self.packages.caveats.push(caveat);
        }
        if self.packages.damaged > 0 {
            let (count, told) = (self.packages.damaged, self.damage_told.join("; "));
            let more = if count > self.damage_told.len() as u64 { "; and so on" } else { "" };
            let caveat = format!("{count} entries of the RPM database could not be read, so packages may be missing: {told}{more}");
            self.packages.caveats.push(caveat);
        }
        self.packages
    }
}
