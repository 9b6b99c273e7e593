//! The record of a draw as somebody downloads it, and the list of a worker as a disk gives it back. Must never panic, and a record that is read is written the same way.
#![no_main]

use hiwar_admission::door::record::{DrawRecord, List};
use hiwar_admission::door::seal::SealKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let list = List::read(bytes);
    if let Some((mut record, sealed)) = DrawRecord::decode(bytes) {
        // A seal of a key that the fuzzer does not have would be a forgery.
        assert!(!sealed.holds || bytes.len() > 96);
        let _ = record.check();
        let written = record.encode(&SealKey::from_bytes(&[7; 32]));
        assert_eq!(DrawRecord::decode(&written).map(|(record, _)| record), Some(record.clone()));
        record.list([(1, &list)]);
        let _ = record.check();
    }
});
