use super::*;

/// A file of an irrelevant record between two relevant ones.
fn three() -> [String; 3] {
    [record("RunInstances", "a"), record("DescribeInstances", "b"), record("BidEvictedEvent", "c")]
}

const ALL_THREE: fn() -> Summary = || (ObjectKind::CloudTrail, 3, vec![0, 2], vec![]);

#[test]
fn a_cloudtrail_file_gives_its_relevant_records_verbatim() {
    let [first, second, third] = three();
    let file = format!(r#"{{"Records":[{first},{second},{third}]}}"#);
    let mut decoder = Decoder::new(CodecLimits::default());
    let decoded = decoder.decode(file.as_bytes());
    assert_eq!(summary(&decoded), ALL_THREE());
    assert_eq!(decoded.inflated_bytes, file.len() as u64);
    assert_eq!(decoded.relevant[0], RelevantRecord { index: 0, event_id: Some("a".into()), json: &first });
    assert_eq!(decoded.relevant[1], RelevantRecord { index: 2, event_id: Some("c".into()), json: &third });
    assert!(matches!(decoded.relevant[0].event_id, Some(Cow::Borrowed(_))));
}

#[test]
fn white_space_other_keys_and_a_byte_order_mark_do_not_matter() {
    let records = three().join(" ,\r\n\t");
    for file in [
        format!("{{\"Records\":[{records}]}}"),
        format!("\u{FEFF}\r\n {{ \"Records\" : [ {records} ] }} \r\n"),
        format!("{{\"Records\":[{records}],\"next\":{{\"Records\":[1,{{}}]}}}}"),
        format!("{{\"version\":[{{\"Records\":1}}],\"Records\":[{records}]}}"),
        format!("\u{FEFF}{{\"a\":\"\\\"Records\\\":[\",\"Records\" :[{records}],\"b\":null}}"),
    ] {
        assert_eq!(decode(&file), ALL_THREE(), "{file}");
    }
}

#[test]
fn records_may_stand_one_a_line_one_behind_the_other_or_in_an_array() {
    let three = three();
    for file in [three.join("\n"), three.join("\r\n"), three.join("\n\n") + "\n", three.concat(), format!("[{}]", three.join(",\n"))] {
        assert_eq!(decode(&file), ALL_THREE(), "{file}");
    }
}

#[test]
fn a_line_may_be_a_whole_file() {
    let [first, second, third] = three();
    let lines = format!("{{\"Records\":[{first},{second}]}}\n{{\"Records\":[]}}\n{{\"a\":1,\"Records\":[{third}]}}\n");
    assert_eq!(decode(&lines), ALL_THREE());
}

#[test]
fn of_an_eventbridge_envelope_the_record_is_the_detail() {
    let inner = record("StopInstances", "x");
    let envelope =
        format!(r#"{{"version":"0","id":"y","detail-type":"AWS API Call via CloudTrail","source":"aws.ec2","detail": {inner} }}"#);
    for file in [envelope.clone(), format!("{envelope}\n"), format!("[{envelope}]"), format!("{{\"Records\":[{envelope}]}}")] {
        let mut decoder = Decoder::new(CodecLimits::default());
        let decoded = decoder.decode(file.as_bytes());
        assert_eq!(decoded.relevant, [RelevantRecord { index: 0, event_id: Some("x".into()), json: &inner }]);
        assert_eq!(decoded.coverage.len(), 1);
        assert_eq!(decode(&file), (ObjectKind::CloudTrail, 1, vec![0], vec![]));
    }
    let lines = format!("{envelope}\n{envelope}\n{}\n", record("RunInstances", "z"));
    assert_eq!(decode(&lines), (ObjectKind::CloudTrail, 3, vec![0, 1, 2], vec![]));
}

#[test]
fn a_file_without_records_is_sound() {
    assert_eq!(decode(r#"{"Records":[]}"#), (ObjectKind::CloudTrail, 0, vec![], vec![]));
}

#[test]
fn digest_and_insight_files_hold_no_records() {
    let digest = concat!(
        r#"{"awsAccountId":"1","digestStartTime":"2023-07-10T11:00:00Z","digestS3Bucket":"b","#,
        r#""previousDigestSignature":null,"logFiles":[]}"#
    );
    assert_eq!(decode(digest), (ObjectKind::Digest, 0, vec![], vec![]));
    let insight = concat!(
        r#"{"Records":[{"eventVersion":"1.07","eventTime":"2023-07-10T11:00:00Z","awsRegion":"us-east-1","#,
        r#""eventType":"AwsCloudTrailInsight","recipientAccountId":"1","eventCategory":"Insight","#,
        r#""insightDetails":{"state":"Start","eventSource":"ec2.amazonaws.com","eventName":"RunInstances"}}]}"#
    );
    let mut decoder = Decoder::new(CodecLimits::default());
    assert_eq!(decoder.decode(insight.as_bytes()).coverage, []);
    assert_eq!(decode(insight), (ObjectKind::Insight, 0, vec![], vec![]));
}

#[test]
fn only_ec2s_own_successful_power_events_are_relevant() {
    let of = |from: &str, to: &str| record("RunInstances", "a").replacen(from, to, 1);
    for (file, relevant) in [
        (of("", ""), true),
        (of("ec2.amazonaws.com", "opsworks.amazonaws.com"), false),
        (of(r#""eventID""#, r#""errorCode":"Client.DryRunOperation","eventID""#), false),
        (of(r#""eventID""#, r#""errorCode":"","eventID""#), true),
        (of(r#""eventID""#, r#""errorCode":null,"eventID""#), true),
        (of(r#""eventName":"RunInstances""#, r#""eventName":"RunInstance""#), false),
        (of(r#""eventName":"RunInstances""#, r#""eventNames":"RunInstances""#), false),
        (of(r#""eventName":"RunInstances""#, r#""eventName":"CreateTags","x":{"eventName":"RunInstances"}"#), false),
        (of(r#""eventName":"RunInstances""#, r#""eventName":"CreateTags","x":"{\"eventName\":\"RunInstances\"}""#), false),
        (of("RunInstances", r"\u0052unInstances"), true),
        (of("eventName", r"event\u004eame"), true),
        (of("ec2.", r"\u0065c2."), true),
        // The last of two holds, as in any JSON reader.
        (of(r#""eventID""#, r#""eventName":"DescribeInstances","eventID""#), false),
        (of(r#""eventID""#, r#""eventName":5,"eventID""#), false),
        (of(r#""eventVersion":"1.08""#, r#""eventCategory":"Insight""#), false),
    ] {
        for file in [format!("{{\"Records\":[{file}]}}"), file.clone()] {
            assert_eq!(!decode(&file).2.is_empty(), relevant, "{file}");
        }
    }
}

#[test]
fn calls_that_tag_are_relevant_where_they_could_name_an_image() {
    let of = |name: &str, id: &str| {
        let request = format!(r#""requestParameters":{{"resourcesSet":{{"items":[{{"resourceId":"{id}"}}]}}}},"eventID""#);
        record(name, "a").replacen(r#""eventID""#, &request, 1)
    };
    for (file, relevant) in [
        (of("CreateTags", "ami-0123"), true),
        (of("DeleteTags", "ami-0123"), true),
        (of("CreateTags", "i-0123"), false),
        (of("CreateImage", "ami-0123"), false),
        (of("DescribeTags", "ami-0123"), false),
        (of("CreateTags", "ami-0123").replace("ec2.amazonaws.com", "ecs.amazonaws.com"), false),
        (of("CreateTags", "ami-0123").replace(r#""eventID""#, r#""errorCode":"x","eventID""#), false),
    ] {
        let envelope = format!(r#"{{"detail-type":"x","detail":{file}}}"#);
        for file in [format!("{{\"Records\":[{file}]}}"), file.clone(), envelope] {
            assert_eq!(!decode(&file).2.is_empty(), relevant, "{file}");
        }
    }
}

#[test]
fn an_event_id_that_is_absent_or_empty_is_none() {
    for id in [r#","eventID":"a""#, r#","eventID":"""#, r#","eventID":null"#] {
        let file = record("RunInstances", "a").replace(r#","eventID":"a""#, if id.ends_with("\"a\"") { "" } else { id });
        let mut decoder = Decoder::new(CodecLimits::default());
        assert_eq!(decoder.decode(file.as_bytes()).relevant[0].event_id, None, "{file}");
    }
}

#[test]
fn the_first_and_last_record_say_how_far_the_data_reaches() {
    let late = record("DescribeInstances", "z").replace("12:03:24", "13:00:00").replace(r#","recipientAccountId":"012345678901""#, "");
    let file = format!(r#"{{"Records":[{},{},{late}]}}"#, record("X", "a"), record("Y", "b"));
    let mut decoder = Decoder::new(CodecLimits::default());
    let sample = |time: &str| CoverageSample {
        account_id: "012345678901".to_owned(),
        region: "us-east-1".to_owned(),
        event_time: UtcSecond::parse_prefix(time).unwrap(),
    };
    assert_eq!(decoder.decode(file.as_bytes()).coverage, [sample("2023-07-10T12:03:24Z"), sample("2023-07-10T13:00:00Z")]);
    assert_eq!(decoder.decode(late.as_bytes()).coverage, [sample("2023-07-10T13:00:00Z")]);
}

#[test]
fn anything_else_is_one_rejection_that_says_what_it_is() {
    for (object, reason) in [
        ("", DeadLetterReason::NotJson),
        (" \r\n", DeadLetterReason::NotJson),
        ("<?xml version=\"1.0\"?><Error/>", DeadLetterReason::NotJson),
        ("hello", DeadLetterReason::NotJson),
        ("{hello}", DeadLetterReason::NotJson),
        ("{\"a\":1}", DeadLetterReason::NotCloudTrail),
        ("{\"a\":1}\n{\"b\":2}\n", DeadLetterReason::NotCloudTrail),
        ("[1,2]", DeadLetterReason::NotCloudTrail),
        ("[]", DeadLetterReason::NotCloudTrail),
        ("5", DeadLetterReason::NotCloudTrail),
        ("\"Records\"", DeadLetterReason::NotCloudTrail),
        ("{\"Records\":5}", DeadLetterReason::NotCloudTrail),
        ("{\"Records\":[{\"foo\":1},{\"foo\":2}]}", DeadLetterReason::NotCloudTrail),
        ("{\"a\":", DeadLetterReason::TruncatedJson),
        ("[", DeadLetterReason::TruncatedJson),
    ] {
        assert_eq!(decode(object), (ObjectKind::Unusable, 0, vec![], vec![(None, reason)]), "{object}");
    }
}

#[test]
fn values_beside_the_records_are_told_once() {
    let lines = format!("{{\"a\":1}}\n{}\n{{\"b\":2}}\n", record("RunInstances", "a"));
    assert_eq!(decode(&lines), (ObjectKind::CloudTrail, 1, vec![0], vec![(None, DeadLetterReason::NotCloudTrail)]));
}
