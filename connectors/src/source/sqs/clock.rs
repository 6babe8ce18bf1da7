//! The clock of the source. Tests have one that stands still until it is moved.

use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudigrade_schemas::UtcSecond;
use futures::future::{BoxFuture, FutureExt};
use tokio::time::Instant;

/// Tells the time and waits.
pub trait Clock: Send + Sync + Debug {
    /// How much time has passed since some moment before. It never falls.
    fn elapsed(&self) -> Duration;

    /// The wall clock, in milliseconds since 1970.
    fn wall_ms(&self) -> i64;

    /// Waits.
    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()>;

    /// The wall clock, in seconds.
    fn wall(&self) -> UtcSecond {
        UtcSecond(self.wall_ms().div_euclid(1_000))
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Begins now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(wait).boxed()
    }
}
