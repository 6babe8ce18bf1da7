//! Which bytes of a block matter: arithmetic on bits, whatever instructions classified the bytes.

use super::BLOCK_BYTES;
use crate::codec::words::is_initial;

/// What a block of text holds that matters. Bit n stands for byte n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    /// `{` outside of strings.
    pub(super) open: u64,
    /// `}` outside of strings.
    pub(super) close: u64,
    /// What must be looked at: strings that begin as a relevant event's name does, escapes by code point, bytes that are not ASCII.
    pub(super) look: u64,
    /// How many bits `close` has.
    pub(super) closes: i32,
    /// How many more bits `open` has than `close`.
    pub(super) net: i32,
}

impl Block {
    #[inline(always)]
    pub(super) fn new(open: u64, close: u64, look: u64) -> Self {
        let closes = close.count_ones() as i32;
        Self { open, close, look, closes, net: open.count_ones() as i32 - closes }
    }
}

/// The classes of a block's bytes, whether in strings or not. Bit n stands for byte n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Classes {
    /// `"`
    pub(super) quote: u64,
    /// `\`
    pub(super) backslash: u64,
    /// `{`
    pub(super) open: u64,
    /// `}`
    pub(super) close: u64,
    /// An initial of a relevant event's name; see [`is_initial`].
    pub(super) initial: u64,
    /// Not ASCII.
    pub(super) high: u64,
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
    /// Looks each byte up, and gathers the bits class by class: of eight bytes at a time, one multiplication moves a bit of each into one
    /// byte.
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

/// What one block must know of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lexer {
    /// 1: the first byte is escaped.
    pub(super) escape: u64,
    /// All ones: the first byte is in a string.
    pub(super) in_string: u64,
    /// 1: the byte before begins a string.
    pub(super) beginning: u64,
    /// Bits of whatever JSON does not have outside of strings: a backslash, an initial of a relevant event's name.
    pub(super) damage: u64,
}

impl Lexer {
    pub(super) fn portable(&mut self, bytes: &[u8; BLOCK_BYTES]) -> Block {
        self.block(bytes, &Classes::of(bytes), prefix_xor)
    }

    /// What a block holds.
    #[inline(always)]
    pub(super) fn block(&mut self, bytes: &[u8; BLOCK_BYTES], classes: &Classes, prefix_xor: impl Fn(u64) -> u64) -> Block {
        let escaped = self.escaped(classes.backslash);
        let quotes = classes.quote & !escaped;
        let (block, inside) = self.plain_block(&Classes { quote: quotes, ..*classes }, prefix_xor(quotes));
        self.damage |= classes.backslash & !inside;
        let code_points = ones(escaped).filter(|bit| bytes[*bit] == b'u').fold(0, |bits, bit| bits | 1 << bit);
        Block { look: block.look | classes.high | code_points, ..block }
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

    /// What a block without backslashes and without anything but ASCII holds, and which of its bytes are in strings. `parity` is the prefix
    /// XOR of its quotation marks.
    #[inline(always)]
    pub(super) fn plain_block(&mut self, classes: &Classes, parity: u64) -> (Block, u64) {
        // A string's opening quotation mark counts to it, the closing one does not.
        let inside = parity ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(inside >> 63);
        let beginning = classes.quote & inside;
        let names = (beginning << 1 | self.beginning) & classes.initial;
        self.beginning = beginning >> 63;
        self.damage |= classes.initial & !inside;
        (Block::new(classes.open & !inside, classes.close & !inside, names), inside)
    }
}

/// The places of the bits that are set, in order.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let bit = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            bit
        })
    })
}

/// Some initials in every 16 bytes, each where the lower half of its value says: no two of one table share it.
#[cfg(target_arch = "x86_64")]
pub(super) const fn by_lower_half<const N: usize>(initials: &[u8]) -> [u8; N] {
    let mut table = [0; N];
    let mut lane = 0;
    while lane < N {
        // The byte 0 must not find itself.
        table[lane] = 1;
        let mut at = 0;
        while at < initials.len() {
            table[lane + (initials[at] & 0x0F) as usize] = initials[at];
            at += 1;
        }
        lane += 16;
    }
    table
}
