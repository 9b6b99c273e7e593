//! What a speaker may `PATCH`: a trickle-ice-sdpfrag. Must never panic, and must keep its own limits.
#![no_main]

use hiwar_rtc::candidate::{CANDIDATES_MAX, FRAGMENT_BYTES_MAX, Fragment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(fragment) = Fragment::parse(text) {
        assert!(text.len() <= FRAGMENT_BYTES_MAX);
        assert!(fragment.candidates.len() <= CANDIDATES_MAX);
        assert!((4..=256).contains(&fragment.credentials.ufrag.len()));
        assert!((22..=256).contains(&fragment.credentials.pwd.len()));
    }
});
