//! Proxies in front: those that are declared say whose request it is, in each request or before the first byte, and others are not believed.

use std::io::Write;

use hiwar_admission::door::ticket::Ticket;
use hiwar_delivery::http::{Proxies, Security, Update};

use crate::door::House;
use crate::forwarding;
use crate::rig::{Rig, document};
use crate::secure::Identity;

/// All of loopback, from where everybody comes here.
fn declared(announces: bool) -> Proxies {
    Proxies::new(vec!["127.0.0.0/8".parse().unwrap()], announces)
}

/// The hash of the network to which this one's ticket is given.
fn network(house: &House, fields: &str) -> u64 {
    let answer =
        house.rig.ask(&format!("GET /listen/demo.mp4?t= HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"));
    assert_eq!(answer.status, 503, "{answer:?}");
    let ticket = answer.body.split_once("\"ticket\":\"").expect("a ticket").1.split('"').next().expect("a text");
    Ticket::unchecked(ticket.as_bytes()).expect("a ticket").network
}

const ONE: &str = "X-Forwarded-For: 198.51.100.1\r\n";
const ANOTHER: &str = "X-Forwarded-For: 203.0.113.2\r\n";

#[test]
fn at_a_door_each_who_comes_by_a_declared_proxy_has_their_own_address() {
    let mut house = House::on(Rig::behind(Security::Plain, declared(false)), 1);
    let _inside = house.enters("");
    house.is_full(1);
    assert_ne!(network(&house, ONE), network(&house, ANOTHER));
    assert_eq!(network(&house, ONE), network(&house, "x-forwarded-for: 203.0.113.2, 198.51.100.1, 127.0.0.9\r\n"));
    assert_eq!(house.rig.handle.stats().undeclared_total, 0);
}

#[test]
fn whoever_comes_by_no_declared_proxy_is_one_address_whatever_they_say_and_the_operator_hears_of_it() {
    let mut house = House::new(1);
    let _inside = house.enters("");
    house.is_full(1);
    assert_eq!(network(&house, ONE), network(&house, ANOTHER));
    assert_eq!(network(&house, ONE), network(&house, ""));
    assert_eq!(house.rig.handle.stats().undeclared_total, 3);
}

#[test]
fn the_house_hears_who_asks_and_nothing_that_they_made_up() {
    let rig = Rig::behind(Security::Plain, declared(false));
    let house = forwarding::House::of(&rig);
    let mut client = rig.client();
    client.say("GET /api/x HTTP/1.1\r\nHost: here\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.1\r\n\r\n");
    let mut visitor = house.visitor();
    let head = visitor.hear_until("\r\n\r\n");
    assert!(head.contains("X-Forwarded-For: 198.51.100.1\r\n") && !head.contains("6.6.6.6"), "{head}");
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

#[test]
fn a_proxy_that_speaks_the_protocol_says_once_whose_connection_it_is() {
    let rig = Rig::behind(Security::Plain, declared(true));
    // A socket of the house for each, so that no request is taken for another's.
    let head = |first: &[u8]| {
        let house = forwarding::House::of(&rig);
        let mut client = rig.client();
        client
            .0
            .write_all(&[first, b"GET /api/x HTTP/1.1\r\nHost: here\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"].concat())
            .unwrap();
        let mut visitor = house.visitor();
        let head = visitor.hear_until("\r\n\r\n");
        // Without an answer the next house would be asked again.
        visitor.say("HTTP/1.1 204 No Content\r\n\r\n");
        std::fs::remove_file(rig.folder.path().join("api.sock")).unwrap();
        head
    };
    let tells = |first: &[u8], who: &str| {
        let head = head(first);
        assert!(head.contains(&format!("X-Forwarded-For: {who}\r\n")), "{head}");
    };
    tells(b"PROXY TCP4 198.51.100.1 192.0.2.1 4711 80\r\n", "198.51.100.1");
    tells(b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n", "2001:db8::1");
    let binary = [SIGNATURE, b"\x21\x11\0\x0c", &[198, 51, 100, 2, 192, 0, 2, 1, 0x12, 0x67, 0, 80]].concat();
    tells(&binary, "198.51.100.2");
    // For nobody: what stands in the request is of whoever is behind it, and is not believed.
    tells(b"PROXY UNKNOWN\r\n", "127.0.0.1");
}

#[test]
fn what_does_not_begin_with_a_whole_header_is_closed() {
    let rig = Rig::behind(Security::Plain, declared(true));
    rig.handle.push(Update::Document { path: "/".into(), document: document("hello") });
    for first in ["", "PROXY TCP4 198.51.100.1 192.0.2.1 4711", "PROXY TCP4 nobody nowhere 1 2\r\n", "PROXY\r\n"] {
        let mut client = rig.client();
        client.say(&format!("{first}GET / HTTP/1.1\r\nHost: here\r\n\r\n"));
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut client.0, &mut rest);
        assert_eq!(rest, b"", "{first:?}");
    }
    let mut client = rig.client();
    client.say("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().body, "hello");
}

#[test]
fn under_tls_the_protocol_comes_before_the_handshake() {
    let identity = Identity::new();
    let rig = Rig::behind(Security::Tls, declared(true));
    rig.handle.push(Update::Certificate(identity.certificate.clone()));
    let house = forwarding::House::of(&rig);
    let mut ear = identity.connect(&rig);
    ear.0.sock.write_all(b"PROXY TCP4 198.51.100.1 192.0.2.1 4711 443\r\n").unwrap();
    ear.say("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = house.visitor().hear_until("\r\n\r\n");
    assert!(head.contains("X-Forwarded-For: 198.51.100.1\r\n"), "{head}");
}
