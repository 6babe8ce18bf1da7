//! How fast a folder of CloudTrail files is ingested, beside what reading and inflating the same files by libdeflate alone takes on one
//! thread.
//!
//! Each round measures both in turn, the ingest with a log and tables of its own on disk; the best round counts.
//! `cargo run --release -p cloudigrade-connectors --example ingest_rate -- FOLDER [THREADS...]`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that fails has no result")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cloudigrade_connectors::codec::CodecLimits;
use cloudigrade_connectors::source::s3::S3Options;
use cloudigrade_connectors::source::{IngestOptions, Location, Progress, ingest, ledger, open};
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::heap;
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::sink::{TableRoot, Tables};
use libdeflater::Decompressor;
use tokio::runtime::Runtime;

const ROUNDS: u32 = 3;

fn main() {
    heap::bound();
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("usage: ingest_rate FOLDER [THREADS...]"));
    let mut threads: Vec<usize> = arguments.map(|threads| threads.parse().unwrap()).collect();
    if threads.is_empty() {
        threads = vec![1, 2];
    }
    let runtime = Runtime::new().unwrap();
    let (mut inflate, mut inflated) = (Duration::MAX, 0);
    let mut ingests = vec![(Duration::MAX, Duration::MAX); threads.len()];
    for _ in 0..ROUNDS {
        let started = Instant::now();
        inflated = inflate_all(&folder);
        inflate = inflate.min(started.elapsed());
        for (threads, best) in threads.iter().zip(&mut ingests) {
            let (read, all) = ingest_once(&folder, *threads, &runtime);
            if all < best.1 {
                *best = (read, all);
            }
        }
    }
    let rate = |took: Duration| inflated as f64 / 1e9 / took.as_secs_f64();
    println!("inflated          {:8.1} MB", inflated as f64 / 1e6);
    println!("inflate alone     {:8.3} s  {:.3} GB/s", inflate.as_secs_f64(), rate(inflate));
    for (threads, (read, all)) in threads.iter().zip(&ingests) {
        let ratio = inflate.as_secs_f64() / all.as_secs_f64();
        println!(
            "ingest, {threads} threads {:8.3} s  {:.3} GB/s  {ratio:.3} of inflate alone; {:.3} s until the log had all, the rest is tables",
            all.as_secs_f64(),
            rate(*all),
            read.as_secs_f64()
        );
    }
}

fn inflate_all(folder: &Path) -> usize {
    let (mut libdeflate, mut buffer) = (Decompressor::new(), Vec::new());
    let mut inflated = 0;
    for file in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let file = file.unwrap();
        if file.path().extension().is_none_or(|extension| extension != "gz") {
            continue;
        }
        let object = std::fs::read(file.path()).unwrap();
        let size = u32::from_le_bytes(*object.last_chunk::<4>().unwrap()) as usize;
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        inflated += libdeflate.gzip_decompress(&object, &mut buffer[..size]).unwrap();
        black_box(&buffer);
    }
    inflated
}

fn ingest_once(folder: &Path, threads: usize, runtime: &Runtime) -> (Duration, Duration) {
    let data = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let log = EmbeddedLog::open(data.path(), EmbeddedOptions::default()).unwrap();
    let s3 = S3Options { endpoint_url: None, region: None, runtime: runtime.handle().clone() };
    let known = ledger::known(log.clone(), log.partitions());
    let feed = open(&Location::Local(folder.to_owned()), &s3, known).unwrap();
    ingest(&log, &[feed], IngestOptions { threads, codec: CodecLimits::default() }, &Progress::default()).unwrap();
    let read = started.elapsed();
    let root = TableRoot::folder(&data.path().join("tables")).unwrap();
    runtime.block_on(async { Tables::open(&root, log.partitions()).await.unwrap().catch_up(&log).await.unwrap() });
    (read, started.elapsed())
}
