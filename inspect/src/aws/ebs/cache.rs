//! A few of the newest things, by their number.

use std::collections::HashMap;

/// Things that were used last, up to a number of them. A scan over all is cheap at the sizes that it has here.
#[derive(Debug)]
pub(super) struct Newest<T> {
    most: usize,
    turn: u64,
    kept: HashMap<u32, (u64, T)>,
}

impl<T> Newest<T> {
    /// Keeps up to `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, turn: 0, kept: HashMap::new() }
    }

    /// What has a number, if it is still kept. It counts as used.
    pub(super) fn get(&mut self, number: u32) -> Option<&T> {
        self.turn += 1;
        let (used, kept) = self.kept.get_mut(&number)?;
        *used = self.turn;
        Some(kept)
    }

    /// Keeps something in the place of what was used least recently.
    pub(super) fn put(&mut self, number: u32, thing: T) {
        self.turn += 1;
        if self.kept.len() >= self.most && !self.kept.contains_key(&number) {
            let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used).map(|(number, _)| *number);
            oldest.and_then(|oldest| self.kept.remove(&oldest));
        }
        self.kept.insert(number, (self.turn, thing));
    }

    /// Forgets what has a number.
    pub(super) fn forget(&mut self, number: u32) {
        self.kept.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes_first() {
        let mut newest = Newest::new(2);
        let get = |newest: &mut Newest<char>, numbers: [u32; 3]| numbers.map(|number| newest.get(number).copied());
        newest.put(1, 'a');
        newest.put(2, 'b');
        assert_eq!(newest.get(1), Some(&'a'));
        newest.put(3, 'c');
        assert_eq!(get(&mut newest, [1, 2, 3]), [Some('a'), None, Some('c')]);
        newest.put(3, 'd');
        newest.forget(1);
        assert_eq!(get(&mut newest, [1, 2, 3]), [None, None, Some('d')]);
        assert_eq!(newest.kept.len(), 1);
    }
}
