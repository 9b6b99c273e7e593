//! SipHash-2-4 (Aumasson and Bernstein 2012): a keyed hash of a few bytes that nobody without the key can foresee or undo, in a fifth of the time of BLAKE3, whose blocks are seven times as long.

/// A key. Made of 16 bytes that are as good as random.
#[derive(Clone)]
pub(super) struct SipKey([u64; 2]);

impl SipKey {
    /// The first half of what a key is derived to.
    pub(super) fn of(bytes: &[u8; 32]) -> Self {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        Self([word(0), word(8)])
    }

    /// Of eight bytes and then `more` (1 to 7) of `tail`, little-endian; what `tail` has beyond them is not looked at.
    pub(super) fn hash(&self, word: u64, tail: u64, more: u32) -> u64 {
        let [one, other] = self.0;
        let mut v = [
            one ^ 0x736f_6d65_7073_6575,
            other ^ 0x646f_7261_6e64_6f6d,
            one ^ 0x6c79_6765_6e65_7261,
            other ^ 0x7465_6462_7974_6573,
        ];
        let last = u64::from(8 + more) << 56 | tail & ((1 << (8 * more)) - 1);
        for word in [word, last] {
            v[3] ^= word;
            rounds(&mut v, 2);
            v[0] ^= word;
        }
        v[2] ^= 0xff;
        rounds(&mut v, 4);
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

fn rounds(v: &mut [u64; 4], count: u32) {
    let [mut a, mut b, mut c, mut d] = *v;
    for _ in 0..count {
        (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
        (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
        a = a.rotate_left(32);
        (a, c) = (a.wrapping_add(d), c.wrapping_add(b));
        (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
        c = c.rotate_left(32);
    }
    *v = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_its_authors_published() {
        // Their key is 0 to 15, and their texts begin with 0, 1, 2.
        let key = SipKey::of(&std::array::from_fn(|byte| byte as u8));
        let word = 0x0706_0504_0302_0100;
        for (more, hash) in [
            (1, [0xb0, 0xe4, 0xa9, 0x0b, 0xdf, 0x82, 0x00, 0x9e]),
            (2, [0xf3, 0xb9, 0xdd, 0x94, 0xc5, 0xbb, 0x5d, 0x7a]),
            (7, [0xe5, 0x45, 0xbe, 0x49, 0x61, 0xca, 0x29, 0xa1]),
        ] {
            assert_eq!(key.hash(word, 0x0f0e_0d0c_0b0a_0908, more), u64::from_le_bytes(hash), "{more}");
        }
    }
}
