//! A look at a STUN request: to whom is it addressed? Parsed in full, and believed, only by the session itself.

/// Attribute type of USERNAME (RFC 8489 §14.3).
const USERNAME: u16 = 0x0006;
/// Magic cookie (RFC 8489 §5).
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Most attributes looked at before giving up; browsers send six.
const ATTRIBUTES_MAX: usize = 16;

/// Whether bytes can only be STUN, by the first of them (RFC 7983 §7).
pub(super) fn is_stun(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| *byte < 4)
}

/// The user fragment of whoever a binding request is for: what stands before the colon of its USERNAME (RFC 8445 §7.2.2). `None` if the
/// bytes are no binding request.
pub(super) fn addressee(bytes: &[u8]) -> Option<&[u8]> {
    let (head, mut rest) = bytes.split_at_checked(20)?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[..2] != [0, 1] || head[4..8] != MAGIC_COOKIE || length != rest.len() {
        return None;
    }
    for _ in 0..ATTRIBUTES_MAX {
        let (head, body) = rest.split_at_checked(4)?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if kind == USERNAME {
            let name = body.get(..length)?;
            let colon = name.iter().position(|byte| *byte == b':')?;
            return name.get(..colon);
        }
        rest = body.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend((attributes.len() as u16).to_be_bytes());
        bytes.extend(MAGIC_COOKIE);
        bytes.extend([7; 12]);
        bytes.extend(attributes);
        bytes
    }

    #[test]
    fn the_addressee_stands_before_the_colon() {
        assert_eq!(addressee(&request(b"\0\x24\0\x04abcd\0\x06\0\x06ab:cde\0\0")), Some(&b"ab"[..]));
        assert_eq!(addressee(&request(b"\0\x06\0\x02ab\0\0")), None);
        assert_eq!(addressee(&request(b"\0\x06\0\xffab:c")), None);
        assert_eq!(addressee(&request(b"")), None);
        assert_eq!(addressee(b"\x16\xfe\xfd"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(attributes in proptest::collection::vec(any::<u8>(), 0..64), raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = addressee(&request(&attributes));
            let _ = addressee(&raw);
        }
    }
}
