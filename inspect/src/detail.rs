//! Texts about what is in the way, for all who see the image.

use crate::limits::DETAIL_CHARS_MAX;

/// Digits of an AWS account's id.
const ACCOUNT_DIGITS: usize = 12;
/// How ids of what may be somebody else's begin, and what is said instead. The inspection itself keeps what was made, for the operator.
const IDS: [(&str, &str); 3] = [("snap-", "(snapshot)"), ("vol-", "(volume)"), ("i-", "(instance)")];
/// Where words end.
const ENDS: [char; 10] = [' ', '"', '\'', '`', '(', ')', '[', ']', ',', ';'];

/// The text without accounts, ARNs and ids of resources, and not too long. An image may be used by several tenants, and none learns from what AWS
/// said to us in another's account how its roles are called, or what it has.
pub fn for_everybody(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let told: String = text.trim().split_inclusive(ENDS).map(harmless).collect();
    let mut short: String = told.chars().take(DETAIL_CHARS_MAX).collect();
    if short.len() < told.len() {
        short.push('…');
    }
    short
}

/// A word without what it names, with the sign that ends it.
fn harmless(word: &str) -> String {
    let name = word.trim_end_matches(ENDS).trim_end_matches(['.', ':']);
    let rest = &word[name.len()..];
    if name.contains("arn:") {
        return format!("(ARN){rest}");
    }
    let is_hex = |id: &str| id.len() >= 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let named = IDS.iter().find(|(begin, _)| name.strip_prefix(begin).is_some_and(is_hex));
    named.map_or_else(|| without_accounts(word), |(_, instead)| format!("{instead}{rest}"))
}

fn without_accounts(word: &str) -> String {
    let (mut told, mut digits) = (String::new(), String::new());
    for c in word.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_ascii_digit() => digits.push(c),
            other => {
                told.push_str(if digits.len() == ACCOUNT_DIGITS { "(account)" } else { &digits });
                digits.clear();
                told.extend(other);
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_role_or_resource_is_named_and_everything_else_stays() {
        for (text, told) in [
            (
                "User: arn:aws:sts::123456789012:assumed-role/acme/x is not authorized to perform: sts:AssumeRole on resource: \
                 arn:aws:iam::123456789012:role/acme-metering\nat 1700000000000",
                "User: (ARN) is not authorized to perform: sts:AssumeRole on resource: (ARN) at 1700000000000",
            ),
            ("\"arn:aws:kms:us-east-1:123456789012:key/1\", it said.", "\"(ARN)\", it said."),
            (
                "the copied snapshot snap-0123456789abcdef0 failed: no (i-01234567)",
                "the copied snapshot (snapshot) failed: no ((instance))",
            ),
            ("vol-0123456789abcdef0: of ami-0123456789abcdef0.", "(volume): of ami-0123456789abcdef0."),
            ("i-may; snap-shot", "i-may; snap-shot"),
            ("ends with 123456789012", "ends with (account)"),
            ("us-east-1:123456789012/x", "us-east-1:(account)/x"),
        ] {
            assert_eq!(for_everybody(text), told);
        }
        assert_eq!(for_everybody(&"é".repeat(DETAIL_CHARS_MAX + 1)).chars().count(), DETAIL_CHARS_MAX + 1);
    }
}
