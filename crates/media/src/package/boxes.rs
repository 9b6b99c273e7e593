//! ISO base media boxes (ISO/IEC 14496-12 §4.2): how to write one and how to walk many.

/// A box's four-character name.
pub(crate) type Kind = [u8; 4];

/// Appends a box whose body `body` appends, and then fills in its size. Allocates only if `out` has to grow.
pub(crate) fn boxed(out: &mut Vec<u8>, kind: &Kind, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    body(out);
    let size = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// Appends a box that begins with a version and flags (§4.2.2 `FullBox`).
pub(crate) fn full(out: &mut Vec<u8>, kind: &Kind, version: u8, flags: u32, body: impl FnOnce(&mut Vec<u8>)) {
    boxed(out, kind, |out| {
        u32(out, u32::from(version) << 24 | flags & 0x00ff_ffff);
        body(out);
    });
}

pub(crate) fn u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Bytes still to be read. Every method gives `None` when there are not enough left, and never panics.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    /// The next box: its name and body. Sizes 0 (to the end) and 1 (64-bit) are not accepted: we write neither.
    pub(crate) fn next_box(&mut self) -> Option<(Kind, Cursor<'a>)> {
        let mut ahead = *self;
        let size = usize::try_from(ahead.u32()?).ok()?;
        let kind = ahead.take(4)?.try_into().ok()?;
        let body = ahead.take(size.checked_sub(8)?)?;
        *self = ahead;
        Some((kind, Cursor(body)))
    }

    /// The next box, if it is a `kind`.
    pub(crate) fn expect(&mut self, kind: &Kind) -> Option<Cursor<'a>> {
        let mut ahead = *self;
        let (found, body) = ahead.next_box()?;
        if found != *kind {
            return None;
        }
        *self = ahead;
        Some(body)
    }

    /// Bytes up to the next NUL, which is consumed.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
