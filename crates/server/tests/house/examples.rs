//! What the documentation shows runs as it stands.

use std::process::Command;

use crate::server::Server;

/// The commands of a page, in order.
fn commands(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect::<Vec<_>>().concat()
}

#[test]
fn the_examples_of_the_api_run_from_top_to_bottom() {
    let server = Server::start();
    let script = commands(include_str!("../../../../docs/api.md"));
    assert!(script.lines().count() > 20, "the page has no examples");
    let folder = tempfile::tempdir().expect("a directory");
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(folder.path());
    shell.env("HIWAR", format!("http://{}", server.public)).env("PASS", &server.create_pass);
    let done = shell.output().expect("a shell");
    let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{why}");
    for line in [
        "scheduled",
        "open",
        "live",
        "204",
        "called",
        "coming",
        "False",
        "removed",
        "host",
        "2020",
        "True",
        "None",
        "ended",
        "after_review",
    ] {
        assert!(said.lines().any(|told| told == line), "nothing said {line}:\n{said}");
    }
    assert!(said.contains("/problems/not-co-host"), "{said}");
}
