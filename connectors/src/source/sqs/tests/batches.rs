//! Deletes go ten a request, after the commit, each as often as it needs.

use crate::source::sqs::tests::world::{DeleteFault, World, throttled};

/// Delivers `count` messages and waits until all of them are deleted. Gives the sizes of the requests.
async fn delete_sizes(count: usize) -> Vec<usize> {
    let world = World::new();
    let log = world.log.clone();
    world.queue.before_delete(move |id| {
        let known = crate::source::sqs::tests::world::record_ids(&log);
        assert!(known.contains(&id.to_owned()), "{id} is deleted before it is in the log");
    });
    let names: Vec<String> = (0..count).map(|n| format!("e{n:02}")).collect();
    names.iter().for_each(|name| world.deliver(name));
    let running = world.start();
    world.until("all are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), names);
    world.queue.deletes().iter().map(Vec::len).collect()
}

#[tokio::test]
async fn of_9_10_11_20_and_21_messages_each_is_deleted_once_and_after_its_commit() {
    for count in [1, 9, 10, 11, 20, 21] {
        let sizes = delete_sizes(count).await;
        assert_eq!(sizes.iter().sum::<usize>(), count, "{sizes:?}");
        assert!(sizes.iter().all(|size| (1..=10).contains(size)), "{count}: {sizes:?}");
    }
}

#[tokio::test]
async fn messages_that_are_done_together_are_deleted_together() {
    let world = World::new();
    let names: Vec<String> = (0..21).map(|n| format!("e{n:02}")).collect();
    names.iter().for_each(|name| world.deliver(name));
    let running = world.start();
    world.until_still("all are committed", || world.records().len() == 21).await;
    world.until("all are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert!(world.queue.deletes().len() <= 5, "{:?}", world.queue.deletes());
}

#[tokio::test]
async fn those_that_fail_are_tried_again_by_themselves() {
    let world = World::new();
    (0..10).for_each(|n| world.deliver(&format!("e{n}")));
    world.queue.fail_deletes([DeleteFault::Some(vec![0, 3], throttled()), DeleteFault::Whole(throttled())]);
    let running = world.start();
    world.until("all are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    let deletes = world.queue.deletes();
    let asked: usize = deletes.iter().map(Vec::len).sum();
    assert!(asked > 10 && deletes.iter().all(|ids| ids.len() <= 10), "{deletes:?}");
    assert_eq!(world.queue.received(), 10, "nothing was delivered again");
}

#[tokio::test]
async fn a_message_whose_delete_never_arrives_is_delivered_again_and_changes_nothing() {
    let world = World::new();
    world.deliver("e1");
    world.queue.fail_deletes(std::iter::repeat_n(DeleteFault::Whole(throttled()), 5));
    let running = world.start();
    world.until("the delete is given up", || world.queue.deletes().len() == 5).await;
    let opened = world.objects.opened().len();
    world.clock.advance(world.options.visibility_timeout);
    world.until("the second delivery is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.records(), world.queue.received()), (vec!["e1".to_owned()], 2));
    assert_eq!(world.objects.opened().len(), opened + 1, "it is known before it is read");
}
