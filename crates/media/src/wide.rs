//! The processor's widest vectors, for what a beat does with every sample.
//!
//! Hiwar is built for any 64-bit processor, and the one vector set that all of them have is half as wide as what nearly all of them have. Whatever is to
//! gain by that, down to the loops themselves, is marked `#[inline(always)]`: only what is inlined into [`widest`] is compiled once more.
#![allow(unsafe_code)]

/// Does `work`, compiled for AVX2 where the processor has that. Same results: nothing is fused or reordered.
#[inline]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the one feature that the function is compiled for; it was asked the line before.
            return unsafe { with_avx2(work) };
        }
    }
    work()
}
