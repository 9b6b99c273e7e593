//! What a server sends to a listener of a rehearsal, in pieces of any size: no panic, and the same pieces whole or cut.
#![no_main]

use hiwar_rehearsal::stream::{Came, Fault, Format, Programme, Stream};
use libfuzzer_sys::fuzz_target;

fn hear(format: Format, bytes: &[u8], at_once: usize) -> Vec<Result<Came, Fault>> {
    let (mut programme, mut stream, mut heard) = (Programme::new(format), Stream::default(), Vec::new());
    for read in bytes.chunks(at_once) {
        let taken = stream.take(read, &mut programme, |came| {
            heard.push(came);
        });
        if taken.is_err() {
            break;
        }
    }
    heard
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let format = if first & 1 == 0 { Format::Mp4 } else { Format::Ogg };
    assert_eq!(hear(format, bytes, bytes.len().max(1)), hear(format, bytes, usize::from(first >> 1) + 1));
});
