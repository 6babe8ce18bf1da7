//! Where objects end, and which of them must be looked at. What matters to that is braces outside of strings, the beginnings of strings
//! that could be a relevant event's name, and what could hide one.
//!
//! This is the first stage of simdjson (Langdale and Lemire, "Parsing Gigabytes of JSON per Second"), cut down to what finding records
//! takes. The text is read in blocks of 64 bytes, with one bit for each byte. Bytes are classified by AVX-512 ([`avx512`]) or AVX2
//! ([`avx2`]) where the processor has it, otherwise by table; all else is arithmetic on the bits ([`lexer`]).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lexer;

use self::lexer::{Block, Lexer, ones};
use super::words::begins_as_name;

/// Bytes of a block.
const BLOCK_BYTES: usize = 64;
/// Blocks that are classified ahead: few enough that they and what is known of them stay in the first-level cache.
const WINDOW_BLOCKS: usize = 64;

/// How bytes are classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// By table, on any processor.
    Portable,
    /// By AVX2 instructions.
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Available),
    /// By AVX-512 instructions.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Available),
}

impl Isa {
    /// All that this processor has, the fastest first.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx512::Available::detect().map(Self::Avx512));
            all.extend(avx2::Available::detect().map(Self::Avx2));
        }
        all.push(Self::Portable);
        all
    }

    /// The fastest that this processor has.
    pub(super) fn detect() -> Self {
        Self::all().first().copied().unwrap_or(Self::Portable)
    }
}

/// Why a stretch of text must be looked at. Where it says no, there is no reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// It has a string that is a relevant event's name, or an escape by code point, which could spell one.
    pub name: bool,
    /// It has bytes that are not ASCII.
    pub high: bool,
}

impl Look {
    /// Looks at some bytes of a block.
    fn add(&mut self, text: &[u8], block_at: usize, bits: u64) {
        for at in ones(bits).map(|bit| block_at + bit) {
            match text.get(at) {
                Some(b'u') => self.name = true,
                Some(0x80..) => self.high = true,
                Some(_) => self.name |= begins_as_name(&text[at..]),
                None => {}
            }
        }
    }
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
pub(super) struct Marks<'a> {
    text: &'a [u8],
    isa: Isa,
    lexer: Lexer,
    window: [Block; WINDOW_BLOCKS],
    /// How many blocks of the window are valid.
    count: usize,
    /// The block of the window at hand.
    at: usize,
    /// Where in the text the window begins.
    start: usize,
    /// Where the window ends.
    end: usize,
}

impl<'a> Marks<'a> {
    pub(super) fn new(text: &'a [u8], isa: Isa) -> Self {
        let window = [Block::default(); _];
        Self { text, isa, lexer: Lexer::default(), window, count: 0, at: 0, start: 0, end: 0 }
    }

    /// The place where `depth` objects end that `from` lies in, or, if none do, the object that begins there. `from` must not be before the
    /// last end.
    ///
    /// `None`: it does not end, or the text nearby is damaged. All before it was sound.
    pub(super) fn end_of(&mut self, from: usize, mut depth: i32) -> Option<End> {
        let mut look = Look::default();
        loop {
            while self.at < self.count {
                if from <= self.start + self.at * BLOCK_BYTES {
                    self.skip_plain_blocks(&mut depth);
                }
                let Some(block) = self.window[..self.count].get(self.at) else { break };
                let block_at = self.start + self.at * BLOCK_BYTES;
                let block = if from <= block_at { *block } else { behind(block, from - block_at) };
                if let Some(bit) = end_within(&block, &mut depth) {
                    look.add(self.text, block_at, block.look & !(u64::MAX << bit));
                    return Some(End { at: block_at + bit as usize + 1, look });
                }
                look.add(self.text, block_at, block.look);
                self.at += 1;
            }
            self.advance()?;
        }
    }

    /// Most blocks hold nothing to look at, and close fewer objects than are open: nothing in them can be the end.
    fn skip_plain_blocks(&mut self, depth: &mut i32) {
        let mut inside = *depth;
        for block in &self.window[self.at..self.count] {
            if block.look != 0 || block.closes >= inside {
                break;
            }
            inside += block.net;
            self.at += 1;
        }
        *depth = inside;
    }

    /// Moves the window; `None` at the text's end and where the text is damaged.
    fn advance(&mut self) -> Option<()> {
        (self.start, self.at) = (self.end, 0);
        let rest = self.text.get(self.start..).filter(|rest| !rest.is_empty())?;
        let (whole, tail) = rest.as_chunks::<BLOCK_BYTES>();
        if whole.is_empty() {
            let mut padded = [b' '; BLOCK_BYTES];
            padded[..tail.len()].copy_from_slice(tail);
            self.window[0] = self.lexer.portable(&padded);
            (self.count, self.end) = (1, self.text.len());
        } else {
            let blocks = &whole[..whole.len().min(WINDOW_BLOCKS)];
            match self.isa {
                Isa::Portable => fill(&mut self.window, blocks, |block| self.lexer.portable(block)),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2(available) => available.fill(&mut self.window, blocks, &mut self.lexer),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512(available) => available.fill(&mut self.window, blocks, &mut self.lexer),
            }
            self.count = blocks.len();
            self.end += blocks.as_flattened().len();
        }
        (self.lexer.damage == 0).then_some(())
    }
}

/// Fills the window with what these blocks hold.
#[inline(always)]
fn fill(window: &mut [Block], blocks: &[[u8; BLOCK_BYTES]], mut block_of: impl FnMut(&[u8; BLOCK_BYTES]) -> Block) {
    for (place, bytes) in window.iter_mut().zip(blocks) {
        *place = block_of(bytes);
    }
}

/// What of a block is not before a byte.
fn behind(block: &Block, first: usize) -> Block {
    if first >= BLOCK_BYTES {
        return Block::default();
    }
    let kept = u64::MAX << first;
    Block::new(block.open & kept, block.close & kept, block.look & kept)
}

/// The bit of the brace with which the last of `depth` open objects ends, if it is in this block; otherwise `depth` is what it is behind it.
fn end_within(block: &Block, depth: &mut i32) -> Option<u32> {
    let mut braces = block.open | block.close;
    while braces != 0 {
        let bit = braces.trailing_zeros();
        braces &= braces - 1;
        if block.open >> bit & 1 == 1 {
            *depth += 1;
        } else {
            *depth -= 1;
            if *depth == 0 {
                return Some(bit);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
