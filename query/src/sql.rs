//! Read-only SQL within limits.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cloudigrade_schemas::UtcSecond;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Statement as SqlStatement};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, timeout_at};

use crate::error::{Limit, QueryError};
use crate::nesting;
use crate::parameters;
use crate::session::{Limits, session};
use crate::tables::{SnapshotToken, Tables, View};
use crate::viewer::Viewer;

/// The rows of a result, as they are computed. Dropping it ends the query.
pub struct Rows {
    head: RowsHead,
    stream: RowStream,
    deadline: Pin<Box<Sleep>>,
    limits: Limits,
    rows: usize,
}

/// Batches with errors as callers know them.
pub(crate) type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>;

/// What is known of a result before its rows.
#[derive(Clone, Debug)]
pub(crate) struct RowsHead {
    schema: SchemaRef,
    snapshot: Option<SnapshotToken>,
    complete_through: Option<UtcSecond>,
}

impl Rows {
    pub(crate) fn new(head: RowsHead, stream: RowStream, limits: &Limits, deadline: Instant) -> Self {
        Self { head, stream, deadline: Box::pin(tokio::time::sleep_until(deadline)), limits: limits.clone(), rows: 0 }
    }

    /// Tells what they were made of.
    pub(crate) fn of(mut self, view: &View, now: UtcSecond) -> Self {
        self.head.snapshot = Some(view.snapshot.token(now));
        self.head.complete_through = view.reach().overall().map(UtcSecond);
        self
    }

    pub(crate) fn head(&self) -> RowsHead {
        self.head.clone()
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.head.schema)
    }

    /// What they were made of: [`Tables::at`] finds it again.
    pub fn snapshot(&self) -> Option<SnapshotToken> {
        self.head.snapshot
    }

    /// Up to when all data is complete that the viewer sees; `None` where that is not known.
    pub fn complete_through(&self) -> Option<UtcSecond> {
        self.head.complete_through
    }

    /// All rows at once.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("head", &self.head).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Limit::Time(self.limits.time).into())));
        }
        self.stream.poll_next_unpin(cx).map(|next| {
            let batch = next?;
            self.rows += batch.as_ref().map_or(0, RecordBatch::num_rows);
            Some(if self.rows > self.limits.rows { Err(Limit::Rows(self.limits.rows).into()) } else { batch })
        })
    }
}

/// Runs one SELECT, EXPLAIN, SHOW or DESCRIBE over what a viewer sees of the tables as of their last refresh; anything else is refused.
///
/// Tables are those of the contract, and those of the schema `sys`; `usage(...)` and `concurrency(...)` are table functions. `now` is
/// the moment up to which running instances count in them.
///
/// The work is done by whoever polls the rows and by tasks of the current runtime. A server has it done by a
/// [`QueryRuntime`](crate::QueryRuntime), since it keeps threads busy.
pub async fn run_sql(tables: &Tables, viewer: &Viewer, sql: &str, now: UtcSecond, limits: &Limits) -> Result<Rows, QueryError> {
    run_sql_with(tables, viewer, sql, &[], now, limits).await
}

/// The same with values for the parameters `$1`, `$2`, ...
pub(crate) async fn run_sql_with(
    tables: &Tables,
    viewer: &Viewer,
    sql: &str,
    parameters: &[SqlExpr],
    now: UtcSecond,
    limits: &Limits,
) -> Result<Rows, QueryError> {
    let deadline = Instant::now() + limits.time;
    let wrong = |error| QueryError::from_datafusion(&error, limits.memory_bytes);
    let view = View::new(&tables.snapshot(), viewer).map_err(wrong)?;
    let context = session(tables, &view, now, limits)?;
    let state = context.state();
    let mut statement = read_statement(&state, sql, limits)?;
    parameters::bind_parsed(&mut statement, parameters)?;
    let plan = async {
        let plan = state.statement_to_plan(statement).await?;
        verify_plan(&plan)?;
        Ok(plan)
    };
    let plan = timeout_at(deadline, plan).await.map_err(|_| Limit::Time(limits.time))?;
    let plan = plan.map_err(wrong)?;
    Ok(run_plan(&context, plan, limits, deadline).await?.of(&view, now))
}

/// Refuses a plan that changes anything, also within what it explains.
pub(crate) fn verify_plan(plan: &LogicalPlan) -> datafusion::error::Result<()> {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(plan)
}

/// Runs a plan until a deadline.
pub(crate) async fn run_plan(context: &SessionContext, plan: LogicalPlan, limits: &Limits, deadline: Instant) -> Result<Rows, QueryError> {
    let stream =
        timeout_at(deadline, DataFrame::new(context.state(), plan).execute_stream()).await.map_err(|_| Limit::Time(limits.time))?;
    let stream = stream.map_err(|error| QueryError::from_datafusion(&error, limits.memory_bytes))?;
    let head = RowsHead { schema: stream.schema(), snapshot: None, complete_through: None };
    let memory_bytes = limits.memory_bytes;
    let stream = stream.map(move |batch| batch.map_err(|error| QueryError::from_datafusion(&error, memory_bytes)));
    Ok(Rows::new(head, Box::pin(stream), limits, deadline))
}

fn read_statement(state: &SessionState, sql: &str, limits: &Limits) -> Result<Statement, QueryError> {
    nesting::check(sql)?;
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect).map_err(|error| QueryError::from_datafusion(&error, limits.memory_bytes))?;
    if is_question(&statement) {
        return Ok(statement);
    }
    let first_word = sql.split_whitespace().next().unwrap_or_default();
    Err(QueryError::Refused { statement: first_word.chars().take(40).collect::<String>().to_uppercase() })
}

/// Whether a statement only asks. What it explains is checked in its plan.
fn is_question(statement: &Statement) -> bool {
    match statement {
        Statement::Explain(explained) => is_question(&explained.statement),
        Statement::Statement(statement) => matches!(
            statement.as_ref(),
            SqlStatement::Query(_)
                | SqlStatement::Explain { .. }
                | SqlStatement::ExplainTable { .. }
                | SqlStatement::ShowTables { .. }
                | SqlStatement::ShowColumns { .. }
                | SqlStatement::ShowFunctions { .. }
                | SqlStatement::ShowVariable { .. }
        ),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}
