//! Threads of their own for questions, so that whoever serves them goes on while heavy ones are computed.
//!
//! Reports and SQL that users write have a lane each: threads, questions at once, questions that wait. So no query that a user thought up
//! keeps reports from being made.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use cloudigrade_schemas::UtcSecond;
use futures::{Stream, StreamExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::error::{Limit, QueryError};
use crate::given_up::GivenUp;
use crate::limits::{
    LANE_BLOCKING_THREADS_MAX, REPORTS_AT_ONCE_MAX, REPORTS_WAITING_MAX, ROWS_AHEAD_BATCHES, SQL_AT_ONCE_MAX, SQL_WAITING_MAX,
    THREAD_STACK_BYTES,
};
use crate::report::{Report, ReportRequest, run_report};
use crate::session::Limits;
use crate::sql::{Rows, run_sql};
use crate::tables::Tables;
use crate::viewer::Viewer;

/// What kind of question it is: each has its own threads and its own turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Reports, and queries that this program itself writes.
    Reports,
    /// SQL that users write.
    Sql,
}

/// Threads that compute the answers to questions.
///
/// A question that is given up (its future or its [`Rows`] dropped) ends when it next gives way, or asks whether it was. What has not come by
/// the limit of time is an error, even where the question does neither.
#[derive(Debug)]
pub struct QueryRuntime {
    reports: Threads,
    sql: Threads,
}

impl QueryRuntime {
    /// Starts the threads: as many for each lane.
    ///
    /// # Errors
    /// Where the system starts no threads.
    pub fn new(threads: NonZeroUsize) -> std::io::Result<Self> {
        Ok(Self {
            reports: Threads::start("reports", threads, REPORTS_AT_ONCE_MAX, REPORTS_WAITING_MAX)?,
            sql: Threads::start("sql", threads, SQL_AT_ONCE_MAX, SQL_WAITING_MAX)?,
        })
    }

    fn threads(&self, lane: Lane) -> &Threads {
        match lane {
            Lane::Reports => &self.reports,
            Lane::Sql => &self.sql,
        }
    }

    /// Makes a report, as [`run_report`] does.
    ///
    /// # Errors
    /// Those of the report; [`QueryError::Busy`] when too many wait.
    pub async fn report(&self, tables: &Tables, request: &ReportRequest, limits: &Limits) -> Result<Report, QueryError> {
        let (tables, request, own_limits) = (tables.clone(), request.clone(), limits.clone());
        self.run(Lane::Reports, limits, async move { run_report(&tables, &request, &own_limits).await }).await
    }

    /// Runs a query, as [`run_sql`] does. Its turn is over when its rows are read or dropped.
    ///
    /// # Errors
    /// Those of the query; [`QueryError::Busy`] when too many wait.
    pub async fn sql(
        &self,
        lane: Lane,
        tables: &Tables,
        viewer: &Viewer,
        sql: &str,
        now: UtcSecond,
        limits: &Limits,
    ) -> Result<Rows, QueryError> {
        let (tables, viewer, sql, own_limits) = (tables.clone(), viewer.clone(), sql.to_owned(), limits.clone());
        self.rows(lane, limits, async move { run_sql(&tables, &viewer, &sql, now, &own_limits).await }).await
    }

    /// Does any work that asks the tables, within a lane and its limit of time.
    ///
    /// # Errors
    /// Those of the work; [`QueryError::Busy`] when too many wait.
    pub async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        limits: &Limits,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let deadline = Instant::now() + limits.time;
        let (threads, turn) = (self.threads(lane), self.threads(lane).turn(deadline, limits));
        let turn = turn.await?;
        let question = GivenUp::default();
        let task = threads.spawn(question.of(async move {
            let done = work.await;
            drop(turn);
            done
        }))?;
        let _ending = Ending { question, task: task.abort_handle() };
        match timeout_at(deadline, task).await {
            Err(_) => Err(Limit::Time(limits.time).into()),
            Ok(Err(_)) => Err(failed()),
            Ok(Ok(done)) => done,
        }
    }

    /// Does work that gives rows, and hands the rows over as they come.
    ///
    /// # Errors
    /// Those of the work; [`QueryError::Busy`] when too many wait.
    pub async fn rows(
        &self,
        lane: Lane,
        limits: &Limits,
        work: impl Future<Output = Result<Rows, QueryError>> + Send + 'static,
    ) -> Result<Rows, QueryError> {
        let deadline = Instant::now() + limits.time;
        let (threads, turn) = (self.threads(lane), self.threads(lane).turn(deadline, limits));
        let turn = turn.await?;
        let (sender, receiver) = mpsc::channel(ROWS_AHEAD_BATCHES);
        let (begun, head) = tokio::sync::oneshot::channel();
        let question = GivenUp::default();
        let task = threads.spawn(question.of(async move {
            match work.await {
                Err(error) => _ = begun.send(Err(error)),
                Ok(mut rows) => {
                    if begun.send(Ok(rows.head())).is_ok() {
                        hand_over(&mut rows, &sender).await;
                    }
                }
            }
            drop(turn);
        }))?;
        let ending = Ending { question, task: task.abort_handle() };
        let head = match timeout_at(deadline, head).await {
            Err(_) => return Err(Limit::Time(limits.time).into()),
            Ok(Err(_)) => return Err(failed()),
            Ok(Ok(head)) => head?,
        };
        Ok(Rows::new(head, Box::pin(HandedOver { receiver, is_over: false, _ending: ending }), limits, deadline))
    }
}

/// The threads of a lane, and whose turn it is.
#[derive(Debug)]
struct Threads {
    /// Absent only while it is dropped.
    runtime: Option<Runtime>,
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    admitted: Arc<Semaphore>,
    waiting_max: usize,
}

/// A question's right to run.
struct Turn {
    _running: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

impl Threads {
    fn start(name: &str, threads: NonZeroUsize, at_once: usize, waiting_max: usize) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads.get()).max_blocking_threads(LANE_BLOCKING_THREADS_MAX).thread_stack_size(THREAD_STACK_BYTES);
        builder.thread_name(name).enable_all();
        Ok(Self {
            runtime: Some(builder.build()?),
            running: Arc::new(Semaphore::new(at_once)),
            admitted: Arc::new(Semaphore::new(at_once + waiting_max)),
            waiting_max,
        })
    }

    async fn turn(&self, deadline: Instant, limits: &Limits) -> Result<Turn, QueryError> {
        let busy = || QueryError::Busy { waiting: self.waiting_max };
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| busy())?;
        let running = timeout_at(deadline, Arc::clone(&self.running).acquire_owned()).await;
        let running = running.map_err(|_| Limit::Time(limits.time))?.map_err(|_| busy())?;
        Ok(Turn { _running: running, _admitted: admitted })
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<tokio::task::JoinHandle<T>, QueryError> {
        Ok(self.runtime.as_ref().ok_or_else(failed)?.spawn(work))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for the threads is not allowed where the last user may be a task itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What is told of a question whose task ended without an answer. Why is in the program's log.
fn failed() -> QueryError {
    QueryError::Execution { message: "the question was broken off by an error inside the program".into() }
}

/// Ends a question's task when nobody waits for it any more.
struct Ending {
    question: GivenUp,
    task: AbortHandle,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.question.say();
        self.task.abort();
    }
}

/// Rows on their way from a lane, and that they are all.
enum Sent {
    Next(Result<RecordBatch, QueryError>),
    Done,
}

async fn hand_over(rows: &mut Rows, to: &mpsc::Sender<Sent>) {
    while let Some(batch) = rows.next().await {
        let is_last = batch.is_err();
        // Nobody reads on.
        if to.send(Sent::Next(batch)).await.is_err() || is_last {
            return;
        }
    }
    _ = to.send(Sent::Done).await;
}

/// Rows as they come from a lane. An end that was not told is an error: rows must not be missing unseen.
struct HandedOver {
    receiver: mpsc::Receiver<Sent>,
    is_over: bool,
    _ending: Ending,
}

impl Stream for HandedOver {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let sent = std::task::ready!(self.receiver.poll_recv(cx));
        self.is_over = !matches!(sent, Some(Sent::Next(Ok(_))));
        Poll::Ready(match sent {
            Some(Sent::Next(batch)) => Some(batch),
            Some(Sent::Done) => None,
            None => Some(Err(failed())),
        })
    }
}
