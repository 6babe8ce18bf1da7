//! What messages bring into the log.

use serde_json::json;

use crate::source::sqs::tests::world::{Answer, World, gzip, key, log_file, notify, uri};

#[tokio::test]
async fn deliveries_that_are_repeated_and_out_of_order_bring_each_record_once() {
    let world = World::new();
    let contents: Vec<_> = ["a", "b", "c"].map(|name| (name, log_file(&[name]))).into();
    contents.iter().for_each(|(name, content)| world.objects.put(&uri(name), [Answer::Content(content.clone())]));
    let running = world.start();
    for (round, order) in [["c", "a", "b"], ["b", "b", "a"], ["a", "c", "c"]].into_iter().enumerate() {
        for (at, name) in order.into_iter().enumerate() {
            let content = &contents.iter().find(|(of, _)| *of == name).unwrap().1;
            // With its size and ETag it is known before it is asked for, without them once it is.
            world.queue.send(&format!("m{round}{at}"), notify(&[name], (round == 1).then_some(content)));
        }
        world.until("all are deleted", || world.queue.left() == 0).await;
    }
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), ["a", "b", "c"]);
}

#[tokio::test]
async fn what_the_log_knows_is_not_asked_for_again() {
    let world = World::new();
    let content = log_file(&["a"]);
    world.objects.put(&uri("a"), [Answer::Content(content.clone())]);
    world.queue.send("m1", notify(&["a"], Some(&content)));
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    world.queue.send("m2", notify(&["a", "a"], Some(&content)));
    world.until("it is deleted", || world.queue.left() == 0).await;
    assert_eq!(world.objects.opened().len(), 1);
    let changed = log_file(&["a", "b"]);
    world.objects.put(&uri("a"), [Answer::Content(changed.clone())]);
    world.queue.send("m3", notify(&["a"], Some(&changed)));
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.records(), world.objects.opened().len()), (vec!["a".to_owned(), "a".into(), "b".into()], 2));
}

#[tokio::test]
async fn a_message_of_many_objects_is_deleted_when_the_last_is_durable() {
    let world = World::new();
    let names: Vec<String> = (0..150).map(|n| format!("e{n:03}")).collect();
    names.iter().for_each(|name| world.objects.put(&uri(name), [Answer::Content(log_file(&[name]))]));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let log = world.log.clone();
    world.queue.before_delete(move |_| assert_eq!(crate::source::sqs::tests::world::record_ids(&log).len(), 150));
    world.queue.send("m1", notify(&all, None));
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), names);
    assert!(world.objects.reading().1 <= 4, "{} objects were read at once by 4 workers", world.objects.reading().1);
}

#[tokio::test]
async fn what_needs_nothing_done_is_deleted_and_nothing_is_asked_for() {
    let world = World::new();
    world.queue.send("test", r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"trail"}"#);
    world.queue.send("validation", "CloudTrail validation message.");
    world.queue.send("empty", r#"{"Records":[]}"#);
    world.queue.send("deleted", notify(&["e1"], None).replace("ObjectCreated:Put", "ObjectRemoved:Delete"));
    world.queue.send("insight", notify(&["e1"], None).replace("/CloudTrail/", "/CloudTrail-Insight/"));
    world.queue.send("config", notify(&["e1"], None).replace("/CloudTrail/", "/Config/"));
    let running = world.start();
    world.until("all are deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((world.records().len(), world.letters().len(), world.objects.opened().len()), (0, 0, 0));
}

#[tokio::test]
async fn a_change_of_state_is_an_observation_in_the_log() {
    let world = World::new();
    let event = json!({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "account": "000000000012",
        "time": "2024-03-01T09:00:00Z", "region": "eu-west-1", "detail": {"instance-id": "i-1", "state": "stopped"}});
    world.queue.send("m1", event.to_string());
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), ["observe:i-1:-:stopped:2024-03-01T09:00:00Z"]);
}

#[tokio::test]
async fn digests_are_read_whatever_is_included_and_are_known_from_then_on() {
    let mut world = World::new();
    world.options.include = vec!["copies/**".into()];
    let digest_uri = uri("d1").replace("/CloudTrail/", "/CloudTrail-Digest/");
    let content = gzip(
        json!({"awsAccountId": "000000000012", "digestStartTime": "2024-03-01T08:00:00Z", "digestEndTime": "2024-03-01T09:00:00Z",
            "digestS3Bucket": "trail", "digestS3Object": key("d1").replace("/CloudTrail/", "/CloudTrail-Digest/"), "logFiles": []})
        .to_string()
        .as_bytes(),
    );
    world.objects.put(&digest_uri, [Answer::Content(content.clone())]);
    let body = notify(&["d1"], Some(&content)).replace("/CloudTrail/", "/CloudTrail-Digest/");
    world.queue.send("m1", body.clone());
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    let read = world.objects.opened().len();
    world.queue.send("m2", body);
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!((read, world.objects.opened().len(), world.records().len()), (1, 1, 0));
    assert_eq!(world.letters(), Vec::new());
}

#[tokio::test]
async fn keys_with_signs_in_them_are_asked_for_as_they_are() {
    let mut world = World::new();
    world.options.include = vec!["odd/**".into()];
    let name = "odd/a b+c=d/ü.json.gz";
    world.objects.put(&format!("s3://trail/{name}"), [Answer::Content(log_file(&["e1"]))]);
    world.queue.send("m1", notify(&["x"], None).replace(&key("x"), "odd%2Fa+b%2Bc%3Dd%2F%C3%BC.json.gz"));
    let running = world.start();
    world.until("it is deleted", || world.queue.left() == 0).await;
    running.stop(&world).await.unwrap();
    assert_eq!(world.records(), ["e1"]);
}
