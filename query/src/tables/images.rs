//! The tables about images, which everybody shares, as one viewer may see them.
//!
//! A tenant sees the images that its instances were launched from. Of these it sees what EC2 and the disks say, the tags of its own accounts,
//! its own and the operator's overrides, and not where anything was learned in accounts that it does not have.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StringViewArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use cloudigrade_schemas::Product;
use cloudigrade_schemas::image::{BillingModel, Evidence, ImageStatus, Override, Standing};
use cloudigrade_schemas::table::{IMAGE_FACTS, IMAGES};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err, internal_err};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::contract::visible_schema;
use super::stored::{IMAGE_FACTS_AT, IMAGES_AT};
use super::veil::Veil;
use super::view::{UsedImages, View};

/// Digits of an AWS account's id.
const ACCOUNT_DIGITS: usize = 12;
/// The column that tells how images stand without their tags; it is not shown.
const UNTAGGED: &str = "untagged";

impl View {
    /// Whether where something was learned tells nothing of accounts that are not seen: it names accounts and all are seen, or it is no
    /// place, such as the name of an API.
    fn may_see_source(&self, source: &str) -> bool {
        let numbers = source.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() == ACCOUNT_DIGITS);
        let mut names_one = false;
        for number in numbers {
            names_one = true;
            if !self.sees(number) {
                return false;
            }
        }
        names_one || !source.contains('/')
    }

    /// Whether a tag counts for the viewer: one of an account that is seen. The operator sees those of unnamed accounts too.
    fn may_see_tag(&self, account: Option<&str>) -> bool {
        self.tenant().is_none() || account.is_some_and(|account| self.sees(account))
    }

    /// An override, if it holds for the viewer.
    fn may_see_override(&self, said: &Override) -> bool {
        said.tenant.is_none() || said.tenant.as_deref() == self.tenant()
    }
}

/// The table `images`: those that are used, and to the operator those that something is known of.
#[derive(Debug)]
pub(super) struct Images {
    view: View,
    schema: SchemaRef,
}

impl Images {
    pub(super) fn new(view: View) -> Self {
        Self { view, schema: visible_schema(&IMAGES) }
    }
}

#[async_trait]
impl TableProvider for Images {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Unsupported; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let used = self.view.used_images(state).await?;
        let files = &self.view.snapshot.files[IMAGES_AT];
        let mut read: Vec<usize> = (0..self.schema.fields().len()).collect();
        read.push(files.schema.index_of(UNTAGGED)?);
        let scan = files.scan(state, |_| true, read, None, None).await?;
        let shown: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&shown)?);
        let pending = pending_images(&self.view, &used, &self.schema)?.project(&shown)?;
        let view = self.view.clone();
        let change = move |batch: &RecordBatch| match view.tenant() {
            None => Ok(batch.project(&shown)?),
            Some(_) => Ok(SeenImages { view: &view, used: &used, shown: &shown }.of(batch)?),
        };
        Ok(Arc::new(Veil::changing(IMAGES.name, scan, schema, Arc::new(change), Some(pending))))
    }
}

/// The rows of images that were used and of which nothing is known, in the order of their ids.
fn pending_images(view: &View, used: &UsedImages, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut ids: Vec<_> = used.iter().filter(|(id, _)| view.labels().catalogue.get(id).is_none()).collect();
    ids.sort_unstable_by_key(|(id, _)| *id);
    let fixed = |text: &str| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(text, ids.len()))) };
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "image_id" => Arc::new(StringViewArray::from_iter_values(ids.iter().map(|(id, _)| id))),
            "region" => Arc::new(StringViewArray::from_iter_values(ids.iter().map(|(_, first)| &first.region))),
            "status" => fixed(ImageStatus::Pending.word()),
            "status_reason" => fixed("It was used; nothing is known of it yet."),
            "billing_model" => fixed(BillingModel::Unknown.word()),
            "evidence" | "overrides" => fixed("[]"),
            "first_seen_at" => {
                Arc::new(ids.iter().map(|(_, first)| Some(first.at)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            _ if !field.is_nullable() && *field.data_type() == DataType::Boolean => Arc::new(BooleanArray::from(vec![false; ids.len()])),
            _ => new_null_array(field.data_type(), ids.len()),
        }
    });
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
}

/// A tenant's rows of `images`.
struct SeenImages<'a> {
    view: &'a View,
    used: &'a UsedImages,
    /// The columns that are asked for, in their order.
    shown: &'a [usize],
}

impl SeenImages<'_> {
    fn of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let is_used: BooleanArray = texts(batch, "image_id")?.iter().map(|id| id.map(|id| self.used.contains_key(id))).collect();
        let batch = filter_record_batch(batch, &is_used)?;
        let standings = self.standings(&batch)?;
        let columns = self.shown.iter().map(|column| self.column(&batch, &standings, *column)).collect::<Result<_>>()?;
        // Where no column is asked for, as by count(*), the rows are still to be counted.
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::new(batch.schema().project(self.shown)?), columns, &options)?)
    }

    /// How each image stands, where tags can change that: with those that are seen.
    fn standings(&self, batch: &RecordBatch) -> Result<Vec<Option<Standing>>> {
        let untagged: Vec<Option<Standing>> = parsed(batch, UNTAGGED, "null")?;
        let standings = untagged.into_iter().zip(self.evidence(batch)?);
        Ok(standings.map(|(untagged, evidence)| Some(untagged?.with_tags(&evidence))).collect())
    }

    fn column(&self, batch: &RecordBatch, standings: &[Option<Standing>], column: usize) -> Result<ArrayRef> {
        let ids = texts(batch, "image_id")?;
        let counts = |product: Product| -> ArrayRef {
            let (catalogue, tenant) = (&self.view.labels().catalogue, self.view.tenant());
            let sees = |tagger: &str| self.view.may_see_tag(Some(tagger));
            Arc::new(ids.iter().map(|id| catalogue.get(id?)?.counts(product, tenant, sees)).collect::<BooleanArray>())
        };
        let stored = batch.column(column);
        let word = |told: fn(&Standing) -> &str| -> Result<ArrayRef> {
            let stored = texts(batch, batch.schema().field(column).name())?;
            let words = standings.iter().zip(stored).map(|(standing, stored)| standing.as_ref().map(told).or(stored));
            Ok(Arc::new(words.collect::<StringViewArray>()))
        };
        let detected = |told: fn(&Standing) -> Option<bool>| -> Result<ArrayRef> {
            let Some(stored) = stored.as_boolean_opt() else { return internal_err!("a table about images has an unexpected column") };
            let all = standings.iter().zip(stored).map(|(standing, stored)| standing.as_ref().map_or(stored, told));
            Ok(Arc::new(all.collect::<BooleanArray>()))
        };
        let moments = |moments: TimestampMicrosecondArray| -> ArrayRef { Arc::new(moments.with_timezone("UTC")) };
        Ok(match batch.schema().field(column).name().as_str() {
            "status" => word(|standing| standing.status.word())?,
            "status_reason" => word(|standing| &standing.status_reason)?,
            "billing_model" => word(|standing| standing.billing_model.word())?,
            "rhel_detected" => detected(|standing| standing.rhel_detected)?,
            "openshift_detected" => detected(|standing| standing.openshift_detected)?,
            "rhel" => counts(Product::Rhel),
            "openshift" => counts(Product::Openshift),
            "evidence" => json_column(&self.evidence(batch)?)?,
            "overrides" => json_column(&self.overrides(batch)?)?,
            "first_seen_at" => moments(ids.iter().map(|id| Some(self.used.get(id?)?.at)).collect()),
            // Others' overrides and tags would show in it.
            "changed_at" => {
                let (evidence, overrides) = (self.evidence(batch)?, self.overrides(batch)?);
                let latest = evidence.iter().zip(&overrides).map(|(evidence, overrides)| {
                    let times = evidence.iter().map(|evidence| evidence.at).chain(overrides.iter().map(|said| said.at));
                    times.max().map(|at| at.0.saturating_mul(1_000_000))
                });
                moments(latest.collect())
            }
            _ => Arc::clone(stored),
        })
    }

    fn evidence(&self, batch: &RecordBatch) -> Result<Vec<Vec<Evidence>>> {
        let seen = |mut evidence: Vec<Evidence>| {
            evidence.retain(|evidence| !evidence.is_tag() || self.view.may_see_tag(evidence.account_id.as_deref()));
            let elsewhere = evidence.iter_mut().filter(|evidence| !self.view.may_see_source(&evidence.source));
            elsewhere.for_each(|evidence| evidence.source.clear());
            evidence
        };
        Ok(parsed(batch, "evidence", "[]")?.into_iter().map(seen).collect())
    }

    fn overrides(&self, batch: &RecordBatch) -> Result<Vec<Vec<Override>>> {
        let mut all: Vec<Vec<Override>> = parsed(batch, "overrides", "[]")?;
        all.iter_mut().for_each(|overrides| overrides.retain(|said| self.view.may_see_override(said)));
        Ok(all)
    }
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringViewArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_view_opt());
    column.ok_or_else(|| internal_datafusion_err!("a table about images lacks {name}"))
}

/// The JSON of each row; `absent` stands for a null.
fn parsed<T: serde::de::DeserializeOwned>(batch: &RecordBatch, name: &str, absent: &str) -> Result<Vec<T>> {
    let unreadable = |error: serde_json::Error| DataFusionError::Execution(format!("{name} of an image does not read: {error}"));
    texts(batch, name)?.iter().map(|text| serde_json::from_str(text.unwrap_or(absent)).map_err(unreadable)).collect()
}

fn json_column<T: serde::Serialize>(rows: &[T]) -> Result<ArrayRef> {
    let unwritable = |error: serde_json::Error| DataFusionError::External(Box::new(error));
    let rows = rows.iter().map(|row| serde_json::to_string(row).map_err(unwritable)).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StringViewArray::from_iter_values(rows)))
}

/// The table `image_facts`.
#[derive(Debug)]
pub(super) struct ImageFacts {
    view: View,
    schema: SchemaRef,
}

impl ImageFacts {
    pub(super) fn new(view: View) -> Self {
        Self { view, schema: visible_schema(&IMAGE_FACTS) }
    }
}

#[async_trait]
impl TableProvider for ImageFacts {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let shown = projection.cloned().unwrap_or_else(|| all.clone());
        let files = &self.view.snapshot.files[IMAGE_FACTS_AT];
        if self.view.tenant().is_none() {
            return files.scan(state, |_| true, shown, None, None).await;
        }
        let used = self.view.used_images(state).await?;
        let scan = files.scan(state, |_| true, all, None, None).await?;
        let schema = Arc::new(self.schema.project(&shown)?);
        let view = self.view.clone();
        let change = move |batch: &RecordBatch| Ok(seen_facts(&view, &used, batch)?.project(&shown)?);
        Ok(Arc::new(Veil::changing(IMAGE_FACTS.name, scan, schema, Arc::new(change), None)))
    }
}

/// Which account a fact is of, in a value of `image_facts`.
#[derive(serde::Deserialize)]
struct OfAccount {
    account_id: Option<String>,
}

/// A tenant's rows of `image_facts`.
fn seen_facts(view: &View, used: &UsedImages, batch: &RecordBatch) -> Result<RecordBatch> {
    let (ids, kinds) = (texts(batch, "image_id")?, texts(batch, "kind")?);
    let values = texts(batch, "value")?;
    let is_seen = |row: usize| {
        let is_own = match kinds.value(row) {
            "override" => serde_json::from_str(values.value(row)).is_ok_and(|said| view.may_see_override(&said)),
            // What EC2 and the disks say of an image is the same for all that use it. To whom EC2 does not show it is told to these alone.
            "metadata" | "findings" | "inspection" => true,
            // Who of others wants it is not told.
            "inspection_request" => false,
            _ => serde_json::from_str(values.value(row)).is_ok_and(|OfAccount { account_id }| view.may_see_tag(account_id.as_deref())),
        };
        is_own && used.contains_key(ids.value(row))
    };
    let keep: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_seen(row))).collect();
    let kept = filter_record_batch(batch, &keep)?;
    let at = kept.schema().index_of("source")?;
    let masked = texts(&kept, "source")?.iter().map(|source| match source.unwrap_or_default() {
        source if view.may_see_source(source) => source,
        _ => "",
    });
    let masked: ArrayRef = Arc::new(StringViewArray::from_iter_values(masked));
    let columns =
        kept.columns().iter().enumerate().map(|(column, values)| if column == at { Arc::clone(&masked) } else { Arc::clone(values) });
    Ok(RecordBatch::try_new(kept.schema(), columns.collect())?)
}
