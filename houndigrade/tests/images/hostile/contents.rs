//! Sound file systems with files that no system has.

use super::*;

#[test]
fn fifos_devices_and_folders_are_never_opened() {
    if !have_tools() {
        return;
    }
    let mut files = roots::rhel(9);
    let names =
        ["etc/a-release", "etc/yum.repos.d/a.repo", "etc/pki/product/69.pem", "var/lib/rpm/Packages", "usr/lib/sysimage/rpm/rpmdb.sqlite"];
    for name in names {
        files.put(name, Node::Fifo);
    }
    files.put("etc/c-release", Node::Folder).put("etc/yum.conf", Node::Folder).put("etc/dnf/dnf.conf", Node::Fifo);
    files.put("etc/fstab", Node::Fifo);
    let disk = ext(&files);
    filesystems::debugfs(&disk, "cd /etc\nmknod zero-release c 1 5\nmknod disk-release b 8 0\nmknod random.repo c 1 8\n");
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
    assert_eq!(found.facts().rhel_signed_packages.rhel_signed_package_count, 3, "{}", found.json);
    assert!(found.image.rhel_enabled_repos_found, "{}", found.json);
}

#[test]
fn files_of_ten_gib_are_not_read_to_their_end() {
    if !have_tools() {
        return;
    }
    let mut files = roots::rhel(9);
    let sparse =
        ["etc/big-release", "etc/yum.repos.d/big.repo", "etc/pki/product/69.pem", "etc/dnf/dnf.conf", "var/lib/rpm/Packages", "etc/fstab"];
    for name in sparse {
        files.file(name, "");
    }
    let mut commands = String::new();
    for name in sparse {
        commands += &format!("set_inode_field /{name} size 0x280000000\n");
    }
    let disk = ext(&files);
    filesystems::debugfs(&disk, &commands);
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
    assert!(found.image.bytes_read < 64 * MIB, "{}", found.json);
}

#[test]
fn a_database_that_claims_ten_gib_of_pages_is_a_finding() {
    if !have_tools() {
        return;
    }
    for name in ["rpmdb.sqlite", "Packages", "Packages.db"] {
        let mut files = roots::rhel(9);
        let packages = roots::rhel_packages(9);
        let mut content = match name {
            "Packages" => rpmdb::berkeley(&packages),
            "Packages.db" => rpmdb::ndb(&packages),
            _ => rpmdb::sqlite(&packages),
        };
        match name {
            "Packages" => content[32..36].copy_from_slice(&u32::MAX.to_le_bytes()),
            "Packages.db" => content[12..16].copy_from_slice(&u32::MAX.to_le_bytes()),
            _ => content[28..32].copy_from_slice(&u32::MAX.to_be_bytes()),
        }
        files.remove("var/lib/rpm/rpmdb.sqlite").file(format!("var/lib/rpm/{name}"), content);
        let disk = ext(&files);
        filesystems::debugfs(&disk, &format!("set_inode_field /var/lib/rpm/{name} size 0x280000000\n"));
        let found = Inspection::of(&[&disk]);
        assert_eq!(found.image.is_rhel, Some(true), "{name}: {}", found.json);
    }
}

#[test]
fn folders_of_thousands_of_files_are_beyond_the_limit_and_said_to_be() {
    if !have_tools() {
        return;
    }
    let mut files = roots::rhel(9);
    for number in 0..5000 {
        let repository = format!("[rhel-{number}]\nname=RHEL {number}\nenabled=1\n");
        files.file(format!("etc/yum.repos.d/{number}.repo"), repository);
        files.file(format!("etc/pki/product/{number}.pem"), "").file(format!("var/lib/rpm/{number}"), "");
        files.file(format!("etc/{number}-release"), "");
    }
    let disk = filesystems::ext(&files, 256 * MIB, &["-t", "ext4", "-N", "40000"]);
    let found = Inspection::of(&[&disk]);
    assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{}", found.json);
    for what in ["-release", "/etc/pki/product", "repositories"] {
        let limit = |unread: &Unread| unread.why.contains(what) && unread.kind == UnreadKind::Limit;
        assert!(found.facts().unread.iter().any(limit), "{what}: {:?}", found.facts().unread);
    }
    assert!(found.json.len() < 4 << 20, "{} bytes of findings", found.json.len());
}

#[test]
fn thousands_of_large_release_files_do_not_make_large_findings() {
    if !have_tools() {
        return;
    }
    let mut files = roots::rhel(9);
    for number in 0..1500 {
        files.file(format!("etc/{number}-release"), format!("Red Hat {number} {}", "\u{1}".repeat(60_000)));
    }
    let disk = filesystems::ext(&files, 256 * MIB, &["-t", "ext4", "-N", "60000"]);
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.image.is_rhel, Some(true));
    assert!(found.json.len() < 8 << 20, "{} bytes of findings", found.json.len());
}

#[test]
fn pages_in_a_circle_end() {
    if !have_tools() {
        return;
    }
    let packages: Vec<_> = (0..30)
        .map(|number| Package { padding: 20_000, ..Package::new(&format!("p{number}")).signed(Signature::Rsa(RED_HAT_RELEASE_KEY_2)) })
        .collect();
    let inspect = |name: &str, content: Vec<u8>| {
        let mut files = roots::rhel(9);
        files.remove("var/lib/rpm/rpmdb.sqlite").file(format!("var/lib/rpm/{name}"), content);
        let found = Inspection::of(&[&ext(&files)]);
        assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{name}: {}", found.json);
        assert_eq!(found.facts().rhel_signed_packages.databases[0].state, DatabaseState::Partial, "{name}: {}", found.json);
    };
    // Each overflow page of BerkeleyDB leads to itself: its own number is at 8, the next one's at 16, its type (7) at 25.
    let mut berkeley = rpmdb::berkeley(&packages);
    for page in berkeley.chunks_exact_mut(4096).filter(|page| page[25] == 7) {
        page.copy_within(8..12, 16);
    }
    inspect("Packages", berkeley);
    // Each page of SQLite that begins as an overflow page may leads to itself.
    let mut sqlite = rpmdb::sqlite(&packages);
    let pages = sqlite.len() as u32 / 4096;
    for (number, page) in (1u32..).zip(sqlite.chunks_exact_mut(4096)).skip(1) {
        let next = u32::from_be_bytes(page[..4].try_into().unwrap());
        if (2..=pages).contains(&next) {
            page[..4].copy_from_slice(&number.to_be_bytes());
        }
    }
    inspect("rpmdb.sqlite", sqlite);
}

#[test]
fn a_database_of_garbage_is_a_finding() {
    if !have_tools() {
        return;
    }
    let mut numbers = Numbers(0x5eed);
    for name in ["rpmdb.sqlite", "Packages", "Packages.db"] {
        let mut files = roots::rhel(9);
        let garbage: Vec<u8> = (0..100_000).map(|_| numbers.below(256) as u8).collect();
        files.remove("var/lib/rpm/rpmdb.sqlite").file(format!("var/lib/rpm/{name}"), garbage);
        let found = Inspection::of(&[&ext(&files)]);
        assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{name}: {}", found.json);
    }
}
