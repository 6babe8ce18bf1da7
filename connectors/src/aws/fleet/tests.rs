use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::config::Credentials;
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::log::{Log, PollLimits, Position};
use cloudigrade_schemas::account::Unmetered;
use cloudigrade_schemas::{AccountAction, AccountCommand, Topic};

use super::*;
use crate::aws::{Checker, Clients, CollectSettings, Memory, Sighted};
use crate::sample::account;
use crate::source::Committer;

const DEADLINE: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(20);

fn now() -> UtcSecond {
    UtcSecond(1_706_695_200)
}

/// A fleet whose AWS is at an address.
struct Bench {
    log: EmbeddedLog,
    _folder: tempfile::TempDir,
    accounts: watch::Sender<Arc<Vec<Account>>>,
    rounds: Arc<AtomicUsize>,
    stop: CancellationToken,
    fleet: tokio::task::JoinHandle<()>,
}

impl Bench {
    async fn start(aws: SocketAddr, first: Account) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let (committer, _thread) = Committer::start(&log, now).unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("testing", "testing", None, None, "test"))
            .region(Region::from_static("us-east-1"))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .endpoint_url(format!("http://{aws}"))
            .load()
            .await;
        let checker = Checker::new(Clients::new(sdk), CollectSettings::default());
        let memory = Memory::new(Arc::new(log.clone()), log.partitions());
        let collector = Collector::new(checker, committer, memory, Sighted::of(log.clone()), now);
        let (accounts, seen) = watch::channel(Arc::new(vec![first]));
        let rounds = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&rounds);
        let external_ids: ExternalIds = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Some("external".to_owned())
        });
        let settings = FleetSettings { interval: INTERVAL, accounts_at_once: 2 };
        let fleet = Fleet::with_limits_checked(collector, settings, seen, external_ids, watch::Sender::default());
        let stop = CancellationToken::new();
        let fleet = tokio::spawn(fleet.run(stop.clone()));
        Self { log, _folder: folder, accounts, rounds, stop, fleet }
    }

    fn commands(&self) -> Vec<AccountCommand> {
        let read =
            |partition| self.log.read(Position { topic: Topic::AccountCommands, partition, offset: 0 }, PollLimits::default()).unwrap();
        let records = (0..self.log.partitions()).flat_map(read);
        records.map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
    }

    fn rounds(&self) -> usize {
        self.rounds.load(Ordering::SeqCst)
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waited = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, waited).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.fleet).await.unwrap().unwrap();
    }
}

/// Where nothing listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_of_an_account_is_told_once_and_the_account_is_tried_again() {
    let bench = Bench::start(nowhere(), account(AccountState::Enabled)).await;
    bench.until("a command", |bench| !bench.commands().is_empty()).await;
    let command = bench.commands().remove(0);
    let AccountAction::Failed { problems, .. } = command.action else { panic!("{command:?}") };
    assert_eq!((command.account_id.as_str(), problems[0].code.as_str()), ("111122223333", "unreachable"));
    // Whoever decides about accounts shows what was told.
    bench.accounts.send_replace(Arc::new(vec![Account { problems, changed_at: UtcSecond(1), ..account(AccountState::Enabled) }]));
    let rounds = bench.rounds();
    bench.until("several rounds", |bench| bench.rounds() > rounds + 3).await;
    assert_eq!(bench.commands().len(), 1);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_stops_at_once_while_it_waits_for_an_answer() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bench = Bench::start(silent.local_addr().unwrap(), account(AccountState::Enabled)).await;
    bench.until("a round to begin", |bench| bench.rounds() > 0).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_are_paused_disabled_or_deleted_are_not_called_and_come_back_when_enabled() {
    let bench = Bench::start(nowhere(), account(AccountState::Paused)).await;
    for state in [AccountState::Disabled, AccountState::Deleted] {
        bench.accounts.send_replace(Arc::new(vec![account(state)]));
    }
    let other = Account {
        account_id: "999922223333".to_owned(),
        arn: "arn:aws:iam::999922223333:role/x".to_owned(),
        ..account(AccountState::Enabled)
    };
    bench.accounts.send_replace(Arc::new(vec![account(AccountState::Paused), other]));
    bench.until("a command", |bench| !bench.commands().is_empty()).await;
    assert!(bench.commands().iter().all(|command| command.account_id == "999922223333"));
    bench.accounts.send_replace(Arc::new(vec![account(AccountState::Enabled)]));
    bench.until("the other's command", |bench| bench.commands().iter().any(|command| command.account_id == "111122223333")).await;
    bench.stop().await;
}

#[test]
fn an_account_is_collected_from_since_it_was_registered_or_last_resumed() {
    let mut account = account(AccountState::Enabled);
    account.created_at = UtcSecond(10);
    assert_eq!(since(&account), UtcSecond(10));
    account.unmetered =
        vec![Unmetered { from: UtcSecond(20), until: Some(UtcSecond(30)) }, Unmetered { from: UtcSecond(40), until: Some(UtcSecond(50)) }];
    assert_eq!(since(&account), UtcSecond(50));
}
