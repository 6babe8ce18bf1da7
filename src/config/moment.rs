//! Moments as people write them: a day, which begins at midnight in UTC, or `2024-03-01T00:00:00Z`.

use cloudigrade_schemas::UtcSecond;
use serde::{Deserialize, Deserializer, Serializer, de};

/// Reads a moment where there may be none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UtcSecond>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map(Some).map_err(de::Error::custom)
}

/// Writes a moment; none is not written at all.
pub fn serialize<S: Serializer>(moment: &Option<UtcSecond>, serializer: S) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => serializer.collect_str(moment),
        None => serializer.serialize_none(),
    }
}

/// A moment. What is in another zone is refused, not taken for UTC.
pub fn parse(text: &str) -> Result<UtcSecond, String> {
    let whole = if text.len() == "YYYY-MM-DD".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let parsed = UtcSecond::parse_prefix(&whole).ok().filter(|parsed| parsed.to_string() == whole);
    parsed.ok_or_else(|| format!("{text:?} is neither a day, 2024-03-01, nor a moment in UTC, 2024-03-01T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_or_a_second_of_utc_and_nothing_else() {
        let of = |text: &str| parse(text).ok().map(|moment| moment.to_string());
        assert_eq!(of("2024-03-01").as_deref(), Some("2024-03-01T00:00:00Z"));
        assert_eq!(of("2024-03-01T10:30:00Z").as_deref(), Some("2024-03-01T10:30:00Z"));
        for text in ["", "2024-03-01T10:30:00+02:00", "2024-03-01T10:30:00", "2024-02-30", "yesterday", "2024-03-01Z"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
