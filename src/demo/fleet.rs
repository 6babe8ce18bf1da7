//! The simulated fleet: its CloudTrail files, and the truth about it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::Date;

use super::calendar::Calendar;
use super::delivery::{Batch, Manner, deliver};
use super::json::Json;
use super::noise;
use super::random::Random;
use super::record::{Call, Record};
use super::story;
use super::truth::Truth;
use super::world::World;

/// What fleet is simulated. The same options give the same files, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetOptions {
    /// Chooses one of the many fleets.
    pub seed: u64,
    /// The first UTC day that is reported. The log begins some days before it.
    pub first_day: Date,
    /// How many days are reported, 1 to [`Self::DAYS_MAX`].
    pub days: u16,
}

impl FleetOptions {
    /// The most days that a fleet lives.
    pub const DAYS_MAX: u16 = 400;
}

impl Default for FleetOptions {
    /// March 2024: it follows a leap day, and summer time begins in it in America and in Europe.
    fn default() -> Self {
        Self { seed: 1, first_day: Date::constant(2024, 3, 1), days: 31 }
    }
}

/// Why there is no fleet, or no files of it.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Ask for another number of days.
    #[error("a simulated fleet lives 1 to {} days, not {days}", FleetOptions::DAYS_MAX)]
    Days {
        /// How many were asked for.
        days: u16,
    },
    /// Ask for days within the calendar.
    #[error("the days of the simulated fleet cannot be placed in time: {source}")]
    Calendar {
        /// Why.
        source: jiff::Error,
    },
    /// Make room, or choose a folder that can be written to.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How much there is of a fleet's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files.
    pub files: u64,
    /// Records in them, with repetitions.
    pub records: u64,
    /// Distinct records that tell of an instance that starts, ends or gets another type.
    pub power_records: u64,
    /// Records that are delivered once more.
    pub repeated_records: u64,
    /// Records that come more than a quarter of an hour late.
    pub late_records: u64,
}

/// A simulated fleet.
pub struct Fleet {
    seed: u64,
    records: Vec<Record>,
    batches: Vec<Batch>,
    /// What happened, and what the log says.
    pub truth: Truth,
}

/// Which sequence of random numbers is used for what.
const STORY: u64 = 0;
const NOISE: u64 = 1;
const DELIVERY: u64 = 2;
const FILE_NAMES: u64 = 1 << 32;
const RECORDS: u64 = 2 << 32;

/// Simulates a fleet.
pub fn simulate(options: &FleetOptions) -> Result<Fleet, FleetError> {
    let calendar = Calendar::of(options)?;
    let mut world = World::new(calendar, Random::branch(options.seed, STORY));
    story::tell(&mut world)?;
    let (mut records, truth) = world.end();
    let chatter = noise::around(&records, calendar.log, &mut Random::branch(options.seed, NOISE));
    records.extend(chatter);
    let batches = deliver(&records, &mut Random::branch(options.seed, DELIVERY));
    Ok(Fleet { seed: options.seed, records, batches, truth })
}

/// A CloudTrail file before it is compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailFile {
    /// Where CloudTrail puts it in a bucket, `AWSLogs/<account>/CloudTrail/<region>/<year>/<month>/<day>/<name>.json.gz`.
    pub path: String,
    /// `{"Records":[...]}`.
    pub json: String,
}

impl TrailFile {
    /// Writes the file's compressed bytes.
    pub fn write_gzip<W: Write>(&self, out: W) -> io::Result<W> {
        let mut encoder = GzEncoder::new(out, Compression::fast());
        encoder.write_all(self.json.as_bytes())?;
        encoder.finish()
    }
}

impl Fleet {
    /// The CloudTrail files, in the order of their delivery. Each is made when it is asked for.
    pub fn files(&self) -> impl ExactSizeIterator<Item = TrailFile> {
        self.batches.iter().enumerate().map(|(number, batch)| self.file(batch, number as u64))
    }

    /// Writes all files under a folder, and says how many.
    pub fn write_to(&self, folder: &Path) -> Result<u64, FleetError> {
        let mut made = BTreeSet::new();
        for file in self.files() {
            let path = folder.join(&file.path);
            let at = |source| FleetError::Write { path: path.clone(), source };
            let parent = path.parent().unwrap_or(folder);
            if made.insert(parent.to_owned()) {
                fs::create_dir_all(parent).map_err(at)?;
            }
            File::create(&path).and_then(|out| file.write_gzip(out)).map_err(at)?;
        }
        Ok(self.batches.len() as u64)
    }

    /// How much there is of the log.
    pub fn counts(&self) -> Counts {
        let records_of = |manner: Option<Manner>| -> u64 {
            let batches = self.batches.iter().filter(|batch| manner.is_none_or(|manner| batch.manner == manner));
            batches.map(|batch| batch.records.len() as u64).sum()
        };
        let is_power = |record: &&Record| !matches!(record.call, Call::Chatter { .. } | Call::Refused { .. });
        Counts {
            files: self.batches.len() as u64,
            records: records_of(None),
            power_records: self.records.iter().filter(is_power).count() as u64,
            repeated_records: records_of(Some(Manner::Again)),
            late_records: records_of(Some(Manner::Late)),
        }
    }

    fn file(&self, batch: &Batch, number: u64) -> TrailFile {
        let (account, region, minute) = (batch.place.account, batch.place.region, batch.delivered_at.to_string());
        let (year, month, day, hour, minute) = (&minute[..4], &minute[5..7], &minute[8..10], &minute[11..13], &minute[14..16]);
        let unique = Random::branch(self.seed, FILE_NAMES + number).text(NAME_LETTERS, 16);
        let name = format!("{account}_CloudTrail_{region}_{year}{month}{day}T{hour}{minute}Z_{unique}.json.gz");
        let mut json = String::from(r#"{"Records":["#);
        for (n, record) in batch.records.iter().enumerate() {
            json.push_str(if n == 0 { "" } else { "," });
            let seed = Random::branch(self.seed, RECORDS + *record as u64).next();
            json.push_str(&Json { record: &self.records[*record], seed }.to_string());
        }
        json.push_str("]}");
        TrailFile { path: format!("AWSLogs/{account}/CloudTrail/{region}/{year}/{month}/{day}/{name}"), json }
    }
}

/// Letters of the end of a file's name.
const NAME_LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
