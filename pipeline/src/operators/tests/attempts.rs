//! What the worker is told of images whose disks are to be read.

use cloudigrade_schemas::Product;
use cloudigrade_schemas::findings::Inspected;
use cloudigrade_schemas::image::ImageStatus;
use cloudigrade_schemas::image_fact::{Fact, InspectionProgress, InspectionRequest, InspectionWanted};
use cloudigrade_schemas::inspection::{CommandId, InspectionEnd, InspectionOrder, InspectionStage, SpecialImage};

use super::images::{
    RED_HAT, RHEL_TAG, billed, described, fact, found, named, said, seen, shuffled, sighting, sold, tag, told, unavailable,
};
use super::*;
use crate::limits::INSPECTION_ATTEMPTS_MAX;

pub(super) fn progress(attempt: u32, progress: InspectionStage) -> Fact {
    Fact::Inspection(InspectionProgress { attempt, progress })
}

pub(super) fn ended(attempt: u32, end: InspectionEnd) -> Fact {
    progress(attempt, InspectionStage::Ended { end })
}

pub(super) fn failed(attempt: u32) -> Fact {
    ended(attempt, InspectionEnd::Failed { detail: "it took too long".to_owned() })
}

fn special(attempt: u32, special: SpecialImage) -> Fact {
    ended(attempt, InspectionEnd::Special { special, detail: "AWS said so".to_owned() })
}

pub(super) fn wanted(wanted: InspectionWanted, after_attempt: u32) -> Fact {
    Fact::InspectionRequest(InspectionRequest { wanted, by: "ann".to_owned(), after_attempt })
}

/// What the worker is told of `ami-1` after each fact in turn, as `order attempt by`.
pub(super) fn told_after(facts: Vec<Fact>) -> Vec<String> {
    let mut pipeline = Pipeline::default();
    for (what, at) in facts.into_iter().zip(1..) {
        pipeline.hear(&[told(&fact("ami-1", at, what))]);
    }
    words(&pipeline)
}

/// What the worker was told, all of it of `ami-1`.
pub(super) fn words(pipeline: &Pipeline) -> Vec<String> {
    let word = |command: &InspectionCommand| {
        assert_eq!(command.command_id, CommandId::of("ami-1", command.attempt));
        format!("{:?} {} {}", command.order, command.attempt, command.by.as_deref().unwrap_or("-"))
    };
    pipeline.commands.iter().map(word).collect()
}

#[test]
fn an_image_that_is_described_and_of_which_nothing_else_is_known_is_to_be_read_once_whoever_uses_it() {
    let mut pipeline = Pipeline::default();
    let uses = ["1", "2", "3"].map(|account| seen(&sighting("ami-1", account, 5), 0));
    pipeline.hear(&uses);
    assert_eq!(pipeline.commands, [], "it may be Windows, or sold");
    pipeline.hear(&[told(&fact("ami-1", 9, billed("RunInstances")))]);
    pipeline.hear(&uses);
    pipeline.hear(&[told(&fact("ami-1", 9, billed("RunInstances")))]);
    let [command] = &pipeline.commands[..] else { panic!("{:?}", pipeline.commands) };
    let accounts: Vec<_> = command.used_by.iter().map(|used| used.account_id.as_str()).collect();
    assert_eq!((command.attempt, command.order, accounts), (1, InspectionOrder::Inspect, vec!["1", "2", "3"]));
    assert!(command.metadata.as_ref().is_some_and(|metadata| metadata.root_snapshot_id.is_some()));
}

#[test]
fn what_is_known_without_reading_disks_is_not_read() {
    for facts in [
        vec![described(|metadata| metadata.platform = Some("windows".into()))],
        vec![billed("RunInstances:0002")],
        vec![billed("RunInstances:0010")],
        vec![sold("RunInstances")],
        vec![named(RED_HAT, "RHEL-9.0_HVM-Access2")],
        vec![named(RED_HAT, "RHEL-9.0_HVM-Hourly2")],
        vec![tag(RHEL_TAG, true), billed("RunInstances")],
        vec![found(Some(true), Inspected::Complete), billed("RunInstances")],
        vec![found(None, Inspected::Encrypted), billed("RunInstances")],
        vec![described(|metadata| metadata.root_snapshot_id = None)],
        vec![unavailable(Some("1"), false)],
        vec![said(None, Product::Rhel, Some(true))],
        vec![wanted(InspectionWanted::Inspect, 0)],
    ] {
        assert_eq!(told_after(facts.clone()), Vec::<String>::new(), "{facts:?}");
    }
    // An override says what counts, not what is in it.
    let overridden = vec![said(None, Product::Rhel, Some(true)), billed("RunInstances")];
    assert_eq!(told_after(overridden), ["Inspect 1 -"]);
}

#[test]
fn an_attempt_that_failed_is_made_again_five_times_in_all_and_as_often_when_somebody_asks() {
    let mut facts = vec![billed("RunInstances")];
    facts.extend((1..=INSPECTION_ATTEMPTS_MAX + 2).map(failed));
    let expected: Vec<_> = (1..=INSPECTION_ATTEMPTS_MAX).map(|attempt| format!("Inspect {attempt} -")).collect();
    assert_eq!(told_after(facts), expected);

    let mut facts = vec![billed("RunInstances")];
    facts.extend((1..=INSPECTION_ATTEMPTS_MAX).map(failed));
    facts.push(wanted(InspectionWanted::Inspect, INSPECTION_ATTEMPTS_MAX));
    facts.extend((INSPECTION_ATTEMPTS_MAX + 1..=3 * INSPECTION_ATTEMPTS_MAX).map(failed));
    let told = told_after(facts);
    assert_eq!(told.len(), 2 * INSPECTION_ATTEMPTS_MAX as usize, "{told:?}");
    assert_eq!(told[INSPECTION_ATTEMPTS_MAX as usize], "Inspect 6 ann");
}

#[test]
fn what_another_attempt_would_not_change_is_not_tried_again_unless_somebody_asks() {
    for end in [special(1, SpecialImage::StorageNotShared), special(1, SpecialImage::Marketplace), ended(1, InspectionEnd::Found)] {
        let facts = vec![billed("RunInstances"), end, tag("team", true), billed("RunInstances"), wanted(InspectionWanted::Inspect, 1)];
        assert_eq!(told_after(facts), ["Inspect 1 -", "Inspect 2 ann"]);
    }
    // Nor is what somebody gave up.
    let given_up = vec![
        billed("RunInstances"),
        wanted(InspectionWanted::Abort, 0),
        ended(1, InspectionEnd::Aborted),
        tag(RHEL_TAG, true),
        tag(RHEL_TAG, false),
        wanted(InspectionWanted::Inspect, 1),
    ];
    assert_eq!(told_after(given_up), ["Inspect 1 -", "Abort 1 ann", "Inspect 2 ann"]);
}

#[test]
fn who_asks_for_an_attempt_that_is_at_work_agrees_to_it() {
    let facts = |stage| vec![billed("RunInstances"), progress(1, stage), wanted(InspectionWanted::Inspect, 0), tag("x", true)];
    let consent = InspectionStage::AwaitingConsent { estimated_cost_micro_usd: 12_345 };
    assert_eq!(told_after(facts(consent.clone())), ["Inspect 1 -", "Agree 1 ann"]);
    let image = images_of(facts(consent));
    assert!(image.status == ImageStatus::Pending && image.status_reason.contains("$0.02"), "{}", image.status_reason);
}

#[test]
fn an_attempt_is_given_up_when_somebody_wants_that_or_when_reading_became_needless() {
    let begun = || vec![billed("RunInstances"), progress(1, InspectionStage::Preparing)];
    let and = |more: Vec<Fact>| told_after([begun(), more].concat());
    assert_eq!(and(vec![wanted(InspectionWanted::Abort, 0)]), ["Inspect 1 -", "Abort 1 ann"]);
    assert_eq!(and(vec![tag(RHEL_TAG, true), tag("x", true)]), ["Inspect 1 -", "Abort 1 -"]);
    assert_eq!(and(vec![found(Some(true), Inspected::Complete)]), ["Inspect 1 -"], "it has found that itself");
    // What somebody asked for is read all the same.
    let asked = vec![wanted(InspectionWanted::Inspect, 0), tag(RHEL_TAG, true)];
    assert_eq!(and(asked), ["Inspect 1 -", "Agree 1 ann"]);
    // The latest word holds.
    let changed = vec![wanted(InspectionWanted::Abort, 0), ended(1, InspectionEnd::Aborted), wanted(InspectionWanted::Inspect, 1)];
    assert_eq!(and(changed), ["Inspect 1 -", "Abort 1 ann", "Inspect 2 ann"]);
    // Findings that come after all, while the next attempt waits.
    let late = vec![failed(1), found(Some(true), Inspected::Complete)];
    assert_eq!(and(late), ["Inspect 1 -", "Inspect 2 -", "Abort 2 -"]);
}

pub(super) fn images_of(facts: Vec<Fact>) -> Image {
    let mut pipeline = Pipeline::default();
    let facts: Vec<Output> = facts.into_iter().zip(1..).map(|(what, at)| told(&fact("ami-1", at, what))).collect();
    pipeline.hear(&facts);
    pipeline.images.remove("ami-1").unwrap()
}

#[test]
fn the_status_follows_the_attempt_and_a_verdict_stays_until_there_is_another() {
    use ImageStatus::{Error, Inspected as Done, Inspecting, Pending, Preparing};
    let read = || found(Some(true), Inspected::Complete);
    let unreadable = || found(None, Inspected::Corrupt);
    for (facts, status) in [
        (vec![progress(1, InspectionStage::Preparing)], Preparing),
        (vec![progress(1, InspectionStage::Inspecting)], Inspecting),
        (vec![failed(1)], Pending),
        (vec![failed(INSPECTION_ATTEMPTS_MAX)], Error),
        (vec![ended(1, InspectionEnd::Aborted)], Pending),
        (vec![special(1, SpecialImage::Encrypted)], Error),
        (vec![special(1, SpecialImage::BillingProduct)], Done),
        (vec![read(), ended(1, InspectionEnd::Found)], Done),
        (vec![read(), progress(2, InspectionStage::Inspecting)], Done),
        (vec![read(), failed(2)], Done),
        (vec![unreadable(), ended(1, InspectionEnd::Found)], Done),
        (vec![unreadable(), progress(2, InspectionStage::Inspecting)], Inspecting),
        (vec![tag(RHEL_TAG, true), failed(1)], Done),
    ] {
        let image = images_of([vec![billed("RunInstances")], facts.clone()].concat());
        assert_eq!(image.status, status, "{facts:?}: {}", image.status_reason);
        assert!(image.status_reason.ends_with('.'), "{}", image.status_reason);
    }
    let sold = images_of(vec![billed("RunInstances"), special(1, SpecialImage::Marketplace)]);
    assert_eq!((sold.is_marketplace, sold.counts(Product::Rhel, None), sold.rhel_detected), (true, Some(false), None));
    assert_eq!(sold.evidence.iter().map(|evidence| evidence.kind.as_str()).collect::<Vec<_>>(), ["copy_refused"]);
    assert!(images_of(vec![billed("RunInstances"), special(1, SpecialImage::Encrypted)]).is_encrypted);
}

/// A worker that carries out what it is told, in whatever way.
#[derive(Default)]
struct FakeWorker {
    /// How many of the commands it has read.
    read: usize,
    /// The attempt at work on each image, and how many facts it told.
    at_work: BTreeMap<String, (u32, usize)>,
}

impl FakeWorker {
    /// Reads what it was told. Each attempt is begun once, and none before the one before it is over; what is said of one later names accounts.
    fn read(&mut self, commands: &[InspectionCommand]) {
        for command in commands[self.read..].iter().filter(|command| command.order == InspectionOrder::Inspect) {
            let (attempt, _) = self.at_work.entry(command.image_id.clone()).or_insert((command.attempt, 0));
            assert_eq!(*attempt, command.attempt, "an attempt begins while another one is at work: {command:?}");
        }
        self.read = commands.len();
    }

    /// Goes on with an image, if it is at work on it. `ends` says how it ends, if it does now.
    fn work(&mut self, image: &str, ends: Option<u8>) -> Vec<Fact> {
        let Some((attempt, told)) = self.at_work.get_mut(image) else { return Vec::new() };
        let (attempt, stage) = (*attempt, *told);
        *told += 1;
        let Some(ends) = ends else {
            let stage = if stage == 0 { InspectionStage::Preparing } else { InspectionStage::Inspecting };
            return vec![progress(attempt, stage)];
        };
        self.at_work.remove(image);
        match ends % 6 {
            0 => vec![found(Some(true), Inspected::Complete), ended(attempt, InspectionEnd::Found)],
            1 => vec![special(attempt, SpecialImage::StorageNotShared)],
            2 => vec![ended(attempt, InspectionEnd::Aborted)],
            _ => vec![failed(attempt)],
        }
    }
}

#[derive(Clone, Debug)]
enum Happens {
    Told(Box<Fact>),
    Asked(InspectionWanted),
    Used(u8),
    Works(Option<u8>),
}

/// The accounts that a command names, the owner first.
pub(super) fn asked(command: &InspectionCommand) -> Vec<String> {
    let owner = command.metadata.as_ref().and_then(|metadata| metadata.owner_id.clone());
    let mut accounts: Vec<String> = Vec::new();
    for account in owner.into_iter().chain(command.used_by.iter().map(|used| used.account_id.clone())) {
        if !account.is_empty() && !accounts.contains(&account) {
            accounts.push(account);
        }
    }
    accounts
}

fn happens() -> impl Strategy<Value = (u8, Happens)> {
    let facts = proptest::sample::select(vec![
        billed("RunInstances"),
        billed("RunInstances:0010"),
        described(|metadata| metadata.platform = Some("windows".into())),
        described(|metadata| metadata.root_snapshot_id = None),
        tag(RHEL_TAG, true),
        tag(RHEL_TAG, false),
        unavailable(Some("1"), false),
        said(None, Product::Rhel, Some(false)),
    ]);
    let asks = proptest::sample::select(vec![InspectionWanted::Inspect, InspectionWanted::Abort]);
    let happens = prop_oneof![
        3 => facts.prop_map(|fact| Happens::Told(Box::new(fact))),
        1 => asks.prop_map(Happens::Asked),
        1 => (0..40_u8).prop_map(Happens::Used),
        5 => any::<Option<u8>>().prop_map(Happens::Works),
    ];
    (0..2_u8, happens)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn attempts_are_begun_once_each_one_after_the_other_and_five_at_most_for_each_time_that_somebody_asks(
        all in prop::collection::vec(happens(), 0..60),
        crashes in any::<u64>(),
    ) {
        let (mut pipeline, mut worker) = (Pipeline::default(), FakeWorker::default());
        let mut over: BTreeMap<String, u32> = BTreeMap::new();
        let mut asks: BTreeMap<String, usize> = BTreeMap::new();
        for (number, (image, happens)) in all.into_iter().enumerate() {
            let image = format!("ami-{image}");
            let facts = match happens {
                Happens::Told(fact) => vec![*fact],
                Happens::Asked(asked) => {
                    *asks.entry(image.clone()).or_default() += 1;
                    vec![wanted(asked, over.get(&image).copied().unwrap_or(0))]
                }
                Happens::Used(account) => {
                    pipeline.hear(&[seen(&sighting(&image, &format!("{account:012}"), number as i64), 0)]);
                    Vec::new()
                }
                Happens::Works(ends) => worker.work(&image, ends),
            };
            for what in facts {
                if let Fact::Inspection(InspectionProgress { attempt, progress: InspectionStage::Ended { .. } }) = &what {
                    over.insert(image.clone(), *attempt);
                }
                let message = told(&fact(&image, number as i64 + 1, what));
                if crashes >> (number % 64) & 1 == 1 {
                    // Folded and not committed; and told twice.
                    pipeline.fold(&Images, std::slice::from_ref(&message));
                    pipeline.hear(std::slice::from_ref(&message));
                }
                pipeline.hear(&[message]);
            }
            worker.read(&pipeline.commands);
        }
        for image in ["ami-0", "ami-1"] {
            let begun: Vec<&InspectionCommand> = pipeline.commands.iter()
                .filter(|command| command.image_id == image && command.order == InspectionOrder::Inspect)
                .collect();
            let mut attempts: Vec<u32> = begun.iter().map(|command| command.attempt).collect();
            // One that was begun is named again where whom to ask has changed, and for nothing else.
            for pair in begun.windows(2).filter(|pair| pair[0].attempt == pair[1].attempt) {
                prop_assert_ne!(asked(pair[0]), asked(pair[1]));
            }
            attempts.dedup();
            prop_assert_eq!(&attempts, &(1..=attempts.len() as u32).collect::<Vec<_>>());
            let counts = 1 + asks.get(image).copied().unwrap_or(0);
            prop_assert!(attempts.len() <= counts * INSPECTION_ATTEMPTS_MAX as usize, "{:?}", begun);
        }
    }

    #[test]
    fn facts_about_attempts_give_the_same_image_in_any_order(
        ends in prop::collection::vec((0..6_u8, any::<Option<bool>>()), 1..6),
        order in any::<u64>(),
        repeated in any::<bool>(),
    ) {
        let mut facts = vec![billed("RunInstances")];
        for (attempt, (end, asked)) in (1..).zip(ends) {
            let mut worker = FakeWorker { read: 0, at_work: BTreeMap::from([("ami-1".to_owned(), (attempt, 0))]) };
            facts.extend(worker.work("ami-1", None));
            let asked = asked.map(|asks| if asks { InspectionWanted::Inspect } else { InspectionWanted::Abort });
            facts.extend(asked.map(|asked| wanted(asked, attempt - 1)));
            facts.extend(worker.work("ami-1", Some(end)));
        }
        let all: Vec<Output> = facts.into_iter().zip(1..).map(|(what, at)| told(&fact("ami-1", at, what))).collect();
        let mut delivered = shuffled(all.clone(), order);
        if repeated {
            delivered.extend(all.clone());
        }
        let (mut expected, mut actual) = (Pipeline::default(), Pipeline::default());
        expected.hear(&all);
        delivered.iter().for_each(|message| actual.hear(std::slice::from_ref(message)));
        prop_assert_eq!(&expected.images, &actual.images);
    }
}
