//! A seeded source of numbers whose sequence never changes: the same seed gives the same fleet on every machine, for ever.
//!
//! That promise is why this is not `rand`, whose distributions may change between releases. Only whole numbers are drawn, since
//! floating-point functions differ between platforms.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

/// The step of SplitMix64: odd, and close to 2^64 divided by the golden ratio.
const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The `number`th of the independent sequences that belong to a seed.
    pub(super) fn branch(seed: u64, number: u64) -> Self {
        let mut random = Self(seed ^ number.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA).rotate_left(32));
        Self(random.next() ^ number)
    }

    /// A sequence that belongs to a text.
    pub(super) fn of_text(text: &str) -> Self {
        Self(text.bytes().fold(0, |hash, byte| Self(hash ^ u64::from(byte)).next()))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number in `from..=to`.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1).max(1) as usize) as i64
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the choices.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        const { assert!(N > 0) };
        choices[self.below(N)]
    }

    /// Removes `count` of the items, or all when there are fewer, and returns them.
    pub(super) fn take<T>(&mut self, items: &mut Vec<T>, count: usize) -> Vec<T> {
        (0..count.min(items.len())).map(|_| items.swap_remove(self.below(items.len()))).collect()
    }

    /// `digits` hexadecimal digits, at most 32.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        let mut hex = format!("{wide:032x}");
        hex.truncate(digits);
        hex
    }

    /// Characters out of an alphabet.
    pub(super) fn text<const N: usize>(&mut self, alphabet: &[u8; N], length: usize) -> String {
        (0..length).map(|_| char::from(self.pick(*alphabet))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut random = Random::new(1_234_567);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut random = Random::new(1);
        let drawn: Vec<i64> = (0..1000).map(|_| random.between(-2, 2)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&-2), Some(&2)));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn branches_of_a_seed_and_of_neighbouring_seeds_differ() {
        let mut first: Vec<u64> = (0..20).flat_map(|seed| (0..50).map(move |n| Random::branch(seed, n).next())).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 1000);
    }
}
