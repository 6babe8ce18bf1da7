//! A volume group as its metadata describe it, checked in itself. Nothing here is read from a disk.

use std::collections::BTreeMap;

use super::text::{Section, Value, parse};
use crate::error::{ReadError, Result};
use crate::limits::{LVM_LOGICAL_MAX, LVM_PARTS_MAX, LVM_PHYSICAL_MAX};

const SECTOR_BYTES: u64 = 512;
const NAME_BYTES_MAX: usize = 127;

/// A volume group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub name: String,
    pub uuid: String,
    /// Counts the changes: the highest number of a group's metadata holds.
    pub seqno: u64,
    /// Bytes of an extent.
    pub extent_bytes: u64,
    /// By the names that the segments use.
    pub physical: BTreeMap<String, Physical>,
    /// By name.
    pub logical: BTreeMap<String, Logical>,
}

/// A physical volume, as its group knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Physical {
    /// Without hyphens.
    pub uuid: String,
    /// Where its extents begin, in bytes.
    pub start: u64,
    /// It was away while the group changed: what is on it may be old.
    pub missing: bool,
}

/// A logical volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Logical {
    /// Whether it is meant for use, not a part of another one.
    pub visible: bool,
    /// A mirror's half that is not yet filled.
    pub rebuilding: bool,
    /// One behind the other, without a gap.
    pub segments: Vec<Segment>,
    /// Why it is not what its segments are: it holds the changes of a snapshot.
    pub disguise: Option<String>,
}

/// A run of extents of a logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Extents before it.
    pub start: u64,
    /// Its extents, not 0.
    pub count: u64,
    pub layout: Layout,
}

/// Where the bytes of a segment are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Dealt out to these parts in turn, so many bytes each time.
    Striped { stripe_bytes: u64, parts: Vec<Part> },
    /// All in each of these parts.
    Mirrored(Vec<Part>),
    /// In a way that is not read: `thin`, `raid5`.
    Other(String),
}

/// The begin of a run of extents of a physical or logical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub volume: String,
    pub extent: u64,
}

impl Group {
    /// Reads metadata.
    ///
    /// # Errors
    /// `Corrupt`, `Limit`.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let damaged = |why| ReadError::corrupt("the metadata of a volume group", why);
        let all = parse(text).map_err(damaged)?;
        let is_group = |(_, section): &(&str, &Section)| section.text("id").is_some() && section.number("seqno").is_some();
        let (name, section) = all.sections().find(is_group).ok_or_else(|| damaged("they describe none".to_owned()))?;
        Reader { parts: 0 }.group(name, section)
    }

    /// The UUIDs of its physical volumes.
    pub(super) fn members(&self) -> impl Iterator<Item = &str> {
        self.physical.values().map(|physical| physical.uuid.as_str())
    }
}

struct Reader {
    /// Of all segments so far.
    parts: usize,
}

impl Reader {
    fn group(&mut self, name: &str, section: &Section) -> Result<Group> {
        let name = checked_name(name)?;
        let damaged = |why: &str| ReadError::corrupt(format!("the metadata of volume group {name}"), why);
        let uuid = section.text("id").map(unhyphenated).ok_or_else(|| damaged("it has no id"))?;
        let seqno = section.number("seqno").ok_or_else(|| damaged("it has no seqno"))?;
        let extent_bytes = section.number("extent_size").and_then(|sectors| sectors.checked_mul(SECTOR_BYTES)).filter(|bytes| *bytes > 0);
        let extent_bytes = extent_bytes.ok_or_else(|| damaged("its extent_size is no size"))?;
        let mut physical = BTreeMap::new();
        for (pv, section) in section.section("physical_volumes").into_iter().flat_map(Section::sections) {
            if physical.len() == LVM_PHYSICAL_MAX {
                let what = format!("the number of physical volumes of volume group {name}");
                return Err(ReadError::Limit { what, limit: LVM_PHYSICAL_MAX as u64, unit: "volumes" });
            }
            let uuid = section.text("id").map(unhyphenated);
            let start = section.number("pe_start").and_then(|sectors| sectors.checked_mul(SECTOR_BYTES));
            let (uuid, start) = uuid.zip(start).ok_or_else(|| damaged("a physical volume has no id or begin"))?;
            physical.insert(pv.to_owned(), Physical { uuid, start, missing: section.lists("flags", "MISSING") });
        }
        let mut logical = BTreeMap::new();
        let mut snapshots = Vec::new();
        for (lv, section) in section.section("logical_volumes").into_iter().flat_map(Section::sections) {
            if logical.len() == LVM_LOGICAL_MAX {
                let what = format!("the number of logical volumes of {name}");
                return Err(ReadError::Limit { what, limit: LVM_LOGICAL_MAX as u64, unit: "volumes" });
            }
            snapshots.extend(section.sections().filter(|(_, segment)| segment.text("type") == Some("snapshot")).flat_map(disguises));
            logical.insert(checked_name(lv)?, self.logical(lv, section)?);
        }
        for (name, disguise) in snapshots {
            if let Some(volume) = logical.get_mut(&name) {
                volume.disguise = Some(disguise);
            }
        }
        Ok(Group { name, uuid, seqno, extent_bytes, physical, logical })
    }

    fn logical(&mut self, name: &str, section: &Section) -> Result<Logical> {
        let mut segments = Vec::new();
        for (_, segment) in section.sections().filter(|(name, _)| name.starts_with("segment")) {
            let damaged = || ReadError::corrupt(format!("logical volume {name}"), "a segment has no place or type");
            let count = segment.number("extent_count").filter(|count| *count > 0);
            let (start, count) = segment.number("start_extent").zip(count).ok_or_else(damaged)?;
            let layout = self.layout(segment).ok_or_else(damaged)?;
            if self.parts > LVM_PARTS_MAX {
                let what = format!("the number of parts of the volume group up to logical volume {name}");
                return Err(ReadError::Limit { what, limit: LVM_PARTS_MAX as u64, unit: "parts" });
            }
            segments.push(Segment { start, count, layout });
        }
        segments.sort_by_key(|segment| segment.start);
        let mut end = Some(0);
        for segment in &segments {
            end = end.filter(|end| *end == segment.start).and_then(|end| end.checked_add(segment.count));
        }
        if end.is_none() {
            return Err(ReadError::corrupt(format!("logical volume {name}"), "its segments overlap or leave a gap"));
        }
        let status = |word| section.lists("status", word);
        Ok(Logical { visible: status("VISIBLE"), rebuilding: status("REBUILD"), segments, disguise: None })
    }

    fn layout(&mut self, segment: &Section) -> Option<Layout> {
        let kind = segment.text("type")?;
        let layout = match kind {
            "striped" | "linear" => {
                let parts = pairs(segment.list("stripes"))?;
                if segment.number("stripe_count").is_some_and(|count| count != parts.len() as u64) {
                    return None;
                }
                let stripe_bytes = if parts.len() == 1 { u64::MAX } else { segment.number("stripe_size")?.checked_mul(SECTOR_BYTES)? };
                Layout::Striped { stripe_bytes, parts }
            }
            "mirror" => Layout::Mirrored(pairs(segment.list("mirrors"))?),
            // Of each pair the first one holds what is known of the second, which holds the data.
            "raid1" => {
                let images = segment.list("raids").chunks_exact(2).map(|pair| &pair[1]);
                Layout::Mirrored(images.map(|image| part(image, &Value::Number(0))).collect::<Option<_>>()?)
            }
            other => Layout::Other(other.to_owned()),
        };
        self.parts += match &layout {
            Layout::Striped { parts, .. } | Layout::Mirrored(parts) => parts.len(),
            Layout::Other(_) => 1,
        };
        Some(layout)
    }
}

/// Which volumes a snapshot's segment shows to be something else than they seem.
fn disguises((_, segment): (&str, &Section)) -> Vec<(String, String)> {
    let text = |name| segment.text(name).map(str::to_owned);
    let origin = text("origin").unwrap_or_default();
    match (text("cow_store"), text("merging_store")) {
        (Some(changes), _) => vec![(changes, "snapshot".to_owned())],
        (None, Some(changes)) => vec![(changes, "snapshot".to_owned()), (origin, "volume with a snapshot being merged into it".to_owned())],
        (None, None) => Vec::new(),
    }
}

fn pairs(values: &[Value]) -> Option<Vec<Part>> {
    values.chunks(2).map(|pair| part(pair.first()?, pair.get(1)?)).collect::<Option<Vec<_>>>().filter(|parts| !parts.is_empty())
}

fn part(volume: &Value, extent: &Value) -> Option<Part> {
    match (volume, extent) {
        (Value::Text(volume), Value::Number(extent)) => Some(Part { volume: volume.clone(), extent: u64::try_from(*extent).ok()? }),
        _ => None,
    }
}

/// Names become paths in findings: nothing is in them that LVM would not allow.
fn checked_name(name: &str) -> Result<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+_.-".contains(&byte);
    if name.bytes().all(allowed) && name.len() <= NAME_BYTES_MAX && !["", ".", ".."].contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(ReadError::corrupt(
            "the metadata of a volume group",
            format!("{:?} is not a name", name.chars().take(NAME_BYTES_MAX).collect::<String>()),
        ))
    }
}

fn unhyphenated(uuid: &str) -> String {
    uuid.chars().filter(|c| *c != '-').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(logical: &str) -> Result<Group> {
        let text = format!(
            "vg-0 {{ id = \"ab-cd\" seqno = 3 extent_size = 8 physical_volumes {{ pv0 {{ id = \"x-y\" pe_start = 16 }} pv1 {{ id = \"z\" \
             pe_start = 16 flags = [\"MISSING\"] }} }} logical_volumes {{ {logical} }} }} contents = \"Text Format Volume Group\""
        );
        Group::parse(text.as_bytes())
    }

    fn part(volume: &str, extent: u64) -> Part {
        Part { volume: volume.to_owned(), extent }
    }

    #[test]
    fn a_group_and_its_volumes_are_read() {
        let group = group(
            "root { status = [\"READ\", \"VISIBLE\"] segment2 { start_extent = 4 extent_count = 2 type = \"striped\" stripe_size = 128 \
             stripes = [\"pv0\", 9, \"pv1\", 0] } segment1 { start_extent = 0 extent_count = 4 type = \"striped\" stripes = [\"pv0\", 5] } } \
             half { status = [\"REBUILD\"] segment1 { start_extent = 0 extent_count = 1 type = \"raid1\" raids = [\"m0\", \"i0\", \"m1\", \"i1\"] } }",
        )
        .unwrap();
        assert_eq!((group.name.as_str(), group.uuid.as_str(), group.seqno, group.extent_bytes), ("vg-0", "abcd", 3, 4096));
        assert_eq!(group.physical["pv0"], Physical { uuid: "xy".to_owned(), start: 8192, missing: false });
        assert!(group.physical["pv1"].missing);
        let linear = Layout::Striped { stripe_bytes: u64::MAX, parts: vec![part("pv0", 5)] };
        let striped = Layout::Striped { stripe_bytes: 65536, parts: vec![part("pv0", 9), part("pv1", 0)] };
        let segments = vec![Segment { start: 0, count: 4, layout: linear }, Segment { start: 4, count: 2, layout: striped }];
        assert_eq!(group.logical["root"], Logical { visible: true, segments, ..Logical::default() });
        let half = &group.logical["half"];
        assert!(half.rebuilding && !half.visible);
        assert_eq!(half.segments[0].layout, Layout::Mirrored(vec![part("i0", 0), part("i1", 0)]));
    }

    #[test]
    fn the_store_of_a_snapshot_is_not_taken_for_a_volume() {
        let plain = |name: &str| {
            format!("{name} {{ segment1 {{ start_extent = 0 extent_count = 1 type = \"striped\" stripes = [\"pv0\", 0] }} }} ")
        };
        let snapshot =
            "snapshot0 { segment1 { start_extent = 0 extent_count = 1 type = \"snapshot\" origin = \"root\" cow_store = \"old\" } }";
        let group = group(&(plain("root") + &plain("old") + snapshot)).unwrap();
        assert_eq!(group.logical["old"].disguise.as_deref(), Some("snapshot"));
        assert_eq!(group.logical["root"].disguise, None);
    }

    #[test]
    fn what_contradicts_itself_is_damage() {
        let segment =
            |start: &str, count: &str| format!("a {{ segment1 {{ start_extent = {start} extent_count = {count} type = \"x\" }} }}");
        assert!(group(&segment("0", "1")).is_ok());
        for (start, count) in [("1", "1"), ("0", "0"), ("-1", "2"), ("0", "-1"), ("0", "99999999999999999999"), ("0", "\"1\"")] {
            assert!(matches!(group(&segment(start, count)), Err(ReadError::Corrupt { .. })), "{start} {count}");
        }
        for logical in [
            "a { segment1 { start_extent = 0 extent_count = 1 type = \"striped\" stripes = [\"pv0\"] } }",
            "a { segment1 { start_extent = 0 extent_count = 1 type = \"striped\" stripes = [] } }",
            "a { segment1 { start_extent = 0 extent_count = 1 type = \"striped\" stripe_count = 2 stripes = [\"pv0\", 0] } }",
            "a { segment1 { start_extent = 0 extent_count = 2 type = \"striped\" stripes = [\"pv0\", 0, \"pv1\", 0] } }",
            "a { segment1 { start_extent = 0 extent_count = 1 type = \"x\" } segment2 { start_extent = 0 extent_count = 1 type = \"x\" } }",
            "a/b { }",
            ".. { }",
        ] {
            assert!(matches!(group(logical), Err(ReadError::Corrupt { .. })), "{logical}");
        }
        assert!(Group::parse(b"").is_err());
        assert!(Group::parse(b"vg { id = \"a\" seqno = 1 extent_size = 0 }").is_err());
        assert!(Group::parse(b"vg { id = \"a\" seqno = 1 extent_size = 9223372036854775807 }").is_err());
    }

    #[test]
    fn volumes_and_their_parts_have_an_end() {
        let many: String = (0..=LVM_LOGICAL_MAX).map(|n| format!("v{n} {{ }} ")).collect();
        assert!(matches!(group(&many), Err(ReadError::Limit { .. })));
        let stripes = "\"pv0\", 0, ".repeat(LVM_PARTS_MAX + 1);
        let wide = format!("a {{ segment1 {{ start_extent = 0 extent_count = 1 type = \"mirror\" mirrors = [{stripes}] }} }}");
        assert!(matches!(group(&wide), Err(ReadError::Limit { .. })));
    }
}
