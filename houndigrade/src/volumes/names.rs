//! What Linux calls partitions and logical volumes. Findings and fstab use the same names.

/// A partition of a disk: `/dev/xvdb` has `/dev/xvdb1`, but `/dev/nvme1n1` has `/dev/nvme1n1p1`.
pub(super) fn partition(disk: &str, number: u32) -> String {
    let infix = if disk.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
    format!("{disk}{infix}{number}")
}

/// A logical volume, as device-mapper names it: a hyphen within a name is doubled, the one between the names is not.
pub(super) fn logical(group: &str, volume: &str) -> String {
    format!("/dev/mapper/{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_linux() {
        assert_eq!(partition("/dev/xvdb", 1), "/dev/xvdb1");
        assert_eq!(partition("/dev/nvme1n1", 12), "/dev/nvme1n1p12");
        assert_eq!(partition("disk.img", 5), "disk.img5");
        assert_eq!(logical("rhel", "root"), "/dev/mapper/rhel-root");
        assert_eq!(logical("rhel-vg", "var-log"), "/dev/mapper/rhel--vg-var--log");
    }
}
