//! A door's diary as somebody hands it over. Must never panic, and a minute that is read is written the same way.
#![no_main]

use hiwar_admission::door::diary::{At, Line, Reader};
use hiwar_admission::door::seal::SealKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut reader, key) = (Reader::default(), SealKey::from_bytes(&[7; 32]));
    for line in bytes.split(|byte| *byte == b'\n') {
        let behind = At::behind(line);
        let (read, _) = reader.line(line);
        assert!(behind.is_none() || read.is_some());
        if let Some(Line::Minute(number, minute)) = read {
            let written = At { next: number, ..At::default() }.minute(&key, &minute);
            assert_eq!(Reader::default().line(written.as_bytes()).0, Some(Line::Minute(number, minute)));
        }
    }
});
