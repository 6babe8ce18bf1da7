//! Whether anybody needs an image's disks read, and whom the worker can ask for them, as both change.

use cloudigrade_schemas::image_fact::{Fact, InspectionWanted};
use cloudigrade_schemas::inspection::{InspectionEnd, InspectionOrder, InspectionStage};

use super::attempts::{asked, ended, failed, images_of, progress, told_after, wanted, words};
use super::images::{RHEL_TAG, billed, fact, named, seen, shuffled, sighting, tag, tag_of, told};
use super::*;
use crate::limits::{IMAGE_ACCOUNTS_KEPT, INSPECTION_ATTEMPTS_MAX};

fn aborted(attempt: u32) -> Fact {
    ended(attempt, InspectionEnd::Aborted)
}

fn owned_by(account: &str) -> Fact {
    named(account, "an image of ours")
}

/// `ami-1`, used by some accounts from the first second on.
fn used_by<'a>(accounts: impl IntoIterator<Item = &'a str>) -> Vec<Output> {
    (1..).zip(accounts).map(|(at, account)| seen(&sighting("ami-1", account, at), 0)).collect()
}

/// The names of as many accounts.
fn accounts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:012}")).collect()
}

#[test]
fn what_the_rules_gave_up_is_read_when_the_tag_is_taken_away_or_somebody_else_uses_the_image() {
    let begun = || vec![billed("RunInstances"), progress(1, InspectionStage::Preparing), tag(RHEL_TAG, true), aborted(1)];
    assert_eq!(told_after([begun(), vec![billed("RunInstances")]].concat()), ["Inspect 1 -", "Abort 1 -"]);
    let untagged = [begun(), vec![tag(RHEL_TAG, false)]].concat();
    assert_eq!(told_after(untagged.clone()), ["Inspect 1 -", "Abort 1 -", "Inspect 2 -"]);
    // Whether the tag is taken away before or after the attempt has ended.
    let early = [begun()[..3].to_vec(), vec![tag(RHEL_TAG, false), aborted(1)]].concat();
    assert_eq!(told_after(early), ["Inspect 1 -", "Abort 1 -", "Inspect 2 -"]);

    let mut pipeline = Pipeline::default();
    pipeline.hear(&used_by(["1"]));
    for (at, what) in (1..).zip(begun()) {
        pipeline.hear(&[told(&fact("ami-1", at, what))]);
    }
    pipeline.hear(&[seen(&sighting("ami-1", "2", 9), 0)]);
    assert_eq!(words(&pipeline), ["Inspect 1 -", "Abort 1 -", "Inspect 2 -"]);
    let reason = images_of(untagged).status_reason;
    assert!(reason.contains("attempt 2"), "{reason}");
}

#[test]
fn attempts_that_the_rules_gave_up_are_counted_among_the_five() {
    let mut facts = vec![billed("RunInstances")];
    for attempt in 1..=INSPECTION_ATTEMPTS_MAX + 2 {
        facts.extend([tag(RHEL_TAG, true), aborted(attempt), tag(RHEL_TAG, false)]);
    }
    let inspected = |told: Vec<String>| told.iter().filter(|told| told.starts_with("Inspect")).count();
    assert_eq!(inspected(told_after(facts.clone())), INSPECTION_ATTEMPTS_MAX as usize);
    let reason = images_of(facts).status_reason;
    assert!(reason.contains("images inspect"), "{reason}");
    // A wish about an earlier attempt gives no later one up for good.
    let later =
        vec![billed("RunInstances"), wanted(InspectionWanted::Abort, 0), failed(1), tag(RHEL_TAG, true), aborted(2), tag(RHEL_TAG, false)];
    assert_eq!(told_after(later), ["Inspect 1 -", "Abort 1 ann", "Inspect 2 -", "Abort 2 -", "Inspect 3 -"]);
}

#[test]
fn a_tag_of_the_account_that_owns_an_image_keeps_it_unread_for_no_other() {
    let of = |accounts: &[&str]| {
        let mut pipeline = Pipeline::default();
        pipeline.hear(&used_by(accounts.iter().copied()));
        pipeline.hear(&[told(&fact("ami-1", 1, tag_of("1", RHEL_TAG, true))), told(&fact("ami-1", 2, owned_by("1")))]);
        words(&pipeline)
    };
    assert_eq!(of(&["1"]), [""; 0]);
    assert_eq!(of(&["1", "2"]), ["Inspect 1 -"]);
    assert_eq!(of(&["2"]), ["Inspect 1 -"]);
}

#[test]
fn a_tag_says_what_is_in_an_image_and_nothing_of_whether_its_disks_are_read() {
    let mut pipeline = Pipeline::default();
    pipeline.hear(&used_by(["1", "2"]));
    let facts = [billed("RunInstances"), tag_of("1", RHEL_TAG, true), progress(1, InspectionStage::Inspecting)];
    for (at, what) in (1..).zip(facts) {
        pipeline.hear(&[told(&fact("ami-1", at, what))]);
    }
    assert_eq!(words(&pipeline), ["Inspect 1 -"], "the other account did not tag it");
    let reason = &pipeline.images["ami-1"].status_reason;
    assert!(reason.contains(RHEL_TAG) && !reason.contains("disk") && !reason.contains("read"), "{reason}");
}

#[test]
fn tags_of_as_many_accounts_as_are_kept_do_not_speak_for_those_that_are_not() {
    let of = |count: usize| {
        let mut pipeline = Pipeline::default();
        let accounts = accounts(count);
        pipeline.hear(&used_by(accounts.iter().map(String::as_str)));
        let tags: Vec<_> = accounts.iter().map(|account| told(&fact("ami-1", 1, tag_of(account, RHEL_TAG, true)))).collect();
        pipeline.hear(&tags);
        pipeline.hear(&[told(&fact("ami-1", 2, billed("RunInstances")))]);
        words(&pipeline)
    };
    assert_eq!(of(IMAGE_ACCOUNTS_KEPT - 1), [""; 0]);
    assert_eq!(of(IMAGE_ACCOUNTS_KEPT), ["Inspect 1 -"]);
    assert_eq!(of(IMAGE_ACCOUNTS_KEPT + 1), ["Inspect 1 -"]);
}

#[test]
fn whoever_comes_to_use_or_own_an_image_can_be_asked_for_its_disks_until_the_attempt_is_over() {
    let mut pipeline = Pipeline::default();
    pipeline.hear(&used_by(["1"]));
    let hear = |pipeline: &mut Pipeline, at: i64, what: Fact| pipeline.hear(&[told(&fact("ami-1", at, what))]);
    hear(&mut pipeline, 1, billed("RunInstances"));
    pipeline.hear(&[seen(&sighting("ami-1", "2", 50), 0)]);
    // The same again, a later use, and what says nothing of accounts.
    pipeline.hear(&[seen(&sighting("ami-1", "2", 50), 0), seen(&sighting("ami-1", "2", 60), 1)]);
    hear(&mut pipeline, 2, tag("cloudigrade-ocp-present", true));
    hear(&mut pipeline, 3, owned_by("3"));
    hear(&mut pipeline, 4, progress(1, InspectionStage::Preparing));
    pipeline.hear(&[seen(&sighting("ami-1", "", 1), 2)]);
    assert_eq!(words(&pipeline), ["Inspect 1 -"; 3]);
    let told: Vec<Vec<String>> = pipeline.commands.iter().map(asked).collect();
    assert_eq!(told, [vec!["1"], vec!["1", "2"], vec!["3", "1", "2"]]);

    hear(&mut pipeline, 5, ended(1, InspectionEnd::Found));
    pipeline.hear(&[seen(&sighting("ami-1", "4", 70), 0)]);
    assert_eq!(pipeline.commands.len(), 3, "it is over");
    hear(&mut pipeline, 6, wanted(InspectionWanted::Inspect, 1));
    pipeline.hear(&[seen(&sighting("ami-1", "5", 80), 0)]);
    assert_eq!(words(&pipeline)[3..], ["Inspect 2 ann", "Inspect 2 ann"], "and who asked for it stays told");
    hear(&mut pipeline, 7, wanted(InspectionWanted::Abort, 1));
    pipeline.hear(&[seen(&sighting("ami-1", "6", 90), 0)]);
    assert_eq!(words(&pipeline)[5..], ["Abort 2 ann"], "it is given up");
}

/// A worker that begins what it is told to, never ends it by itself, and gives up at once what it is told to give up.
#[derive(Default)]
struct Patient {
    read: usize,
    at_work: Option<(u32, Vec<String>)>,
}

impl Patient {
    /// Does what it was told until nothing more comes of it.
    fn work(&mut self, pipeline: &mut Pipeline) {
        while let Some(command) = pipeline.commands.get(self.read).cloned() {
            self.read += 1;
            match command.order {
                InspectionOrder::Inspect => self.at_work = Some((command.attempt, asked(&command))),
                InspectionOrder::Agree => {}
                InspectionOrder::Abort => {
                    self.at_work = None;
                    // Later than all else.
                    pipeline.hear(&[told(&fact("ami-1", 1_000 + i64::from(command.attempt), aborted(command.attempt)))]);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_repetition_split_and_crash_has_the_same_images_read_and_the_same_accounts_asked(
        // What can make reading needless, fewer times than attempts are made.
        settling in prop::collection::vec(proptest::sample::select(vec![
            tag_of("0", RHEL_TAG, true), tag_of("1", RHEL_TAG, true), billed("RunInstances:0002"),
        ]), 0..INSPECTION_ATTEMPTS_MAX as usize),
        others in prop::collection::vec(proptest::sample::select(vec![
            tag_of("0", RHEL_TAG, false), tag_of("1", RHEL_TAG, false), billed("RunInstances"), owned_by("0"), owned_by("7"),
        ]), 0..8),
        times in any::<u64>(),
        uses in prop::collection::vec((0..40_u8, 0..100_i64, 0..PARTITIONS), 0..60),
        few in any::<bool>(),
        repeats in prop::collection::vec(any::<Index>(), 0..6),
        order in any::<u64>(),
        cuts in prop::collection::vec((any::<Index>(), any::<bool>()), 0..8),
    ) {
        let facts = shuffled([settling, others].concat(), times).into_iter().zip(1..).map(|(what, at)| told(&fact("ami-1", at, what)));
        let used = |(account, at, partition): (u8, i64, u32)| {
            let account = if few { account % 3 } else { account };
            seen(&sighting("ami-1", &account.to_string(), at), partition)
        };
        let all: Vec<Output> = facts.chain(uses.into_iter().map(used)).collect();
        prop_assume!(!all.is_empty());
        let (mut expected, mut at_once) = (Pipeline::default(), Patient::default());
        expected.hear(&all);
        at_once.work(&mut expected);

        let mut delivered = all.clone();
        delivered.extend(repeats.iter().map(|index| index.get(&all).clone()));
        let delivered = shuffled(delivered, order);
        let mut cuts: Vec<(usize, bool)> = cuts.iter().map(|(index, works)| (index.index(delivered.len()), *works)).collect();
        cuts.push((delivered.len(), true));
        cuts.sort_unstable();
        let (mut actual, mut worker, mut from) = (Pipeline::default(), Patient::default(), 0);
        for (to, works) in cuts {
            // Folded and not committed.
            actual.fold(&Images, &delivered[from..to]);
            actual.hear(&delivered[from..to]);
            // And once more: nothing new is told.
            let told = actual.commands.len();
            actual.hear(&delivered[from..to]);
            prop_assert_eq!(told, actual.commands.len());
            if works {
                worker.work(&mut actual);
            }
            from = to;
        }
        let accounts = |worker: &Patient| worker.at_work.as_ref().map(|(_, accounts)| accounts.clone());
        prop_assert_eq!(accounts(&at_once), accounts(&worker));
        let attempts = worker.at_work.as_ref().map_or(0, |(attempt, _)| *attempt);
        prop_assert!(attempts <= INSPECTION_ATTEMPTS_MAX);
        let uses = |pipeline: &Pipeline| pipeline.images.get("ami-1").map(|image| image.used_by.clone());
        prop_assert_eq!(uses(&expected), uses(&actual));
    }
}
