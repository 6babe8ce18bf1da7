//! Whatever goes wrong once, at whichever call: the same end, one verdict, nothing left.

use cloudigrade_pipeline::simulated::Faults;
use cloudigrade_schemas::image::ImageStatus;
use cloudigrade_schemas::inspection::InspectionWay;

use super::world::Fault;
use super::*;

/// The world with one fault. Gives how many calls it took.
async fn with(fault: Option<(usize, Fault)>, settings: &Settings, faults: Faults) -> usize {
    let mut stage = Stage::new(own_and_foreign(), settings.clone(), faults);
    stage.used_by_us(&["ami-own", "ami-foreign"]);
    stage.cloud.world().fault = fault;
    stage.until_all_is_over().await;
    for image in ["ami-own", "ami-foreign"] {
        let told = stage.image(image);
        assert_eq!((told.status, told.rhel_detected), (ImageStatus::Inspected, Some(true)), "{image} after {fault:?}");
    }
    let verdicts = stage.verdicts();
    assert!(verdicts.len() == 2 && verdicts.values().all(|times| *times == 1), "one verdict each after {fault:?}: {verdicts:?}");
    let crashes = usize::from(matches!(fault, Some((_, Fault::CrashBefore | Fault::CrashAfter))));
    assert_eq!(stage.crashes, crashes, "the fault {fault:?} was met");
    stage.cloud.world().calls
}

/// Volumes that do not wait long for others.
fn quick() -> Settings {
    Settings { batch_wait: 60, ..Settings::default() }
}

async fn each_call_failing_once(settings: Settings) {
    let calls = with(None, &settings, Faults::none()).await;
    assert!(calls >= 8, "{calls}");
    for at in 0..calls {
        for fault in Fault::ALL {
            with(Some((at, fault)), &settings, Faults::none()).await;
        }
    }
}

#[tokio::test]
async fn each_call_failing_once_in_each_way_and_a_death_around_each_gives_the_same_end() {
    each_call_failing_once(quick()).await;
}

#[tokio::test]
async fn the_same_holds_for_disks_that_are_read_directly() {
    each_call_failing_once(Settings { way: InspectionWay::EbsDirect, ..quick() }).await;
}

#[tokio::test]
async fn a_log_that_loses_answers_and_gives_commits_up_changes_nothing() {
    with(None, &quick(), Faults::transient()).await;
}

#[tokio::test]
async fn of_two_workers_the_later_one_goes_on_and_the_other_writes_nothing_more() {
    let mut stage = Stage::new(own_and_foreign(), quick(), Faults::none());
    stage.used_by_us(&["ami-own", "ami-foreign"]);
    stage.turn().await;
    // At each moment another worker takes over, while the one before it goes on as well.
    for _ in 0..40 {
        let mut before = stage.worker.take();
        stage.pass(20);
        stage.turn().await;
        if let Some(before) = &mut before {
            stage.pass(5);
            assert!(before.turn().await.is_err(), "it was taken over");
        }
    }
    stage.until_all_is_over().await;
    let verdicts = stage.verdicts();
    assert!(verdicts.len() == 2 && verdicts.values().all(|times| *times == 1), "{verdicts:?}");
}

#[tokio::test]
async fn what_nobody_knows_of_is_removed_but_not_what_was_only_just_made() {
    let mut stage = Stage::new([], Settings::default(), Faults::none());
    stage.cloud.leave_behind("an inspection of a log that is lost");
    stage.turn().await;
    stage.pass(1000);
    stage.turn().await;
    assert_eq!(stage.cloud.left().len(), 1);
    stage.pass(3600);
    stage.turn().await;
    assert!(stage.cloud.left().is_empty());
}
