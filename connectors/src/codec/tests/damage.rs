use super::*;
use crate::limits::REJECTED_PER_OBJECT_MAX;

use cloudigrade_schemas::DeadLetterReason::{BadRecord, NotUtf8, TooLarge, TruncatedJson};

/// Five relevant records, of which the one in the middle is as given.
fn around(middle: &[u8]) -> [Vec<u8>; 3] {
    let ids = ["a", "b", "c", "d", "e"];
    let mut records = ids.map(|id| record("RunInstances", id).into_bytes());
    records[2] = middle.to_vec();
    let array = records.join(b",".as_slice());
    [[b"{\"Records\":[".as_slice(), &array, b"]}"].concat(), [b"[".as_slice(), &array, b"]"].concat(), records.join(b"\n".as_slice())]
}

/// The neighbours of a damaged record are used, and it alone is rejected.
fn only_the_middle_is_rejected(middle: &[u8], reason: DeadLetterReason) {
    for file in around(middle) {
        let expected = (ObjectKind::CloudTrail, 5, vec![0, 1, 3, 4], vec![(Some(2), reason)]);
        assert_eq!(decode(&file), expected, "{}", String::from_utf8_lossy(&file));
    }
}

#[test]
fn a_record_that_is_not_utf8_is_rejected_and_its_neighbours_are_used() {
    for name in ["RunInstances", "DescribeInstances"] {
        let broken = [record(name, "").as_bytes().split_last_chunk::<2>().unwrap().0, b"\xFF\"}"].concat();
        only_the_middle_is_rejected(&broken, NotUtf8);
    }
}

#[test]
fn a_record_that_is_not_json_is_rejected_and_its_neighbours_are_used() {
    let broken = |from: &str, to: &str| record("RunInstances", "c").replacen(from, to, 1).into_bytes();
    only_the_middle_is_rejected(&broken("null", "nul"), BadRecord);
    only_the_middle_is_rejected(&broken("\"eventID\":", "\"eventID\""), BadRecord);
    only_the_middle_is_rejected(&broken("]", ""), BadRecord);
}

#[test]
fn a_record_that_is_not_json_and_no_power_event_either_does_not_matter() {
    let broken = record("DescribeInstances", "c").replacen("null", "nul", 1);
    for file in around(broken.as_bytes()) {
        assert_eq!(decode(&file), (ObjectKind::CloudTrail, 5, vec![0, 1, 3, 4], vec![]));
    }
}

#[test]
fn a_torn_record_is_rejected_and_its_neighbours_are_used() {
    let whole = record("RunInstances", "c").into_bytes();
    for length in 20..whole.len() {
        for file in around(&whole[..length]) {
            let summary = decode(&file);
            assert!(summary.2.ends_with(&[3, 4]) && summary.2.starts_with(&[0, 1]), "{summary:?} {}", String::from_utf8_lossy(&file));
            assert!(summary.3.contains(&(Some(2), BadRecord)), "{summary:?} {}", String::from_utf8_lossy(&file));
        }
    }
}

#[test]
fn a_missing_or_additional_character_costs_one_record_at_most() {
    let whole = record("RunInstances", "c").into_bytes();
    for at in 20..whole.len() {
        let without = [&whole[..at], &whole[at + 1..]].concat();
        let with = |byte: u8| [&whole[..at], &[byte], &whole[at..]].concat();
        for middle in [without, with(b'"'), with(b'{'), with(b'}'), with(b'['), with(b']'), with(b'\\')] {
            for file in around(&middle) {
                let decoded = slow::decode(&file, &CodecLimits::default());
                let ids: Vec<&str> =
                    decoded.relevant.iter().filter_map(|record| record.event_id.as_deref()).filter(|id| id.len() == 1).collect();
                assert!(ids.starts_with(&["a", "b"]) && ids.ends_with(&["d", "e"]), "{ids:?} {}", String::from_utf8_lossy(&file));
                decode(&file);
            }
        }
    }
}

#[test]
fn of_a_truncated_text_the_records_before_the_break_are_used() {
    let [file, _, lines] = around(record("RunInstances", "c").as_bytes());
    let (container, second) = ("{\"Records\":[".len(), record("RunInstances", "a").len() + 1);
    for length in container..file.len() {
        let summary = decode(&file[..length]);
        let whole = (length - container + 1) / second;
        assert_eq!((summary.0, summary.2.len()), (ObjectKind::CloudTrail, whole), "{length}");
        assert!(matches!(summary.3[..], [(_, TruncatedJson)]), "{length} {summary:?}");
    }
    for length in second + 20..lines.len() {
        let summary = decode(&lines[..length]);
        let whole = (length + 1) / second;
        let expected = if length + 1 - whole * second > 1 { vec![(Some(whole as u64), TruncatedJson)] } else { vec![] };
        assert_eq!((summary.2.len(), summary.3), (whole, expected), "{length}");
    }
}

#[test]
fn what_stands_between_records_is_not_judged() {
    let [a, b] = ["a", "b"].map(|id| record("RunInstances", id));
    for file in [format!("{{\"Records\":[,{a},,{b},]}}"), format!("{{\"Records\":[{a} {b}]}}"), format!("{a},\n{b},\n")] {
        assert_eq!(decode(&file), (ObjectKind::CloudTrail, 2, vec![0, 1], vec![]));
    }
}

#[test]
fn a_record_beyond_the_limit_is_rejected_and_its_neighbours_are_used() {
    let limits = CodecLimits { record_bytes_max: 1000, ..CodecLimits::default() };
    for file in around(record("RunInstances", &"x".repeat(1000)).as_bytes()) {
        let expected = slow::decode(&file, &limits);
        assert_eq!(summary(&expected), (ObjectKind::CloudTrail, 5, vec![0, 1, 3, 4], vec![(Some(2), TooLarge)]));
        assert_eq!(expected.rejected[0].first_bytes.len(), 1024);
        assert_eq!(Decoder::new(limits).decode(&file), expected);
    }
}

#[test]
fn rejections_of_one_object_are_bounded() {
    let bad = record("RunInstances", "a").replacen("null", "nul", 1);
    let count = REJECTED_PER_OBJECT_MAX + 500;
    let file = format!("{{\"Records\":[{}{}]}}", format!("{bad},").repeat(count), record("RunInstances", "b"));
    let mut decoder = Decoder::new(CodecLimits::default());
    let decoded = decoder.decode(file.as_bytes());
    assert_eq!((decoded.records, decoded.relevant.len(), decoded.rejected.len()), (count as u64 + 1, 1, REJECTED_PER_OBJECT_MAX + 1));
    assert!(decoded.rejected[REJECTED_PER_OBJECT_MAX].detail.starts_with("500 more"));
}

#[test]
fn nesting_without_end_takes_linear_time() {
    for piece in [
        "{\"eventVersion\":1,",
        "\n{\"a\":1,\"Records\":[",
        "{\"Records\":[",
        "[",
        "{",
        "\"",
        "\\",
        "}",
        "{\"a\":{},",
        ",{\"eventVersion\"",
    ] {
        decode(&piece.repeat(2_000));
    }
}
