//! Processes that divide a task among them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{Log, LogError, Task, TaskId};

use super::super::KafkaLog;
use super::crash::{Dice, Process};
use super::fold::{assert_same, expected, feed, is_drained, outcome, step_once};
use super::{ALL, SHARED, broker, options, patiently};

/// What is led in.
const LEADER: TaskId = TaskId("test.leader");
/// Records of a whole run.
const RECORDS: u32 = 600;
/// How long all may take until nothing is left.
const DRAINED_MAX: Duration = Duration::from_secs(120);

fn open(bootstrap: &str, prefix: &str, cache: &Path, member: &str) -> KafkaLog {
    let mut options = options(bootstrap, prefix, cache);
    options.member = member.to_owned();
    KafkaLog::open(options).unwrap()
}

/// Folds until nothing is to come and the task is told to end. Gives how many records it folded.
pub(super) fn fold(mut task: impl Task, ends: &AtomicBool) -> usize {
    let mut folded = 0;
    loop {
        match step_once(&mut task) {
            Ok(0) if ends.load(Ordering::Acquire) => return folded,
            Ok(consumed) => folded += consumed,
            Err(LogError::Retry { .. } | LogError::Abort { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until all that was fed is consumed, by whoever it is.
pub(super) fn wait_until_drained(log: &KafkaLog) {
    let began = Instant::now();
    while !is_drained(log) {
        assert!(began.elapsed() < DRAINED_MAX, "not all was folded");
        std::thread::yield_now();
    }
}

#[test]
fn members_that_come_and_go_fold_all_of_a_task_between_them_and_each_record_once() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, folder) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let cache = |name: &str| folder.path().join(name);
    let log = open(&bootstrap, &prefix, &cache("watch"), "watch");
    let logs = ["one", "two", "three"].map(|name| open(&bootstrap, &prefix, &cache(name), name));
    let ends = [(); 3].map(|()| AtomicBool::new(false));
    let folded = std::thread::scope(|threads| {
        let start = |n: usize| {
            let task = patiently(|| logs[n].open_task(SHARED, &ALL)).unwrap();
            let ends = &ends[n];
            threads.spawn(move || fold(task, ends))
        };
        let one = start(0);
        feed(&log, 0..RECORDS / 4);
        let two = start(1);
        feed(&log, RECORDS / 4..RECORDS / 2);
        let three = start(2);
        feed(&log, RECORDS / 2..3 * RECORDS / 4);
        wait_until_drained(&log);
        ends[0].store(true, Ordering::Release);
        let mut folded = one.join().unwrap();
        // Its partitions go to the others when it was not heard of for long enough.
        feed(&log, 3 * RECORDS / 4..RECORDS);
        wait_until_drained(&log);
        ends.iter().for_each(|ends| ends.store(true, Ordering::Release));
        folded += two.join().unwrap() + three.join().unwrap();
        folded
    });
    assert_eq!(folded, RECORDS as usize);
    assert_same(&outcome(&log), &expected(0..RECORDS));
}

#[test]
fn a_second_process_with_a_members_name_fences_the_first() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, folder) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let first = open(&bootstrap, &prefix, &folder.path().join("first"), "member");
    let second = open(&bootstrap, &prefix, &folder.path().join("second"), "member");
    feed(&first, 0..40);
    let mut old = patiently(|| first.open_task(SHARED, &ALL)).unwrap();
    assert!(patiently(|| step_once(&mut old)).unwrap() > 0);
    let mut new = patiently(|| second.open_task(SHARED, &ALL)).unwrap();
    while patiently(|| step_once(&mut new)).unwrap() > 0 {}
    // It may have records in hand, of which it can commit none.
    let fenced = patiently(|| {
        loop {
            assert_eq!(step_once(&mut old)?, 0, "what another consumed was committed again");
        }
    });
    let Err::<(), _>(LogError::Fenced { task }) = fenced else { panic!("the first was not fenced") };
    assert_eq!(task, SHARED.id);
    drop((old, new));
    assert_same(&outcome(&first), &expected(0..40));
}

#[test]
fn members_that_are_killed_and_paused_lose_and_double_nothing() {
    const ROUNDS: u32 = 6;
    const NAMES: [&str; 2] = ["one", "two"];
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, folder) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let log = open(&bootstrap, &prefix, &folder.path().join("watch"), "watch");
    let start = |at: usize| Process::start_as(&bootstrap, &prefix, &folder.path().join(NAMES[at]), Some(NAMES[at]));
    let mut dice = Dice(7);
    let mut members = [start(0), start(1)];
    // Who was away for longer than a transaction may take is fenced for it, and started again, as whoever looks after it would do.
    let drain = |members: &mut [Process; 2]| {
        let began = Instant::now();
        while !is_drained(&log) {
            assert!(began.elapsed() < DRAINED_MAX, "not all was folded");
            for (at, member) in members.iter_mut().enumerate() {
                if member.was_fenced() {
                    *member = start(at);
                }
            }
        }
    };
    let (_never, nothing) = channel::<()>();
    for round in 0..ROUNDS {
        feed(&log, round * (RECORDS / ROUNDS)..(round + 1) * (RECORDS / ROUNDS));
        // Somewhere in the work.
        assert!(nothing.recv_timeout(Duration::from_millis(dice.below(1_500))).is_err());
        let at = dice.below(2) as usize;
        if round % 3 == 2 {
            // Long enough for the other to take its partitions.
            members[at].signal("-STOP");
            drain(&mut members);
            members[at].signal("-CONT");
        } else {
            std::mem::replace(&mut members[at], start(at)).kill();
        }
    }
    drain(&mut members);
    members.into_iter().for_each(Process::kill);
    assert_same(&outcome(&log), &expected(0..RECORDS));
}

#[test]
fn of_several_processes_one_leads_and_another_when_it_goes() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, folder) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let logs = ["one", "two"].map(|name| open(&bootstrap, &prefix, &folder.path().join(name), name));
    let [leads, ends] = [(); 2].map(|()| [(); 2].map(|()| AtomicBool::new(false)));
    let wait_for = |who: usize| {
        let began = Instant::now();
        while !leads[who].load(Ordering::Acquire) {
            assert!(began.elapsed() < DRAINED_MAX, "nobody leads");
            std::thread::yield_now();
        }
    };
    std::thread::scope(|threads| {
        let start = |who: usize| {
            let (log, leads, ends) = (&logs[who], &leads[who], &ends[who]);
            threads.spawn(move || {
                let goes_on = || !ends.load(Ordering::Acquire);
                log.lead(LEADER, &goes_on, &mut |now| leads.store(now, Ordering::Release)).unwrap();
            })
        };
        let first = start(0);
        wait_for(0);
        let second = start(1);
        ends[0].store(true, Ordering::Release);
        first.join().unwrap();
        assert!(!leads[0].load(Ordering::Acquire), "who has ended leads");
        wait_for(1);
        ends[1].store(true, Ordering::Release);
        second.join().unwrap();
    });
}
