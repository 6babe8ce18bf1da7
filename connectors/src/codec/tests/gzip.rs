use std::io::Write;

use flate2::{Compression, GzBuilder, write::GzEncoder};

use super::*;

use cloudigrade_schemas::DeadLetterReason::{CorruptGzip, GzipBomb, TooLarge, TruncatedGzip};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn file(id: &str) -> String {
    format!(r#"{{"Records":[{},{}]}}"#, record("RunInstances", id), record("DescribeInstances", "x"))
}

fn decode_gzip(object: &[u8], limits: CodecLimits) -> Summary {
    summary(&Decoder::new(limits).decode(object))
}

#[test]
fn gzip_is_told_by_its_first_bytes_and_gives_what_the_text_gives() {
    let text = file("a");
    let object = gzip(text.as_bytes());
    let mut decoder = Decoder::new(CodecLimits::default());
    let mut other = Decoder::new(CodecLimits::default());
    assert_eq!(decoder.decode(&object), other.decode(text.as_bytes()));
}

#[test]
fn a_decoder_is_used_for_object_after_object() {
    let long = file("a");
    let digits: String = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) % 1_000_000_000).to_string()).collect();
    let huge = file(&digits);
    assert!(huge.len() > 8 << 20);
    let mut decoder = Decoder::new(CodecLimits::default());
    for text in [&long, &huge, &long, &file("b"), &huge, &String::new(), &file("c")] {
        let object = gzip(text.as_bytes());
        assert_eq!(decoder.decode(&object), slow::decode(text.as_bytes(), &CodecLimits::default()));
    }
}

#[test]
fn all_members_are_read_even_if_they_are_alike() {
    for (first, second) in [(file("a"), file("bb")), (file("a"), file("a"))] {
        let object = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
        assert_eq!(decode_gzip(&object, CodecLimits::default()), (ObjectKind::CloudTrail, 4, vec![0, 2], vec![]));
    }
}

#[test]
fn a_record_may_lie_across_two_members() {
    let text = file("a");
    let (start, end) = text.as_bytes().split_at(100);
    let object = [gzip(start), gzip(b""), gzip(end)].concat();
    assert_eq!(decode_gzip(&object, CodecLimits::default()), (ObjectKind::CloudTrail, 2, vec![0], vec![]));
}

#[test]
fn a_header_with_a_name_is_read_and_zeros_behind_the_stream_are_padding() {
    let mut encoder = GzBuilder::new().filename("log.json").comment("c").write(Vec::new(), Compression::fast());
    encoder.write_all(file("a").as_bytes()).unwrap();
    let mut object = encoder.finish().unwrap();
    assert_eq!(decode_gzip(&object, CodecLimits::default()), (ObjectKind::CloudTrail, 2, vec![0], vec![]));
    object.extend([0; 512]);
    assert_eq!(decode_gzip(&object, CodecLimits::default()), (ObjectKind::CloudTrail, 2, vec![0], vec![]));
}

#[test]
fn a_truncated_stream_is_not_used_and_told_as_such() {
    let object = gzip(file("a").as_bytes());
    for length in 2..object.len() {
        let expected = (ObjectKind::Unusable, 0, vec![], vec![(None, TruncatedGzip)]);
        assert_eq!(decode_gzip(&object[..length], CodecLimits::default()), expected, "{length}");
    }
}

#[test]
fn a_damaged_stream_is_not_used_and_told_as_such() {
    let sound = gzip(file("a").as_bytes());
    for at in (10..sound.len()).chain([2]) {
        let mut object = sound.clone();
        object[at] ^= 0x55;
        let (kind, records, relevant, rejected) = decode_gzip(&object, CodecLimits::default());
        assert_eq!((kind, records, relevant), (ObjectKind::Unusable, 0, vec![]), "{at}");
        assert!(matches!(rejected[..], [(None, CorruptGzip | TruncatedGzip)]), "{at} {rejected:?}");
    }
    let mut wrong_checksum = sound;
    let at = wrong_checksum.len() - 8;
    wrong_checksum[at] ^= 1;
    assert_eq!(decode_gzip(&wrong_checksum, CodecLimits::default()).3, [(None, CorruptGzip)]);
}

#[test]
fn sound_members_before_a_damaged_one_are_used() {
    let (first, second) = (gzip(file("a").as_bytes()), gzip(file("b").as_bytes()));
    for (tail, reason) in [(&second[..second.len() - 4], TruncatedGzip), (b"garbage".as_slice(), CorruptGzip)] {
        let object = [first.as_slice(), tail].concat();
        assert_eq!(decode_gzip(&object, CodecLimits::default()), (ObjectKind::CloudTrail, 2, vec![0], vec![(None, reason)]));
    }
}

#[test]
fn a_bomb_is_stopped_at_the_ratio() {
    let object = gzip(&vec![b' '; 8 << 20]);
    assert_eq!(decode_gzip(&object, CodecLimits::default()), (ObjectKind::Unusable, 0, vec![], vec![(None, GzipBomb)]));
    // The limit of size may come before the ratio to the whole object: it is a bomb all the same.
    let limits = CodecLimits { inflated_bytes_max: 2 << 20, ..CodecLimits::default() };
    let large = [gzip(&vec![b' '; 64 << 20]), vec![b'x'; 64 << 10]].concat();
    assert_eq!(decode_gzip(&large, limits).3, [(None, GzipBomb)]);
}

#[test]
fn an_object_beyond_the_limit_of_size_is_not_read() {
    let limits = CodecLimits { inflated_bytes_max: 500, ..CodecLimits::default() };
    let text = file("a");
    assert!(text.len() > 500);
    let expected = (ObjectKind::Unusable, 0, vec![], vec![(None, TooLarge)]);
    assert_eq!(decode_gzip(&gzip(text.as_bytes()), limits), expected);
    assert_eq!(decode_gzip(text.as_bytes(), limits), expected);
    assert_eq!(summary(&slow::decode(text.as_bytes(), &limits)), expected);
}

#[test]
fn a_size_in_the_trailer_that_lies_takes_no_memory() {
    let mut object = gzip(file("a").as_bytes());
    let at = object.len() - 4;
    object[at..].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut inflater = Inflater::new();
    let inflated = inflater.inflate(&object, &CodecLimits::default());
    assert!(matches!(inflated, Inflated { text: [], fault: Some(Fault { reason: CorruptGzip, .. }) }));
    assert!(inflater.buffer_bytes() <= 1 << 20);
}

#[test]
fn a_large_buffer_is_given_back() {
    let mut inflater = Inflater::new();
    let large = gzip(&(0..3_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    assert_eq!(inflater.inflate(&large, &CodecLimits::default()).text.len(), 12_000_000);
    assert!(inflater.buffer_bytes() >= 12_000_000);
    inflater.inflate(&gzip(b"small"), &CodecLimits::default());
    assert!(inflater.buffer_bytes() < 1000);
}
