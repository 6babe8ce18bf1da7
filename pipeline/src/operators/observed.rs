//! Which observations count: those that say something that CloudTrail does not.
//!
//! CloudTrail and EC2 tell of one start or stop with times that differ by seconds (`eventTime` is when the call was made, the launch time when
//! it was carried out). So an observation near a CloudTrail event of the same effect is that event, seen once more, unless something of
//! the opposite effect lies between them. CloudTrail's time holds then; what else was seen is added to it.

use cloudigrade_schemas::PowerAction;
use cloudigrade_schemas::power::Effect;

use super::HistoryEvent;

/// How far an observation can be from the CloudTrail event of the same start or stop, in seconds. Launch times differ from `eventTime` by
/// seconds; an instance that is told to stop is seen stopped up to some minutes later; EC2's descriptions lag by less.
pub const OBSERVATION_SLACK: i64 = 300;

/// How late a state can be told, in seconds: no instance stops and starts again within it, so what lies this little before an
/// observation does not come between it and an earlier event.
const TOLD_LATE: i64 = 5;

/// An event, and what the machine makes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'h> {
    /// The event.
    pub event: HistoryEvent<'h>,
    /// What it does.
    pub effect: Effect,
    /// The observation which shows that the instance was launched at this event: the event itself, or one of the same start.
    pub launch: Option<HistoryEvent<'h>>,
}

impl<'h> Step<'h> {
    /// An event as it is.
    pub(super) fn of(event: HistoryEvent<'h>) -> Self {
        let launch = (event.change.action == PowerAction::ObservedRunning).then_some(event);
        Self { event, effect: event.change.action.effect(), launch }
    }

    /// The type that is told here.
    pub(super) fn instance_type(&self) -> Option<&'h str> {
        let told = |event: &HistoryEvent<'h>| event.change.instance_type.as_deref();
        told(&self.event).or_else(|| self.launch.as_ref().and_then(told))
    }
}

/// The events in their order, without the observations that tell nothing new. `events` are distinct and in order.
pub(super) fn steps<'h>(events: &[HistoryEvent<'h>]) -> impl Iterator<Item = Step<'h>> {
    let mut steps: Vec<Option<Step<'h>>> = events.iter().map(|event| Some(Step::of(*event))).collect();
    for (at, event) in events.iter().enumerate().filter(|(_, event)| event.change.action.is_observation()) {
        let Some(same) = same_event(events, at) else { continue };
        match event.change.action.effect() {
            Effect::On => {
                steps[at] = None;
                if let Some(told) = &mut steps[same] {
                    let is_better = told.launch.is_none_or(|known| known.change.instance_type.is_none());
                    told.launch = if is_better { Some(*event) } else { told.launch };
                }
            }
            // The type that was seen while it was off is that of its next start.
            _ => steps[at] = Some(Step { effect: Effect::Retype, ..Step::of(*event) }),
        }
    }
    steps.into_iter().flatten()
}

/// The CloudTrail event that the observation at an index is an observation of: the nearer of those before and behind it.
fn same_event(events: &[HistoryEvent<'_>], at: usize) -> Option<usize> {
    let before = nearest(events, (0..at).rev(), at, TOLD_LATE);
    let behind = nearest(events, at + 1..events.len(), at, 0);
    before.into_iter().chain(behind).min_by_key(|(distance, _)| *distance).map(|(_, index)| index)
}

/// The nearest CloudTrail event of the same effect, with its distance, unless one of the opposite effect lies between them by more
/// than `margin` from the observation.
fn nearest(events: &[HistoryEvent<'_>], others: impl Iterator<Item = usize>, at: usize, margin: i64) -> Option<(i64, usize)> {
    let here = events[at].change;
    let mut opposite: Option<i64> = None;
    for index in others {
        let other = events[index].change;
        let distance = (other.occurred_at.0 - here.occurred_at.0).abs();
        if distance > OBSERVATION_SLACK {
            return None;
        }
        match other.action.effect() {
            Effect::Retype => {}
            effect if effect == here.action.effect() => {
                if other.action.is_observation() {
                    continue;
                }
                return opposite.is_none_or(|opposite| opposite >= distance).then_some((distance, index));
            }
            _ if distance > margin => opposite = opposite.or(Some(distance)),
            _ => {}
        }
    }
    None
}
