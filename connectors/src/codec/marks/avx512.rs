//! Classifying bytes by AVX-512: a block is one register, and a comparison gives its bits at once.

use std::arch::x86_64::{
    __m512i, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_loadu_si512,
    _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_shuffle_epi8,
};

use super::BLOCK_BYTES;
use super::lexer::{Block, Classes, Lexer, by_lower_half};

/// Proof that this processor has the instructions: [`Available::detect`] is the only way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Available(());

impl Available {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }

    /// Fills the window with what these blocks hold.
    pub(super) fn fill(self, window: &mut [Block], blocks: &[[u8; BLOCK_BYTES]], lexer: &mut Lexer) {
        // SAFETY: `self` is proof that the processor has the instructions that `fill` is compiled to.
        unsafe { fill(window, blocks, lexer) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,pclmulqdq,popcnt")]
fn fill(window: &mut [Block], blocks: &[[u8; BLOCK_BYTES]], lexer: &mut Lexer) {
    // A copy stays in registers.
    let mut local = *lexer;
    super::fill(window, blocks, |bytes| {
        let block = load(bytes);
        let classes = Classes {
            quote: is(block, b'"'),
            open: is(block, b'{'),
            close: is(block, b'}'),
            initial: initial(block),
            backslash: is(block, b'\\'),
            high: _mm512_movepi8_mask(block),
        };
        // Most blocks have neither a backslash nor anything but ASCII.
        if classes.backslash | classes.high | local.escape == 0 {
            local.plain_block(&classes, prefix_xor(classes.quote)).0
        } else {
            local.block(bytes, &classes, |bits| prefix_xor(bits))
        }
    });
    *lexer = local;
}

/// Multiplying by all ones without carry is the prefix XOR.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi1,pclmulqdq,popcnt")]
fn prefix_xor(bits: u64) -> u64 {
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(bits as i64), _mm_set1_epi8(-1))) as u64
}

/// Which bytes are this one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi1,pclmulqdq,popcnt")]
fn is(bytes: __m512i, byte: u8) -> u64 {
    _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8))
}

/// Which bytes are a relevant event's initial; by the same tables as in AVX2.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi1,pclmulqdq,popcnt")]
fn initial(bytes: __m512i) -> u64 {
    const FIRST: [u8; 64] = by_lower_half(b"MRST");
    const SECOND: [u8; 64] = by_lower_half(b"BCD");
    let first = _mm512_cmpeq_epi8_mask(bytes, _mm512_shuffle_epi8(load(&FIRST), bytes));
    first | _mm512_cmpeq_epi8_mask(bytes, _mm512_shuffle_epi8(load(&SECOND), bytes))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi1,pclmulqdq,popcnt")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: the pointer is to 64 bytes that may be read, and this instruction asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}
