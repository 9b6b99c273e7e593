//! Tokens as strangers present them. Must never panic, and none may be believed that we did not sign.
#![no_main]

use std::sync::OnceLock;
use std::time::SystemTime;

use hiwar_admission::{ListenKey, Scope, StageKey, StageVerifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static KEYS: OnceLock<(ListenKey, StageVerifier)> = OnceLock::new();
    let (listen, stage) = KEYS.get_or_init(|| (ListenKey::from_bytes([7; 32]), StageKey::from_bytes([9; 32]).verifier()));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert!(listen.verify(SystemTime::UNIX_EPOCH, text).is_err(), "a forged pass to listen");
    assert!(stage.verify(SystemTime::UNIX_EPOCH, text).is_err(), "a forged pass of the stage");
    let _ = Scope::parse(text);
});
