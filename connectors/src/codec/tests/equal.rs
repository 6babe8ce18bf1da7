//! The fast path is equal to the slow path, on whatever looks at all like CloudTrail.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn text(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(choices).prop_map(str::to_owned)
}

fn space() -> impl Strategy<Value = String> {
    text(&["", "", "", " ", "\n", "\r\n", "\t  ", "    "])
}

/// Values that are hard to skip.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        text(&[
            "null",
            "true",
            "1.5E3",
            "-0",
            "\"\"",
            "{}",
            "[]",
            "\"RunInstances\"",
            "\"StopInstances\"",
            "\"CreateTags\"",
            "\"ami-0123\"",
            "tru",
            "\"\\ud800\"",
            "\"a\tb\""
        ]),
        text(&[
            r#""{\"eventName\":\"RunInstances\"}""#,
            r#""}],{""#,
            r#""\\""#,
            r#""\\\"""#,
            r#""\u0052un""#,
            r#""\\u0052""#,
            r#""é😀\n""#
        ]),
        (0..70_usize, 0..4_usize).prop_map(|(length, slashes)| format!("\"{}{}\"", "x".repeat(length), "\\\\".repeat(slashes))),
        (0..70_usize).prop_map(|length| format!("\"{}\\\"}}\"", "\\\\".repeat(length))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec((text(&["a", "eventName", "eventVersion", "Records", "detail"]), inner), 0..4).prop_map(|pairs| format!(
                "{{{}}}",
                pairs.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",")
            )),
        ]
    })
}

fn record_text() -> impl Strategy<Value = String> {
    let name = text(&[
        "RunInstances",
        "StartInstances",
        "BidEvictedEvent",
        "ModifyInstanceAttribute",
        "CreateTags",
        "DeleteTags",
        "CreateTag",
        "DescribeInstances",
        r"\u0052unInstances",
        "Runinstances",
    ]);
    let source = text(&["ec2.amazonaws.com", "ec2.amazonaws.com", "rds.amazonaws.com", r"ec\u0032.amazonaws.com"]);
    let error = text(&["", "", "", r#""errorCode":"x""#, r#""errorCode":"""#, r#""errorCode":null"#, r#""errorCode":7"#]);
    let id =
        text(&[r#""eventID":"a""#, r#""eventID":"\u0061""#, r#""eventID":"""#, "", r#""eventID":5"#, r#""eventID":"a","eventID":"b""#]);
    let insight = text(&["", "", "", "", r#""insightDetails":{}"#, r#""eventCategory":"Insight""#, r#""eventCategory":"Management""#]);
    let reach = text(&[
        r#""eventTime":"2023-07-10T12:03:24Z","awsRegion":"us-east-1","recipientAccountId":"1""#,
        r#""eventTime":"2023-07-10T12:03:24Z","awsRegion":"us-east-1","userIdentity":{"accountId":"2"}"#,
        r#""eventTime":"yesterday","awsRegion":"us-east-1","userIdentity":"root""#,
        "",
    ]);
    let version = text(&[r#""eventVersion":"1.08""#, r#""eventVersion":"1.08""#, ""]);
    (version, name, source, error, id, insight, (reach, value(), space(), space()), any::<prop::sample::Selector>(), any::<bool>())
        .prop_map(|(version, name, source, error, id, insight, (reach, value, before, behind), selector, shuffled)| {
            let fields = [
                version,
                format!("\"eventName\":{before}\"{name}\""),
                format!("\"eventSource\"{behind}:\"{source}\""),
                error,
                format!("\"requestParameters\":{value}"),
                id,
                insight,
                reach,
            ];
            let mut fields: Vec<String> = fields.into_iter().filter(|field| !field.is_empty()).collect();
            if shuffled {
                let first = selector.select(0..fields.len());
                fields.rotate_left(first);
            }
            format!("{{{before}{}{behind}}}", fields.join(&format!("{behind},{before}")))
        })
}

fn item() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => record_text(),
        2 => (record_text(), space())
            .prop_map(|(record, space)| format!("{{\"version\":\"0\",\"detail-type\":\"x\",{space}\"detail\":{record}}}")),
        1 => value(),
        1 => text(&[r#"{"digestS3Bucket":"b"}"#, r#"{"foo":1}"#, r#"{"detail":{},"detail-type":null}"#, r#"{"Records":7}"#, "{}"]),
    ]
}

fn document() -> impl Strategy<Value = String> {
    let items = prop::collection::vec(item(), 0..6);
    (items, space(), text(&[",", ",", ",\n", " , ", "", "\n"]), 0..6_usize).prop_map(|(items, space, separator, shape)| match shape {
        0 | 1 => format!("{{{space}\"Records\"{space}:{space}[{space}{}{space}]{space}}}{space}", items.join(&separator)),
        2 => format!("{{\"a\":[{{}}],{space}\"Records\"{space}:[{}],\"b\":{{\"Records\":[]}}}}", items.join(&separator)),
        3 => format!("{space}[{}]{space}", items.join(&separator)),
        4 => items.join("\n") + "\n",
        _ => items.concat(),
    })
}

/// Changes to a text's bytes.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index),
    Insert(Index, u8),
    Remove(Index, usize),
    Replace(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    let byte = select(b"\"\"{}[]\\,:uRCDn \n\xFF\xC3\0".to_vec());
    prop_oneof![
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (any::<Index>(), 1..80_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<Index>(), byte).prop_map(|(at, byte)| Change::Replace(at, byte)),
    ]
}

fn apply(text: &mut Vec<u8>, change: &Change) {
    match *change {
        Change::Cut(at) => text.truncate(at.index(text.len() + 1)),
        Change::Insert(at, byte) => text.insert(at.index(text.len() + 1), byte),
        Change::Remove(at, length) => {
            let at = at.index(text.len() + 1);
            text.drain(at..(at + length).min(text.len()));
        }
        Change::Replace(at, byte) if !text.is_empty() => {
            let at = at.index(text.len());
            text[at] = byte;
        }
        Change::Replace(..) => {}
    }
}

fn assert_equal(text: &[u8]) -> Result<(), TestCaseError> {
    for record_bytes_max in [CodecLimits::default().record_bytes_max, 400] {
        let limits = CodecLimits { record_bytes_max, ..CodecLimits::default() };
        let expected = slow::decode(text, &limits);
        for isa in Isa::all() {
            prop_assert_eq!(&decode_text(text, None, &limits, isa), &expected, "{}", String::from_utf8_lossy(text));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn on_documents_sound_and_damaged(
        documents in prop::collection::vec(document(), 1..3),
        bom in any::<bool>(),
        changes in prop::collection::vec(change(), 0..4),
    ) {
        let mut text = documents.join("\n").into_bytes();
        assert_equal(&text)?;
        if bom {
            text.splice(0..0, *b"\xEF\xBB\xBF");
        }
        for change in &changes {
            apply(&mut text, change);
        }
        assert_equal(&text)?;
    }

    #[test]
    fn on_heaps_of_tokens(tokens in prop::collection::vec(select(&[
        "{", "}", "[", "]", "\"", "\\", ",", ":", " ", "\n", "u", "R", "é", "\"\"", "{}", "null",
        "\"Records\"", "{\"Records\":[", "]}", "\"eventVersion\":1", "{\"eventVersion\":1,", "\"eventName\":\"RunInstances\"",
        "\"eventSource\":\"ec2.amazonaws.com\"", "\"detail-type\":1,", "\"detail\":", "\"\\u0052unInstances\"", "\"eventName\":\"CreateTags\"", "\"ami-1\"", "C", "D",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ][..]), 0..60)) {
        assert_equal(tokens.concat().as_bytes())?;
    }
}

#[test]
fn at_every_place_where_a_document_may_be_cut() {
    let envelope = format!("{{\"detail-type\":\"x\",\"detail\":{}}}", record("StopInstances", "z"));
    let three = [record("RunInstances", "a"), record("Describe\\u0052", "b"), record("StartInstances", "é")];
    for document in [format!("{{\"Records\":[{}]}}", three.join(",")), three.join("\n"), format!("[{envelope},{envelope}]\n{envelope}")] {
        for length in 0..=document.len() {
            assert_equal(&document.as_bytes()[..length]).unwrap();
        }
    }
}
