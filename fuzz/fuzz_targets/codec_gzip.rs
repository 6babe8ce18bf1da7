//! No object, gzip or not, makes the decoder panic or pass its limits; nor does an earlier object change what a later one gives.
#![no_main]

use cloudigrade_connectors::codec::{CodecLimits, Decoder, ObjectKind};
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer reaches them.
const LIMITS: CodecLimits = CodecLimits { inflated_bytes_max: 64 << 10, inflate_ratio_max: 200, record_bytes_max: 4 << 10 };
/// A sound object: gzip of `{"Records":[]}`.
const SOUND: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x0a, 0x4a, 0x4d, 0xce, 0x2f, 0x4a, 0x29, 0x56, 0xb2, 0x8a,
    0x8e, 0xad, 0x05, 0x00, 0x22, 0x0a, 0xe2, 0x96, 0x0e, 0x00, 0x00, 0x00,
];

fuzz_target!(|object: &[u8]| {
    let mut decoder = Decoder::new(LIMITS);
    let first = {
        let decoded = decoder.decode(object);
        assert!(decoded.inflated_bytes <= LIMITS.inflated_bytes_max as u64);
        assert!(decoded.relevant.iter().all(|record| record.index < decoded.records && record.json.len() <= LIMITS.record_bytes_max));
        assert!(decoded.kind != ObjectKind::Unusable || !decoded.rejected.is_empty());
        format!("{decoded:?}")
    };
    assert_eq!(decoder.decode(SOUND).kind, ObjectKind::CloudTrail);
    assert_eq!(format!("{:?}", decoder.decode(object)), first);
});
