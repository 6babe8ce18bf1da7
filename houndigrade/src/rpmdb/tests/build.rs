//! Writers of headers, signatures and databases, just good enough for tests.

/// Red Hat's release key 2.
pub const RED_HAT: u64 = 0x199e_2f91_fd43_1d51;
/// CentOS 7's key.
pub const CENTOS: u64 = 0x24c6_a8a7_f4a8_0eb5;

/// A header that grows tag by tag.
#[derive(Clone, Default)]
pub struct Header {
    index: Vec<u8>,
    data: Vec<u8>,
    entries: u32,
}

impl Header {
    /// A package as the databases have it.
    pub fn package(name: &str) -> Self {
        Self::default().string(1000, name).string(1001, "9.4").string(1002, "0.4.el9").string(1022, "x86_64")
    }

    /// A package that is signed with a key.
    pub fn signed(name: &str, key: u64) -> Self {
        Self::package(name).binary(268, &signature_v4(key))
    }

    pub fn entry(mut self, tag: u32, kind: u32, offset: u32, count: u32) -> Self {
        for number in [tag, kind, offset, count] {
            self.index.extend(number.to_be_bytes());
        }
        self.entries += 1;
        self
    }

    fn value(mut self, tag: u32, kind: u32, count: usize, value: &[u8]) -> Self {
        let offset = self.data.len() as u32;
        self.data.extend(value);
        self.entry(tag, kind, offset, count as u32)
    }

    pub fn string(self, tag: u32, value: &str) -> Self {
        self.value(tag, 6, 1, &[value.as_bytes(), b"\0"].concat())
    }

    pub fn binary(self, tag: u32, value: &[u8]) -> Self {
        self.value(tag, 7, value.len(), value)
    }

    pub fn strings(self, tag: u32, values: &[String]) -> Self {
        let value: Vec<u8> = values.iter().flat_map(|value| [value.as_bytes(), b"\0"].concat()).collect();
        self.value(tag, 8, values.len(), &value)
    }

    /// Fills it up so that it needs several pages.
    pub fn large(self, bytes: usize) -> Self {
        self.binary(9_999, &vec![7; bytes])
    }

    pub fn blob(self) -> Vec<u8> {
        [&self.entries.to_be_bytes()[..], &(self.data.len() as u32).to_be_bytes(), &self.index, &self.data].concat()
    }
}

/// A packet of a signature in the new format.
pub fn packet(body: &[u8]) -> Vec<u8> {
    [&[0xC2, 0xFF][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

/// The body of a signature of version 4 with these areas of subpackets.
pub fn body_v4(hashed: &[u8], unhashed: &[u8]) -> Vec<u8> {
    let len = |area: &[u8]| (area.len() as u16).to_be_bytes();
    [&[4, 0, 1, 8][..], &len(hashed), hashed, &len(unhashed), unhashed, &[0xAB, 0xCD, 0, 8, 0xFF]].concat()
}

/// A signature as rpm stores it: made at some time, its issuer in the area that is not hashed.
pub fn signature_v4(key: u64) -> Vec<u8> {
    packet(&body_v4(&[5, 2, 0, 0, 0, 1], &[&[9, 16][..], &key.to_be_bytes()].concat()))
}

/// The number in the variable form of SQLite.
pub fn varint(number: u64) -> Vec<u8> {
    let mut bytes = vec![(number & 0x7F) as u8];
    let mut rest = number >> 7;
    while rest > 0 {
        bytes.insert(0, 0x80 | (rest & 0x7F) as u8);
        rest >>= 7;
    }
    bytes
}
