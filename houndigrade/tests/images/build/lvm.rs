//! LVM2 physical volumes. [`Group`] is made by the real tools on loop devices; [`physical_volume`] writes a label and metadata by itself, for
//! what the tools refuse to make without the device mapper, and for what no tool would make.

use super::image::{Image, MIB};
use super::loops::Loop;
use crate::tools;

/// Bytes of an extent in all groups made here.
pub const EXTENT_BYTES: u64 = 4 * MIB;
/// Where the first extent begins on a physical volume, in bytes.
pub const FIRST_EXTENT: u64 = MIB;

/// A logical volume that is to be.
pub struct Logical<'a> {
    /// Its name.
    pub name: &'a str,
    /// Options of lvcreate, such as `--stripes 2`.
    pub options: &'a [&'a str],
    /// Its content; its length is rounded up to whole extents.
    pub content: &'a Image,
}

/// Makes a group over blank images with lvm2 and puts the contents where its segments say. `None` where loop devices are not permitted.
pub fn group(name: &str, sizes: &[u64], logical: &[Logical]) -> Option<Vec<Image>> {
    let images: Vec<_> = sizes.iter().map(|bytes| Image::blank(*bytes)).collect();
    let loops: Vec<_> = images.iter().filter_map(Loop::attach).collect();
    if loops.len() < images.len() {
        tools::skipped("no loop devices for lvm2");
        return None;
    }
    let devices: Vec<_> = loops.iter().map(|device| device.device().to_str().unwrap().to_owned()).collect();
    let lvm = Lvm { system: tempfile::tempdir().unwrap(), devices };
    for device in &lvm.devices {
        lvm.run(&["pvcreate", "--yes", "-ff", device]);
    }
    let all: Vec<_> = lvm.devices.iter().map(String::as_str).collect();
    lvm.run(&[&["vgcreate", name], all.as_slice()].concat());
    for volume in logical {
        let extents = volume.content.len().div_ceil(EXTENT_BYTES).to_string();
        let fixed = ["lvcreate", "-an", "-Zn", "-Wn", "--yes", "-n", volume.name, "-l", &extents];
        lvm.run(&[&fixed, volume.options, &[name]].concat());
    }
    let fields = "lv_name,seg_start_pe,seg_le_ranges,stripe_size";
    let segments = lvm.run(&["lvs", "--noheadings", "--segments", "--separator", ";", "--units", "b", "-o", fields, name]);
    for line in segments.lines() {
        let segment = Segment::parse(line.trim(), &lvm.devices);
        let volume = logical.iter().find(|volume| volume.name == segment.volume).unwrap();
        segment.scatter(volume.content, &images);
    }
    Some(images)
}

/// One segment of a logical volume: its extents from `start` on lie on `legs`, by turns of `stripe` bytes.
struct Segment {
    volume: String,
    start: u64,
    /// Index of the physical volume, first and last extent there.
    legs: Vec<(usize, u64, u64)>,
    stripe: u64,
}

impl Segment {
    /// Reads a line of lvs: `usr;0;/dev/loop0:10-14,/dev/loop1:0-4;65536B`.
    fn parse(line: &str, devices: &[String]) -> Self {
        let mut fields = line.split(';');
        let mut next = || fields.next().unwrap();
        let (volume, start, ranges, stripe) = (next().to_owned(), next().parse().unwrap(), next(), next());
        let legs = ranges.split(',').map(|range| {
            let (device, extents) = range.split_once(':').unwrap();
            let (first, last) = extents.split_once('-').unwrap();
            (devices.iter().position(|known| known == device).unwrap(), first.parse().unwrap(), last.parse().unwrap())
        });
        Self { volume, start, legs: legs.collect(), stripe: stripe.trim_end_matches('B').parse().unwrap() }
    }

    fn scatter(&self, content: &Image, images: &[Image]) {
        let (_, first, last) = self.legs[0];
        let leg_bytes = (last - first + 1) * EXTENT_BYTES;
        let unit = if self.legs.len() == 1 { leg_bytes } else { self.stripe };
        for (turn, from) in (0..leg_bytes).step_by(unit as usize).enumerate() {
            for (leg, (image, first, _)) in self.legs.iter().enumerate() {
                let at = self.start * EXTENT_BYTES + (turn * self.legs.len() + leg) as u64 * unit;
                let count = unit.min(content.len().saturating_sub(at));
                images[*image].place(FIRST_EXTENT + first * EXTENT_BYTES + from, content, at, count);
            }
        }
    }
}

/// A physical volume with a label and one metadata area, as lvm2 lays them out, holding any text as metadata.
pub fn physical_volume(bytes: u64, uuid: &str, metadata: &str) -> Image {
    let image = Image::blank(bytes);
    write_metadata(&image, uuid, metadata.as_bytes());
    image
}

/// Where the metadata area begins, in bytes, and how long it is.
const AREA: (u64, u64) = (4096, MIB - 4096);

/// Writes label and metadata over what an image has at its start.
pub fn write_metadata(image: &Image, uuid: &str, metadata: &[u8]) {
    let mut label = vec![0; 512];
    label[..8].copy_from_slice(b"LABELONE");
    label[8..16].copy_from_slice(&1u64.to_le_bytes());
    label[20..24].copy_from_slice(&32u32.to_le_bytes());
    label[24..32].copy_from_slice(b"LVM2 001");
    let mut header: Vec<u8> = uuid.bytes().filter(|byte| *byte != b'-').collect();
    // Its length; the data area and the end of data areas; the metadata area and the end of those.
    for value in [image.len(), FIRST_EXTENT, 0, 0, 0, AREA.0, AREA.1, 0, 0] {
        header.extend(value.to_le_bytes());
    }
    label[32..32 + header.len()].copy_from_slice(&header);
    let sum = checksum(&label[20..]);
    label[16..20].copy_from_slice(&sum.to_le_bytes());
    image.write(512, &label);

    let text = [metadata, b"\0"].concat();
    let mut area = vec![0; 512];
    area[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
    area[20..24].copy_from_slice(&1u32.to_le_bytes());
    for (index, value) in [AREA.0, AREA.1, 512, text.len() as u64, checksum(&text).into()].into_iter().enumerate() {
        area[24 + 8 * index..32 + 8 * index].copy_from_slice(&u64::to_le_bytes(value));
    }
    let sum = checksum(&area[4..]);
    area[..4].copy_from_slice(&sum.to_le_bytes());
    image.write(AREA.0, &area);
    image.write(AREA.0 + 512, &text);
}

/// lvm2's CRC-32: the usual polynomial with a start of its own and without the inversion at the end.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(!0xf597_a6cf);
    hasher.update(bytes);
    !hasher.finalize()
}

/// Metadata of a group of one physical volume; `logical` is the text in the `logical_volumes` section.
pub fn metadata(group: &str, uuid: &str, extents: u64, logical: &str) -> String {
    format!(
        "{group} {{\nid = \"x28sot-l3gw-Iesl-3V9B-smct-4BJ3-Ij0U4U\"\nseqno = 2\nformat = \"lvm2\"\nstatus = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\n\
         flags = []\nextent_size = {sectors}\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\n\
         physical_volumes {{\npv0 {{\nid = \"{uuid}\"\ndevice = \"/dev/sda\"\nstatus = [\"ALLOCATABLE\"]\nflags = []\n\
         dev_size = {device}\npe_start = {first}\npe_count = {extents}\n}}\n}}\n\
         logical_volumes {{\n{logical}\n}}\n}}\n\
         contents = \"Text Format Volume Group\"\nversion = 1\ndescription = \"\"\ncreation_host = \"host\"\ncreation_time = 1500000000\n",
        sectors = EXTENT_BYTES / 512,
        device = (extents * EXTENT_BYTES + 2 * MIB) / 512,
        first = FIRST_EXTENT / 512,
    )
}

/// A logical volume's section of metadata with the given segments.
pub fn logical_section(name: &str, status: &str, segments: &[&str]) -> String {
    let mut text = format!(
        "{name} {{\nid = \"kLkkdf-49cb-eGFZ-MoA0-Q4dO-4IX6-{name:0<6.6}\"\nstatus = [{status}]\nflags = []\nsegment_count = {}\n",
        segments.len()
    );
    for (number, segment) in (1..).zip(segments) {
        text += &format!("segment{number} {{\n{segment}\n}}\n");
    }
    text + "}\n"
}

/// A linear segment on `pv0`.
pub fn linear(start: u64, count: u64, first: u64) -> String {
    format!("start_extent = {start}\nextent_count = {count}\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"pv0\", {first}]")
}

struct Lvm {
    system: tempfile::TempDir,
    devices: Vec<String>,
}

impl Lvm {
    /// Runs one of lvm2's commands, kept from this machine's own volumes and from the device mapper.
    fn run(&self, arguments: &[&str]) -> String {
        let accept: String = self.devices.iter().map(|device| format!("\"a|^{device}$|\",")).collect();
        let config = format!(
            "devices{{use_devicesfile=0 filter=[{accept}\"r|.*|\"]}}activation{{udev_sync=0 udev_rules=0}}global{{locking_dir=\"{}\"}}",
            self.system.path().display()
        );
        let output = tools::succeed(
            tools::command("lvm")
                .args(arguments)
                .args(["--driverloaded", "n", "--config", &config])
                .env("LVM_SYSTEM_DIR", self.system.path())
                .env("LVM_SUPPRESS_FD_WARNINGS", "1"),
        );
        String::from_utf8(output.stdout).unwrap()
    }
}
