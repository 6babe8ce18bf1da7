//! `xfs_logprint`, which knows how Linux reads a log, finds the same in it.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::log::Log;
use super::super::transaction::Transactions;
use super::replayed::{LAYOUTS, change, log_of_change};
use super::*;

/// Where the log begins and ends, how many transactions are committed, and how many items of each kind are in them.
type Found = (u64, u64, usize, BTreeMap<String, usize>);

fn found(image: &Vec<u8>) -> Found {
    let log = Log::of(image, &Geometry::read(image).unwrap()).unwrap();
    let live = log.live().unwrap().unwrap();
    let (mut transactions, mut committed, mut kinds) = (Transactions::default(), 0, BTreeMap::new());
    log.each_record(live, |record| {
        transactions.record(&record, |transaction| {
            committed += 1;
            for item in transaction.items() {
                let kind = match item.kind() {
                    0x1236 => "EFI",
                    0x1237 => "EFD",
                    0x123b => "INO",
                    0x123c => "BUF",
                    0x123f => "ICR",
                    kind => panic!("{kind:#x}"),
                };
                *kinds.entry(format!("{kind} {}", item.regions().count())).or_default() += 1;
            }
            Ok(())
        })
    })
    .unwrap();
    (live.tail, live.head, committed, kinds)
}

/// As `xfs_logprint -t` says; `None` if it is not installed.
fn printed(image: &Path) -> Option<Found> {
    let said = String::from_utf8_lossy(&run("xfs_logprint", &["-t".as_ref(), image.as_os_str()])?).into_owned();
    let number = |line: &str, name: &str| line.split(name).nth(1).unwrap().split_whitespace().next().unwrap().parse::<u64>().unwrap();
    let state = said.lines().find(|line| line.contains("log tail:")).unwrap();
    let mut kinds = BTreeMap::new();
    for line in said.lines() {
        let kind = line.split(':').next().unwrap();
        if ["EFI", "EFD", "INO", "BUF", "ICR"].contains(&kind) && line.contains("cnt:") {
            *kinds.entry(format!("{kind} {}", number(line, "cnt:"))).or_default() += 1;
        }
    }
    let committed = said.lines().filter(|line| line.starts_with("TRANS: ")).count();
    Some((number(state, "tail:"), number(state, "head:"), committed, kinds))
}

fn assert_same(image: &Vec<u8>, what: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image");
    fs::write(&path, image).unwrap();
    let Some(printed) = printed(&path) else { return };
    assert!(printed.2 > 2 && printed.3.len() > 2, "{printed:?}");
    assert_eq!(found(image), printed, "{what}");
}

#[test]
fn in_logs_of_these_tests() {
    let Some(change) = change() else { return };
    // The program fails if the headers of one record go over the ring's end, which Linux has learned to read.
    for layout in LAYOUTS.into_iter().filter(|layout| layout.before_end != 1) {
        assert_same(&log_of_change(change, layout, false).finish(), &format!("{layout:?}"));
    }
}

#[test]
fn in_logs_of_kernels() {
    for name in ["dirty-xfs-v4", "dirty-xfs"] {
        let folder = TempDir::new().unwrap();
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/fixtures").join(format!("{name}.tar.gz"));
        let to = folder.path().as_os_str();
        run("tar", &["--sparse".as_ref(), "-xzf".as_ref(), packed.as_os_str(), "-C".as_ref(), to]).unwrap();
        assert_same(&fs::read(folder.path().join(format!("{name}.img"))).unwrap(), name);
    }
}
