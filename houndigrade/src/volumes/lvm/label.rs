//! The label of a physical volume: which one it is, and where it keeps its group's metadata.

use super::super::bytes::{array, has, le_u32, le_u64, sums_agree};
use super::checksum;
use crate::limits::LVM_AREAS_MAX;

const SECTOR_BYTES: usize = 512;
const UUID_BYTES: usize = 32;

/// A part of a physical volume that is set aside for metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::volumes) struct Area {
    /// In bytes from the volume's begin.
    pub start: u64,
    /// In bytes.
    pub len: u64,
}

/// The label of a physical volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::volumes) struct Label {
    /// The volume's UUID, without hyphens.
    pub uuid: String,
    /// Its metadata areas: none, one or two.
    pub areas: Vec<Area>,
}

impl Label {
    /// Looks for a label in the first four sectors, which are of 512 bytes on every disk.
    pub(in crate::volumes) fn find(head: &[u8]) -> Option<Self> {
        let sectors = head.chunks_exact(SECTOR_BYTES).take(4);
        (0..).zip(sectors).find_map(|(number, sector)| Self::parse(sector, number))
    }

    fn parse(sector: &[u8], number: u64) -> Option<Self> {
        let is_label = has(sector, 0, b"LABELONE") && has(sector, 24, b"LVM2 001") && le_u64(sector, 8)? == number;
        if !is_label || !sums_agree(checksum(sector.get(20..)?), le_u32(sector, 16)?) {
            return None;
        }
        let header = usize::try_from(le_u32(sector, 20)?).ok()?;
        let uuid: [u8; UUID_BYTES] = array(sector, header)?;
        if !uuid.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        // Behind the UUID and the device's size: the data areas, a zero, the metadata areas, a zero.
        let after_data = header + UUID_BYTES + 8 + 16 * (areas(sector, header + UUID_BYTES + 8).count() + 1);
        let areas = areas(sector, after_data).take(LVM_AREAS_MAX).collect();
        Some(Self { uuid: uuid.iter().copied().map(char::from).collect(), areas })
    }
}

/// The areas listed from byte `at` of the sector on, which ends the list if nothing else does.
fn areas(sector: &[u8], at: usize) -> impl Iterator<Item = Area> {
    let area = |at| Some(Area { start: le_u64(sector, at)?, len: le_u64(sector, at + 8)? });
    (at..).step_by(16).map_while(area).take_while(|area| area.start != 0)
}

#[cfg(test)]
pub(in crate::volumes) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes a label into sector 1.
    pub(in crate::volumes) fn put_label(volume: &mut [u8], uuid: &str, areas: &[(u64, u64)]) {
        let mut sector = vec![0; SECTOR_BYTES];
        sector[..8].copy_from_slice(b"LABELONE");
        sector[8] = 1;
        sector[20] = 32;
        sector[24..32].copy_from_slice(b"LVM2 001");
        sector[32..64].copy_from_slice(uuid.as_bytes());
        sector[72..80].copy_from_slice(&(1_u64 << 20).to_le_bytes());
        for (index, (start, len)) in areas.iter().enumerate() {
            sector[104 + 16 * index..112 + 16 * index].copy_from_slice(&start.to_le_bytes());
            sector[112 + 16 * index..120 + 16 * index].copy_from_slice(&len.to_le_bytes());
        }
        let crc = checksum(&sector[20..]);
        sector[16..20].copy_from_slice(&crc.to_le_bytes());
        volume[512..1024].copy_from_slice(&sector);
    }

    const UUID: &str = "abcdefghijklmnopqrstuvwxyz012345";

    #[test]
    fn the_volume_and_its_areas_are_read() {
        let mut head = vec![0; 4096];
        put_label(&mut head, UUID, &[(4096, 8192), (1 << 40, 512)]);
        let areas = vec![Area { start: 4096, len: 8192 }, Area { start: 1 << 40, len: 512 }];
        assert_eq!(Label::find(&head), Some(Label { uuid: UUID.to_owned(), areas }));
    }

    #[test]
    fn a_label_with_a_wrong_checksum_or_in_another_sector_is_none() {
        let mut head = vec![0; 4096];
        put_label(&mut head, UUID, &[]);
        assert!(Label::find(&head).is_some());
        let mut moved = vec![0; 512];
        moved.extend(&head);
        assert_eq!(Label::find(&moved), None);
        head[512 + 40] ^= 1;
        assert_eq!(Label::find(&head), None);
    }

    proptest! {
        #[test]
        fn labels_of_any_bytes_do_no_harm(header in any::<u32>(), near in any::<u8>(), rest in prop::collection::vec(any::<u8>(), 480)) {
            for header in [header, u32::from(near) * 2] {
                let mut sector = b"LABELONE\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
                sector.extend(header.to_le_bytes());
                sector.extend(b"LVM2 001");
                sector.extend(&rest);
                let crc = checksum(&sector[20..]);
                sector[16..20].copy_from_slice(&crc.to_le_bytes());
                if let Some(label) = Label::find(&sector) {
                    prop_assert!(label.areas.len() <= LVM_AREAS_MAX);
                }
            }
        }
    }
}
