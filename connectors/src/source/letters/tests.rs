//! Replaying and dropping, against a bucket that was mended.

use std::sync::Arc;

use bytes::Bytes;
use cloudigrade_pipeline::log::Position;
use cloudigrade_schemas::{DeadLetter, DeadLetterReason, Resolution, UtcSecond};
use globset::{Glob, GlobSetBuilder};

use super::*;
use crate::source::again::Places;
use crate::source::sqs::tests::world::{Answer, World, gzip, log_file, uri};

const NOW: UtcSecond = UtcSecond(1_700_000_000);

/// A letter about an object, as the source writes it.
async fn letter(committer: &Committer, source: &str, index: Option<u64>, reason: DeadLetterReason) -> DeadLetter {
    let letter = DeadLetter::new(source.into(), index, reason, "why".into(), b"x", NOW);
    let messages = vec![letter_message(&letter).unwrap()];
    committer.commit(Entry { messages, ..Entry::default() }).await.unwrap();
    letter
}

fn places(world: &World) -> Places {
    Places::of(world.objects.clone(), None)
}

async fn replay_all(world: &World, committer: &Committer, places: &Places) -> Replayed {
    replay(committer, world.letters(), places, CodecLimits::default(), "ann", NOW).await.unwrap()
}

#[tokio::test]
async fn what_is_mended_is_read_again_and_its_letters_are_replayed() {
    let world = World::new();
    let committer = world.committer();
    let gone = letter(&committer, &uri("e1"), None, DeadLetterReason::Gone).await;
    let denied = letter(&committer, &uri("e1"), None, DeadLetterReason::BucketNotAllowed).await;
    world.objects.put(&uri("e1"), [Answer::Content(log_file(&["e1"]))]);
    let replayed = replay_all(&world, &committer, &places(&world)).await;
    let mut expected = vec![gone.id.clone(), denied.id];
    expected.sort();
    assert_eq!((sorted(replayed.resolved), replayed.open.len(), replayed.records), (expected, 0, 1));
    assert_eq!((world.letters().len(), world.records()), (0, vec!["e1".to_owned()]));
    assert_eq!(world.objects.opened().len(), 1, "one object is read once for all its letters");
    // Once more, by somebody who had listed them before.
    let again = replay(&committer, vec![gone], &places(&world), CodecLimits::default(), "ann", NOW).await.unwrap();
    assert_eq!((again.resolved.len(), world.letters().len()), (1, 0));
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test]
async fn what_fails_again_stays_open_with_the_reason_of_today() {
    let world = World::new();
    let committer = world.committer();
    let still = letter(&committer, &uri("e1"), None, DeadLetterReason::NotJson).await;
    let missing = letter(&committer, &uri("e2"), None, DeadLetterReason::Gone).await;
    let message = letter(&committer, "sqs://q/m", None, DeadLetterReason::Unrecognized).await;
    world.objects.put(&uri("e1"), [Answer::Content(Bytes::from_static(b"hello"))]);
    let replayed = replay_all(&world, &committer, &places(&world)).await;
    assert_eq!(replayed.resolved, Vec::<String>::new());
    let why = |id: &str| replayed.open.iter().find(|(open, _)| open == id).unwrap().1.clone();
    assert!(why(&still.id).contains("neither gzip nor JSON"), "{}", why(&still.id));
    assert!(why(&missing.id).contains("NoSuchKey"), "{}", why(&missing.id));
    assert!(why(&message.id).contains("no object that can be read again"), "{}", why(&message.id));
    assert_eq!(world.letters().len(), 3);
}

#[tokio::test]
async fn of_a_file_that_is_partly_mended_the_other_letters_stay_open() {
    let world = World::new();
    let committer = world.committer();
    let good = log_file(&["e1", "e2"]);
    let mended = letter(&committer, &uri("f"), Some(0), DeadLetterReason::BadRecord).await;
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&good[..]), &mut text).unwrap();
    let bad = String::from_utf8(text).unwrap().replacen("\"eventID\":\"e2\"", "\"eventID\":\"e2\",\"x\":\u{1}", 1);
    let open = letter(&committer, &uri("f"), Some(1), DeadLetterReason::BadRecord).await;
    world.objects.put(&uri("f"), [Answer::Content(gzip(bad.as_bytes()))]);
    let replayed = replay_all(&world, &committer, &places(&world)).await;
    assert_eq!((replayed.resolved, replayed.open.len()), (vec![mended.id], 1));
    assert_eq!((world.letters()[0].id.clone(), world.records()), (open.id, vec!["e1".to_owned()]));
}

#[tokio::test]
async fn a_letter_about_a_version_reads_that_version() {
    let world = World::new();
    let committer = world.committer();
    world.objects.put(&uri("e1"), [Answer::Content(log_file(&["e1"]))]);
    let letter = DeadLetter::new(uri("e1"), None, DeadLetterReason::Gone, "why".into(), b"", NOW).with_version(Some("v1".into()));
    let replayed = replay(&committer, vec![letter], &places(&world), CodecLimits::default(), "ann", NOW).await.unwrap();
    assert_eq!(replayed.resolved.len(), 1);
}

#[tokio::test]
async fn a_bucket_that_is_not_listed_is_not_read_by_a_replay_either() {
    let world = World::new();
    let committer = world.committer();
    letter(&committer, "s3://evil/k.json.gz", None, DeadLetterReason::BucketNotAllowed).await;
    let allowed = GlobSetBuilder::new().add(Glob::new("trail").unwrap()).build().unwrap();
    let replayed = replay_all(&world, &committer, &Places::of(world.objects.clone(), Some(allowed))).await;
    assert!(replayed.open[0].1.contains("bucket is not listed"));
    assert_eq!(world.objects.opened().len(), 0);
}

#[tokio::test]
async fn files_of_a_disk_are_read_again_too() {
    let world = World::new();
    let committer = world.committer();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap().join("a.json.gz");
    letter(&committer, &path.to_string_lossy(), None, DeadLetterReason::TruncatedGzip).await;
    let missing = replay_all(&world, &committer, &places(&world)).await;
    assert!(missing.open[0].1.contains("no such file"), "{:?}", missing.open);
    std::fs::write(&path, log_file(&["e1"])).unwrap();
    assert_eq!(replay_all(&world, &committer, &places(&world)).await.resolved.len(), 1);
    assert_eq!(world.records(), ["e1"]);
}

#[tokio::test]
async fn dropped_letters_are_open_no_more_and_say_who_dropped_them() {
    let world = World::new();
    let committer = world.committer();
    let dropped = letter(&committer, &uri("e1"), None, DeadLetterReason::Gone).await;
    let kept = letter(&committer, &uri("e2"), None, DeadLetterReason::Gone).await;
    let count = discard(&committer, &[dropped.clone(), dropped.clone()], "ann", NOW).await.unwrap();
    assert_eq!((count, world.letters().iter().map(|letter| letter.id.clone()).collect::<Vec<_>>()), (1, vec![kept.id]));
    let from =
        Position { topic: Topic::DeadLetters, partition: cloudigrade_schemas::topic::partition_of(dropped.id.as_bytes(), 4), offset: 0 };
    let records = world.log.read(from, PollLimits::default()).unwrap();
    let last: DeadLetter = records
        .iter()
        .rev()
        .map(|record| serde_json::from_slice(&record.value).unwrap())
        .find(|letter: &DeadLetter| letter.id == dropped.id)
        .unwrap();
    assert_eq!((last.resolution, last.resolved_by.as_deref(), last.resolved_at), (Some(Resolution::Dropped), Some("ann"), Some(NOW)));
    // The same failure once more is news.
    letter(&committer, &uri("e1"), None, DeadLetterReason::Gone).await;
    assert_eq!(world.letters().len(), 2);
}

#[tokio::test]
async fn only_wanted_letters_are_found() {
    let world = World::new();
    let committer = world.committer();
    for n in 0..20 {
        letter(&committer, &uri(&format!("e{n}")), None, DeadLetterReason::Gone).await;
    }
    let found = open_letters(&world.log, |letter| letter.source.contains("e1")).unwrap();
    assert_eq!((found.letters.len(), found.more), (11, false));
    let _: Arc<dyn crate::source::sqs::objects::Objects> = world.objects.clone();
}
