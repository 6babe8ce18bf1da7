//! Tables of several tenants, and answers as texts.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use cloudigrade_query::{
    Dimension, Format, Granularity, Limits, Only, Period, QueryError, Report, ReportKind, ReportRequest, RowWriter, Tables, Viewer,
    run_report, run_sql,
};
use cloudigrade_schemas::account::Unmetered;
use cloudigrade_schemas::image::{BillingModel, Standing};
use cloudigrade_schemas::table::{ACCOUNTS, GAPS, IMAGE_FACTS, IMAGES};
use cloudigrade_schemas::{Product, UtcSecond};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::common::{Run, TableWriter, at};

/// What time it is.
pub const NOW: &str = "2024-02-10T00:00:00Z";

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// An account as a tenant registered it.
#[derive(Clone, Debug)]
pub struct Registered {
    pub tenant: &'static str,
    pub account: &'static str,
    pub state: &'static str,
    pub created_at: i64,
    pub unmetered: Vec<Unmetered>,
}

impl Registered {
    pub fn new(tenant: &'static str, account: &'static str) -> Self {
        Self { tenant, account, state: "enabled", created_at: 0, unmetered: Vec::new() }
    }
}

pub fn add_registrations(writer: &mut TableWriter, rows: &[Registered]) {
    let texts =
        |text: &dyn Fn(&Registered) -> String| -> ArrayRef { Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>()) };
    let time = |time: &dyn Fn(&Registered) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| time(row).map(|at| at * 1_000_000)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let none: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; rows.len()]));
    let columns = [
        ("tenant", texts(&|row| row.tenant.into())),
        ("account_id", texts(&|row| row.account.into())),
        ("arn", texts(&|row| format!("arn:aws:iam::{}:role/of-{}", row.account, row.tenant))),
        ("name", Arc::clone(&none)),
        ("state", texts(&|row| row.state.into())),
        ("created_at", time(&|row| Some(row.created_at))),
        ("changed_at", time(&|row| Some(row.created_at))),
        ("verified_at", time(&|_| None)),
        ("unmetered", texts(&|row| json!(row.unmetered).to_string())),
        ("problems", texts(&|_| "[]".into())),
        ("trail_arn", Arc::clone(&none)),
        ("trail_bucket", none),
    ];
    writer.add_file(&[], &RecordBatch::try_from_iter(columns).unwrap());
}

pub fn write_registrations(root: &Path, rows: &[Registered]) {
    let mut writer = TableWriter::new(root, ACCOUNTS);
    add_registrations(&mut writer, rows);
    writer.commit();
}

/// An image as the table has it.
#[derive(Clone, Debug)]
pub struct Known {
    pub id: &'static str,
    pub rhel: Option<bool>,
    pub openshift: Option<bool>,
    pub billing_model: &'static str,
    pub role: Option<&'static str>,
    pub overrides: Value,
    pub evidence: Value,
    pub untagged: Option<Standing>,
}

impl Known {
    pub fn new(id: &'static str, rhel: Option<bool>, billing_model: &'static str) -> Self {
        Self { id, rhel, openshift: Some(false), billing_model, role: None, overrides: json!([]), evidence: json!([]), untagged: None }
    }

    pub fn overridden(self, tenant: Option<&str>, is: bool) -> Self {
        let mut all = self.overrides.clone();
        let tenant = tenant.map(str::to_owned);
        let by = format!("user-of-{}", tenant.as_deref().unwrap_or("operator"));
        all.as_array_mut().unwrap().push(json!({"tenant": tenant, "product": "rhel", "is": is, "by": by, "at": "2024-01-01T00:00:00Z"}));
        Self { overrides: all, ..self }
    }

    /// With a tag of an account.
    pub fn tagged(mut self, product: Product, account: &str, source: &str) -> Self {
        self.evidence.as_array_mut().unwrap().push(json!({
            "kind": "tag", "product": product, "found": true, "detail": format!("tag told by {source}"), "source": source,
            "account_id": account, "at": "2024-01-02T00:00:00Z",
        }));
        let billing_model = BillingModel::ALL.into_iter().find(|model| model.word() == self.billing_model).unwrap();
        let (rhel_detected, openshift_detected) = (self.rhel, self.openshift);
        let standing = Standing { rhel_detected, openshift_detected, billing_model, ..Standing::default() };
        let tagged = standing.clone().tagged(product);
        (self.rhel, self.openshift, self.billing_model) = (tagged.rhel_detected, tagged.openshift_detected, tagged.billing_model.word());
        self.untagged.get_or_insert(standing);
        self
    }
}

pub fn add_images(writer: &mut TableWriter, rows: &[Known]) {
    type Text<'a> = &'a dyn Fn(&Known) -> Option<String>;
    let texts = |text: Text<'_>| -> ArrayRef { Arc::new(rows.iter().map(text).collect::<StringArray>()) };
    let fixed = |value: Option<&'static str>| texts(&move |_| value.map(str::to_owned));
    let booleans = |is: &dyn Fn(&Known) -> Option<bool>| -> ArrayRef { Arc::new(rows.iter().map(is).collect::<BooleanArray>()) };
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1; rows.len()]).with_timezone("UTC"));
    let columns = [
        ("image_id", texts(&|row| Some(row.id.to_owned()))),
        ("region", fixed(Some("eu-west-1"))),
        ("status", fixed(Some("inspected"))),
        ("status_reason", fixed(Some("by its tags"))),
        ("name", fixed(None)),
        ("owner_id", fixed(None)),
        ("platform", fixed(None)),
        ("architecture", fixed(Some("x86_64"))),
        ("rhel", booleans(&|row| row.rhel)),
        ("openshift", booleans(&|row| row.openshift)),
        ("rhel_detected", booleans(&|row| row.rhel)),
        ("openshift_detected", booleans(&|row| row.openshift)),
        ("rhel_version", fixed(None)),
        ("billing_model", texts(&|row| Some(row.billing_model.to_owned()))),
        ("is_encrypted", booleans(&|_| Some(false))),
        ("is_marketplace", booleans(&|_| Some(false))),
        ("is_cloud_access", booleans(&|_| Some(false))),
        ("syspurpose_role", texts(&|row| row.role.map(str::to_owned))),
        ("syspurpose_sla", fixed(None)),
        ("syspurpose_usage", fixed(None)),
        ("syspurpose_service_type", fixed(None)),
        ("evidence", texts(&|row| Some(row.evidence.to_string()))),
        ("overrides", texts(&|row| Some(row.overrides.to_string()))),
        ("metadata", fixed(None)),
        ("first_seen_at", Arc::clone(&time)),
        ("changed_at", time),
        ("untagged", texts(&|row| row.untagged.as_ref().map(|untagged| json!(untagged).to_string()))),
    ];
    writer.add_file(&[], &RecordBatch::try_from_iter(columns).unwrap());
}

pub fn write_images(root: &Path, rows: &[Known]) {
    let mut writer = TableWriter::new(root, IMAGES);
    add_images(&mut writer, rows);
    writer.commit();
}

/// Facts about images: image, fact, kind, source, value.
pub fn write_facts(root: &Path, rows: &[(&str, &str, &str, &str, Value)]) {
    let texts = |texts: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let of = |text: fn(&(&str, &str, &str, &str, Value)) -> String| texts(rows.iter().map(text).collect());
    let columns = [
        ("image_id", of(|row| row.0.into())),
        ("region", of(|_| "eu-west-1".into())),
        ("fact", of(|row| row.1.into())),
        ("kind", of(|row| row.2.into())),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![0; rows.len()]).with_timezone("UTC")) as ArrayRef),
        ("source", of(|row| row.3.into())),
        ("value", of(|row| row.4.to_string())),
    ];
    let mut writer = TableWriter::new(root, IMAGE_FACTS);
    writer.add_file(&[], &RecordBatch::try_from_iter(columns).unwrap());
    writer.commit();
}

/// A gap of each account.
pub fn write_gaps(root: &Path, accounts: &[&str]) {
    let of = |text: &dyn Fn(&str) -> String| -> ArrayRef {
        Arc::new(accounts.iter().map(|account| Some(text(account))).collect::<StringArray>())
    };
    let time = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![0; accounts.len()]).with_timezone("UTC")) };
    let columns = [
        ("id", of(&|account| format!("{account}/eu-west-1/silence/0"))),
        ("account_id", of(&str::to_owned)),
        ("region", of(&|_| "eu-west-1".into())),
        ("kind", of(&|_| "silence".into())),
        ("missing_from", time()),
        ("missing_until", time()),
        ("missing_objects", Arc::new(arrow::array::Int64Array::from(vec![1; accounts.len()])) as ArrayRef),
        ("detail", of(&|account| format!("nothing of {account}"))),
        ("found_at", time()),
        ("closed_at", time()),
        ("objects", of(&|account| format!("[\"s3://bucket-of-{account}/x\"]"))),
    ];
    let mut writer = TableWriter::new(root, GAPS);
    writer.add_file(&[], &RecordBatch::try_from_iter(columns).unwrap());
    writer.commit();
}

/// A day of an instance.
pub fn run_of(account: &str, instance: &str, image: Option<&str>) -> Run {
    let run = Run::new(instance, "2024-02-01T00:00:00Z", Some("2024-02-02T00:00:00Z")).of(account, "eu-west-1");
    Run { image: image.map(Into::into), ..run }
}

/// An answer in CSV, its rows in the order of their texts.
pub async fn ask(tables: &Tables, viewer: &Viewer, sql: &str) -> Result<String, QueryError> {
    // One partition, so that plans do not depend on the machine.
    let limits = Limits { partitions: Some(1), ..Limits::default() };
    let mut rows = run_sql(tables, viewer, sql, UtcSecond(at(NOW)), &limits).await?;
    let mut writer = RowWriter::new(Format::Csv, &rows.schema(), Vec::new())?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch?)?;
    }
    let text = String::from_utf8(writer.finish()?).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].sort_unstable();
    Ok(lines.join("\n"))
}

pub fn days(start: &str, end: &str) -> Period {
    Period::new(start, end, Granularity::Day, "UTC", UtcSecond(at(NOW))).unwrap()
}

pub fn usage(tables: &Tables, viewer: &Viewer, period: &Period, by: &[Dimension], only: Only) -> Report {
    let request = ReportRequest { viewer: viewer.clone(), only, ..ReportRequest::new(ReportKind::Usage, period.clone(), by.to_vec()) };
    // Two partitions, so that partial states are merged.
    wait(run_report(tables, &request, &Limits { partitions: Some(2), ..Limits::default() })).unwrap()
}

/// A report's rows: the bucket's start, the dimensions as texts, the five measures.
pub type Row = (i64, Vec<Option<String>>, [Option<i64>; 5]);

pub fn rows(report: &Report, dimensions: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in &report.batches {
        for row in 0..batch.num_rows() {
            let start = batch.column(0).as_primitive::<TimestampMicrosecondType>().value(row) / 1_000_000;
            let key = (2..2 + dimensions).map(|column| text(batch.column(column), row)).collect();
            let measure = |at: usize| {
                let column = batch.column(2 + dimensions + at).as_primitive::<Int64Type>();
                column.is_valid(row).then(|| column.value(row))
            };
            rows.push((start, key, std::array::from_fn(measure)));
        }
    }
    rows
}

fn text(column: &ArrayRef, row: usize) -> Option<String> {
    column.is_valid(row).then(|| match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        _ => column.as_string_view().value(row).to_owned(),
    })
}
