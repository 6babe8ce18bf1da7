//! The architecture of a system, from the header of a program that every system has.

use cloudigrade_schemas::findings::Architecture;

use super::shown;
use crate::tree::Files;

/// Programs that are looked at, in this order; what is found first holds.
const PROGRAMS: [&[u8]; 7] =
    [b"/usr/lib/systemd/systemd", b"/usr/bin/bash", b"/bin/bash", b"/bin/sh", b"/sbin/init", b"/usr/bin/rpm", b"/bin/rpm"];

/// Bytes of an ELF header up to and with the machine.
const HEADER_BYTES: usize = 20;

/// The architecture; `None` where no program says.
pub fn read(files: &dyn Files) -> Option<Architecture> {
    PROGRAMS.iter().find_map(|path| {
        let mut header = [0; HEADER_BYTES];
        files.open(path).ok()?.read_at(0, &mut header).ok()?;
        Some(Architecture { name: name(&header)?.to_owned(), source: shown(path) })
    })
}

/// The name that RPM has for the machine of an ELF header.
fn name(header: &[u8; HEADER_BYTES]) -> Option<&'static str> {
    let [0x7f, b'E', b'L', b'F', class, order, .., low, high] = *header else { return None };
    let is_64_bit = class == 2;
    let is_little = order == 1;
    let machine = if is_little { u16::from_le_bytes([low, high]) } else { u16::from_be_bytes([low, high]) };
    Some(match machine {
        3 => "i386",
        20 => "ppc",
        21 if is_little => "ppc64le",
        21 => "ppc64",
        22 if is_64_bit => "s390x",
        22 => "s390",
        40 => "arm",
        50 => "ia64",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryFiles;
    use super::*;

    fn elf(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut header = vec![0x7f, b'E', b'L', b'F', class, order];
        header.resize(18, 0);
        header.extend(machine);
        header.extend([0; 44]);
        header
    }

    #[test]
    fn machine_class_and_byte_order_tell_the_architecture() {
        let of = |class, order, machine| read(&MemoryFiles::default().with("/bin/sh", &elf(class, order, machine))).map(|of| of.name);
        assert_eq!(of(2, 1, [62, 0]).as_deref(), Some("x86_64"));
        assert_eq!(of(2, 1, [183, 0]).as_deref(), Some("aarch64"));
        assert_eq!(of(2, 1, [21, 0]).as_deref(), Some("ppc64le"));
        assert_eq!(of(2, 2, [0, 22]).as_deref(), Some("s390x"));
        assert_eq!(of(2, 1, [0xff, 0xff]), None);
    }

    #[test]
    fn a_script_and_a_short_file_are_passed_over() {
        let files = MemoryFiles::of(&[("/usr/bin/bash", "#!/bin/false, longer than a header"), ("/bin/bash", "")]);
        assert_eq!(read(&files), None);
        let found = read(&files.with("/sbin/init", &elf(2, 1, [62, 0]))).unwrap();
        assert_eq!((found.name.as_str(), found.source.as_str()), ("x86_64", "/sbin/init"));
    }
}
