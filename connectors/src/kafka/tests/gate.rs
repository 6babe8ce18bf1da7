//! Holds requests and answers until a test lets them go: the broker has not been asked yet, or has not answered yet. Others are lost.
//!
//! What comes behind such a frame passes it, as it would where another broker is asked.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::proxy::{Fate, Frame, Line, Watch};

/// Whether something becomes of a frame.
type Rule = Box<dyn FnMut(&Frame<'_>) -> bool + Send>;

/// A gate, which is open at first.
#[derive(Default)]
pub(super) struct Gate(Mutex<Closed>);

#[derive(Default)]
struct Closed {
    /// Say what is held.
    holding: Vec<Rule>,
    /// Say what is lost.
    losing: Vec<Rule>,
    held: Vec<(Line, Vec<u8>)>,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Closed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds from now on what a rule says.
    pub(super) fn hold(&self, rule: impl FnMut(&Frame<'_>) -> bool + Send + 'static) {
        self.lock().holding.push(Box::new(rule));
    }

    /// Loses from now on what a rule says, without a sign to whoever sent it.
    pub(super) fn lose(&self, rule: impl FnMut(&Frame<'_>) -> bool + Send + 'static) {
        self.lock().losing.push(Box::new(rule));
    }

    /// Whether anything is held.
    pub(super) fn has_held(&self) -> bool {
        !self.lock().held.is_empty()
    }

    /// Lets all go that was held, before anything that comes now; and all that comes. Fails where somebody did not wait for it.
    pub(super) fn open(&self) -> io::Result<()> {
        let mut closed = self.lock();
        closed.holding.clear();
        closed.losing.clear();
        closed.held.drain(..).try_for_each(|(line, bytes)| line.send(&bytes))
    }
}

impl Watch for Gate {
    fn decide(&self, frame: &Frame<'_>, line: &Line) -> Fate {
        let mut closed = self.lock();
        if closed.losing.iter_mut().any(|rule| rule(frame)) {
            return Fate::Stays;
        }
        if closed.holding.iter_mut().any(|rule| rule(frame)) {
            closed.held.push((line.clone(), frame.bytes.to_vec()));
            return Fate::Stays;
        }
        Fate::Goes
    }
}
