//! Classifying bytes by AVX2: each block in two halves of 32 bytes.

use std::arch::x86_64::{
    __m256i, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256,
    _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_shuffle_epi8,
};

use super::{BLOCK_BYTES, Blocks, Classes, End};

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

    /// [`Blocks::end_of`].
    pub(super) fn end_of(self, blocks: &mut Blocks<'_>, from: usize, depth: i64) -> Option<End> {
        // SAFETY: `self` is proof that the processor has the instructions that `end_of` is compiled to.
        unsafe { end_of(blocks, from, depth) }
    }
}

#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn end_of(blocks: &mut Blocks<'_>, from: usize, depth: i64) -> Option<End> {
    blocks.end_by(from, depth, |lexer, bytes| {
        let classes = classes(bytes);
        let delimiters = lexer.delimiters(&classes);
        lexer.block(bytes, &classes, &delimiters, prefix_xor(delimiters.quotes))
    })
}

/// Multiplying by all ones without carry is the prefix XOR.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn prefix_xor(bits: u64) -> u64 {
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(bits as i64), _mm_set1_epi8(-1))) as u64
}

#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn classes(bytes: &[u8; BLOCK_BYTES]) -> Classes {
    let (halves, _) = bytes.as_chunks::<32>();
    // SAFETY: x
    unsafe { std::arch::x86_64::_mm_prefetch::<{std::arch::x86_64::_MM_HINT_T0}>(bytes.as_ptr().wrapping_add(1024).cast()) };
    let halves = [load(&halves[0]), load(&halves[1])];
    let backslash = [is(halves[0], b'\\'), is(halves[1], b'\\')];
    // Most blocks have neither a backslash nor anything but ASCII: one test for both.
    let rare = _mm256_or_si256(_mm256_or_si256(halves[0], halves[1]), _mm256_or_si256(backslash[0], backslash[1]));
    let (backslash, high) = if _mm256_movemask_epi8(rare) == 0 { (0, 0) } else { (join(backslash), join(halves)) };
    Classes {
        quote: join([is(halves[0], b'"'), is(halves[1], b'"')]),
        backslash,
        open: join([is(halves[0], b'{'), is(halves[1], b'{')]),
        close: join([is(halves[0], b'}'), is(halves[1], b'}')]),
        initial: join([is_initial(halves[0]), is_initial(halves[1])]),
        high,
    }
}

/// [`words::is_initial`](super::is_initial): `M R S T` by a table where each stands at the lower half of its value, and `B`, which shares that with
/// `R`. A 0 in the table stands for none: only the byte 0 could equal it, and the shuffle takes the entry 0 for that, and for what is not ASCII.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn is_initial(bytes: __m256i) -> __m256i {
    const TABLE: [i8; 32] = {
        let mut table = [0; 32];
        let mut at = 0;
        while at < 4 {
            let letter = b"MRST"[at];
            table[(letter & 0x0F) as usize] = letter as i8;
            table[16 + (letter & 0x0F) as usize] = letter as i8;
            at += 1;
        }
        // The byte 0 must not find itself.
        table[0] = 1;
        table[16] = 1;
        table
    };
    // SAFETY: the pointer is to 32 bytes that may be read, and this instruction asks for no alignment.
    let table = unsafe { _mm256_loadu_si256(TABLE.as_ptr().cast()) };
    _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(table, bytes)), is(bytes, b'B'))
}

/// Which bytes are this one.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn is(bytes: __m256i, byte: u8) -> __m256i {
    _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8))
}

/// The top bit of each byte of both halves.
#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn join(halves: [__m256i; 2]) -> u64 {
    let [low, high] = halves.map(|half| _mm256_movemask_epi8(half) as u32);
    u64::from(low) | u64::from(high) << 32
}

#[inline]
#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the pointer is to 32 bytes that may be read, and this instruction asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
