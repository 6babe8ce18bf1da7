//! Read-only SQL within limits.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cloudigrade_schemas::UtcSecond;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, timeout_at};

use crate::error::{Limit, QueryError};
use crate::session::{Limits, session};
use crate::tables::{Tables, View};
use crate::viewer::Viewer;

/// The rows of a result, as they are computed. Dropping it ends the query.
pub struct Rows {
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
    deadline: Pin<Box<Sleep>>,
    limits: Limits,
    rows: usize,
}

impl Rows {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
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
        f.debug_struct("Rows").field("schema", &self.schema).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Limit::Time(self.limits.time).into())));
        }
        self.stream.poll_next_unpin(cx).map(|next| {
            let batch = next?.map_err(|error| QueryError::from_datafusion(&error, self.limits.memory_bytes));
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
/// The work is done by whoever polls the rows and by tasks of the current runtime. A server runs queries on a runtime of their
/// own, since they keep its threads busy.
pub async fn run_sql(tables: &Tables, viewer: &Viewer, sql: &str, now: UtcSecond, limits: &Limits) -> Result<Rows, QueryError> {
    let deadline = Instant::now() + limits.time;
    let wrong = |error| QueryError::from_datafusion(&error, limits.memory_bytes);
    let view = View::new(&tables.snapshot(), viewer).map_err(wrong)?;
    let context = session(tables, &view, now, limits)?;
    let state = context.state();
    let statement = read_statement(&state, sql, limits)?;
    let plan = async {
        let plan = state.statement_to_plan(statement).await?;
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false).verify_plan(&plan)?;
        Ok(plan)
    };
    let plan = timeout_at(deadline, plan).await.map_err(|_| Limit::Time(limits.time))?;
    let plan = plan.map_err(wrong)?;
    run_plan(&context, plan, limits, deadline).await
}

/// Runs a plan until a deadline.
pub(crate) async fn run_plan(context: &SessionContext, plan: LogicalPlan, limits: &Limits, deadline: Instant) -> Result<Rows, QueryError> {
    let stream =
        timeout_at(deadline, DataFrame::new(context.state(), plan).execute_stream()).await.map_err(|_| Limit::Time(limits.time))?;
    let stream = stream.map_err(|error| QueryError::from_datafusion(&error, limits.memory_bytes))?;
    let deadline = Box::pin(tokio::time::sleep_until(deadline));
    Ok(Rows { schema: stream.schema(), stream, deadline, limits: limits.clone(), rows: 0 })
}

fn read_statement(state: &SessionState, sql: &str, limits: &Limits) -> Result<Statement, QueryError> {
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
