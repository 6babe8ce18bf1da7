//! The worker together with the operator that tells it what to do, over a simulated log and a simulated cloud.

mod cloud;
mod faults;
mod flow;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cloudigrade_connectors::source::drive::IMAGES;
use cloudigrade_pipeline::engine::step;
use cloudigrade_pipeline::log::{Log, LogError, Output, PollLimits, Position, Task, TaskSpec, Txn};
use cloudigrade_pipeline::operators::Images;
use cloudigrade_pipeline::simulated::{Faults, SimulatedLog, SimulatedTask};
use cloudigrade_schemas::image::Product;
use cloudigrade_schemas::image_fact::{Fact, ImageMetadata, InspectionRequest, InspectionWanted};
use cloudigrade_schemas::inspection::InspectionState;
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Account, AccountState, Image, ImageFact, ImageSighting, Inspection, InspectionCommand, Topic, UtcSecond};
use tokio::sync::watch;

use self::cloud::SimCloud;
use self::world::SimImage;
use crate::record;
use crate::settings::Settings;
use crate::worker::Worker;

const PARTITIONS: u32 = 4;
/// The account that is registered.
const ACCOUNT: &str = "111122223333";
/// Another one, which is not.
const STRANGER: &str = "999900001111";
/// Within so many seconds everything must be over.
const PATIENCE: i64 = 5 * 24 * 3600;

/// All of it, and a worker that can die.
struct Stage {
    log: SimulatedLog,
    cloud: Arc<SimCloud>,
    settings: Settings,
    accounts: watch::Sender<Arc<Vec<Account>>>,
    images: SimulatedTask,
    worker: Option<Worker<SimCloud, SimulatedLog>>,
    crashes: usize,
}

fn account(id: &str, tenant: &str) -> Account {
    let new = Account::new(tenant, id, &format!("arn:aws:iam::{id}:role/cloudigrade"), UtcSecond(0));
    Account { state: AccountState::Enabled, ..new }
}

/// Does something until the log does not say that it is not possible right now.
fn insist<T>(mut what: impl FnMut() -> Result<T, LogError>) -> T {
    loop {
        match what() {
            Err(LogError::Retry { .. }) => {}
            done => return done.unwrap(),
        }
    }
}

impl Stage {
    /// A world of some images, each of which was described to us.
    fn new(images: impl IntoIterator<Item = (String, SimImage)>, settings: Settings, faults: Faults) -> Self {
        let images: Vec<_> = images.into_iter().collect();
        let log = SimulatedLog::new(7, PARTITIONS, faults);
        let cloud = SimCloud::new(images.clone());
        let all: Vec<u32> = (0..PARTITIONS).collect();
        let task = insist(|| log.open_task(IMAGES, &all));
        let accounts = watch::Sender::new(Arc::new(vec![account(ACCOUNT, "acme")]));
        let mut stage = Self { log, cloud, settings, accounts, images: task, worker: None, crashes: 0 };
        for (image_id, image) in images {
            stage.tell(&image_id, metadata(&image.owner));
        }
        stage
    }

    fn tell(&mut self, image_id: &str, fact: Fact) {
        let at = UtcSecond(self.cloud.now());
        let fact = ImageFact { image_id: image_id.to_owned(), region: "us-east-1".to_owned(), at, source: "test".to_owned(), fact };
        let value = serde_json::to_vec(&fact).unwrap();
        self.write(Topic::ImageFacts, image_id, fact.to_key().into_bytes(), value);
    }

    fn write(&mut self, topic: Topic, image_id: &str, key: Vec<u8>, value: Vec<u8>) {
        let all: Vec<u32> = (0..PARTITIONS).collect();
        let partition = partition_of(image_id.as_bytes(), PARTITIONS);
        let output = Output { topic, partition, key, value, entered_at: UtcSecond(self.cloud.now()) };
        let mut task = insist(|| self.log.open_task(TaskSpec::alone("test", &[]), &all));
        loop {
            match task.commit(Txn { outputs: vec![output.clone()], ..Txn::default() }) {
                Err(LogError::Abort { .. }) => {}
                done => return done.unwrap(),
            }
        }
    }

    /// That our account uses some images.
    fn used_by_us<S: AsRef<str>>(&mut self, images: &[S]) {
        for image in images {
            let image_id = image.as_ref().to_owned();
            let at = UtcSecond(self.cloud.now());
            let sighting = ImageSighting { image_id, region: "us-east-1".to_owned(), account_id: ACCOUNT.to_owned(), at };
            let value = serde_json::to_vec(&sighting).unwrap();
            self.write(Topic::ImageSightings, &sighting.image_id, sighting.to_key(0).into_bytes(), value);
        }
    }

    fn want(&mut self, image_id: &str, wanted: InspectionWanted, after_attempt: u32) {
        let request = InspectionRequest { wanted, by: "somebody".to_owned(), after_attempt };
        self.tell(image_id, Fact::InspectionRequest(request));
    }

    fn fold(&mut self) {
        loop {
            match step(&mut self.images, PARTITIONS, &[&Images], PollLimits::default()) {
                Ok(step) if step.consumed == 0 => return,
                Ok(_) | Err(LogError::Retry { .. } | LogError::Abort { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn open_worker(&self) -> Worker<SimCloud, SimulatedLog> {
        let now = Arc::clone(&self.cloud.now);
        let clock: crate::Clock = Arc::new(move || UtcSecond(now.load(Ordering::SeqCst)));
        loop {
            let opened =
                Worker::open(&self.log, Arc::clone(&self.cloud), self.settings.clone(), self.accounts.subscribe(), Arc::clone(&clock));
            match opened {
                Err(crate::WorkerError::Log(LogError::Retry { .. })) => {}
                opened => return opened.unwrap(),
            }
        }
    }

    /// One turn of everything. The worker may die in it.
    async fn turn(&mut self) {
        self.fold();
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.open_worker(),
        };
        let working = async {
            worker.turn().await.unwrap();
            worker.receive().await.unwrap();
            worker.turn().await.unwrap();
        };
        let has_died = tokio::select! {
            biased;
            () = self.cloud.crashed.notified() => true,
            () = working => false,
        };
        if has_died {
            self.crashes += 1;
        } else {
            self.worker = Some(worker);
        }
        self.fold();
    }

    fn pass(&self, seconds: i64) {
        self.cloud.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Lets time pass until a condition holds.
    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = self.cloud.now();
        loop {
            self.turn().await;
            if holds(self) {
                return;
            }
            assert!(self.cloud.now() - began < PATIENCE, "{what} does not come: {:#?}", self.inspections());
            self.pass(20);
        }
    }

    /// Until there is nothing more to do, and nothing is left in the cloud.
    async fn until_all_is_over(&mut self) {
        let is_over = |stage: &Self| {
            let open = stage.inspections().into_iter().filter(|inspection| inspection.state != InspectionState::Over).count();
            open == 0 && stage.commands().len() <= stage.inspections().len()
        };
        self.until("the end", is_over).await;
        // What nobody knows of is found by the reaper.
        self.pass(2 * 3600);
        self.turn().await;
        assert_eq!(self.cloud.left(), Vec::<String>::new(), "something is left in the cloud");
        assert_eq!(self.cloud.world().queue, Vec::new(), "messages are left in the queue");
        for (batch, instances) in &self.cloud.world().started {
            assert_eq!(instances.len(), 1, "{batch} had more than one scanner");
        }
    }

    fn inspections(&self) -> Vec<Inspection> {
        record::all(&self.log, PARTITIONS).unwrap()
    }

    fn messages(&self, topic: Topic) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let limits = PollLimits { records: usize::MAX, bytes: usize::MAX, ..PollLimits::default() };
            let read = insist(|| self.log.read(Position { topic, partition, offset: 0 }, limits));
            all.extend(read.into_iter().map(|record| record.value));
        }
        all
    }

    /// The attempts that the worker was told to begin.
    fn commands(&self) -> Vec<(String, u32)> {
        let read = |value: Vec<u8>| serde_json::from_slice::<InspectionCommand>(&value).unwrap();
        let commands = self.messages(Topic::InspectionCommands).into_iter().map(read);
        let begins = |command: &InspectionCommand| command.order == cloudigrade_schemas::inspection::InspectionOrder::Inspect;
        commands.filter(begins).map(|command| (command.image_id, command.attempt)).collect()
    }

    fn image(&self, image_id: &str) -> Image {
        let mut images = self.messages(Topic::Images).into_iter().map(|value| serde_json::from_slice::<Image>(&value).unwrap());
        images.rfind(|image| image.image_id == image_id).unwrap_or_default()
    }

    /// How often each image was found something in.
    fn verdicts(&self) -> BTreeMap<String, usize> {
        let mut verdicts = BTreeMap::new();
        for value in self.messages(Topic::InspectionFindings) {
            let findings: cloudigrade_schemas::Findings = serde_json::from_slice(&value).unwrap();
            findings.images.into_keys().for_each(|image| *verdicts.entry(image).or_default() += 1);
        }
        verdicts
    }

    fn counts_as_rhel(&self, image_id: &str) -> Option<bool> {
        self.image(image_id).counts(Product::Rhel, None)
    }
}

fn metadata(owner: &str) -> Fact {
    let root_snapshot_id = Some("snap-1".to_owned());
    Fact::Metadata(ImageMetadata { owner_id: Some(owner.to_owned()), root_snapshot_id, ..ImageMetadata::default() })
}

/// One image of ours, one of others.
fn own_and_foreign() -> [(String, SimImage); 2] {
    [("ami-own".to_owned(), SimImage::of(ACCOUNT)), ("ami-foreign".to_owned(), SimImage::of(STRANGER))]
}
