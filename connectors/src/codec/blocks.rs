//! The text in blocks of 64 bytes, with one bit for each byte: where braces stand outside of strings, and where a string begins that could be
//! a power event's name.
//!
//! This is the first stage of simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second"), cut down to what finding records
//! takes. Bytes are classified by AVX2 where the processor has it ([`avx2`]), otherwise by table; all else is arithmetic on the bits.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::words::{begins_with_power_name, is_initial};

/// Bytes of a block.
const BLOCK_BYTES: usize = 64;

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
    /// `{`
    open: u64,
    /// `}`
    close: u64,
    /// An initial of a power event's name; see [`is_initial`].
    initial: u64,
    /// Not ASCII.
    high: u64,
}

const QUOTE: u8 = 1;
const BACKSLASH: u8 = 1 << 1;
const OPEN: u8 = 1 << 2;
const CLOSE: u8 = 1 << 3;
const INITIAL: u8 = 1 << 4;
const HIGH: u8 = 1 << 5;

/// The classes of each byte, one bit a class.
const CLASSES_OF: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'"' => QUOTE,
            b'\\' => BACKSLASH,
            b'{' => OPEN,
            b'}' => CLOSE,
            0x80.. => HIGH,
            initial if is_initial(initial) => INITIAL,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

impl Classes {
    /// Looks each byte up, and gathers the bits class by class: of eight bytes at a time, one multiplication moves a bit of each into one byte.
    fn of(bytes: &[u8; BLOCK_BYTES]) -> Self {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let mut masks = [0; 6];
        for (n, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let classes = u64::from_le_bytes(eight.map(|byte| CLASSES_OF[usize::from(byte)]));
            for (class, mask) in masks.iter_mut().enumerate() {
                *mask |= (((classes >> class) & ONES).wrapping_mul(GATHER) >> 56) << (8 * n);
            }
        }
        let [quote, backslash, open, close, initial, high] = masks;
        Self { quote, backslash, open, close, initial, high }
    }
}

/// Each bit becomes the parity of itself and all below: 1 from an odd quotation mark to the next.
fn prefix_xor(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].into_iter().fold(bits, |bits, by| bits ^ (bits << by))
}

/// What one block holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Block {
    /// `{` outside of strings.
    open: u64,
    /// `}` outside of strings.
    close: u64,
    /// First bytes of strings that could be a power event's name.
    names: u64,
    /// Holds an escape by code point, which could spell a name.
    escape: bool,
    /// Holds bytes that are not ASCII.
    high: bool,
}

impl Block {
    /// Goes through the `keep` ones of its braces to where the depth falls to nothing.
    #[inline(always)]
    fn walk(&self, keep: u64, depth: &mut i64) -> Option<usize> {
        let (open, close) = (self.open & keep, self.close & keep);
        let closed = i64::from(close.count_ones());
        // Most blocks close too little for that.
        if *depth > closed {
            *depth += i64::from(open.count_ones()) - closed;
            return None;
        }
        ones(open | close).find(|bit| {
            *depth += if open >> bit & 1 == 1 { 1 } else { -1 };
            *depth == 0
        })
    }
}

/// Why a stretch of text must be looked at. Where it says no, there is no reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// It may have a string that is a power event's name, or an escape by code point, which could spell one.
    pub name: bool,
    /// It may have bytes that are not ASCII.
    pub high: bool,
}

/// Whether a power event's name begins at any of these places of a text.
#[inline(never)]
fn any_power_name(names: u64, text: &[u8]) -> bool {
    ones(names).any(|at| begins_with_power_name(text.get(at..).unwrap_or_default()))
}

/// A block's quotation marks that begin or end a string, and its bytes that a backslash escapes.
struct Delimiters {
    quotes: u64,
    escaped: u64,
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
    fn portable(&mut self, bytes: &[u8; BLOCK_BYTES]) -> Block {
        let classes = Classes::of(bytes);
        let delimiters = self.delimiters(&classes);
        self.block(bytes, &classes, &delimiters, prefix_xor(delimiters.quotes))
    }

    /// Takes from the quotation marks those that are escaped: preceded by an odd number of backslashes.
    #[inline(always)]
    fn delimiters(&mut self, classes: &Classes) -> Delimiters {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let escaped = if classes.backslash == 0 {
            std::mem::take(&mut self.escape)
        } else {
            let backslash = classes.backslash & !self.escape;
            let follows = backslash << 1 | self.escape;
            let odd_starts = backslash & !EVEN & !follows;
            let (even_ends, overflow) = odd_starts.overflowing_add(backslash);
            self.escape = u64::from(overflow);
            (EVEN ^ (even_ends << 1)) & follows
        };
        Delimiters { quotes: classes.quote & !escaped, escaped }
    }

    /// The block, given the parity of its delimiting quotation marks.
    #[inline(always)]
    fn block(&mut self, bytes: &[u8; BLOCK_BYTES], classes: &Classes, delimiters: &Delimiters, parity: u64) -> Block {
        // A string's opening quotation mark counts to it, the closing one does not.
        let inside = parity ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(inside >> 63);
        let beginning = delimiters.quotes & inside;
        let names = (beginning << 1 | self.beginning) & classes.initial;
        self.beginning = beginning >> 63;

        self.damage |= classes.initial & !inside;
        let mut escape = false;
        if classes.backslash | delimiters.escaped != 0 {
            self.damage |= classes.backslash & !inside;
            escape = ones(delimiters.escaped).any(|bit| bytes[bit] == b'u');
        }
        let (open, close) = (classes.open & !inside, classes.close & !inside);
        Block { open, close, names, escape, high: classes.high != 0 }
    }
}

/// The places of the bits that are set, in order.
#[inline(always)]
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            bit
        })
    })
}

/// Where an object ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// The place behind its closing brace.
    pub at: usize,
    /// Whether it must be looked at.
    pub look: Look,
}

/// A text's blocks. It goes through the text once, forward.
pub(super) struct Blocks<'a> {
    text: &'a [u8],
    whole: &'a [[u8; BLOCK_BYTES]],
    /// What is left behind the whole blocks, filled up with spaces.
    tail: Option<[u8; BLOCK_BYTES]>,
    isa: Isa,
    /// How many blocks are read.
    read: usize,
    /// The last of them.
    block: Block,
    lexer: Lexer,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(text: &'a [u8], isa: Isa) -> Self {
        let (whole, rest) = text.as_chunks();
        let tail = (!rest.is_empty()).then(|| {
            let mut padded = [b' '; BLOCK_BYTES];
            padded[..rest.len()].copy_from_slice(rest);
            padded
        });
        Self { text, whole, tail, isa, read: 0, block: Block::default(), lexer: Lexer::default() }
    }

    /// The place where `depth` objects end that `from` lies in, or, if none are, the object that begins there. `from` must not be before the last end.
    ///
    /// `None`: it does not end, or the text is damaged in it or before.
    pub(super) fn end_of(&mut self, from: usize, depth: i64) -> Option<End> {
        match self.isa {
            Isa::Portable => self.end_by(from, depth, Lexer::portable),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(available) => available.end_of(self, from, depth),
        }
    }

    /// [`Self::end_of`], with the instructions that `read` is compiled to.
    #[inline(always)]
    fn end_by(&mut self, from: usize, mut depth: i64, mut read: impl FnMut(&mut Lexer, &[u8; BLOCK_BYTES]) -> Block) -> Option<End> {
        // Copies stay in registers.
        let Self { text, whole, tail, .. } = *self;
        let (mut number, mut lexer, mut block) = (self.read, self.lexer, self.block);
        let mut look = Look::default();
        let mut keep = u64::MAX << (from % BLOCK_BYTES);
        let end = loop {
            if number > from / BLOCK_BYTES {
                let start = (number - 1) * BLOCK_BYTES;
                look.name |= block.escape;
                look.high |= block.high;
                if block.names & keep != 0 {
                    look.name |= any_power_name(block.names & keep, &text[start..]);
                }
                if let Some(bit) = block.walk(keep, &mut depth) {
                    break Some(End { at: start + bit + 1, look });
                }
                keep = u64::MAX;
            }
            let bytes = match (whole.get(number), &tail) {
                (Some(bytes), _) => bytes,
                (None, Some(bytes)) if number == whole.len() => bytes,
                _ => break None,
            };
            block = read(&mut lexer, bytes);
            number += 1;
        };
        (self.read, self.lexer, self.block) = (number, lexer, block);
        end.filter(|_| lexer.damage == 0)
    }
}
