//! What a speaker may `POST`: an offer. Must never panic, neither in our reading of it nor in the library behind.
#![no_main]

use std::sync::OnceLock;
use std::time::Instant;

use hiwar_rtc::{Certificate, Config, offer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    static CONFIG: OnceLock<Config> = OnceLock::new();
    let config = CONFIG.get_or_init(|| Config {
        certificate: Certificate::generate().expect("a certificate"),
        candidates: vec!["192.0.2.1:8082".parse().expect("an address")],
        tcp: vec!["192.0.2.1:8082".parse().expect("an address")],
    });
    let now = Instant::now();
    if let Ok((mut session, answer)) = offer::accept(now, text, config) {
        assert!(answer.sdp.starts_with("v=0\r\n"), "an answer is SDP");
        assert!(answer.sdp.contains("a=ice-lite"), "we are ICE-lite");
        while session.poll().is_some() {}
        let _ = session.patch(now, text);
        while session.poll().is_some() {}
    }
});
