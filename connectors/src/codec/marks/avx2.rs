//! Classifying bytes by AVX2: each block in two halves of 32 bytes.

use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8,
};

use super::BLOCK_BYTES;
use super::lexer::{Block, Classes, Lexer, by_lower_half};

/// Proof that this processor has the instructions: [`Available::detect`] is the only way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Available(());

impl Available {
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }

    /// Fills the window with the marks of these blocks.
    pub(super) fn fill(self, window: &mut [Block], blocks: &[[u8; BLOCK_BYTES]], lexer: &mut Lexer) {
        // SAFETY: `self` is proof that the processor has the instructions that `fill` is compiled to.
        unsafe { fill(window, blocks, lexer) }
    }
}

#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn fill(window: &mut [Block], blocks: &[[u8; BLOCK_BYTES]], lexer: &mut Lexer) {
    // A copy stays in registers.
    let mut local = *lexer;
    super::fill(window, blocks, |bytes| {
        let (halves, _) = bytes.as_chunks::<32>();
        let (low, high) = (load(&halves[0]), load(&halves[1]));
        let both = |byte| join(is(low, byte), is(high, byte));
        let plain = Classes {
            quote: both(b'"'),
            open: both(b'{'),
            close: both(b'}'),
            initial: join(is_initial(low), is_initial(high)),
            backslash: 0,
            high: 0,
        };
        let (low_backslash, high_backslash) = (is(low, b'\\'), is(high, b'\\'));
        // Most blocks have neither a backslash nor anything but ASCII: one test for both.
        let rare = _mm256_or_si256(_mm256_or_si256(low, high), _mm256_or_si256(low_backslash, high_backslash));
        if u64::from(top_bits(rare)) | local.escape == 0 {
            local.plain_block(&plain, prefix_xor(plain.quote)).0
        } else {
            let classes = Classes { backslash: join(low_backslash, high_backslash), high: join(low, high), ..plain };
            local.block(bytes, &classes, |bits| prefix_xor(bits))
        }
    });
    *lexer = local;
}

/// Multiplying by all ones without carry is the prefix XOR.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn prefix_xor(bits: u64) -> u64 {
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(bits as i64), _mm_set1_epi8(-1))) as u64
}

/// Which bytes are this one.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn is(bytes: __m256i, byte: u8) -> __m256i {
    _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8))
}

/// [`is_initial`](crate::codec::words::is_initial), by tables where each stands at the lower half of its value: `B C D` share theirs with
/// `R S T`, so there are two. What is not ASCII finds 0, which it is not.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn is_initial(bytes: __m256i) -> __m256i {
    const FIRST: [u8; 32] = by_lower_half(b"MRST");
    const SECOND: [u8; 32] = by_lower_half(b"BCD");
    let first = _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(load(&FIRST), bytes));
    _mm256_or_si256(first, _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(load(&SECOND), bytes)))
}

/// The top bit of each byte.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn top_bits(bytes: __m256i) -> u32 {
    _mm256_movemask_epi8(bytes) as u32
}

/// The top bit of each byte of both halves.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn join(low: __m256i, high: __m256i) -> u64 {
    u64::from(top_bits(low)) | u64::from(top_bits(high)) << 32
}

#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the pointer is to 32 bytes that may be read, and this instruction asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
