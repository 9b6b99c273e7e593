//! Keys that are rotated: what was signed with the one before is good, and with the one before that is not.

use std::path::Path;
use std::process::Command;

use hiwar_admission::door::ticket::Ticket;
use serde_json::json;

use crate::door::{inside, server, waits_with};
use crate::http::ask;
use crate::mouth::Mouth;
use crate::restart::restart;
use crate::server::{Server, until};

fn rotate(server: &Server) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(["admin", "rotate-keys", "--data"]).arg(server.data()).env("LC_ALL", "C.UTF-8");
    let done = command.output().expect("the binary");
    let said = String::from_utf8(done.stdout).expect("text");
    assert!(done.status.success() && said.starts_with("the keys are replaced when"), "{said}");
    restart(server);
}

#[test]
fn places_and_links_outlive_one_rotation_of_the_keys_and_not_two() {
    let (_dir, server) = server(1);
    let invited = server.create(json!({ "title": "few", "audience": "invited" }));
    let pass = invited.listen_link.split("pass=").nth(1).expect("a pass in the link");
    let space = server.live("full");
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    // They stay where they are while the server is restarted in place: it is full all the time.
    let _ear = inside(&server, &space);
    let told = |shown: &str| waits_with(&server, &space, shown).json()["ticket"].as_str().expect("a ticket").to_owned();
    let serial = |text: &str| Ticket::unchecked(text.as_bytes()).expect("a ticket").serial;
    let first = until("somebody has to wait", || Some(told("")).filter(|text| serial(text) > 0));
    let hears = || ask(server.public, "HEAD", &format!("/listen/{}.ogg?pass={pass}", invited.id), &[], &[]).status;
    until("the pass is good", || (hears() == 200).then_some(()));
    assert_eq!(serial(&told(&first)), serial(&first));

    // As after every restart, the workers first learn from the house what there is.
    let soon = |what: &str, shown: &str, of: &str| until(what, || (serial(&told(shown)) == serial(of)).then_some(()));
    rotate(&server);
    until("the pass is good still", || (hears() == 200).then_some(()));
    soon("the place is theirs still", &first, &first);
    let second = until("somebody else has to wait", || Some(told("")).filter(|text| serial(text) > 0));

    // What is shown is signed anew: whoever was seen meanwhile has a ticket of now.
    let renewed = told(&first);
    rotate(&server);
    soon("the place by the key before", &second, &second);
    soon("the place that was seen meanwhile", &renewed, &renewed);
    until("the pass is over", || (hears() == 401).then_some(()));
    assert_ne!(serial(&told(&first)), serial(&first), "what the key before that one signed is as none");

    let mode = |name: &str| mode_of(&server.data().join("keys").join(name));
    assert_eq!((mode("listen.key"), mode("listen.key.before")), (0o600, 0o600));
    assert_eq!(server.said().matches("the crowd's keys are rotated").count(), 2);
    drop(mouth);
}

fn mode_of(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).expect("a key").permissions().mode() & 0o777
}
