//! What an operator asks of a server that may be running.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::ear::Ear;
use crate::server::{Server, command, until};

fn host_link(data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(["admin", "host-link", "--data"]).arg(data).env("LC_ALL", "C.UTF-8");
    command.output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_new_host_link_is_printed_while_the_server_runs() {
    let mut server = Server::start();
    let output = host_link(server.data());
    let (link, beside) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{beside}");
    let at = format!("http://{}/#/host?token=", server.public);
    let pass = link.strip_prefix(&at).and_then(|rest| rest.strip_suffix('\n')).expect("the link, and nothing else");
    assert_ne!(pass, server.create_pass);
    assert!(beside.contains("keep this link to yourself"), "{beside}");

    let reply = server.api("POST", "", pass, Some(json!({ "title": "By the new link", "audience": "public" })));
    assert_eq!(reply.status, 201, "{reply:?}");

    // The keys are in the directory, also when nobody runs.
    server.stop();
    assert!(host_link(server.data()).status.success());

    // DNS is not asked: a link can be made while it is down.
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("host = \"nowhere.invalid\"\ndata = {:?}\n", server.data())).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    let output = command.args(["admin", "host-link", "--config"]).arg(file.path()).output().expect("the binary");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_cadence_is_changed_while_people_listen() {
    let mut server = Server::start_with(&["--workers", "1"]);
    let cadence = |data: &Path, wish: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
        command.args(["admin", "cadence"]).args(wish).arg("--data").arg(data).env("LC_ALL", "C.UTF-8");
        let output = command.output().expect("the binary");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let space = server.live("Slow");
    let here = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    let is_told = |ear: &Ear, words: &str| {
        ear.body(words, |heard| heard.windows(words.len()).any(|here| here == words.as_bytes()).then_some(()));
    };
    is_told(&here, "moof");
    assert_eq!(cadence(server.data(), &[]), (Some(0), "auto\n".to_owned(), String::new()));
    assert_eq!(cadence(server.data(), &["2000"]).1, "2000\n");
    is_told(&here, r#"{"t":"cadence","ms":2000,"in_ms":26000}"#);
    let late = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    is_told(&late, r#"{"t":"cadence","ms":2000}"#);
    assert_eq!(cadence(server.data(), &["300"]).0, Some(2));
    // A house that follows goes on with it; a server that is started anew does not.
    server.kill_child("House");
    server.until_ready();
    assert_eq!(cadence(server.data(), &[]).1, "2000\n");
    server.stop();
    let (code, _, why) = cadence(server.data(), &[]);
    assert_eq!(code, Some(2));
    assert!(why.contains("no server runs on"), "{why}");
    let again = Server::start_in(server.data(), &[]);
    assert_eq!(cadence(again.data(), &[]).1, "auto\n");
}

#[test]
fn no_link_is_made_where_no_server_has_been() {
    let check = |data: &Path, why: &str| {
        let output = host_link(data);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{said}");
        assert!(said.contains(why), "{said}");
    };
    let dir = tempfile::tempdir().expect("a directory");
    check(dir.path(), "has no keys yet");
    check(&dir.path().join("nowhere"), "there is no");
    // Keys made here would belong to whoever asked, and the service could not read them.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    std::fs::create_dir(dir.path().join("keys")).unwrap();
    std::fs::write(dir.path().join("keys/listen.key"), "short").unwrap();
    check(dir.path(), "is not a key");
}

#[test]
fn a_link_to_host_is_not_written_to_the_journal() {
    let dir = tempfile::tempdir().expect("a directory");
    // systemd tells a program which file is its journal: systemd.exec(5), JOURNAL_STREAM.
    let path = dir.path().join("journal");
    let journal = std::fs::File::create(&path).unwrap();
    let about = journal.metadata().unwrap();
    let mut command = command(&dir.path().join("data"));
    command.arg("--no-demo").env("JOURNAL_STREAM", format!("{}:{}", about.dev(), about.ino()));
    let mut child = command.stdout(journal.try_clone().unwrap()).stderr(journal).spawn().expect("the binary");
    let said = until("the greeting", || {
        let said = std::fs::read_to_string(&path).unwrap();
        said.contains("Hiwar is running").then_some(said)
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap();
    assert!(said.contains("hiwar admin host-link") && !said.contains("token="), "{said}");
}
