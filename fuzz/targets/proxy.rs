//! What stands before the first byte of a connection, and in `X-Forwarded-For`. Must never panic, never takes more than came, and believes nobody who is not declared.
#![no_main]

use std::net::IpAddr;

use hiwar_delivery::proxy::{Proxies, announced};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(said) = announced(bytes) {
        assert!(said.bytes <= bytes.len() && said.bytes > 0);
    }
    let ours = Proxies::new(vec!["10.0.0.0/8".parse().expect("a network")], false);
    let stranger: IpAddr = "198.51.100.1".parse().expect("an address");
    let values = || bytes.split(|byte| *byte == 0);
    assert_eq!(ours.client(stranger, values()), stranger);
    ours.client("10.0.0.1".parse().expect("an address"), values());
});
