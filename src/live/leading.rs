//! What only one of the processes that share a log is to do.

use std::future::{Future, pending};
use std::pin::pin;

use cloudigrade_pipeline::log::TaskId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use crate::log::DataLog;

/// Whether this process leads. Cheap to clone.
#[derive(Clone)]
pub struct Leading(watch::Receiver<bool>);

impl Leading {
    /// Takes part in who leads, until it is told to stop.
    pub fn start(log: &DataLog, in_what: TaskId, parts: &mut Parts, stop: &CancellationToken) -> Self {
        let (leads, leading) = watch::channel(!log.is_shared());
        if log.is_shared() {
            let (log, stop) = (log.clone(), stop.clone());
            let mut tell = move |now: bool| {
                if leads.send_replace(now) != now {
                    tracing::info!(leads = now, "this process {} {in_what}", if now { "leads in" } else { "does not lead any more in" });
                }
                metrics::gauge!("cloudigrade_leads", "in" => in_what.0).set(f64::from(u8::from(now)));
            };
            let take_part = move || log.lead(in_what, &|| !stop.is_cancelled(), &mut tell);
            parts.spawn("leading", async move { Ok(tokio::task::spawn_blocking(take_part).await??) });
        }
        Self(leading)
    }

    /// Does something whenever this process leads, and has it stop when another does, until all stops.
    ///
    /// # Errors
    /// Those of `work`, which is given what tells it to stop.
    pub async fn run<F>(mut self, stop: CancellationToken, work: impl Fn(CancellationToken) -> F) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        while stop.run_until_cancelled(self.until(true)).await.is_some() {
            let turn = stop.child_token();
            let mut doing = pin!(work(turn.clone()));
            tokio::select! {
                done = &mut doing => return done,
                () = self.until(false) => {
                    turn.cancel();
                    doing.await?;
                }
            }
        }
        Ok(())
    }

    async fn until(&mut self, leads: bool) {
        if self.0.wait_for(|now| *now == leads).await.is_err() {
            // Nobody says so any more: it stays as it is.
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_is_done_while_this_process_leads_and_ends_when_another_does() {
        let (leads, leading) = watch::channel(false);
        let (stop, begun, ended) = (CancellationToken::new(), AtomicU32::new(0), AtomicU32::new(0));
        let work = |turn: CancellationToken| {
            begun.fetch_add(1, Ordering::SeqCst);
            let ended = &ended;
            async move {
                turn.cancelled().await;
                ended.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        };
        let changes = async {
            for turn in 1..=3 {
                assert_eq!((begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)), (turn - 1, turn - 1));
                leads.send_replace(true);
                while begun.load(Ordering::SeqCst) < turn {
                    tokio::task::yield_now().await;
                }
                leads.send_replace(false);
                while ended.load(Ordering::SeqCst) < turn {
                    tokio::task::yield_now().await;
                }
            }
            stop.cancel();
        };
        let (ran, ()) = tokio::join!(Leading(leading).run(stop.clone(), work), changes);
        ran.unwrap();
    }

    #[tokio::test]
    async fn work_that_fails_ends_all() {
        let (_leads, leading) = watch::channel(true);
        let failed = Leading(leading).run(CancellationToken::new(), |_| async { Err(anyhow::anyhow!("no disk")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "no disk");
    }
}
