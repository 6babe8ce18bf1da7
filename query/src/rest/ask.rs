//! Questions to the tables, a few at a time: what is asked by many must not stop what is asked by one.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cloudigrade_schemas::UtcSecond;
use tokio::sync::OwnedSemaphorePermit;

use super::Rest;
use super::answer::Failure;
use super::rows::Told;
use crate::error::QueryError;
use crate::report::{Report, ReportRequest};
use crate::runtime::Lane;
use crate::session::Limits;
use crate::sql::Rows;
use crate::tables::{AsOf, SnapshotToken, Tables};
use crate::viewer::Viewer;

/// What is told beside the rows of an answer.
pub(super) struct Stamp {
    /// How far the data reaches that the viewer sees.
    pub(super) complete_through: Option<UtcSecond>,
    /// What the answer was made of: asked as of it, the same question has the same answer.
    pub(super) snapshot: Option<SnapshotToken>,
}

impl Stamp {
    pub(super) fn of(rows: &Rows) -> Self {
        Self { complete_through: rows.complete_through(), snapshot: rows.snapshot() }
    }

    /// The snapshot as text.
    pub(super) fn snapshot(&self) -> Option<String> {
        self.snapshot.map(|snapshot| snapshot.to_string())
    }

    /// The same in headers, for formats that have no place for it.
    pub(super) fn told(&self) -> Told {
        vec![("x-complete-through", self.complete_through.map(|moment| moment.to_string())), ("x-snapshot", self.snapshot())]
    }
}

/// The rows of a question, all of them.
pub(super) struct Asked {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) stamp: Stamp,
}

impl Asked {
    pub(super) async fn all(rows: Rows) -> Result<Self, QueryError> {
        let (schema, stamp) = (rows.schema(), Stamp::of(&rows));
        Ok(Self { schema, batches: rows.collect().await?, stamp })
    }
}

/// The rows of a question, as they are computed.
pub(super) struct Export {
    pub(super) rows: Rows,
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
        let (tables, now) = self.tables_as_of(as_of).await?;
        let rows = self.queries().sql(Lane::Reports, &tables, viewer, sql, now, &Limits::default()).await?;
        Ok(Asked::all(rows).await?)
    }

    /// The same for many rows, which are sent as they are computed.
    pub(super) async fn export(&self, viewer: &Viewer, sql: &str, as_of: Option<&AsOf>) -> Result<Export, Failure> {
        let kept = self.export_turn()?;
        let (tables, now) = self.tables_as_of(as_of).await?;
        let rows = self.queries().sql(Lane::Reports, &tables, viewer, sql, now, &Limits::default()).await?;
        Ok(Export { rows, kept })
    }

    /// The right to send many rows: a slow client keeps the turn of a report, and they must not keep all of them.
    pub(super) fn export_turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.shared.exports.clone().try_acquire_owned().map_err(|_| Failure::busy())
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
        let (tables, now) = self.tables_as_of(as_of).await?;
        Ok(self.queries().report(&tables, &request(now)?, &Limits::default()).await?)
    }

    /// The tables at a moment, or now, and what time it is for whoever asks.
    pub(super) async fn tables_as_of(&self, as_of: Option<&AsOf>) -> Result<(Tables, UtcSecond), QueryError> {
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
