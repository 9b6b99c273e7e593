//! The processor's widest vectors, for what a beat does with every sample.
//!
//! Hiwar is built for any 64-bit processor, and the one vector set that all of them have is half as wide as what nearly all of them have. Whatever is to
//! gain by that, from [`Programme::beat`] down to the loops themselves, is marked `#[inline(always)]`, and those loops hold no closures that the compiler
//! may leave outside: only what is inlined here is compiled once more. (`objdump -d` tells: `ymm` in `wide::with_avx2`.)
#![allow(unsafe_code)]

use std::time::Instant;

use super::Programme;

/// One beat, compiled for AVX2 where the processor has that. Same results: nothing is fused or reordered.
pub(super) fn beat(programme: &mut Programme, now: Instant) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the one feature that the function is compiled for; it was asked the line before.
        return unsafe { with_avx2(programme, now) };
    }
    programme.beat(now);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(programme: &mut Programme, now: Instant) {
    programme.beat(now);
}
