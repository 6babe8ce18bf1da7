//! Who issued an OpenPGP signature, after RFC 4880 and RFC 9580. Nothing is verified here, and nothing of RPM is known: a signature is
//! evidence of its claimed issuer, and the key id is all that is taken from it.

use super::keys::KeyId;
use crate::limits::{OPENPGP_PACKETS_MAX, OPENPGP_SUBPACKETS_MAX};

/// Packet tag of a signature.
const SIGNATURE: u8 = 2;
/// Subpacket: the issuer's key id, 8 bytes.
const ISSUER_KEY_ID: u8 = 16;
/// Subpacket: version and fingerprint of the issuer's key.
const ISSUER_FINGERPRINT: u8 = 33;

/// The issuers of the signatures among the packets in `bytes`, in their order. What is no packet ends the search; a signature that does not
/// name its issuer, or not so that it can be read, is passed over.
pub(super) fn issuers(bytes: &[u8]) -> Vec<KeyId> {
    let mut rest = bytes;
    let mut found = Vec::new();
    for _ in 0..OPENPGP_PACKETS_MAX {
        let Some((tag, body, behind)) = packet(rest) else { break };
        if tag == SIGNATURE {
            found.extend(issuer(body));
        }
        rest = behind;
    }
    found
}

/// Splits off the first packet: its tag, its body, and what follows.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let (tag, len, rest) = match head {
        0xC0.. => {
            let (len, rest) = new_length(rest)?;
            (head & 0x3F, len, rest)
        }
        0x80.. => {
            let (len, rest) = old_length(head & 3, rest)?;
            (head >> 2 & 0xF, len, rest)
        }
        _ => return None,
    };
    let (body, behind) = rest.split_at_checked(len)?;
    Some((tag, body, behind))
}

/// A length of one, two or four bytes; `None` for a partial body, which a signature never has.
fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes.first()? {
        224..=254 => None,
        _ => length(bytes),
    }
}

/// The length of a packet in the old format. Kind 3 has none and reaches to the end.
fn old_length(kind: u8, bytes: &[u8]) -> Option<(usize, &[u8])> {
    match kind {
        0 => take(bytes, 1).map(|(len, rest)| (big_endian(len), rest)),
        1 => take(bytes, 2).map(|(len, rest)| (big_endian(len), rest)),
        2 => take(bytes, 4).map(|(len, rest)| (big_endian(len), rest)),
        _ => Some((bytes.len(), bytes)),
    }
}

/// A length as subpackets have it: one byte below 192, two below 255, else four.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        0..192 => Some((usize::from(first), rest)),
        192..255 => rest.split_first().map(|(&second, rest)| (((usize::from(first) - 192) << 8) + usize::from(second) + 192, rest)),
        255 => take(rest, 4).map(|(len, rest)| (big_endian(len), rest)),
    }
}

/// The issuer of one signature packet, by its body.
fn issuer(body: &[u8]) -> Option<KeyId> {
    let area_bytes = match *body.first()? {
        // Version, length 5, type, 4 bytes of time, key id.
        2 | 3 => return key_id(body.get(7..15)?),
        4 | 5 => 2,
        6 => 4,
        _ => return None,
    };
    // Version, type, two algorithms; then the hashed and the unhashed area of subpackets.
    let (hashed, rest) = area(body.get(4..)?, area_bytes)?;
    issuer_of_area(hashed).or_else(|| issuer_of_area(area(rest, area_bytes)?.0))
}

/// Splits off an area of subpackets, which begins with its length in `len_bytes` bytes.
fn area(bytes: &[u8], len_bytes: usize) -> Option<(&[u8], &[u8])> {
    let (len, rest) = take(bytes, len_bytes)?;
    take(rest, big_endian(len))
}

/// The first issuer that an area of subpackets names.
fn issuer_of_area(area: &[u8]) -> Option<KeyId> {
    let mut rest = area;
    for _ in 0..OPENPGP_SUBPACKETS_MAX {
        let (len, behind) = length(rest)?;
        let (subpacket, behind) = take(behind, len)?;
        let (&kind, content) = subpacket.split_first()?;
        // The highest bit says that the subpacket must be understood.
        let named = match kind & 0x7F {
            ISSUER_KEY_ID => key_id(content),
            ISSUER_FINGERPRINT => fingerprint(content),
            _ => None,
        };
        if named.is_some() {
            return named;
        }
        rest = behind;
    }
    None
}

/// The key id within a fingerprint, which begins with the key's version.
fn fingerprint(content: &[u8]) -> Option<KeyId> {
    let (&version, print) = content.split_first()?;
    match (version, print.len()) {
        (4, 20) => key_id(&print[12..]),
        (5 | 6, 32) => key_id(&print[..8]),
        _ => None,
    }
}

fn key_id(bytes: &[u8]) -> Option<KeyId> {
    Some(KeyId(u64::from_be_bytes(bytes.try_into().ok()?)))
}

fn take(bytes: &[u8], count: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(count)
}

/// The number in at most four bytes.
fn big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}
