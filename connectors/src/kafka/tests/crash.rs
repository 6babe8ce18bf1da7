//! Processes that are killed, that pause, and that lose their cache.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use cloudigrade_pipeline::log::{Log, LogError};

use super::super::KafkaLog;
use super::fold::{assert_same, drain, expected, feed, outcome, step_once};
use super::{ALL, READER, SHARED, broker, options, patiently};

/// What the child is told by.
const BOOTSTRAP: &str = "CLOUDIGRADE_TEST_CHILD_BOOTSTRAP";
const PREFIX: &str = "CLOUDIGRADE_TEST_CHILD_PREFIX";
const CACHE: &str = "CLOUDIGRADE_TEST_CHILD_CACHE";
/// Its name among those that share the task; without it, it has the task alone.
const MEMBER: &str = "CLOUDIGRADE_TEST_CHILD_MEMBER";
/// How the child ends when it was fenced.
const FENCED: i32 = 7;
/// Records of a whole run.
const RECORDS: u32 = 600;

/// A process that runs the operator until it is killed or fenced.
pub(super) struct Process {
    child: Child,
    /// The process ends when this is closed, however its parent ends. Taken out of the child, whose `wait` would close it.
    _held: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(bootstrap: &str, prefix: &str, cache: &Path) -> Self {
        Self::start_as(bootstrap, prefix, cache, None)
    }

    /// Starts one that shares the task under a name.
    pub(super) fn start_as(bootstrap: &str, prefix: &str, cache: &Path, member: Option<&str>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--nocapture", "kafka::tests::crash::the_process_that_is_killed"]);
        command.env(BOOTSTRAP, bootstrap).env(PREFIX, prefix).env(CACHE, cache);
        if let Some(member) = member {
            command.env(MEMBER, member);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let _held = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, _held, lines }
    }

    /// Waits until it has committed some batches.
    fn wait_for_commits(&mut self, commits: usize) {
        let told = self.lines.by_ref().map_while(Result::ok).filter(|line| line.contains("committed")).take(commits).count();
        assert_eq!(told, commits, "the process ended by itself");
    }

    /// Whether it was fenced, and has ended for it. It ends in no other way by itself.
    pub(super) fn was_fenced(&mut self) -> bool {
        let ended = self.child.try_wait().unwrap();
        ended.is_some_and(|ended| {
            assert_eq!(ended.code(), Some(FENCED), "the process ended by itself");
            true
        })
    }

    pub(super) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Not a test by itself: what the others start as a process of its own.
#[test]
fn the_process_that_is_killed() {
    let Ok(bootstrap) = std::env::var(BOOTSTRAP) else { return };
    // It ends with whoever started it.
    std::thread::spawn(|| {
        std::io::stdin().lines().for_each(drop);
        std::process::exit(0);
    });
    let (prefix, cache) = (std::env::var(PREFIX).unwrap(), std::env::var(CACHE).unwrap());
    let member = std::env::var(MEMBER).ok();
    let spec = if member.is_some() { SHARED } else { READER };
    let mut options = options(&bootstrap, &prefix, Path::new(&cache));
    options.member = member.unwrap_or(options.member);
    let log = KafkaLog::open(options).unwrap();
    let mut task = patiently(|| log.open_task(spec, &ALL)).unwrap();
    loop {
        match step_once(&mut task) {
            Ok(0) | Err(LogError::Retry { .. } | LogError::Abort { .. }) => {}
            Ok(_) => println!("committed"),
            Err(LogError::Fenced { .. }) => std::process::exit(FENCED),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Numbers without a pattern, the same in each run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn kills_at_any_moment_lose_and_double_nothing_and_a_lost_cache_costs_only_reading() {
    const KILLS: u32 = 10;
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let own_cache = tempfile::tempdir().unwrap();
    let log = KafkaLog::open(options(&bootstrap, &prefix, own_cache.path())).unwrap();
    let mut dice = Dice(42);
    let (_never, nothing) = channel::<()>();
    for round in 0..KILLS {
        let mut process = Process::start(&bootstrap, &prefix, cache.path());
        feed(&log, round * (RECORDS / KILLS)..(round + 1) * (RECORDS / KILLS));
        process.wait_for_commits(1 + dice.below(6) as usize);
        // Somewhere within the next commit.
        assert!(nothing.recv_timeout(Duration::from_micros(dice.below(20_000))).is_err());
        process.kill();
    }
    // The cache of the killed processes is behind, and none at all is as good.
    let expected = expected(0..RECORDS);
    let killed = KafkaLog::open(options(&bootstrap, &prefix, cache.path())).unwrap();
    drain(&killed);
    assert_same(&outcome(&killed), &expected);
    let lost = tempfile::tempdir().unwrap();
    assert_same(&outcome(&KafkaLog::open(options(&bootstrap, &prefix, lost.path())).unwrap()), &expected);
}

#[test]
fn a_process_that_paused_and_comes_back_is_fenced_and_writes_nothing_more() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let own_cache = tempfile::tempdir().unwrap();
    let log = KafkaLog::open(options(&bootstrap, &prefix, own_cache.path())).unwrap();
    let mut zombie = Process::start(&bootstrap, &prefix, cache.path());
    feed(&log, 0..RECORDS / 2);
    zombie.wait_for_commits(3);
    zombie.signal("-STOP");
    feed(&log, RECORDS / 2..RECORDS);
    drain(&log);
    let before = outcome(&log);
    zombie.signal("-CONT");
    assert_eq!(zombie.child.wait().unwrap().code(), Some(FENCED));
    assert_same(&outcome(&log), &before);
    assert_same(&before, &expected(0..RECORDS));
}
