use proptest::prelude::*;

use super::*;

/// Text of the bytes that matter, with runs longer than a block's edge.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::sample::select(b"\"\\{}[]uBMRSTmrstCDEb,: \n\t\r\0\x1F\x7Fe9".to_vec()).prop_map(|byte| vec![byte]),
        any::<u8>().prop_map(|byte| vec![byte]),
        (1..140_usize).prop_map(|length| vec![b'\\'; length]),
        (1..140_usize).prop_map(|length| vec![b'x'; length]),
        Just(b"\"RunInstances\"".to_vec()),
        Just(b"\"\\u0052unInstances\"".to_vec()),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

/// All marks of a text, and whether it is damaged.
fn all_marks(text: &[u8], isa: Isa) -> (Vec<usize>, bool) {
    let mut marks = Marks::new(text, isa);
    let mut places = Vec::new();
    while marks.end < text.len() {
        // Damage does not stop this test: what follows must be the same too.
        let _ = marks.advance();
        places.extend(marks.window.places[..marks.window.count].iter().map(|place| marks.start + usize::from(*place)));
    }
    (places, marks.lexer.damage != 0)
}

/// The same, byte by byte.
fn all_marks_plainly(text: &[u8]) -> (Vec<usize>, bool) {
    let (mut places, mut damage) = (Vec::new(), false);
    let (mut inside, mut escaped, mut beginning) = (false, false, false);
    for (at, &byte) in text.iter().enumerate() {
        let delimiter = byte == b'"' && !escaped;
        let outside = !inside && !delimiter;
        let brace = matches!(byte, b'{' | b'}') && outside;
        let name = is_initial(byte) && beginning;
        if brace || name || byte >= 0x80 || (byte == b'u' && escaped) {
            places.push(at);
        }
        damage |= outside && (is_initial(byte) || byte == b'\\');
        beginning = delimiter && !inside;
        inside ^= delimiter;
        escaped = byte == b'\\' && !escaped;
    }
    (places, damage)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn every_instruction_set_finds_the_same_marks(text in any_text()) {
        let expected = all_marks_plainly(&text);
        prop_assert_eq!(&all_marks(&text, Isa::Portable), &expected);
        prop_assert_eq!(&all_marks(&text, Isa::detect()), &expected);
    }
}

#[test]
fn every_byte_is_classified_as_the_words_say() {
    for byte in 0..=u8::MAX {
        let text: Vec<u8> = [b" \"".as_slice(), &[byte; 70], b"\" ", &[byte; 70]].concat();
        let expected = all_marks_plainly(&text);
        assert_eq!(all_marks(&text, Isa::Portable), expected, "{byte}");
        assert_eq!(all_marks(&text, Isa::detect()), expected, "{byte}");
    }
}

#[test]
fn each_power_events_name_begins_with_an_initial() {
    for action in cloudigrade_schemas::PowerAction::ALL {
        assert!(is_initial(action.name().as_bytes()[0]), "{action:?}");
        assert!(is_power_name(format!("{}\"", action.name()).as_bytes()), "{action:?}");
        assert!(!is_power_name(format!("{}s\"", action.name()).as_bytes()), "{action:?}");
    }
}

#[test]
fn an_object_ends_at_its_own_brace_wherever_blocks_and_windows_end() {
    for padding in 0..200 {
        let object = format!("{{\"a\":\"{}}}\\\\\",\"b\":{{\"c\":[{{}}]}}}}", "x".repeat(padding));
        let text = format!("{}{object} , {object}", " ".repeat(WINDOW_BLOCKS * BLOCK_BYTES - 100));
        let from = text.find('{').unwrap();
        for isa in [Isa::Portable, Isa::detect()] {
            let mut marks = Marks::new(text.as_bytes(), isa);
            let first = from + object.len();
            assert_eq!(marks.end_of(from, 0).map(|end| end.at), Some(first), "{padding}");
            assert_eq!(marks.end_of(first + 3, 0).map(|end| end.at), Some(text.len()), "{padding}");
            assert_eq!(marks.end_of(text.len(), 0), None);
        }
    }
}
