//! What a failure of Kafka means. Decided here and nowhere else.

use std::fmt::Display;

use cloudigrade_pipeline::log::{LogError, TaskId};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

const LOOK_AT_KAFKA: &str = "check that Kafka's brokers are reachable and sound, then open the task again; what was committed is kept";
/// What to do where this program's user lacks a right.
pub(super) const RIGHTS: &str = "this program's user lacks that right; `cloudigrade doctor` says which there must be and how to give them";
const NOT_LET_IN: &str = "check the user and the secret that this program has for Kafka (kafka.sasl_*), then start again";
const NOT_SAFE: &str = "check the certificates of the brokers and those that are trusted (kafka.ssl_*), then start again";
const GONE: &str = "records were deleted before they were read, by the topic's retention or by hand: ingest their sources again, \
    or reset the position of this task to where the topic begins now";
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

fn is_fence(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::FencedInstanceId)
}

fn of_code(code: Code) -> Class {
    match code {
        code if is_fence(code) => Class::Fenced,
        Code::BrokerTransportFailure
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
        Some(Code::OffsetOutOfRange | Code::AutoOffsetReset) => GONE,
        _ => LOOK_AT_KAFKA,
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
