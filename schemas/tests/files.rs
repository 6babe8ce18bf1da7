//! The files of this folder say what the types say. `UPDATE_SCHEMAS=1 cargo test -p cloudigrade-schemas` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that can not go on panics")]

use std::fmt::Write as _;
use std::path::Path;

use cloudigrade_schemas::table::{Column, INSTANCE_TYPES, STORED, Table};
use cloudigrade_schemas::{
    Account, AccountCommand, Coverage, DeadLetter, Findings, Gap, Image, ImageFact, ImageSighting, ImageTag, InstanceMonth, Observation,
    PowerEvent, Token, TrailRecord, User,
};
use schemars::{JsonSchema, schema_for};

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
