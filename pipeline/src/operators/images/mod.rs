//! `images`: what is known of each machine image, and what follows from it.
//!
//! All facts and sightings of an image are in its partition. The state is what of them holds ([`known`]); the image as it stands is a pure
//! function of that ([`verdict`]), so order of arrival, repeats, batch boundaries and crashes cannot change it. A message goes out when it
//! changed. Where disks are to be read, the worker is told ([`attempts`]).
//!
//! An image is known by its id alone: AWS gives each one an id that no other region has, and a copy gets its own. Facts of several regions
//! would be taken for facts about one image.

mod attempts;
mod disks;
mod known;
mod reason;
mod verdict;

use std::collections::BTreeMap;

use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{ImageFact, ImageSighting, Topic, UtcSecond};

use self::known::Known;
use self::verdict::{Description, image_of};
use crate::engine::{Cx, Operator};
use crate::log::{LogError, Record, StateRead, Store};

/// What is known of each image, by its id.
pub(super) const KNOWN: Store = Store("images.known");
/// What the worker was told of each image's attempts, by its id.
pub(super) const TOLD: Store = Store("images.told");

/// Name of what is counted when a message cannot be read: it was not written by this program.
const UNREADABLE: &str = "unreadable_image_facts";
/// Name of what is counted when more accounts tagged an image than are kept.
const LEFT_OUT: &str = "image_tags_left_out";

/// What decides what comes of a wish to have an image inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The region that the image is in; empty where nothing told it.
    pub region: String,
    /// Whether EC2 described it, to any account: else nobody can be asked for its disks.
    pub is_described: bool,
    /// The attempt that the worker was told to make and that is not over, if there is one.
    pub attempt: Option<u32>,
    /// Whether it was told to give that attempt up.
    pub is_given_up: bool,
}

/// What is known of an image, for whoever wants it inspected; `None` where nothing is. It is as of what the operator has folded.
///
/// # Errors
/// Those of [`StateRead::get`], and [`LogError::Storage`] for state that does not read.
pub fn outlook(state: &dyn StateRead, partitions: u32, image_id: &str) -> Result<Option<Outlook>, LogError> {
    let (cx, partition) = (Cx::new(state, partitions), partition_of(image_id.as_bytes(), partitions));
    let known: Option<Known> = cx.get_json(KNOWN, partition, image_id.as_bytes())?;
    let Some(known) = known else { return Ok(None) };
    let told: attempts::Told = cx.get_json(TOLD, partition, image_id.as_bytes())?.unwrap_or_default();
    let at_work = told.at_work(&known);
    Ok(Some(Outlook {
        region: known.region().to_owned(),
        is_described: known.metadata.is_some(),
        attempt: at_work.map(|(attempt, _)| attempt),
        is_given_up: at_work.is_some_and(|(_, is_given_up)| is_given_up),
    }))
}

/// The operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Images;

/// What arrived of one image.
#[derive(Default)]
struct Arrivals {
    told: Vec<Told>,
    entered_at: Option<UtcSecond>,
}

/// What a message tells of an image.
enum Told {
    Fact(Box<ImageFact>),
    Sighting(ImageSighting),
}

impl Told {
    fn read(record: &Record) -> Result<Self, serde_json::Error> {
        match record.topic {
            Topic::ImageSightings => serde_json::from_slice(&record.value).map(Self::Sighting),
            _ => serde_json::from_slice(&record.value).map(|fact| Self::Fact(Box::new(fact))),
        }
    }

    fn image_id(&self) -> &str {
        match self {
            Self::Fact(fact) => &fact.image_id,
            Self::Sighting(sighting) => &sighting.image_id,
        }
    }
}

impl Operator for Images {
    fn inputs(&self) -> &'static [Topic] {
        &[Topic::ImageFacts, Topic::ImageSightings]
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        let mut arrived: BTreeMap<(u32, String), Arrivals> = BTreeMap::new();
        let mut unreadable = 0;
        for record in records {
            let Ok(told) = Told::read(record) else {
                unreadable += 1;
                continue;
            };
            let of_image = arrived.entry((record.partition, told.image_id().to_owned())).or_default();
            of_image.entered_at = of_image.entered_at.max(Some(record.entered_at));
            of_image.told.push(told);
        }
        if unreadable > 0 {
            cx.count(UNREADABLE, unreadable);
        }
        arrived.into_iter().try_for_each(|((partition, image_id), arrivals)| fold_image(cx, partition, &image_id, arrivals))
    }
}

fn fold_image(cx: &mut Cx<'_>, partition: u32, image_id: &str, arrivals: Arrivals) -> Result<(), LogError> {
    let before: Option<Known> = cx.get_json(KNOWN, partition, image_id.as_bytes())?;
    let mut after = before.clone().unwrap_or_default();
    for told in arrivals.told {
        match told {
            Told::Fact(fact) => {
                if !after.hear(*fact) {
                    cx.count(LEFT_OUT, 1);
                }
            }
            Told::Sighting(sighting) => after.see(sighting),
        }
    }
    // Facts that say nothing of what is metered make no image: the tags of one that nobody uses.
    let nothing = Known::default();
    if after == *before.as_ref().unwrap_or(&nothing) {
        return Ok(());
    }
    cx.put_json(KNOWN, partition, image_id.as_bytes(), &after)?;
    let image = image_of(image_id, &after);
    let entered_at = arrivals.entered_at.unwrap_or(UtcSecond(0));
    if before.is_none_or(|before| image_of(image_id, &before) != image) {
        cx.send_to(Topic::Images, partition, image_id.as_bytes(), Cx::encode(&image)?, entered_at);
    }
    tell_worker(cx, partition, image_id, &after, entered_at)
}

/// Tells the worker what it was not told yet.
fn tell_worker(cx: &mut Cx<'_>, partition: u32, image_id: &str, known: &Known, entered_at: UtcSecond) -> Result<(), LogError> {
    let before: attempts::Told = cx.get_json(TOLD, partition, image_id.as_bytes())?.unwrap_or_default();
    let mut told = before.clone();
    let described = known.metadata.as_ref().map(|told| Description::of(&told.what)).unwrap_or_default();
    for command in attempts::commands(image_id, known, &described, &mut told) {
        cx.send_to(Topic::InspectionCommands, partition, image_id.as_bytes(), Cx::encode(&command)?, entered_at);
    }
    if told != before {
        cx.put_json(TOLD, partition, image_id.as_bytes(), &told)?;
    }
    Ok(())
}
