//! Reports over HTTP.
//!
//! `GET /api/v1/report/usage` and `/api/v1/report/concurrency` take `start`, `end`, `granularity`, `tz`, `by` and `format` (json or csv) as
//! the command line does. `/healthz` says that the process answers, `/readyz` whether it can do its work and what is in the way, `/metrics`
//! counts in Prometheus' format.
//!
//! There are no users yet: whoever reaches the address reads everything.

pub mod answer;
pub mod backend;
pub mod call;
pub mod endpoint;
mod params;
pub mod principal;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use cloudigrade_schemas::UtcSecond;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use warp::http::{Method, StatusCode};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use self::answer::Failure;
use self::backend::Backend;
use self::params::Params;
use crate::limits::{REPORTS_AT_ONCE_MAX, REPORTS_WAITING_MAX};
use crate::report::{Report, ReportKind, ReportRequest, run_report};
use crate::session::Limits;
use crate::sql::run_sql;
use crate::tables::Tables;
use crate::viewer::Viewer;

/// What answers: cheap to clone.
#[derive(Clone)]
pub struct Rest {
    shared: Arc<Shared>,
}

/// What somebody must mend before all works: a JSON object each, none when all is well.
pub type Problems = Arc<dyn Fn() -> Vec<serde_json::Value> + Send + Sync>;

struct Shared {
    tables: Tables,
    backend: Option<Arc<dyn Backend>>,
    now: fn() -> UtcSecond,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    problems: Problems,
    /// Reports that are computed at the same time.
    computing: Semaphore,
    /// Reports that are computed or wait for it.
    admitted: Semaphore,
}

impl Rest {
    /// Answers from tables. `now` is the wall clock, `metrics` the text of `/metrics`, `problems` what `/readyz` says.
    pub fn new(tables: Tables, now: fn() -> UtcSecond, metrics: Arc<dyn Fn() -> String + Send + Sync>, problems: Problems) -> Self {
        let computing = Semaphore::new(REPORTS_AT_ONCE_MAX);
        let admitted = Semaphore::new(REPORTS_AT_ONCE_MAX + REPORTS_WAITING_MAX);
        Self { shared: Arc::new(Shared { tables, backend: None, now, metrics, problems, computing, admitted }) }
    }

    /// What changes things, and knows who somebody is.
    ///
    /// # Errors
    /// 503 where the server has no log to itself, and so nothing to change.
    pub fn backend(&self) -> Result<&Arc<dyn Backend>, Failure> {
        let message = || "this server only reads: it has no log to write to".to_owned();
        self.shared.backend.as_ref().ok_or_else(|| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "read_only", message()))
    }

    /// The wall clock.
    pub fn now(&self) -> UtcSecond {
        (self.shared.now)()
    }

    /// The rows of a question in SQL, as one viewer sees the tables now. It waits for its turn among the others.
    ///
    /// # Errors
    /// What the question does wrong, 503 when too many wait, 500 when the tables do not read.
    pub async fn rows(&self, viewer: &Viewer, sql: &str) -> Result<Vec<RecordBatch>, Failure> {
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| Failure::busy())?;
        let _computing = self.shared.computing.acquire().await.map_err(|_| Failure::busy())?;
        self.shared.tables.refresh().await?;
        let rows = run_sql(&self.shared.tables, viewer, sql, self.now(), &Limits::default()).await?;
        Ok(rows.collect().await?)
    }

    /// A report. It waits for its turn among the others.
    ///
    /// # Errors
    /// As for [`Rest::rows`].
    pub async fn make_report(&self, request: &ReportRequest) -> Result<Report, Failure> {
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| Failure::busy())?;
        let _computing = self.shared.computing.acquire().await.map_err(|_| Failure::busy())?;
        self.shared.tables.refresh().await?;
        Ok(run_report(&self.shared.tables, request, &Limits::default()).await?)
    }

    async fn report(&self, kind: ReportKind, params: Params) -> Result<Response, Failure> {
        let _admitted = self.shared.admitted.try_acquire().map_err(|_| Failure::busy())?;
        let _computing = self.shared.computing.acquire().await.map_err(|_| Failure::busy())?;
        self.shared.tables.refresh().await?;
        let (request, format) = params.request(kind, (self.shared.now)())?;
        let report = run_report(&self.shared.tables, &request, &Limits::default()).await?;
        Ok(answer::report(kind, &report, format)?)
    }
}

/// Serves until `stop`; requests under way are answered.
pub async fn serve(rest: Rest, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
    warp::serve(routes(rest)).incoming(listener).graceful(stop).run().await;
}

/// All resources.
pub fn routes(rest: Rest) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone {
    let of = move |rest: &Rest| {
        let rest = rest.clone();
        warp::any().map(move || rest.clone())
    };
    let report = |name: &'static str, kind: ReportKind| {
        warp::path!("api" / "v1" / "report" / ..)
            .and(warp::path(name))
            .and(warp::path::end())
            .and(warp::get())
            .and(of(&rest))
            .and(warp::query::<Vec<(String, String)>>())
            .and(warp::header::optional::<String>("accept"))
            .then(move |rest: Rest, query, accept: Option<String>| async move {
                let answered = match Params::read(query, accept.as_deref()) {
                    Ok(params) => rest.report(kind, params).await,
                    Err(failure) => Err(failure),
                };
                answered.unwrap_or_else(Failure::into_response)
            })
    };
    let health = warp::path!("healthz").and(warp::get()).map(|| answer::json(StatusCode::OK, &serde_json::json!({"status": "ok"})));
    let metrics = warp::path!("metrics").and(warp::get()).and(of(&rest)).map(|rest: Rest| {
        warp::reply::with_header((rest.shared.metrics)(), "content-type", "text/plain; version=0.0.4; charset=utf-8").into_response()
    });
    let ready = warp::path!("readyz").and(warp::get()).and(of(&rest)).map(|rest: Rest| readiness((rest.shared.problems)()));
    let usage = report("usage", ReportKind::Usage);
    let concurrency = report("concurrency", ReportKind::Concurrency);
    let resources = usage.or(concurrency).unify().or(health).unify().or(ready).unify().or(metrics).unify().recover(refuse).unify();
    warp::method().and(warp::path::full()).and(warp::any().map(Instant::now)).and(resources).map(observe)
}

fn readiness(problems: Vec<serde_json::Value>) -> Response {
    match problems.is_empty() {
        true => answer::json(StatusCode::OK, &serde_json::json!({"status": "ready"})),
        false => answer::json(StatusCode::SERVICE_UNAVAILABLE, &serde_json::json!({"status": "degraded", "problems": problems})),
    }
}

/// Counts a request. Labels are bounded: a path that is no resource is counted as `other`.
fn observe(method: Method, path: FullPath, started: Instant, response: Response) -> Response {
    const PATHS: [&str; 5] = ["/api/v1/report/usage", "/api/v1/report/concurrency", "/healthz", "/readyz", "/metrics"];
    let path = PATHS.into_iter().find(|known| *known == path.as_str()).unwrap_or("other");
    let status = response.status().as_u16().to_string();
    metrics::counter!("cloudigrade_http_requests_total", "path" => path, "status" => status).increment(1);
    metrics::histogram!("cloudigrade_http_request_seconds", "path" => path).record(started.elapsed().as_secs_f64());
    tracing::info!(%method, path, status = response.status().as_u16(), elapsed_ms = started.elapsed().as_millis() as u64, "request");
    response
}

async fn refuse(rejection: Rejection) -> Result<Response, Infallible> {
    let failure = if rejection.is_not_found() {
        Failure::new(StatusCode::NOT_FOUND, "not_found", "there is no such resource".to_owned())
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this resource is only read, with GET".to_owned())
    } else {
        Failure::new(StatusCode::BAD_REQUEST, "bad_request", "the request cannot be read".to_owned())
    };
    Ok(failure.into_response())
}
