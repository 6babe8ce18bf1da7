//! Volume groups whose metadata has no end or leads nowhere.

use super::*;

/// Inspects a physical volume with the given sections of logical volumes.
fn inspect(logical: &str) -> Inspection {
    Inspection::of(&[&lvm::physical_volume(64 * MIB, UUID, &lvm::metadata("rhel", UUID, 15, logical))])
}

#[track_caller]
fn assert_is_finding(found: &Inspection, of: &str) {
    assert_eq!(found.image.is_rhel, None, "{of}: {}", found.json);
    assert!(found.json.contains("rhel"), "the group or its volume is named: {}", found.json);
}

#[test]
fn volumes_that_lie_in_each_other_end() {
    let mirror = |of: &str| format!("start_extent = 0\nextent_count = 8\ntype = \"mirror\"\nmirror_count = 1\nmirrors = [\"{of}\", 0]");
    let linear = |of: &str| format!("start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"{of}\", 0]");
    for segment in [mirror, linear] {
        let (a, b) = (segment("b"), segment("a"));
        assert_is_finding(
            &inspect(&[lvm::logical_section("a", VISIBLE, &[&a]), lvm::logical_section("b", VISIBLE, &[&b])].concat()),
            "each other",
        );
    }
    assert_is_finding(&inspect(&lvm::logical_section("a", VISIBLE, &[&linear("a")])), "itself");
}

#[test]
fn impossible_segments_are_findings() {
    for segment in [
        lvm::linear(0, u64::MAX, 0),
        lvm::linear(u64::MAX, 1, 0),
        lvm::linear(0, 8, u64::MAX),
        lvm::linear(0, 1 << 50, 0),
        lvm::linear(7, 8, 0),
        lvm::linear(0, 0, 0),
        "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 4294967295\nstripe_size = 128\nstripes = [\"pv0\", 0]"
            .to_owned(),
        "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 2\nstripe_size = 0\nstripes = [\"pv0\", 0, \"pv0\", 4]"
            .to_owned(),
        "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 0\nstripes = []".to_owned(),
        "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"nobody\", 0]".to_owned(),
        "start_extent = 0".to_owned(),
    ] {
        assert_is_finding(&inspect(&lvm::logical_section("root", VISIBLE, &[&segment])), &segment);
    }
}

#[test]
fn metadata_of_endless_depth_or_length_is_a_finding() {
    for text in ["a {\n".repeat(100_000), "a = [".repeat(100_000), "\"".repeat(500_001), "a = 1\n".repeat(150_000), "#".repeat(900_000)] {
        let disk = lvm::physical_volume(64 * MIB, UUID, &text);
        assert_eq!(Inspection::of(&[&disk]).image.is_rhel, None);
    }
}

#[test]
fn metadata_that_refers_to_itself_or_outside_is_a_finding() {
    let disk = lvm::physical_volume(64 * MIB, UUID, &lvm::metadata("rhel", UUID, 15, ""));
    for (field, value) in [(40u64, 0u64), (40, u64::MAX), (48, u64::MAX), (48, 1 << 40), (32, u64::MAX), (24, u64::MAX)] {
        let copy = disk.copy();
        copy.write(4096 + field, &value.to_le_bytes());
        assert_ne!(Inspection::of(&[&copy]).image.is_rhel, Some(true));
    }
}

#[test]
fn a_volume_group_that_contains_itself_ends() {
    // A logical volume over the physical volume's own label: a volume group in a volume group, without end.
    let segment = lvm::linear(0, 15, 0);
    let text =
        lvm::metadata("rhel", UUID, 15, &lvm::logical_section("root", VISIBLE, &[&segment])).replace("pe_start = 2048", "pe_start = 0");
    let found = Inspection::of(&[&lvm::physical_volume(64 * MIB, UUID, &text)]);
    assert_ne!(found.image.is_rhel, Some(true), "{}", found.json);
}
