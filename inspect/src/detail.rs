//! Texts about what is in the way, for all who see the image.

use crate::limits::DETAIL_CHARS_MAX;

/// Digits of an AWS account's id.
const ACCOUNT_DIGITS: usize = 12;

/// The text without ids of accounts, and not too long. An image may be used by several tenants, and none learns of another's accounts from what
/// AWS said to us in one of them.
pub fn for_everybody(text: &str) -> String {
    let mut told = String::new();
    let mut digits = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }).chain(std::iter::once('\n')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        told.push_str(if digits.len() == ACCOUNT_DIGITS { "(account)" } else { &digits });
        digits.clear();
        told.push(c);
    }
    let told = told.trim();
    let mut short: String = told.chars().take(DETAIL_CHARS_MAX).collect();
    if short.len() < told.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_is_named_and_everything_else_stays() {
        let text = "User: arn:aws:sts::123456789012:assumed-role/x is not authorized on snap-0123456789abcdef0\nat 1700000000000";
        let told = "User: arn:aws:sts::(account):assumed-role/x is not authorized on snap-0123456789abcdef0 at 1700000000000";
        assert_eq!(for_everybody(text), told);
        assert_eq!(for_everybody("ends with 123456789012"), "ends with (account)");
        assert_eq!(for_everybody(&"é".repeat(DETAIL_CHARS_MAX + 1)).chars().count(), DETAIL_CHARS_MAX + 1);
    }
}
