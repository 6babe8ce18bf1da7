//! The log on Kafka keeps the contract of all logs.

use cloudigrade_pipeline::contract::{self, Fixture};
use tempfile::TempDir;

use super::super::KafkaLog;
use super::{broker, options};

struct OnBroker {
    log: Option<KafkaLog>,
    bootstrap: String,
    prefix: String,
    cache: TempDir,
    /// Whether a crash takes the cache along.
    loses_cache: bool,
}

impl OnBroker {
    fn new(bootstrap: &str, loses_cache: bool) -> Self {
        let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
        let log = KafkaLog::open(options(bootstrap, &prefix, cache.path())).unwrap();
        Self { log: Some(log), bootstrap: bootstrap.to_owned(), prefix, cache, loses_cache }
    }
}

impl Fixture for OnBroker {
    type Log = KafkaLog;

    fn log(&self) -> &KafkaLog {
        self.log.as_ref().unwrap()
    }

    fn crash(&mut self) {
        self.log = None;
        if self.loses_cache {
            self.cache = tempfile::tempdir().unwrap();
        }
        self.log = Some(KafkaLog::open(options(&self.bootstrap, &self.prefix, self.cache.path())).unwrap());
    }

    fn compacts_at_once(&self) -> bool {
        false
    }
}

#[test]
fn the_log_on_kafka_keeps_the_contract() {
    let Some(bootstrap) = broker::shared() else { return };
    assert_eq!(contract::check(|| OnBroker::new(&bootstrap, false)), []);
}

#[test]
fn the_log_on_kafka_keeps_the_contract_when_each_crash_takes_the_cache() {
    let Some(bootstrap) = broker::shared() else { return };
    assert_eq!(contract::check(|| OnBroker::new(&bootstrap, true)), []);
}
