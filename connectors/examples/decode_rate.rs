//! How fast the codec decodes a folder of CloudTrail files, beside what inflating the same files by libdeflate alone takes.
//!
//! One thread, everything in memory; both are measured in turn, and each object's best of several rounds counts.
//! `cargo run --release -p cloudigrade-connectors --example decode_rate -- FOLDER [ROUNDS]`

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use cloudigrade_connectors::codec::{CodecLimits, Decoder};
use libdeflater::Decompressor;

/// Rounds, unless told otherwise.
const ROUNDS: u32 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: decode_rate FOLDER [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(ROUNDS), |rounds| rounds.parse())?;
    let mut objects = Vec::new();
    read_objects(Path::new(&folder), &mut objects)?;

    let mut inflate = Best::new(objects.len());
    let mut decode = Best::new(objects.len());
    let mut inflater = Inflater::default();
    let mut decoder = Decoder::new(CodecLimits::default());
    let mut totals = Totals::default();
    for _ in 0..rounds {
        totals = Totals::default();
        for (number, object) in objects.iter().enumerate() {
            totals.inflated += inflate.time(number, || inflater.inflate(object))?;
        }
        for (number, object) in objects.iter().enumerate() {
            let decoded = decode.time(number, || black_box(decoder.decode(object)));
            totals.records += decoded.records;
            totals.relevant += decoded.relevant.len();
            totals.rejected += decoded.rejected.len();
        }
    }
    let rate = |best: &Best| totals.inflated as f64 / 1e9 / best.total().as_secs_f64();
    println!("files {}  inflated {:.1} MB", objects.len(), totals.inflated as f64 / 1e6);
    println!("inflate alone {:.3} GB/s", rate(&inflate));
    println!("decode        {:.3} GB/s", rate(&decode));
    println!("ratio         {:.3}", rate(&decode) / rate(&inflate));
    println!("records {}  relevant {}  rejected {}", totals.records, totals.relevant, totals.rejected);
    Ok(())
}

/// The shortest time that each object took: what else runs on the machine does not show in it.
struct Best(Vec<Duration>);

impl Best {
    fn new(objects: usize) -> Self {
        Self(vec![Duration::MAX; objects])
    }

    fn time<T>(&mut self, object: usize, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.0[object] = self.0[object].min(started.elapsed());
        done
    }

    fn total(&self) -> Duration {
        self.0.iter().sum()
    }
}

#[derive(Default)]
struct Totals {
    inflated: usize,
    records: u64,
    relevant: usize,
    rejected: usize,
}

/// libdeflate and nothing else.
#[derive(Default)]
struct Inflater {
    libdeflate: Decompressor,
    buffer: Vec<u8>,
}

impl Inflater {
    fn inflate(&mut self, object: &[u8]) -> Result<usize, Box<dyn Error>> {
        let size = u32::from_le_bytes(*object.last_chunk::<4>().ok_or("not a gzip file")?) as usize;
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let inflated = self.libdeflate.gzip_decompress(object, &mut self.buffer[..size])?;
        black_box(&self.buffer);
        Ok(inflated)
    }
}

fn read_objects(folder: &Path, objects: &mut Vec<Vec<u8>>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_objects(&path, objects)?;
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            objects.push(std::fs::read(path)?);
        }
    }
    Ok(())
}
