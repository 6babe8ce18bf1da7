//! Lengths of time as people write them: `30s`, `15m`, `1h 30m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Reads `"30s"`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(de::Error::custom)
}

/// Writes seconds: `"30s"`, and what is less than one: `"30s 500ms"`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) => serializer.collect_str(&format_args!("{seconds}s")),
        (seconds, milliseconds) => serializer.collect_str(&format_args!("{seconds}s {milliseconds}ms")),
    }
}

/// A length of time, not negative, in whole milliseconds.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a length of time such as \"30s\", \"15m\" or \"1h 30m\"");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let parsed = Duration::try_from(parsed).map_err(|_| wrong())?;
    if parsed.subsec_nanos().is_multiple_of(1_000_000) { Ok(parsed) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_with_their_units_and_nothing_else_is() {
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("1s 500ms"), Ok(Duration::from_millis(1500)));
        for text in ["", "30", "-5s", "soon", "1 fortnight", "7us"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        #[derive(serde::Serialize)]
        struct Written(#[serde(with = "super")] Duration);

        for text in ["0s", "90s", "500ms", "1s 500ms"] {
            let written = serde_json::to_value(Written(parse(text).unwrap())).unwrap();
            assert_eq!(parse(written.as_str().unwrap()), parse(text), "{text}: {written}");
        }
    }
}
