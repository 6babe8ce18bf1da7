//! What the product certificates say, in the words of the findings.

use cloudigrade_schemas::findings::{Product, ProductCerts};

use super::{Unreadable, certificates};
use crate::tree::Files;

/// Reads the certificates of a system.
pub fn read(files: &dyn Files, unread: &mut Unreadable) -> ProductCerts {
    let certificates = certificates::read(files);
    for error in &certificates.errors {
        unread.note(b"/etc/pki", error);
    }
    let mut products = Vec::new();
    for file in certificates.files {
        match file.products {
            Ok(of_file) => products.extend(of_file.into_iter().map(|product| told(product, &file.path))),
            Err(error) => unread.note(file.path.as_bytes(), &error),
        }
    }
    products.sort();
    // A link that leads nowhere is no file, whatever its name.
    let named: Vec<String> = certificates.named_as_rhel.into_iter().filter(|path| files.stat(path.as_bytes()).is_ok()).collect();
    ProductCerts { rhel_found: !named.is_empty(), rhel_pem_files: named, products }
}

fn told(product: certificates::Product, path: &str) -> Product {
    Product {
        id: product.id.to_string(),
        name: product.name,
        version: product.version,
        architecture: product.architecture,
        tags: product.tags,
        source: path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryFiles;
    use super::*;

    #[test]
    fn a_certificate_counts_by_its_name_though_it_cannot_be_read_which_is_noted() {
        let mut unread = Unreadable::default();
        let found = read(&MemoryFiles::of(&[("/etc/pki/product/69.pem", "no certificate")]), &mut unread);
        assert_eq!((found.rhel_found, found.products.len()), (true, 0));
        assert_eq!(unread.into_noted()[0].path, "/etc/pki/product/69.pem");
    }

    #[test]
    fn a_link_to_nowhere_that_is_named_as_a_certificate_is_none() {
        let files = MemoryFiles::default().odd("/etc/pki/product/479.pem", "a link that leads nowhere");
        assert_eq!(read(&files, &mut Unreadable::default()), ProductCerts::default());
    }
}
