//! What comes of chains of digests that are ingested, or heard of while serving.

mod trail;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{Log, PollLimits, Position, StateRead, Task, TaskSpec};
use cloudigrade_schemas::account::Trail as AccountTrail;
use cloudigrade_schemas::{Account, AccountState, Coverage, Gap, GapKind, Topic, UtcSecond};
use tempfile::TempDir;

use super::keep;
use super::{Digest, Listened, Rules, look, missing, open_gaps};
use crate::codec::CodecLimits;
use crate::source::feed::{Feed, Location, Object, open};
use crate::source::s3::S3Options;
use crate::source::{IngestOptions, ListFeed, Progress, Summary, ingest, ledger};

use self::trail::{ACCOUNT, HOUR, REGION, at};
pub(super) use self::trail::{BUCKET, Put, Trail, gzip, inflated, sign};

/// A log, and a folder to read from.
struct Bed {
    folder: TempDir,
    log: EmbeddedLog,
    runtime: tokio::runtime::Runtime,
}

impl Bed {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let log = EmbeddedLog::open(&folder.path().join("data"), EmbeddedOptions::default()).unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        Self { folder, log, runtime: tokio::runtime::Builder::new_current_thread().build().unwrap() }
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs").canonicalize().unwrap()
    }

    fn path(&self, put: &Put) -> PathBuf {
        self.logs().join(&put.key)
    }

    fn uri(&self, put: &Put) -> String {
        self.path(put).to_string_lossy().into_owned()
    }

    fn write(&self, put: &Put) {
        write(&self.path(put), &put.content);
    }

    fn s3(&self) -> S3Options {
        S3Options { endpoint_url: None, region: None, runtime: self.runtime.handle().clone() }
    }

    fn read(&self, feed: Box<dyn Feed>) -> Summary {
        let options = IngestOptions { threads: 2, codec: CodecLimits::default() };
        ingest(&self.log, &[feed], options, &Progress::default()).unwrap()
    }

    fn ingest(&self) -> Summary {
        let known = ledger::known(self.log.clone(), self.log.partitions());
        self.read(open(&Location::Local(self.logs()), &self.s3(), known).unwrap())
    }

    /// Reads what is missing, once. Returns how much of it was not there.
    fn ingest_missing(&self) -> usize {
        let missing = self.missing();
        let known = ledger::known(self.log.clone(), self.log.partitions());
        let feed = ListFeed::open(missing.iter().map(String::as_str), &self.s3(), known).unwrap();
        let absent = feed.absent();
        self.read(Box::new(feed));
        absent.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn missing(&self) -> Vec<String> {
        missing(&self.log, self.log.partitions()).unwrap()
    }

    fn open(&self) -> Vec<Gap> {
        open_gaps(&self.log, self.log.partitions()).unwrap()
    }

    /// What the topic says, by key: the latest holds.
    fn latest<T: serde::de::DeserializeOwned>(&self, topic: Topic) -> BTreeMap<Vec<u8>, T> {
        let mut latest = BTreeMap::new();
        for partition in 0..self.log.partitions() {
            let read = self.log.read(Position { topic, partition, offset: 0 }, PollLimits::default()).unwrap();
            latest.extend(read.into_iter().map(|record| (record.key, serde_json::from_slice(&record.value).unwrap())));
        }
        latest
    }

    fn gaps(&self) -> Vec<Gap> {
        self.latest(Topic::Gaps).into_values().collect()
    }

    fn complete_through(&self) -> Option<UtcSecond> {
        let coverage: BTreeMap<_, Coverage> = self.latest(Topic::Coverage);
        coverage.into_values().map(|coverage| coverage.complete_through).max()
    }

    /// Notes a digest as a source that goes on does, but by hand.
    fn hear(&self, put: &Put, now: UtcSecond) {
        let uri = format!("s3://{BUCKET}/{}", put.key);
        let digest = Digest::parse(&inflated(&put.content), &uri).unwrap();
        self.commit(|cx, partitions| keep::note(cx, &uri, &digest, partitions, now).unwrap());
    }

    /// Notes that a log file was read.
    fn note_read(&self, put: &Put) {
        let uri = format!("s3://{BUCKET}/{}", put.key);
        let object = Object { uri, version: None, fingerprint: "f".into(), size: 1 };
        self.commit(|cx, partitions| ledger::note(cx, &object, partitions));
    }

    fn commit(&self, put_into: impl FnOnce(&mut Cx<'_>, u32)) {
        let partitions = self.log.partitions();
        let all: Vec<u32> = (0..partitions).collect();
        let mut task = self.log.open_task(TaskSpec::alone("test", &[]), &all).unwrap();
        let mut cx = Cx::new(&task, partitions);
        put_into(&mut cx, partitions);
        let (txn, _) = cx.finish();
        task.commit(txn).unwrap();
    }

    /// Looks, and commits what changed. Returns whether anything did.
    fn look(&self, rules: &Rules, now: UtcSecond) -> bool {
        let mut changed = false;
        for partition in 0..self.log.partitions() {
            for entry in look(&self.log, self.log.partitions(), partition, rules, now).unwrap() {
                changed = true;
                self.commit(|cx, partitions| entry.put_into(cx, partitions, now).unwrap());
            }
        }
        changed
    }

    /// How many digests are kept by themselves, and how many stretches of them.
    fn kept(&self) -> (usize, usize) {
        let keys = (0..self.log.partitions()).flat_map(|partition| self.log.scan(keep::DIGESTS, partition, b"").unwrap());
        let (digests, stretches): (Vec<_>, Vec<_>) = keys.partition(|(key, _)| String::from_utf8_lossy(key).contains("/digest/"));
        (digests.len(), stretches.len())
    }
}

pub(super) fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn log_files_that_are_not_in_a_folder_are_missing_and_reading_them_closes_the_gaps() {
    let (bed, trail) = (Bed::new(), Trail::new(&[2, 0, 3, 1]));
    let withheld = [&trail.logs[0], &trail.logs[3]];
    trail.all().filter(|put| withheld.iter().all(|withheld| withheld.key != put.key)).for_each(|put| bed.write(put));
    let summary = bed.ingest();
    assert_eq!((summary.files, summary.files_other, summary.dead_letters), (8, 4, 0));
    assert_eq!(bed.missing(), withheld.map(|put| bed.uri(put)));
    let open = bed.open();
    let times: Vec<_> = open.iter().map(|gap| (gap.kind, gap.from, gap.until)).collect();
    // Events come to light up to some minutes after they happened.
    let expected = |hour: i64| (GapKind::LogFilesMissing, at(hour * HOUR - 300), Some(at((hour + 1) * HOUR)));
    assert_eq!(times, [expected(0), expected(2)]);
    assert_eq!(bed.gaps(), open);
    assert_eq!(bed.ingest_missing(), 2, "they are not there yet");
    assert_eq!(bed.open(), open);
    withheld.iter().for_each(|put| bed.write(put));
    assert_eq!(bed.ingest_missing(), 0);
    assert_eq!((bed.open(), bed.missing()), (vec![], vec![]));
    assert!(bed.gaps().iter().all(|gap| gap.closed_at.is_some()) && bed.gaps().len() == 2);
    assert_eq!(bed.complete_through(), Some(at(4 * HOUR - 15 * 60)));
    assert_eq!(bed.kept(), (0, 1));
}

#[test]
fn quiet_hours_carry_the_data_on_but_not_over_what_is_missing() {
    let (bed, trail) = (Bed::new(), Trail::new(&[1, 0, 0, 1, 0]));
    trail.all().filter(|put| put.key != trail.logs[1].key).for_each(|put| bed.write(put));
    bed.ingest();
    assert_eq!(bed.complete_through(), Some(at(3 * HOUR - 15 * 60)));
    bed.write(&trail.logs[1]);
    bed.ingest();
    assert_eq!((bed.open(), bed.complete_through()), (vec![], Some(at(5 * HOUR - 15 * 60))));
}

#[test]
fn digests_that_are_missing_are_read_back_one_by_one_with_what_they_name() {
    let (bed, trail) = (Bed::new(), Trail::new(&[1, 1, 1, 1]));
    [&trail.digests[0], &trail.digests[3], &trail.logs[0], &trail.logs[3]].iter().for_each(|put| bed.write(put));
    bed.ingest();
    let hole = |bed: &Bed| bed.open().iter().map(|gap| (gap.kind, gap.from, gap.until)).collect::<Vec<_>>();
    assert_eq!(hole(&bed), [(GapKind::DigestMissing, at(HOUR), Some(at(3 * HOUR)))]);
    assert_eq!(bed.missing(), [bed.uri(&trail.digests[2])]);
    trail.all().for_each(|put| bed.write(put));
    bed.ingest_missing();
    assert_eq!(bed.missing(), [bed.uri(&trail.digests[1]), bed.uri(&trail.logs[2])]);
    bed.ingest_missing();
    bed.ingest_missing();
    assert_eq!((bed.missing(), bed.kept()), (vec![], (0, 1)));
    assert!(bed.gaps().iter().all(|gap| gap.closed_at.is_some()));
}

#[test]
fn a_log_file_that_nothing_could_be_made_of_is_missing_until_it_is_read_again() {
    let (bed, trail) = (Bed::new(), Trail::new(&[2]));
    trail.all().for_each(|put| bed.write(put));
    write(&bed.path(&trail.logs[1]), &trail.logs[1].content[..20]);
    assert_eq!(bed.ingest().dead_letters, 1);
    assert_eq!(bed.missing(), [bed.uri(&trail.logs[1])]);
    bed.write(&trail.logs[1]);
    bed.ingest_missing();
    assert_eq!(bed.open(), []);
}

#[test]
fn a_digest_that_cannot_be_used_is_a_dead_letter() {
    let bed = Bed::new();
    write(&bed.logs().join("d.json"), br#"{"digestS3Bucket":"b","awsAccountId":"1"}"#);
    let summary = bed.ingest();
    assert_eq!((summary.files, summary.dead_letters), (1, 1));
    assert_eq!(bed.ingest().files_known, 0, "it is tried again");
}

#[test]
fn what_is_missing_while_serving_may_be_underway_and_is_told_of_once() {
    let (bed, trail) = (Bed::new(), Trail::new(&[1, 1]));
    let rules = Rules::while_serving(Listened::default());
    let now = |minutes: i64| at(3 * HOUR + minutes * 60);
    bed.hear(&trail.digests[1], now(0));
    bed.hear(&trail.digests[0], now(1));
    bed.note_read(&trail.logs[1]);
    bed.look(&rules, now(2));
    assert_eq!((bed.gaps(), bed.kept()), (vec![], (1, 1)));
    assert!(!bed.look(&rules, now(3)), "nothing changed");
    assert!(bed.look(&rules, now(22)));
    assert_eq!(bed.open().len(), 1);
    assert!(!bed.look(&rules, now(23)));
    // Heard once more it is still missing, and was found when it was found.
    bed.hear(&trail.digests[0], now(24));
    bed.look(&rules, now(25));
    assert_eq!((bed.open().len(), bed.open()[0].found_at), (1, now(22)));
    bed.note_read(&trail.logs[0]);
    assert!(bed.look(&rules, now(26)));
    assert_eq!((bed.open(), bed.gaps()[0].closed_at, bed.kept()), (vec![], Some(now(26)), (0, 1)));
    // A digest that is delivered again, long after it was folded.
    bed.hear(&trail.digests[0], now(500));
    bed.look(&rules, now(501));
    assert_eq!((bed.open(), bed.kept()), (vec![], (0, 1)));
}

#[test]
fn a_silence_opens_when_nothing_comes_and_closes_when_something_does() {
    let (bed, trail) = (Bed::new(), Trail::new(&[0, 0, 0]));
    let account = Account {
        tenant: "t".into(),
        account_id: ACCOUNT.into(),
        arn: "arn:aws:iam::000000000001:role/r".into(),
        name: None,
        state: AccountState::Enabled,
        created_at: at(0),
        changed_at: at(0),
        verified_at: None,
        unmetered: Vec::new(),
        trail: Some(AccountTrail {
            arn: format!("arn:aws:cloudtrail:{REGION}:1:trail/all"),
            bucket: BUCKET.into(),
            organization: false,
            ours: true,
        }),
        problems: Vec::new(),
    };
    let rules = Rules::while_serving(Listened::of([&account]));
    bed.look(&rules, at(74 * 60));
    assert_eq!(bed.gaps(), []);
    bed.look(&rules, at(76 * 60));
    let open = bed.open();
    assert_eq!((open.len(), open[0].kind, open[0].from, open[0].until), (1, GapKind::Silence, at(0), None));
    assert!(!bed.look(&rules, at(90 * 60)));
    bed.hear(&trail.digests[0], at(100 * 60));
    bed.look(&rules, at(101 * 60));
    assert_eq!(bed.open(), []);
    assert_eq!((bed.gaps()[0].until, bed.gaps()[0].closed_at), (Some(at(HOUR)), Some(at(101 * 60))));
    bed.look(&rules, at(174 * 60));
    assert_eq!(bed.open(), []);
    bed.look(&rules, at(176 * 60));
    assert_eq!((bed.open().len(), bed.open()[0].from), (1, at(HOUR)));
    // Reading a folder to its end knows nothing of silence.
    bed.look(&Rules::at_the_end(), at(177 * 60));
    assert_eq!(bed.open().len(), 1);
    bed.look(&Rules { underway: Duration::ZERO, ..Rules::while_serving(Listened::default()) }, at(178 * 60));
    assert_eq!(bed.open(), [], "nobody listens to the account any more");
}
