//! What Kafka's errors mean, by librdkafka's imitation of a broker. It shows how errors come out of the library, not that transactions work.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use cloudigrade_pipeline::log::{LogError, TaskId};

use super::super::session::{Failed, Positions, Sending, Session};
use super::options;

const TOPIC: &str = "topic";

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    Fenced,
    Over,
    /// The session was not opened, and may be later.
    Retry,
}

fn fate(cluster: &MockCluster<'static, DefaultProducerContext>, api: Api, errors: &[Code]) -> Fate {
    let bootstrap = cluster.bootstrap_servers();
    let folder = tempfile::tempdir().unwrap();
    let options = options(&bootstrap, "", folder.path());
    let of = |error: &LogError| {
        println!("{api:?} answers {errors:?}: {error}");
        match error {
            LogError::Fenced { .. } => Fate::Fenced,
            LogError::Retry { .. } => Fate::Retry,
            _ => Fate::Over,
        }
    };
    if api == Api::InitProducerId {
        cluster.request_errors(api, errors);
    }
    let mut session = match Session::open(&options, "id", TaskId("task")) {
        Ok(session) => session,
        Err(error) => return of(&error),
    };
    if api != Api::InitProducerId {
        cluster.request_errors(api, errors);
    }
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &bootstrap).set("group.id", "group").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::Offset(1)).unwrap();
    let group = consumer.group_metadata().unwrap();
    let positions = Positions { list, group: &group };
    let record = Sending { topic: TOPIC, partition: 0, key: b"k", value: b"v", millis: 1, headers: None, number: 0 };
    let fate = match session.transact(std::iter::once(record), Some(&positions)) {
        Ok(landed) => {
            assert_eq!(landed[&0].count, 1);
            Fate::Committed
        }
        Err(Failed::Aborted(cause)) => {
            println!("{api:?} answers {errors:?}: {cause}");
            Fate::Aborted
        }
        Err(Failed::Over(error)) => of(&error),
    };
    cluster.clear_request_errors(api);
    fate
}

#[test]
fn each_error_of_kafka_has_the_meaning_that_it_must_have() {
    use Code::*;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let mut wrong = Vec::new();
    for (api, errors, expected) in [
        // What passes is repeated.
        (
            Api::InitProducerId,
            &[RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS][..],
            Fate::Committed,
        ),
        (Api::AddPartitionsToTxn, &[RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS; 3], Fate::Committed),
        (Api::Produce, &[RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION], Fate::Committed),
        (Api::TxnOffsetCommit, &[RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT], Fate::Committed),
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_NOT_COORDINATOR], Fate::Committed),
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR__TRANSPORT], Fate::Committed),
        // What is wrong with this transaction aborts it, as long as its end was not asked for.
        (Api::Produce, &[RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE], Fate::Aborted),
        // The broker stumbled: aborting asks it what became of the commit.
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR_UNKNOWN], Fate::Aborted),
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_PRODUCER_FENCED], Fate::Fenced),
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE], Fate::Over),
        // Somebody else has the id.
        (Api::AddPartitionsToTxn, &[RD_KAFKA_RESP_ERR_PRODUCER_FENCED], Fate::Fenced),
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR_PRODUCER_FENCED], Fate::Fenced),
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH], Fate::Fenced),
        (Api::InitProducerId, &[RD_KAFKA_RESP_ERR_PRODUCER_FENCED], Fate::Retry),
        // Rights that somebody must give: what lacks them is not tried again.
        (Api::AddPartitionsToTxn, &[RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED], Fate::Over),
        (Api::TxnOffsetCommit, &[RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED], Fate::Over),
        (Api::InitProducerId, &[RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED], Fate::Over),
        (Api::EndTxn, &[RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED], Fate::Over),
    ] {
        let found = fate(&cluster, api, errors);
        if found != expected {
            wrong.push(format!("{api:?} answers {errors:?}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
