//! A broker that goes away and comes back.

use std::sync::atomic::{AtomicBool, Ordering};

use cloudigrade_pipeline::log::{Log, LogError};

use super::super::KafkaLog;
use super::broker::Broker;
use super::fold::{assert_same, drain, expected, feed, outcome, step_once};
use super::{ALL, READER, broker, options};

/// Runs the operator as its users do: what may succeed later is repeated, what ended the task opens it anew. Returns how often that was.
fn run(log: &KafkaLog, done: &AtomicBool) -> usize {
    let mut opened = 0;
    loop {
        let mut task = match log.open_task(READER, &ALL) {
            Ok(task) => task,
            Err(LogError::Retry { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        opened += 1;
        loop {
            let is_last = done.load(Ordering::Acquire);
            match step_once(&mut task) {
                Ok(0) if is_last => return opened,
                Ok(_) | Err(LogError::Retry { .. } | LogError::Abort { .. }) => {}
                // Fenced: the broker was away for longer than a transaction may take.
                Err(LogError::Storage { .. } | LogError::Fenced { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_broker_that_is_killed_while_records_flow_loses_and_doubles_nothing() {
    const RECORDS: u32 = 400;
    const OUTAGES: u32 = 2;
    let Some(mut broker) = Broker::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let log = KafkaLog::open(options(&broker.direct(), &broker::fresh_prefix(), cache.path())).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let operator = threads.spawn(|| run(&log, &done));
        for outage in 0..OUTAGES {
            feed(&log, outage * RECORDS / OUTAGES..(outage + 1) * RECORDS / OUTAGES);
            broker.kill();
            broker.run();
        }
        done.store(true, Ordering::Release);
        operator.join().unwrap();
    });
    drain(&log);
    assert_same(&outcome(&log), &expected(0..RECORDS));
}
