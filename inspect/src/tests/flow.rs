//! Inspections from the first fact to the verdict.

use cloudigrade_pipeline::limits::INSPECTION_ATTEMPTS_MAX;
use cloudigrade_pipeline::simulated::Faults;
use cloudigrade_schemas::image::ImageStatus;
use cloudigrade_schemas::inspection::{InspectionEnd, InspectionWay, SpecialImage};

use super::*;

fn one(image: SimImage) -> [(String, SimImage); 1] {
    [("ami-1".to_owned(), image)]
}

/// The image `ami-1` at the end.
async fn end_of(image: SimImage, settings: Settings) -> (Stage, Image) {
    let mut stage = Stage::new(one(image), settings, Faults::none());
    stage.used_by_us(&["ami-1"]);
    stage.until_all_is_over().await;
    let image = stage.image("ami-1");
    (stage, image)
}

#[tokio::test]
async fn each_special_image_has_its_status_a_reason_and_what_to_do() {
    use ImageStatus::{Error, Inspected};
    use SpecialImage as S;
    for (special, owner, status, counts, does) in [
        (S::StorageNotShared, STRANGER, Error, None, "share"),
        (S::StorageNotPublic, STRANGER, Inspected, Some(false), "override"),
        (S::Marketplace, STRANGER, Inspected, Some(false), "override"),
        (S::BillingProduct, STRANGER, Inspected, Some(false), "override"),
        (S::Encrypted, ACCOUNT, Error, None, "key"),
        (S::NoSnapshot, ACCOUNT, Error, None, "override"),
        (S::ImageFailed, ACCOUNT, Error, None, "override"),
        (S::ImageGone, ACCOUNT, Error, None, "override"),
        (S::OtherPartition, ACCOUNT, Error, None, "override"),
    ] {
        let (stage, image) = end_of(SimImage::special(owner, special), Settings::default()).await;
        assert_eq!((image.status, stage.counts_as_rhel("ami-1")), (status, counts), "{special:?}: {}", image.status_reason);
        assert!(image.status_reason.contains(does), "{special:?}: {}", image.status_reason);
        assert_eq!(image.is_marketplace, special.is_sold());
        assert_eq!(image.is_encrypted, special == S::Encrypted);
        assert_eq!(stage.commands().len(), 1, "trying again would not change it");
    }
    let direct = Settings { way: InspectionWay::EbsDirect, ..Settings::default() };
    let (_, image) = end_of(SimImage { is_direct: false, ..SimImage::of(ACCOUNT) }, direct).await;
    assert_eq!(image.status, ImageStatus::Error, "{}", image.status_reason);
}

#[tokio::test]
async fn a_disk_that_nothing_can_be_read_of_is_not_counted_and_said_to_be_so() {
    let (stage, image) = end_of(SimImage { is_rhel: None, ..SimImage::of(ACCOUNT) }, Settings::default()).await;
    assert_eq!((image.status, image.rhel_detected, stage.commands().len()), (ImageStatus::Inspected, Some(false), 1));
    assert!(image.status_reason.contains("cannot be read"), "{}", image.status_reason);
}

#[tokio::test]
async fn what_cannot_be_read_directly_is_read_by_a_scanner_where_there_is_one() {
    let settings = Settings { way: InspectionWay::EbsDirect, scanner_instead: true, ..Settings::default() };
    let (stage, image) = end_of(SimImage { is_direct: false, ..SimImage::of(ACCOUNT) }, settings.clone()).await;
    assert_eq!((image.rhel_detected, stage.cloud.world().started.len()), (Some(true), 1));
    let (stage, image) = end_of(SimImage::of(ACCOUNT), settings).await;
    assert_eq!((image.rhel_detected, stage.cloud.world().started.len()), (Some(true), 0));
}

#[tokio::test]
async fn two_hundred_images_are_read_once_each_in_batches_of_every_size() {
    for size in [1, 9, 10, 11, 31, 32, 33] {
        let images = (0..200).map(|number| (format!("ami-{number}"), SimImage::of(ACCOUNT)));
        let settings = Settings { batch_size: size, at_once: 200, scanners_at_once: 20, ..Settings::default() };
        let mut stage = Stage::new(images, settings, Faults::none());
        stage.used_by_us(&(0..200).map(|number| format!("ami-{number}")).collect::<Vec<_>>());
        stage.until_all_is_over().await;
        let verdicts = stage.verdicts();
        assert!(verdicts.len() == 200 && verdicts.values().all(|times| *times == 1), "batches of {size}: {verdicts:?}");
        let sizes = stage.cloud.world().sizes.clone();
        assert_eq!((sizes.iter().sum::<usize>(), sizes.len()), (200, 200_usize.div_ceil(size)), "{sizes:?}");
        assert!(sizes.iter().all(|volumes| *volumes <= size));
    }
}

#[tokio::test]
async fn a_scanner_that_never_answers_is_removed_and_after_five_attempts_it_is_said() {
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), Settings::default(), Faults::none());
    stage.used_by_us(&["ami-1"]);
    stage.cloud.world().is_silent = true;
    stage.until_all_is_over().await;
    assert_eq!(stage.commands().len(), INSPECTION_ATTEMPTS_MAX as usize);
    let image = stage.image("ami-1");
    assert_eq!((image.status, image.rhel_detected), (ImageStatus::Error, None));
    assert!(image.status_reason.contains("sent no findings") && image.status_reason.contains("images inspect"), "{}", image.status_reason);
    // Somebody may ask for more, and then it counts anew.
    stage.cloud.world().is_silent = false;
    stage.want("ami-1", InspectionWanted::Inspect, INSPECTION_ATTEMPTS_MAX);
    stage.until_all_is_over().await;
    assert_eq!((stage.image("ami-1").rhel_detected, stage.commands().len()), (Some(true), INSPECTION_ATTEMPTS_MAX as usize + 1));
}

#[tokio::test]
async fn an_image_that_was_read_is_read_again_when_somebody_asks_and_its_new_verdict_holds() {
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), Settings::default(), Faults::none());
    stage.used_by_us(&["ami-1"]);
    stage.until_all_is_over().await;
    stage.cloud.world().images.get_mut("ami-1").unwrap().is_rhel = Some(false);
    stage.pass(1);
    stage.want("ami-1", InspectionWanted::Inspect, 1);
    stage.until_all_is_over().await;
    assert_eq!((stage.image("ami-1").rhel_detected, stage.commands().len()), (Some(false), 2));
}

#[tokio::test]
async fn images_of_one_snapshot_are_read_once_unless_somebody_asks() {
    let image = || SimImage { snapshot: Some("snap-1".to_owned()), ..SimImage::of(ACCOUNT) };
    let mut stage = Stage::new(one(image()), Settings::default(), Faults::none());
    stage.until_all_is_over().await;
    stage.cloud.world().images.insert("ami-2".to_owned(), image());
    stage.tell("ami-2", metadata(ACCOUNT));
    stage.until_all_is_over().await;
    let scanners = stage.cloud.world().started.len();
    assert_eq!((stage.image("ami-1").rhel_detected, stage.image("ami-2").rhel_detected), (Some(true), Some(true)));
    stage.want("ami-2", InspectionWanted::Inspect, 1);
    stage.until_all_is_over().await;
    assert_eq!((scanners, stage.cloud.world().started.len()), (1, 2));
}

#[tokio::test]
async fn copies_of_an_image_share_its_verdict_and_their_copies_do() {
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), Settings::default(), Faults::none());
    stage.until_all_is_over().await;
    for (copy, source) in [("ami-2", "ami-1"), ("ami-3", "ami-2"), ("ami-4", "ami-unread")] {
        // Nobody looks into a copy: it would say something else.
        let image = SimImage { copy_of: Some(source.to_owned()), is_rhel: Some(false), ..SimImage::of(ACCOUNT) };
        stage.cloud.world().images.insert(copy.to_owned(), image);
        stage.tell(copy, metadata(ACCOUNT));
        stage.until_all_is_over().await;
    }
    let told = ["ami-1", "ami-2", "ami-3", "ami-4"].map(|image| stage.image(image).rhel_detected);
    assert_eq!((told, stage.cloud.world().started.len()), ([Some(true), Some(true), Some(true), Some(false)], 2));
    stage.want("ami-2", InspectionWanted::Inspect, 1);
    stage.until_all_is_over().await;
    assert_eq!((stage.image("ami-2").rhel_detected, stage.cloud.world().started.len()), (Some(false), 3), "somebody asked for this one");
}

#[tokio::test]
async fn where_consent_is_needed_nothing_is_made_before_somebody_agrees() {
    let settings = Settings { consent: true, ..Settings::default() };
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), settings, Faults::none());
    stage.used_by_us(&["ami-1"]);
    stage.until("waiting for consent", |stage| stage.inspections()[0].state == InspectionState::AwaitingConsent).await;
    stage.pass(7 * 24 * 3600);
    stage.turn().await;
    let image = stage.image("ami-1");
    assert_eq!((image.status, stage.cloud.left().len()), (ImageStatus::Pending, 0));
    assert!(image.status_reason.contains("$0.02"), "{}", image.status_reason);
    stage.want("ami-1", InspectionWanted::Inspect, 0);
    stage.until_all_is_over().await;
    assert_eq!((stage.image("ami-1").rhel_detected, stage.commands().len()), (Some(true), 1));
    assert_eq!(stage.inspections()[0].agreed_by.as_deref(), Some("somebody"));
}

#[tokio::test]
async fn an_attempt_that_is_given_up_at_any_moment_leaves_nothing_and_is_not_tried_again() {
    for seconds in (0..600).step_by(20) {
        let mut stage = Stage::new(own_and_foreign(), Settings { batch_wait: 60, ..Settings::default() }, Faults::none());
        stage.used_by_us(&["ami-own", "ami-foreign"]);
        let until = stage.cloud.now() + seconds;
        while stage.cloud.now() < until {
            stage.turn().await;
            stage.pass(20);
        }
        stage.turn().await;
        for image in ["ami-own", "ami-foreign"] {
            stage.want(image, InspectionWanted::Abort, 0);
        }
        stage.until_all_is_over().await;
        assert_eq!(stage.commands().len(), 2);
        let ends: Vec<_> = stage.inspections().into_iter().map(|inspection| inspection.end).collect();
        assert!(ends.iter().all(|end| matches!(end, Some(InspectionEnd::Aborted | InspectionEnd::Found))), "{ends:?}");
    }
}

#[tokio::test]
async fn an_image_that_is_tagged_meanwhile_is_not_read() {
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), Settings::default(), Faults::none());
    stage.used_by_us(&["ami-1"]);
    stage.turn().await;
    stage.tell(
        "ami-1",
        Fact::Tag { account_id: Some(ACCOUNT.to_owned()), key: "cloudigrade-rhel-present".to_owned(), value: Some(String::new()) },
    );
    stage.until_all_is_over().await;
    assert_eq!(stage.cloud.world().started.len(), 0);
    assert_eq!((stage.image("ami-1").status, stage.image("ami-1").rhel_detected), (ImageStatus::Inspected, Some(true)));
}

#[tokio::test]
async fn an_image_that_nobody_registered_waits_until_somebody_is() {
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), Settings::default(), Faults::none());
    stage.used_by_us(&["ami-1"]);
    stage.accounts.send_replace(Arc::new(Vec::new()));
    for _ in 0..20 {
        stage.turn().await;
        stage.pass(3600);
    }
    let waiting = &stage.inspections()[0];
    assert_eq!((waiting.state, stage.cloud.world().started.len()), (InspectionState::Waiting, 0));
    assert!(waiting.problem.as_ref().is_some_and(|problem| problem.contains("register")), "{waiting:?}");
    stage.accounts.send_replace(Arc::new(vec![account(ACCOUNT, "acme")]));
    stage.until_all_is_over().await;
    assert_eq!(stage.image("ami-1").rhel_detected, Some(true));
}

#[tokio::test]
async fn an_attempt_that_cannot_remove_what_it_made_does_not_keep_the_next_one_waiting() {
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), Settings::default(), Faults::none());
    stage.used_by_us(&["ami-1"]);
    stage.until("something made", |stage| !stage.cloud.left().is_empty()).await;
    stage.cloud.world().stuck_attempt = Some(1);
    stage.want("ami-1", InspectionWanted::Abort, 0);
    stage
        .until("the first being told to be over", |stage| {
            stage.inspections()[0].state == InspectionState::CleaningUp && stage.inspections()[0].deadline_at.is_none()
        })
        .await;
    stage.want("ami-1", InspectionWanted::Inspect, 1);
    stage.until("the second verdict", |stage| stage.image("ami-1").rhel_detected == Some(true)).await;
    stage.cloud.world().stuck_attempt = None;
    stage.until_all_is_over().await;
}

#[tokio::test]
async fn messages_that_are_no_findings_become_dead_letters_and_repeated_ones_change_nothing() {
    let mut stage = Stage::new(one(SimImage::of(ACCOUNT)), Settings::default(), Faults::none());
    stage.used_by_us(&["ami-1"]);
    let body = |cloud: &str, image: &str| {
        let found = serde_json::json!({"rhel_found": true, "rhel_signed_packages_found": false, "rhel_product_certs_found": false,
            "rhel_release_files_found": false, "rhel_enabled_repos_found": false, "errors": [], "is_rhel": true,
            "drives": {"/dev/x": {}}});
        serde_json::json!({"cloud": cloud, "errors": [], "images": {image: found}}).to_string()
    };
    stage.until_all_is_over().await;
    for body in ["{}".to_owned(), "not JSON".to_owned(), body("azure", "ami-1"), body("aws", "ami-1"), body("aws", "ami-unknown")] {
        stage.cloud.world().send(body);
    }
    stage.turn().await;
    assert_eq!((stage.messages(Topic::DeadLetters).len(), stage.cloud.world().queue.len()), (3, 0));
    assert_eq!(stage.verdicts(), BTreeMap::from([("ami-1".to_owned(), 1)]));
}
