use super::build::{CENTOS, RED_HAT, body_v4, packet, signature_v4};
use crate::rpmdb::keys::KeyId;
use crate::rpmdb::signature::issuers;

/// Subpacket of a fingerprint.
fn fingerprint(version: u8, print: &[u8]) -> Vec<u8> {
    [&[print.len() as u8 + 2, 33, version][..], print].concat()
}

fn body_v3(key: u64) -> Vec<u8> {
    [&[3, 5, 0, 0, 0, 0, 1][..], &key.to_be_bytes(), &[17, 2, 0xAB, 0xCD, 0, 8, 0xFF]].concat()
}

#[test]
fn the_issuer_is_at_its_fixed_place_in_version_3() {
    assert_eq!(issuers(&packet(&body_v3(RED_HAT))), [KeyId(RED_HAT)]);
}

#[test]
fn the_issuer_is_found_in_either_area_of_version_4_by_id_or_fingerprint() {
    let print = [&[1; 12][..], &RED_HAT.to_be_bytes()].concat();
    let hashed = body_v4(&[&[2, 0x80 | 99, 0][..], &fingerprint(4, &print)].concat(), &[]);
    assert_eq!(issuers(&packet(&hashed)), [KeyId(RED_HAT)]);
    assert_eq!(issuers(&signature_v4(CENTOS)), [KeyId(CENTOS)]);
}

#[test]
fn the_issuer_of_version_6_is_the_beginning_of_its_fingerprint() {
    let area = fingerprint(6, &[&0xfcd3_55b3_0570_7a62u64.to_be_bytes()[..], &[2; 24]].concat());
    let body = [&[6, 0, 107, 10][..], &(area.len() as u32).to_be_bytes(), &area, &[0, 0, 0, 0, 1, 2]].concat();
    assert_eq!(issuers(&packet(&body)), [KeyId(0xfcd3_55b3_0570_7a62)]);
}

#[test]
fn all_forms_of_a_packets_length_are_read() {
    let body = body_v3(RED_HAT);
    let len = body.len() as u8;
    let heads: [&[u8]; 6] = [&[0x88, len], &[0x89, 0, len], &[0x8A, 0, 0, 0, len], &[0x8B], &[0xC2, len], &[0xC2, 0xFF, 0, 0, 0, len]];
    for head in heads {
        assert_eq!(issuers(&[head, &body].concat()), [KeyId(RED_HAT)], "{head:?}");
    }
    let long = body_v4(&[&[255, 0, 0, 0, 200, 20][..], &[0; 199]].concat(), &[&[9, 16][..], &CENTOS.to_be_bytes()].concat());
    let (high, low) = ((long.len() - 192) >> 8, (long.len() - 192) & 0xFF);
    assert_eq!(issuers(&[&[0xC2, 192 + high as u8, low as u8][..], &long].concat()), [KeyId(CENTOS)]);
}

#[test]
fn several_signatures_are_all_told_up_to_the_limit_and_other_packets_passed_over() {
    let user_id = [0xCD, 3, b'a', b'b', b'c'];
    let several = [&signature_v4(RED_HAT)[..], &user_id, &signature_v4(CENTOS)].concat();
    assert_eq!(issuers(&several), [KeyId(RED_HAT), KeyId(CENTOS)]);
    assert_eq!(issuers(&signature_v4(RED_HAT).repeat(1000)).len(), 16);
}

#[test]
fn what_is_cut_off_or_unknown_has_no_issuer() {
    let whole = signature_v4(RED_HAT);
    for len in 0..whole.len() {
        assert_eq!(issuers(&whole[..len]), [], "{len} bytes");
    }
    assert_eq!(issuers(&packet(&[9, 1, 2, 3])), []);
    assert_eq!(issuers(&[0xC2, 0xE1, 4, 0]), []);
    assert_eq!(issuers(&packet(&body_v4(&fingerprint(4, &[1; 3]), &[0, 0, 0]))), []);
}
