//! The fast decoder gives what the reference decoder gives, on any text.
#![no_main]

use cloudigrade_connectors::codec::{CodecLimits, Decoder, slow};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    // What is gzip is no text to the reference decoder.
    if text.starts_with(b"\x1f\x8b") {
        return;
    }
    for record_bytes_max in [16 << 20, 200] {
        let limits = CodecLimits { record_bytes_max, ..CodecLimits::default() };
        assert_eq!(Decoder::new(limits).decode(text), slow::decode(text, &limits));
    }
});
