//! Groups made in memory: extents of 4 KiB that begin at 64 KiB.

use std::sync::Arc;

use proptest::prelude::*;

use super::label::tests::put_label;
use super::metadata::tests::put_area;
use super::*;

pub(in crate::volumes) const EXTENT: usize = 4096;
pub(in crate::volumes) const FIRST_EXTENT: usize = 64 << 10;
const AREA: (usize, usize) = (4096, 32768);

/// The UUID of the physical volume with this letter.
pub(in crate::volumes) fn uuid(letter: char) -> String {
    letter.to_string().repeat(32)
}

/// A group `vg` on the physical volumes with these letters, which it calls `pv` and the letter.
pub(in crate::volumes) fn group(name: &str, seqno: u64, letters: &str, logical: &str) -> String {
    let physical: String = letters.chars().map(|letter| format!("pv{letter} {{ id = \"{}\" pe_start = 128 }}\n", uuid(letter))).collect();
    format!(
        "{name} {{ id = \"{name}-id\" seqno = {seqno} extent_size = 8\nphysical_volumes {{ {physical} }}\nlogical_volumes {{ {logical} }} }}\n\
         contents = \"Text Format Volume Group\"\n"
    )
}

/// A visible logical volume with one segment.
pub(in crate::volumes) fn volume(name: &str, extents: u64, layout: &str) -> String {
    format!("{name} {{ status = [\"READ\", \"VISIBLE\"] segment1 {{ start_extent = 0 extent_count = {extents} {layout} }} }}\n")
}

/// One that is a part of others.
fn hidden(name: &str, extents: u64, layout: &str) -> String {
    volume(name, extents, layout).replace(", \"VISIBLE\"", "")
}

/// A layout of one part.
pub(in crate::volumes) fn linear(on: &str, extent: u64) -> String {
    format!("type = \"striped\" stripe_count = 1 stripes = [\"{on}\", {extent}]")
}

/// Makes `volume` a physical volume that holds a text.
pub(in crate::volumes) fn put_physical(volume: &mut [u8], letter: char, text: &str) {
    put_label(volume, &uuid(letter), &[(AREA.0 as u64, AREA.1 as u64)]);
    put_area(volume, AREA, 512, text.as_bytes());
}

/// A physical volume on a drive of its own, each of whose extents is filled with its number, from `fill` on.
fn physical(letter: char, text: &str, fill: u8) -> Physical {
    let mut bytes = vec![0; FIRST_EXTENT + 16 * EXTENT];
    bytes[FIRST_EXTENT..].chunks_exact_mut(EXTENT).zip(fill..).for_each(|(extent, value)| extent.fill(value));
    put_physical(&mut bytes, letter, text);
    from_bytes(letter, bytes)
}

fn from_bytes(letter: char, bytes: Vec<u8>) -> Physical {
    let label = Label::find(&bytes).unwrap();
    Physical { drive: format!("disk {letter}"), name: format!("part {letter}"), source: Arc::new(bytes), label }
}

/// The first byte of each extent of a volume.
fn extents(volume: &Logical) -> Vec<u8> {
    let source = volume.source.as_ref().unwrap();
    let mut bytes = vec![0; source.len() as usize];
    source.read_at(0, &mut bytes).unwrap();
    bytes.chunks_exact(EXTENT).map(|extent| extent[0]).collect()
}

fn named<'a>(joined: &'a Joined, name: &str) -> &'a Logical {
    let problems: Vec<_> = joined.problems.iter().map(|problem| problem.error.to_string()).collect();
    joined.volumes.iter().find(|volume| volume.name == name).unwrap_or_else(|| panic!("{name} is missing: {problems:?}"))
}

fn errors(joined: &Joined) -> Vec<String> {
    joined.problems.iter().map(|problem| format!("{}: {}", problem.name, problem.error)).collect()
}

#[test]
fn volumes_over_several_disks_are_joined() {
    let stripes = "type = \"striped\" stripe_size = 8 stripes = [\"pva\", 4, \"pvb\", 0]";
    let two = "two-b { status = [\"VISIBLE\"] segment1 { start_extent = 0 extent_count = 2 type = \"striped\" stripes = [\"pvb\", 4] } \
               segment2 { start_extent = 2 extent_count = 1 type = \"striped\" stripes = [\"pva\", 15] } }";
    let text = group("vg", 1, "ab", &(volume("one", 3, &linear("pva", 1)) + two + &volume("striped", 4, stripes)));
    let joined = join(&[physical('b', &text, 100), physical('a', &text, 0)]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-one")), [1, 2, 3]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-two--b")), [104, 105, 15]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-striped")), [4, 100, 5, 101]);
    assert_eq!(named(&joined, "/dev/mapper/vg-two--b").drive, "disk b");
    assert!(joined.problems.is_empty() && joined.unread.is_empty());
}

#[test]
fn the_newest_sound_metadata_hold() {
    let old = group("vg", 4, "ab", &volume("root", 1, &linear("pva", 1)));
    let new = group("vg", 5, "ab", &volume("root", 1, &linear("pvb", 2)));
    let joined = join(&[physical('a', &old, 0), physical('b', &new, 100)]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-root")), [102]);

    let mut damaged = vec![0; FIRST_EXTENT + 16 * EXTENT];
    put_physical(&mut damaged, 'b', &new);
    damaged[AREA.0 + 600] ^= 1;
    let joined = join(&[physical('a', &old, 0), from_bytes('b', damaged)]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-root")), [1]);
    assert_eq!(errors(&joined), ["part b: the LVM metadata area at byte 4096 is damaged: the checksum of its text is wrong"]);
}

#[test]
fn a_missing_disk_hides_only_the_volumes_on_it() {
    let text = group("vg", 1, "ab", &(volume("here", 1, &linear("pva", 1)) + &volume("gone", 1, &linear("pvb", 1))));
    let joined = join(&[physical('a', &text, 0)]);
    assert_eq!(joined.volumes.len(), 1);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-here")), [1]);
    let expected = format!("/dev/mapper/vg-gone: physical volume pvb of gone (UUID {}) does not exist", uuid('b'));
    assert_eq!(errors(&joined), [expected]);
}

#[test]
fn a_mirror_is_read_from_a_half_that_is_there_and_filled_and_that_is_told() {
    let raid = "type = \"raid1\" device_count = 2 raids = [\"r_rmeta_0\", \"r_rimage_0\", \"r_rmeta_1\", \"r_rimage_1\"]";
    let halves = |rebuilding: &str| {
        hidden("r_rimage_0", 2, &linear("pva", 3))
            + &hidden("r_rimage_1", 2, &linear("pvb", 7)).replace("\"READ\"", rebuilding)
            + &volume("r", 2, raid)
    };
    let text = group("vg", 1, "ab", &halves("\"READ\""));
    let (a, b) = (physical('a', &text, 0), physical('b', &text, 100));
    assert_eq!(extents(named(&join(&[physical('b', &text, 100)]), "/dev/mapper/vg-r")), [107, 108]);
    let joined = join(&[a, b]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-r")), [3, 4]);
    assert_eq!(joined.volumes.len(), 1, "halves are no volumes of their own");
    assert!(joined.problems.iter().all(|problem| !problem.hides));
    let told =
        "/dev/mapper/vg-r: joining the halves of the LVM mirror r is not supported: only one of them was read, and another may be newer";
    assert_eq!(errors(&joined), [told]);

    let joined = join(&[physical('b', &group("vg", 1, "ab", &halves("\"REBUILD\"")), 100)]);
    assert!(joined.volumes.is_empty() && errors(&joined)[0].contains("does not exist"), "{:?}", errors(&joined));
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let of = |kind: &str| volume(kind, 1, &format!("type = \"{kind}\" thin_pool = \"pool\""));
    let text = group("vg", 1, "a", &["thin", "thin-pool", "cache", "raid5"].map(of).concat());
    let joined = join(&[physical('a', &text, 0)]);
    let kinds: Vec<_> = joined.volumes.iter().map(|volume| volume.source.as_ref().err().unwrap().as_str()).collect();
    assert_eq!(kinds, ["cached volume", "volume of type raid5", "thin volume", "thin pool"]);
    assert!(joined.problems.is_empty());
}

#[test]
fn copies_of_a_disk_are_not_mixed() {
    let text = group("vg", 1, "ab", &volume("root", 1, &linear("pva", 1)));
    let other = group("other", 1, "c", &volume("data", 1, &linear("pvc", 1)));
    let joined = join(&[physical('a', &text, 0), physical('b', &text, 0), physical('a', &text, 50), physical('c', &other, 0)]);
    assert_eq!(joined.volumes.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), ["/dev/mapper/other-data"]);
    assert_eq!(joined.problems.len(), 2);
    assert_eq!(joined.unread, [(0, Unread::Orphan), (1, Unread::Orphan), (2, Unread::Orphan)]);
}

#[test]
fn groups_of_the_same_name_stay_apart() {
    let text = group("vg", 1, "a", &volume("root", 1, &linear("pva", 1)));
    let other = group("vg", 1, "b", &volume("root", 1, &linear("pvb", 1))).replace("vg-id", "wg-id");
    let joined = join(&[physical('a', &text, 0), physical('b', &other, 100)]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-root")), [1]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-root (volume group wgid)")), [101]);
}

#[test]
fn volumes_that_lie_in_each_other_end() {
    let circle = volume("x", 1, &linear("y", 0)) + &volume("y", 1, &linear("x", 0)) + &volume("z", 1, &linear("z", 0));
    let chain: String = (0..30).map(|n| volume(&format!("c{n:02}"), 1, &linear(&format!("c{:02}", n + 1), 0))).collect();
    let joined = join(&[physical('a', &group("vg", 1, "a", &(circle + &chain)), 0)]);
    assert!(joined.volumes.is_empty());
    let errors = errors(&joined);
    assert!(
        errors.iter().any(|error| error.contains("it lies in itself")) && errors.iter().any(|error| error.contains("limit")),
        "{errors:?}"
    );
}

#[test]
fn sizes_beyond_all_disks_are_damage() {
    let layouts = [
        (1 << 62, linear("pva", 0)),
        (1, linear("pva", 1 << 62)),
        (1, linear("pva", 16)),
        (17, linear("pva", 0)),
        (i64::MAX as u64, linear("pva", 0)),
    ];
    let logical: String =
        layouts.iter().enumerate().map(|(index, (extents, layout))| volume(&format!("v{index}"), *extents, layout)).collect();
    let joined = join(&[physical('a', &group("vg", 1, "a", &logical), 0)]);
    assert!(joined.volumes.is_empty());
    assert_eq!(joined.problems.len(), layouts.len());
    assert!(joined.problems.iter().all(|problem| matches!(problem.error, ReadError::Corrupt { .. })));
}

#[test]
fn a_physical_volume_without_a_group_is_unused_or_orphaned() {
    let mut unused = vec![0; FIRST_EXTENT];
    put_physical(&mut unused, 'a', "");
    let mut orphan = vec![0; FIRST_EXTENT];
    put_label(&mut orphan, &uuid('b'), &[]);
    let joined = join(&[from_bytes('a', unused), from_bytes('b', orphan)]);
    assert_eq!(joined.unread, [(0, Unread::Unused), (1, Unread::Orphan)]);
}

/// A group with every kind of layout.
fn rich() -> String {
    let logical = [
        volume("one", 3, &linear("pva", 1)),
        volume("striped", 4, "type = \"striped\" stripe_size = 8 stripes = [\"pva\", 4, \"pvb\", 0]"),
        hidden("m0", 2, &linear("pvb", 3)),
        volume("mirror", 2, "type = \"mirror\" mirrors = [\"m0\", 0, \"pva\", 9]"),
        volume("raid", 2, "type = \"raid1\" raids = [\"meta\", \"m0\", \"meta\", \"one\"]"),
        volume("over", 2, &linear("striped", 1)),
        volume("thin", 1, "type = \"thin\""),
        volume("snap", 1, "type = \"snapshot\" origin = \"one\" merging_store = \"over\""),
    ];
    group("vg", 1, "ab", &logical.concat())
}

#[test]
fn the_group_that_is_damaged_below_is_sound_itself() {
    let joined = join(&[physical('a', &rich(), 0), physical('b', &rich(), 100)]);
    assert!(joined.problems.iter().all(|problem| !problem.hides), "{:?}", errors(&joined));
    let readable: Vec<_> = joined.volumes.iter().filter(|volume| volume.source.is_ok()).map(|volume| volume.name.as_str()).collect();
    assert_eq!(readable, ["/dev/mapper/vg-mirror", "/dev/mapper/vg-raid", "/dev/mapper/vg-striped"]);
    assert_eq!(extents(named(&joined, "/dev/mapper/vg-raid")), [103, 104]);
}

#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Number(usize, u64),
    Copy { from: usize, len: usize, to: usize },
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<usize>(), prop::sample::select(b"{}[]=,\"# 0159abpv-\0\xff".as_slice())).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (any::<usize>(), prop_oneof![0u64..20, any::<u64>(), Just(i64::MAX as u64)]).prop_map(|(at, number)| Change::Number(at, number)),
        (any::<usize>(), 0usize..200, any::<usize>()).prop_map(|(from, len, to)| Change::Copy { from, len, to }),
    ]
}

fn changed(mut text: Vec<u8>, changes: Vec<Change>) -> Vec<u8> {
    for change in changes {
        let len = text.len();
        match change {
            Change::Byte(at, byte) => text[at % len] = byte,
            Change::Number(at, number) => {
                let at = at % len;
                if let Some(begin) = text[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) {
                    let digits = text[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    text.splice(begin..begin + digits, number.to_string().into_bytes());
                }
            }
            Change::Copy { from, len: count, to } => {
                let from = from % len;
                let copy = text[from..len.min(from + count)].to_vec();
                text.splice(to % len..to % len, copy);
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_texts_with_right_checksums_end_within_limits(changes in prop::collection::vec(change(), 0..6)) {
        let sound = rich();
        let text = changed(sound.clone().into_bytes(), changes);
        let mut bytes = vec![0; FIRST_EXTENT + 16 * EXTENT];
        put_label(&mut bytes, &uuid('a'), &[(AREA.0 as u64, AREA.1 as u64)]);
        put_area(&mut bytes, AREA, AREA.1 - 100, &text);
        let disks = [from_bytes('a', bytes), physical('b', &sound, 0)];
        let len_max: u64 = disks.iter().map(|disk| disk.source.len()).sum();
        for volume in join(&disks).volumes {
            if let Ok(source) = volume.source {
                prop_assert!(source.len() <= len_max);
                let mut all = vec![0; source.len() as usize];
                prop_assert!(source.read_at(0, &mut all).is_ok());
            }
        }
    }
}
