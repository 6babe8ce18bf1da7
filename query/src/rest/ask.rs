//! Questions to the tables, a few at a time: what is asked by many must not stop what is asked by one.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cloudigrade_schemas::UtcSecond;
use tokio::sync::OwnedSemaphorePermit;

use super::Rest;
use super::answer::Failure;
use crate::error::QueryError;
use crate::report::{Report, ReportRequest, run_report};
use crate::session::Limits;
use crate::sql::{Rows, run_sql};
use crate::tables::{AsOf, Tables};
use crate::viewer::Viewer;

/// What is told beside the rows of an answer.
pub(super) struct Stamp {
    /// How far the data reaches that the viewer sees.
    pub(super) complete_through: Option<UtcSecond>,
    /// What the answer was made of: asked as of it, the same question has the same answer.
    pub(super) snapshot: String,
}

impl Stamp {
    fn of(tables: &Tables, viewer: &Viewer, now: UtcSecond) -> Result<Self, QueryError> {
        Ok(Self { complete_through: tables.complete_through_for(viewer)?, snapshot: tables.token(now).to_string() })
    }

    /// The same in headers, for formats that have no place for it.
    pub(super) fn told(&self) -> Vec<(&'static str, Option<String>)> {
        let complete_through = self.complete_through.map(|moment| moment.to_string());
        vec![("x-complete-through", complete_through), ("x-snapshot", Some(self.snapshot.clone()))]
    }
}

/// The rows of a question, all of them.
pub(super) struct Asked {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) stamp: Stamp,
}

/// The rows of a question, as they are computed.
pub(super) struct Export {
    pub(super) rows: Rows,
    pub(super) stamp: Stamp,
    /// To be kept until the last row was taken: others wait for it.
    pub(super) kept: OwnedSemaphorePermit,
}

impl Rest {
    /// The rows of a question in SQL, as one viewer sees the tables now. It waits for its turn among the others.
    ///
    /// # Errors
    /// What the question does wrong, 503 when too many wait, 500 when the tables do not read.
    pub async fn rows(&self, viewer: &Viewer, sql: &str) -> Result<Vec<RecordBatch>, Failure> {
        Ok(self.ask(viewer, sql, None).await?.batches)
    }

    /// The same as of a moment, with what is told beside the rows.
    pub(super) async fn ask(&self, viewer: &Viewer, sql: &str, as_of: Option<&AsOf>) -> Result<Asked, Failure> {
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| Failure::busy())?;
        let _computing = self.shared.computing.acquire().await.map_err(|_| Failure::busy())?;
        let (tables, now) = self.tables_as_of(as_of).await?;
        let rows = run_sql(&tables, viewer, sql, now, &Limits::default()).await?;
        let (schema, stamp) = (rows.schema(), Stamp::of(&tables, viewer, now)?);
        Ok(Asked { schema, batches: rows.collect().await?, stamp })
    }

    /// The same for many rows, which are sent as they are computed. They do not wait for reports, nor reports for them.
    pub(super) async fn export(&self, viewer: &Viewer, sql: &str, as_of: Option<&AsOf>) -> Result<Export, Failure> {
        let kept = self.shared.exports.clone().try_acquire_owned().map_err(|_| Failure::busy())?;
        let (tables, now) = self.tables_as_of(as_of).await?;
        let rows = run_sql(&tables, viewer, sql, now, &Limits::default()).await?;
        Ok(Export { rows, stamp: Stamp::of(&tables, viewer, now)?, kept })
    }

    /// A report. It waits for its turn among the others.
    ///
    /// # Errors
    /// As for [`Rest::rows`].
    pub async fn make_report(&self, request: &ReportRequest) -> Result<Report, Failure> {
        self.make_report_as_of(None, |_| Ok(request.clone())).await
    }

    /// A report as of a moment. `request` is made for the time that it was then.
    pub(super) async fn make_report_as_of(
        &self,
        as_of: Option<&AsOf>,
        request: impl FnOnce(UtcSecond) -> Result<ReportRequest, Failure>,
    ) -> Result<Report, Failure> {
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| Failure::busy())?;
        let _computing = self.shared.computing.acquire().await.map_err(|_| Failure::busy())?;
        let (tables, now) = self.tables_as_of(as_of).await?;
        Ok(run_report(&tables, &request(now)?, &Limits::default()).await?)
    }

    /// The tables at a moment, or now, and what time it is for whoever asks.
    async fn tables_as_of(&self, as_of: Option<&AsOf>) -> Result<(Tables, UtcSecond), QueryError> {
        let (tables, now) = (self.tables(), self.now());
        match as_of {
            Some(as_of) => tables.at(as_of, now).await,
            None => {
                tables.refresh().await?;
                Ok((tables.as_ref().clone(), now))
            }
        }
    }
}
