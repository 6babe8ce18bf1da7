//! The envelope of public messages: CloudEvents 1.0, Kafka's binary mode. The value is the message itself, the envelope is in headers.

use cloudigrade_pipeline::log::Output;
use rdkafka::message::{Header, OwnedHeaders};
use sha2::{Digest, Sha256};

/// Where events come from, as a reference relative to the cluster.
const SOURCE: &str = "/cloudigrade";
/// Bytes of the hash that an event's id shows.
const ID_BYTES: usize = 16;

/// The headers of a record of a public topic; others have none.
pub(super) fn headers(output: &Output) -> Option<OwnedHeaders> {
    if !output.topic.is_public() {
        return None;
    }
    let (id, kind, time) = (id(output), format!("cloudigrade.{}", output.topic.name()), output.entered_at.to_string());
    let told = [
        ("ce_specversion", "1.0"),
        ("ce_id", id.as_str()),
        ("ce_source", SOURCE),
        ("ce_type", kind.as_str()),
        ("ce_time", time.as_str()),
        ("content-type", "application/json"),
    ];
    let headers = OwnedHeaders::new_with_capacity(told.len());
    Some(told.into_iter().fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) })))
}

/// The same for the same content, whoever sends it and however often: consumers may drop what they have seen.
fn id(output: &Output) -> String {
    let mut hash = Sha256::new();
    for part in [output.topic.name().as_bytes(), &output.key, &output.value] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::{Topic, UtcSecond};

    use super::*;

    fn output(topic: Topic, key: &str, value: &str) -> Output {
        Output { topic, partition: 0, key: key.into(), value: value.into(), entered_at: UtcSecond(1_700_000_000) }
    }

    #[test]
    fn an_events_id_tells_contents_apart_and_nothing_else() {
        let first = id(&output(Topic::Images, "k", "v"));
        assert_eq!(first, id(&Output { entered_at: UtcSecond(0), ..output(Topic::Images, "k", "v") }));
        for other in [output(Topic::Inspections, "k", "v"), output(Topic::Images, "kv", ""), output(Topic::Images, "k", "w")] {
            assert_ne!(first, id(&other));
        }
        assert_eq!(first.len(), 2 * ID_BYTES);
    }

    #[test]
    fn only_public_topics_have_an_envelope() {
        assert!(headers(&output(Topic::InspectionFindings, "k", "v")).is_some());
        assert!(headers(&output(Topic::Tokens, "k", "v")).is_none());
    }
}
