//! The topics of a log in Kafka: made where they are missing, and held against what they must be.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

use cloudigrade_schemas::Topic;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use crate::kafka::client::Quiet;
use crate::kafka::settings::{self, Purpose};
use crate::kafka::{OpenError, Parts};
use crate::limits as l;

/// A topic as it must be.
struct Wanted {
    name: String,
    partitions: u32,
    settings: Vec<(&'static str, String)>,
}

/// Makes the topics that are missing, and holds all of them against what they must be.
pub(super) fn provide(parts: &Parts) -> Result<(), OpenError> {
    let wanted = wanted(parts);
    let admin = settings::admin(&parts.options).create_with_context(Quiet);
    let admin: AdminClient<Quiet> = admin.map_err(|error| OpenError::Topics { cause: error.to_string() })?;
    let began = Instant::now();
    let mut made_some = false;
    loop {
        let found = found(parts)?;
        let missing: Vec<&Wanted> = wanted.iter().filter(|topic| !found.contains_key(&topic.name)).collect();
        if missing.is_empty() {
            wanted.iter().try_for_each(|topic| check_shape(parts, topic, &found))?;
            match check_settings(&admin, &wanted) {
                // A broker may know a topic that was just made before it knows its settings.
                Err(OpenError::TopicDiffers { .. }) if made_some && began.elapsed() < l::KAFKA_CALL_TIMEOUT => {
                    sleep(l::KAFKA_RETRY_MIN);
                    continue;
                }
                checked => return checked,
            }
        }
        if began.elapsed() > l::KAFKA_OPEN_MAX {
            return Err(OpenError::Topics { cause: format!("{} was made and did not appear", missing[0].name) });
        }
        make(parts, &admin, &missing)?;
        made_some = true;
        sleep(l::KAFKA_RETRY_MIN);
    }
}

fn wanted(parts: &Parts) -> Vec<Wanted> {
    let options = &parts.options;
    let partitions = options.partitions.get();
    let records = Topic::ALL.into_iter().map(|topic| Wanted {
        name: parts.names.topic(topic),
        partitions,
        settings: settings::topic(options, Purpose::Records(topic.keeps())),
    });
    let changelogs = options.stores.iter().map(|store| Wanted {
        name: parts.names.changelog(*store),
        partitions,
        settings: settings::topic(options, Purpose::Latest),
    });
    let register = Wanted { name: parts.names.register(), partitions: 1, settings: settings::topic(options, Purpose::Latest) };
    records.chain(changelogs).chain([register]).collect()
}

/// The topics that are there, each with its number of partitions and the fewest replicas of one of them.
fn found(parts: &Parts) -> Result<BTreeMap<String, (usize, usize)>, OpenError> {
    let client = parts.ends.client();
    let metadata = client.fetch_metadata(None, l::KAFKA_CALL_TIMEOUT).map_err(|error| OpenError::unreachable(&parts.options, &error))?;
    let described = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty()).map(|topic| {
        let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0);
        (topic.name().to_owned(), (topic.partitions().len(), replicas))
    });
    Ok(described.collect())
}

fn make(parts: &Parts, admin: &AdminClient<Quiet>, missing: &[&Wanted]) -> Result<(), OpenError> {
    let options = AdminOptions::new().request_timeout(Some(l::KAFKA_CALL_TIMEOUT)).operation_timeout(Some(l::KAFKA_CALL_TIMEOUT));
    let new = missing.iter().map(|topic| {
        let replication = TopicReplication::Fixed(i32::from(parts.options.replication.get()));
        let new = NewTopic::new(&topic.name, topic.partitions.cast_signed(), replication);
        topic.settings.iter().fold(new, |new, (name, value)| new.set(name, value))
    });
    let new: Vec<_> = new.collect();
    let made = block_on(admin.create_topics(&new, &options)).map_err(|error| OpenError::Topics { cause: error.to_string() })?;
    for topic in made {
        match topic {
            // Somebody else makes them too.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, RDKafkaErrorCode::InvalidReplicationFactor)) => {
                let cause = format!(
                    "{name} cannot be made with {} replicas: there are fewer brokers (kafka.replication)",
                    parts.options.replication
                );
                return Err(OpenError::Topics { cause });
            }
            Err((name, code)) => return Err(OpenError::Topics { cause: format!("{name} cannot be made: {code}") }),
        }
    }
    Ok(())
}

fn check_shape(parts: &Parts, topic: &Wanted, found: &BTreeMap<String, (usize, usize)>) -> Result<(), OpenError> {
    let Some(&(partitions, replicas)) = found.get(&topic.name) else { return Ok(()) };
    let differs = |what, found: usize, expected: String| OpenError::TopicDiffers {
        topic: topic.name.clone(),
        what,
        found: found.to_string(),
        expected,
    };
    if partitions != topic.partitions as usize {
        let found = u32::try_from(partitions).unwrap_or(u32::MAX);
        return Err(OpenError::Partitions { topic: topic.name.clone(), found, expected: topic.partitions });
    }
    if replicas < usize::from(parts.options.replication.get()) {
        return Err(differs("replicas", replicas, format!("at least {}", parts.options.replication)));
    }
    Ok(())
}

fn check_settings(admin: &AdminClient<Quiet>, wanted: &[Wanted]) -> Result<(), OpenError> {
    let options = AdminOptions::new().request_timeout(Some(l::KAFKA_CALL_TIMEOUT));
    let asked: Vec<_> = wanted.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let told = block_on(admin.describe_configs(&asked, &options)).map_err(|error| OpenError::Topics { cause: error.to_string() })?;
    for (topic, resource) in wanted.iter().zip(told) {
        let resource =
            resource.map_err(|code| OpenError::Topics { cause: format!("the settings of {} are not shown: {code}", topic.name) })?;
        for (name, expected) in topic.settings.iter().filter(|(name, _)| !settings::MAY_DIFFER.contains(name)) {
            let found = resource.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
            if found != *expected {
                return Err(OpenError::TopicDiffers { topic: topic.name.clone(), what: name, found, expected: expected.clone() });
            }
        }
    }
    Ok(())
}
