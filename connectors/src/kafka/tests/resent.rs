//! A record that a broker has and of which the library does not know it, in a transaction that is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cloudigrade_pipeline::log::TaskId;
use cloudigrade_schemas::Topic;

use super::super::KafkaLog;
use super::super::session::{Failed, Sending, Session};
use super::broker::{self, Extra};
use super::proxy::{Fate, Frame, Line, Watch, start};
use super::steps::{PRODUCE, until};
use super::{options, read_all};
use crate::limits as l;

/// Cuts the connection on which a broker says that it has a record, and each on which it is sent again.
#[derive(Default)]
struct Cuts {
    cutting: AtomicBool,
    /// Answers lost.
    unheard: AtomicUsize,
}

impl Watch for Cuts {
    fn decide(&self, frame: &Frame<'_>, _: &Line) -> Fate {
        if !self.cutting.load(Ordering::SeqCst) || frame.kind != PRODUCE {
            return Fate::Goes;
        }
        if frame.is_answer {
            self.unheard.fetch_add(1, Ordering::SeqCst);
            return Fate::Lost;
        }
        if self.unheard.load(Ordering::SeqCst) > 0 { Fate::Lost } else { Fate::Goes }
    }
}

#[test]
fn what_follows_a_transaction_that_was_given_up_is_never_taken_for_a_repetition_of_it() {
    let cuts = Arc::new(Cuts::default());
    let Some((_broker, address)) = start(&Extra::default(), &cuts) else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let options = options(&address, &prefix, cache.path());
    let log = KafkaLog::open(options.clone()).unwrap();
    let topic = format!("{prefix}{}", Topic::PowerEvents.name());
    let record = |value| Sending { topic: &topic, partition: 0, key: b"key", value, millis: 1, headers: None, number: 0 };
    let mut session = Session::open(&options, &format!("{prefix}id"), TaskId("task")).unwrap();
    cuts.cutting.store(true, Ordering::SeqCst);
    let too_large = vec![0; l::KAFKA_MESSAGE_BYTES_MAX + 1];
    let records = std::iter::once(record(b"given up".as_slice())).chain(std::iter::once_with(|| {
        until("the broker to have the record", || cuts.unheard.load(Ordering::SeqCst) > 0);
        record(&too_large)
    }));
    let Err(Failed::Aborted(_)) = session.transact(records, None) else { panic!("it was not given up") };
    cuts.cutting.store(false, Ordering::SeqCst);
    assert!(session.transact(std::iter::once(record(b"committed")), None).is_ok());
    let values: Vec<_> = read_all(&log, Topic::PowerEvents, 0).into_iter().map(|record| record.value).collect();
    assert_eq!(values, [b"committed".to_vec()]);
}
