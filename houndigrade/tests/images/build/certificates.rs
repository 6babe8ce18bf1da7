//! Product certificates with Red Hat's object identifiers, signed by themselves.

use crate::tools;

/// What a product certificate says of one product.
pub struct Product<'a> {
    /// The engineering product id: 479 is RHEL for x86_64.
    pub id: u32,
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its architecture.
    pub architecture: &'a str,
}

/// A certificate in PEM.
pub fn product(product: &Product) -> Vec<u8> {
    let Product { id, name, version, architecture } = product;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("openssl.cnf");
    let oid = format!("1.3.6.1.4.1.2312.9.1.{id}");
    let text = format!(
        "[req]\ndistinguished_name=dn\nx509_extensions=extensions\nprompt=no\n[dn]\nCN=Red Hat Product ID {id}\n[extensions]\n\
         {oid}.1=ASN1:UTF8String:{name}\n{oid}.2=ASN1:UTF8String:{version}\n{oid}.3=ASN1:UTF8String:{architecture}\n\
         {oid}.4=ASN1:UTF8String:rhel-{version}\n"
    );
    std::fs::write(&config, text).unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/dev/null"];
    tools::succeed(tools::command("openssl").args(["req", "-x509", "-days", "3650", "-config"]).arg(&config).args(key)).stdout
}
