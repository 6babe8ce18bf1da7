//! Systems as they are sold, and what is to be said of them.

use cloudigrade_schemas::findings::{
    Facts, ImageFindings, Inspected, OsReleaseFile, Packages, PartitionFindings, Product, ReleaseFile, ReleasePackage, Repo, Unread,
    UnreadKind, VersionSource,
};
use proptest::prelude::*;

use super::*;

/// A system under test.
#[derive(Clone, Debug, Default)]
struct System(Facts);

impl System {
    fn os_release(mut self, id: &str, version: &str) -> Self {
        self.0.os_version = Some(version.to_owned());
        self.0.os_release = Some(OsReleaseFile {
            path: "/etc/os-release".into(),
            id: Some(id.into()),
            version_id: Some(version.into()),
            ..Default::default()
        });
        self.0.is_system = true;
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        let rhel_found = text.contains("Red Hat");
        self.0.rhel_release_files.rhel_found |= rhel_found;
        self.0.rhel_release_files.release_files.push(ReleaseFile {
            rhel_release_file: path.into(),
            rhel_release_file_contents: Some(text.into()),
            rhel_found,
        });
        self.0.is_system = true;
        self
    }

    fn database(&mut self) -> &mut Packages {
        let databases = &mut self.0.rhel_signed_packages.databases;
        if databases.is_empty() {
            databases.push(Packages::default());
        }
        &mut databases[0]
    }

    fn packages(mut self, count: u64, signed: u64) -> Self {
        self.0.rhel_signed_packages.rhel_found = signed > 0;
        self.0.rhel_signed_packages.rhel_signed_package_count = signed;
        let database = self.database();
        (database.count, database.red_hat_signed) = (count, signed);
        self
    }

    fn package(mut self, name: &str, version: &str, is_signed_by_red_hat: bool) -> Self {
        self.database().release_packages.push(ReleasePackage {
            name: name.into(),
            version: version.into(),
            architecture: Some("x86_64".into()),
            vendor: None,
            is_signed_by_red_hat,
        });
        self
    }

    fn certificate(mut self, id: &str, name: &str, version: &str) -> Self {
        self.0.rhel_product_certs.products.push(Product {
            id: id.into(),
            name: Some(name.into()),
            version: Some(version.into()),
            source: format!("/etc/pki/product/{id}.pem"),
            ..Default::default()
        });
        self
    }

    fn unread(mut self, path: &str) -> Self {
        self.0.is_system = true;
        self.0.unread.push(Unread { path: path.into(), kind: UnreadKind::Corrupt, why: "damaged".into() });
        self
    }

    fn image(self) -> ImageFindings {
        image(vec![PartitionFindings {
            inspected: if self.0.unread.is_empty() { Inspected::Complete } else { Inspected::Partial },
            facts: Some(self.0),
            ..Default::default()
        }])
    }

    /// Whether it is RHEL, its id and version.
    fn told(self) -> (Option<bool>, String) {
        let image = self.image();
        let name = image.distribution.map_or_else(String::new, |it| format!("{} {}", it.id, it.version.unwrap_or_default()));
        (image.is_rhel, name)
    }
}

fn image(partitions: Vec<PartitionFindings>) -> ImageFindings {
    let named = partitions.into_iter().enumerate().map(|(index, partition)| (format!("/dev/xvdb{}", index + 1), partition));
    let mut image = ImageFindings::default();
    image.drives.insert("/dev/xvdb".into(), named.collect());
    decide(&mut image);
    image
}

fn holding(contents: &str, inspected: Inspected) -> PartitionFindings {
    PartitionFindings { contents: contents.into(), inspected, ..Default::default() }
}

fn rhel(version: &str) -> (Option<bool>, String) {
    (Some(true), format!("rhel {version}"))
}

fn other(name: &str) -> (Option<bool>, String) {
    (Some(false), name.to_owned())
}

#[test]
fn every_rhel_is_told_with_its_version() {
    let text = |name, release| System::default().file("/etc/redhat-release", &format!("Red Hat Enterprise Linux {name}release {release}"));
    assert_eq!(text("Server ", "5.11 (Tikanga)").told(), rhel("5.11"));
    assert_eq!(text("Server ", "6.10 (Santiago)").told(), rhel("6.10"));
    for version in ["7.9", "8.10", "9.4", "10.0"] {
        assert_eq!(text("", version).os_release("rhel", version).packages(448, 448).told(), rhel(version));
    }
    assert_eq!(System::default().os_release("rhcos", "4.14").told(), (Some(true), "rhcos 4.14".to_owned()));
}

#[test]
fn relatives_of_rhel_are_not_rhel_whatever_mentions_red_hat() {
    let stream = System::default().file("/etc/os-release", "REDHAT_BUGZILLA_PRODUCT=\"Red Hat Enterprise Linux 9\"");
    let stream = stream.os_release("centos", "9").file("/etc/redhat-release", "CentOS Stream release 9");
    assert_eq!(stream.told(), other("centos 9"));
    let oracle = System::default().file("/etc/redhat-release", "Red Hat Enterprise Linux release 8.9 (Ootpa)");
    assert_eq!(oracle.clone().os_release("ol", "8.9").told(), other("ol 8.9"));
    assert_eq!(oracle.file("/etc/oracle-release", "Oracle Linux Server release 8.9").told(), other("ol 8.9"));
    for (id, text) in [("almalinux", "AlmaLinux release 9.3"), ("rocky", "Rocky Linux release 9.3"), ("fedora", "Fedora release 41")] {
        let (_, version) = text.split_once("release ").unwrap();
        assert_eq!(System::default().os_release(id, version).file("/etc/redhat-release", text).told(), other(&format!("{id} {version}")));
    }
    let centos = System::default().os_release("centos", "7").file("/etc/centos-release", "CentOS Linux release 7.9.2009 (Core)");
    assert_eq!(centos.told(), other("centos 7"));
    assert_eq!(System::default().file("/etc/redhat-release", "CentOS release 6.10 (Final)").packages(129, 0).told(), other("centos 6.10"));
    assert_eq!(System::default().os_release("amzn", "2").packages(400, 0).told(), other("amzn 2"));
    assert_eq!(System::default().os_release("debian", "12").told(), other("debian 12"));
}

#[test]
fn the_first_inspectors_booleans_stand_beside_the_verdict_and_the_difference_is_explained() {
    let image = System::default().os_release("centos", "9").file("/etc/os-release", "Red Hat Enterprise Linux 9").image();
    assert_eq!((image.rhel_found, image.rhel_release_files_found, image.rhel_version.as_deref()), (true, true, Some("9")));
    assert_eq!(image.is_rhel, Some(false));
    assert_eq!(image.conflicts, ["/dev/xvdb1: /etc/os-release mentions Red Hat"]);
}

#[test]
fn without_release_files_the_package_then_certificates_then_signatures_tell() {
    let package = System::default().package("redhat-release-server", "6Server", true).packages(300, 300).image();
    assert_eq!((package.is_rhel, package.version_source), (Some(true), Some(VersionSource::ReleasePackage)));
    assert_eq!(package.distribution.unwrap().version.as_deref(), Some("6"));
    let certificate = System::default().certificate("479", "Red Hat Enterprise Linux for x86_64", "9.4").image();
    assert_eq!((certificate.is_rhel, certificate.version_source), (Some(true), Some(VersionSource::ProductCertificate)));
    assert_eq!(System::default().packages(300, 290).told(), rhel(""));
    assert_eq!(System::default().package("redhat-release", "8.9", false).packages(300, 0).told().0, Some(false));
    assert_eq!(System::default().package("redhat-release", "8.9", true).package("centos-stream-release", "8", false).told().0, Some(false));
}

#[test]
fn what_is_built_on_rhel_under_another_name_is_rhel_and_the_name_is_a_conflict() {
    let image = System::default().os_release("appliance", "1").package("redhat-release", "9.4", true).image();
    assert_eq!(image.is_rhel, Some(true));
    assert_eq!(image.conflicts, ["/dev/xvdb1: /etc/os-release says ID=appliance"]);
}

#[test]
fn a_file_that_is_only_named_as_a_certificate_is_a_hint() {
    let named = |system: System| {
        let mut system = system;
        system.0.rhel_product_certs.rhel_pem_files.push("/etc/pki/product/69.pem".into());
        system.told().0
    };
    assert_eq!(named(System::default()), Some(true));
    assert_eq!(named(System::default().unread("/etc/os-release")), None);
    assert_eq!(named(System::default().packages(300, 0)), Some(false));
}

#[test]
fn a_certificate_on_a_relative_is_a_conflict() {
    let image = System::default().os_release("centos", "7").certificate("69", "Red Hat Enterprise Linux Server", "7.9").image();
    assert_eq!((image.is_rhel, image.conflicts.len(), image.products.len()), (Some(false), 1, 1));
}

#[test]
fn what_could_not_be_read_makes_a_no_unknown_but_not_a_yes() {
    assert_eq!(System::default().unread("/etc/os-release").told().0, None);
    assert_eq!(System::default().unread("/etc/os-release").packages(300, 0).told().0, None);
    assert_eq!(System::default().unread("/etc").os_release("appliance", "12").told().0, None);
    assert_eq!(System::default().unread("/etc/yum.repos.d/a.repo").os_release("appliance", "12").told().0, Some(false));
    let file = |text| System::default().unread("/etc/os-release").file("/etc/redhat-release", text).image();
    assert_eq!(file("Red Hat Enterprise Linux release 9.4").is_rhel, Some(true));
    assert_eq!(file("CentOS Stream release 9").is_rhel, Some(false));
    assert_eq!(file("CentOS Stream release 9").inspected, Inspected::Partial);
}

#[test]
fn what_a_volume_lacks_makes_a_no_by_hints_unknown_but_not_one_by_name() {
    let told = |system: System, caveat: &str| {
        let caveats = vec![caveat.to_owned()];
        image(vec![PartitionFindings { facts: Some(system.0), inspected: Inspected::Partial, caveats, ..Default::default() }])
    };
    for caveat in ["/var is not joined: UUID=1 is on none of the disks", "the journal was not replayed, so files may be older"] {
        let image = told(System::default().packages(300, 0), caveat);
        assert_eq!(image.is_rhel, None, "{caveat}");
        assert!(image.reasons[0].contains(caveat), "{:?}", image.reasons);
    }
    assert_eq!(told(System::default().os_release("appliance", "1"), "/var is not joined").is_rhel, None);
    assert_eq!(told(System::default().os_release("debian", "12"), "/var is not joined").is_rhel, Some(false));
    assert_eq!(told(System::default().os_release("rhel", "9.4"), "/var is not joined").is_rhel, Some(true));
}

#[test]
fn certificates_of_which_not_even_the_folder_could_be_read_make_a_no_unknown() {
    let at = crate::facts::testing::MemoryFiles::default().failing("/etc/pki/product", crate::ReadError::corrupt("a directory", "why"));
    let unread = crate::facts::read(&at, "/dev/xvdb1", "ami-1").unread;
    assert_eq!(unread.len(), 1);
    assert_eq!(System::default().unread(&unread[0].path).packages(300, 0).told().0, None);
}

#[test]
fn without_a_system_the_worst_volume_says_why_and_the_answer_is_unknown() {
    let of = |partitions| {
        let image = image(partitions);
        (image.inspected, image.is_rhel)
    };
    let (luks, md) = (holding("LUKS 2", Inspected::Encrypted), holding("md", Inspected::Unsupported));
    let broken = holding("xfs", Inspected::Corrupt);
    assert_eq!(of(vec![md.clone(), broken.clone(), luks]), (Inspected::Encrypted, None));
    assert_eq!(of(vec![md.clone(), broken]), (Inspected::Corrupt, None));
    assert_eq!(of(vec![md]), (Inspected::Unsupported, None));
    assert_eq!(of(vec![holding("blank", Inspected::Complete)]), (Inspected::Complete, Some(false)));
    assert_eq!(of(vec![]), (Inspected::Unsupported, None));
    assert_eq!(of(vec![holding("NTFS", Inspected::Complete), holding("swap", Inspected::Complete)]), (Inspected::Complete, Some(false)));
}

#[test]
fn a_system_beside_an_encrypted_volume_is_told_and_partial() {
    let system = PartitionFindings {
        facts: Some(System::default().os_release("rhel", "9.4").0),
        inspected: Inspected::Complete,
        ..Default::default()
    };
    let image = image(vec![system, holding("LUKS 2", Inspected::Encrypted)]);
    assert_eq!((image.inspected, image.is_rhel), (Inspected::Partial, Some(true)));
}

#[test]
fn any_system_that_is_rhel_makes_the_image_rhel_and_the_other_is_a_conflict() {
    let part = |system: System| PartitionFindings { facts: Some(system.0), inspected: Inspected::Complete, ..Default::default() };
    let image = image(vec![part(System::default().os_release("debian", "12")), part(System::default().os_release("rhel", "9.4"))]);
    assert_eq!((image.is_rhel, image.distribution.unwrap().id.as_str()), (Some(true), "rhel"));
    assert_eq!(image.conflicts, ["/dev/xvdb1: /etc/os-release says ID=debian"]);
}

#[test]
fn version_and_purpose_of_the_last_partition_that_speaks_for_rhel_hold() {
    let part = |version: &str, text: &str, purpose: Option<&str>| {
        let mut system = System::default().os_release("rhel", version).file("/etc/redhat-release", text);
        system.0.syspurpose_contents = purpose.map(str::to_owned);
        PartitionFindings { facts: Some(system.0), ..Default::default() }
    };
    let first = part("7.1", "Red Hat", Some(r#"{"role":"first"}"#));
    let image = image(vec![first, part("7.2", "Red Hat", Some("{")), part("7.3", "", Some(r#"{"role":"x"}"#))]);
    assert_eq!(image.rhel_version.as_deref(), Some("7.2"));
    assert_eq!(image.syspurpose.unwrap()["role"], "first");
}

fn any_system() -> impl Strategy<Value = System> {
    let id = prop::option::of(prop::sample::select(vec!["rhel", "rhcos", "centos", "ol", "debian", "appliance", ""]));
    let text = prop::option::of(prop::sample::select(vec!["Red Hat Enterprise Linux release 9.4", "CentOS release 6.10", "release", ""]));
    (id, text, 0..3_u64, 0..3_u64, any::<[bool; 3]>()).prop_map(|(id, text, count, signed, [certificate, repo, unread])| {
        let mut system = System::default().packages(count.max(signed), signed);
        system = id.iter().fold(system, |system, id| system.os_release(id, "9"));
        system = text.iter().fold(system, |system, text| system.file("/etc/redhat-release", text));
        if certificate {
            system = system.certificate("479", "Red Hat Enterprise Linux for x86_64", "9.4");
        }
        if repo {
            system.0.rhel_enabled_repos.rhel_found = true;
            system.0.rhel_enabled_repos.rhel_enabled_repos.push(Repo { repo: "r".into(), name: "rhel".into() });
        }
        if unread { system.unread("/etc/x") } else { system }
    })
}

proptest! {
    #[test]
    fn booleans_are_those_of_any_partition_and_a_failure_is_no_silent_no(systems in prop::collection::vec(any_system(), 0..4)) {
        let any = |fact: fn(&Facts) -> bool| systems.iter().any(|system| fact(&system.0));
        let parts = systems.iter().map(|system| PartitionFindings {
            facts: Some(system.0.clone()),
            inspected: if system.0.unread.is_empty() { Inspected::Complete } else { Inspected::Partial },
            ..Default::default()
        });
        let image = image(parts.collect());
        prop_assert_eq!(image.rhel_release_files_found, any(|facts| facts.rhel_release_files.rhel_found));
        prop_assert_eq!(image.rhel_signed_packages_found, any(|facts| facts.rhel_signed_packages.rhel_found));
        prop_assert_eq!(image.rhel_enabled_repos_found, any(|facts| facts.rhel_enabled_repos.rhel_found));
        prop_assert_eq!(image.rhel_found, any(is_hinted));
        prop_assert!(!image.reasons.is_empty());
        if image.inspected != Inspected::Complete && image.is_rhel == Some(false) {
            prop_assert!(image.inspected == Inspected::Partial);
        }
        if any(|facts| facts.os_release.as_ref().is_some_and(|own| own.id.as_deref() == Some("rhel"))) {
            prop_assert_eq!(image.is_rhel, Some(true));
        }
    }
}
