//! Facts: each is read in all of its forms, and counted as the tools of the distribution count.

use cloudigrade_schemas::findings::{DatabaseState, Packages};

use crate::build::image::{Image, MIB};
use crate::build::rpm_header::{CENTOS_7_KEY, Package, RED_HAT_RELEASE_KEY, RED_HAT_RELEASE_KEY_2, Signature, UNKNOWN_KEY};
use crate::build::{files::Files, filesystems, roots, rpmdb};
use crate::inspection::Inspection;
use crate::tools::have;

fn have_tools() -> bool {
    have(&["mke2fs"]) && have(&roots::TOOLS)
}

/// RHEL 9 whose files have been changed.
fn inspect(change: impl FnOnce(&mut Files)) -> Inspection {
    let mut files = roots::rhel(9);
    change(&mut files);
    Inspection::of(&[&filesystems::ext(&files, 64 * MIB, &["-t", "ext4"])])
}

/// Hundred packages, of which the first `red_hat` are signed by Red Hat and the last is not signed.
fn hundred(red_hat: usize) -> Vec<Package> {
    let sign = |number: usize| {
        let package = Package { padding: number * 40, ..Package::new(&format!("package-{number}")) };
        match number {
            _ if number < red_hat => package.of("Red Hat, Inc.").signed(Signature::RsaV4(RED_HAT_RELEASE_KEY_2)),
            99 => package,
            _ => package.of("Fedora Project").signed(Signature::RsaV4(UNKNOWN_KEY)),
        }
    };
    (0..100).map(sign).collect()
}

/// The only database that was found.
fn database(found: &Inspection) -> &Packages {
    match found.facts().rhel_signed_packages.databases.as_slice() {
        [packages] => packages,
        _ => panic!("not one database: {}", found.json),
    }
}

/// How many packages a key has signed.
fn signed_by(packages: &Packages, key: u64) -> u64 {
    let key = format!("{key:016x}");
    packages.signers.iter().find(|signer| signer.key.eq_ignore_ascii_case(&key)).map_or(0, |signer| signer.packages)
}

#[track_caller]
fn assert_hundred(found: &Inspection, file: &str, directory: &str) {
    let fact = &found.facts().rhel_signed_packages;
    assert_eq!((fact.rhel_signed_package_count, fact.error.as_deref()), (60, None), "{}", found.json);
    let packages = database(found);
    assert_eq!((packages.count, packages.unsigned, packages.red_hat_vendor), (100, 1, 60), "{}", found.json);
    assert_eq!((packages.file.as_deref(), packages.directory.as_str()), (Some(file), directory));
    assert_eq!((signed_by(packages, RED_HAT_RELEASE_KEY_2), signed_by(packages, UNKNOWN_KEY)), (60, 39), "{}", found.json);
    assert_eq!(packages.state, DatabaseState::Whole, "{}", found.json);
}

#[test]
fn a_sqlite_database_is_counted_wherever_it_is_kept() {
    if !have_tools() {
        return;
    }
    let content = rpmdb::sqlite(&hundred(60));
    assert_eq!(rpmdb::rpm_counts("rpmdb.sqlite", &content), 100);
    for folder in ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"] {
        let found = inspect(|files| {
            files.remove("var/lib/rpm/rpmdb.sqlite").file(format!("{folder}/rpmdb.sqlite"), content.clone());
        });
        assert_hundred(&found, "rpmdb.sqlite", &format!("/{folder}"));
    }
}

#[test]
fn a_sqlite_database_of_small_pages_is_counted() {
    if !have_tools() {
        return;
    }
    let found = inspect(|files| {
        files.file("var/lib/rpm/rpmdb.sqlite", rpmdb::sqlite_of_pages(&hundred(60), 512));
    });
    assert_hundred(&found, "rpmdb.sqlite", "/var/lib/rpm");
}

#[test]
fn packages_that_are_only_in_the_write_ahead_log_are_counted() {
    if !have_tools() {
        return;
    }
    let packages = hundred(60);
    let (database, log) = rpmdb::sqlite_with_log(&packages[..30], &packages[30..]);
    assert!(log.len() > 4096);
    let found = inspect(|files| {
        files.file("var/lib/rpm/rpmdb.sqlite", database).file("var/lib/rpm/rpmdb.sqlite-wal", log);
    });
    assert_hundred(&found, "rpmdb.sqlite", "/var/lib/rpm");
}

#[test]
fn a_berkeley_database_is_counted_as_rpm_counts_it() {
    if !have_tools() || !have(&["rpm"]) {
        return;
    }
    let content = rpmdb::berkeley(&hundred(60));
    assert_eq!(rpmdb::rpm_counts("Packages", &content), 100);
    let found = inspect(|files| {
        files.remove("var/lib/rpm/rpmdb.sqlite").file("var/lib/rpm/Packages", content);
    });
    assert_hundred(&found, "Packages", "/var/lib/rpm");
}

#[test]
fn an_ndb_database_is_counted() {
    if !have_tools() {
        return;
    }
    let content = rpmdb::ndb(&hundred(60));
    let found = inspect(|files| {
        files.remove("var/lib/rpm/rpmdb.sqlite").file("var/lib/rpm/Packages.db", content);
    });
    assert_hundred(&found, "Packages.db", "/var/lib/rpm");
}

#[test]
fn a_package_that_rpm_has_installed_has_the_signer_that_gpg_names() {
    if !have_tools() || !have(&["rpm", "rpmbuild", "rpmsign", "gpg"]) {
        return;
    }
    let (content, key) = rpmdb::sqlite_by_rpm();
    let found = inspect(|files| {
        files.file("var/lib/rpm/rpmdb.sqlite", content);
    });
    let fact = &found.facts().rhel_signed_packages;
    let packages = database(&found);
    assert_eq!((packages.count, fact.rhel_signed_package_count, packages.red_hat_vendor), (1, 0, 0), "{}", found.json);
    assert_eq!(packages.signers.len(), 1, "{}", found.json);
    assert_eq!((packages.signers[0].key.to_lowercase(), packages.signers[0].packages), (key, 1), "{}", found.json);
}

#[test]
fn signatures_are_read_from_every_tag() {
    if !have_tools() {
        return;
    }
    let signatures = [
        Signature::Rsa(RED_HAT_RELEASE_KEY_2),
        Signature::RsaV4(RED_HAT_RELEASE_KEY_2),
        Signature::Dsa(RED_HAT_RELEASE_KEY),
        Signature::OpenPgp(RED_HAT_RELEASE_KEY_2),
        Signature::Rsa(CENTOS_7_KEY),
    ];
    let packages: Vec<_> =
        signatures.iter().enumerate().map(|(number, signature)| Package::new(&format!("p{number}")).signed(*signature)).collect();
    let found = inspect(|files| {
        files.file("var/lib/rpm/rpmdb.sqlite", rpmdb::sqlite(&packages));
    });
    let fact = &found.facts().rhel_signed_packages;
    assert_eq!(fact.rhel_signed_package_count, 4, "{}", found.json);
    let count = |key: u64| signed_by(database(&found), key);
    assert_eq!([count(RED_HAT_RELEASE_KEY_2), count(RED_HAT_RELEASE_KEY), count(CENTOS_7_KEY)], [3, 1, 1], "{}", found.json);
}

#[test]
fn certificates_are_parsed() {
    if !have_tools() {
        return;
    }
    let found = inspect(|_| {});
    let certificates = &found.facts().rhel_product_certs;
    let product = &certificates.products[0];
    assert_eq!(
        (product.id.as_str(), product.name.as_deref(), product.version.as_deref(), product.architecture.as_deref()),
        ("479", Some("Red Hat Enterprise Linux for x86_64"), Some("9.4"), Some("x86_64")),
        "{}",
        found.json
    );
    assert!(certificates.rhel_pem_files[0].ends_with("/etc/pki/product-default/479.pem"), "{}", found.json);
}

#[test]
fn broken_repository_files_do_not_hide_good_ones() {
    if !have_tools() {
        return;
    }
    let found = inspect(|files| {
        files.file("etc/yum.repos.d/a-broken.repo", b"[unclosed\nname = x\n\0\xff\n=\n[]\n".as_slice());
        files.file("etc/yum.repos.d/b-binary.repo", vec![0x80; 5000]);
        files.file("etc/yum.repos.d/c-continued.repo", "\u{feff}[rhel-c]\nname = Red Hat\nbaseurl = http://a\n  http://b\nenabled = 1\n");
        files.file("etc/yum.repos.d/d-twice.repo", "[rhel-d]\nname=RHEL D\nenabled=0\n[rhel-d]\nname=RHEL D\nenabled=1\npercent=100%\n");
        files.file("etc/yum.repos.d/e.repo.bak", "[rhel-e]\nname=RHEL E\nenabled=1\n");
        files.file("etc/dnf/dnf.conf", "[main]\nreposdir=/etc/other, \"/etc/with,comma\"\n");
        files.file("etc/other/f.repo", "[rhel-f]\nname=RHEL F\nenabled=1\n");
        files.file("etc/with,comma/g.repo", "[rhel-g]\nname=RHEL G\n");
    });
    let fact = &found.facts().rhel_enabled_repos;
    let names: Vec<_> = fact.rhel_enabled_repos.iter().map(|repository| repository.repo.as_str()).collect();
    for expected in ["rhel-9-baseos-rpms", "rhel-c", "rhel-f"] {
        assert!(names.contains(&expected), "{expected} {names:?}");
    }
    assert!(!names.contains(&"rhel-e") && !names.contains(&"rhel-9-source-rpms"), "{names:?}");
    assert!(fact.rhel_effective_repos.iter().any(|repository| repository.repo == "rhel-g"), "{}", found.json);
}

#[test]
fn system_purpose_is_read_up_to_its_limit() {
    if !have_tools() {
        return;
    }
    const PATH: &str = "etc/rhsm/syspurpose/syspurpose.json";
    let expected: serde_json::Value = serde_json::from_str(roots::SYSPURPOSE).unwrap();
    assert_eq!(inspect(|_| {}).image.syspurpose, Some(expected));
    for useless in [String::new(), " \n".to_owned(), "{".to_owned(), format!("{{\"role\": \"{}\"}}", "x".repeat(1024))] {
        let found = inspect(|files| {
            files.file(PATH, useless.clone());
        });
        assert_eq!((found.image.syspurpose.as_ref(), found.image.is_rhel), (None, Some(true)), "{}", found.json);
    }
}

#[test]
fn names_and_contents_that_are_not_utf8_are_reported_as_far_as_they_can_be() {
    if !have_tools() {
        return;
    }
    let found = inspect(|files| {
        files.file(b"etc/\xff\xfe-release".as_slice(), b"Red Hat \xff Enterprise".as_slice());
        files.file(b"etc/yum.repos.d/\xe9.repo".as_slice(), "[rhel-x]\nname=RHEL X\nenabled=1\n");
    });
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
    assert!(found.facts().rhel_enabled_repos.rhel_enabled_repos.iter().any(|repository| repository.repo == "rhel-x"), "{}", found.json);
    let release = &found.facts().rhel_release_files;
    assert_eq!(release.release_files.len(), 4, "{}", found.json);
    assert!(release.status.as_ref().is_some_and(|status| status.contains("UTF-8")), "{}", found.json);
}

#[test]
fn a_database_of_ten_thousand_packages_is_read_to_its_end() {
    if !have_tools() || !have(&["rpm"]) {
        return;
    }
    let packages: Vec<_> =
        (0..10_000).map(|number| Package::new(&format!("p{number}")).signed(Signature::Rsa(RED_HAT_RELEASE_KEY_2))).collect();
    let mut files = roots::rhel(9);
    files.file("var/lib/rpm/rpmdb.sqlite", rpmdb::sqlite(&packages));
    let disk: Image = filesystems::ext(&files, 128 * MIB, &["-t", "ext4"]);
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.facts().rhel_signed_packages.rhel_signed_package_count, 10_000, "{}", found.json);
}
