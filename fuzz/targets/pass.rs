//! Tokens, vouchers, claims, badges and origins as strangers present them. Must never panic, and none may be believed that we did not sign.
#![no_main]

use std::sync::OnceLock;
use std::time::SystemTime;

use hiwar_admission::{ListenKey, Origin, RehearsalKey, RehearsalToken, Scope, StageKey, StageVerifier, VoucherKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static KEYS: OnceLock<(ListenKey, StageVerifier, RehearsalKey, VoucherKey, Scope)> = OnceLock::new();
    let (listen, stage, rehearsal, voucher, space) = KEYS.get_or_init(|| {
        let stage = StageKey::from_bytes([9; 32]).verifier();
        let space = Scope::parse("demo").expect("a scope");
        let (rehearsal, voucher) = (RehearsalKey::from_bytes([7; 32]), VoucherKey::from_bytes([7; 32]));
        (ListenKey::from_bytes([7; 32]), stage, rehearsal, voucher, space)
    });
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = SystemTime::UNIX_EPOCH;
    assert!(listen.verify(now, text).is_err(), "a forged pass to listen");
    assert!(stage.verify(now, text).is_err(), "a forged pass of the stage");
    assert!(rehearsal.verify(now, text).is_err(), "a forged grant to rehearse");
    assert!(rehearsal.admit(now, text).is_err(), "a forged badge");
    assert!(voucher.verify(now, space, text).is_err(), "a forged voucher");
    let _ = Scope::parse(text);
    if let Some(origin) = Origin::parse(text) {
        assert_eq!(Origin::parse(&origin.to_string()), Some(origin), "an origin with two texts");
    }
    // Claims need no signature, and are proven whoever made them; the token that has them is not, unless it was signed here.
    if let Ok((says, _)) = rehearsal.prove(now, text, &[1; 32]) {
        assert!(says.origin.to_string().len() <= Origin::BYTES_MAX);
        assert!(RehearsalToken::read(now, text).is_err(), "claims that are a token");
    }
    if let Ok(held) = RehearsalToken::read(now, text) {
        let (says, proof) = rehearsal.prove(now, held.claims(), &[1; 32]).expect("claims of a token are claims");
        assert_eq!(&says, held.rehearsal());
        assert!(!held.is_proven(&[1; 32], &proof), "a forged grant is proven");
        assert!(rehearsal.admit(now, &held.badge()).is_err(), "a forged grant has a badge");
    }
});
