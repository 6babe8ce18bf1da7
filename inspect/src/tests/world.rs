//! What is in the simulated cloud, and what happens in it by itself.

use std::collections::{BTreeMap, BTreeSet};

use cloudigrade_schemas::findings::{Findings, ImageFindings, Inspected, PartitionFindings};
use cloudigrade_schemas::inspection::{Inspection, SpecialImage};

use crate::batch::Batch;
use crate::cloud::{FindingsMessage, ResourceKind, Step};

/// Seconds that a snapshot, a copy of an image, a volume, an instance take.
const MAKING: i64 = 40;
/// Seconds that a scanner takes to read its volumes.
const READING: i64 = 60;

/// What goes wrong at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is throttled: nothing happens.
    Throttle,
    /// It happens, and no answer comes.
    LostReply,
    /// It says that something is not there.
    NotFound,
    /// The worker dies before it.
    CrashBefore,
    /// The worker dies after it, before it knows.
    CrashAfter,
}

impl Fault {
    pub const ALL: [Self; 5] = [Self::Throttle, Self::LostReply, Self::NotFound, Self::CrashBefore, Self::CrashAfter];
}

/// An image of the world.
#[derive(Clone, Debug)]
pub struct SimImage {
    pub owner: String,
    /// What AWS says when it is to be copied, shared or looked at.
    pub special: Option<SpecialImage>,
    pub is_rhel: Option<bool>,
    /// Whether it can be read directly.
    pub is_direct: bool,
    /// Its snapshot, where it is not one of its own.
    pub snapshot: Option<String>,
    /// The image that it is a copy of.
    pub copy_of: Option<String>,
}

impl SimImage {
    pub fn of(owner: &str) -> Self {
        Self { owner: owner.to_owned(), special: None, is_rhel: Some(true), is_direct: true, snapshot: None, copy_of: None }
    }

    pub fn special(owner: &str, special: SpecialImage) -> Self {
        Self { special: Some(special), ..Self::of(owner) }
    }
}

#[derive(Clone, Debug)]
pub struct Resource {
    pub kind: ResourceKind,
    /// The command or the batch.
    pub owner: String,
    pub is_own: bool,
    pub made_at: i64,
    pub attached_to: Option<String>,
}

#[derive(Default)]
pub struct World {
    pub images: BTreeMap<String, SimImage>,
    pub resources: BTreeMap<String, Resource>,
    /// Snapshots that are shared with us.
    pub shared: BTreeSet<String>,
    pub tokens: BTreeMap<String, String>,
    /// The members of each scanner, and when the last of them was attached.
    pub reading: BTreeMap<String, (Batch, i64)>,
    pub queue: Vec<FindingsMessage>,
    pub sent: usize,
    /// Instances that were ever started, by batch.
    pub started: BTreeMap<String, BTreeSet<String>>,
    /// How many volumes each batch had.
    pub sizes: Vec<usize>,
    /// Whether scanners never answer.
    pub is_silent: bool,
    /// The attempts of this number cannot be cleaned up after.
    pub stuck_attempt: Option<u32>,
    pub calls: usize,
    /// Which call is faulty, and how.
    pub fault: Option<(usize, Fault)>,
    pub made: usize,
}

impl World {
    /// What happens by itself as time passes: scanners read their volumes, tell what they found, and end.
    pub fn pass(&mut self, now: i64) {
        if self.is_silent {
            return;
        }
        let done: Vec<String> = self.reading.iter().filter(|(_, (_, since))| since + READING <= now).map(|(id, _)| id.clone()).collect();
        for instance in done {
            let Some((batch, _)) = self.reading.remove(&instance) else { continue };
            let images = batch.members.iter().map(|member| (member.image_id.clone(), self.findings(&member.image_id))).collect();
            let body = serde_json::to_string(&Findings { cloud: "aws".to_owned(), errors: Vec::new(), images }).unwrap();
            self.send(body);
            self.terminate(&instance);
        }
    }

    pub fn send(&mut self, body: String) {
        self.sent += 1;
        let source = format!("sqs://findings/{}", self.sent);
        self.queue.push(FindingsMessage { receipt: source.clone(), source, body });
    }

    pub fn findings(&self, image_id: &str) -> ImageFindings {
        let is_rhel = self.images.get(image_id).and_then(|image| image.is_rhel);
        let volume = BTreeMap::from([("1".to_owned(), PartitionFindings::default())]);
        ImageFindings {
            is_rhel,
            inspected: if is_rhel.is_some() { Inspected::Complete } else { Inspected::Unsupported },
            reasons: vec!["os-release says so".to_owned()],
            drives: BTreeMap::from([("/dev/xvdba".to_owned(), volume)]),
            ..ImageFindings::default()
        }
    }

    pub fn make(&mut self, token: &str, kind: ResourceKind, owner: &str, is_own: bool, now: i64) -> String {
        if let Some(id) = self.tokens.get(token).filter(|id| self.resources.contains_key(*id)) {
            return id.clone();
        }
        self.made += 1;
        let id = format!("{}-{}", kind.word(), self.made);
        self.tokens.insert(token.to_owned(), id.clone());
        let resource = Resource { kind, owner: owner.to_owned(), is_own, made_at: now, attached_to: None };
        self.resources.insert(id.clone(), resource);
        id
    }

    pub fn is_ready(&self, id: &str, now: i64) -> Step<()> {
        match self.resources.get(id) {
            None => Step::Missing { detail: format!("{id} is not there") },
            Some(resource) if resource.made_at + MAKING > now => Step::NotYet,
            Some(_) => Step::Done(()),
        }
    }

    pub fn terminate(&mut self, instance: &str) {
        self.reading.remove(instance);
        self.resources.remove(instance);
        self.resources.retain(|_, resource| resource.attached_to.as_deref() != Some(instance));
    }

    pub fn special(&self, inspection: &Inspection) -> Option<SpecialImage> {
        self.images.get(&inspection.image_id)?.special
    }
}
