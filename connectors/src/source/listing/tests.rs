//! The source against buckets that answer as they are told, a clock that stands still until it is moved, and folders.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloudigrade_schemas::UtcSecond;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::disk::Anywhere;
use super::keys::{Only, Window};
use super::pages::{Ask, Lister, Page};
use super::walk::{Scope, walk, walk_disk};
use super::{ListOptions, ListOutside, ListSource};
use crate::codec::CodecLimits;
use crate::limits::LIST_FILE_RESTS;
use crate::source::ledger;
use crate::source::sqs::Inside;
use crate::source::sqs::classify::{Class, Failure};
use crate::source::sqs::clock::Clock;
use crate::source::sqs::describe;
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::objects::{Head, Opened};
use crate::source::sqs::tests::world::{Answer, Running, World, etag, failure, key, log_file, uri};

/// Objects of one page: few, so that there are several.
const PAGE: usize = 2;

/// Buckets by their keys.
#[derive(Default)]
struct FakeLister {
    objects: Mutex<BTreeMap<String, Bytes>>,
    asked: Mutex<Vec<Ask>>,
    fails: Mutex<Option<Failure>>,
    requests: AtomicU64,
}

impl FakeLister {
    fn put(&self, key: &str, content: &Bytes) {
        self.objects.lock().unwrap().insert(key.to_owned(), content.clone());
    }

    fn asked(&self) -> Vec<Ask> {
        self.asked.lock().unwrap().clone()
    }

    fn answer(&self, ask: &Ask) -> Result<Page, Failure> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.asked.lock().unwrap().push(ask.clone());
        if let Some(failure) = self.fails.lock().unwrap().clone() {
            return Err(failure);
        }
        let after = ask.token.clone().or(ask.after.clone()).unwrap_or_default();
        let objects = self.objects.lock().unwrap();
        let below = objects.iter().filter(|(key, _)| key.starts_with(&ask.prefix) && **key > after);
        if ask.folders {
            let folder = |key: &str| key[ask.prefix.len()..].find('/').map(|end| key[..=ask.prefix.len() + end].to_owned());
            let mut folders: Vec<String> = below.filter_map(|(key, _)| folder(key)).collect();
            folders.dedup();
            return Ok(Page { folders, ..Page::default() });
        }
        let object = |(key, content): (&String, &Bytes)| ObjectRef {
            bucket: ask.bucket.clone(),
            key: key.clone(),
            size: Some(content.len() as u64),
            etag: Some(etag(content)),
            made_at: Some(UtcSecond(1_699_999_999)),
            ..ObjectRef::default()
        };
        let objects: Vec<ObjectRef> = below.take(PAGE).map(object).collect();
        let token = (objects.len() == PAGE).then(|| objects[PAGE - 1].key.clone());
        Ok(Page { objects, folders: Vec::new(), token })
    }
}

impl Lister for FakeLister {
    fn page<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Page, Failure>> {
        futures::future::ready(self.answer(ask)).boxed()
    }

    fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A bucket that is listed.
struct Listed {
    world: World,
    lister: Arc<FakeLister>,
    options: ListOptions,
}

impl Listed {
    fn new() -> Self {
        let options = ListOptions { interval: Duration::from_secs(60), workers: 4, ..ListOptions::new(vec!["s3://trail".into()]) };
        Self { world: World::new(), lister: Arc::default(), options }
    }

    fn start(&self) -> Running {
        let (lister, objects, clock) = (self.lister.clone(), self.world.objects.clone(), self.world.clock.clone());
        let inside = Inside {
            committer: self.world.committer(),
            known: ledger::known(self.world.log.clone(), 4),
            readiness: self.world.readiness.clone(),
            codec: CodecLimits::default(),
        };
        let source = ListSource::new(ListOutside { lister, objects, clock }, self.options.clone(), inside).unwrap();
        let (stop, now) = (CancellationToken::new(), CancellationToken::new());
        let done = tokio::spawn(source.run(stop.clone(), now.clone()));
        Running { stop, now, done }
    }

    /// A log file with one event, which answers as it is told before it is read.
    fn put(&self, name: &str, before: impl IntoIterator<Item = Answer>) {
        let content = log_file(&[name]);
        let answers = before.into_iter().chain([Answer::Content(content.clone())]);
        self.world.objects.put(&uri(name), answers);
        self.lister.put(&key(name), &content);
    }

    async fn until(&self, what: &str, so: impl Fn() -> bool) {
        self.world.until_stepping(what, Duration::from_millis(500), so).await;
    }

    /// Waits until so many listings more have begun.
    async fn looks(&self, more: usize) {
        let listings = || self.lister.asked().iter().filter(|ask| ask.folders && ask.prefix == "AWSLogs/").count();
        let wanted = listings() + more;
        self.until("more listings", || listings() >= wanted).await;
    }

    async fn stop(&self, running: Running) {
        running.stop(&self.world).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_new_is_read_once_however_often_it_is_listed_and_after_a_restart() {
    let listed = Listed::new();
    ["a", "b", "c", "d", "e"].into_iter().for_each(|name| listed.put(name, []));
    let running = listed.start();
    listed.until("all are read", || listed.world.records().len() == 5).await;
    listed.put("f", []);
    listed.until("the new one is read", || listed.world.records().len() == 6).await;
    listed.looks(3).await;
    running.now.cancel();
    listed.world.until_still("it is killed", || running.done.is_finished()).await;
    let running = listed.start();
    listed.put("g", []);
    listed.until("what came meanwhile is read", || listed.world.records().len() == 7).await;
    listed.looks(2).await;
    assert_eq!(listed.world.objects.opened().len(), 7, "each is read once");
    listed.stop(running).await;
}

#[tokio::test]
async fn poison_becomes_one_dead_letter_and_is_not_read_again_until_it_changes() {
    let listed = Listed::new();
    let poison = Bytes::from_static(b"\x00 no log");
    listed.world.objects.put(&uri("p"), [Answer::Content(poison.clone())]);
    listed.lister.put(&key("p"), &poison);
    let running = listed.start();
    listed.until("the dead letter", || listed.world.letters().len() == 1).await;
    listed.looks(2).await;
    let opened = listed.world.objects.opened().len();
    listed.looks(3).await;
    assert_eq!((listed.world.objects.opened().len(), listed.world.letters().len()), (opened, 1));
    listed.put("p", []);
    listed.until("it is read once it is sound", || listed.world.records() == ["p"]).await;
    listed.stop(running).await;
}

#[tokio::test]
async fn what_is_denied_degrades_readiness_and_is_read_once_it_is_allowed() {
    let listed = Listed::new();
    *listed.lister.fails.lock().unwrap() = Some(failure("AccessDenied", 403));
    listed.put("a", std::iter::repeat_n(Answer::Fails(failure("AccessDenied", 403)), 3));
    let running = listed.start();
    listed.until("the listing is told", || listed.world.problems().iter().any(|problem| problem.contains("cannot be listed"))).await;
    *listed.lister.fails.lock().unwrap() = None;
    listed.until("the object is told", || listed.world.problems().iter().any(|problem| problem.contains(&uri("a")))).await;
    listed.until("it is read", || listed.world.records() == ["a"]).await;
    listed.until("nothing is in the way", || listed.world.problems().is_empty()).await;
    assert!(listed.world.letters().is_empty());
    listed.stop(running).await;
}

#[tokio::test]
async fn only_the_newest_days_are_listed_each_time_and_all_of_it_now_and_then() {
    let listed = Listed::new();
    listed.put("a", []);
    let running = listed.start();
    listed.until("it is read", || listed.world.records().len() == 1).await;
    listed.looks(4).await;
    let of_region = |ask: &Ask| ask.prefix.ends_with("/us-east-1/") && ask.token.is_none();
    let after: Vec<_> = listed.lister.asked().into_iter().filter(of_region).map(|ask| ask.after).collect();
    // The clock stands at 2023-11-14, and two days before it are looked at.
    let recent = "AWSLogs/000000000012/CloudTrail/us-east-1/2023/11/12/".to_owned();
    assert_eq!(after.iter().filter(|after| after.is_none()).count(), 1, "one full listing: {after:?}");
    assert!(after.len() > 3 && after.iter().flatten().all(|after| *after == recent), "{after:?}");
    let old = log_file(&["old"]);
    let key = "AWSLogs/000000000012/CloudTrail/us-east-1/2020/01/01/old.json.gz";
    listed.world.objects.put(&format!("s3://trail/{key}"), [Answer::Content(old.clone())]);
    listed.lister.put(key, &old);
    listed.looks(2).await;
    assert_eq!(listed.world.records(), ["a"], "no recent listing finds it");
    listed.world.until_stepping("a full listing does", Duration::from_secs(60), || listed.world.records().len() == 2).await;
    listed.stop(running).await;
}

#[tokio::test]
async fn a_walk_finds_what_cloudtrail_wrote_in_the_window_and_enters_nothing_else() {
    let lister = FakeLister::default();
    let some = Bytes::from_static(b"x");
    let name =
        |account: &str, service: &str, region: &str, day: &str| format!("pre/AWSLogs/{account}/{service}/{region}/2024/03/{day}/x.json.gz");
    for account in ["000000000012", "000000000013"] {
        for (service, region) in
            [("CloudTrail", "us-east-1"), ("CloudTrail", "eu-west-1"), ("CloudTrail-Digest", "us-east-1"), ("Config", "us-east-1")]
        {
            ["01", "02", "03", "04", "05", "09"].into_iter().for_each(|day| lister.put(&name(account, service, region, day), &some));
        }
    }
    let at = |text: &str| UtcSecond::parse_prefix(text).unwrap();
    let window = Window { start: Some(at("2024-03-02T00:00:00Z")), end: Some(at("2024-03-03T00:00:00Z")) };
    let only = Only { accounts: vec!["000000000013".into()], regions: vec!["us-east-1".into()] };
    let scope = Scope { since: window.start, window, only, flat: false };
    let (out, mut pages) = mpsc::channel(100);
    walk(&lister, "trail", "pre/", &scope, &out).await.unwrap();
    drop(out);
    let mut found = Vec::new();
    while let Some(page) = pages.recv().await {
        found.extend(page.into_iter().map(|object| object.key).filter(|key| window.holds(key, None)));
    }
    found.sort();
    // The digest of midnight tells of the hour before.
    let expected = [("CloudTrail-Digest", "03"), ("CloudTrail", "02")];
    assert_eq!(found, expected.map(|(service, day)| name("000000000013", service, "us-east-1", day)));
    let asked = lister.asked();
    assert!(asked.iter().all(|ask| !ask.prefix.contains("000000000012/") && !ask.prefix.contains("Config")), "{asked:?}");
    assert!(asked.iter().all(|ask| !ask.token.as_ref().is_some_and(|token| token.contains("/09/"))), "{asked:?}");
}

#[tokio::test]
async fn files_of_a_folder_are_found_as_ingest_knows_them_but_for_those_that_are_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, fresh) = (folder.path().join("a/x.json.gz"), folder.path().join("y.json.gz"));
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(&whole, log_file(&["x"])).unwrap();
    std::fs::write(&fresh, b"half").unwrap();
    std::fs::write(folder.path().join("readme.txt"), b"no log").unwrap();
    let before = std::time::SystemTime::now() - 2 * LIST_FILE_RESTS;
    std::fs::File::options().write(true).open(&whole).unwrap().set_modified(before).unwrap();
    let (out, mut pages) = mpsc::channel(10);
    walk_disk(folder.path(), out).await.unwrap();
    let [object] = &pages.recv().await.unwrap()[..] else { panic!("one file") };
    let head = Head { size: object.size, etag: object.etag.clone(), version: None };
    let path = whole.canonicalize().unwrap();
    assert_eq!(describe(object, &head, None), crate::source::folder::describe(&path, &path.metadata().unwrap()));
    assert!(object.on_disk && object.uri() == path.to_string_lossy());
    assert!(pages.recv().await.is_none());
}

#[tokio::test]
async fn a_file_that_is_gone_or_denied_fails_as_an_object_does() {
    let config = aws_config::SdkConfig::builder().build();
    let s3 = crate::source::sqs::fetch::S3Objects::new(&config, &ListOptions::new(vec!["/x".into()]).objects());
    let anywhere = Anywhere::new(s3);
    let gone = ObjectRef { key: "/nowhere/x.json.gz".into(), on_disk: true, ..ObjectRef::default() };
    let opened: Box<dyn Opened> = crate::source::sqs::objects::Objects::open(&anywhere, &gone).await.unwrap();
    assert_eq!(opened.read().await.unwrap_err().class(), Class::Gone);
    let missing = walk_disk(std::path::Path::new("/nowhere"), mpsc::channel(1).0).await.unwrap_err();
    assert_eq!(crate::source::sqs::classify::classify(&missing), Class::Environment);
}

#[test]
fn the_clock_of_these_tests_stands_where_they_say() {
    assert_eq!(World::new().clock.wall(), UtcSecond(1_700_000_000));
}
