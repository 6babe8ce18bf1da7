//! The register: a topic of one partition that says what log this is, and who opened each task last.
//!
//! Kafka fences a task's commits by its transactional id. The register tells it to a task that only polls, in whatever process it is.

use std::time::{SystemTime, UNIX_EPOCH};

use cloudigrade_pipeline::log::{LogError, TaskId};
use serde::{Deserialize, Serialize};

use crate::kafka::ends::Place;
use crate::kafka::failure;
use crate::kafka::names::Names;
use crate::kafka::pause::patiently;
use crate::kafka::reader::{Patience, Stretch};
use crate::kafka::session::{Failed, Sending, Session};
use crate::kafka::tail::Arrived;
use crate::kafka::{KafkaOptions, OpenError, Parts};
use crate::limits as l;

/// The format of logs on Kafka that this program writes. Increase it when an older program could misread the topics.
const FORMAT: u32 = 1;
/// Key of what is said of the log.
const LOG: &[u8] = b"log";
/// Key of what is said of a log that was moved here.
const IMPORT: &[u8] = b"import";
/// How keys of tasks begin.
const TASK: &str = "task/";
/// Whoever makes a log.
const MAKER: TaskId = TaskId("register");

/// What is said of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    format: u32,
    /// Random, so that a cache of another log with the same name is known for that.
    pub(super) id: String,
    pub(super) partitions: u32,
}

/// A log that was moved here, or is being moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Import {
    /// What it is known by.
    pub(super) source: String,
    /// Where it was, in words.
    pub(super) place: String,
    /// Whether all of it is here.
    pub(super) done: bool,
}

/// Milliseconds since 1970, for Kafka's own records of time; nothing is decided by them.
pub(super) fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(1).max(1)
}

fn random_id() -> Result<String, LogError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| LogError::Storage {
        doing: "asking for random bytes",
        cause: error.to_string(),
        help: "this system has no source of random bytes",
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn sending<'a>(topic: &'a str, key: &'a [u8], value: &'a [u8]) -> Sending<'a> {
    Sending { topic, partition: 0, key, value, millis: now_millis(), headers: None, number: 0 }
}

/// What the register says of an opening of a task.
pub(super) struct Opening {
    name: String,
    /// The offset behind it.
    pub(super) behind: u64,
}

/// Says that a task was opened.
pub(super) fn announce(session: &mut Session, names: &Names, task: TaskId) -> Result<Opening, LogError> {
    let (topic, key, name) = (names.register(), format!("{TASK}{task}"), random_id()?);
    let records = std::iter::once(sending(&topic, key.as_bytes(), name.as_bytes()));
    match session.transact(records, None) {
        Ok(landed) => {
            let behind = landed.get(&0).map(|landed| landed.last + 1);
            let unplaced = LogError::Retry { doing: "opening a task", cause: "Kafka did not say where its record is".into() };
            Ok(Opening { name, behind: behind.ok_or(unplaced)? })
        }
        Err(Failed::Aborted(cause)) => Err(LogError::Retry { doing: "opening a task", cause }),
        // Somebody else is opening it.
        Err(Failed::Over(error @ (LogError::Fenced { .. } | LogError::Retry { .. }))) => {
            Err(LogError::Retry { doing: "opening a task", cause: error.to_string() })
        }
        Err(Failed::Over(error)) => Err(error),
    }
}

/// Proves that nobody else has opened a session: only then can it say something.
///
/// # Errors
/// [`LogError::Fenced`] where somebody has, and those of a commit.
pub(super) fn prove(session: &mut Session, names: &Names, task: TaskId) -> Result<(), LogError> {
    let (topic, key) = (names.register(), format!("{TASK}{task}"));
    match session.transact(std::iter::once(sending(&topic, key.as_bytes(), b"goes on")), None) {
        Ok(_) => Ok(()),
        Err(Failed::Aborted(cause)) => Err(LogError::Retry { doing: "going on with a task", cause }),
        Err(Failed::Over(error)) => Err(error),
    }
}

/// Whether a record of the register says that a task was opened by somebody else.
pub(super) fn is_other_opening(record: &Arrived, task: TaskId, opening: &Opening) -> bool {
    record.key.strip_prefix(TASK.as_bytes()) == Some(task.0.as_bytes()) && record.value != opening.name.as_bytes()
}

/// Says what is moved here.
pub(super) fn say_import(options: &KafkaOptions, names: &Names, import: &Import) -> Result<(), LogError> {
    let value = serde_json::to_vec(import).map_err(|error| LogError::Storage {
        doing: "saying what is moved here",
        cause: error.to_string(),
        help: "this is a fault of the program; please report it",
    })?;
    let mut session = Session::open(options, &names.maker(), MAKER)?;
    match session.transact(std::iter::once(sending(&names.register(), IMPORT, &value)), None) {
        Ok(_) => Ok(()),
        Err(Failed::Aborted(cause)) => Err(LogError::Retry { doing: "saying what is moved here", cause }),
        Err(Failed::Over(error)) => Err(error),
    }
}

/// What the log says of itself; says it first where the log is new. Waits for brokers that are not ready yet.
pub(super) fn about(parts: &Parts) -> Result<(About, Option<Import>), OpenError> {
    patiently(OpenError::passes, || about_now(parts))
}

fn about_now(parts: &Parts) -> Result<(About, Option<Import>), OpenError> {
    const MAKING: &str = "making the log";
    let (about, import) = match read(parts)? {
        (Some(about), import) => (about, import),
        (None, _) => {
            // Of several that make it at once, the last to open this session goes on, and finds what the others wrote.
            let mut session = Session::open(&parts.options, &parts.names.maker(), MAKER)?;
            match read(parts)? {
                (Some(about), import) => (about, import),
                (None, _) => {
                    let about = About { format: FORMAT, id: random_id()?, partitions: parts.options.partitions.get() };
                    let value = serde_json::to_vec(&about).map_err(|error| OpenError::Damaged { cause: error.to_string() })?;
                    match session.transact(std::iter::once(sending(&parts.names.register(), LOG, &value)), None) {
                        Ok(_) => (about, None),
                        Err(Failed::Aborted(cause)) => return Err(LogError::Retry { doing: MAKING, cause }.into()),
                        // Somebody else is making it.
                        Err(Failed::Over(error @ LogError::Fenced { .. })) => {
                            return Err(LogError::Retry { doing: MAKING, cause: error.to_string() }.into());
                        }
                        Err(Failed::Over(error)) => return Err(error.into()),
                    }
                }
            }
        }
    };
    if about.format > FORMAT {
        return Err(OpenError::Newer { found: about.format, known: FORMAT });
    }
    if about.partitions != parts.options.partitions.get() {
        return Err(OpenError::Partitions {
            topic: parts.names.register(),
            found: about.partitions,
            expected: parts.options.partitions.get(),
        });
    }
    Ok((about, import))
}

fn read(parts: &Parts) -> Result<(Option<About>, Option<Import>), OpenError> {
    const DOING: &str = "reading the log's register";
    const PATIENCE: Patience = Patience { without_progress: l::KAFKA_RESTORE_IDLE_MAX, with_records: l::KAFKA_RESTORE_IDLE_MAX };
    let place = Place { topic: parts.names.register(), partition: 0 };
    let of_kafka = |error| failure::outside(DOING, None, &error);
    let upto = parts.ends.written(std::slice::from_ref(&place)).map_err(of_kafka)?.first().copied().unwrap_or(0);
    let (mut about, mut import) = (None, None);
    let look = |arrived: Arrived| {
        if arrived.key == LOG {
            about = Some(arrived.value);
        } else if arrived.key == IMPORT {
            import = Some(arrived.value);
        }
        true
    };
    let (_, passed) = parts.readers.read(Stretch { place: &place, from: 0, upto }, PATIENCE, look).map_err(of_kafka)?;
    if passed < upto {
        return Err(failure::undecided(DOING, &place.topic, place.partition).into());
    }
    Ok((about.map(parse).transpose()?, import.map(parse).transpose()?))
}

fn parse<T: for<'de> Deserialize<'de>>(value: Vec<u8>) -> Result<T, OpenError> {
    serde_json::from_slice(&value).map_err(|error| OpenError::Damaged { cause: error.to_string() })
}
