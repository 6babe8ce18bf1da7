//! Each class of failure, as the table says: what becomes of the message, and what of the data.

use std::time::Duration;

use bytes::Bytes;
use cloudigrade_schemas::DeadLetterReason;
use serde_json::json;

use crate::limits::BACKOFF_MAX;
use crate::source::sqs::clock::Clock;
use crate::source::sqs::tests::world::{Answer, World, denied, failure, gzip, key, log_file, notify, throttled, uri};

/// A little more than a message rests at most.
const LONG: Duration = Duration::from_secs(16 * 60);

/// Lets a message be received `times` times in all.
async fn receives(world: &World, id: &str, times: u32) {
    for n in 1..=times {
        let what = format!("{id} is received {n} times");
        world.until(&what, || world.queue.receives(id) >= n || world.queue.left() == 0).await;
        world.until(&format!("delivery {n} is settled"), || world.queue.hidden(id).len() >= n as usize || world.queue.left() == 0).await;
        if n < times {
            world.clock.advance(LONG);
        }
    }
}

#[tokio::test]
async fn what_somebody_must_mend_is_never_deleted_and_degrades_readiness_until_it_works() {
    for (code, status) in
        [("AccessDenied", 403), ("KMS.DisabledException", 400), ("ExpiredToken", 400), ("NoSuchBucket", 404), ("WrongRegion", 301)]
    {
        let world = World::new();
        world.objects.put(&uri("e1"), [Answer::Fails(failure(code, status))]);
        world.queue.send("m1", notify(&["e1"], None));
        world.queue.received_before("m1", 40);
        let running = world.start();
        receives(&world, "m1", 46).await;
        assert_eq!((world.queue.left(), world.queue.deletes().len(), world.letters().len()), (1, 0, 0), "{code}");
        let rests = world.queue.hidden("m1");
        assert!(rests.iter().all(|(wait, _)| (60..=BACKOFF_MAX.as_secs()).contains(wait)), "{rests:?}");
        let problems = world.problems();
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with(&format!("s3://trail {code} {}", uri("e1"))), "{problems:?}");
        world.objects.put(&uri("e1"), [Answer::Content(log_file(&["e1"]))]);
        world.clock.advance(LONG);
        world.until("it is read and deleted", || world.queue.left() == 0).await;
        running.stop(&world).await.unwrap();
        assert_eq!((world.records(), world.problems()), (vec!["e1".to_owned()], Vec::new()), "{code}");
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_within_the_delivery_and_then_later() {
    let world = World::new();
    let (slow, cut) = (Answer::Fails(failure("SlowDown", 503)), Answer::Breaks(Bytes::from_static(b"\x1f\x8b")));
    let good = Answer::Content(log_file(&["e1"]));
    world.objects.put(&uri("e1"), [cut.clone(), slow.clone(), good.clone()]);
    world.queue.send("m1", notify(&["e1"], None));
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    assert_eq!((world.queue.received(), world.objects.opened().len()), (1, 3), "one delivery was enough");
    world.objects.put(&uri("e2"), [cut.clone(), slow.clone(), slow, cut, good]);
    world.queue.send("m2", notify(&["e2"], None));
    world.until("it rests", || !world.queue.hidden("m2").is_empty()).await;
    let (rest, _) = world.queue.hidden("m2")[0];
    assert!((3..=5).contains(&rest), "{rest}");
    world.clock.advance(Duration::from_secs(6));
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.letters().len(), world.problems().len()), (0, 0));
}

#[tokio::test]
async fn what_is_gone_is_given_up_at_the_last_receive_and_its_letter_is_durable_first() {
    for code in ["NoSuchKey", "NoSuchVersion"] {
        let world = World::new();
        world.objects.put(&uri("e1"), [Answer::Fails(failure(code, 404))]);
        world.queue.send("m1", notify(&["e1"], None));
        let log = world.log.clone();
        world.queue.before_delete(move |_| {
            let letters = crate::source::letters::open_letters(&log, |_| true).unwrap().letters;
            assert_eq!(letters.len(), 1, "deleted before the letter is durable");
        });
        let running = world.start();
        receives(&world, "m1", 4).await;
        assert_eq!((world.queue.left(), world.letters().len()), (1, 0));
        world.clock.advance(LONG);
        world.until("it is given up", || world.queue.left() == 0).await;
        running.stop(&world).await.unwrap();
        let letters = world.letters();
        assert_eq!((letters[0].reason, &letters[0].source), (DeadLetterReason::Gone, &uri("e1")));
        assert!(letters[0].detail.contains(code), "{}", letters[0].detail);
    }
}

#[tokio::test]
async fn content_that_cannot_be_used_is_given_up_at_the_second_receive() {
    let cut = log_file(&["e1"]).slice(..40);
    for (content, reason) in [
        (Bytes::from_static(b"hello"), DeadLetterReason::NotJson),
        (cut, DeadLetterReason::TruncatedGzip),
        (gzip(b"{\"a\":1}"), DeadLetterReason::NotCloudTrail),
    ] {
        let world = World::new();
        world.objects.put(&uri("e1"), [Answer::Content(content.clone())]);
        world.queue.send("m1", notify(&["e1"], Some(&content)));
        let running = world.start();
        receives(&world, "m1", 1).await;
        assert_eq!((world.queue.left(), world.letters().len()), (1, 0), "{reason:?}");
        world.clock.advance(LONG);
        world.until("it is given up", || world.queue.left() == 0).await;
        running.stop(&world).await.unwrap();
        let letters = world.letters();
        assert_eq!((letters.len(), letters[0].reason, &letters[0].source), (1, reason, &uri("e1")));
        assert!(!letters[0].first_bytes.is_empty());
    }
}

#[tokio::test]
async fn of_a_file_with_a_bad_record_the_rest_is_taken_at_once() {
    let world = World::new();
    let good = String::from_utf8(ungzip(&log_file(&["e1", "e2"]))).unwrap();
    let bad = good.replacen("\"eventID\":\"e2\"", "\"eventID\":\"e2\",\"x\":\u{1}", 1);
    world.objects.put(&uri("e1"), [Answer::Content(gzip(bad.as_bytes()))]);
    world.queue.send("m1", notify(&["e1"], None));
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.records(), world.queue.received()), (vec!["e1".to_owned()], 1));
    let letters = world.letters();
    assert_eq!((letters.len(), letters[0].index, letters[0].reason), (1, Some(1), DeadLetterReason::BadRecord));
}

fn ungzip(content: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(content), &mut text).unwrap();
    text
}

#[tokio::test]
async fn a_message_that_is_not_understood_becomes_a_letter_at_the_second_receive() {
    let world = World::new();
    let body = format!("{{\"hello\":\"{}\"}}", "x".repeat(5_000));
    world.queue.send("m1", body.clone());
    let running = world.start();
    receives(&world, "m1", 1).await;
    assert_eq!(world.letters().len(), 0);
    world.clock.advance(LONG);
    world.until("it is given up", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    let letter = &world.letters()[0];
    assert_eq!((letter.reason, letter.source.as_str()), (DeadLetterReason::Unrecognized, "sqs://trail-queue/m1"));
    assert_eq!(letter.first_bytes, body[..1024]);
}

#[tokio::test]
async fn what_sns_asks_about_a_subscription_is_answered_by_nobody_and_kept_nowhere() {
    let world = World::new();
    for (id, kind) in [("m1", "SubscriptionConfirmation"), ("m2", "UnsubscribeConfirmation")] {
        let url = "https://sns.example/?Action=ConfirmSubscription&Token=t";
        world.queue.send(id, json!({"Type": kind, "TopicArn": "arn:aws:sns:r:1:t", "Token": "t", "SubscribeURL": url}).to_string());
    }
    let running = world.start();
    world.until("they are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.queue.received(), world.letters().len(), world.objects.opened().len()), (2, 0, 0));
}

#[tokio::test]
async fn a_bucket_that_is_not_listed_is_never_asked_for() {
    let world = World::new();
    let body = json!({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "evil"}, "object": {"key": key("e1")}}}]});
    world.queue.send("m1", body.to_string());
    let running = world.start();
    receives(&world, "m1", 1).await;
    world.clock.advance(LONG);
    world.until("it is given up", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.letters()[0].reason, world.objects.opened().len()), (DeadLetterReason::BucketNotAllowed, 0));
}

#[tokio::test]
async fn one_object_that_is_denied_keeps_its_message_but_the_others_of_it_are_taken() {
    let world = World::new();
    world.objects.put(&uri("e1"), [Answer::Content(log_file(&["e1"]))]);
    world.objects.put(&uri("e2"), [Answer::Fails(failure("AccessDenied", 403))]);
    world.queue.send("m1", notify(&["e1", "e2", "gone"], None));
    world.queue.received_before("m1", 10);
    let running = world.start();
    world.until("it rests", || !world.queue.hidden("m1").is_empty()).await;
    assert_eq!((world.records(), world.queue.left(), world.letters().len()), (vec!["e1".to_owned()], 1, 1));
    world.objects.put(&uri("e2"), [Answer::Content(log_file(&["e2"]))]);
    world.clock.advance(LONG);
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), ["e1", "e2"]);
    assert_eq!(world.letters().len(), 1, "the same letter, once more, is one letter");
}

#[tokio::test]
async fn a_queue_that_refuses_degrades_readiness_until_it_answers() {
    let world = World::new();
    world.queue.fail_receives([throttled(), denied(), denied(), denied(), denied()]);
    let running = world.start();
    world.until("it is told", || !world.problems().is_empty()).await;
    assert!(world.problems()[0].starts_with("queue trail-queue AccessDenied https://sqs.us-east-1"), "{:?}", world.problems());
    world.deliver("e1");
    world.until_stepping("it is deleted", Duration::from_secs(1), || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_queue_that_cannot_be_reached_for_long_degrades_readiness_and_not_at_once() {
    let world = World::new();
    // Each of those that ask waits for one second, two, ... up to a minute.
    world.queue.fail_receives(std::iter::repeat_with(throttled).take(60));
    let running = world.start();
    let begun = world.clock.elapsed();
    world.until_stepping("it is told", Duration::from_secs(1), || !world.problems().is_empty()).await;
    assert!(world.clock.elapsed() - begun > Duration::from_secs(30), "it was told at once");
    world.deliver("e1");
    world.until_stepping("it is deleted", Duration::from_secs(30), || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
}
