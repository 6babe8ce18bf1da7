//! Headers of packages as they stand in an RPM database, with signatures that name a key but are signed by nobody.

/// Red Hat's release key 2.
pub const RED_HAT_RELEASE_KEY_2: u64 = 0x199e_2f91_fd43_1d51;
/// Red Hat's key of RHEL 5.
pub const RED_HAT_RELEASE_KEY: u64 = 0x5326_8101_3701_7186;
/// CentOS 7.
pub const CENTOS_7_KEY: u64 = 0x24c6_a8a7_f4a8_0eb5;
/// A key that is nobody's.
pub const UNKNOWN_KEY: u64 = 0x0123_4567_89ab_cdef;

/// Under which tag, and thus in which form, a package is signed.
#[derive(Clone, Copy, Debug)]
pub enum Signature {
    /// RSAHEADER, a binary packet of version 3, and SIGPGP with the same.
    Rsa(u64),
    /// DSAHEADER and SIGGPG: RHEL 5.
    Dsa(u64),
    /// RSAHEADER with a packet of version 4, whose issuer is a subpacket.
    RsaV4(u64),
    /// OPENPGP: a list of base64 texts.
    OpenPgp(u64),
}

/// An installed package.
#[derive(Clone, Debug)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub release: String,
    pub architecture: String,
    pub vendor: Option<String>,
    pub signature: Option<Signature>,
    /// Bytes of description, to give the header a size.
    pub padding: usize,
    /// Files in the package: a name, a digest and six numbers each.
    pub files: usize,
}

impl Package {
    /// A small unsigned package without vendor.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1.0".to_owned(),
            release: "1.el9".to_owned(),
            architecture: "x86_64".to_owned(),
            vendor: None,
            signature: None,
            padding: 0,
            files: 0,
        }
    }

    /// The same, signed.
    pub fn signed(self, signature: Signature) -> Self {
        Self { signature: Some(signature), ..self }
    }

    /// The same, of a vendor.
    pub fn of(self, vendor: &str) -> Self {
        Self { vendor: Some(vendor.to_owned()), ..self }
    }

    /// The header's bytes, without magic, as databases hold it.
    pub fn header(&self) -> Vec<u8> {
        let mut header = Header::default();
        for (tag, text) in [(1000, &self.name), (1001, &self.version), (1002, &self.release)] {
            header.string(tag, text);
        }
        header.internationalised(1004, "Summary");
        header.internationalised(1005, &"lorem ipsum dolor ".repeat(self.padding.div_ceil(18)));
        header.number(1009, 1);
        if let Some(vendor) = &self.vendor {
            header.string(1011, vendor);
        }
        header.string(1014, "GPLv2+");
        header.string(1021, "linux");
        header.string(1022, &self.architecture);
        if self.files > 0 {
            header.files(&self.name, self.files);
        }
        if let Some(signature) = self.signature {
            header.sign(signature);
        }
        header.finish()
    }
}

#[derive(Default)]
struct Header {
    /// Tag, type, count and bytes.
    entries: Vec<(u32, u32, u32, Vec<u8>)>,
}

impl Header {
    fn string(&mut self, tag: u32, text: &str) {
        self.entries.push((tag, 6, 1, [text.as_bytes(), b"\0"].concat()));
    }

    fn internationalised(&mut self, tag: u32, text: &str) {
        self.entries.push((tag, 9, 1, [text.as_bytes(), b"\0"].concat()));
    }

    fn number(&mut self, tag: u32, value: u32) {
        self.entries.push((tag, 4, 1, value.to_be_bytes().to_vec()));
    }

    fn binary(&mut self, tag: u32, bytes: Vec<u8>) {
        self.entries.push((tag, 7, bytes.len() as u32, bytes));
    }

    fn files(&mut self, package: &str, count: usize) {
        // Sizes, modes, times, flags, inodes and folders.
        for tag in [1028, 1030, 1034, 1037, 1096, 1116] {
            let numbers = (0..count as u32).flat_map(|file| (file % 7).to_be_bytes()).collect();
            self.entries.push((tag, 4, count as u32, numbers));
        }
        let mut texts = |tag, text: &dyn Fn(usize) -> String| {
            let bytes = (0..count).flat_map(|file| (text(file) + "\0").into_bytes()).collect();
            self.entries.push((tag, 8, count as u32, bytes));
        };
        texts(1035, &|file| format!("{file:064x}"));
        texts(1117, &|file| format!("{package}-file-{file}.conf"));
        self.entries.push((1118, 8, 7, (0..7).flat_map(|folder| format!("/usr/share/{package}/{folder}/\0").into_bytes()).collect()));
    }

    fn sign(&mut self, signature: Signature) {
        match signature {
            Signature::Rsa(key) => {
                self.binary(268, packet_v3(key, 1));
                self.binary(259, packet_v3(key, 1));
            }
            Signature::Dsa(key) => {
                self.binary(267, packet_v3(key, 17));
                self.binary(262, packet_v3(key, 17));
            }
            Signature::RsaV4(key) => self.binary(268, packet_v4(key)),
            Signature::OpenPgp(key) => {
                use base64::Engine as _;
                let text = base64::engine::general_purpose::STANDARD.encode(packet_v4(key));
                self.entries.push((278, 8, 1, [text.as_bytes(), b"\0"].concat()));
            }
        }
    }

    /// Index and data in one immutable region, as rpm writes them.
    fn finish(mut self) -> Vec<u8> {
        self.entries.sort_by_key(|entry| entry.0);
        let count = self.entries.len() as u32 + 1;
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, kind, number, bytes) in &self.entries {
            if *kind == 4 {
                data.resize(data.len().next_multiple_of(4), 0);
            }
            index.extend([*tag, *kind, data.len() as u32, *number].map(u32::to_be_bytes).concat());
            data.extend(bytes);
        }
        let region = [63, 7, data.len() as u32, 16].map(u32::to_be_bytes).concat();
        data.extend([63, 7, (count * 16).wrapping_neg(), 16].map(u32::to_be_bytes).concat());
        [[count, data.len() as u32].map(u32::to_be_bytes).concat(), region, index, data].concat()
    }
}

/// An OpenPGP signature packet of version 3: the key id is a fixed field.
fn packet_v3(key: u64, algorithm: u8) -> Vec<u8> {
    let mut body = vec![3, 5, 0];
    body.extend(1_500_000_000u32.to_be_bytes());
    body.extend(key.to_be_bytes());
    body.extend([algorithm, 8, 0xab, 0xcd, 0x00, 0x40, 0x80, 1, 2, 3, 4, 5, 6, 7]);
    packet(&body)
}

/// An OpenPGP signature packet of version 4: the key id is an unhashed subpacket.
fn packet_v4(key: u64) -> Vec<u8> {
    let mut body = vec![4, 0, 1, 8, 0, 6, 5, 2];
    body.extend(1_500_000_000u32.to_be_bytes());
    body.extend([0, 10, 9, 16]);
    body.extend(key.to_be_bytes());
    body.extend([0xab, 0xcd, 0x00, 0x40, 0x80, 1, 2, 3, 4, 5, 6, 7]);
    packet(&body)
}

/// Old packet format with a length of two bytes.
fn packet(body: &[u8]) -> Vec<u8> {
    [&[0x89][..], &(body.len() as u16).to_be_bytes(), body].concat()
}
