//! The topics of a log in Kafka: made where they are missing, and held against what they must be.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

use cloudigrade_pipeline::log::LogError;
use cloudigrade_schemas::Topic;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::KafkaError;

use crate::kafka::client::Quiet;
use crate::kafka::ends::{Ends, Place};
use crate::kafka::failure::{self, Code, is_refusal_code, is_there_already, lacks_brokers, passes_code};
use crate::kafka::names::Names;
use crate::kafka::pause::patiently;
use crate::kafka::settings::{self, Purpose};
use crate::kafka::{KafkaOptions, OpenError};
use crate::limits as l;

/// What brokers are asked for here.
const ASKING: &str = "making the topics of the log, or looking at them,";

/// A topic as it must be.
pub(super) struct Wanted {
    pub(super) name: String,
    partitions: u32,
    settings: Vec<(&'static str, String)>,
}

/// What brokers show of a topic.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    partitions: usize,
    /// The fewest of a partition.
    replicas: usize,
}

/// Whether topics are made, or it is only asked whether they could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    Really,
    AskOnly,
}

/// A client that makes topics and looks at them.
pub(super) fn admin(options: &KafkaOptions) -> Result<AdminClient<Quiet>, OpenError> {
    settings::admin(options).create_with_context(Quiet).map_err(|error| OpenError::Settings { cause: error.to_string() })
}

/// Makes the topics that are missing, and holds all of them against what they must be. A broker that was lost just now is waited for, or
/// another that takes its place.
pub(super) fn provide(options: &KafkaOptions, names: &Names) -> Result<(), OpenError> {
    let (wanted, admin) = (wanted(options, names), admin(options)?);
    let mut so_far = SoFar { began: Instant::now(), made: None };
    patiently(OpenError::passes, || provide_now(options, &wanted, &admin, &mut so_far))
}

/// What came of it before brokers were lost.
struct SoFar {
    began: Instant,
    /// When some were made, perhaps: of a request whose answer is lost it is not known.
    made: Option<Instant>,
}

fn provide_now(
    options: &KafkaOptions,
    wanted: &[Wanted],
    admin: &AdminClient<Quiet>,
    SoFar { began, made }: &mut SoFar,
) -> Result<(), OpenError> {
    loop {
        let found = found(admin)?;
        let missing: Vec<&Wanted> = wanted.iter().filter(|topic| !found.contains_key(&topic.name)).collect();
        if missing.is_empty() {
            wanted.iter().try_for_each(|topic| found.get(&topic.name).map_or(Ok(()), |shape| check_shape(options, topic, *shape)))?;
            let all: Vec<&Wanted> = wanted.iter().collect();
            match check_settings(admin, &all).and_then(|checked| checked.into_iter().collect()) {
                // A broker may know a topic that was just made before it knows its settings.
                Err(OpenError::TopicDiffers { .. } | OpenError::Refused { .. })
                    if made.is_some_and(|at| at.elapsed() < l::KAFKA_CALL_TIMEOUT) =>
                {
                    sleep(l::KAFKA_RETRY_MIN);
                    continue;
                }
                checked => return checked,
            }
        }
        if began.elapsed() > l::KAFKA_OPEN_MAX {
            return Err(OpenError::Topics { cause: format!("{} was made and did not appear", missing[0].name) });
        }
        let told = make(options, admin, &missing, Making::Really).inspect_err(|_| *made = Some(Instant::now()))?;
        for (name, answer) in told {
            match answer {
                // There all the time, and not shown: that is no delay any more.
                Err(code) if is_there_already(code) && made.is_none() && began.elapsed() > l::KAFKA_CALL_TIMEOUT => {
                    return Err(OpenError::Refused { operation: "Describe", resource: format!("the topic {name}") });
                }
                // Somebody else makes them too.
                Ok(()) => *made = Some(Instant::now()),
                Err(code) if is_there_already(code) => {}
                Err(code) if is_refusal_code(code) => {
                    let operation = "Create, or Describe where it is there already,";
                    return Err(OpenError::Refused { operation, resource: format!("the topic {name}") });
                }
                Err(code) if lacks_brokers(code) => {
                    let cause =
                        format!("{name} cannot be made with {} replicas: there are fewer brokers (kafka.replication)", options.replication);
                    return Err(OpenError::Topics { cause });
                }
                Err(code) if passes_code(code) => {
                    return Err(OpenError::Log(LogError::Retry { doing: ASKING, cause: format!("{name} cannot be made: {code}") }));
                }
                Err(code) => return Err(OpenError::Topics { cause: format!("{name} cannot be made: {code}") }),
            }
        }
        sleep(l::KAFKA_RETRY_MIN);
    }
}

/// Waits until brokers lead all partitions of the log's topics.
pub(super) fn await_leaders(options: &KafkaOptions, names: &Names, ends: &Ends) -> Result<(), OpenError> {
    let partitions = |topic: Wanted| {
        (0..i32::try_from(topic.partitions).unwrap_or(i32::MAX)).map(move |partition| Place { topic: topic.name.clone(), partition })
    };
    let places: Vec<Place> = wanted(options, names).into_iter().flat_map(partitions).collect();
    ends.await_leaders(&places).map_err(|error| OpenError::Topics { cause: format!("not all partitions have a leader: {error}") })
}

/// The topics of a log.
pub(super) fn wanted(options: &KafkaOptions, names: &Names) -> Vec<Wanted> {
    let partitions = options.partitions.get();
    let records = Topic::ALL.into_iter().map(|topic| Wanted {
        name: names.topic(topic),
        partitions,
        settings: settings::topic(options, Purpose::Records(topic.keeps())),
    });
    let changelogs = options.stores.iter().map(|store| Wanted {
        name: names.changelog(*store),
        partitions,
        settings: settings::topic(options, Purpose::Latest),
    });
    let register = Wanted { name: names.register(), partitions: 1, settings: settings::topic(options, Purpose::Latest) };
    records.chain(changelogs).chain([register]).collect()
}

/// Brokers do not say what they were asked for.
fn no_word(error: &KafkaError) -> OpenError {
    OpenError::Log(failure::outside(ASKING, None, error))
}

/// The topics that are there, as far as this program's user is shown them.
pub(super) fn found(admin: &AdminClient<Quiet>) -> Result<BTreeMap<String, Shape>, OpenError> {
    let metadata = admin.inner().fetch_metadata(None, l::KAFKA_CALL_TIMEOUT).map_err(|error| no_word(&error))?;
    let described = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty()).map(|topic| {
        let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
        (topic.name().to_owned(), Shape { partitions: topic.partitions().len(), replicas })
    });
    Ok(described.collect())
}

/// The name of a topic, with what came of making it.
pub(super) type Made = (String, Result<(), Code>);

/// Makes topics, or asks whether they could be made. Says of each what came of it.
pub(super) fn make(
    options: &KafkaOptions,
    admin: &AdminClient<Quiet>,
    missing: &[&Wanted],
    making: Making,
) -> Result<Vec<Made>, OpenError> {
    let how = AdminOptions::new()
        .request_timeout(Some(l::KAFKA_CALL_TIMEOUT))
        .operation_timeout(Some(l::KAFKA_CALL_TIMEOUT))
        .validate_only(making == Making::AskOnly);
    let new = missing.iter().map(|topic| {
        let replication = TopicReplication::Fixed(i32::from(options.replication.get()));
        let new = NewTopic::new(&topic.name, topic.partitions.cast_signed(), replication);
        topic.settings.iter().fold(new, |new, (name, value)| new.set(name, value))
    });
    let new: Vec<_> = new.collect();
    let made = block_on(admin.create_topics(&new, &how)).map_err(|error| no_word(&error))?;
    let told = made.into_iter().map(|made| match made {
        Ok(name) => (name, Ok(())),
        Err((name, code)) => (name, Err(code)),
    });
    Ok(told.collect())
}

/// Holds the partitions and replicas of a topic against what they must be.
pub(super) fn check_shape(options: &KafkaOptions, topic: &Wanted, found: Shape) -> Result<(), OpenError> {
    let differs = |what, found: usize, expected: String| OpenError::TopicDiffers {
        topic: topic.name.clone(),
        what,
        found: found.to_string(),
        expected,
    };
    if found.partitions != topic.partitions as usize {
        let found = u32::try_from(found.partitions).unwrap_or(u32::MAX);
        return Err(OpenError::Partitions { topic: topic.name.clone(), found, expected: topic.partitions });
    }
    if found.replicas < usize::from(options.replication.get()) {
        return Err(differs("replicas", found.replicas, format!("at least {}", options.replication)));
    }
    Ok(())
}

/// Holds the settings of topics against what they must be, each for itself.
pub(super) fn check_settings(admin: &AdminClient<Quiet>, wanted: &[&Wanted]) -> Result<Vec<Result<(), OpenError>>, OpenError> {
    let options = AdminOptions::new().request_timeout(Some(l::KAFKA_CALL_TIMEOUT));
    let asked: Vec<_> = wanted.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let told = block_on(admin.describe_configs(&asked, &options)).map_err(|error| no_word(&error))?;
    let checked = wanted.iter().zip(told).map(|(topic, told)| {
        let told = told.map_err(|code| {
            let cause = format!("the settings of {} are not shown: {code}", topic.name);
            if passes_code(code) { OpenError::Log(LogError::Retry { doing: ASKING, cause }) } else { OpenError::Topics { cause } }
        })?;
        // The library's wrapper does not tell that they are refused: there are none.
        if told.entries.is_empty() {
            return Err(OpenError::Refused { operation: "DescribeConfigs", resource: format!("the topic {}", topic.name) });
        }
        for (name, expected) in topic.settings.iter().filter(|(name, _)| !settings::MAY_DIFFER.contains(name)) {
            let found = told.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
            if found != *expected {
                return Err(OpenError::TopicDiffers { topic: topic.name.clone(), what: name, found, expected: expected.clone() });
            }
        }
        Ok(())
    });
    Ok(checked.collect())
}
