//! A request head as a stranger sends it to the public port. Must never panic, and must not change its mind: what was read from some
//! bytes is read from them whatever follows.
#![no_main]

use hiwar_delivery::clip::{CLIP_MS_MAX, ClipForm};
use hiwar_delivery::request::{Parsed, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Parsed::Complete { request, head_bytes } => {
            assert!(head_bytes <= bytes.len());
            assert!(request.target.starts_with('/') && request.path.starts_with('/'));
            assert!(!request.path.split('/').any(|segment| segment == ".."), "no way up");
            let _ = (request.pass(), request.parameter("pass"), request.field("host"));
            let file = request.path.rsplit('/').next().unwrap_or_default();
            let _ = hiwar_delivery::hls::File::parse(file, &request);
            if let Ok(clip) = hiwar_delivery::clip::Clip::parse(ClipForm::Mp4, &request) {
                assert!(clip.from_ms < clip.to_ms && clip.to_ms - clip.from_ms <= CLIP_MS_MAX);
            }
            match parse(&bytes[..head_bytes]) {
                Parsed::Complete { request: again, head_bytes: same } => {
                    assert_eq!((again.path, same), (request.path, head_bytes));
                }
                other => panic!("complete with more behind it, but not alone: {other:?}"),
            }
        }
        Parsed::Incomplete => {}
        Parsed::Refused(refusal) => assert!((400..600).contains(&refusal.status())),
    }
});
