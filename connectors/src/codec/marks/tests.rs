use proptest::prelude::*;

use super::*;
use crate::codec::words::{is_initial, is_name};

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

/// The places in a text that matter: what opens, what closes, what must be looked at; and whether it is damaged.
type Places = ([Vec<usize>; 3], bool);

fn places(text: &[u8], isa: Isa) -> Places {
    let mut marks = Marks::new(text, isa);
    let mut places = [const { Vec::new() }; 3];
    while marks.end < text.len() {
        // Damage does not stop this test: what follows must be the same too.
        let _ = marks.advance();
        for (number, block) in marks.window[..marks.count].iter().enumerate() {
            for (places, bits) in places.iter_mut().zip([block.open, block.close, block.look]) {
                places.extend(ones(bits).map(|bit| marks.start + number * BLOCK_BYTES + bit));
            }
            assert_eq!(*block, Block::new(block.open, block.close, block.look), "the counts are those of the bits");
        }
    }
    (places, marks.lexer.damage != 0)
}

/// The same, byte by byte.
fn places_plainly(text: &[u8]) -> Places {
    let (mut places, mut damage) = ([const { Vec::new() }; 3], false);
    let (mut inside, mut escaped, mut beginning) = (false, false, false);
    for (at, &byte) in text.iter().enumerate() {
        let delimiter = byte == b'"' && !escaped;
        let outside = !inside && !delimiter;
        let name = is_initial(byte) && beginning;
        for (places, here) in
            places.iter_mut().zip([byte == b'{' && outside, byte == b'}' && outside, name || byte >= 0x80 || (byte == b'u' && escaped)])
        {
            places.extend(here.then_some(at));
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
    fn every_instruction_set_finds_the_same_places(text in any_text()) {
        let expected = places_plainly(&text);
        for isa in Isa::all() {
            prop_assert_eq!(&places(&text, isa), &expected, "{:?}", isa);
        }
    }
}

#[test]
fn every_byte_is_classified_as_the_words_say() {
    for byte in 0..=u8::MAX {
        let text: Vec<u8> = [b" \"".as_slice(), &[byte; 70], b"\" ", &[byte; 70]].concat();
        let expected = places_plainly(&text);
        for isa in Isa::all() {
            assert_eq!(places(&text, isa), expected, "{byte} {isa:?}");
        }
    }
}

#[test]
fn each_relevant_events_name_begins_with_an_initial() {
    let powers = cloudigrade_schemas::PowerAction::CLOUDTRAIL.map(|action| action.name());
    for name in powers.into_iter().chain(["CreateTags", "DeleteTags"]) {
        assert!(is_initial(name.as_bytes()[0]), "{name}");
        assert!(begins_as_name(format!("{name}\"").as_bytes()) && is_name(name.as_bytes()), "{name}");
        assert!(!begins_as_name(format!("{name}s\"").as_bytes()) && !is_name(format!("{name}s").as_bytes()), "{name}");
    }
}

#[test]
fn an_object_ends_at_its_own_brace_wherever_blocks_and_windows_end() {
    for padding in 0..200 {
        let object = format!("{{\"a\":\"{}}}\\\\\",\"b\":{{\"c\":[{{}}]}}}}", "x".repeat(padding));
        let text = format!("{}{object} , {object}", " ".repeat(WINDOW_BLOCKS * BLOCK_BYTES - 100));
        let from = text.find('{').unwrap();
        for isa in Isa::all() {
            let mut marks = Marks::new(text.as_bytes(), isa);
            let first = from + object.len();
            assert_eq!(marks.end_of(from, 0).map(|end| end.at), Some(first), "{padding}");
            assert_eq!(marks.end_of(first + 3, 0).map(|end| end.at), Some(text.len()), "{padding}");
            assert_eq!(marks.end_of(text.len(), 0), None);
        }
    }
}
