//! Everything over HTTP: reports, tables, accounts, images, users.
//!
//! One table of [endpoints](endpoint::Endpoint) is the router, and the description at `/openapi.json`. A request goes through
//! `dispatch`: it is read within its limits, whoever makes it is identified, its endpoint answers, and what is common to all answers is
//! added. What a viewer can see is decided in none of these places, but where the question is asked: see [`crate::viewer`].

pub mod answer;
mod ask;
pub mod backend;
pub mod call;
mod compress;
mod conform;
mod connections;
mod describe;
mod dispatch;
pub mod endpoint;
mod hygiene;
mod identify;
mod links;
mod observe;
mod openapi;
mod options;
mod params;
pub mod principal;
mod resources;
mod router;
mod rows;
mod sql;
mod stall;
mod v1;
mod v2;
mod watch;

use std::sync::{Arc, LazyLock};

use cloudigrade_schemas::UtcSecond;
use tokio::sync::Semaphore;
use warp::http::StatusCode;

pub use self::connections::{serve, watch};
pub use self::dispatch::routes;
pub use self::options::{RequestLimits, RestOptions};
pub use self::watch::Watched;

use self::answer::Failure;
use self::backend::Backend;
use self::endpoint::Endpoint;
use self::router::Router;
use crate::limits::EXPORTS_AT_ONCE_MAX;
use crate::runtime::QueryRuntime;
use crate::tables::Tables;

/// What answers: cheap to clone.
#[derive(Clone)]
pub struct Rest {
    shared: Arc<Shared>,
}

/// What somebody must mend before all works: a JSON object each, none when all is well.
pub type Problems = Arc<dyn Fn() -> Vec<serde_json::Value> + Send + Sync>;

/// What the program gives.
pub struct Parts {
    /// The tables that are read.
    pub tables: Arc<Tables>,
    /// The threads that compute answers.
    pub queries: Arc<QueryRuntime>,
    /// What changes things, and knows who somebody is; none where the server only reads.
    pub backend: Option<Arc<dyn Backend>>,
    /// The wall clock.
    pub now: fn() -> UtcSecond,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What `/readyz` says.
    pub problems: Problems,
}

struct Shared {
    parts: Parts,
    options: RestOptions,
    /// Answers of many rows that are sent at the same time.
    exports: Arc<Semaphore>,
}

/// All endpoints.
static ROUTER: LazyLock<Router> = LazyLock::new(|| Router::new(endpoints()));

fn endpoints() -> Vec<Endpoint> {
    [resources::endpoints(), sql::endpoints(), v1::endpoints(), v2::endpoints()].concat()
}

impl Rest {
    /// Answers as the operator decided.
    pub fn new(parts: Parts, options: RestOptions) -> Self {
        let exports = Arc::new(Semaphore::new(EXPORTS_AT_ONCE_MAX));
        Self { shared: Arc::new(Shared { parts, options, exports }) }
    }

    /// What changes things, and knows who somebody is.
    ///
    /// # Errors
    /// 503 where the server has no log to itself, and so nothing to change.
    pub fn backend(&self) -> Result<&Arc<dyn Backend>, Failure> {
        let message = "this server only reads: it has no log to write to";
        self.shared.parts.backend.as_ref().ok_or_else(|| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "read_only", message))
    }

    /// What the operator decided.
    pub fn options(&self) -> &RestOptions {
        &self.shared.options
    }

    /// What somebody must mend before all works.
    fn problems(&self) -> Vec<serde_json::Value> {
        (self.shared.parts.problems)()
    }

    /// The counters, as text.
    fn metrics(&self) -> String {
        (self.shared.parts.metrics)()
    }

    /// The tables.
    pub fn tables(&self) -> &Arc<Tables> {
        &self.shared.parts.tables
    }

    /// The threads that compute answers.
    pub fn queries(&self) -> &Arc<QueryRuntime> {
        &self.shared.parts.queries
    }

    /// The wall clock.
    pub fn now(&self) -> UtcSecond {
        (self.shared.parts.now)()
    }
}
