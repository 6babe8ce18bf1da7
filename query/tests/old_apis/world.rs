//! Two tenants, their accounts, and what ran in them in February 2024.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use cloudigrade_query::rest::backend::{OverrideRequest, UserInfo};
use cloudigrade_query::rest::{Parts, RestOptions};
use cloudigrade_query::{Tables, ids};
use cloudigrade_schemas::table::{IMAGE_FACTS, POWER_EVENTS};
use cloudigrade_schemas::{Account, Month, UtcSecond};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::backend::{FakeBackend, account};
use crate::common::{Run, TableWriter, at, write_accounts, write_tables};
use crate::image_table::ImageTable;
use crate::server::{Server, now, queries};

/// Accounts of `acme`. The first one `beta` registered too, later.
pub const SHARED: &str = "000000000012";
pub const STAGING: &str = "000000000056";
/// Registered in March; nothing ever ran in it.
pub const EMPTY: &str = "000000000078";
/// An account of `beta` alone.
pub const BETA: &str = "000000000034";

/// An image as the table has it.
#[derive(Clone, Debug)]
pub struct Known {
    pub id: &'static str,
    rhel: Option<bool>,
    openshift: Option<bool>,
    billing_model: &'static str,
    architecture: Option<&'static str>,
    role: Option<&'static str>,
    sla: Option<&'static str>,
    pub overrides: Vec<Value>,
}

fn known(id: &'static str, rhel: Option<bool>, openshift: Option<bool>) -> Known {
    let (architecture, role, sla) = (Some("x86_64"), Some("server"), Some("Premium"));
    Known { id, rhel, openshift, billing_model: "unknown", architecture, role, sla, overrides: Vec::new() }
}

fn images() -> Vec<Known> {
    vec![
        known("ami-rhel", Some(true), Some(false)),
        Known { architecture: Some("arm64"), role: None, ..known("ami-ocp", Some(true), Some(true)) },
        known("ami-plain", Some(false), Some(false)),
        Known { billing_model: "payg", ..known("ami-payg", Some(true), Some(false)) },
    ]
}

/// The rows of the table `images`.
pub fn image_rows(images: &[Known]) -> RecordBatch {
    type Text<'a> = &'a dyn Fn(&Known) -> Option<String>;
    let texts = |text: Text<'_>| -> ArrayRef { Arc::new(images.iter().map(text).collect::<StringArray>()) };
    let fixed = |value: Option<&'static str>| texts(&move |_| value.map(str::to_owned));
    let word = |word: &dyn Fn(&Known) -> Option<&'static str>| texts(&|image| word(image).map(str::to_owned));
    let booleans = |is: &dyn Fn(&Known) -> Option<bool>| -> ArrayRef { Arc::new(images.iter().map(is).collect::<BooleanArray>()) };
    let time: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![at("2024-02-01T00:00:00Z") * 1_000_000; images.len()]).with_timezone("UTC"));
    let evidence = |image: &Known| {
        let tag = json!({
            "kind": "tag", "product": "rhel", "found": true, "detail": "cloudigrade-rhel-present", "source": "DescribeImages",
            "account_id": SHARED, "at": "2024-02-01T00:00:00Z",
        });
        Some(if image.id == "ami-ocp" { json!([tag]) } else { json!([]) }.to_string())
    };
    let columns = [
        ("image_id", texts(&|image| Some(image.id.to_owned()))),
        ("region", fixed(Some("eu-west-1"))),
        ("status", fixed(Some("inspected"))),
        ("status_reason", fixed(Some("its disk was read"))),
        ("name", texts(&|image| Some(format!("name of {}", image.id)))),
        ("owner_id", fixed(Some("000000000099"))),
        ("platform", fixed(None)),
        ("architecture", word(&|image| image.architecture)),
        ("rhel", booleans(&|image| image.rhel)),
        ("openshift", booleans(&|image| image.openshift)),
        ("rhel_detected", booleans(&|image| image.rhel)),
        ("openshift_detected", booleans(&|image| image.openshift)),
        ("rhel_version", fixed(Some("9.4"))),
        ("billing_model", word(&|image| Some(image.billing_model))),
        ("is_encrypted", booleans(&|_| Some(false))),
        ("is_marketplace", booleans(&|image| Some(image.billing_model == "payg"))),
        ("is_cloud_access", booleans(&|_| Some(false))),
        ("syspurpose_role", word(&|image| image.role)),
        ("syspurpose_sla", word(&|image| image.sla)),
        ("syspurpose_usage", fixed(None)),
        ("syspurpose_service_type", fixed(None)),
        ("evidence", texts(&evidence)),
        ("overrides", texts(&|image| Some(json!(image.overrides).to_string()))),
        ("metadata", fixed(Some("{\"platform_details\":\"Linux/UNIX\",\"product_codes\":[\"marketplace:x\"]}"))),
        ("first_seen_at", Arc::clone(&time)),
        ("changed_at", time),
        ("untagged", fixed(None)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn runs() -> Vec<Run> {
    let run = |account: &str, instance: &str, image: &str, start: &str, end: &str| {
        let (start, end) = (format!("2024-02-{start}:00Z"), format!("2024-02-{end}:00Z"));
        Run { image: Some(image.into()), ..Run::new(instance, &start, Some(&end)).of(account, "eu-west-1") }
    };
    vec![
        run(SHARED, "i-1", "ami-rhel", "01T10:00", "02T06:00"),
        run(SHARED, "i-2", "ami-ocp", "02T00:00", "02T01:00"),
        run(SHARED, "i-3", "ami-plain", "02T12:00", "02T13:00"),
        run(SHARED, "i-4", "ami-rhel", "03T00:00", "03T02:00").typed(Some("q9.huge")),
        run(SHARED, "i-5", "ami-unheard", "02T02:00", "02T03:00"),
        run(STAGING, "i-6", "ami-rhel", "02T00:00", "02T00:30"),
        run(BETA, "i-7", "ami-rhel", "02T00:00", "02T10:00"),
        run(BETA, "i-8", "ami-payg", "04T00:00", "04T02:00"),
        run(BETA, "i-9", "ami-rhel", "05T10:00", "06T00:00"),
        run(BETA, "i-10", "ami-rhel", "06T00:00", "06T01:00"),
    ]
}

/// An event of each start and end.
fn write_events(root: &Path, runs: &[Run]) {
    type Event<'a> = (&'a Run, i64, &'a str);
    let mut events: Vec<Event<'_>> = runs.iter().map(|run| (run, run.start, "RunInstances")).collect();
    events.extend(runs.iter().filter_map(|run| Some((run, run.end?, "StopInstances"))));
    events.sort_by_key(|(run, at, _)| (run.account.clone(), run.instance.clone(), *at));
    let texts = |text: &dyn Fn(&Event<'_>) -> Option<String>| -> ArrayRef { Arc::new(events.iter().map(text).collect::<StringArray>()) };
    let time: ArrayRef =
        Arc::new(events.iter().map(|(_, at, _)| Some(at * 1_000_000)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"));
    let of_start = |text: Option<&str>, action: &str| text.filter(|_| action == "RunInstances").map(str::to_owned);
    let columns = [
        ("account_id", texts(&|(run, ..)| Some(run.account.to_string()))),
        ("region", texts(&|(run, ..)| Some(run.region.to_string()))),
        ("instance_id", texts(&|(run, ..)| Some(run.instance.clone()))),
        ("occurred_at", Arc::clone(&time)),
        ("action", texts(&|(_, _, action)| Some((*action).to_owned()))),
        ("instance_type", texts(&|(run, _, action)| of_start(run.instance_type.as_deref(), action))),
        ("image_id", texts(&|(run, _, action)| of_start(run.image.as_deref(), action))),
        ("event_id", texts(&|(run, at, _)| Some(format!("event-{}-{at}", run.instance)))),
        ("source", texts(&|_| Some("file#0".to_owned()))),
        ("recorded_at", time),
    ];
    let mut table = TableWriter::new(root, POWER_EVENTS);
    let month = Month::containing(UtcSecond(at("2024-02-01T00:00:00Z"))).to_string();
    table.add_file(&[("month", month), ("bucket", "0".into())], &RecordBatch::try_from_iter(columns).unwrap());
    table.commit();
}

fn write_findings(root: &Path) {
    let findings = json!({"rhel_found": true, "rhel_release_files_found": true, "rhel_signed_packages_found": false});
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let columns = [
        ("image_id", text("ami-rhel")),
        ("region", text("eu-west-1")),
        ("fact", text("findings")),
        ("kind", text("findings")),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC")) as ArrayRef),
        ("source", text("inspection")),
        ("value", text(&findings.to_string())),
    ];
    let mut table = TableWriter::new(root, IMAGE_FACTS);
    table.add_file(&[], &RecordBatch::try_from_iter(columns).unwrap());
    table.commit();
}

fn user(name: &str, tenant: &str, superuser: bool, created_at: i64) -> UserInfo {
    let email = (name == "alice").then(|| "alice@example.com".to_owned());
    UserInfo { name: name.into(), tenant: tenant.into(), email, superuser, disabled: false, created_at: UtcSecond(created_at) }
}

fn registered(tenant: &str, account_id: &str, name: &str, created_at: &str) -> Account {
    let created_at = UtcSecond(at(created_at));
    Account { name: Some(name.to_owned()), created_at, changed_at: created_at, ..account(tenant, account_id) }
}

/// A server over all of this.
pub struct World {
    pub server: Server,
    _folder: TempDir,
}

impl World {
    pub async fn start(options: RestOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (root, runs) = (folder.path(), runs());
        // Its events are replaced by ours.
        write_tables(root, &runs, &[(SHARED, "eu-west-1", "2024-03-20T00:00:00Z")]);
        std::fs::remove_dir_all(root.join(POWER_EVENTS.name)).unwrap();
        write_events(root, &runs);
        write_findings(root);
        let none = Vec::new;
        write_accounts(
            root,
            &[
                ("acme", SHARED, none()),
                ("acme", STAGING, none()),
                ("acme", EMPTY, none()),
                ("beta", BETA, none()),
                ("beta", SHARED, none()),
            ],
        );
        // Of a tenant's users the first one made is the one that accounts show.
        let users = vec![
            user("root", "operator", true, 0),
            user("anna", "acme", false, 20),
            user("alice", "acme", false, 10),
            user("bob", "beta", false, 30),
        ];
        let accounts = vec![
            registered("acme", SHARED, "Production EU", "2024-01-01T00:00:00Z"),
            registered("acme", STAGING, "staging", "2024-03-01T00:00:00Z"),
            registered("acme", EMPTY, "nothing yet", "2024-03-01T00:00:00Z"),
            registered("beta", BETA, "production of beta", "2024-01-02T00:00:00Z"),
            registered("beta", SHARED, "theirs", "2024-01-03T00:00:00Z"),
        ];
        let mut table = ImageTable::new(root, images());
        let overrides = move |tenant: Option<&str>, said: &OverrideRequest, by: &str| table.say(tenant, said, by);
        let backend = Arc::new(FakeBackend::of(users, accounts, Box::new(overrides)));
        let parts = Parts {
            tables: Arc::new(Tables::open_dir(root).await.unwrap()),
            queries: queries(),
            backend: Some(backend.clone()),
            now,
            metrics: Arc::new(String::new),
            problems: Arc::new(Vec::new),
        };
        let server = Server::of(parts, options, backend).await;
        Self { server, _folder: folder }
    }

    pub async fn new() -> Self {
        Self::start(RestOptions::default()).await
    }

    /// Asks with a token, and gives the document.
    pub async fn get(&self, path: &str, token: &str) -> Value {
        self.server.get(path, token).await.ok(200)
    }

    /// Asks with a token, and checks status and document.
    pub async fn refuses(&self, path: &str, token: &str, status: u16, body: Value) {
        let answer = self.server.get(path, token).await;
        assert_eq!((answer.status, answer.json()), (status, body), "{path}");
    }
}

/// The id of an account of `acme`.
pub fn acme(account: &str) -> i64 {
    ids::account_id("acme", account)
}

/// The values of a field of each element of a list.
pub fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().map(|item| &item[field]).collect()
}
