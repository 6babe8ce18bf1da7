//! A clock that stands still until it is moved.

use std::sync::Mutex;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::oneshot;

use crate::source::sqs::clock::Clock;

/// Until when somebody sleeps, and how to wake them.
type Sleeper = (Duration, oneshot::Sender<()>);

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct StillClock {
    state: Mutex<(Duration, Vec<Sleeper>)>,
}

impl StillClock {
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap();
        state.0 += by;
        let now = state.0;
        let (due, waiting) = std::mem::take(&mut state.1).into_iter().partition(|(at, _)| *at <= now);
        state.1 = waiting;
        let due: Vec<Sleeper> = due;
        due.into_iter().for_each(|(_, wake)| _ = wake.send(()));
    }
}

impl Clock for StillClock {
    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().0
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + self.elapsed().as_millis() as i64
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        if wait.is_zero() {
            return futures::future::ready(()).boxed();
        }
        let (wake, woken) = oneshot::channel();
        let mut state = self.state.lock().unwrap();
        let at = state.0 + wait;
        state.1.retain(|(_, wake)| !wake.is_closed());
        state.1.push((at, wake));
        woken.map(drop).boxed()
    }
}
