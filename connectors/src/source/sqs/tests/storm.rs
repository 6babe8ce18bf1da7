//! All faults at once, with kills in between, by a seed: what is in the log at the end is what was in the bucket.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use cloudigrade_pipeline::simulated::{Chance, Faults};

use super::world::{Answer, DeleteFault, World, failure, log_file, notify, throttled, uri};

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Some failures, then the content.
fn answers(dice: &mut Dice, content: Bytes) -> Vec<Answer> {
    let faults = (0..dice.roll(5)).map(|_| match dice.roll(6) {
        0 => Answer::Fails(failure("SlowDown", 503)),
        1 => Answer::Fails(failure("InternalError", 500)),
        2 => Answer::Fails(failure("AccessDenied", 403)),
        3 => Answer::Fails(failure("NoSuchKey", 404)),
        _ => Answer::Breaks(content.clone()),
    });
    let mut answers: Vec<Answer> = faults.collect();
    answers.push(Answer::Content(content));
    answers
}

async fn storm(seed: u64) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    world.options.workers = 1 + dice.roll(6) as usize;
    world.options.max_receive_count = 100;
    // The log repeats by itself what got lost; the source sees nothing of it.
    world.log.set_faults(Faults { lost_request: Chance::per_mille(100), lost_reply: Chance::per_mille(100), ..Faults::none() });
    let names: Vec<String> = (0..40).map(|n| format!("e{n:02}")).collect();
    for name in &names {
        let content = log_file(&[name, &format!("{name}-second")]);
        world.objects.put(&uri(name), answers(&mut dice, content));
    }
    // Each object in one to three messages, in any order, alone or with others.
    let mut deliveries: Vec<&str> = names.iter().flat_map(|name| std::iter::repeat_n(name.as_str(), 1 + dice.roll(3) as usize)).collect();
    (1..deliveries.len()).rev().for_each(|at| deliveries.swap(at, dice.roll(at as u64 + 1) as usize));
    let mut message = 0;
    while !deliveries.is_empty() {
        let together = deliveries.split_off(deliveries.len() - (1 + dice.roll(4) as usize).min(deliveries.len()));
        world.queue.send(&format!("m{message}"), notify(&together, None));
        message += 1;
    }
    world.queue.fail_deletes((0..dice.roll(12)).map(|n| match n % 2 {
        0 => DeleteFault::Whole(throttled()),
        _ => DeleteFault::Some(vec![0, 2, 5], throttled()),
    }));
    for _ in 0..3 {
        let running = world.start();
        let some = world.queue.received() + 1 + dice.roll(30) as usize;
        world
            .until_stepping("some are received", Duration::from_secs(5), || world.queue.received() >= some || world.queue.left() == 0)
            .await;
        running.now.cancel();
        world.until_still("it is killed", || running.done.is_finished()).await;
        world.log.crash();
    }
    let running = world.start();
    world.until_stepping("all are deleted", Duration::from_secs(5), || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    let truth: BTreeSet<String> = names.iter().flat_map(|name| [name.clone(), format!("{name}-second")]).collect();
    assert_eq!(world.records().into_iter().collect::<BTreeSet<_>>(), truth, "seed {seed}");
    assert_eq!(world.letters(), Vec::new(), "seed {seed}: nothing was wrong for good");
    assert_eq!(world.problems(), Vec::<String>::new(), "seed {seed}: all that was denied works");
}

#[tokio::test]
async fn nothing_is_lost_nothing_is_given_up_and_all_is_deleted_whatever_fails() {
    for seed in 1..=12 {
        storm(seed).await;
    }
}
