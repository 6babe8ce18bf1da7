//! Every setting of Kafka's clients and topics that correctness or bounds rest on, with its reason. Nothing is left to a default that
//! another version of the library could change.

use std::fmt::Display;
use std::time::Duration;

use cloudigrade_schemas::topic::Keeps;
use rdkafka::ClientConfig;

use crate::kafka::KafkaOptions;
use crate::limits as l;

/// Whether a client sees what is in open and in aborted transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sees {
    /// Only what is committed.
    Committed,
    /// All that is written: only to ask where a partition ends.
    Written,
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn set(config: &mut ClientConfig, settings: &[(&str, &dyn Display)]) {
    for (name, value) in settings {
        config.set(*name, value.to_string());
    }
}

fn common(options: &KafkaOptions) -> ClientConfig {
    let mut config = ClientConfig::new();
    set(
        &mut config,
        &[
            ("bootstrap.servers", &options.bootstrap),
            ("client.id", &options.client_id),
            ("socket.timeout.ms", &millis(l::KAFKA_SOCKET_TIMEOUT)),
            // A client that was cut off is back soon after its broker: back-off beyond seconds would only add to an outage.
            ("reconnect.backoff.ms", &millis(l::KAFKA_RECONNECT_MIN)),
            ("reconnect.backoff.max.ms", &millis(l::KAFKA_RECONNECT_MAX)),
            ("retry.backoff.ms", &millis(l::KAFKA_RETRY_MIN)),
            ("retry.backoff.max.ms", &millis(l::KAFKA_RETRY_MAX)),
            ("receive.message.max.bytes", &l::KAFKA_RESPONSE_BYTES_MAX),
            ("statistics.interval.ms", &0),
            ("log.connection.close", &false),
        ],
    );
    if let Some(rack) = &options.rack {
        // Where brokers say which replica is near, records are read from that one.
        config.set("client.rack", rack);
    }
    for (name, value) in options.security.settings() {
        config.set(name, value);
    }
    config
}

/// For administration: topics are made and looked at.
pub(super) fn admin(options: &KafkaOptions) -> ClientConfig {
    common(options)
}

/// A task's producer.
pub(super) fn producer(options: &KafkaOptions, transactional_id: &str) -> ClientConfig {
    let mut config = common(options);
    set(
        &mut config,
        &[
            ("transactional.id", &transactional_id),
            // What a process that died leaves open hides later records for this long, unless its task is opened again.
            ("transaction.timeout.ms", &millis(l::KAFKA_TRANSACTION_TIMEOUT)),
            // Within the transaction's time: a record that is late has no transaction to be in any more.
            ("message.timeout.ms", &millis(l::KAFKA_TRANSACTION_TIMEOUT)),
            // The largest record, and Kafka's own bytes around it.
            ("message.max.bytes", &l::KAFKA_MESSAGE_BYTES_MAX),
            ("enable.idempotence", &true),
            ("acks", &"all"),
            ("max.in.flight.requests.per.connection", &5),
            ("compression.type", &"zstd"),
            ("linger.ms", &millis(l::KAFKA_LINGER)),
            ("batch.size", &l::KAFKA_BATCH_BYTES),
            ("queue.buffering.max.messages", &l::KAFKA_QUEUE_RECORDS_MAX),
            ("queue.buffering.max.kbytes", &(l::KAFKA_QUEUE_BYTES_MAX >> 10)),
        ],
    );
    config
}

/// A consumer with partitions of its own choice.
pub(super) fn consumer(options: &KafkaOptions, group: &str, sees: Sees, fetch_wait: Duration) -> ClientConfig {
    let mut config = common(options);
    let isolation = match sees {
        Sees::Committed => "read_committed",
        Sees::Written => "read_uncommitted",
    };
    set(
        &mut config,
        &[
            ("group.id", &group),
            ("isolation.level", &isolation),
            // Topics are made by us with their settings, or not at all.
            ("allow.auto.create.topics", &false),
            // Positions are committed with the data, in its transaction, and in no other way.
            ("enable.auto.commit", &false),
            ("enable.auto.offset.store", &false),
            // A position whose record is gone is told. Other values would skip what was not read, silently.
            ("auto.offset.reset", &"error"),
            // The only sound sign of an end: offsets are not dense, so no arithmetic finds it.
            ("enable.partition.eof", &true),
            ("check.crcs", &true),
            ("fetch.wait.max.ms", &millis(fetch_wait)),
            ("fetch.min.bytes", &1),
            ("fetch.max.bytes", &l::KAFKA_FETCH_BYTES_MAX),
            ("max.partition.fetch.bytes", &l::KAFKA_PARTITION_FETCH_BYTES_MAX),
            ("queued.min.messages", &l::KAFKA_PREFETCH_RECORDS),
            ("queued.max.messages.kbytes", &(l::KAFKA_PREFETCH_BYTES_MAX >> 10)),
            ("fetch.error.backoff.ms", &millis(l::KAFKA_RETRY_MIN)),
            // Partitions are given, not balanced: no poll is ever late for a group.
            ("max.poll.interval.ms", &86_400_000),
        ],
    );
    config
}

/// A consumer whose group divides partitions among its members.
pub(super) fn member(options: &KafkaOptions, group: &str) -> ClientConfig {
    let mut config = consumer(options, group, Sees::Committed, l::KAFKA_FETCH_WAIT);
    set(
        &mut config,
        &[
            // All is taken before anything is given: between the two nobody has a partition, and a batch is done before its partitions go. The
            // same partitions of all topics go to the same member.
            ("group.protocol", &"classic"),
            ("partition.assignment.strategy", &"range"),
            // A member that comes back in time finds its partitions kept for it, and nothing is divided anew.
            ("group.instance.id", &options.member),
            ("session.timeout.ms", &millis(options.session_timeout)),
            ("heartbeat.interval.ms", &millis(options.session_timeout / l::KAFKA_HEARTBEATS)),
            ("max.poll.interval.ms", &millis(l::KAFKA_BATCH_MAX)),
        ],
    );
    config
}

/// What a topic is for, which decides its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Records.
    Records(Keeps),
    /// The latest of each key: changelogs of state, and the register.
    Latest,
}

/// Settings that a topic may have otherwise than it was made with.
pub(super) const MAY_DIFFER: [&str; 2] = ["retention.ms", "retention.bytes"];

/// The settings of a topic. Those that are there already must have the same.
pub(super) fn topic(options: &KafkaOptions, purpose: Purpose) -> Vec<(&'static str, String)> {
    let cleanup = match purpose {
        Purpose::Records(Keeps::All) => "delete",
        Purpose::Records(Keeps::Latest) | Purpose::Latest => "compact",
    };
    vec![
        ("cleanup.policy", cleanup.to_owned()),
        // For ever: the log is the truth. Whoever wants less says so to Kafka ([`MAY_DIFFER`]), and what was not read by then stops its reader.
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("min.insync.replicas", options.min_in_sync.to_string()),
        ("max.message.bytes", l::KAFKA_MESSAGE_BYTES_MAX.to_string()),
        // The time is when a fact entered the log, which only we know; a clock that is wrong spoils stamps, nothing else.
        ("message.timestamp.type", "CreateTime".to_owned()),
        ("message.timestamp.after.max.ms", i64::MAX.to_string()),
        ("message.timestamp.before.max.ms", i64::MAX.to_string()),
        // A leader that lacks acknowledged records must not come up.
        ("unclean.leader.election.enable", "false".to_owned()),
    ]
}
