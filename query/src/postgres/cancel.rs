//! Ending what another connection is doing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// All connections that may be asked to end what they do.
#[derive(Debug, Default)]
pub(super) struct Cancellers {
    known: Mutex<HashMap<i32, Arc<Canceller>>>,
    last: AtomicI32,
}

/// Ends what one connection is doing.
#[derive(Debug)]
struct Canceller {
    /// Who knows it may.
    key: i32,
    current: Mutex<CancellationToken>,
}

/// A connection's own entry. Dropped, it is forgotten.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) pid: i32,
    pub(super) key: i32,
    /// Tells that its user is let in no longer, which ends the statement that runs as well.
    pub(super) shut_out: CancellationToken,
    canceller: Arc<Canceller>,
    all: Arc<Cancellers>,
}

impl Cancellers {
    /// Makes a connection known, with a key that nobody can guess.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub(super) fn register(self: &Arc<Self>) -> Result<Registered, getrandom::Error> {
        let mut key = [0; 4];
        getrandom::fill(&mut key)?;
        let canceller = Arc::new(Canceller { key: i32::from_be_bytes(key), current: Mutex::default() });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = loop {
            // Numbers come again after two billion connections; those that are in use are passed over.
            let next = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & i32::MAX;
            if next != 0 && !known.contains_key(&next) {
                break next;
            }
        };
        known.insert(pid, Arc::clone(&canceller));
        drop(known);
        Ok(Registered { pid, key: canceller.key, shut_out: CancellationToken::new(), canceller, all: Arc::clone(self) })
    }

    /// Ends what a connection is doing, if the key is its own. Nobody is told whether it was.
    pub(super) fn cancel(&self, pid: i32, key: i32) {
        let canceller = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&pid).cloned();
        if let Some(canceller) = canceller.filter(|canceller| canceller.key == key) {
            canceller.current.lock().unwrap_or_else(PoisonError::into_inner).cancel();
        }
    }
}

impl Registered {
    /// A statement begins: what tells that it is to end. Who asked before asked for an earlier one.
    pub(super) fn begin(&self) -> CancellationToken {
        let token = self.shut_out.child_token();
        *self.canceller.current.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
        token
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.all.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_key_ends_a_statement_and_only_the_current_one() {
        let all = Arc::new(Cancellers::default());
        let (one, other) = (all.register().unwrap(), all.register().unwrap());
        assert_ne!(one.pid, other.pid);
        let (first, of_other) = (one.begin(), other.begin());
        all.cancel(one.pid, one.key.wrapping_add(1));
        assert!(!first.is_cancelled());
        all.cancel(one.pid, one.key);
        assert!(first.is_cancelled() && !of_other.is_cancelled());
        assert!(!one.begin().is_cancelled());
    }

    #[test]
    fn who_is_shut_out_runs_no_statement_any_more() {
        let all = Arc::new(Cancellers::default());
        let (one, other) = (all.register().unwrap(), all.register().unwrap());
        let (running, of_other) = (one.begin(), other.begin());
        one.shut_out.cancel();
        assert!(running.is_cancelled() && one.begin().is_cancelled() && !of_other.is_cancelled());
    }

    #[test]
    fn a_connection_that_ended_is_forgotten() {
        let all = Arc::new(Cancellers::default());
        drop(all.register().unwrap());
        assert!(all.known.lock().unwrap().is_empty());
    }
}
