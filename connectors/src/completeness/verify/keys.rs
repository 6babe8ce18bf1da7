//! Public keys of CloudTrail, and what is checked with them.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// How a PEM block of a public key begins and ends.
const PEM_MARKS: [(&str, &str); 2] =
    [("-----BEGIN RSA PUBLIC KEY-----", "-----END RSA PUBLIC KEY-----"), ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----")];

/// Public keys. CloudTrail has one for each region and time, and names them by fingerprints.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    named: BTreeMap<String, Vec<u8>>,
    /// Keys whose fingerprint was not told; each may be the one.
    unnamed: Vec<Vec<u8>>,
}

/// Why a file gives no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It cannot be read.
    #[error("{path}: cannot be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        cause: String,
    },
    /// It holds no keys.
    #[error("{path}: holds no RSA public keys{cause}; it may be what `aws cloudtrail list-public-keys` prints, PEM, or one key as DER")]
    NoKeys {
        /// The file.
        path: String,
        /// Why, beginning with a colon.
        cause: String,
    },
}

/// What `aws cloudtrail list-public-keys` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    public_key_list: Vec<ListedKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedKey {
    value: String,
    fingerprint: String,
}

/// What a signature turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Valid,
    Invalid,
    /// There is no key of that name.
    KeyUnknown,
}

impl Keys {
    /// Reads keys from a file: JSON as `aws cloudtrail list-public-keys` prints it, PEM, or one key as DER.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn from_file(path: &Path) -> Result<Self, KeysError> {
        let path_text = path.display().to_string();
        let content = std::fs::read(path).map_err(|error| KeysError::Unreadable { path: path_text.clone(), cause: error.to_string() })?;
        Self::parse(&content).map_err(|cause| KeysError::NoKeys { path: path_text, cause })
    }

    fn parse(content: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(content).map(str::trim).unwrap_or_default();
        let mut keys = Self::default();
        if text.starts_with('{') {
            let listed: Listed = serde_json::from_str(text).map_err(|error| format!(": {error}"))?;
            for key in listed.public_key_list {
                let der =
                    STANDARD.decode(key.value.trim()).map_err(|error| format!(": the key {} is no base64: {error}", key.fingerprint))?;
                keys.add(&key.fingerprint, der);
            }
        } else if text.starts_with("-----BEGIN") {
            keys.unnamed = pem_blocks(text)?;
        } else {
            keys.unnamed.push(content.to_vec());
        }
        let all = keys.named.values().chain(&keys.unnamed);
        if let Some(error) = all.map(|der| parses(der)).find_map(Result::err) {
            return Err(error);
        }
        if keys.is_empty() { Err(String::new()) } else { Ok(keys) }
    }

    /// Adds a key, as DER: PKCS#1, as CloudTrail gives it, or X.509.
    pub fn add(&mut self, fingerprint: &str, der: Vec<u8>) {
        self.named.insert(fingerprint.to_ascii_lowercase(), der);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed.is_empty()
    }

    /// Checks an RSA signature (PKCS#1 v1.5, SHA-256).
    pub(super) fn check(&self, fingerprint: &str, signed: &[u8], signature: &[u8]) -> Signature {
        let named = self.named.get(&fingerprint.to_ascii_lowercase());
        let candidates: Vec<&[u8]> = named.into_iter().chain(&self.unnamed).map(Vec::as_slice).collect();
        if candidates.is_empty() {
            return Signature::KeyUnknown;
        }
        let is_of = |der: &&[u8]| UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).verify(signed, signature).is_ok();
        if candidates.iter().any(is_of) { Signature::Valid } else { Signature::Invalid }
    }
}

fn pem_blocks(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut keys = Vec::new();
    for (begin, end) in PEM_MARKS {
        for block in text.split(begin).skip(1) {
            let Some((block, _)) = block.split_once(end) else { return Err(": a PEM block has no end".to_owned()) };
            let digits: String = block.split_whitespace().collect();
            keys.push(STANDARD.decode(digits).map_err(|error| format!(": a PEM block is no base64: {error}"))?);
        }
    }
    Ok(keys)
}

fn parses(der: &[u8]) -> Result<(), String> {
    let key = aws_lc_rs::signature::ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der);
    key.map(drop).map_err(|error| format!(": a key is refused: {error}"))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;

    use super::*;
    use crate::completeness::tests::sign;

    #[test]
    fn keys_are_read_as_aws_lists_them_as_pem_and_as_der() {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = pair.public_key().as_ref().to_vec();
        let x509 = pair.public_key().as_der().unwrap().as_ref().to_vec();
        let (signed, signature) = (b"text", sign(&pair, b"text"));
        let listed = serde_json::json!({"PublicKeyList": [
            {"Value": STANDARD.encode(&der), "ValidityStartTime": 1.0, "ValidityEndTime": 2.0, "Fingerprint": "AB12"}]});
        let listed = Keys::parse(listed.to_string().as_bytes()).unwrap();
        assert_eq!(listed.check("ab12", signed, &signature), Signature::Valid);
        assert_eq!(listed.check("ab12", b"other", &signature), Signature::Invalid);
        assert_eq!(listed.check("cd34", signed, &signature), Signature::KeyUnknown);
        let pem = |name: &str, der: &[u8]| format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", STANDARD.encode(der));
        for file in [der.clone(), x509.clone(), pem("RSA PUBLIC KEY", &der).into_bytes(), pem("PUBLIC KEY", &x509).into_bytes()] {
            let keys = Keys::parse(&file).unwrap();
            assert_eq!(keys.check("whatever", signed, &signature), Signature::Valid);
            assert_eq!(keys.check("whatever", b"other", &signature), Signature::Invalid);
        }
    }

    #[test]
    fn a_file_without_keys_says_so() {
        for file in ["", "no key", "{}", r#"{"PublicKeyList":[]}"#, "-----BEGIN PUBLIC KEY-----\nAA", "-----BEGIN X-----"] {
            assert!(Keys::parse(file.as_bytes()).is_err(), "{file}");
        }
    }
}
