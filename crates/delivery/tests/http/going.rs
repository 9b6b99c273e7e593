//! Workers that go: one hands over to the next, or everything ends.

use std::net::TcpListener;

use hiwar_delivery::http::{Access, Update};

use crate::rig::Rig;

const HEALTH: &str = "GET /healthz HTTP/1.0\r\n\r\n";

fn two_on_one_socket() -> (Rig, Rig) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let old = Rig::on(listener.try_clone().unwrap());
    (old, Rig::successor(listener))
}

#[test]
fn a_successor_accepts_when_it_knows_everything_and_the_old_worker_goes_with_its_last_listener() {
    let (old, new) = two_on_one_socket();
    for rig in [&old, &new] {
        rig.open("demo", Access::Open);
        rig.chunks("demo", 0..12);
    }
    old.until("open", |rig| !rig.counts().is_empty());
    let mut listener = old.client();
    listener.say("GET /listen/demo.ogg HTTP/1.0\r\n\r\n");
    listener.hear_until("o11;");
    for _ in 0..20 {
        assert_eq!(old.ask(HEALTH).status, 200);
    }
    assert_eq!(new.handle.stats().accepted_total, 0, "it was told little, and others accept");

    let mut idle = old.client();
    idle.say("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n");
    idle.hear_until("\r\n\r\n");
    new.handle.push(Update::Whole);
    new.until("it accepts", |rig| rig.ask(HEALTH).status == 200 && rig.handle.stats().accepted_total > 0);
    old.handle.push(Update::Retire);
    idle.rest();
    let accepted = old.handle.stats().accepted_total;
    for _ in 0..20 {
        assert_eq!(new.ask(HEALTH).status, 200);
    }
    assert_eq!(old.handle.stats().accepted_total, accepted);
    // Who listens is served on.
    old.chunks("demo", 12..40);
    listener.hear_until("o39;");
    drop(listener);
    // That somebody has left is seen when something is written to them.
    let mut next = 40..;
    let more = |rig: &Rig| {
        let n = next.next().expect("a number");
        rig.chunks("demo", n..n + 1);
        rig.listening("demo") == 0
    };
    let more = std::cell::RefCell::new(more);
    old.until("nobody", |rig| (more.borrow_mut())(rig));
    old.ended();
}

#[test]
fn a_worker_that_finishes_gives_everyone_the_rest_and_lets_them_go() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..12);
    rig.until("open", |rig| !rig.counts().is_empty());
    let mut listener = rig.client();
    listener.say("GET /listen/demo.ogg HTTP/1.0\r\n\r\n");
    listener.hear_until("o11;");
    // One that never reads does not keep it.
    let mut deaf = rig.client();
    deaf.say("GET /listen/demo.mp4 HTTP/1.0\r\n\r\n");
    rig.until("two", |rig| rig.listening("demo") == 2);
    rig.chunks("demo", 12..20);
    rig.handle.push(Update::Finish);
    let rest = listener.rest();
    assert!(rest.ends_with("o19;"), "{rest}");
    rig.ended();
}
