//! Stopping in two stages, and when the log fails.

use std::time::Duration;

use crate::source::sqs::tests::world::World;

#[tokio::test]
async fn what_was_not_committed_is_given_back_at_once_and_what_was_is_deleted() {
    let world = World::new();
    world.deliver("done");
    let running = world.start();
    world.until_still("the first is durable", || !world.records().is_empty()).await;
    world.objects.hold(true);
    world.deliver("held");
    world.until_still("the second is being read", || world.objects.reading().0 == 1).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.queue.deletes().concat(), world.queue.left()), (vec!["done".to_owned()], 1));
    assert_eq!(world.queue.hidden("held").last().map(|(wait, _)| *wait), Some(0), "it is visible to others at once");
    world.objects.hold(false);
    let running = world.start();
    world.until("the next process takes it", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), ["done", "held"]);
}

#[tokio::test]
async fn after_stop_nothing_more_is_received() {
    let world = World::new();
    let running = world.start();
    world.deliver("e1");
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    world.deliver("e2");
    world.clock.advance(Duration::from_secs(60));
    tokio::task::yield_now().await;
    assert_eq!((world.queue.received(), world.queue.left()), (1, 1));
}

#[tokio::test]
async fn the_second_signal_ends_it_at_once_and_what_is_left_comes_back() {
    let world = World::new();
    world.objects.hold(true);
    world.deliver("e1");
    let running = world.start();
    world.until_still("it is being read", || world.objects.reading().0 == 1).await;
    running.now.cancel();
    world.until_still("the source ends", || running.done.is_finished()).await;
    running.done.await.unwrap().unwrap();
    assert_eq!((world.queue.left(), world.queue.deletes().len()), (1, 0));
    world.objects.hold(false);
    world.clock.advance(world.options.visibility_timeout);
    let running = world.start();
    world.until("it was delivered again and is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), ["e1"]);
}

#[tokio::test]
async fn a_log_that_fails_ends_the_source_and_nothing_is_deleted() {
    let world = World::new();
    let running = world.start();
    world.log.crash();
    world.deliver("e1");
    world.until("the source ends", || running.done.is_finished()).await;
    let failed = running.done.await.unwrap().unwrap_err();
    assert!(failed.to_string().starts_with("nothing enters the log any more"), "{failed}");
    assert_eq!((world.queue.left(), world.queue.deletes().len()), (1, 0));
    let running = world.start();
    world.until("with the log open again it is taken", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), ["e1"]);
}

#[tokio::test]
async fn killed_between_commit_and_delete_a_message_is_delivered_again_and_changes_nothing() {
    let world = World::new();
    world.deliver("e1");
    let running = world.start();
    world.until_still("it is durable", || !world.records().is_empty()).await;
    // The clock has not moved: the delete still waits for others to go with it.
    running.now.cancel();
    world.until_still("the source ends", || running.done.is_finished()).await;
    assert_eq!((world.queue.left(), world.queue.deletes().len()), (1, 0));
    world.log.crash();
    world.clock.advance(world.options.visibility_timeout);
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.records(), world.queue.received()), (vec!["e1".to_owned()], 2));
}
