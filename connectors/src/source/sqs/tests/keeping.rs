//! A message is kept hidden while it is worked on, and no longer.

use std::time::Duration;

use crate::source::sqs::tests::world::World;

#[tokio::test]
async fn heartbeats_come_at_half_of_the_visibility_timeout_until_the_message_is_deleted() {
    let world = World::new();
    world.objects.hold(true);
    world.deliver("e1");
    let running = world.start();
    world.until_still("it is being read", || world.objects.reading().0 == 1).await;
    let beats = || world.queue.hidden("e1");
    world.clock.advance(Duration::from_secs(119));
    assert_eq!(beats(), []);
    // Reading is given 120 s for an answer: it is tried again meanwhile, and the message stays ours.
    world.until_stepping("the first beat", Duration::from_millis(250), || beats().len() == 1).await;
    let (hidden_for, first) = beats()[0];
    assert_eq!(hidden_for, 300);
    assert!((150..170).contains(&first), "{first}");
    world.until_stepping("the second beat", Duration::from_millis(250), || beats().len() == 2).await;
    let second = beats()[1].1;
    assert!((150..170).contains(&(second - first)), "{second} after {first}");
    assert_eq!(world.queue.received(), 1);
    world.objects.hold(false);
    world.until("it is deleted", || world.queue.left() == 0).await;
    let settled = world.queue.hidden("e1").len();
    world.clock.advance(Duration::from_secs(1_000));
    running.stop(&world).await.unwrap();
    assert_eq!(world.queue.hidden("e1").len(), settled);
}

#[tokio::test]
async fn a_message_that_is_not_ours_any_more_gets_no_further_heartbeat() {
    let world = World::new();
    world.objects.hold(true);
    world.deliver("e1");
    let running = world.start();
    world.until_still("it is being read", || world.objects.reading().0 == 1).await;
    world.queue.take_away("e1");
    world.until_stepping("the beat that finds out", Duration::from_secs(1), || world.queue.hidden("e1").len() == 1).await;
    world.objects.hold(false);
    world.until_still("what was begun is finished", || !world.records().is_empty()).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records().first().map(String::as_str), Some("e1"));
}

#[tokio::test]
async fn messages_that_wait_for_a_worker_are_kept_too() {
    let mut world = World::new();
    world.options.workers = 1;
    world.objects.hold(true);
    world.deliver("e1");
    world.deliver("e2");
    let running = world.start();
    world.until_still("both are received", || world.queue.received() == 2).await;
    let both = || ["e1", "e2"].iter().all(|id| world.queue.hidden(id).iter().any(|(wait, _)| *wait == 300));
    world.until_stepping("both have had a beat", Duration::from_millis(500), both).await;
    world.objects.hold(false);
    world.until("both are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.records().len(), world.queue.received()), (2, 2));
}
