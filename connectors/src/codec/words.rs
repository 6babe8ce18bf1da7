//! The words by which the codec knows CloudTrail's texts, and the byte-level matching that the fast and the slow path share.

use cloudigrade_schemas::PowerAction;

/// What may stand in front of a UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The key that CloudTrail writes first in every record.
const FIRST_KEY: &[u8] = b"eventVersion";
/// Keys that a record, or a file of them, may begin with; all but the first where something else than CloudTrail has written it.
const LEADING_KEYS: [&[u8]; 13] = [
    FIRST_KEY,
    b"Records",
    b"additionalEventData",
    b"apiVersion",
    b"awsRegion",
    b"errorCode",
    b"eventCategory",
    b"eventID",
    b"eventName",
    b"eventSource",
    b"eventTime",
    b"eventType",
    b"userIdentity",
];
/// The `eventSource` of the records that count.
pub(super) const EC2: &str = "ec2.amazonaws.com";
/// The `eventCategory` of CloudTrail Insights.
pub(super) const INSIGHT: &str = "Insight";

/// The calls that set and take away tags. They matter where they name an image.
const TAG_CALLS: [&str; 2] = ["CreateTags", "DeleteTags"];
/// How the ids of images begin, with the quotation mark before it.
const IMAGE_ID: &[u8] = b"\"ami-";

/// The names of the events that can be relevant.
const NAMES: [&str; PowerAction::CLOUDTRAIL.len() + TAG_CALLS.len()] = {
    let mut names = [""; PowerAction::CLOUDTRAIL.len() + TAG_CALLS.len()];
    let mut at = 0;
    while at < names.len() {
        let powers = PowerAction::CLOUDTRAIL.len();
        names[at] = if at < powers { PowerAction::CLOUDTRAIL[at].name() } else { TAG_CALLS[at - powers] };
        at += 1;
    }
    names
};

/// The first four bytes of each of [`NAMES`]: enough to tell them from almost any other string.
const NAME_BEGINNINGS: [u32; NAMES.len()] = {
    let mut beginnings = [0; NAMES.len()];
    let mut at = 0;
    while at < beginnings.len() {
        let name = NAMES[at].as_bytes();
        beginnings[at] = u32::from_le_bytes([name[0], name[1], name[2], name[3]]);
        at += 1;
    }
    beginnings
};

/// Whether a relevant event's name begins with this byte. None of these letters is in `true`, `false`, `null` or a number, so outside of
/// strings JSON does not have them, while a record has many within: a text whose quotation marks are awry soon shows it.
pub(super) const fn is_initial(byte: u8) -> bool {
    matches!(byte, b'B' | b'C' | b'D' | b'M' | b'R' | b'S' | b'T')
}

/// Whether the text begins with a relevant event's name and a quotation mark.
pub(super) fn begins_as_name(text: &[u8]) -> bool {
    let Some(beginning) = text.first_chunk() else { return false };
    NAME_BEGINNINGS.contains(&u32::from_le_bytes(*beginning))
        && NAMES.iter().any(|name| text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'"')))
}

/// Whether this is a relevant event's name.
pub(super) fn is_name(text: &[u8]) -> bool {
    NAMES.iter().any(|name| name.as_bytes() == text)
}

/// Whether an event of EC2 of this name is relevant; `record` is its text. A call that tags is where it could name an image.
pub(super) fn is_relevant(name: &str, record: &str) -> bool {
    PowerAction::from_name(name).is_some() || (TAG_CALLS.contains(&name) && memchr::memmem::find(record.as_bytes(), IMAGE_ID).is_some())
}

/// JSON's white space.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The first place from `at` on that is neither white space nor a comma: what may stand between records.
pub(super) fn skip_separators(text: &[u8], at: usize) -> usize {
    skip(text, at, |byte| is_space(byte) || byte == b',')
}

/// The first place from `at` on that is not white space.
pub(super) fn skip_space(text: &[u8], at: usize) -> usize {
    skip(text, at, is_space)
}

fn skip(text: &[u8], at: usize, skipped: impl Fn(u8) -> bool) -> usize {
    text[at..].iter().position(|byte| !skipped(*byte)).map_or(text.len(), |n| at + n)
}

/// The text without a byte order mark.
pub(super) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Where the records begin, if at `at` stands `{"Records":[`, with any white space.
pub(super) fn records_come_first(text: &[u8], at: usize) -> Option<usize> {
    let key = after(text, at, b"{")?;
    let colon = after(text, key, b"\"Records\"")?;
    let array = after(text, colon, b":")?;
    after(text, array, b"[")
}

/// Whether at `at`, in an array of records, comes what cannot: the text's end, or another file's beginning.
pub(super) fn breaks_off(text: &[u8], at: usize) -> bool {
    let next = skip_separators(text, at);
    next == text.len() || records_come_first(text, next).is_some()
}

/// The place behind `word` and the white space before it, if it stands there.
pub(super) fn after(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    let at = skip_space(text, at);
    text[at..].starts_with(word).then(|| at + word.len())
}

/// Whether the object begins as CloudTrail begins its records.
pub(super) fn begins_as_record(object: &[u8]) -> bool {
    first_key_is(object, FIRST_KEY)
}

/// The first place from `from` on where a record seems to begin: an object at the beginning of a line, one that begins as CloudTrail's
/// records do, or one that begins with another leading key and is not itself the value of a key. No string of a sound text can hold the
/// latter two: the key's quotation mark would be escaped.
pub(super) fn next_record(text: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'{', text.get(from..)?).map(|n| from + n).find(|&at| {
        let (before, object) = text.split_at(at);
        let is_value = || before.trim_ascii_end().last() == Some(&b':');
        before.last() == Some(&b'\n')
            || begins_as_record(object)
            || (LEADING_KEYS.iter().any(|key| first_key_is(object, key)) && !is_value())
    })
}

fn first_key_is(object: &[u8], key: &[u8]) -> bool {
    after(object, 0, b"{")
        .and_then(|at| after(object, at, b"\""))
        .is_some_and(|at| object[at..].strip_prefix(key).is_some_and(|rest| rest.first() == Some(&b'"')))
}
