//! Claims about the backend, over a log on disk and without AWS.

use std::thread::JoinHandle;

use crate::log::{DataLog, LogPlace, Process};
use cloudigrade_connectors::source::Committer;
use cloudigrade_connectors::source::committer::{Entry, Message};
use cloudigrade_pipeline::log::{PollLimits, Position};
use cloudigrade_pipeline::operators::outlook;
use cloudigrade_schemas::account::AccountProblem;
use cloudigrade_schemas::image_fact::{Fact, ImageMetadata};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{ImageFact, Product, Topic, UtcSecond};
use tempfile::TempDir;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::InspectionMode;
use crate::control::service::Collecting;
use crate::live::operators::Operators;

const ARN: &str = "arn:aws:iam::111122223333:role/cloudigrade";

struct Place {
    backend: Arc<LogBackend>,
    log: DataLog,
    commits: JoinHandle<Result<(), LogError>>,
    operators: Operators,
}

impl Place {
    async fn open(folder: &TempDir) -> Self {
        Self::open_with(folder, &Config::default()).await
    }

    async fn open_with(folder: &TempDir, config: &Config) -> Self {
        let now = || UtcSecond(1_700_000_000);
        let log = LogPlace::Embedded.open(folder.path(), &Process::Command).unwrap();
        let (committer, commits) = Committer::start(&log, now).unwrap();
        let operators = Operators::start(&log, &CancellationToken::new()).unwrap();
        let service = Service::new(log.clone(), committer, Collecting::default(), None, config, now).await.unwrap();
        Self { backend: Arc::new(LogBackend::new(Arc::new(service), config)), log, commits, operators }
    }

    /// An account as the operator registers it.
    async fn register(&self, tenant: &str, name: &str) -> Account {
        let operation = Operation::Register { arn: ARN.to_owned(), name: Some(name.to_owned()) };
        self.backend.ask(tenant, "test", operation).await.unwrap().accounts.remove(0)
    }

    async fn close(self) {
        self.backend.finish().await;
        let Self { backend, log, commits, operators } = self;
        // The backend still lives, as where a connection ends late; the log is given back all the same.
        tokio::task::spawn_blocking(move || {
            commits.join().unwrap().unwrap();
            operators.finish().unwrap();
        })
        .await
        .unwrap();
        drop(log);
        assert!(matches!(backend.accounts(None).await, Err(Refused::Unsupported { .. })));
        assert!(backend.bearer(&"0".repeat(40)).is_none());
    }
}

#[tokio::test]
async fn no_account_is_registered_for_a_tenant_where_nothing_can_show_that_it_is_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder).await;
    let refused = place.backend.register("acme", ARN, None, "ann").await;
    assert!(matches!(refused, Err(Refused::Unsupported { .. })), "{refused:?}");
    assert_eq!(place.backend.accounts(None).await, Ok(Vec::new()));
    place.close().await;
}

#[tokio::test]
async fn an_account_is_changed_by_its_tenant_and_unknown_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder).await;
    place.register("acme", "production").await;
    let id = "111122223333";
    let rename = |tenant: &'static str| {
        let change = AccountChange::Rename(Some("renamed".to_owned()));
        place.backend.change_account(tenant, id, change, "ann")
    };
    assert_eq!(rename("acme").await.unwrap().name.as_deref(), Some("renamed"));
    let unknown = Refused::NotFound { what: "account" };
    assert_eq!(rename("other").await.err(), Some(unknown.clone()));
    assert_eq!(place.backend.delete_account("other", id, "ann").await, Err(unknown));
    assert_eq!(place.backend.delete_account("acme", id, "ann").await, Ok(()));
    assert_eq!(place.backend.accounts(Some("acme")).await, Ok(Vec::new()));
    place.close().await;
}

#[tokio::test]
async fn an_identity_is_the_tenant_of_its_account_number_else_of_its_organisation() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder).await;
    place.register("org7", "production").await;
    let user = NewUser { name: "1234".to_owned(), tenant: None, email: None, superuser: true, password: "long enough".to_owned() };
    place.backend.create_user(user, "test").await.unwrap();
    let tenant = |number, org| place.backend.identity(number, org).map(|principal| principal.tenant.to_string());
    assert_eq!(tenant(Some("1234"), Some("org7")).as_deref(), Some("1234"));
    assert_eq!(tenant(Some("unknown"), Some("org7")).as_deref(), Some("org7"));
    assert_eq!(tenant(Some("unknown"), Some("x/y")), None);
    assert_eq!(tenant(None, None), None);
    assert!(!place.backend.identity(Some("1234"), None).unwrap().superuser);
    place.close().await;
}

#[tokio::test]
async fn an_override_is_a_fact_of_the_image_and_a_second_one_holds_over_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder).await;
    let image_id = "ami-0123456789abcdef0";
    let said =
        |is| OverrideRequest { image_id: image_id.to_owned(), region: "us-east-1".to_owned(), product: Product::Rhel, is, reason: None };
    place.backend.override_image(Some("acme"), said(Some(true)), "ann").await.unwrap();
    place.backend.override_image(Some("acme"), said(None), "bob").await.unwrap();
    let partition = partition_of(image_id.as_bytes(), place.log.partitions());
    let records = place.log.read(Position { topic: Topic::ImageFacts, partition, offset: 0 }, PollLimits::default()).unwrap();
    let facts: Vec<ImageFact> = records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect();
    let [ImageFact { fact: Fact::Override(said), at, .. }] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!((said.is, said.by.as_str(), said.tenant.as_deref(), said.at), (None, "bob", Some("acme"), *at));
    let unknown = OverrideRequest { region: String::new(), image_id: "ami-00000000000000000".to_owned(), ..said_nothing(image_id) };
    assert_eq!(place.backend.override_image(None, unknown, "ann").await, Err(Refused::NotFound { what: "image" }));
    place.close().await;
}

#[tokio::test]
async fn an_inspection_is_asked_for_by_a_fact_where_disks_are_read_and_refused_where_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let image_id = "ami-0123456789abcdef0";
    let place = Place::open(&folder).await;
    let refused = place.backend.want_inspection(image_id, InspectionWanted::Inspect, "ann").await;
    assert!(matches!(refused, Err(Refused::Unsupported { .. })), "{refused:?}");
    place.close().await;

    let mut config = Config::default();
    config.inspection.mode = InspectionMode::EbsDirect;
    let place = Place::open_with(&folder, &config).await;
    assert_eq!(place.backend.want_inspection(image_id, InspectionWanted::Inspect, "ann").await, Err(Refused::NotFound { what: "image" }));
    place.close().await;

    tell(&folder, Fact::Metadata(ImageMetadata::default()), image_id).await;
    let place = Place::open_with(&folder, &config).await;
    let want = |wanted| place.backend.want_inspection(image_id, wanted, "ann");
    assert_eq!(want(InspectionWanted::Inspect).await, Ok(Vec::new()), "the worker has not begun");
    assert_eq!(want(InspectionWanted::Abort).await, Err(Refused::NotFound { what: "inspection at work" }));
    let partition = partition_of(image_id.as_bytes(), place.log.partitions());
    let records = place.log.read(Position { topic: Topic::ImageFacts, partition, offset: 0 }, PollLimits::default()).unwrap();
    let facts: Vec<ImageFact> = records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect();
    let requests: Vec<_> = facts.iter().filter(|fact| matches!(fact.fact, Fact::InspectionRequest(_))).collect();
    assert_eq!((requests.len(), requests[0].region.as_str()), (1, "us-east-1"));
    place.close().await;
}

/// Writes a fact about an image where nobody has the log.
async fn tell(folder: &TempDir, fact: Fact, image_id: &str) {
    let log = LogPlace::Embedded.open(folder.path(), &Process::Command).unwrap();
    let (committer, commits) = Committer::start(&log, || UtcSecond(1_700_000_000)).unwrap();
    let fact = ImageFact {
        image_id: image_id.to_owned(),
        region: "us-east-1".to_owned(),
        at: UtcSecond(1_600_000_000),
        source: "test".to_owned(),
        fact,
    };
    let (key, value) = (fact.to_key().into_bytes(), serde_json::to_vec(&fact).unwrap());
    let message = Message { topic: Topic::ImageFacts, partition_key: image_id.as_bytes().to_vec(), key, value };
    committer.commit(Entry { messages: vec![message], ..Entry::default() }).await.unwrap();
    drop(committer);
    tokio::task::spawn_blocking(move || commits.join().unwrap().unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_image_that_ec2_did_not_describe_is_not_said_to_be_inspected_and_of_one_that_it_did_an_attempt_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.inspection.mode = InspectionMode::EbsDirect;
    let image_id = "ami-0123456789abcdef0";
    tell(&folder, Fact::Unavailable { account_id: Some("111122223333".to_owned()), over: false }, image_id).await;
    let place = Place::open_with(&folder, &config).await;
    let said = OverrideRequest { region: "us-east-1".to_owned(), ..said_nothing(image_id) };
    place.backend.override_image(None, said, "ann").await.unwrap();
    let refused = place.backend.want_inspection(image_id, InspectionWanted::Inspect, "ann").await;
    let Err(Refused::Unsupported { message }) = refused else { panic!("{refused:?}") };
    assert!(message.contains("images override"), "it says what to do: {message}");
    place.close().await;

    tell(&folder, Fact::Metadata(ImageMetadata::default()), image_id).await;
    let place = Place::open_with(&folder, &config).await;
    let said = OverrideRequest { region: String::new(), ..said_nothing(image_id) };
    place.backend.override_image(None, said, "ann").await.unwrap();
    assert_eq!(place.backend.want_inspection(image_id, InspectionWanted::Inspect, "ann").await, Ok(Vec::new()));
    let known = outlook(&place.log, place.log.partitions(), image_id).unwrap().unwrap();
    assert_eq!((known.attempt, known.is_given_up, known.region.as_str()), (Some(1), false, "us-east-1"));
    assert_eq!(place.backend.inspections(image_id).await, Ok(Vec::new()));
    place.close().await;
}

fn said_nothing(image_id: &str) -> OverrideRequest {
    OverrideRequest { image_id: image_id.to_owned(), region: String::new(), product: Product::Rhel, is: None, reason: None }
}

#[tokio::test]
async fn the_policy_is_a_document_to_paste() {
    let policies = aws::policies(&Config::default());
    let policy = &policies["traditional_inspection"];
    assert!(policy["Version"].is_string() && policy["Statement"].as_array().is_some_and(|statements| !statements.is_empty()), "{policies}");
}

#[test]
fn an_obstruction_is_told_by_what_must_be_mended_first() {
    let problem = |code: &str, detail: &str| AccountProblem { code: code.to_owned(), detail: detail.to_owned(), help: String::new() };
    let told = |problems: &[AccountProblem]| match refused_registration(registration::NotRegistered::Obstructed(problems.to_vec())) {
        Refused::Invalid { field: Some("account_arn"), code, details, .. } => (code, details),
        other => panic!("{other:?}"),
    };
    let role = problem("assume_role_denied", "sts:AssumeRole is not permitted");
    let describe = problem("permission_missing", "ec2:DescribeInstances is not permitted");
    let images = problem("permission_missing", "ec2:DescribeImages is not permitted");
    let trail = problem("permission_missing", "cloudtrail:CreateTrail is not permitted");
    let quota = problem("trail_quota", "cloudtrail:CreateTrail failed");
    let actions = |actions: &[&str]| actions.iter().map(|action| (*action).to_owned()).collect::<Vec<_>>();
    assert_eq!(told(&[describe.clone(), role]), ("permission_denied".to_owned(), Vec::new()));
    assert_eq!(
        told(&[trail.clone(), describe, images]),
        ("verification_failed".to_owned(), actions(&["ec2:DescribeInstances", "ec2:DescribeImages"]))
    );
    assert_eq!(told(&[trail]), ("trail_denied".to_owned(), actions(&["cloudtrail:CreateTrail"])));
    assert_eq!(told(&[quota]), ("trail_quota".to_owned(), Vec::new()));
}
