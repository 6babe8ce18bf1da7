//! What the package databases say, in the words of the findings.

use cloudigrade_schemas::findings::{DatabaseState, Packages, ReleasePackage, SignedPackages, Signer};

use crate::rpmdb::{self, Place, keys};
use crate::tree::Files;

/// Reads the databases of the system on a partition of an image.
pub fn read(files: &dyn Files, partition: &str, image: &str) -> SignedPackages {
    told(rpmdb::find(files), partition, image)
}

fn told(places: Vec<Place>, partition: &str, image: &str) -> SignedPackages {
    let mut found = SignedPackages::default();
    let mut is_empty = false;
    for place in places {
        match place.packages {
            Ok(Some(packages)) => {
                found.rhel_signed_package_count = found.rhel_signed_package_count.max(packages.predecessor_signed);
                if let Some(why) = why_not_whole(&packages) {
                    found
                        .error
                        .get_or_insert(format!("The RPM DB in {} on {partition} is not read as it last was: {why}", place.directory));
                }
                found.databases.push(database(packages));
            }
            Ok(None) => is_empty = true,
            Err(error) => {
                found.error.get_or_insert(format!("Error reading the RPM DB in {} on {partition}: {error}", place.directory));
            }
        }
    }
    found.rhel_found = found.rhel_signed_package_count > 0;
    if is_empty && found.databases.is_empty() {
        found.status = Some(format!("RPM DB directory on {partition} has no data for {image}"));
    }
    found
}

/// Why the counts of a database are not to be relied upon, if they are not.
fn why_not_whole(packages: &rpmdb::Packages) -> Option<String> {
    if packages.damaged > 0 {
        return Some(format!("{} entries cannot be read", packages.damaged));
    }
    packages.incomplete.then(|| packages.caveats.join("; "))
}

fn database(packages: rpmdb::Packages) -> Packages {
    let signer = |signer: &rpmdb::Signer| Signer {
        key: signer.id.to_string(),
        owner: signer.key.map(|key| format!("{}: {}", key.owner, key.name)),
        packages: signer.packages,
    };
    let state = if why_not_whole(&packages).is_some() { DatabaseState::Partial } else { DatabaseState::Whole };
    Packages {
        directory: packages.directory,
        file: packages.backend.map(|backend| backend.file_name().to_owned()),
        count: packages.package_count.saturating_sub(packages.public_keys),
        signers: packages.signers.iter().map(signer).collect(),
        red_hat_signed: packages.red_hat_signed,
        red_hat_vendor: packages.red_hat_vendor,
        unsigned: packages.unsigned,
        signer_unknown: packages.signer_unknown,
        state,
        release_packages: packages.release_packages.into_iter().map(release_package).collect(),
        caveats: packages.caveats,
    }
}

fn release_package(package: rpmdb::ReleasePackage) -> ReleasePackage {
    let is_of_red_hat = |id: &keys::KeyId| keys::lookup(*id).is_some_and(|key| key.counted != keys::Counted::No);
    let unless_empty = |text: String| (!text.is_empty()).then_some(text);
    ReleasePackage {
        name: package.name,
        version: package.version,
        architecture: unless_empty(package.arch),
        vendor: unless_empty(package.vendor),
        is_signed_by_red_hat: package.signers.iter().any(is_of_red_hat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ReadError;

    fn place(packages: Result<Option<rpmdb::Packages>, ReadError>) -> Place {
        Place { directory: "/var/lib/rpm", packages }
    }

    #[test]
    fn an_empty_directory_is_told_and_a_broken_database_is_an_error() {
        let empty = told(vec![place(Ok(None))], "/dev/xvdb1", "ami-1");
        assert_eq!(empty.status.as_deref(), Some("RPM DB directory on /dev/xvdb1 has no data for ami-1"));
        let broken = told(vec![place(Err(ReadError::corrupt("Packages", "why")))], "/dev/xvdb1", "ami-1");
        assert!(broken.error.is_some_and(|error| error.contains("Packages is damaged: why")));
        assert_eq!(told(Vec::new(), "/dev/xvdb1", "ami-1"), SignedPackages::default());
    }

    #[test]
    fn public_keys_are_no_packages_and_a_damaged_database_is_partial_and_an_error() {
        let packages = rpmdb::Packages { package_count: 10, public_keys: 2, predecessor_signed: 3, damaged: 1, ..Default::default() };
        let told = told(vec![place(Ok(Some(packages)))], "/dev/xvdb1", "ami-1");
        assert_eq!((told.rhel_found, told.rhel_signed_package_count, told.databases[0].count), (true, 3, 8));
        assert_eq!((told.databases[0].state, told.error.is_some()), (DatabaseState::Partial, true));
    }

    #[test]
    fn a_database_whose_newest_state_cannot_be_read_is_partial_and_an_error_that_says_why() {
        let caveats = vec!["the write-ahead log cannot be read".to_owned()];
        let told = told(vec![place(Ok(Some(rpmdb::Packages { incomplete: true, caveats, ..Default::default() })))], "/dev/xvdb1", "ami-1");
        assert_eq!(told.databases[0].state, DatabaseState::Partial);
        assert!(told.error.is_some_and(|error| error.contains("the write-ahead log cannot be read")));
    }

    #[test]
    fn a_whole_database_beside_which_an_older_one_lies_is_whole() {
        let caveats = vec!["rpmdb.sqlite is read, as rpm does; beside it there is also Packages".to_owned()];
        let told = told(vec![place(Ok(Some(rpmdb::Packages { caveats, ..Default::default() })))], "/dev/xvdb1", "ami-1");
        assert_eq!((told.databases[0].state, told.error), (DatabaseState::Whole, None));
    }
}
