//! Sizes of EC2 instance types, as dated data.
//!
//! `data/instance_types.csv` says in its head where it comes from and of what day it is. A type that is not in it has no size: it
//! is never guessed.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The data file, with `#` lines that give its source and date.
const DATA: &str = include_str!("../data/instance_types.csv");

/// The size of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// The type, `m5.large`.
    pub name: &'static str,
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// `x86_64`, `arm64`, ...; several are separated by `;`.
    pub architecture: &'static str,
}

static BY_NAME: LazyLock<HashMap<&'static str, InstanceType>> = LazyLock::new(|| all().map(|t| (t.name, t)).collect());

/// The size of a type, if it is known.
pub fn lookup(name: &str) -> Option<InstanceType> {
    BY_NAME.get(name).copied()
}

/// All known types, ordered by name.
pub fn all() -> impl Iterator<Item = InstanceType> {
    DATA.lines().filter(|line| !line.starts_with('#')).skip(1).filter_map(parse)
}

/// Of what day the data is, `2026-11-23`.
pub fn as_of() -> &'static str {
    head("as of: ")
}

/// Where the data comes from.
pub fn source() -> &'static str {
    head("source: ")
}

fn head(name: &str) -> &'static str {
    DATA.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name)).unwrap_or("unknown")
}

/// Reads `name,vcpu,memory_mib,architecture`, with `;` between architectures.
fn parse(line: &'static str) -> Option<InstanceType> {
    let mut fields = line.splitn(4, ',');
    Some(InstanceType {
        name: fields.next()?,
        vcpu: fields.next()?.parse().ok()?,
        memory_mib: fields.next()?.parse().ok()?,
        architecture: fields.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_reads_and_names_are_sorted_and_distinct() {
        let lines = DATA.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count() - 1;
        let names: Vec<_> = all().map(|t| t.name).collect();
        assert_eq!(names.len(), lines);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn known_sizes_are_right_and_an_unknown_type_has_none() {
        let size = |name| lookup(name).map(|t| (t.vcpu, t.memory_mib));
        assert_eq!(size("m5.large"), Some((2, 8192)));
        assert_eq!(size("t2.nano"), Some((1, 512)));
        assert_eq!(size("x1e.32xlarge"), Some((128, 3_997_696)));
        assert_eq!(size("m99.imaginary"), None);
    }

    #[test]
    fn the_data_says_its_source_and_date() {
        assert!(as_of().len() == 10 && source() != "unknown");
    }
}
