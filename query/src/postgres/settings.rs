//! Settings of a connection: those that clients set as they begin. Each belongs to one connection, and none reaches DataFusion's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::wrong::{Wrong, code};

/// The version of Postgres whose protocol and catalogue are spoken.
pub(super) const SERVER_VERSION: &str = "16.6";
const SERVER_VERSION_NUMBER: &str = "160006";

/// What a value must be.
#[derive(Clone, Copy)]
enum Kind {
    /// Anything; it changes nothing.
    Any,
    /// One of these, in any case and without spaces; what is shown is the first.
    Only(&'static [&'static str]),
    /// A time, in milliseconds where no unit is given; 0 is none.
    Time,
    /// A whole number within bounds; it changes nothing.
    Number(i64, i64),
    /// Names of schemas that are looked in anyway.
    Schemas,
    /// It cannot be set.
    Fixed,
}

struct Setting {
    /// As it is looked for.
    name: &'static str,
    /// As clients are told of it.
    told_as: &'static str,
    default: &'static str,
    kind: Kind,
    /// Whether clients are told of it as they begin, and when it changes.
    is_reported: bool,
}

const fn setting(name: &'static str, default: &'static str, kind: Kind) -> Setting {
    Setting { name, told_as: name, default, kind, is_reported: false }
}

const fn reported(told_as: &'static str, name: &'static str, default: &'static str, kind: Kind) -> Setting {
    Setting { name, told_as, default, kind, is_reported: true }
}

const ZONES: &[&str] = &["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "+00:00", "+00", "0", "UTC0"];
const ENCODINGS: &[&str] = &["UTF8", "UTF-8", "UNICODE"];
const DATE_STYLES: &[&str] = &["ISO, MDY", "ISO", "ISO, DMY", "ISO, YMD", "ISO, US", "ISO, European"];
const ISOLATIONS: &[&str] = &["read committed", "read uncommitted", "repeatable read", "serializable"];

static SETTINGS: &[Setting] = &[
    reported("application_name", "application_name", "", Kind::Any),
    reported("client_encoding", "client_encoding", "UTF8", Kind::Only(ENCODINGS)),
    reported("DateStyle", "datestyle", "ISO, MDY", Kind::Only(DATE_STYLES)),
    reported("default_transaction_read_only", "default_transaction_read_only", "on", Kind::Only(&["on", "true", "1", "yes"])),
    reported("in_hot_standby", "in_hot_standby", "off", Kind::Fixed),
    reported("integer_datetimes", "integer_datetimes", "on", Kind::Fixed),
    reported("IntervalStyle", "intervalstyle", "postgres", Kind::Only(&["postgres"])),
    reported("is_superuser", "is_superuser", "off", Kind::Fixed),
    reported("scram_iterations", "scram_iterations", "4096", Kind::Fixed),
    reported("search_path", "search_path", "public", Kind::Schemas),
    reported("server_encoding", "server_encoding", "UTF8", Kind::Fixed),
    reported("server_version", "server_version", SERVER_VERSION, Kind::Fixed),
    reported("session_authorization", "session_authorization", "", Kind::Fixed),
    reported("standard_conforming_strings", "standard_conforming_strings", "on", Kind::Only(&["on", "true", "1", "yes"])),
    reported("TimeZone", "timezone", "UTC", Kind::Only(ZONES)),
    setting("bytea_output", "hex", Kind::Only(&["hex"])),
    setting("client_min_messages", "notice", Kind::Any),
    setting("default_transaction_isolation", "read committed", Kind::Only(ISOLATIONS)),
    setting("extra_float_digits", "1", Kind::Number(-15, 3)),
    setting("idle_in_transaction_session_timeout", "0", Kind::Time),
    setting("jit", "off", Kind::Any),
    setting("lc_collate", "C", Kind::Fixed),
    setting("lc_ctype", "C", Kind::Fixed),
    setting("lock_timeout", "0", Kind::Time),
    setting("max_identifier_length", "63", Kind::Fixed),
    setting("max_index_keys", "32", Kind::Fixed),
    setting("row_security", "on", Kind::Any),
    setting("server_version_num", SERVER_VERSION_NUMBER, Kind::Fixed),
    setting("ssl", "off", Kind::Fixed),
    setting("statement_timeout", "0", Kind::Time),
    setting("synchronize_seqscans", "on", Kind::Any),
    setting("transaction_isolation", "read committed", Kind::Only(ISOLATIONS)),
    setting("transaction_read_only", "on", Kind::Only(&["on", "true", "1", "yes"])),
];

/// The settings of one connection.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// What a connection begins with.
    first: BTreeMap<&'static str, String>,
    /// What they were when the transaction began.
    before: Option<BTreeMap<&'static str, String>>,
    /// Those that hold for the transaction alone.
    local: Vec<&'static str>,
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

impl Settings {
    /// Those of a new connection of a user.
    pub(super) fn new(user: &str) -> Self {
        let mut values: BTreeMap<&'static str, String> =
            SETTINGS.iter().map(|setting| (setting.name, setting.default.to_owned())).collect();
        values.insert("session_authorization", user.to_owned());
        Self { first: values.clone(), values, before: None, local: Vec::new() }
    }

    /// What a client asks for as it begins. A zone other than UTC is passed over: some drivers always name theirs, and are told that it
    /// is UTC.
    pub(super) fn begin_with(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        if name.eq_ignore_ascii_case("timezone") && !ZONES.iter().any(|zone| zone.eq_ignore_ascii_case(value)) {
            return Ok(());
        }
        self.set(name, Some(value), false)?;
        self.first.clone_from(&self.values);
        Ok(())
    }

    /// Sets one, or sets it back.
    ///
    /// # Errors
    /// Where there is no such setting, it cannot be set, or not to this.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>, is_local: bool) -> Result<(), Wrong> {
        // Names with a point belong to extensions, of which there are none.
        let setting =
            find(name).ok_or_else(|| Wrong::new(code::NO_SUCH_SETTING, format!("unrecognized configuration parameter \"{name}\"")))?;
        let value = match value {
            None => self.first.get(setting.name).cloned().unwrap_or_default(),
            Some(value) => setting.accepted(value)?,
        };
        if is_local {
            if self.before.is_none() {
                return Ok(());
            }
            self.local.push(setting.name);
        }
        self.values.insert(setting.name, value);
        Ok(())
    }

    /// All as they were at first.
    pub(super) fn reset(&mut self) {
        self.values.clone_from(&self.first);
    }

    /// The value of one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(find(name)?.name).map(String::as_str)
    }

    /// All, by the names that clients are told.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        SETTINGS.iter().map(|setting| (setting.told_as, self.values.get(setting.name).map_or("", String::as_str)))
    }

    /// Those that clients are told of.
    pub(super) fn reported(&self) -> Vec<(&'static str, String)> {
        let reported = SETTINGS.iter().filter(|setting| setting.is_reported);
        reported.map(|setting| (setting.told_as, self.values.get(setting.name).cloned().unwrap_or_default())).collect()
    }

    /// The value of a setting as rows, or of all.
    pub(super) fn shown(&self, name: Option<&str>) -> Result<RecordBatch, Wrong> {
        let columns: Vec<(&str, Vec<String>)> = match name {
            Some(name) => {
                let missing = || Wrong::new(code::NO_SUCH_SETTING, format!("unrecognized configuration parameter \"{name}\""));
                vec![(name, vec![self.get(name).ok_or_else(missing)?.to_owned()])]
            }
            None => {
                let (names, values) = self.all().map(|(name, value)| (name.to_owned(), value.to_owned())).unzip();
                vec![("name", names), ("setting", values)]
            }
        };
        let schema = Schema::new(columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>());
        let arrays = columns.into_iter().map(|(_, values)| Arc::new(StringArray::from(values)) as _).collect();
        RecordBatch::try_new(Arc::new(schema), arrays).map_err(Wrong::internal)
    }

    /// A time that is set, if it is.
    pub(super) fn time(&self, name: &str) -> Option<Duration> {
        let millis = self.get(name)?.parse::<u64>().ok().filter(|millis| *millis > 0)?;
        Some(Duration::from_millis(millis))
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.before = Some(self.values.clone());
        self.local.clear();
    }

    /// A transaction ends: what was set in it is kept or not.
    pub(super) fn end(&mut self, is_kept: bool) {
        let Some(before) = self.before.take() else { return };
        if is_kept {
            for name in self.local.drain(..) {
                if let Some(value) = before.get(name) {
                    self.values.insert(name, value.clone());
                }
            }
        } else {
            self.values = before;
            self.local.clear();
        }
    }
}

impl Setting {
    fn accepted(&self, value: &str) -> Result<String, Wrong> {
        let wrong = |what: &str| {
            let message = format!("invalid value for parameter \"{}\": {value:?}: {what}", self.told_as);
            Err(Wrong::new(code::INVALID_PARAMETER, message))
        };
        let bare = |text: &str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>().to_lowercase();
        match self.kind {
            Kind::Any => Ok(value.chars().take(VALUE_CHARS_MAX).filter(|character| !character.is_control()).collect()),
            Kind::Only(values) if values.iter().any(|known| bare(known) == bare(value)) => {
                // Ways to write one and the same; isolations are kept as they are named, since all are given.
                Ok(if values.as_ptr() == ISOLATIONS.as_ptr() { value.to_lowercase() } else { values[0].to_owned() })
            }
            Kind::Only(values) if self.name == "timezone" => {
                wrong(&format!("times are in {}; usage(start, end, granularity, tz) reports in other zones", values[0]))
            }
            Kind::Only(values) => wrong(&format!("it is always {}", values[0])),
            Kind::Time => match millis(value) {
                Some(millis) => Ok(millis.to_string()),
                None => wrong("it is a time such as 500, 30s or 5min"),
            },
            Kind::Number(least, most) => match value.trim().parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
                _ => wrong(&format!("it is a number from {least} to {most}")),
            },
            Kind::Schemas => {
                let mut names = value.split(',').map(|name| name.trim().trim_matches(['"', '\'']));
                match names.all(|name| ["", "public", "$user", "pg_catalog", "cloudigrade"].contains(&name)) {
                    true => Ok(value.to_owned()),
                    false => wrong("tables without a schema are those of public; name others with theirs, as in sys.gaps"),
                }
            }
            Kind::Fixed => Err(Wrong::new("55P02", format!("parameter \"{}\" cannot be changed", self.told_as))),
        }
    }
}

/// Characters of a value that is kept, at most.
const VALUE_CHARS_MAX: usize = 200;

/// A time in milliseconds.
fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor).filter(|millis| *millis <= i32::MAX as u64)
}

/// The settings in the parameter `options` of a client that begins: `-c name=value --name=value`.
pub(super) fn of_options(options: &str) -> Result<Vec<(String, String)>, Wrong> {
    let mut words = split_options(options).into_iter();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let wrong = || Wrong::fatal(code::INVALID_PARAMETER, format!("the option {word:?} does not read: it is -c name=value"));
        let assigned = match word.strip_prefix("-c").or_else(|| word.strip_prefix("--")) {
            Some("") => words.next().ok_or_else(wrong)?,
            Some(assigned) => assigned.to_owned(),
            None => return Err(wrong()),
        };
        let (name, value) = assigned.split_once('=').ok_or_else(wrong)?;
        found.push((name.trim().replace('-', "_"), value.to_owned()));
    }
    Ok(found)
}

/// Words, in which a space is written with a backslash before it.
fn split_options(options: &str) -> Vec<String> {
    let (mut words, mut word, mut is_escaped) = (Vec::new(), String::new(), false);
    for character in options.chars() {
        match character {
            _ if is_escaped => {
                word.push(character);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            _ if character.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_can_be_set() {
        let mut settings = Settings::new("ann");
        for name in ["datafusion.runtime.memory_limit", "datafusion.execution.target_partitions", "work_mem", "x.y", "role"] {
            assert_eq!(settings.set(name, Some("1"), false).unwrap_err().code, "42704", "{name}");
        }
        assert_eq!(settings.set("server_version", Some("1"), false).unwrap_err().code, "55P02");
        for (name, value) in [
            ("transaction_read_only", "off"),
            ("default_transaction_read_only", "off"),
            ("client_encoding", "LATIN1"),
            ("TimeZone", "Europe/Berlin"),
            ("search_path", "sys"),
            ("statement_timeout", "-1"),
            ("extra_float_digits", "4"),
        ] {
            assert_eq!(settings.set(name, Some(value), false).unwrap_err().code, "22023", "{name}");
        }
    }

    #[test]
    fn times_have_units() {
        let mut settings = Settings::new("ann");
        assert_eq!(settings.time("statement_timeout"), None);
        for (text, millis) in [("500", 500), ("2s", 2000), (" 1 min", 60_000), ("250ms", 250)] {
            settings.set("statement_timeout", Some(text), false).unwrap();
            assert_eq!(settings.time("statement_timeout"), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_transaction_that_fails_sets_nothing_and_local_ones_end_with_it() {
        let mut settings = Settings::new("ann");
        settings.begin();
        settings.set("statement_timeout", Some("1s"), false).unwrap();
        settings.end(false);
        assert_eq!(settings.get("statement_timeout"), Some("0"));
        settings.begin();
        settings.set("statement_timeout", Some("1s"), false).unwrap();
        settings.set("application_name", Some("a"), true).unwrap();
        settings.end(true);
        assert_eq!(settings.get("STATEMENT_TIMEOUT"), Some("1000"));
        assert_eq!(settings.get("application_name"), Some(""));
    }

    #[test]
    fn resetting_gives_what_the_client_began_with() {
        let mut settings = Settings::new("ann");
        settings.begin_with("application_name", "psql").unwrap();
        settings.begin_with("TimeZone", "Europe/Berlin").unwrap();
        settings.set("application_name", Some("other"), false).unwrap();
        settings.set("application_name", None, false).unwrap();
        assert_eq!(settings.get("application_name"), Some("psql"));
        assert_eq!(settings.get("timezone"), Some("UTC"));
    }

    #[test]
    fn options_are_settings() {
        let read = of_options(r"-c statement_timeout=5s --application-name=a\ b -cjit=off").unwrap();
        let expected = [("statement_timeout", "5s"), ("application_name", "a b"), ("jit", "off")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(of_options("-x").is_err() && of_options("-c").is_err() && of_options("-c a").is_err());
    }
}
