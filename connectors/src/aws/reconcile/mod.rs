//! What a description of a region's instances adds to what is known: the observations to write. Pure.
//!
//! A run of an instance is named by its launch time, which EC2 changes at each start. So two descriptions tell, without anything in
//! between, that an instance stopped, that it was started again, or both; and each is told once, under an id that any repetition gives too.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::observation::{EVENT_SOURCE, Observation, Observed, Seen};
use serde::{Deserialize, Serialize};

use super::answers::{DescribedInstance, Description, Power, reason_time};

/// The lane of these observations.
pub const LANE: &str = "describe";
/// The word for a stop in ids: whichever of EC2's four states of being off is seen first, it is the end of one run.
const STOPPED: &str = "stopped";
/// The word for a run in ids.
const RUNNING: &str = "running";

/// What the last description of a region knew of its instances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// By instance id.
    pub instances: BTreeMap<String, KnownInstance>,
}

/// What was known of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownInstance {
    /// When it was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launched_at: Option<UtcSecond>,
    /// Whether it ran.
    pub on: bool,
}

impl Known {
    /// Whether any instance ran.
    pub fn any_on(&self) -> bool {
        self.instances.values().any(|instance| instance.on)
    }
}

/// What a description adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// The observations to write, in order of instances and time.
    pub observations: Vec<Observation<'static>>,
    /// What is known now.
    pub known: Known,
}

/// Compares. `last` is what the last description knew, with the moment at which that description began: what ran in it ran then.
pub fn reconcile(account: &str, region: &str, last: Option<(UtcSecond, &Known)>, now: &Description) -> Reconciled {
    let mut told = Told { account, region, ended: now.ended, observations: Vec::new() };
    let mut known = Known::default();
    // EC2 tells an instance once; if pages overlap, the last telling holds.
    let described: BTreeMap<&str, &DescribedInstance> = now.instances.iter().map(|instance| (instance.id.as_str(), instance)).collect();
    for (id, instance) in &described {
        let before = last.and_then(|(_, known)| known.instances.get(*id)).copied();
        let seen_on = last.map(|(began, _)| began).filter(|_| before.is_some_and(|before| before.on));
        let Some(power) = Power::of_state(&instance.state) else {
            // A state that is not known here says nothing. What was known holds until a later description says more.
            known.instances.extend(before.map(|before| ((*id).to_owned(), before)));
            continue;
        };
        match power {
            Power::On => told.on(instance, before, seen_on),
            Power::Off => told.off(instance, before, seen_on),
        }
        let launched_at = instance.launched_at.or(before.and_then(|before| before.launched_at));
        known.instances.insert((*id).to_owned(), KnownInstance { launched_at, on: power == Power::On });
    }
    if let Some((began, last)) = last {
        let gone = last.instances.iter().filter(|(id, before)| before.on && !described.contains_key(id.as_str()));
        for (id, before) in gone {
            told.stopped_unseen(&Subject::gone(id), before.launched_at, began, now.ended, "no longer described");
        }
    }
    Reconciled { observations: told.observations, known }
}

/// Whom an observation is about.
struct Subject<'a> {
    id: &'a str,
    image_id: Option<&'a str>,
    instance_type: Option<&'a str>,
}

impl<'a> Subject<'a> {
    fn of(instance: &'a DescribedInstance) -> Self {
        Self { id: &instance.id, image_id: instance.image_id.as_deref(), instance_type: instance.instance_type.as_deref() }
    }

    fn gone(id: &'a str) -> Self {
        Self { id, image_id: None, instance_type: None }
    }
}

/// Collects observations.
struct Told<'a> {
    account: &'a str,
    region: &'a str,
    /// By when what is described was so.
    ended: UtcSecond,
    observations: Vec<Observation<'static>>,
}

impl Told<'_> {
    /// It runs. `seen_on` is when it was last seen running, if the description before saw it so.
    fn on(&mut self, instance: &DescribedInstance, before: Option<KnownInstance>, seen_on: Option<UtcSecond>) {
        let subject = Subject::of(instance);
        let launched_before = before.and_then(|before| before.launched_at);
        match (seen_on, instance.launched_at) {
            (Some(_), None) => {}
            (Some(_), Some(launched)) if launched_before.is_none_or(|before| before >= launched) => {}
            (Some(seen_on), Some(launched)) => {
                self.ended_before(&subject, launched_before, seen_on, launched);
                self.runs_since(&subject, launched);
            }
            (None, Some(launched)) if before.is_none_or(|before| before.launched_at != Some(launched)) => {
                self.runs_since(&subject, launched)
            }
            // EC2 gives no time, or takes back a stop of this same run: it runs by now, that is all that is known.
            (None, _) => {
                let id = Observation::id(&instance.id, instance.launched_at, RUNNING, Some(self.ended));
                self.push(&subject, Observed::Running, id, self.ended, None, Some(instance.state.clone()));
            }
        }
    }

    /// It does not run.
    fn off(&mut self, instance: &DescribedInstance, before: Option<KnownInstance>, seen_on: Option<UtcSecond>) {
        let subject = Subject::of(instance);
        let launched_before = before.and_then(|before| before.launched_at);
        let launched = instance.launched_at.or(launched_before);
        let started_again = launched_before.zip(launched).is_some_and(|(before, now)| now > before);
        if before.is_some_and(|before| !before.on) && !started_again {
            // The end of its last run was told when it was first seen off. A stopped instance that is terminated ends no other.
            return;
        }
        let stopped = instance.reason.as_deref().and_then(reason_time).filter(|at| launched.is_none_or(|launched| *at >= launched));
        let reason = reason_of(instance);
        if let (Some(seen_on), Some(launched), true) = (seen_on, launched, started_again) {
            self.ended_before(&subject, launched_before, seen_on, launched);
        }
        let run_was_seen = seen_on.is_some() && !started_again;
        match (stopped, launched) {
            (Some(stopped), launched) => {
                if let Some(launched) = launched.filter(|_| !run_was_seen) {
                    self.runs_since(&subject, launched);
                }
                let id = Observation::id(&instance.id, launched, STOPPED, Some(stopped));
                self.push(&subject, Observed::Stopped, id, stopped, None, reason);
            }
            (None, launched) if run_was_seen => {
                let seen_on = seen_on.unwrap_or(self.ended);
                self.stopped_unseen(&subject, launched, seen_on, self.ended, &reason.unwrap_or_default());
            }
            (None, Some(launched)) => {
                // It ran since a launch that was not seen, and ended at a time that nobody told. If that was between two descriptions, both
                // ends are bounded. If it is seen for the first time, only the end is told: when CloudTrail tells the start, it ends a run
                // that would otherwise last for ever; and without it, none is made up.
                if before.is_some() {
                    self.runs_since(&subject, launched);
                }
                self.stopped_unseen(&subject, Some(launched), launched, self.ended, &reason.unwrap_or_default());
            }
            (None, None) => {}
        }
    }

    /// A run that was seen ended at some time before the next one began. Within one second a start is ordered before a stop, so the stop is
    /// told for the second before the start.
    fn ended_before(&mut self, subject: &Subject<'_>, launched: Option<UtcSecond>, seen_on: UtcSecond, next: UtcSecond) {
        let latest = UtcSecond(next.0 - 1);
        self.stopped_unseen(subject, launched, seen_on.min(latest), latest, &format!("running again since {next}"));
    }

    fn runs_since(&mut self, subject: &Subject<'_>, launched: UtcSecond) {
        let id = Observation::id(subject.id, Some(launched), RUNNING, None);
        self.push(subject, Observed::Running, id, launched, None, None);
    }

    /// It stopped between two moments.
    fn stopped_unseen(&mut self, subject: &Subject<'_>, launched: Option<UtcSecond>, from: UtcSecond, to: UtcSecond, reason: &str) {
        // Our clock may be behind EC2's: an instance is not seen running before it was launched, and bounds are never reversed.
        let from = launched.map_or(from, |launched| from.max(launched));
        let to = to.max(from);
        let id = Observation::id(subject.id, launched, STOPPED, None);
        self.push(subject, Observed::Stopped, id, to, Some(from), Some(reason.to_owned()).filter(|reason| !reason.is_empty()));
    }

    fn push(
        &mut self,
        subject: &Subject<'_>,
        observed: Observed,
        id: String,
        at: UtcSecond,
        not_before: Option<UtcSecond>,
        reason: Option<String>,
    ) {
        let text = |text: Option<&str>| text.map(|text| Cow::Owned(text.to_owned()));
        self.observations.push(Observation {
            event_source: EVENT_SOURCE.into(),
            event_name: observed,
            event_id: id.into(),
            event_time: at,
            recipient_account_id: self.account.to_owned().into(),
            aws_region: self.region.to_owned().into(),
            observed: Seen {
                instance_id: subject.id.to_owned().into(),
                image_id: text(subject.image_id),
                instance_type: text(subject.instance_type),
                not_before,
                lane: LANE.into(),
                reason: reason.map(Cow::Owned),
            },
        });
    }
}

/// EC2's own words: the state and the reason.
fn reason_of(instance: &DescribedInstance) -> Option<String> {
    Some(match &instance.reason {
        Some(reason) => format!("{}: {reason}", instance.state),
        None => instance.state.clone(),
    })
}

#[cfg(test)]
mod tests;
