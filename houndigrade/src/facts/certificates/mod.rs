//! Product certificates: what Red Hat products subscription-manager takes to be installed. They are read, not verified: whoever owns the
//! disk can have put them there.

use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate, X509Extension};

use crate::error::{ReadError, Result};
use crate::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATE_PRODUCTS_MAX, CERTIFICATES_BYTES_MAX, CERTIFICATES_MAX, PRODUCT_STRING_BYTES_MAX};
use crate::tree::Files;

/// Where product certificates are: those of what was installed, and those of the image's makers.
pub const DIRECTORIES: [&str; 2] = ["/etc/pki/product", "/etc/pki/product-default"];
/// Names of files that the predecessor takes for RHEL without reading them: RHEL Server, and RHEL for x86_64.
const NAMES_OF_RHEL: [&[u8]; 2] = [b"69.pem", b"479.pem"];
/// Red Hat's products among the object identifiers: the next number is a product's, and the one behind it says what of it.
const PRODUCTS: [u64; 9] = [1, 3, 6, 1, 4, 1, 2312, 9, 1];
/// ASN.1 tags of strings: UTF-8, printable, ASCII.
const STRING_TAGS: [u8; 3] = [0x0C, 0x13, 0x16];

/// A product that a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Red Hat's number for it: 479 is RHEL for x86_64.
    pub id: u64,
    /// `Red Hat Enterprise Linux for x86_64`.
    pub name: Option<String>,
    /// `9.4`.
    pub version: Option<String>,
    /// `x86_64`.
    pub architecture: Option<String>,
    /// What it provides: `rhel-9,rhel-9-x86_64`.
    pub tags: Option<String>,
}

/// A file of certificates.
#[derive(Clone, Debug)]
pub struct CertificateFile {
    /// Its path. What is not UTF-8 in it has been replaced.
    pub path: String,
    /// The products of its certificates; none if it has certificates, but of something else.
    pub products: Result<Vec<Product>>,
}

/// All that is known of product certificates.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// Paths of the files that the predecessor takes for RHEL by their names alone.
    pub named_as_rhel: Vec<String>,
    /// The files whose names end in `.pem`, by directory and name.
    pub files: Vec<CertificateFile>,
    /// Directories that could not be listed. One that does not exist is none of them.
    pub errors: Vec<ReadError>,
}

/// Reads the product certificates of a system. One that cannot be read does not hide the others.
pub fn read(files: &dyn Files) -> Certificates {
    let mut certificates = Certificates::default();
    let mut bytes_left = CERTIFICATES_BYTES_MAX;
    for directory in DIRECTORIES {
        let names = match files.list(directory.as_bytes(), CERTIFICATES_MAX) {
            Ok(names) => names,
            Err(ReadError::NotFound { .. }) => continue,
            Err(error) => {
                certificates.errors.push(error);
                continue;
            }
        };
        for name in names.iter().filter(|name| name.ends_with(b".pem")) {
            let path = [directory.as_bytes(), b"/", name].concat();
            let shown = String::from_utf8_lossy(&path).into_owned();
            if NAMES_OF_RHEL.contains(&name.as_slice()) {
                certificates.named_as_rhel.push(shown.clone());
            }
            let content = files.read(&path, CERTIFICATE_BYTES_MAX.min(bytes_left));
            bytes_left -= content.as_ref().map_or(0, Vec::len).min(bytes_left);
            let products = content.and_then(|content| products(&content, &shown));
            certificates.files.push(CertificateFile { path: shown, products });
        }
    }
    certificates
}

/// The products of all certificates in a file.
fn products(content: &[u8], path: &str) -> Result<Vec<Product>> {
    let damaged = |why: String| ReadError::corrupt(path, why);
    let mut products = Vec::new();
    let mut certificates = 0;
    for pem in Pem::iter_from_buffer(content) {
        let pem = pem.map_err(|error| damaged(error.to_string()))?;
        if pem.label != "CERTIFICATE" {
            continue;
        }
        certificates += 1;
        let (_, certificate) = X509Certificate::from_der(&pem.contents).map_err(|error| damaged(error.to_string()))?;
        for extension in certificate.extensions() {
            add(&mut products, extension, path)?;
        }
        if products.len() > CERTIFICATE_PRODUCTS_MAX {
            return Err(ReadError::Limit { what: path.to_owned(), limit: CERTIFICATE_PRODUCTS_MAX as u64, unit: "products" });
        }
    }
    if certificates == 0 {
        return Err(damaged("there is no certificate in it".to_owned()));
    }
    Ok(products)
}

/// Adds what an extension says of a product, if it does; `Limit` if it says too much.
fn add(products: &mut Vec<Product>, extension: &X509Extension<'_>, path: &str) -> Result<()> {
    let Some((id, field)) = product_field(extension) else { return Ok(()) };
    let at = products.iter().position(|product| product.id == id).unwrap_or_else(|| {
        products.push(Product { id, name: None, version: None, architecture: None, tags: None });
        products.len() - 1
    });
    let product = &mut products[at];
    let place = match field {
        1 => &mut product.name,
        2 => &mut product.version,
        3 => &mut product.architecture,
        4 => &mut product.tags,
        _ => return Ok(()),
    };
    if extension.value.len() > PRODUCT_STRING_BYTES_MAX {
        let what = format!("what {path} says of product {id}");
        return Err(ReadError::Limit { what, limit: PRODUCT_STRING_BYTES_MAX as u64, unit: "bytes" });
    }
    *place = string(extension.value);
    Ok(())
}

/// Which product and which of its fields an extension is about.
fn product_field(extension: &X509Extension<'_>) -> Option<(u64, u64)> {
    let mut numbers = extension.oid.iter()?;
    if !PRODUCTS.iter().all(|number| numbers.next() == Some(*number)) {
        return None;
    }
    let (id, field) = (numbers.next()?, numbers.next()?);
    numbers.next().is_none().then_some((id, field))
}

/// The string in a value. What is not UTF-8 in it is replaced.
fn string(value: &[u8]) -> Option<String> {
    let (&tag, rest) = value.split_first()?;
    if !STRING_TAGS.contains(&tag) {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81 => rest.split_first().map(|(len, rest)| (usize::from(*len), rest))?,
        0x82 => rest.split_first_chunk().map(|(len, rest)| (usize::from(u16::from_be_bytes(*len)), rest))?,
        _ => return None,
    };
    rest.get(..len).map(|text| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests;
