//! Look-alikes of installed systems: the files that tell what a system is, with the text that the real ones have.

use super::certificates::{self, Product};
use super::files::{Files, Node};
use super::rpm_header::{CENTOS_7_KEY, Package, RED_HAT_RELEASE_KEY, RED_HAT_RELEASE_KEY_2, Signature, UNKNOWN_KEY};
use super::rpmdb;

/// Programs that these look-alikes are made with.
pub const TOOLS: [&str; 5] = ["openssl", "rpmdb", "sqlite3", "db5.3_load", "mkfifo"];
/// What a RHEL machine's administrator may have set.
pub const SYSPURPOSE: &str = r#"{"role": "Red Hat Enterprise Linux Server", "service_level_agreement": "Premium", "usage": "Production"}"#;

/// Names and versions of a distribution's release.
struct Release<'a> {
    /// The file in `/etc`, and the text in it.
    file: (&'a str, &'a str),
    name: &'a str,
    id: &'a str,
    version: &'a str,
}

/// RHEL of a major version from 5 to 10, with certificate, repositories, system purpose and signed packages.
pub fn rhel(major: u32) -> Files {
    let version = rhel_version(major);
    let codename = ["Tikanga", "Santiago", "Maipo", "Ootpa", "Plow", "Coughlan"][major as usize - 5];
    let server = if major <= 7 { " Server" } else { "" };
    let text = format!("Red Hat Enterprise Linux{server} release {version} ({codename})\n");
    let mut files = base();
    files.file("etc/redhat-release", text);
    if major >= 6 {
        files.link("etc/system-release", "redhat-release");
    }
    if major >= 7 {
        os_release(&mut files, "Red Hat Enterprise Linux", "rhel", version);
    }
    let id = if major <= 7 { 69 } else { 479 };
    let product = Product { id, name: "Red Hat Enterprise Linux for x86_64", version, architecture: "x86_64" };
    let folder = if major <= 7 { "product" } else { "product-default" };
    files.file(format!("etc/pki/{folder}/{id}.pem"), certificates::product(&product));
    files.file("etc/yum.repos.d/redhat.repo", rhel_repositories(major));
    if major >= 8 {
        files.file("etc/rhsm/syspurpose/syspurpose.json", SYSPURPOSE);
    }
    packages(&mut files, major, &rhel_packages(major));
    files
}

/// The newest minor release of a major one that these look-alikes have.
pub fn rhel_version(major: u32) -> &'static str {
    ["5.11", "6.10", "7.9", "8.10", "9.4", "10.0"][major as usize - 5]
}

/// Three packages signed by Red Hat, and the public key, which nobody signs.
pub fn rhel_packages(major: u32) -> Vec<Package> {
    let signature = match major {
        5 => Signature::Dsa(RED_HAT_RELEASE_KEY),
        6..=8 => Signature::Rsa(RED_HAT_RELEASE_KEY_2),
        9 => Signature::RsaV4(RED_HAT_RELEASE_KEY_2),
        _ => Signature::OpenPgp(RED_HAT_RELEASE_KEY_2),
    };
    let mut packages: Vec<_> = ["bash", "glibc", "redhat-release"]
        .map(|name| Package { release: format!("1.el{major}"), ..Package::new(name).of("Red Hat, Inc.").signed(signature) })
        .to_vec();
    packages.push(Package { architecture: "(none)".to_owned(), ..Package::new("gpg-pubkey") });
    packages
}

/// RHEL CoreOS: the system is a deployment below `/ostree`, and its database is below `/usr/share/rpm`.
pub fn rhcos() -> Files {
    const DEPLOYMENT: &str = "ostree/deploy/rhcos/deploy/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.0";
    let mut system = base();
    system.file("etc/redhat-release", "Red Hat Enterprise Linux CoreOS release 4.12\n");
    system.link("etc/system-release", "redhat-release");
    os_release(&mut system, "Red Hat Enterprise Linux CoreOS", "rhcos", "4.12");
    system.file("usr/share/rpm/rpmdb.sqlite", rpmdb::sqlite(&rhel_packages(9)));
    let mut files = system.below(DEPLOYMENT);
    let checksum = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    files.link("ostree/boot.1", "boot.1.1");
    files.link(
        format!("ostree/boot.1.1/rhcos/{checksum}/0"),
        &format!("../../../deploy/rhcos/deploy/{}", DEPLOYMENT.rsplit('/').next().unwrap()),
    );
    files.put("boot", Node::Folder);
    files
}

/// CentOS Linux 7.
pub fn centos_7() -> Files {
    let text = "CentOS Linux release 7.9.2009 (Core)\n";
    let mut files = relative(&Release { file: ("centos-release", text), name: "CentOS Linux", id: "centos", version: "7" });
    let package = |name| Package::new(name).of("CentOS").signed(Signature::Rsa(CENTOS_7_KEY));
    packages(&mut files, 7, &["bash", "glibc"].map(package));
    files
}

/// CentOS Stream 9, whose `os-release` speaks of Red Hat.
pub fn centos_stream_9() -> Files {
    let text = "CentOS Stream release 9\n";
    stranger(&Release { file: ("centos-release", text), name: "CentOS Stream", id: "centos", version: "9" }, 9)
}

/// Oracle Linux 9: its `redhat-release` is RHEL's, word for word.
pub fn oracle_9() -> Files {
    let text = "Oracle Linux Server release 9.4\n";
    let mut files = stranger(&Release { file: ("oracle-release", text), name: "Oracle Linux Server", id: "ol", version: "9.4" }, 9);
    files.file("etc/redhat-release", "Red Hat Enterprise Linux release 9.4 (Plow)\n");
    files
}

/// AlmaLinux 9.
pub fn alma_9() -> Files {
    let text = "AlmaLinux release 9.4 (Seafoam Ocelot)\n";
    stranger(&Release { file: ("almalinux-release", text), name: "AlmaLinux", id: "almalinux", version: "9.4" }, 9)
}

/// Rocky Linux 9.
pub fn rocky_9() -> Files {
    let text = "Rocky Linux release 9.4 (Blue Onyx)\n";
    stranger(&Release { file: ("rocky-release", text), name: "Rocky Linux", id: "rocky", version: "9.4" }, 9)
}

/// Fedora 40.
pub fn fedora() -> Files {
    let text = "Fedora release 40 (Forty)\n";
    stranger(&Release { file: ("fedora-release", text), name: "Fedora Linux", id: "fedora", version: "40" }, 10)
}

/// Debian: no release file, no RPM database.
pub fn debian() -> Files {
    let mut files = base();
    os_release(&mut files, "Debian GNU/Linux", "debian", "12");
    files
}

/// The `os-release` of a distribution, linked as they link it.
pub fn os_release(files: &mut Files, name: &str, id: &str, version: &str) {
    let like = if id == "rhel" || id == "debian" { "fedora" } else { "rhel fedora" };
    let text = format!(
        "NAME=\"{name}\"\nVERSION=\"{version}\"\nID=\"{id}\"\nID_LIKE=\"{like}\"\nVERSION_ID=\"{version}\"\nPRETTY_NAME=\"{name} {version}\"\n\
         REDHAT_SUPPORT_PRODUCT=\"Red Hat Enterprise Linux\"\n"
    );
    files.file("usr/lib/os-release", text);
    files.link("etc/os-release", "../usr/lib/os-release");
}

/// Folders and files of any system.
fn base() -> Files {
    let mut files = Files::new();
    for folder in ["home", "proc", "tmp", "usr/share/doc", "var/log"] {
        files.put(folder, Node::Folder);
    }
    files.file("etc/fstab", "# nothing\n").file("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    files.file("etc/yum.conf", "[main]\ncachedir=/var/cache/yum/$basearch/$releasever\ngpgcheck=1\n");
    files.file("usr/bin/true", elf_of_x86_64());
    files.link("bin", "usr/bin");
    files
}

/// The first bytes of a program for x86-64.
fn elf_of_x86_64() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    elf[16] = 2;
    elf[18] = 62;
    elf
}

fn relative(release: &Release) -> Files {
    let Release { file: (file, text), name, id, version } = release;
    let mut files = base();
    files.file(format!("etc/{file}"), *text);
    files.link("etc/redhat-release", file).link("etc/system-release", file);
    os_release(&mut files, name, id, version);
    let repository = format!("[baseos]\nname={name} $releasever - BaseOS\nbaseurl=http://mirror/$releasever/\nenabled=1\n");
    files.file("etc/yum.repos.d/base.repo", repository);
    files
}

/// A relative of RHEL with packages that its own key has signed.
fn stranger(release: &Release, database_of: u32) -> Files {
    let mut files = relative(release);
    let package = |name| Package::new(name).of(release.name).signed(Signature::RsaV4(UNKNOWN_KEY));
    packages(&mut files, database_of, &["bash", "glibc"].map(package));
    files
}

/// Puts packages where RHEL of a major version keeps them.
fn packages(files: &mut Files, major: u32, packages: &[Package]) {
    match major {
        ..=8 => files.file("var/lib/rpm/Packages", rpmdb::berkeley(packages)),
        9 => files.file("var/lib/rpm/rpmdb.sqlite", rpmdb::sqlite(packages)),
        _ => files.file("usr/lib/sysimage/rpm/rpmdb.sqlite", rpmdb::sqlite(packages)).link("var/lib/rpm", "../../usr/lib/sysimage/rpm"),
    };
}

fn rhel_repositories(major: u32) -> String {
    format!(
        "[rhel-{major}-baseos-rpms]\nname = Red Hat Enterprise Linux {major} for x86_64 - BaseOS (RPMs)\n\
         baseurl = https://cdn.redhat.com/content/dist/rhel{major}/$releasever/$basearch/baseos/os\nenabled = 1\n\n\
         [rhel-{major}-source-rpms]\nname = Red Hat Enterprise Linux {major} (Source RPMs)\nenabled = 0\n"
    )
}
