use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::build::{CENTOS, Header, RED_HAT, signature_v4};
use crate::error::ReadError;
use crate::rpmdb::header::Package;
use crate::rpmdb::keys::KeyId;

#[test]
fn a_header_says_its_package_vendor_and_signer() {
    let blob = Header::signed("redhat-release", RED_HAT).string(1011, "Red Hat, Inc.").blob();
    let package = Package::parse(&blob).unwrap();
    assert_eq!((package.name, package.version), (&b"redhat-release"[..], &b"9.4"[..]));
    assert_eq!((package.arch, package.vendor), (&b"x86_64"[..], &b"Red Hat, Inc."[..]));
    assert_eq!((package.signatures, package.signers), (1, vec![KeyId(RED_HAT)]));
}

#[test]
fn each_tag_of_signatures_is_read_and_a_key_in_several_is_told_once() {
    for tag in [259, 262, 267, 268] {
        let blob = Header::package("a").binary(tag, &signature_v4(CENTOS)).blob();
        assert_eq!(Package::parse(&blob).unwrap().signers, [KeyId(CENTOS)], "tag {tag}");
    }
    let blob = Header::signed("a", RED_HAT).binary(259, &signature_v4(RED_HAT)).blob();
    assert_eq!(Package::parse(&blob).unwrap().signers, [KeyId(RED_HAT)]);
}

#[test]
fn openpgp_signatures_are_read_from_base64_and_broken_ones_are_still_signatures() {
    let strings = ["%%%".to_owned(), STANDARD.encode(signature_v4(CENTOS)), STANDARD.encode(signature_v4(RED_HAT))];
    let blob = Header::package("a").strings(278, &strings).blob();
    assert_eq!(Package::parse(&blob).unwrap().signers, [KeyId(CENTOS), KeyId(RED_HAT)]);
    let blob = Header::package("a").strings(278, &strings[..1]).blob();
    let package = Package::parse(&blob).unwrap();
    assert_eq!((package.signatures, package.signers.len()), (1, 0));
}

#[test]
fn regions_are_passed_over_whatever_they_refer_to() {
    let blob = Header::default().entry(63, 7, u32::MAX, 16).string(1000, "a").blob();
    assert_eq!(Package::parse(&blob).unwrap().name, b"a");
}

#[test]
fn of_a_tag_that_is_there_twice_the_last_holds() {
    let blob = Header::package("a").string(1000, "b").blob();
    assert_eq!(Package::parse(&blob).unwrap().name, b"b");
}

#[test]
fn offsets_counts_and_types_that_contradict_the_header_are_damage() {
    let hostile = [
        Header::package("a").entry(5, 4, 0, u32::MAX),
        Header::package("a").entry(5, 4, u32::MAX, 1),
        Header::package("a").entry(5, 7, 3, 0x7FFF_FFFF),
        Header::package("a").entry(5, 10, 0, 1),
        Header::package("a").entry(1001, 4, 0, 1),
        Header::package("a").entry(268, 6, 0, 1),
        Header::package("a").binary(7, b"no end").entry(1001, 6, 24, 1),
        Header::default().string(1001, "without a name"),
    ];
    for (case, header) in hostile.into_iter().enumerate() {
        let error = Package::parse(&header.blob()).unwrap_err();
        assert!(matches!(error, ReadError::Corrupt { .. }), "case {case}: {error}");
    }
}

#[test]
fn counts_that_do_not_make_the_header_are_errors_without_an_allocation() {
    for counts in [[u32::MAX, u32::MAX], [0x8000_0000, 0], [65_535, 0], [0, u32::MAX], [1, 0]] {
        let blob: Vec<u8> = counts.into_iter().flat_map(u32::to_be_bytes).collect();
        assert!(Package::parse(&blob).is_err(), "{counts:?}");
    }
    assert!(Package::parse(&[]).is_err());
    let mut longer = Header::package("a").blob();
    longer.push(0);
    assert!(Package::parse(&longer).is_err());
}

#[test]
fn of_many_signatures_only_the_first_are_looked_at() {
    let strings = vec![STANDARD.encode(signature_v4(CENTOS)); 20];
    let header = (0..20).fold(Header::package("a"), |header, key| header.binary(268, &signature_v4(key)));
    let blob = header.strings(278, &strings).blob();
    let package = Package::parse(&blob).unwrap();
    assert_eq!((package.signatures, package.signers.len()), (20, 16));
}

#[test]
fn a_name_beyond_the_limit_is_an_error() {
    let blob = Header::package(&"a".repeat(2000)).blob();
    assert!(matches!(Package::parse(&blob), Err(ReadError::Limit { limit: 1024, .. })));
}
