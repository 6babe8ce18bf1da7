//! Checksums of partition tables and volume groups, made right over whatever is in them.

/// Sectors in which a GPT may have its header: with sectors of 512 and of 4096 bytes.
const GPT_HEADERS: [usize; 2] = [512, 4096];

/// Makes the checksums of primary GPT headers and their entries right.
pub fn fix_gpt(disk: &mut [u8]) {
    for at in GPT_HEADERS {
        let Some(header) = disk.get(at..at + 512) else { continue };
        let field = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap()) as usize;
        let (size, first, count, each) = (field(12), field(72), field(80), field(84));
        let entries = first.checked_mul(at).and_then(|from| Some(from..from.checked_add(count.checked_mul(each)?)?));
        if let Some(sum) = entries.and_then(|range| disk.get(range)).map(crc32fast::hash) {
            disk[at + 88..at + 92].copy_from_slice(&sum.to_le_bytes());
        }
        if (92..=512).contains(&size) {
            disk[at + 16..at + 20].fill(0);
            let sum = crc32fast::hash(&disk[at..at + size]);
            disk[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
        }
    }
}

/// Where a volume group's label and metadata area are in all seeds.
const LVM_LABEL: usize = 512;
const LVM_AREA: usize = 4096;

/// Makes the checksums of a physical volume's label, metadata header and text right.
pub fn fix_lvm(disk: &mut [u8]) {
    if let Some(label) = disk.get_mut(LVM_LABEL..LVM_LABEL + 512) {
        let sum = lvm(&label[20..]);
        label[16..20].copy_from_slice(&sum.to_le_bytes());
    }
    if disk.len() < LVM_AREA + 512 {
        return;
    }
    let field = |at: usize| u64::from_le_bytes(disk[LVM_AREA + at..LVM_AREA + at + 8].try_into().unwrap());
    let text = usize::try_from(field(40)).ok().and_then(|at| LVM_AREA.checked_add(at)).zip(usize::try_from(field(48)).ok());
    let sum = text.and_then(|(from, count)| disk.get(from..from.checked_add(count)?)).map(lvm);
    let header = &mut disk[LVM_AREA..LVM_AREA + 512];
    if let Some(sum) = sum {
        header[56..60].copy_from_slice(&sum.to_le_bytes());
    }
    let sum = lvm(&header[4..]);
    header[..4].copy_from_slice(&sum.to_le_bytes());
}

fn lvm(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    hasher.update(bytes);
    !hasher.finalize()
}

/// rpm's checksum over an entry of ndb.
pub fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    b << 16 | a
}

/// The CRC-32C of btrfs.
pub fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut value, mut bit) = (index as u32, 0);
            while bit < 8 {
                value = (value >> 1) ^ (POLYNOMIAL * (value & 1));
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |sum, byte| (sum >> 8) ^ TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize])
}
