//! `product.pem` and `plain.pem` were made for these tests with `openssl req -x509`: products 479 and 288, and no product.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Certificates, Product, X509Extension, add, products, read};
use crate::error::{ReadError, Result};
use crate::filesystem::{FileKind, RandomFile, Stat};
use crate::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATES_BYTES_MAX, PRODUCT_STRING_BYTES_MAX};
use crate::tree::Files;

const PRODUCT: &str = include_str!("product.pem");
const PLAIN: &str = include_str!("plain.pem");

/// Files in memory by path; names without content are directories.
#[derive(Default)]
struct Memory(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Memory {
    fn with(mut self, path: &[u8], content: &str) -> Self {
        self.0.insert(path.to_vec(), Some(content.as_bytes().to_vec()));
        self
    }
}

impl Files for Memory {
    fn stat(&self, path: &[u8]) -> Result<Stat> {
        let content = self.0.get(path).ok_or_else(|| ReadError::not_found("it"))?;
        let len = content.as_ref().map_or(0, |content| content.len() as u64);
        Ok(Stat { kind: if content.is_some() { FileKind::Regular } else { FileKind::Directory }, len })
    }

    fn list(&self, path: &[u8], entries_max: usize) -> Result<Vec<Vec<u8>>> {
        let inside = |name: &Vec<u8>| name.strip_prefix(path)?.strip_prefix(b"/").map(<[u8]>::to_vec);
        let names: Vec<_> = self.0.keys().filter_map(inside).collect();
        if names.is_empty() {
            return Err(ReadError::not_found("it"));
        }
        if names.len() > entries_max {
            return Err(ReadError::Limit { what: "it".to_owned(), limit: entries_max as u64, unit: "names" });
        }
        Ok(names)
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        match self.0.get(path) {
            Some(Some(content)) => Ok(Box::new(content.clone())),
            Some(None) => Err(ReadError::WrongKind { what: "it".to_owned(), is: "a directory".to_owned() }),
            None => Err(ReadError::not_found("it")),
        }
    }
}

fn rhel() -> Product {
    Product {
        id: 479,
        name: Some("Red Hat Enterprise Linux for x86_64".to_owned()),
        version: Some("9.4".to_owned()),
        architecture: Some("x86_64".to_owned()),
        tags: Some("rhel-9,rhel-9-x86_64".to_owned()),
    }
}

/// What one file gives.
fn of(content: &str) -> Result<Vec<Product>> {
    products(content.as_bytes(), "/etc/pki/product/1.pem")
}

#[test]
fn all_products_of_a_certificate_are_told_and_fields_of_other_types_left_out() {
    let other = Product { id: 288, name: Some("OpenShift".to_owned()), version: Some("4.1".to_owned()), architecture: None, tags: None };
    assert_eq!(of(PRODUCT).unwrap(), [rhel(), other]);
}

#[test]
fn all_certificates_of_a_file_are_read_and_other_blocks_passed_over() {
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(of(&[key, PLAIN, PRODUCT].concat()).unwrap().len(), 2);
    assert_eq!(of(PLAIN).unwrap(), []);
}

#[test]
fn what_is_no_certificate_is_an_error() {
    let cut = &PRODUCT[..PRODUCT.len() / 2];
    let of_zeros = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for content in ["", "something else", cut, of_zeros] {
        assert!(matches!(of(content), Err(ReadError::Corrupt { .. })), "{content}");
    }
}

#[test]
fn one_that_cannot_be_read_does_not_hide_the_others() {
    let large = "x".repeat(70_000);
    let mut files = Memory::default().with(b"/etc/pki/product/1.pem", &large).with(b"/etc/pki/product/2.pem", "broken");
    files = files.with(b"/etc/pki/product-default/479.pem", PRODUCT).with(b"/etc/pki/product-default/\xFF.pem", PLAIN);
    files.0.insert(b"/etc/pki/product/69.pem".to_vec(), None);
    let certificates = read(&files);
    let kinds: Vec<_> = certificates.files.iter().map(|file| (file.path.as_str(), file.products.is_ok())).collect();
    let (product, default) = ("/etc/pki/product", "/etc/pki/product-default");
    let expected = [
        (format!("{product}/1.pem"), false),
        (format!("{product}/2.pem"), false),
        (format!("{product}/69.pem"), false),
        (format!("{default}/479.pem"), true),
        (format!("{default}/\u{FFFD}.pem"), true),
    ];
    assert_eq!(kinds, expected.each_ref().map(|(path, sound)| (path.as_str(), *sound)));
    assert!(matches!(certificates.files[0].products, Err(ReadError::Limit { .. })));
    assert_eq!(certificates.files[3].products.as_ref().unwrap()[0], rhel());
}

#[test]
fn the_predecessor_goes_by_names_alone() {
    let files = Memory::default().with(b"/etc/pki/product/69.pem", "").with(b"/etc/pki/product/690.pem", PRODUCT);
    let certificates = read(&files.with(b"/etc/pki/product-default/479.pem", PLAIN).with(b"/etc/pki/product/479.pem.bak", ""));
    assert_eq!(certificates.named_as_rhel, ["/etc/pki/product/69.pem", "/etc/pki/product-default/479.pem"]);
    assert_eq!(certificates.files.len(), 3);
}

#[test]
fn a_directory_that_is_not_there_is_no_error_and_one_that_is_too_large_is() {
    let Certificates { named_as_rhel, files, errors } = read(&Memory::default());
    assert_eq!((named_as_rhel.len(), files.len(), errors.len()), (0, 0, 0));
    let many = (0..1001).fold(Memory::default(), |files, number| files.with(format!("/etc/pki/product/{number}").as_bytes(), ""));
    let certificates = read(&many);
    assert!(matches!(certificates.errors[..], [ReadError::Limit { .. }]));
}

proptest! {
    #[test]
    fn mutated_certificates_end(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        let pem = x509_parser::pem::Pem::iter_from_buffer(PRODUCT.as_bytes()).next().unwrap().unwrap();
        let mut der = pem.contents;
        for (place, byte) in places {
            let place = place.index(der.len());
            der[place] = byte;
        }
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let _ = of(&format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"));
    }

    #[test]
    fn arbitrary_text_ends(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = products(&[b"-----BEGIN CERTIFICATE-----\n", &bytes[..], b"\n-----END CERTIFICATE-----\n"].concat(), "it");
        let _ = products(&bytes, "it");
    }
}

#[test]
fn what_is_said_of_a_product_at_great_length_is_refused() {
    let said = |bytes: usize| {
        let oid = x509_parser::der_parser::oid!(1.3.6.1.4.1.2312.9.1.479.1);
        let value = [&[0x0C, 0x82, (bytes >> 8) as u8, bytes as u8][..], &vec![b'a'; bytes]].concat();
        let mut products = Vec::new();
        let extension = X509Extension::new(oid, false, &value, x509_parser::extensions::ParsedExtension::Unparsed);
        add(&mut products, &extension, "/etc/pki/product/479.pem").map(|()| products.len())
    };
    assert_eq!(said(PRODUCT_STRING_BYTES_MAX - 4).unwrap(), 1);
    assert!(matches!(said(PRODUCT_STRING_BYTES_MAX), Err(ReadError::Limit { .. })));
}

#[test]
fn certificates_end_at_a_limit_for_all_together() {
    let large = format!("{PRODUCT}{}", " ".repeat(CERTIFICATE_BYTES_MAX - PRODUCT.len()));
    let of_all = CERTIFICATES_BYTES_MAX / CERTIFICATE_BYTES_MAX;
    let files =
        (0..=of_all).fold(Memory::default(), |all, number| all.with(format!("/etc/pki/product/{number:04}.pem").as_bytes(), &large));
    let read = read(&files);
    assert!(read.files[..of_all].iter().all(|file| file.products.is_ok()));
    assert!(matches!(read.files[of_all].products, Err(ReadError::Limit { .. })));
}
