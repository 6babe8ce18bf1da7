//! RPM databases in each of their forms.

use std::fmt::Write as _;
use std::path::Path;

use super::rpm_header::Package;
use crate::tools;

/// `rpmdb.sqlite`, without a write-ahead log.
pub fn sqlite(packages: &[Package]) -> Vec<u8> {
    let folder = empty_sqlite();
    let path = folder.path().join("rpmdb.sqlite");
    tools::run_with_input(
        "sqlite3",
        [&path],
        format!("BEGIN;\n{}COMMIT;\nPRAGMA wal_checkpoint(TRUNCATE);\n", inserts(packages)).as_bytes(),
    );
    std::fs::read(path).unwrap()
}

/// The table of headers alone, in small pages, so that there are many.
pub fn sqlite_of_pages(packages: &[Package], page_bytes: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rpmdb.sqlite");
    let table = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);";
    let script = format!("PRAGMA page_size={page_bytes};\n{table}\nBEGIN;\n{}COMMIT;\n", inserts(packages));
    tools::run_with_input("sqlite3", [&path], script.as_bytes());
    std::fs::read(path).unwrap()
}

/// `rpmdb.sqlite` and `rpmdb.sqlite-wal` of a running machine: `settled` is in the file, `recent` in the log only.
pub fn sqlite_with_log(settled: &[Package], recent: &[Package]) -> (Vec<u8>, Vec<u8>) {
    let folder = empty_sqlite();
    let path = folder.path().join("rpmdb.sqlite");
    let copy = folder.path().join("copy");
    let script = format!(
        "PRAGMA wal_autocheckpoint=0;\nBEGIN;\n{}COMMIT;\nPRAGMA wal_checkpoint(TRUNCATE);\n\
         BEGIN;\n{}COMMIT;\n.shell cp {path} {copy}\n.shell cp {path}-wal {copy}-wal\n",
        inserts(settled),
        inserts(recent),
        path = path.display(),
        copy = copy.display(),
    );
    tools::run_with_input("sqlite3", [&path], script.as_bytes());
    (std::fs::read(&copy).unwrap(), std::fs::read(copy.with_file_name("copy-wal")).unwrap())
}

/// A folder with the database of a machine without packages, made by rpm itself.
fn empty_sqlite() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tools::succeed(tools::command("rpmdb").args(["--initdb", "--dbpath"]).arg(folder.path()));
    folder
}

/// `rpmdb.sqlite` with one package that rpmbuild has built, rpmsign has signed with a new key and rpm has installed; and the key's id.
pub fn sqlite_by_rpm() -> (Vec<u8>, String) {
    let folder = empty_sqlite();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("hello.spec"), SPEC).unwrap();
    let top = format!("_topdir {}", folder.path().display());
    tools::run("rpmbuild", ["-bb".as_ref(), "--define".as_ref(), top.as_ref(), at("hello.spec").as_os_str()]);
    let gpg = |arguments: &[&str]| {
        let mut command = tools::command("gpg");
        tools::succeed(command.args(["--batch", "--quiet", "--homedir"]).arg(folder.path()).args(arguments)).stdout
    };
    gpg(&["--passphrase", "", "--quick-gen-key", "nobody@example.com", "rsa2048", "sign", "never"]);
    let keys = String::from_utf8(gpg(&["--list-keys", "--with-colons"])).unwrap();
    let id = keys.lines().find(|line| line.starts_with("pub:")).unwrap().split(':').nth(4).unwrap().to_lowercase();
    let package = at("RPMS/noarch/hello-1-1.noarch.rpm");
    let sign = ["--addsign", "--define", "_gpg_name nobody@example.com", "--define", "__gpg /usr/bin/gpg"];
    tools::succeed(tools::command("rpmsign").args(sign).arg(&package).env("GNUPGHOME", folder.path()));
    let install = ["-i", "--justdb", "--nodeps", "--nosignature", "--force-debian", "--dbpath"];
    tools::succeed(tools::command("rpm").args(install).arg(folder.path()).arg(&package));
    drop(tools::command("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", folder.path()).status());
    (std::fs::read(at("rpmdb.sqlite")).unwrap(), id)
}

/// A package without files.
const SPEC: &str = "Name: hello\nVersion: 1\nRelease: 1\nSummary: A summary\nLicense: MIT\nVendor: Nobody\nBuildArch: noarch\n\
                    %description\nA description.\n%files\n";

/// `Packages` of BerkeleyDB, a hash, as rpm made it up to RHEL 8.
pub fn berkeley(packages: &[Package]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Packages");
    // Key 0 holds the last number that was given out.
    let mut dump = format!(
        "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n 00000000\n {}\n",
        hex(&(packages.len() as u32).to_le_bytes())
    );
    for (number, package) in (1u32..).zip(packages) {
        writeln!(dump, " {}\n {}", hex(&number.to_le_bytes()), hex(&package.header())).unwrap();
    }
    dump += "DATA=END\n";
    tools::run_with_input("db5.3_load", [&path], dump.as_bytes());
    std::fs::read(path).unwrap()
}

/// `Packages.db` of ndb. No tool in Debian writes it; its layout is that of rpm's `rpmpkg.c`.
pub fn ndb(packages: &[Package]) -> Vec<u8> {
    const BLOCK: usize = 16;
    const PAGE: usize = 4096;
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (mut slots, mut blobs) = (words(&[word(b"RpmP"), 0, 1, 1, packages.len() as u32 + 1, 0, 0, 0]), Vec::new());
    for (number, package) in (1u32..).zip(packages) {
        let header = package.header();
        let mut blob = words(&[word(b"BlbS"), number, 1, header.len() as u32]);
        blob.extend(&header);
        blob.resize((blob.len() + 12).next_multiple_of(BLOCK) - 12, 0);
        blob.extend(words(&[adler32(&blob), header.len() as u32, word(b"BlbE")]));
        let first = (PAGE + blobs.len()) / BLOCK;
        slots.extend(words(&[word(b"Slot"), number, first as u32, (blob.len() / BLOCK) as u32]));
        blobs.extend(blob);
    }
    assert!(slots.len() <= PAGE, "one page of slots is enough for tests");
    while slots.len() < PAGE {
        slots.extend(words(&[word(b"Slot"), 0, 0, 0]));
    }
    [slots, blobs].concat()
}

/// How many packages `rpm` itself finds in a database of the given file name.
pub fn rpm_counts(name: &str, content: &[u8]) -> usize {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), content).unwrap();
    rpm_counts_in(folder.path())
}

/// How many packages `rpm` finds in a folder, which it may change.
pub fn rpm_counts_in(folder: &Path) -> usize {
    let backend = if folder.join("Packages").exists() { "bdb_ro" } else { "sqlite" };
    let arguments = ["-qa", "--nodigest", "--nosignature", "--define", &format!("_db_backend {backend}"), "--dbpath"];
    let output = tools::succeed(tools::command("rpm").args(arguments).arg(folder));
    output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
}

fn inserts(packages: &[Package]) -> String {
    let mut text = String::new();
    for package in packages {
        writeln!(text, "INSERT INTO Packages (blob) VALUES (x'{}');", hex(&package.header())).unwrap();
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn word(letters: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*letters)
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}
