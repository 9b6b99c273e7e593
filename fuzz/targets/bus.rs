//! Frames between house and workers, as a broken or foreign peer would send them. Must never panic; what is understood is written
//! again as the same bytes.
#![no_main]

use bytes::Bytes;
use hiwar_engine::live_bus::frame::{decode_down, decode_up, encode_down, encode_up, frame_len};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = frame_len(bytes, 1024);
    let frame = Bytes::copy_from_slice(bytes);
    if let Ok(down) = decode_down(frame.clone()) {
        let written = encode_down(&down).expect("what was read can be written");
        assert_eq!(decode_down(written.slice(4..)).as_ref(), Ok(&down));
    }
    if let Ok(up) = decode_up(frame) {
        let written = encode_up(&up).expect("what was read can be written");
        assert_eq!(decode_up(written.slice(4..)).as_ref(), Ok(&up));
    }
});
