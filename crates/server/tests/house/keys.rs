//! Keys that are rotated: what was signed with the one before is good, and with the one before that is not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use hiwar_admission::door::ticket::Ticket;
use serde_json::json;

use crate::door::{place, server, start};
use crate::http::ask;
use crate::restart::restart;
use crate::server::{Server, Space, until};

/// As an operator does.
fn rotate(server: &mut Server, dir: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(["admin", "rotate-keys", "--data"]).arg(server.data()).env("LC_ALL", "C.UTF-8");
    let done = command.output().expect("the binary");
    let said = String::from_utf8(done.stdout).expect("text");
    assert!(done.status.success() && said.starts_with("the keys are replaced when"), "{said}");
    server.stop();
    *server = start(dir);
}

fn serial(place: &str) -> u64 {
    Ticket::unchecked(place.as_bytes()).expect("a ticket").serial
}

#[test]
fn places_and_links_outlive_one_rotation_of_the_keys_and_not_two() {
    let (dir, mut server) = server(2);
    let key = |name: &str| std::fs::read(dir.path().join("data/keys").join(name)).ok();
    let invited = server.create(json!({ "title": "few", "audience": "invited" }));
    let pass = invited.listen_link.split("pass=").nth(1).expect("a pass in the link");
    let hears = |server: &Server, status| {
        let path = format!("/listen/{}.ogg?pass={pass}", invited.id);
        until("what becomes of the pass", || {
            (ask(server.public, "HEAD", &path, &[], &[]).status == status).then_some(())
        });
    };
    let space: Space = server.live("open");
    hears(&server, 200);
    let first = place(&server, &space, "");

    let made = key("listen.key");
    restart(&server);
    assert_eq!((key("listen.key"), key("listen.key.before")), (made.clone(), None), "not in place");

    rotate(&mut server, dir.path());
    assert_eq!(key("listen.key.before"), made);
    hears(&server, 200);
    let second = place(&server, &space, &first);
    assert_eq!(serial(&second), serial(&first), "the place is theirs still");
    assert_ne!(second, first, "it is signed anew");

    rotate(&mut server, dir.path());
    hears(&server, 401);
    let third = place(&server, &space, &second);
    assert_eq!(serial(&third), serial(&first), "what was shown meanwhile is theirs still");
    assert_ne!(
        serial(&place(&server, &space, &first)),
        serial(&first),
        "what the key before the last signed is as none"
    );

    for name in ["listen.key", "listen.key.before", "people.key"] {
        let mode = std::fs::metadata(server.data().join("keys").join(name)).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(server.said().matches("the crowd's keys are rotated").count(), 1, "of this start");
}
