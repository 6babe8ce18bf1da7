//! Reads the file and the environment, and says all that is wrong with them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::sections::Config;
use super::unknown::{UnknownKey, unknown_keys};

/// How the names of environment variables that set something begin.
const PREFIX: &str = "CLOUDIGRADE__";
/// What separates section and key in them.
const SEPARATOR: &str = "__";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: not TOML: {cause}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        cause: toml::de::Error,
    },
    /// Keys that are not known.
    #[error("{place}: {}", keys.iter().map(describe).collect::<Vec<_>>().join("; "))]
    UnknownKeys {
        /// The file, or the environment.
        place: String,
        /// The keys.
        keys: Vec<UnknownKey>,
    },
    /// A variable of the environment that names no key.
    #[error("{name} names no section and key: write CLOUDIGRADE__SECTION__KEY")]
    Variable {
        /// Its name.
        name: String,
    },
    /// A value of the wrong kind.
    #[error("{place}: {cause}")]
    Invalid {
        /// The file, or the environment.
        place: String,
        /// What is wrong, and where.
        cause: String,
    },
    /// Values that cannot be.
    #[error("{place}: {}", faults.join("; "))]
    Faults {
        /// The file, or the environment.
        place: String,
        /// All that is wrong.
        faults: Vec<String>,
    },
}

fn describe(UnknownKey { path, nearest }: &UnknownKey) -> String {
    match nearest {
        Some(nearest) => format!("there is no key {path}; did you mean {nearest}?"),
        None => format!("there is no key {path}"),
    }
}

/// Reads the configuration from a file, if one is given, and the variables of the environment.
///
/// # Errors
/// [`ConfigError`].
pub fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let schema = schemars::schema_for!(Config).to_value();
    let place = file.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let mut table = match file {
        Some(path) => read(path)?,
        None => Table::new(),
    };
    refuse_unknown(&table, &schema, &place)?;
    let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, value) in &variables {
        let path: Vec<String> = name[PREFIX.len()..].split(SEPARATOR).map(str::to_ascii_lowercase).collect();
        if path.iter().any(String::is_empty) {
            return Err(ConfigError::Variable { name: name.clone() });
        }
        set(&mut table, &path, value).map_err(|cause| ConfigError::Invalid { place: name.clone(), cause })?;
        refuse_unknown(&table, &schema, name)?;
    }
    let config = Config::deserialize(table).map_err(|error| invalid(&error, place.clone(), &variables))?;
    let faults = config.faults();
    if faults.is_empty() { Ok(config) } else { Err(ConfigError::Faults { place, faults }) }
}

/// What is wrong with a value, and where: one line, and the variable that set it rather than the file that it won over.
fn invalid(error: &toml::de::Error, place: String, variables: &[(String, String)]) -> ConfigError {
    let mut cause = error.to_string().trim().replace('\n', " ");
    let wrong = cause.rsplit_once("in `").map(|(_, key)| format!("{PREFIX}{}", key.trim_end_matches('`').replace('.', SEPARATOR)));
    let variable = variables
        .iter()
        .map(|(name, _)| name)
        .find(|name| Some(name.to_ascii_uppercase()) == wrong.as_ref().map(|key| key.to_ascii_uppercase()));
    if variable.is_some() && cause.contains("expected a sequence") {
        cause.push_str("; write a list as [\"a\", \"b\"]");
    }
    ConfigError::Invalid { place: variable.cloned().unwrap_or(place), cause }
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
    text.parse().map_err(|cause| ConfigError::NotToml { path: path.to_owned(), cause })
}

fn refuse_unknown(table: &Table, schema: &serde_json::Value, place: &str) -> Result<(), ConfigError> {
    let keys = unknown_keys(table, schema);
    if keys.is_empty() { Ok(()) } else { Err(ConfigError::UnknownKeys { place: place.to_owned(), keys }) }
}

/// Sets a key. A value that reads as a number, true, false or a list is one; all else is text.
fn set(table: &mut Table, path: &[String], text: &str) -> Result<(), String> {
    let [sections @ .., key] = path else { return Ok(()) };
    let mut section = table;
    for name in sections {
        let entry = section.entry(name.clone()).or_insert_with(|| Value::Table(Table::new()));
        section = entry.as_table_mut().ok_or_else(|| format!("{name} is no section"))?;
    }
    section.insert(key.clone(), value_of(text));
    Ok(())
}

fn value_of(text: &str) -> Value {
    // Only what no text setting looks like: an account id is all digits, but a number all the same only where one is asked for.
    let read = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    match read {
        Some(value @ (Value::Boolean(_) | Value::Array(_))) => value,
        Some(Value::Integer(number)) if number.to_string() == text && text.len() < 12 => Value::Integer(number),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::config::{InspectionMode, SourceKind};

    fn of(toml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        load(Some(file.path()), variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    const SQS: &str = "[source.sqs]\nqueue_url = \"https://sqs.us-east-1.amazonaws.com/1/q\"\nbuckets = [\"b\"]\n";

    #[test]
    fn nothing_set_is_the_default_and_collects_nothing() {
        let config = load(None, std::iter::empty()).unwrap();
        assert!(!config.collects() && config.serve.listen.ip().is_loopback());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let config = of(
            SQS,
            &[
                ("CLOUDIGRADE__SOURCE__SQS__VISIBILITY_TIMEOUT", "30s"),
                ("CLOUDIGRADE__SOURCE__SQS__MAX_MESSAGES", "3"),
                ("CLOUDIGRADE__SOURCE__SQS__BUCKETS", "[\"x\", \"y\"]"),
                ("CLOUDIGRADE__SOURCE__SQS__EXPECTED_BUCKET_OWNER", "012345678901"),
                ("CLOUDIGRADE_DATA", "not ours to read here"),
            ],
        );
        let sqs = config.unwrap().source.sqs.unwrap();
        assert_eq!((sqs.visibility_timeout.as_secs(), sqs.max_messages), (30, 3));
        assert_eq!((sqs.buckets, sqs.expected_bucket_owner.as_deref()), (vec!["x".to_owned(), "y".to_owned()], Some("012345678901")));
    }

    #[test]
    fn the_kind_of_source_is_that_of_its_section_and_a_queue_goes_first() {
        const LIST: &str = "[source.list]\nplaces = [\"s3://trail\"]\nsince = \"2024-03-01T00:00:00Z\"\n";
        let kind = |toml: &str| of(toml, &[]).unwrap().source_kind();
        assert_eq!((kind(""), kind(SQS), kind(LIST)), (None, Some(SourceKind::Sqs), Some(SourceKind::List)));
        assert_eq!(kind(&format!("{SQS}{LIST}")), Some(SourceKind::Sqs));
        assert_eq!(kind(&format!("[source]\nkind = \"list\"\n{SQS}{LIST}")), Some(SourceKind::List));
        let wrong = |toml: &str| of(toml, &[]).unwrap_err().to_string();
        assert!(wrong(&format!("[source]\nkind = \"list\"\n{SQS}")).contains("source.kind"));
        assert!(wrong(&format!("{LIST}interval = \"0s\"\n")).contains("source.list.interval: 0 s"));
        assert!(wrong("[source.list]\nplaces = []\n").contains("names 0 places"));
        assert!(wrong(&format!("{LIST}intervall = \"5m\"\n")).contains("did you mean interval?"));
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_with_the_nearest_one() {
        let says = |toml: &str, variables: &[(&str, &str)]| of(toml, variables).unwrap_err().to_string();
        let file = says(&SQS.replace("queue_url", "queue_ulr"), &[]);
        assert!(file.contains("no key source.sqs.queue_ulr; did you mean queue_url?"), "{file}");
        let section = says("[acounts]\n", &[]);
        assert!(section.contains("did you mean accounts?"), "{section}");
        let variable = says("", &[("CLOUDIGRADE__AWS__REGOIN", "x")]);
        assert!(variable.starts_with("CLOUDIGRADE__AWS__REGOIN: ") && variable.contains("did you mean region?"), "{variable}");
        assert!(says("", &[("CLOUDIGRADE____X", "x")]).contains("names no section"));
    }

    #[test]
    fn all_values_that_cannot_be_are_told_at_once() {
        let error = of(&format!("{SQS}wait_time = \"30s\"\n[accounts]\nreconcile_every = \"2h\"\n"), &[]).unwrap_err().to_string();
        for part in ["wait_time: 30 s is not between", "reconcile_every is 7200 s"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let cannot_be = "[accounts]\ntrail_prefix = \"\"\nprincipal_account = \"12\"\n[serve]\nshutdown_limit = \"0s\"\nanswer_wait = \"0s\"\ntables_every = \"1ms\"\n\
            [source]\nsilence_after = \"0s\"\nmissing_after = \"25h\"\n[aws.assume_role]\nrole_arn = \"nobody\"\n";
        let error = of(cannot_be, &[]).unwrap_err().to_string();
        for part in [
            "trail_prefix",
            "principal_account",
            "shutdown_limit",
            "answer_wait",
            "tables_every",
            "silence_after",
            "missing_after",
            "role_arn",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(of("[serve]\nlisten = \"nowhere\"\n", &[]).unwrap_err().to_string().contains("listen"));
        assert!(of("[serve\n", &[]).unwrap_err().to_string().contains("not TOML"));
    }

    #[test]
    fn disks_are_read_only_where_that_is_set_with_all_that_it_takes() {
        assert_eq!(of("", &[]).unwrap().inspection.mode, InspectionMode::Off);
        let direct = "[accounts]\nread_disks = true\n[inspection]\nmode = \"ebs-direct\"\ninstallation = \"prod\"\n";
        let scanner = "[inspection.scanner]\navailability_zone = \"us-east-1b\"\nqueue_url = \"https://q\"\nimage_id = \"ami-1\"\n";
        for complete in [direct.to_owned(), format!("{direct}{scanner}"), format!("{}{scanner}", direct.replace("ebs-direct", "scanner"))] {
            let config = of(&complete, &[]).unwrap();
            assert_eq!(toml::to_string(&config).map(|shown| of(&shown, &[]).is_ok()), Ok(true), "what is shown can be read");
        }
        let wrong = |toml: &str| of(toml, &[]).unwrap_err().to_string();
        for (toml, part) in [
            (direct.replace("installation", "# installation"), "inspection.installation"),
            (direct.replace("read_disks", "# read_disks"), "read_disks = true"),
            (direct.replace("ebs-direct", "scanner"), "[inspection.scanner]"),
            (format!("{direct}{}", scanner.replace("image_id", "# image_id")), "launch_template"),
            (format!("{direct}{scanner}program_url = \"https://p\"\n"), "program_sha256"),
            (format!("{direct}batch_size = 53\n"), "batch_size is 53"),
            (format!("{direct}scan_limit = \"1s\"\n"), "scan_limit"),
            (format!("{direct}[inspection.prices]\ncoffee = 1.0\n"), "no price of coffee"),
        ] {
            assert!(wrong(&toml).contains(part), "{part}: {}", wrong(&toml));
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_told_in_one_line_with_the_variable_that_set_it() {
        let error = of(SQS, &[("CLOUDIGRADE__SOURCE__SQS__BUCKETS", "b"), ("CLOUDIGRADE__LOG__FORMAT", "json")]).unwrap_err().to_string();
        assert!(error.starts_with("CLOUDIGRADE__SOURCE__SQS__BUCKETS: ") && error.contains("[\"a\", \"b\"]"), "{error}");
        let error = of("[serve]\nlisten = 3\n", &[("CLOUDIGRADE__LOG__FORMAT", "json")]).unwrap_err().to_string();
        assert!(!error.contains('\n') && !error.contains("CLOUDIGRADE__") && error.contains("serve.listen"), "{error}");
    }
}
