use std::time::{Duration, Instant};
use cloudigrade_pipeline::embedded::*;
use cloudigrade_pipeline::log::*;
use cloudigrade_schemas::{Topic, UtcSecond};
const SOURCE: TaskSpec = TaskSpec { id: TaskId("source"), inputs: &[] };
fn main_measure(label: &str, records: usize, state: usize, latest: usize, rounds: usize) {
    let dir = std::env::var("MEASURE_DIR").unwrap_or("/tmp/measure".into());
    let _ = std::fs::remove_dir_all(&dir);
    let log = EmbeddedLog::open(std::path::Path::new(&dir), EmbeddedOptions::default()).unwrap();
    let mut task = log.open_task(SOURCE, &[0]).unwrap();
    let mut total = Duration::ZERO;
    let mut max = Duration::ZERO;
    let x = std::cell::Cell::new(1u64);
    for _ in 0..rounds {
        let next = || { x.set(x.get().wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407)); x.get() >> 16 };
        let txn = Txn {
            outputs: (0..records).map(|i| Output { topic: Topic::CloudTrailRecords, partition: (i % 32) as u32, key: format!("{:016x}", next()).into(), value: vec![b'x'; 2000], entered_at: UtcSecond(0) })
              .chain((0..latest).map(|i| Output { topic: Topic::InstanceIntervals, partition: (i % 32) as u32, key: format!("{:06}", next() % 100_000).into(), value: vec![b'x'; 500], entered_at: UtcSecond(0) })).collect(),
            state: (0..state).map(|i| StateChange { store: Store("s"), partition: (i % 32) as u32, key: format!("{:06}", next() % 100_000).into(), value: Some(vec![b'y'; 300]) }).collect(),
            positions: vec![Position { topic: Topic::PowerEvents, partition: 0, offset: next() }],
        };
        let t = Instant::now();
        task.commit(txn).unwrap();
        total += t.elapsed(); max = max.max(t.elapsed());
    }
    let size = std::fs::metadata(format!("{dir}/log.redb")).unwrap().len();
    println!("{label}: {:?}/commit, max {:?}, file {} MB", total / rounds as u32, max, size >> 20);
    if state > 0 {
        let t = Instant::now();
        for i in 0..20000 { std::hint::black_box(task.get(Store("s"), (i % 32) as u32, format!("{:06}", i * 5).as_bytes()).unwrap()); }
        println!("   get: {:?} each", t.elapsed() / 20000);
    }
    let t = Instant::now();
    drop(task); drop(log);
    println!("   close: {:?}", t.elapsed());
    let t = Instant::now();
    let log = EmbeddedLog::open(std::path::Path::new(&dir), EmbeddedOptions::default()).unwrap();
    println!("   open: {:?}", t.elapsed());
    let t = Instant::now();
    let mut n = 0; let mut bytes = 0;
    for partition in 0..32 { let mut from = Position { topic: Topic::CloudTrailRecords, partition, offset: 0 };
      loop { let r = log.read(from, PollLimits::default()).unwrap(); if r.is_empty() { break } from.offset = r.last().unwrap().offset + 1; n += r.len(); bytes += r.iter().map(|r| r.value.len()).sum::<usize>(); } }
    println!("   read {n} records, {} MB in {:?}", bytes >> 20, t.elapsed());
}
#[test]
fn measure() {
    main_measure("positions only", 0, 0, 0, 50);
    main_measure("2000 records", 2000, 0, 0, 50);
    main_measure("2000 state", 0, 2000, 0, 50);
    main_measure("2000 latest", 0, 0, 2000, 50);
    main_measure("2000 records + 2000 state", 2000, 2000, 0, 50);
}

#[test]
fn groups() {
    const T: [TaskSpec; 8] = [TaskSpec { id: TaskId("a"), inputs: &[] },TaskSpec { id: TaskId("b"), inputs: &[] },TaskSpec { id: TaskId("c"), inputs: &[] },TaskSpec { id: TaskId("d"), inputs: &[] },TaskSpec { id: TaskId("e"), inputs: &[] },TaskSpec { id: TaskId("f"), inputs: &[] },TaskSpec { id: TaskId("g"), inputs: &[] },TaskSpec { id: TaskId("h"), inputs: &[] }];
    for n in [1, 2, 8] {
        let dir = "/tmp/measure2"; let _ = std::fs::remove_dir_all(dir);
        let log = EmbeddedLog::open(std::path::Path::new(dir), EmbeddedOptions::default()).unwrap();
        let t = Instant::now();
        std::thread::scope(|s| for spec in &T[..n] { let log = &log; s.spawn(move || {
            let mut task = log.open_task(*spec, &[0]).unwrap();
            for i in 0..100 { task.commit(Txn { positions: vec![Position { topic: Topic::PowerEvents, partition: 0, offset: i }], ..Txn::default() }).unwrap(); }
        }); });
        println!("{n} tasks: {:?} per commit", t.elapsed() / (100 * n as u32));
    }
}
