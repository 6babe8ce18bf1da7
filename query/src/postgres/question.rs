//! Questions of connections, asked on the threads that are there for SQL of users. Each has a session of its own over what its viewer
//! sees of the tables as they are then.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use cloudigrade_schemas::UtcSecond;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::catalogue::{Catalogue, Who};
use super::rewrite::sampled;
use crate::error::QueryError;
use crate::parameters;
use crate::runtime::{Lane, QueryRuntime};
use crate::session::{Limits, session};
use crate::sql::{Rows, run_plan, verify_plan};
use crate::tables::{Tables, View};
use crate::viewer::Viewer;

/// What answers questions: cheap to clone.
#[derive(Clone)]
pub(super) struct Asker {
    tables: Arc<Tables>,
    queries: Arc<QueryRuntime>,
    now: fn() -> UtcSecond,
    catalogue: Arc<OnceCell<Catalogue>>,
}

/// A question.
pub(super) struct Question {
    pub(super) statement: Statement,
    pub(super) viewer: Viewer,
    pub(super) who: Who,
    pub(super) limits: Limits,
}

/// What is known of a statement before it is run.
#[derive(Clone, Debug)]
pub(super) struct Described {
    /// The types of its parameters, where they follow from it.
    pub(super) parameters: Vec<Option<DataType>>,
    /// The columns of its rows.
    pub(super) schema: SchemaRef,
}

impl Asker {
    pub(super) fn new(tables: Arc<Tables>, queries: Arc<QueryRuntime>, now: fn() -> UtcSecond) -> Self {
        Self { tables, queries, now, catalogue: Arc::default() }
    }

    /// The rows of a question. Dropping the future, or the rows, ends it.
    pub(super) fn rows(&self, question: Question) -> BoxFuture<'static, Result<Rows, QueryError>> {
        let asker = self.clone();
        Box::pin(async move {
            let (queries, limits) = (Arc::clone(&asker.queries), question.limits.clone());
            // Boxed, as what plans is large, and moved from hand to hand.
            let work = Box::pin(async move {
                let (deadline, now) = (Instant::now() + question.limits.time, (asker.now)());
                let (context, view, plan) = asker.plan(question.statement, &question.viewer, &question.who, now, &question.limits).await?;
                Ok(run_plan(&context, plan, &question.limits, deadline).await?.of(&view, now))
            });
            queries.rows(Lane::Sql, &limits, work).await
        })
    }

    /// What a question's parameters and rows are.
    pub(super) fn describe(&self, question: Question) -> BoxFuture<'static, Result<Described, QueryError>> {
        let asker = self.clone();
        Box::pin(async move {
            let (queries, limits) = (Arc::clone(&asker.queries), question.limits.clone());
            let work = Box::pin(async move {
                let count = parameters::count(&question.statement);
                let statement = sampled(question.statement);
                let (_, _, plan) = asker.plan(statement, &question.viewer, &question.who, (asker.now)(), &question.limits).await?;
                let types = plan.get_parameter_types().map_err(|error| QueryError::from_datafusion(&error, 0))?;
                Ok(Described { parameters: in_order(count, types), schema: Arc::clone(plan.schema().inner()) })
            });
            queries.run(Lane::Sql, &limits, work).await
        })
    }

    async fn plan(
        &self,
        statement: Statement,
        viewer: &Viewer,
        who: &Who,
        now: UtcSecond,
        limits: &Limits,
    ) -> Result<(SessionContext, View, LogicalPlan), QueryError> {
        self.tables.refresh().await?;
        let wrong = |error| QueryError::from_datafusion(&error, limits.memory_bytes);
        let view = View::new(&self.tables.snapshot(), viewer).map_err(wrong)?;
        let context = session(&self.tables, &view, now, limits)?;
        let catalogue = self.catalogue.get_or_try_init(|| Catalogue::of(&context)).await.map_err(wrong)?;
        catalogue.dress(&context, who).map_err(wrong)?;
        let plan = context.state().statement_to_plan(Parsed::Statement(Box::new(statement))).await.map_err(wrong)?;
        verify_plan(&plan).map_err(wrong)?;
        Ok((context, view, plan))
    }
}

/// The types of `$1`, `$2`, ... in their order.
fn in_order(count: usize, mut types: HashMap<String, Option<DataType>>) -> Vec<Option<DataType>> {
    (1..=count).map(|number| types.remove(&format!("${number}")).flatten()).collect()
}
