//! What house and workers say of a door, and what a house keeps of a crowd. Must never panic, and what is read is written the same way.
#![no_main]

use hiwar_admission::door::standing::Standing;
use hiwar_admission::door::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(said) = wire::decode_said(bytes) {
        assert_eq!(wire::decode_said(&wire::encode_said(&said)), Some(said));
    }
    if let Some(heard) = wire::decode_heard(bytes) {
        assert_eq!(wire::decode_heard(&wire::encode_heard(&heard)), Some(heard));
    }
    if let Some(standing) = Standing::decode(bytes) {
        assert_eq!(Standing::decode(&standing.encode()), Some(standing));
    }
});
