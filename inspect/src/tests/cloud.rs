//! A cloud in memory that keeps the contract, with a clock of its own, and one fault at a call that is chosen.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::inspection::{CopiedFrom, Inspection, SourceDisk, SpecialImage};
use tokio::sync::Notify;

use super::world::{Fault, Resource, SimImage, World};
use crate::batch::Batch;
use crate::cloud::{Cloud, DirectRead, FindingsMessage, Place, ResourceKind, ScannerState, Step, TaggedResource};

/// A cloud that keeps the contract.
pub struct SimCloud {
    pub now: Arc<AtomicI64>,
    world: Mutex<World>,
    /// Told when the worker is to die.
    pub crashed: Notify,
}

impl SimCloud {
    pub fn new(images: impl IntoIterator<Item = (String, SimImage)>) -> Arc<Self> {
        let world = World { images: images.into_iter().collect(), ..World::default() };
        Arc::new(Self { now: Arc::new(AtomicI64::new(1_700_000_000)), world: Mutex::new(world), crashed: Notify::new() })
    }

    pub fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap();
        world.pass(self.now());
        world
    }

    /// What is left in the account: resources and sharings.
    pub fn left(&self) -> Vec<String> {
        let world = self.world();
        world.resources.keys().chain(&world.shared).cloned().collect()
    }

    /// Makes something that nobody knows of.
    pub fn leave_behind(&self, owner: &str) {
        let now = self.now();
        self.world().make("token of nobody", ResourceKind::Volume, owner, true, now);
    }

    async fn call<T: Send>(&self, effect: impl FnOnce(&mut World, i64) -> Step<T> + Send) -> Step<T> {
        let (fault, outcome) = {
            let now = self.now();
            let mut world = self.world();
            let number = world.calls;
            world.calls += 1;
            let fault = world.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
            let happens = matches!(fault, None | Some(Fault::LostReply | Fault::CrashAfter));
            (fault, happens.then(|| effect(&mut world, now)))
        };
        match (fault, outcome) {
            (Some(Fault::CrashBefore | Fault::CrashAfter), _) => {
                self.crashed.notify_one();
                std::future::pending().await
            }
            (Some(Fault::NotFound), _) => Step::Missing { detail: "it is not there".to_owned() },
            (Some(_), _) | (None, None) => Step::Retry { detail: "it is called too often for AWS".to_owned() },
            (None, Some(outcome)) => outcome,
        }
    }
}

fn refuse<T>(special: SpecialImage) -> Step<T> {
    Step::Refused { special, detail: "AWS said so".to_owned() }
}

fn disk(snapshot_id: &str, owner: &str) -> SourceDisk {
    SourceDisk {
        snapshot_id: snapshot_id.to_owned(),
        owner_id: Some(owner.to_owned()),
        size_gib: 10,
        encrypted: false,
        kms_key_id: None,
        copy_of: None,
    }
}

fn tag(inspection: &Inspection) -> &str {
    inspection.command_id.as_str()
}

#[async_trait]
impl Cloud for SimCloud {
    async fn find_disk(&self, inspection: &Inspection) -> Step<SourceDisk> {
        use SpecialImage as S;
        let of = |world: &mut World, _| match (world.images.get(&inspection.image_id), world.special(inspection)) {
            (None, _) => refuse(S::ImageGone),
            (_, Some(special @ (S::ImageGone | S::ImageFailed | S::NoSnapshot | S::OtherPartition))) => refuse(special),
            (Some(image), _) => {
                let own = format!("snap-of-{}", inspection.image_id);
                let copy_of = image.copy_of.clone().map(|image_id| CopiedFrom { image_id, region: "us-east-1".to_owned() });
                Step::Done(SourceDisk { copy_of, ..disk(image.snapshot.as_ref().unwrap_or(&own), &image.owner) })
            }
        };
        self.call(of).await
    }

    async fn copy_image(&self, inspection: &Inspection) -> Step<String> {
        let copy = |world: &mut World, now| match world.special(inspection) {
            Some(special) => refuse(special),
            None => {
                let tag = tag(inspection);
                let id = world.make(&format!("image/{tag}"), ResourceKind::Image, tag, false, now);
                world.make(&format!("image-snapshot/{tag}"), ResourceKind::Snapshot, tag, false, now);
                Step::Done(id)
            }
        };
        self.call(copy).await
    }

    async fn find_copied_disk(&self, inspection: &Inspection) -> Step<SourceDisk> {
        let find = |world: &mut World, now| {
            let snapshot = world.tokens.get(&format!("image-snapshot/{}", tag(inspection))).cloned().unwrap_or_default();
            let copy = inspection.made.image_copy_id.clone().unwrap_or_default();
            world.is_ready(&copy, now).map(|()| disk(&snapshot, &inspection.reader.as_ref().unwrap().account_id))
        };
        self.call(find).await
    }

    async fn share_snapshot(&self, inspection: &Inspection) -> Step<()> {
        let share = |world: &mut World, _| {
            if world.special(inspection) == Some(SpecialImage::Encrypted) {
                return refuse(SpecialImage::Encrypted);
            }
            world.shared.insert(inspection.snapshot_id().unwrap().to_owned());
            Step::Done(())
        };
        self.call(share).await
    }

    async fn copy_snapshot(&self, inspection: &Inspection) -> Step<String> {
        let copy = |world: &mut World, now| {
            if !world.shared.contains(inspection.snapshot_id().unwrap()) {
                return Step::Missing { detail: "the snapshot is not shared".to_owned() };
            }
            let tag = tag(inspection);
            Step::Done(world.make(&format!("snapshot/{tag}"), ResourceKind::Snapshot, tag, true, now))
        };
        self.call(copy).await
    }

    async fn check_snapshot(&self, inspection: &Inspection) -> Step<()> {
        self.call(|world, now| world.is_ready(inspection.made.snapshot_copy_id.as_ref().unwrap(), now)).await
    }

    async fn unshare_snapshot(&self, inspection: &Inspection) -> Step<()> {
        let unshare = |world: &mut World, _| {
            world.shared.remove(inspection.made.shared_snapshot_id.as_ref().unwrap());
            Step::Done(())
        };
        self.call(unshare).await
    }

    async fn create_volume(&self, inspection: &Inspection) -> Step<String> {
        let create = |world: &mut World, now| {
            let ready = world.is_ready(inspection.made.snapshot_copy_id.as_ref().unwrap(), now);
            let tag = tag(inspection);
            ready.map(|()| world.make(&format!("volume/{tag}"), ResourceKind::Volume, tag, true, now))
        };
        self.call(create).await
    }

    async fn check_volume(&self, inspection: &Inspection) -> Step<()> {
        self.call(|world, now| world.is_ready(inspection.made.volume_id.as_ref().unwrap(), now)).await
    }

    async fn start_scanner(&self, batch: &Batch) -> Step<String> {
        let start = |world: &mut World, now| {
            let id = world.make(&format!("scanner/{}", batch.batch_id), ResourceKind::Scanner, &batch.batch_id, true, now);
            if world.started.entry(batch.batch_id.clone()).or_default().insert(id.clone()) {
                world.sizes.push(batch.members.len());
            }
            Step::Done(id)
        };
        self.call(start).await
    }

    async fn attach_volumes(&self, batch: &Batch) -> Step<()> {
        let attach = |world: &mut World, now| {
            let instance = batch.instance_id.clone().unwrap();
            let ready = world.is_ready(&instance, now);
            if ready != Step::Done(()) {
                return ready;
            }
            let mut there = 0;
            for member in &batch.members {
                if let Some(volume) = world.resources.get_mut(&member.volume_id) {
                    volume.attached_to = Some(instance.clone());
                    there += 1;
                }
            }
            if there == 0 {
                return Step::Missing { detail: "there are no volumes".to_owned() };
            }
            world.reading.entry(instance).or_insert((batch.clone(), now));
            Step::Done(())
        };
        self.call(attach).await
    }

    async fn check_scanner(&self, batch: &Batch) -> Step<ScannerState> {
        let look = |world: &mut World, _| {
            let runs = batch.instance_id.as_ref().is_some_and(|id| world.resources.contains_key(id));
            Step::Done(if runs { ScannerState::Running } else { ScannerState::Ended { detail: "it powered off".to_owned() } })
        };
        self.call(look).await
    }

    async fn stop_scanner(&self, batch: &Batch) -> Step<()> {
        let stop = |world: &mut World, _| {
            let of_batch =
                |(_, resource): &(&String, &Resource)| resource.kind == ResourceKind::Scanner && resource.owner == batch.batch_id;
            let instances: Vec<String> = world.resources.iter().filter(of_batch).map(|(id, _)| id.clone()).collect();
            instances.iter().for_each(|instance| world.terminate(instance));
            Step::Done(())
        };
        self.call(stop).await
    }

    async fn read_directly(&self, inspection: &Inspection) -> Step<DirectRead> {
        let read = |world: &mut World, _| {
            if !world.images[&inspection.image_id].is_direct {
                return Step::Done(DirectRead::NotPossible { detail: "its snapshot is public".to_owned() });
            }
            Step::Done(DirectRead::Found { findings: Box::new(world.findings(&inspection.image_id)), blocks: 7 })
        };
        self.call(read).await
    }

    async fn receive_findings(&self) -> Result<Vec<FindingsMessage>, String> {
        match self.call(|world, _| Step::Done(world.queue.clone())).await {
            Step::Done(messages) => Ok(messages),
            other => Err(other.word().to_owned()),
        }
    }

    async fn delete_findings(&self, message: &FindingsMessage) -> Result<(), String> {
        let delete = |world: &mut World, _| {
            world.queue.retain(|known| known.receipt != message.receipt);
            Step::Done(())
        };
        match self.call(delete).await {
            Step::Done(()) => Ok(()),
            other => Err(other.word().to_owned()),
        }
    }

    async fn clean_up(&self, inspection: &Inspection) -> Step<()> {
        let clean = |world: &mut World, _| {
            if world.stuck_attempt == Some(inspection.attempt) {
                return Step::Retry { detail: "the role is gone".to_owned() };
            }
            if let Some(snapshot) = &inspection.made.shared_snapshot_id {
                world.shared.remove(snapshot);
            }
            let is_ours = |resource: &Resource| resource.owner == tag(inspection);
            world.resources.retain(|_, resource| !is_ours(resource) || resource.attached_to.is_some());
            if world.resources.values().any(is_ours) { Step::NotYet } else { Step::Done(()) }
        };
        self.call(clean).await
    }

    async fn list_tagged(&self, place: &Place) -> Step<Vec<TaggedResource>> {
        let list = |world: &mut World, _| {
            let here = world.resources.iter().filter(|(_, resource)| resource.is_own == (*place == Place::Own));
            let tagged = |(id, resource): (&String, &Resource)| TaggedResource {
                kind: resource.kind,
                id: id.clone(),
                owner: resource.owner.clone(),
                made_at: Some(UtcSecond(resource.made_at)),
            };
            Step::Done(here.map(tagged).collect())
        };
        self.call(list).await
    }

    async fn remove_tagged(&self, _: &Place, resource: &TaggedResource) -> Step<()> {
        let remove = |world: &mut World, _| {
            world.terminate(&resource.id);
            Step::Done(())
        };
        self.call(remove).await
    }
}
