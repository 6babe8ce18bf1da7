//! The files of this folder say what the types say. `UPDATE_SCHEMAS=1 cargo test -p cloudigrade-schemas` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that can not go on panics")]

use std::fmt::Write as _;
use std::path::Path;

use cloudigrade_schemas::table::{Column, INSTANCE_TYPES, STORED, Table};
use cloudigrade_schemas::{
    Account, AccountCommand, Coverage, DeadLetter, Findings, Gap, Image, ImageFact, ImageSighting, ImageTag, Inspection, InspectionCommand,
    InstanceMonth, Observation, PowerEvent, Token, Topic, TrailRecord, User,
};
use schemars::{JsonSchema, schema_for};
use serde_json::json;

fn hold(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, expected,
        "{file} differs from the types: run UPDATE_SCHEMAS=1 cargo test -p cloudigrade-schemas, and change it by addition only"
    );
}

fn hold_schema<T: JsonSchema>(topic: &str) {
    let schema = serde_json::to_string_pretty(&schema_for!(T)).unwrap();
    hold(&format!("json/{topic}.schema.json"), &format!("{schema}\n"));
}

#[test]
fn the_json_schemas_are_those_of_the_messages() {
    hold_schema::<TrailRecord<'_>>("cloudtrail.records");
    hold_schema::<PowerEvent>("power.events");
    hold_schema::<InstanceMonth>("instance.intervals");
    hold_schema::<Coverage>("coverage");
    hold_schema::<DeadLetter>("dead.letters");
    hold_schema::<Findings>("inspection.findings");
    hold_schema::<InspectionCommand>("inspection.commands");
    hold_schema::<Inspection>("inspections");
    hold_schema::<AccountCommand>("account.commands");
    hold_schema::<Account>("accounts");
    hold_schema::<ImageFact>("image.facts");
    hold_schema::<ImageTag>("image.tags");
    hold_schema::<ImageSighting>("image.sightings");
    hold_schema::<Image>("images");
    hold_schema::<User>("users");
    hold_schema::<Token>("tokens");
    hold_schema::<Gap>("gaps");
    hold_schema::<Observation<'_>>("observation");
}

/// The topics that others may read, with what is in them and what their keys are.
const PUBLIC: [(Topic, &str, &str); 3] = [
    (Topic::Images, "Machine images as they stand: what is in each, by which evidence. The latest of each key holds.", "The image."),
    (Topic::Inspections, "Attempts to read the disks of images, as they stand. The latest of each key holds.", "The attempt's id."),
    (Topic::InspectionFindings, "What was found on the disks of an image, one message each time that it was read.", "The image."),
];

#[test]
fn the_asyncapi_document_describes_the_public_topics_by_their_schemas() {
    assert_eq!(PUBLIC.map(|(topic, ..)| topic).to_vec(), Topic::ALL.into_iter().filter(|topic| topic.is_public()).collect::<Vec<_>>());
    let text = |description: &str| json!({"type": "string", "description": description});
    let channel = |(topic, meaning, key): (Topic, &str, &str)| {
        let name = topic.name();
        let headers = json!({
            "type": "object",
            "description": "On Kafka, a CloudEvent in binary mode.",
            "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
            "properties": {
                "ce_specversion": {"const": "1.0"},
                "ce_id": text("The same for the same content: who has seen it may drop the message."),
                "ce_source": text("Where it comes from."),
                "ce_type": {"const": format!("cloudigrade.{name}")},
                "ce_time": {"type": "string", "format": "date-time", "description": "When the fact behind it entered the log."},
                "content-type": {"const": "application/json"},
            },
        });
        let message = json!({
            "name": name,
            "contentType": "application/json",
            "headers": headers,
            "payload": {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": {"$ref": format!("./json/{name}.schema.json")}},
            "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
        });
        (name.to_owned(), json!({"address": name, "description": meaning, "messages": {name: message}}))
    };
    let operation = |(topic, ..): (Topic, &str, &str)| {
        let name = topic.name();
        (format!("send.{name}"), json!({"action": "send", "channel": {"$ref": format!("#/channels/{name}")}}))
    };
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "cloudigrade",
            "version": "1",
            "description": concat!(
                "Topics that others may read. They change only by addition: who reads them must pass over what they do not know. ",
                "On Kafka their names follow the log's prefix. A consumer to begin with: examples/consume_findings.py."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "channels": PUBLIC.into_iter().map(channel).collect::<serde_json::Map<_, _>>(),
        "operations": PUBLIC.into_iter().map(operation).collect::<serde_json::Map<_, _>>(),
    });
    hold("asyncapi.json", &format!("{}\n", serde_json::to_string_pretty(&document).unwrap()));
}

#[test]
fn the_description_of_the_tables_is_that_of_the_sql_contract() {
    let mut text = String::from(
        "# Tables\n\nNames and types are a contract: they change only by addition. Null means \"not known\", and for an end \"not yet\".\n",
    );
    for table in STORED.into_iter().chain([INSTANCE_TYPES]) {
        describe(&mut text, &table).unwrap();
    }
    hold("tables.md", &text);
}

fn describe(text: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(text, "\n## {}\n\n{}\n", table.name, table.meaning)?;
    describe_columns(text, table.columns)?;
    if !table.stored.is_empty() {
        writeln!(text, "\nThe stored files have these columns too; SQL does not show them:\n")?;
        describe_columns(text, table.stored)?;
    }
    Ok(())
}

fn describe_columns(text: &mut String, columns: &[Column]) -> std::fmt::Result {
    writeln!(text, "| column | type | null | meaning |\n|---|---|---|---|")?;
    columns.iter().try_for_each(|column| {
        let null = if column.nullable { "yes" } else { "no" };
        writeln!(text, "| `{}` | {} | {null} | {} |", column.name, column.kind.sql_name(), column.meaning)
    })
}

/// Messages as the first version wrote them. Newer readers must read them for ever.
#[test]
fn messages_of_the_first_version_are_read() {
    let event = r#"{"account_id":"012345678901","region":"us-east-1","instance_id":"i-1","event_id":"e","change":{"occurred_at":"2024-03-01T09:00:00Z","action":"RunInstances","instance_type":"m5.large","image_id":"ami-1","source":{"uri":"s3://b/k","index":7}}}"#;
    let event: PowerEvent = serde_json::from_str(event).unwrap();
    assert_eq!((event.telling, event.change.map(|change| change.source.index)), (0, Some(7)));
    let month = r#"{"account_id":"012345678901","region":"us-east-1","instance_id":"i-1","month":"open","revision":1,"intervals":[{"start":{"at":"2024-03-01T09:00:00Z","kind":"RunInstances","event_id":"e","source":{"uri":"f","index":0}}}],"events":[]}"#;
    let month: InstanceMonth = serde_json::from_str(month).unwrap();
    assert!(month.intervals[0].end.is_none());
    let coverage: Coverage = serde_json::from_str(r#"{"account_id":"1","region":"r","complete_through":"2024-03-01T09:00:00Z"}"#).unwrap();
    assert_eq!(coverage.to_key(), "1/r");
    let letter = r#"{"id":"0","source":"f","reason":"not_json","detail":"d","first_bytes":"x","found_at":"2024-03-01T09:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<DeadLetter>(letter).unwrap().index, None);
    let fact = r#"{"image_id":"ami-1","region":"r","at":"2024-03-01T09:00:00Z","source":"s","fact":{"kind":"unavailable"}}"#;
    let fact: ImageFact = serde_json::from_str(fact).unwrap();
    assert_eq!(fact.to_key(), "r/ami-1/metadata", "as it was written");
    let findings: Findings = serde_json::from_str(FINDINGS_OF_THE_FIRST_INSPECTOR).unwrap();
    let image = &findings.images["ami-0123"];
    assert_eq!((image.rhel_version.as_deref(), image.is_rhel), (Some("7.4"), None));
    assert_eq!(image.drives["/dev/xvdbb"]["/dev/xvdbb1"].facts.as_ref().unwrap().rhel_signed_packages.rhel_signed_package_count, 448);
}

/// Messages of the first version that had them, as they were written then.
#[test]
fn messages_about_inspections_of_the_first_version_are_read() {
    let image = r#"{"image_id":"ami-1","region":"r","status":"inspected","status_reason":"Its disks were read.","metadata":null,"is_encrypted":false,"is_marketplace":false,"is_cloud_access":false,"rhel_detected":true,"openshift_detected":null,"rhel_version":"9.4","billing_model":"byos","architecture":"x86_64","syspurpose":null,"evidence":[],"overrides":[],"first_seen_at":null,"changed_at":"2024-03-01T09:00:00Z","used_by":[]}"#;
    assert_eq!(serde_json::from_str::<Image>(image).unwrap().inspection, None);
    let inspection = r#"{"command_id":"0123456789abcdef0123456789abcdef","image_id":"ami-1","region":"r","attempt":1,"state":"sharing","way":"scanner","due_at":"2024-03-01T09:00:00Z","created_at":"2024-03-01T09:00:00Z","state_since":"2024-03-01T09:00:00Z","changed_at":"2024-03-01T09:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<Inspection>(inspection).unwrap().made.volume_id, None);
    let command = r#"{"command_id":"0123456789abcdef0123456789abcdef","image_id":"ami-1","region":"r","attempt":1,"order":"inspect","after":"2024-03-01T09:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<InspectionCommand>(command).unwrap().by, None);
    let fact = r#"{"image_id":"ami-1","region":"r","at":"2024-03-01T09:00:00Z","source":"s","fact":{"kind":"inspection","attempt":2,"progress":{"stage":"ended","end":{"kind":"special","special":"encrypted","detail":"d"}}}}"#;
    assert_eq!(serde_json::from_str::<ImageFact>(fact).unwrap().to_key(), "r/ami-1/inspection");
    let fact = r#"{"image_id":"ami-1","region":"r","at":"2024-03-01T09:00:00Z","source":"s","fact":{"kind":"inspection_request","wanted":"inspect","by":"ann","after_attempt":0}}"#;
    assert_eq!(serde_json::from_str::<ImageFact>(fact).unwrap().to_key(), "r/ami-1/inspection_request");
}

/// As the inspector before houndigrade wrote them.
const FINDINGS_OF_THE_FIRST_INSPECTOR: &str = r#"{"cloud":"aws","errors":[],"images":{"ami-0123":{"rhel_found":true,
"rhel_signed_packages_found":true,"rhel_product_certs_found":true,"rhel_release_files_found":true,"rhel_enabled_repos_found":true,
"rhel_version":"7.4","syspurpose":{"role":"r","service_level_agreement":"s","usage":"u","service_type":"t"},"errors":[],
"drives":{"/dev/xvdbb":{"/dev/xvdbb1":{"facts":{"rhel_release_files":{"rhel_found":true,"release_files":[{"rhel_release_file":
"/etc/redhat-release","rhel_release_file_contents":"x","rhel_found":true}]},"rhel_product_certs":{"rhel_found":true,"rhel_pem_files":
["/mnt/inspect/etc/pki/product/69.pem"]},"rhel_signed_packages":{"rhel_found":true,"rhel_signed_package_count":448},
"rhel_enabled_repos":{"rhel_found":true,"rhel_enabled_repos":[{"repo":"rhel7","name":"RHEL 7"}]},"os_version":"7.4",
"syspurpose_contents":null}},"/dev/xvdbb2":{"error":"mount: wrong fs type"}}}}}}"#;

#[test]
fn a_key_has_the_same_partition_for_ever() {
    use cloudigrade_schemas::topic::partition_of;
    let of = |key: &str| partition_of(key.as_bytes(), 32);
    assert_eq!([of("000000000001/us-east-1/i-1"), of(""), of("ami-1")], PARTITIONS);
}

/// Written down once: logs and tables hold them.
const PARTITIONS: [u32; 3] = [8, 2, 11];

#[test]
fn a_reason_has_one_word_in_json_and_in_sql() {
    use cloudigrade_schemas::DeadLetterReason::{self, *};
    for reason in [
        Unreadable,
        CorruptGzip,
        TruncatedGzip,
        TooLarge,
        GzipBomb,
        NotJson,
        NotCloudTrail,
        TruncatedJson,
        NotUtf8,
        BadRecord,
        BadEventTime,
        BadField,
        Gone,
        Unrecognized,
        BucketNotAllowed,
    ] {
        assert_eq!(serde_json::to_value(reason).unwrap(), DeadLetterReason::word(reason));
    }
    use cloudigrade_schemas::Resolution;
    for how in [Resolution::Replayed, Resolution::Dropped] {
        assert_eq!(serde_json::to_value(how).unwrap(), how.word());
    }
}
