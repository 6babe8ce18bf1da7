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
            // Handing positions to a transaction, the library waits without a limit for news of the group's coordinator, and can miss them while
            // a broker is lost. It looks anew whenever a connection comes or goes, as this has one do on which nothing happens.
            ("connections.max.idle.ms", &millis(l::KAFKA_PRODUCER_IDLE_MAX)),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::{NonZeroU16, NonZeroU32};

    use super::*;
    use crate::kafka::Security;

    fn options() -> KafkaOptions {
        KafkaOptions {
            bootstrap: "broker:9092".to_owned(),
            security: Security::default(),
            client_id: "id".to_owned(),
            rack: None,
            prefix: "p.".to_owned(),
            member: "host.run".to_owned(),
            session_timeout: Duration::from_secs(15),
            cache: None,
            stores: Vec::new(),
            partitions: NonZeroU32::MIN,
            replication: NonZeroU16::MIN,
            min_in_sync: NonZeroU16::new(2).unwrap(),
        }
    }

    /// Holds settings against what they must be, those that differ named.
    fn pinned(config: &ClientConfig, expected: &[(&str, &str)]) {
        let differ = expected.iter().filter(|(name, value)| config.get(name) != Some(value));
        let differ: Vec<_> = differ.map(|(name, value)| format!("{name} is {:?} and must be {value}", config.get(name))).collect();
        assert!(differ.is_empty(), "{differ:#?}");
    }

    #[test]
    fn a_producer_commits_all_or_nothing_once_and_in_order() {
        pinned(
            &producer(&options(), "task"),
            &[
                ("bootstrap.servers", "broker:9092"),
                ("client.id", "id"),
                ("transactional.id", "task"),
                ("transaction.timeout.ms", "30000"),
                ("message.timeout.ms", "30000"),
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("max.in.flight.requests.per.connection", "5"),
                ("compression.type", "zstd"),
                ("message.max.bytes", "68157440"),
                ("connections.max.idle.ms", "15000"),
                ("statistics.interval.ms", "0"),
            ],
        );
        // The library counts a connection that waits for an answer among those on which nothing happens, and takes up to two seconds off.
        assert!(l::KAFKA_PRODUCER_IDLE_MAX > l::KAFKA_SOCKET_TIMEOUT + Duration::from_secs(2));
        assert!(l::KAFKA_PRODUCER_IDLE_MAX < l::KAFKA_TRANSACTION_TIMEOUT);
    }

    #[test]
    fn a_consumer_sees_only_what_is_committed_moves_by_itself_nowhere_and_skips_nothing() {
        let expected = [
            ("group.id", "group"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("check.crcs", "true"),
            ("allow.auto.create.topics", "false"),
        ];
        let config = consumer(&options(), "group", Sees::Committed, l::KAFKA_FETCH_WAIT);
        pinned(&config, &expected);
        pinned(&config, &[("max.poll.interval.ms", "86400000")]);
        pinned(&member(&options(), "group"), &expected);
        let written = consumer(&options(), "group", Sees::Written, l::KAFKA_FETCH_WAIT);
        pinned(&written, &[("isolation.level", "read_uncommitted"), ("auto.offset.reset", "error")]);
    }

    #[test]
    fn a_member_takes_part_eagerly_keeps_its_place_over_a_restart_and_is_away_only_when_its_batch_may_be_given_up() {
        pinned(
            &member(&options(), "group"),
            &[
                ("group.protocol", "classic"),
                ("partition.assignment.strategy", "range"),
                ("group.instance.id", "host.run"),
                ("session.timeout.ms", "15000"),
                ("heartbeat.interval.ms", "3000"),
                ("max.poll.interval.ms", "300000"),
            ],
        );
        // A commit that is repeated to its end is no absence, and a record is not older than its transaction.
        assert!(l::KAFKA_BATCH_MAX > l::KAFKA_COMMIT_MAX && l::KAFKA_COMMIT_MAX > l::KAFKA_TRANSACTION_TIMEOUT);
        assert!(l::KAFKA_RESTORE_IDLE_MAX > l::KAFKA_TRANSACTION_TIMEOUT);
    }

    #[test]
    fn topics_keep_what_they_were_given_and_are_led_by_who_has_all_of_it() {
        let of = |purpose| topic(&options(), purpose).into_iter().collect::<BTreeMap<_, _>>();
        for (purpose, cleanup) in
            [(Purpose::Records(Keeps::All), "delete"), (Purpose::Records(Keeps::Latest), "compact"), (Purpose::Latest, "compact")]
        {
            let settings = of(purpose);
            assert_eq!(settings["cleanup.policy"], cleanup);
            assert_eq!((settings["retention.ms"].as_str(), settings["retention.bytes"].as_str()), ("-1", "-1"));
            assert_eq!((settings["min.insync.replicas"].as_str(), settings["unclean.leader.election.enable"].as_str()), ("2", "false"));
            assert_eq!((settings["message.timestamp.type"].as_str(), settings["max.message.bytes"].as_str()), ("CreateTime", "68157440"));
        }
    }
}
