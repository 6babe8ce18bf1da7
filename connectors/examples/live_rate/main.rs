//! How fast the live path is, from the queue to the durable log, beside what decoding the same objects alone takes on one thread.
//!
//! S3 and SQS are a server of this process: it answers from memory over HTTP, so the clients and their cost are the real ones, and the
//! network's time is not in the result. Each object is named by a message of its own, as S3 does it. The objects are those of a folder,
//! again and again under other keys.
//! `cargo run --release -p cloudigrade-connectors --example live_rate -- FOLDER [OBJECTS] [WORKERS]`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that fails has no result")]

mod server;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use cloudigrade_connectors::codec::{CodecLimits, Decoder};
use cloudigrade_connectors::source::sqs::{Inside, SqsOptions, SqsSource};
use cloudigrade_connectors::source::{Committer, Readiness, ledger};
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::log::Log;
use cloudigrade_schemas::UtcSecond;
use server::Stub;
use tokio_util::sync::CancellationToken;

/// How often the memory of this process is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("usage: live_rate FOLDER [OBJECTS] [WORKERS]");
    let files = files_of(Path::new(&folder));
    assert!(!files.is_empty(), "{folder} holds no .json.gz files");
    let objects = arguments.next().map_or(files.len(), |objects| objects.parse().unwrap());
    let workers = arguments.next().map(|workers| workers.parse().unwrap());

    let (decoding, records, inflated) = decode_alone(&files, objects);
    let stored: usize = (0..objects).map(|n| files[n % files.len()].len()).sum();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (live, memory) = runtime.block_on(collect(files, objects, workers));

    let rate = |took: Duration| {
        let seconds = took.as_secs_f64();
        format!(
            "{:8.3} s {:10.0} objects/s {:12.0} records/s {:8.1} MB/s stored {:8.1} MB/s inflated",
            seconds,
            objects as f64 / seconds,
            records as f64 / seconds,
            stored as f64 / 1e6 / seconds,
            inflated as f64 / 1e6 / seconds
        )
    };
    println!("decoding alone, 1 thread {}", rate(decoding));
    println!("queue to log             {}", rate(live));
    println!("the live path has {:.3} of the rate of decoding alone", decoding.as_secs_f64() / live.as_secs_f64());
    println!("memory: {memory}");
}

fn files_of(folder: &Path) -> Vec<Bytes> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let logs = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "gz"));
    logs.map(|file| std::fs::read(file.path()).unwrap().into()).collect()
}

fn decode_alone(files: &[Bytes], objects: usize) -> (Duration, u64, u64) {
    let mut decoder = Decoder::new(CodecLimits::default());
    let (mut records, mut inflated) = (0, 0);
    let started = Instant::now();
    for n in 0..objects {
        let decoded = decoder.decode(&files[n % files.len()]);
        records += decoded.records;
        inflated += decoded.inflated_bytes;
        black_box(decoded.relevant.len());
    }
    (started.elapsed(), records, inflated)
}

/// Collects all objects; gives how long it took until the last message was deleted, and what memory it took.
async fn collect(files: Vec<Bytes>, objects: usize, workers: Option<usize>) -> (Duration, Memory) {
    let stub = Stub::start(files, objects).await;
    let data = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(data.path(), EmbeddedOptions::default()).unwrap();
    let (committer, _thread) = Committer::start(&log, now).unwrap();
    let mut options = SqsOptions::new(format!("{}/000000000012/queue", stub.url()), vec!["bucket".into()]);
    options.endpoint = Some(stub.url().to_owned());
    if let Some(workers) = workers {
        options.workers = workers;
    }
    let known = ledger::known(log.clone(), log.partitions());
    let inside = Inside { committer, known, readiness: Readiness::default(), codec: CodecLimits::default() };
    let source = SqsSource::connect(&config(stub.url()), options, inside).unwrap();
    let (stop, memory) = (CancellationToken::new(), tokio::spawn(sample(stub.clone(), objects)));
    let started = Instant::now();
    let running = tokio::spawn(source.run(stop.clone(), CancellationToken::new()));
    stub.all_deleted(objects).await;
    let took = started.elapsed();
    stop.cancel();
    running.await.unwrap().unwrap();
    (took, memory.await.unwrap())
}

fn config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "example")))
        .endpoint_url(url)
        .build()
}

fn now() -> UtcSecond {
    UtcSecond(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64)
}

/// The resident memory of this process at each tenth of the way, the stub's objects included.
struct Memory(Vec<usize>);

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = self.0.iter().map(|bytes| format!("{} MB", bytes / 1_000_000)).collect::<Vec<_>>();
        write!(f, "at each tenth of the way {}", tenths.join(", "))
    }
}

async fn sample(stub: Arc<Stub>, objects: usize) -> Memory {
    let mut tenths = Vec::new();
    while tenths.len() <= 10 {
        if stub.deleted() * 10 >= objects * tenths.len() {
            tenths.push(resident_bytes());
        } else {
            tokio::time::sleep(SAMPLE_EVERY).await;
        }
    }
    Memory(tenths)
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or(0) * 1024
}
