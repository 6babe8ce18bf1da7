//! What a failure of Kafka means. Decided here and nowhere else.

use std::fmt::Display;

use cloudigrade_pipeline::log::{LogError, TaskId};
use rdkafka::error::KafkaError;
pub(super) use rdkafka::error::RDKafkaErrorCode as Code;

use crate::kafka::ends::Place;
use crate::kafka::reach::Barrier;

const LOOK_AT_KAFKA: &str = "check that Kafka's brokers are reachable and sound, then open the task again; what was committed is kept";
/// What to do where this program's user lacks a right.
pub(super) const RIGHTS: &str = "this program's user lacks that right; `cloudigrade doctor` says which there must be and how to give them";
const NOT_LET_IN: &str = "check the user and the secret that this program has for Kafka (kafka.sasl_*), then start again";
const NOT_SAFE: &str = "check the certificates of the brokers and those that are trusted (kafka.ssl_*), then start again";
/// For records that only this program reads, to know where it was.
const GONE: &str = "records that this program keeps for itself were deleted, by hand or because somebody set the topic otherwise: restore the topic, \
    or ingest anew with another prefix (kafka.prefix)";
const CACHE: &str = "check the disk that holds the cache folder; the cache can be deleted while nothing runs, it is made anew from Kafka";

/// What can be done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The same call may succeed.
    Retriable,
    /// The transaction is to be aborted, the task goes on.
    Abort,
    /// Another producer has the transactional id.
    Fenced,
    /// The client is of no more use.
    Fatal,
}

/// Classifies a failure.
pub(super) fn classify(error: &KafkaError) -> Class {
    if let KafkaError::Transaction(told) = error {
        return match told.code() {
            // A matter of the group: the session goes on.
            Code::FencedInstanceId if told.txn_requires_abort() => Class::Abort,
            code if is_fence(code) => Class::Fenced,
            _ if told.is_fatal() => Class::Fatal,
            _ if told.txn_requires_abort() => Class::Abort,
            _ if told.is_retriable() => Class::Retriable,
            code => of_code(code),
        };
    }
    code_of(error).map_or(Class::Fatal, of_code)
}

/// The code of a failure, wherever the library keeps it.
fn code_of(error: &KafkaError) -> Option<Code> {
    match error {
        KafkaError::Transaction(told) => Some(told.code()),
        KafkaError::AdminOp(code) | KafkaError::SetPartitionOffset(code) => Some(*code),
        _ => error.rdkafka_error_code(),
    }
}

/// Whether what failed passes by itself, such as a broker that is away.
pub(super) fn passes(error: &KafkaError) -> bool {
    code_of(error).is_some_and(passes_code)
}

/// The same of a code.
pub(super) fn passes_code(code: Code) -> bool {
    of_code(code) == Class::Retriable
}

/// Whether a right is lacking. To repeat the same does not help before somebody gives it.
pub(super) fn is_refusal(error: &KafkaError) -> bool {
    code_of(error).is_some_and(is_refusal_code)
}

/// The same of a code.
pub(super) fn is_refusal_code(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// What the library tells of a failure by itself, for a client that goes on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is cut off, and goes on trying.
    GoesOn,
    /// The same, and somebody must do something: the certificate of a broker ended, or a password was changed.
    GoesOnOnceMended,
    /// The client is of no more use.
    Over,
    /// Reading failed.
    Failed,
}

/// What the library tells by a code.
pub(super) fn told(code: Code) -> Told {
    match code {
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve | Code::OperationTimedOut => Told::GoesOn,
        Code::SSL | Code::Authentication => Told::GoesOnOnceMended,
        Code::Fatal => Told::Over,
        _ => Told::Failed,
    }
}

/// What a failure to connect says of what is in the way, with what the library says of it.
pub(super) fn barrier(error: &KafkaError, reason: &str) -> Option<Barrier> {
    match code_of(error)? {
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism | Code::IllegalSASLState => {
            Some(Barrier::Authentication)
        }
        Code::SSL => Some(Barrier::Tls),
        // A broker that does not take our certificate, or has none of ours, says so once the connection stands.
        Code::BrokerTransportFailure if reason.contains("SSL routines") => Some(Barrier::Tls),
        Code::BrokerTransportFailure | Code::Resolve => Some(Barrier::Network),
        _ => None,
    }
}

/// Whether what was to be read is not there any more.
pub(super) fn is_gone(error: &KafkaError) -> bool {
    code_of(error).is_some_and(is_gone_code)
}

fn is_gone_code(code: Code) -> bool {
    matches!(code, Code::OffsetOutOfRange | Code::AutoOffsetReset)
}

/// Whether a record was thrown away because something else failed.
pub(super) fn is_consequence(error: &KafkaError) -> bool {
    matches!(code_of(error), Some(Code::PurgeQueue | Code::PurgeInflight))
}

/// Whether a producer has no room for a record until others are sent.
pub(super) fn lacks_room(error: &KafkaError) -> bool {
    code_of(error) == Some(Code::QueueFull)
}

/// Whether a broker met what it did not expect, and says no more.
pub(super) fn has_stumbled(error: &KafkaError) -> bool {
    code_of(error) == Some(Code::Unknown)
}

/// Whether a topic that was to be made is there.
pub(super) fn is_there_already(code: Code) -> bool {
    code == Code::TopicAlreadyExists
}

/// Whether there are fewer brokers than replicas.
pub(super) fn lacks_brokers(code: Code) -> bool {
    code == Code::InvalidReplicationFactor
}

/// An answer says nothing of a partition that it was asked for.
pub(super) fn no_partition() -> KafkaError {
    KafkaError::OffsetFetch(Code::UnknownPartition)
}

/// An answer has no offset for a partition.
pub(super) fn no_offset() -> KafkaError {
    KafkaError::OffsetFetch(Code::OffsetNotAvailable)
}

/// Positions were to be committed by who is no member of the group.
pub(super) fn no_group() -> KafkaError {
    KafkaError::OffsetFetch(Code::UnknownGroup)
}

/// A question of administration has no answer in time.
pub(super) fn no_answer() -> KafkaError {
    KafkaError::AdminOp(Code::OperationTimedOut)
}

/// The library gave a transaction up for the lack of a right, and says so only in words.
pub(super) fn refused() -> KafkaError {
    KafkaError::Flush(Code::TopicAuthorizationFailed)
}

fn is_fence(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::FencedInstanceId)
}

fn of_code(code: Code) -> Class {
    match code {
        code if is_fence(code) => Class::Fenced,
        Code::BrokerTransportFailure
        | Code::DestroyBroker
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::MessageTimedOut
        | Code::TimedOutQueue
        | Code::WaitingForCoordinator
        | Code::WaitCache
        | Code::InProgress
        | Code::PreviousInProgress
        | Code::QueueFull
        | Code::Retry
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::RequestTimedOut
        | Code::BrokerNotAvailable
        | Code::ReplicaNotAvailable
        | Code::NetworkException
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::NotController
        | Code::KafkaStorageError
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::OffsetNotAvailable
        | Code::PreferredLeaderNotAvailable
        | Code::UnstableOffsetCommit
        | Code::ThrottlingQuotaExceeded
        | Code::ConcurrentTransactions
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::PollExceeded => Class::Retriable,
        // The state of the transaction, not of the client; or the group has divided its partitions anew.
        Code::PurgeQueue
        | Code::PurgeInflight
        | Code::InvalidTransactionalState
        | Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::RebalanceInProgress => Class::Abort,
        _ => Class::Fatal,
    }
}

fn help(error: &KafkaError) -> &'static str {
    match code_of(error) {
        Some(code) if is_refusal_code(code) => RIGHTS,
        Some(Code::SaslAuthenticationFailed | Code::Authentication) => NOT_LET_IN,
        Some(Code::SSL) => NOT_SAFE,
        Some(code) if is_gone_code(code) => GONE,
        _ => LOOK_AT_KAFKA,
    }
}

/// Records that a task was to read are not there any more: which, and the command that has it go on behind them.
pub(super) fn gone_for_task(task: TaskId, group: &str, bootstrap: &str, place: Option<&Place>) -> LogError {
    let (what, topics) = match place {
        Some(Place { topic, partition }) => (format!("{task}, {topic}, partition {partition}"), format!("--topic {topic}")),
        None => (task.to_string(), "--all-topics".to_owned()),
    };
    let help = format!(
        "ingest their sources again where they are still wanted. To have {task} go on where the topic begins now, stop all processes that have it and run \
         `kafka-consumer-groups.sh --bootstrap-server {bootstrap} --group {group} {topics} --reset-offsets --to-earliest --execute`"
    );
    LogError::Gone { what, help }
}

/// Records that somebody without a task was to read are not there any more.
pub(super) fn gone_for_reader(place: &Place) -> LogError {
    LogError::Gone {
        what: format!("{}, partition {}", place.topic, place.partition),
        help: "ingest their sources again where they are still wanted; `cloudigrade tables rebuild` writes the tables from what is there"
            .to_owned(),
    }
}

/// Says what a failure is about.
pub(super) fn about(what: impl Display, failure: LogError) -> LogError {
    match failure {
        LogError::Storage { doing, cause, help } => LogError::Storage { doing, cause: format!("{what}: {cause}"), help },
        LogError::Retry { doing, cause } => LogError::Retry { doing, cause: format!("{what}: {cause}") },
        other => other,
    }
}

/// Says of which group a failure is, where it is of one.
pub(super) fn about_group(group: &str, error: &KafkaError, failure: LogError) -> LogError {
    match code_of(error) {
        Some(Code::GroupAuthorizationFailed) => about(format_args!("group {group}"), failure),
        _ => failure,
    }
}

/// A failure outside any commit, as an answer: it may be repeated, or it is the end of the task.
pub(super) fn outside(doing: &'static str, task: Option<TaskId>, error: &KafkaError) -> LogError {
    match (classify(error), task) {
        (Class::Retriable | Class::Abort, _) => LogError::Retry { doing, cause: error.to_string() },
        (Class::Fenced, Some(task)) => LogError::Fenced { task },
        (Class::Fenced | Class::Fatal, _) => storage(doing, error),
    }
}

/// A failure that ends what was being done.
pub(super) fn storage(doing: &'static str, error: &KafkaError) -> LogError {
    LogError::Storage { doing, cause: error.to_string(), help: help(error) }
}

/// Whether the same call may succeed later.
pub(super) fn may_succeed(error: &LogError) -> bool {
    matches!(error, LogError::Retry { .. })
}

/// An end that is not reached because a transaction is open, or because Kafka does not answer.
pub(super) fn undecided(doing: &'static str, topic: &str, partition: i32) -> LogError {
    LogError::Retry {
        doing,
        cause: format!(
            "partition {partition} of {topic} was not read to its end in time: a transaction is open in it, or its broker is away"
        ),
    }
}

/// A failure of the cache.
pub(super) fn cache(error: &redb::Error) -> LogError {
    LogError::Storage { doing: "keeping the cache of state", cause: error.to_string(), help: CACHE }
}

/// For state that cannot be brought up to date: the batch is gone from the task, so it is opened anew.
pub(super) fn ending(error: LogError) -> LogError {
    match error {
        LogError::Retry { doing, cause } => LogError::Storage { doing, cause, help: LOOK_AT_KAFKA },
        other => other,
    }
}

/// A commit whose outcome stayed unknown: the next opening finds it out.
pub(super) fn unknown(error: &KafkaError) -> LogError {
    LogError::Storage {
        doing: "committing to Kafka, of which it is not known whether it happened,",
        cause: error.to_string(),
        help: LOOK_AT_KAFKA,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_kafkas_errors_mean_is_decided_in_one_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kafka");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let mut looked_at = 0;
        for file in files.filter(|file| !file.ends_with("failure.rs")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let names_a_code = text.match_indices("Code::").any(|(at, found)| text[at + found.len()..].starts_with(char::is_uppercase));
            assert!(!text.contains("RDKafkaErrorCode") && !names_a_code, "{} names an error code of Kafka", file.display());
            looked_at += 1;
        }
        assert!(looked_at > 20, "{looked_at}");
    }

    #[test]
    fn who_reads_what_is_gone_is_told_the_command_that_has_it_go_on() {
        let place = Place { topic: "p.power.events".to_owned(), partition: 3 };
        let told = gone_for_task(TaskId("operators.intervals"), "p.operators.intervals", "broker:9092", Some(&place)).to_string();
        assert!(told.starts_with("operators.intervals, p.power.events, partition 3: records were deleted before they were read"), "{told}");
        let command = "`kafka-consumer-groups.sh --bootstrap-server broker:9092 --group p.operators.intervals --topic p.power.events \
            --reset-offsets --to-earliest --execute`";
        assert!(told.contains(command), "{told}");
        assert!(gone_for_task(TaskId("t"), "p.t", "b", None).to_string().contains("--group p.t --all-topics --reset"));
    }
}
