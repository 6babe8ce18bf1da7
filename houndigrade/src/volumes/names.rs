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

/// The name that the `number`th volume of one name is given, as findings are told apart by their names: a group and a machine within one of
/// its volumes can have a volume of the same name each.
pub(super) fn repeated(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name} ({number})") }
}

/// A name as the volume's own machine has it, and what was added to tell it from others, such as ` (2)`.
pub(crate) fn parted(name: &str) -> (&str, &str) {
    name.find(" (").map_or((name, ""), |at| name.split_at(at))
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

    #[test]
    fn what_was_added_to_a_name_can_be_taken_off() {
        assert_eq!(parted(&repeated("/dev/mapper/rhel-root", 2)), ("/dev/mapper/rhel-root", " (2)"));
        assert_eq!(parted(&repeated("/dev/mapper/rhel-root", 1)), ("/dev/mapper/rhel-root", ""));
    }
}
