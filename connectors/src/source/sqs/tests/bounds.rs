//! The queue is asked only while there is room.

use std::time::Duration;

use crate::limits::{LIVE_BYTES_MAX, MESSAGES_PER_WORKER, OBJECTS_WAITING_PER_WORKER, QUEUE_BATCH_MAX, RECEIVERS};
use crate::source::sqs::tests::world::{Answer, World, log_file, notify, uri};

#[tokio::test]
async fn while_objects_wait_for_workers_no_more_messages_are_received() {
    let mut world = World::new();
    world.options.workers = 2;
    world.objects.hold(true);
    (0..500).for_each(|n| world.deliver(&format!("e{n:03}")));
    let running = world.start();
    world.until_still("both workers are busy", || world.objects.reading().0 == 2).await;
    // Enough for any receive that would still be made.
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    let in_line = 2 * (1 + OBJECTS_WAITING_PER_WORKER);
    let most = in_line + RECEIVERS * QUEUE_BATCH_MAX;
    assert!(world.queue.received() <= most, "{} messages for 2 workers", world.queue.received());
    world.objects.hold(false);
    world.until("all are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.records().len(), world.objects.reading().1), (500, 2));
}

#[tokio::test]
async fn an_object_that_fills_the_room_is_read_alone_and_holds_the_queue_back() {
    let world = World::new();
    let large = vec![b' '; LIVE_BYTES_MAX + 1];
    world.objects.put(&uri("large"), [Answer::Content(large.into())]);
    world.objects.hold(true);
    world.queue.send("large", notify(&["large"], None));
    let running = world.start();
    world.until_still("the large one is being read", || world.objects.reading().0 == 1).await;
    (0..200).for_each(|n| world.deliver(&format!("e{n:03}")));
    world.until_stepping("the receivers that already asked are answered", Duration::from_millis(200), || world.queue.received() > 1).await;
    assert!(world.queue.received() <= 1 + RECEIVERS * QUEUE_BATCH_MAX, "{}", world.queue.received());
    assert!(world.records().is_empty());
    world.objects.hold(false);
    world.until("the small ones are deleted", || world.queue.left() <= 1).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records().len(), 200);
}

#[tokio::test]
async fn messages_in_hand_are_bounded_while_the_log_is_slow() {
    // No log is slow in a test; deletes are: they hold their messages as well.
    let mut world = World::new();
    world.options.workers = 1;
    (0..200).for_each(|n| world.objects.put(&uri(&format!("e{n:03}")), [Answer::Content(log_file(&["e"]))]));
    (0..200).for_each(|n| world.queue.send(&format!("e{n:03}"), notify(&[&format!("e{n:03}")], None)));
    let running = world.start();
    world.until_still("the messages in hand are as many as may be", || world.queue.received() >= MESSAGES_PER_WORKER).await;
    assert!(world.queue.received() - world.queue.deletes().concat().len() <= MESSAGES_PER_WORKER);
    world.until("all are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
}
