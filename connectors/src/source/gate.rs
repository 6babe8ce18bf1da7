//! Bounds how many bytes are between the workers and the log.

use std::sync::{Condvar, Mutex, PoisonError};

/// Lets in work of a given weight while the sum inside is within the capacity. One piece alone is always let in.
pub struct Gate {
    inside: Mutex<usize>,
    left: Condvar,
    capacity_bytes: usize,
}

/// Work that was let in; it leaves when this is dropped.
pub struct Pass<'a> {
    gate: &'a Gate,
    bytes: usize,
}

impl Gate {
    /// A gate for this many bytes.
    pub fn new(capacity_bytes: usize) -> Self {
        Self { inside: Mutex::new(0), left: Condvar::new(), capacity_bytes }
    }

    /// Waits until there is room.
    pub fn enter(&self, bytes: usize) -> Pass<'_> {
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |inside: &mut usize| *inside > 0 && *inside + bytes > self.capacity_bytes;
        let mut inside = self.left.wait_while(inside, full).unwrap_or_else(PoisonError::into_inner);
        *inside += bytes;
        Pass { gate: self, bytes }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        *self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_heavier_than_the_gate_enters_alone_and_all_enter_in_the_end() {
        let gate = Gate::new(10);
        let most = Mutex::new(0);
        std::thread::scope(|scope| {
            for bytes in [3, 4, 25, 5, 10, 1] {
                let (gate, most) = (&gate, &most);
                scope.spawn(move || {
                    let pass = gate.enter(bytes);
                    let inside = *gate.inside.lock().unwrap();
                    let mut most = most.lock().unwrap();
                    *most = (*most).max(if bytes > 10 { inside - bytes } else { inside.saturating_sub(10) });
                    drop(pass);
                });
            }
        });
        assert_eq!((*most.lock().unwrap(), *gate.inside.lock().unwrap()), (0, 0));
    }
}
