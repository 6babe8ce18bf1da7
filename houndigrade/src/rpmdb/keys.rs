//! Whose key it is, as dated data: `data/rpm_keys.csv` says in its head what its columns mean and where they come from. A key that is not
//! in it has no owner: none is guessed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// The data file, with `#` lines that give its sources and date.
const DATA: &str = include_str!("../../data/rpm_keys.csv");

/// An OpenPGP key id: 64 bits, shown as 16 hexadecimal digits in lower case, as `rpm` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whether a package that is signed with a key counts as signed for RHEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Yes, and for the predecessor too.
    Predecessor,
    /// Yes; the predecessor did not know the key.
    Added,
    /// No: another distribution's key, or one of Red Hat's that does not sign the product.
    No,
}

/// A key that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Who signs with it: `Red Hat`, `CentOS`.
    pub owner: &'static str,
    /// What its owner calls it, or what it signs.
    pub name: &'static str,
    /// Whether it is evidence of RHEL.
    pub counted: Counted,
}

static BY_ID: LazyLock<BTreeMap<KeyId, Key>> = LazyLock::new(|| lines().filter_map(parse).map(|key| (key.id, key)).collect());

/// The key of this id, if it is known.
pub fn lookup(id: KeyId) -> Option<&'static Key> {
    BY_ID.get(&id)
}

/// The data's lines without comments and column names.
fn lines() -> impl Iterator<Item = &'static str> {
    DATA.lines().filter(|line| !line.starts_with('#')).skip(1)
}

/// Reads `key_id,owner,name,counted,since,source`, where the name may stand in double quotes.
fn parse(line: &'static str) -> Option<Key> {
    let (id, rest) = line.split_once(',')?;
    let (owner, rest) = rest.split_once(',')?;
    let (name, rest) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",")?,
        None => rest.split_once(',')?,
    };
    let counted = match rest.split(',').next()? {
        "predecessor" => Counted::Predecessor,
        "added" => Counted::Added,
        "no" => Counted::No,
        _ => return None,
    };
    Some(Key { id: KeyId(u64::from_str_radix(id, 16).ok()?), owner, name, counted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_data_reads_and_no_id_is_there_twice() {
        for line in lines() {
            let key = parse(line).unwrap_or_else(|| panic!("unreadable: {line}"));
            assert!(line.starts_with(&key.id.to_string()), "{line}");
        }
        assert_eq!(BY_ID.len(), lines().count());
    }

    #[test]
    fn the_predecessors_five_keys_are_marked_and_only_red_hats_count() {
        let counted = |which| BY_ID.values().filter(|key| key.counted == which).collect::<Vec<_>>();
        assert_eq!(counted(Counted::Predecessor).len(), 5);
        assert!(counted(Counted::Predecessor).iter().chain(&counted(Counted::Added)).all(|key| key.owner == "Red Hat"));
        assert_eq!(lookup(KeyId(0x5054_e4a4_5a63_40b3)).map(|key| key.counted), Some(Counted::Added));
        assert_eq!(lookup(KeyId(0x05b5_55b3_8483_c65d)).map(|key| (key.owner, key.counted)), Some(("CentOS", Counted::No)));
        assert_eq!(lookup(KeyId(1)), None);
    }
}
