//! Images, from sightings and facts.

use cloudigrade_schemas::findings::{Distribution, ImageFindings, Inspected, Product as Certificate};
use cloudigrade_schemas::image::{BillingModel, ImageStatus, ImageUse, Override, Standing};
use cloudigrade_schemas::image_fact::{Fact, ImageMetadata};
use cloudigrade_schemas::{ImageSighting, Product};

use super::*;
use crate::limits::{IMAGE_ACCOUNTS_KEPT, IMAGE_TAGGERS_MAX};

pub(super) const RHEL_TAG: &str = "cloudigrade-rhel-present";
pub(super) const RED_HAT: &str = "309956199498";

pub(super) fn fact(image: &str, at: i64, fact: Fact) -> ImageFact {
    ImageFact { image_id: image.to_owned(), region: "us-east-1".to_owned(), at: UtcSecond(at), source: format!("source-{at}"), fact }
}

pub(super) fn sighting(image: &str, account: &str, at: i64) -> ImageSighting {
    let (image_id, account_id) = (image.to_owned(), account.to_owned());
    ImageSighting { image_id, region: "us-east-1".to_owned(), account_id, at: UtcSecond(at) }
}

fn message(topic: Topic, image: &str, key: String, value: Vec<u8>) -> Output {
    Output { topic, partition: partition_of(image.as_bytes(), PARTITIONS), key: key.into_bytes(), value, entered_at: UtcSecond(0) }
}

pub(super) fn told(fact: &ImageFact) -> Output {
    message(Topic::ImageFacts, &fact.image_id, fact.to_key(), serde_json::to_vec(fact).unwrap())
}

pub(super) fn seen(sighting: &ImageSighting, partition: u32) -> Output {
    message(Topic::ImageSightings, &sighting.image_id, sighting.to_key(partition), serde_json::to_vec(sighting).unwrap())
}

/// `ami-1`, of some facts in the order of their times.
fn image(facts: Vec<Fact>) -> Image {
    let mut pipeline = Pipeline::default();
    let facts: Vec<Output> = facts.into_iter().zip(1..).map(|(what, at)| told(&fact("ami-1", at, what))).collect();
    pipeline.hear(&facts);
    pipeline.images.remove("ami-1").unwrap_or_default()
}

pub(super) fn described(change: impl Fn(&mut ImageMetadata)) -> Fact {
    let mut metadata = ImageMetadata { root_snapshot_id: Some("snap-1".to_owned()), ..ImageMetadata::default() };
    change(&mut metadata);
    Fact::Metadata(metadata)
}

pub(super) fn billed(operation: &str) -> Fact {
    described(|metadata| metadata.usage_operation = Some(operation.to_owned()))
}

pub(super) fn named(owner: &str, name: &str) -> Fact {
    described(|metadata| (metadata.owner_id, metadata.name) = (Some(owner.to_owned()), Some(name.to_owned())))
}

pub(super) fn sold(operation: &str) -> Fact {
    described(|metadata| {
        metadata.usage_operation = Some(operation.to_owned());
        metadata.product_codes = vec!["devpay:x".to_owned(), "marketplace:abc".to_owned()];
    })
}

pub(super) fn tag(key: &str, is_set: bool) -> Fact {
    tag_of("1", key, is_set)
}

pub(super) fn tag_of(account: &str, key: &str, is_set: bool) -> Fact {
    Fact::Tag { account_id: Some(account.to_owned()), key: key.to_owned(), value: is_set.then(String::new) }
}

pub(super) fn unavailable(account: Option<&str>, over: bool) -> Fact {
    Fact::Unavailable { account_id: account.map(str::to_owned), over }
}

fn findings(is_rhel: Option<bool>, inspected: Inspected) -> ImageFindings {
    ImageFindings { is_rhel, inspected, reasons: vec!["os-release says so".to_owned()], ..ImageFindings::default() }
}

pub(super) fn found(is_rhel: Option<bool>, inspected: Inspected) -> Fact {
    Fact::Findings(Box::new(findings(is_rhel, inspected)))
}

pub(super) fn said(tenant: Option<&str>, product: Product, is: Option<bool>) -> Fact {
    let at = UtcSecond(0);
    Fact::Override(Override { tenant: tenant.map(str::to_owned), product, is, by: "somebody".to_owned(), reason: None, at })
}

#[test]
fn an_image_that_is_used_is_pending_though_nothing_else_is_known_of_it() {
    let launch = |id: &str, time: &str, instance: &str| record(id, "RunInstances", time, &[instance], json!({}));
    let mut pipeline = Pipeline::of(&[launch("e1", "09:05", "i-1")]);
    let image = pipeline.images["ami-1"].clone();
    assert_eq!((image.status, &*image.region, image.rhel_detected), (ImageStatus::Pending, "us-east-1", None));
    assert!(image.status_reason.contains("override"), "it says what to do: {}", image.status_reason);
    pipeline.feed(&[launch("e2", "09:00", "i-2"), launch("e3", "10:00", "i-3")], false);
    let image = &pipeline.images["ami-1"];
    assert_eq!(image.first_seen_at.map(clock).as_deref(), Some("09:00"));
    let used = ImageUse { since: image.first_seen_at.unwrap(), account_id: "000000000001".into(), region: "us-east-1".into() };
    assert_eq!(image.used_by, [used]);
}

#[test]
fn each_partition_tells_a_use_once_and_an_earlier_one_when_it_comes_late() {
    let event = |image: &str, at: i64| {
        let at = UtcSecond(at);
        let change = json!({"occurred_at": at, "action": "RunInstances", "image_id": image, "source": {"uri": "f", "index": 0}});
        let event = json!({"account_id": "1", "region": "r", "instance_id": "i-1", "event_id": "e", "change": change});
        Output { topic: Topic::PowerEvents, partition: 1, key: b"k".to_vec(), value: event.to_string().into_bytes(), entered_at: at }
    };
    let mut pipeline = Pipeline::default();
    let mut told = |events: &[Output]| {
        let (folded, _) = pipeline.fold(&Sightings, events);
        let sent = pipeline.commit(folded).into_iter();
        sent.map(|sent| serde_json::from_slice::<ImageSighting>(&sent.value).unwrap().at.0).collect::<Vec<_>>()
    };
    assert_eq!(told(&[event("ami-1", 7), event("ami-1", 5), event("ami-1", 9)]), [5]);
    assert_eq!(told(&[event("ami-1", 5), event("ami-1", 6)]), [0_i64; 0]);
    assert_eq!(told(&[event("ami-1", 4), event("ami-2", 8)]), [4, 8]);
    let name = "x".repeat(65);
    assert_eq!(told(&[event(&name, 4), event("", 4)]), [0_i64; 0], "no image has such an id");
}

#[test]
fn what_can_be_said_without_reading_disks_is_said_with_a_reason() {
    use ImageStatus::{Error, Inspected as Done, Pending, Unavailable};
    let cases = [
        (described(|metadata| metadata.platform = Some("Windows".into())), Done, Some(false), "Windows"),
        (billed("RunInstances:0002"), Done, Some(false), "Windows"),
        (sold("RunInstances"), Done, None, "marketplace:abc"),
        (named(RED_HAT, "RHEL-9.2.0_HVM-20230503-x86_64-41-HOURLY2-GP2"), Done, Some(true), "paid by the hour"),
        (named(RED_HAT, "RHEL-8.6_HVM-access2-GP2"), Done, Some(true), "bring their subscription"),
        (named("111122223333", "RHEL-8.6_HVM-Access2-GP2"), Pending, None, "override"),
        (billed("RunInstances:0010"), Done, Some(true), "Red Hat Enterprise Linux"),
        (billed("RunInstances:000g"), Done, Some(false), "SUSE"),
        (billed("RunInstances:00g0"), Pending, Some(true), "Nothing has looked"),
        (billed("RunInstances"), Pending, None, "Nothing has looked"),
        (tag(RHEL_TAG, true), Done, Some(true), RHEL_TAG),
        (unavailable(Some("1"), false), Unavailable, None, "share it"),
        (unavailable(None, false), Unavailable, None, "share it"),
        (described(|metadata| metadata.root_snapshot_id = None), Error, None, "instance store"),
        (described(|metadata| metadata.encrypted = Some(true)), Pending, None, "encrypted"),
    ];
    for (fact, status, rhel, reason) in cases {
        let image = image(vec![fact.clone()]);
        assert_eq!((image.status, image.rhel_detected), (status, rhel), "{fact:?}");
        assert!(image.status_reason.contains(reason), "{fact:?}: {}", image.status_reason);
    }
}

#[test]
fn what_disks_hold_decides_by_the_inspectors_verdict_and_what_cannot_be_read_is_not_counted() {
    use ImageStatus::{Error, Inspected as Done};
    for (is_rhel, inspected, status, rhel, openshift) in [
        (Some(true), Inspected::Complete, Done, Some(true), Some(false)),
        (Some(false), Inspected::Complete, Done, Some(false), Some(false)),
        (Some(true), Inspected::Partial, Done, Some(true), None),
        (None, Inspected::Partial, Error, None, None),
        (None, Inspected::Encrypted, Done, Some(false), None),
        (None, Inspected::Corrupt, Done, Some(false), None),
        (None, Inspected::Unsupported, Done, Some(false), None),
    ] {
        let image = image(vec![billed("RunInstances"), found(is_rhel, inspected)]);
        let said = (image.status, image.rhel_detected, image.openshift_detected);
        assert_eq!(said, (status, rhel, openshift), "{is_rhel:?} {inspected:?}");
    }
    let unreadable = image(vec![found(None, Inspected::Corrupt)]);
    assert!(unreadable.status_reason.contains("not counted as RHEL") && unreadable.status_reason.contains("override"));
    let why = unreadable.evidence.iter().find(|evidence| evidence.kind == "inspection").unwrap();
    assert!(!why.found && why.detail.starts_with("nothing could be read (corrupt)"), "{why:?}");
    assert_eq!(image(vec![found(None, Inspected::Corrupt), tag(RHEL_TAG, true)]).rhel_detected, Some(true));
    // Signs that the first inspector took for RHEL are kept, and decide nothing.
    let centos = ImageFindings { rhel_release_files_found: true, rhel_found: true, ..findings(Some(false), Inspected::Complete) };
    let centos = image(vec![Fact::Findings(Box::new(centos))]);
    assert_eq!((centos.rhel_detected, centos.rhel_version), (Some(false), None));
    let hints: Vec<_> = centos.evidence.iter().map(|evidence| (evidence.kind.as_str(), evidence.found)).collect();
    let expected = [
        ("inspection", false),
        ("signed_packages", false),
        ("product_certificates", false),
        ("release_files", true),
        ("enabled_repositories", false),
    ];
    assert_eq!(hints, expected);
    // Somebody's word is worth more than not having found it.
    assert_eq!(image(vec![found(Some(false), Inspected::Complete), tag(RHEL_TAG, true)]).rhel_detected, Some(true));
    assert_eq!(image(vec![tag(RHEL_TAG, true), tag(RHEL_TAG, false)]).status, ImageStatus::Pending);
}

#[test]
fn a_tag_stands_for_the_account_that_gave_it_and_takes_none_of_anothers_away() {
    let both = image(vec![tag_of("1", RHEL_TAG, true), tag_of("2", "cloudigrade-ocp-present", true), tag_of("2", RHEL_TAG, false)]);
    let taggers: Vec<_> = both.evidence.iter().map(|evidence| (evidence.product, evidence.account_id.as_deref())).collect();
    assert_eq!(taggers, [(Product::Rhel, Some("1")), (Product::Openshift, Some("2"))]);
    let for_account = |account: &str| {
        let seen = both.evidence.iter().filter(|evidence| evidence.account_id.as_deref() == Some(account));
        both.untagged.clone().unwrap().with_tags(seen)
    };
    let told = |standing: Standing| (standing.status, standing.rhel_detected, standing.openshift_detected, standing.billing_model);
    assert_eq!(told(for_account("1")), (ImageStatus::Inspected, Some(true), None, BillingModel::Byos));
    assert_eq!(told(for_account("2")), (ImageStatus::Pending, None, Some(true), BillingModel::Unknown));
    assert_eq!(told(for_account("3")), (ImageStatus::Pending, None, None, BillingModel::Unknown));
    assert_eq!((both.status, both.rhel_detected, both.openshift_detected), (ImageStatus::Inspected, Some(true), Some(true)));
    assert_eq!(image(vec![tag_of("1", RHEL_TAG, true), tag_of("1", RHEL_TAG, false)]).untagged, None);
    assert_eq!(image(vec![sold("RunInstances"), tag(RHEL_TAG, true)]).billing_model, BillingModel::Payg, "who is paid is told without it");
}

#[test]
fn tags_of_more_accounts_than_are_kept_are_counted() {
    let tags: Vec<Output> =
        (0..=IMAGE_TAGGERS_MAX).map(|account| told(&fact("ami-1", 1, tag_of(&format!("{account:012}"), RHEL_TAG, true)))).collect();
    let (mut pipeline, mut reversed) = (Pipeline::default(), Pipeline::default());
    pipeline.hear(&tags);
    assert_eq!((pipeline.images["ami-1"].evidence.len(), pipeline.counters.get("image_tags_left_out")), (IMAGE_TAGGERS_MAX, 1));
    reversed.hear(&tags.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(pipeline.images, reversed.images);
}

#[test]
fn version_purpose_and_architecture_come_from_disks_else_from_what_ec2_says() {
    let disks = ImageFindings {
        distribution: Some(Distribution { id: "rhel".into(), version: Some("9.4".into()), name: None }),
        architecture: Some("aarch64".into()),
        syspurpose: Some(json!({"role": "Server", "usage": "", "service_level_agreement": 7, "service_type": "L1"})),
        products: vec![Certificate {
            id: "290".into(),
            name: Some("Red Hat OpenShift Container Platform".into()),
            ..Certificate::default()
        }],
        ..findings(Some(true), Inspected::Complete)
    };
    let told = image(vec![described(|metadata| metadata.architecture = Some("x86_64".into())), Fact::Findings(Box::new(disks))]);
    assert_eq!((told.rhel_version.as_deref(), told.architecture.as_deref()), (Some("9.4"), Some("arm64")));
    assert_eq!(told.openshift_detected, Some(true));
    let purpose = told.syspurpose.unwrap();
    assert_eq!((purpose.role.as_deref(), purpose.usage, purpose.service_level_agreement), (Some("Server"), None, None));
    let of_name = |name: &str| image(vec![named(RED_HAT, name)]).rhel_version;
    assert_eq!(of_name("RHEL_HA-8.4.0_HVM-20210504-x86_64-2-Hourly2-GP2").as_deref(), Some("8.4"));
    assert_eq!((of_name("RHEL-10_HVM-Access2").as_deref(), of_name("RHEL-SAP-Access2")), (Some("10"), None));
    let metadata = |arch: &str| image(vec![described(|metadata| metadata.architecture = Some(arch.into()))]).architecture;
    assert_eq!(metadata("arm64").as_deref(), Some("arm64"));
}

#[test]
fn who_is_paid_follows_from_the_codes_and_rhel_that_nothing_bills_needs_a_subscription() {
    use BillingModel::{Byos, Payg, Unknown};
    let rhel = || found(Some(true), Inspected::Complete);
    for (facts, model, counts, is_marketplace) in [
        (vec![billed("RunInstances:00g0"), rhel()], Byos, Some(true), false),
        (vec![billed("RunInstances:0010"), rhel()], Payg, Some(false), true),
        (vec![billed("RunInstances"), rhel()], Byos, Some(true), false),
        (vec![rhel()], Byos, Some(true), false),
        (vec![billed("RunInstances"), found(Some(false), Inspected::Complete)], Unknown, Some(false), false),
        (vec![billed("RunInstances")], Unknown, None, false),
        (vec![billed("RunInstances:0002")], Payg, Some(false), false),
        (vec![sold("RunInstances")], Payg, Some(false), true),
        // Red Hat sells images in AWS Marketplace with the code for subscriptions.
        (vec![sold("RunInstances:00g0"), rhel()], Payg, Some(false), true),
        (vec![named(RED_HAT, "RHEL-9.0_HVM-Hourly2")], Payg, Some(false), true),
        (vec![named(RED_HAT, "RHEL-9.0_HVM-Access2")], Byos, Some(true), false),
        (vec![unavailable(Some("1"), false)], Unknown, None, false),
    ] {
        let image = image(facts.clone());
        let told = (image.billing_model, image.counts(Product::Rhel, None), image.is_marketplace);
        assert_eq!(told, (model, counts, is_marketplace), "{facts:?}");
    }
    assert!(image(vec![named(RED_HAT, "RHEL-9.0_HVM-Access2")]).is_cloud_access);
}

#[test]
fn the_latest_override_of_each_tenant_and_product_holds_and_can_be_taken_back() {
    let rhel = |image: &Image| [None, Some("one"), Some("two")].map(|tenant| image.counts(Product::Rhel, tenant));
    let mut facts = vec![billed("RunInstances:0010"), said(Some("one"), Product::Rhel, Some(true))];
    assert_eq!(rhel(&image(facts.clone())), [Some(false), Some(true), Some(false)]);
    facts.push(said(None, Product::Rhel, Some(true)));
    facts.push(said(Some("one"), Product::Rhel, Some(false)));
    facts.push(said(Some("two"), Product::Openshift, Some(true)));
    let overridden = image(facts.clone());
    assert_eq!(rhel(&overridden), [Some(true), Some(false), Some(true)]);
    assert_eq!((overridden.rhel_detected, overridden.overrides.len()), (Some(true), 3), "the evidence stays what it is");
    assert_eq!(overridden.counts(Product::Openshift, Some("two")), Some(true));
    facts.push(said(Some("one"), Product::Rhel, None));
    assert_eq!(rhel(&image(facts)), [Some(true), Some(true), Some(true)]);

    // Of one second the one that was written later holds.
    let mut pipeline = Pipeline::default();
    let both = [Some(true), Some(false)].map(|is| told(&fact("ami-1", 5, said(None, Product::Rhel, is))));
    pipeline.hear(&both);
    assert_eq!(pipeline.images["ami-1"].counts(Product::Rhel, None), Some(false));
}

#[test]
fn an_image_is_unavailable_only_while_no_account_ever_saw_it() {
    let status = |facts| image(facts).status;
    let one = || unavailable(Some("1"), false);
    assert_eq!(status(vec![one(), unavailable(Some("2"), false)]), ImageStatus::Unavailable);
    assert_eq!(status(vec![one(), billed("RunInstances")]), ImageStatus::Pending);
    assert_eq!(status(vec![billed("RunInstances"), one()]), ImageStatus::Pending, "what was known stays known");
    assert_eq!(status(vec![one(), unavailable(Some("2"), true)]), ImageStatus::Pending);
    assert_eq!(status(vec![one(), unavailable(Some("1"), true)]), ImageStatus::Pending);
    let many = (0..100).map(|account| unavailable(Some(&format!("{account:012}")), false)).collect();
    assert_eq!(status(many), ImageStatus::Unavailable);
}

#[test]
fn facts_that_say_nothing_of_what_is_metered_make_no_image() {
    assert_eq!(image(vec![tag("team", true), tag("team", false)]), Image::default());
    let mut pipeline = Pipeline::default();
    let broken = Output { value: b"{}".to_vec(), ..told(&fact("ami-1", 1, tag("team", true))) };
    pipeline.hear(&[broken, told(&fact("ami-2", 1, tag(RHEL_TAG, true)))]);
    assert_eq!(pipeline.images.keys().collect::<Vec<_>>(), ["ami-2"], "what cannot be read does not spoil its neighbours");
    assert_eq!(pipeline.counters.get("unreadable_image_facts"), 1);
}

fn any_fact() -> impl Strategy<Value = (String, Fact)> {
    let fact = proptest::sample::select(vec![
        billed("RunInstances"),
        billed("RunInstances:0010"),
        named(RED_HAT, "RHEL-9.0_HVM-Access2"),
        described(|metadata| metadata.platform = Some("windows".into())),
        sold("RunInstances"),
        tag(RHEL_TAG, true),
        tag(RHEL_TAG, false),
        tag_of("2", RHEL_TAG, true),
        tag_of("2", RHEL_TAG, false),
        tag("cloudigrade-ocp-present", true),
        tag("team", true),
        unavailable(Some("1"), false),
        unavailable(Some("1"), true),
        unavailable(Some("2"), false),
        said(None, Product::Rhel, Some(false)),
        said(Some("one"), Product::Rhel, Some(true)),
        said(Some("one"), Product::Rhel, None),
        said(Some("one"), Product::Openshift, Some(true)),
        found(Some(true), Inspected::Complete),
        found(None, Inspected::Encrypted),
    ]);
    (proptest::sample::select(vec!["ami-1", "ami-2", "ami-3"]).prop_map(str::to_owned), fact)
}

pub(super) fn shuffled<T>(items: Vec<T>, order: u64) -> Vec<T> {
    let mut items: Vec<_> = items.into_iter().enumerate().collect();
    items.sort_by_key(|(i, _)| xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), order));
    items.into_iter().map(|(_, item)| item).collect()
}

/// What a reader gets that comes when all is written: of each key the latest.
fn compacted(messages: &[Output]) -> Vec<Output> {
    let latest: BTreeMap<(Topic, &[u8]), &Output> = messages.iter().map(|message| ((message.topic, &*message.key), message)).collect();
    latest.into_values().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_order_repetition_split_and_crash_gives_the_same_images(
        facts in prop::collection::vec(any_fact(), 0..20),
        uses in prop::collection::vec((0..3_u8, 0..40_u8, 0..100_i64, 0..PARTITIONS), 0..80),
        repeats in prop::collection::vec(any::<Index>(), 0..6),
        order in any::<u64>(),
        cut in any::<Index>(),
    ) {
        let facts = facts.into_iter().zip(1..).map(|((image, what), at)| told(&fact(&image, at, what)));
        let seen = |(image, account, at, partition)| seen(&sighting(&format!("ami-{image}"), &format!("{account}"), at), partition);
        let all: Vec<Output> = facts.chain(uses.into_iter().map(seen)).collect();
        prop_assume!(!all.is_empty());
        let mut delivered = all.clone();
        delivered.extend(repeats.iter().map(|index| index.get(&all).clone()));
        let delivered = shuffled(delivered, order);
        let (first, second) = delivered.split_at(cut.index(delivered.len()));
        let mut actual = Pipeline::default();
        for part in [first, second] {
            // Folded and not committed.
            actual.fold(&Images, part);
            actual.hear(part);
        }
        let mut expected = Pipeline::default();
        expected.hear(&all);
        prop_assert_eq!(&expected.images, &actual.images);
        prop_assert!(actual.images.values().all(|image| image.used_by.len() <= IMAGE_ACCOUNTS_KEPT && image.used_by.is_sorted()));
    }

    #[test]
    fn who_comes_late_to_the_topics_learns_what_who_was_there_did(
        facts in prop::collection::vec(any_fact(), 0..20),
        events in prop::collection::vec((0..3_u8, 0..4_u8, 0..100_i64), 1..40),
        cut in any::<Index>(),
    ) {
        let launch = |(number, (image, account, minute)): (usize, (u8, u8, i64))| {
            let at = format!("{:02}:{:02}", 9 + minute / 60, minute % 60);
            let instance = format!("i-{number}");
            let items = json!([{"instanceId": instance, "imageId": format!("ami-{image}")}]);
            let said = json!({"recipientAccountId": format!("{account:012}"), "responseElements": {"instancesSet": {"items": items}}});
            record(&format!("e{number}"), "RunInstances", &at, &[], said)
        };
        let events: Vec<Value> = events.into_iter().enumerate().map(launch).collect();
        let mut sightings = Pipeline::default();
        let mut written: Vec<Output> = facts.into_iter().zip(1..).map(|((image, what), at)| told(&fact(&image, at, what))).collect();
        let (first, second) = events.split_at(cut.index(events.len()));
        for part in [first, second] {
            let powered = sightings.extracted(part);
            let (seen, _) = sightings.fold(&Sightings, &powered);
            written.extend(sightings.commit(seen));
        }
        let (mut early, mut late, mut undisturbed) = (Pipeline::default(), Pipeline::default(), Pipeline::default());
        written.iter().for_each(|message| early.hear(std::slice::from_ref(message)));
        late.hear(&compacted(&written));
        prop_assert_eq!(&early.images, &late.images);
        undisturbed.feed(&events, false);
        for (id, image) in &undisturbed.images {
            prop_assert_eq!(&image.used_by, &early.images[id].used_by);
        }
    }
}
