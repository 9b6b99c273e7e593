//! Tickets as strangers present them. Must never panic, none may be believed that we did not sign, and what we signed says what it said.
#![no_main]

use std::time::{Duration, SystemTime};

use hiwar_admission::Scope;
use hiwar_admission::door::ticket::{Class, Ticket, TicketKey, Worth};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (key, space) = (TicketKey::from_bytes([7; 32]), Scope::parse("demo").expect("a scope"));
    assert!(key.verify(&space, bytes).is_err(), "a forged ticket");
    let Some((numbers, _)) = bytes.split_first_chunk::<32>() else { return };
    let number = |at: usize| u64::from_le_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    let ticket = Ticket {
        serial: number(0),
        opening: number(8) as u16,
        class: Class::ALL[bytes[8] as usize % Class::ALL.len()],
        network: number(8),
        due: SystemTime::UNIX_EPOCH + Duration::from_millis(number(16) >> 16),
        worth: Worth::Rank(number(24)),
    };
    let text = key.sign(&space, &ticket);
    assert_eq!(key.verify(&space, &text), Ok(ticket));
});
