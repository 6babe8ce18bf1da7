//! Questions to the tables, a few at a time: what is asked by many must not stop what is asked by one.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cloudigrade_schemas::UtcSecond;
use tokio::sync::OwnedSemaphorePermit;

use super::Rest;
use super::answer::Failure;
use crate::report::{Report, ReportRequest, run_report};
use crate::session::Limits;
use crate::sql::{Rows, run_sql};
use crate::viewer::Viewer;

/// The rows of a question, all of them.
pub(super) struct Asked {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    /// How far the data reaches that the viewer sees.
    pub(super) complete_through: Option<UtcSecond>,
}

/// The rows of a question, as they are computed.
pub(super) struct Export {
    pub(super) rows: Rows,
    /// How far the data reaches that the viewer sees.
    pub(super) complete_through: Option<UtcSecond>,
    /// To be kept until the last row was taken: others wait for it.
    pub(super) kept: OwnedSemaphorePermit,
}

impl Rest {
    /// The rows of a question in SQL, as one viewer sees the tables now. It waits for its turn among the others.
    ///
    /// # Errors
    /// What the question does wrong, 503 when too many wait, 500 when the tables do not read.
    pub async fn rows(&self, viewer: &Viewer, sql: &str) -> Result<Vec<RecordBatch>, Failure> {
        Ok(self.ask(viewer, sql).await?.batches)
    }

    /// The same, with what is told beside the rows.
    pub(super) async fn ask(&self, viewer: &Viewer, sql: &str) -> Result<Asked, Failure> {
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| Failure::busy())?;
        let _computing = self.shared.computing.acquire().await.map_err(|_| Failure::busy())?;
        self.tables().refresh().await?;
        let rows = run_sql(self.tables(), viewer, sql, self.now(), &Limits::default()).await?;
        let schema = rows.schema();
        let complete_through = self.tables().complete_through();
        Ok(Asked { schema, batches: rows.collect().await?, complete_through })
    }

    /// The same for many rows, which are sent as they are computed. They do not wait for reports, nor reports for them.
    pub(super) async fn export(&self, viewer: &Viewer, sql: &str) -> Result<Export, Failure> {
        let kept = self.shared.exports.clone().try_acquire_owned().map_err(|_| Failure::busy())?;
        self.tables().refresh().await?;
        let rows = run_sql(self.tables(), viewer, sql, self.now(), &Limits::default()).await?;
        Ok(Export { rows, complete_through: self.tables().complete_through(), kept })
    }

    /// A report. It waits for its turn among the others.
    ///
    /// # Errors
    /// As for [`Rest::rows`].
    pub async fn make_report(&self, request: &ReportRequest) -> Result<Report, Failure> {
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| Failure::busy())?;
        let _computing = self.shared.computing.acquire().await.map_err(|_| Failure::busy())?;
        self.tables().refresh().await?;
        Ok(run_report(self.tables(), request, &Limits::default()).await?)
    }
}
