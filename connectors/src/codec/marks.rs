//! The places in a text that matter to finding records: the *marks*. They are braces outside of strings, the beginnings of strings that
//! could be a power event's name, and what must be looked at more closely.
//!
//! This is the first stage of simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second"), cut down to what finding records
//! takes. The text is read in blocks of 64 bytes, with one bit for each byte. Bytes are classified by AVX2 where the processor has it
//! ([`avx2`]), otherwise by table; all else is arithmetic on the bits.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::words::{is_initial, is_power_name};

/// Bytes of a block.
const BLOCK_BYTES: usize = 64;
/// Blocks whose marks are found ahead: few enough that both stay in the first-level cache.
const WINDOW_BLOCKS: usize = 64;

/// Marks that are written at once. To write too many is faster than a branch that is often guessed wrongly.
const MARKS_AT_ONCE: usize = 2;

/// How bytes are classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// By table, on any processor.
    Portable,
    /// By AVX2 instructions.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Available),
}

impl Isa {
    /// The fastest that this processor has.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(available) = avx2::Available::detect() {
            return Self::Avx2(available);
        }
        Self::Portable
    }
}

/// The classes of a block's bytes, whether in strings or not. Bit n stands for byte n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Classes {
    /// `"`
    quote: u64,
    /// `\`
    backslash: u64,
    /// `{` and `}`
    brace: u64,
    /// An initial of a power event's name; see [`is_initial`].
    initial: u64,
    /// Not ASCII.
    high: u64,
}

const QUOTE: u8 = 1;
const BACKSLASH: u8 = 1 << 1;
const BRACE: u8 = 1 << 2;
const INITIAL: u8 = 1 << 3;
const HIGH: u8 = 1 << 4;

/// The classes of each byte, one bit a class.
const CLASSES_OF: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'"' => QUOTE,
            b'\\' => BACKSLASH,
            b'{' | b'}' => BRACE,
            0x80.. => HIGH,
            initial if is_initial(initial) => INITIAL,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

impl Classes {
    /// Looks each byte up, and gathers the bits class by class: of eight bytes at a time, one multiplication moves a bit of each into one
    /// byte.
    fn of(bytes: &[u8; BLOCK_BYTES]) -> Self {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let mut masks = [0; 5];
        for (n, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let classes = u64::from_le_bytes(eight.map(|byte| CLASSES_OF[usize::from(byte)]));
            for (class, mask) in masks.iter_mut().enumerate() {
                *mask |= (((classes >> class) & ONES).wrapping_mul(GATHER) >> 56) << (8 * n);
            }
        }
        let [quote, backslash, brace, initial, high] = masks;
        Self { quote, backslash, brace, initial, high }
    }
}

/// Each bit becomes the parity of itself and all below: 1 from an odd quotation mark to the next.
fn prefix_xor(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].into_iter().fold(bits, |bits, by| bits ^ (bits << by))
}

/// What one block must know of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lexer {
    /// 1: the first byte is escaped.
    escape: u64,
    /// All ones: the first byte is in a string.
    in_string: u64,
    /// 1: the byte before begins a string.
    beginning: u64,
    /// Bits of whatever JSON does not have outside of strings: a backslash, an initial of a power event's name.
    damage: u64,
}

impl Lexer {
    fn portable(&mut self, bytes: &[u8; BLOCK_BYTES]) -> u64 {
        self.marks(bytes, &Classes::of(bytes), prefix_xor)
    }

    /// The block's marks.
    #[inline(always)]
    fn marks(&mut self, bytes: &[u8; BLOCK_BYTES], classes: &Classes, prefix_xor: impl Fn(u64) -> u64) -> u64 {
        let escaped = self.escaped(classes.backslash);
        let quotes = classes.quote & !escaped;
        let (marks, inside) = self.plain_marks(quotes, classes.brace, classes.initial, prefix_xor(quotes));
        self.damage |= classes.backslash & !inside;
        let code_points = ones(escaped).filter(|bit| bytes[*bit] == b'u').fold(0, |bits, bit| bits | 1 << bit);
        marks | classes.high | code_points
    }

    /// Bytes that a backslash escapes.
    #[inline(always)]
    fn escaped(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let backslash = backslash & !self.escape;
        let follows = backslash << 1 | self.escape;
        let odd_starts = backslash & !EVEN & !follows;
        let (even_ends, overflow) = odd_starts.overflowing_add(backslash);
        self.escape = u64::from(overflow);
        (EVEN ^ (even_ends << 1)) & follows
    }

    #[inline(always)]
    fn plain_marks(&mut self, quotes: u64, brace: u64, initial: u64, parity: u64) -> (u64, u64) {
        // A string's opening quotation mark counts to it, the closing one does not.
        let inside = parity ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(inside >> 63);
        let beginning = quotes & inside;
        let names = (beginning << 1 | self.beginning) & initial;
        self.beginning = beginning >> 63;
        self.damage |= initial & !inside;
        (brace & !inside | names, inside)
    }
}

/// The places of the bits that are set, in order.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            bit
        })
    })
}

/// The marks of some blocks in a row.
struct Window {
    /// Places in the text, from the window's beginning on; `count` of them are valid.
    places: [u16; WINDOW_BLOCKS * BLOCK_BYTES + MARKS_AT_ONCE],
    count: usize,
}

impl Window {
    /// Fills the window with the marks of these blocks, each found by `marks_of`.
    #[inline(always)]
    fn fill(&mut self, blocks: &[[u8; BLOCK_BYTES]], mut marks_of: impl FnMut(&[u8; BLOCK_BYTES]) -> u64) {
        let mut count = 0;
        for (block, start) in blocks.iter().zip((0..).step_by(BLOCK_BYTES)) {
            let mut marks = marks_of(block);
            let end = count + marks.count_ones() as usize;
            loop {
                for place in &mut self.places[count..count + MARKS_AT_ONCE] {
                    *place = start + marks.trailing_zeros() as u16;
                    marks &= marks.wrapping_sub(1);
                }
                count += MARKS_AT_ONCE;
                if count >= end {
                    break;
                }
            }
            count = end;
        }
        self.count = count;
    }
}

/// Why a stretch of text must be looked at. Where it says no, there is no reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// It has a string that is a power event's name, or an escape by code point, which could spell one.
    pub name: bool,
    /// It has bytes that are not ASCII.
    pub high: bool,
}

/// Where an object ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The place behind its closing brace.
    pub at: usize,
    /// Whether it must be looked at.
    pub look: Look,
}

/// A text's marks. It goes through the text once, forward.
pub(super) struct Marks<'a> {
    text: &'a [u8],
    isa: Isa,
    lexer: Lexer,
    window: Window,
    /// Where in the text the window begins.
    start: usize,
    /// Where the window ends.
    end: usize,
    /// How many of the window's marks are used up.
    used: usize,
}

impl<'a> Marks<'a> {
    pub(super) fn new(text: &'a [u8], isa: Isa) -> Self {
        let window = Window { places: [0; _], count: 0 };
        Self { text, isa, lexer: Lexer::default(), window, start: 0, end: 0, used: 0 }
    }

    /// The place where `depth` objects end that `from` lies in, or, if none do, the object that begins there. `from` must not be before the
    /// last end.
    ///
    /// `None`: it does not end, or the text nearby is damaged. All before it was sound.
    pub(super) fn end_of(&mut self, from: usize, mut depth: i64) -> Option<End> {
        let mut look = Look::default();
        loop {
            let text = self.text.get(self.start..)?;
            let places = self.window.places.get(..self.window.count)?;
            while let Some(place) = places.get(self.used) {
                self.used += 1;
                let at = usize::from(*place);
                let byte = *text.get(at)?;
                if self.start + at < from {
                    continue;
                }
                match byte {
                    b'{' => depth += 1,
                    b'}' => {
                        depth -= 1;
                        if depth == 0 {
                            return Some(End { at: self.start + at + 1, look });
                        }
                    }
                    b'u' => look.name = true,
                    0x80.. => look.high = true,
                    _ => look.name |= is_power_name(&text[at..]),
                }
            }
            self.advance()?;
        }
    }

    /// Moves the window; `None` at the text's end and where the text is damaged.
    fn advance(&mut self) -> Option<()> {
        (self.start, self.used) = (self.end, 0);
        let rest = self.text.get(self.start..).filter(|rest| !rest.is_empty())?;
        let (whole, tail) = rest.as_chunks::<BLOCK_BYTES>();
        if whole.is_empty() {
            let mut padded = [b' '; BLOCK_BYTES];
            padded[..tail.len()].copy_from_slice(tail);
            self.window.fill(&[padded], |block| self.lexer.portable(block));
            self.end = self.text.len();
        } else {
            let blocks = &whole[..whole.len().min(WINDOW_BLOCKS)];
            match self.isa {
                Isa::Portable => self.window.fill(blocks, |block| self.lexer.portable(block)),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2(available) => available.fill(&mut self.window, blocks, &mut self.lexer),
            }
            self.end += blocks.as_flattened().len();
        }
        (self.lexer.damage == 0).then_some(())
    }
}

#[cfg(test)]
mod tests;
