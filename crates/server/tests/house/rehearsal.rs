//! The grant to rehearse, from the command that prints it to the proof that a generator asks for.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use hiwar_admission::{Origin, PassId, Rehearsal, RehearsalKey, RehearsalToken};
use serde_json::json;

use crate::grant::{Checked, check};
use crate::http::ask;
use crate::secure::Place;
use crate::server::Server;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn command(data: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(["admin", "rehearsal-grant", "--data"]).arg(data).args(args);
    command.env("LC_ALL", "C.UTF-8").output().expect("the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn printed(data: &Path, args: &[&str]) -> String {
    let output = command(data, args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).strip_suffix('\n').expect("the grant, and nothing else").to_owned()
}

fn at(address: SocketAddr) -> Origin {
    Origin::parse(&format!("http://{address}")).expect("an origin")
}

fn checked(origin: &Origin, token: &str) -> Result<Checked, String> {
    check(origin, HERE, token, None, SystemTime::now())
}

/// A grant that no command would print: for an address of choice, by that server's key.
fn signed_by(data: &Path, origin: &Origin) -> String {
    let secret = std::fs::read(data.join("keys/listen.key")).expect("a key").try_into().expect("32 bytes");
    let expires = SystemTime::now() + Duration::from_secs(600);
    let rehearsal = Rehearsal { id: PassId([1; 8]), origin: origin.clone(), listeners_max: 1, expires };
    RehearsalKey::from_bytes(secret).sign(&rehearsal)
}

#[test]
fn a_grant_is_proven_by_the_server_that_issued_it_and_by_no_other() {
    let (server, other) = (Server::start(), Server::start());
    let (origin, elsewhere) = (at(server.public), at(other.public));
    let token = printed(server.data(), &["--listeners", "500", "--minutes", "30"]);
    let given = checked(&origin, &token).expect("a proof");
    assert_eq!((given.at(), given.origin(), given.listeners_max()), (server.public, &origin, 500));
    let left = given.expires().duration_since(SystemTime::now()).expect("later");
    assert!(left > Duration::from_secs(29 * 60) && left <= Duration::from_secs(30 * 60), "{left:?}");
    let usual = checked(&origin, &printed(server.data(), &[])).expect("a proof");
    assert_eq!(usual.listeners_max(), 10_000);

    let why = checked(&elsewhere, &token).expect_err("it is for another");
    assert!(why.contains(&format!("is for {origin}, and not for {elsewhere}")), "{why}");
    let why = checked(&elsewhere, &signed_by(server.data(), &elsewhere)).expect_err("the key of another");
    assert!(why.contains("did not issue this grant"), "{why}");
    assert!(checked(&elsewhere, &signed_by(other.data(), &elsewhere)).is_ok());

    // Nor does a server vouch for an address that is not its own, whatever its key signed.
    let stranger = Origin::parse("https://victim.example").expect("an origin");
    let held = RehearsalToken::read(SystemTime::now(), &signed_by(server.data(), &stranger)).expect("a grant");
    let question = json!({ "claims": held.claims(), "nonce": "A".repeat(43) }).to_string();
    let json = [("Content-Type", "application/json")];
    let reply = ask(server.public, "POST", "/api/spaces/v1/rehearsals", &json, question.as_bytes());
    assert_eq!((reply.status, &*reply.problem()), (403, "rehearsal-refused"), "{reply:?}");
    let stage = at(server.stage);
    let why = checked(&stage, &signed_by(server.data(), &stage)).expect_err("the stage is no place for a crowd");
    assert!(why.contains("403 Forbidden") && why.contains("not this server's own"), "{why}");

    // It is no pass, and it is in no log.
    let reply = server.api("POST", "", &token, Some(json!({ "title": "x", "audience": "public" })));
    assert_eq!((reply.status, &*reply.problem()), (401, "pass-invalid"));
    assert!(!server.said().contains(&token), "{}", server.said());
}

#[test]
fn over_https_the_server_has_to_be_the_one_that_it_says() {
    let place = Place::new();
    place.renew(60);
    let server = place.serve();
    let root = place.root();
    let token = printed(server.data(), &[]);
    let origin = Origin::parse(&format!("https://talk.example:{}", server.public.port())).expect("an origin");
    let checked = |origin: &Origin, token: &str, root| check(origin, HERE, token, root, SystemTime::now());
    assert!(checked(&origin, &token, Some(&root)).is_ok());

    let why = checked(&origin, &token, None).expect_err("nobody else trusts that authority");
    assert!(why.contains("no secure connection") || why.contains("trusts no authority"), "{why}");
    let named = Origin::parse(&format!("https://victim.example:{}", server.public.port())).expect("an origin");
    let why = checked(&named, &signed_by(server.data(), &named), Some(&root)).expect_err("another name");
    assert!(why.contains("no secure connection"), "{why}");
    // The port of plain HTTP sends everybody on to the one who could prove it.
    let redirect = server.redirect.expect("an address");
    let plain = Origin::parse(&format!("http://talk.example:{}", redirect.port())).expect("an origin");
    let why = checked(&plain, &signed_by(server.data(), &plain), Some(&root)).expect_err("a redirect");
    assert!(why.contains(&format!("sends on to \"{origin}/api/spaces/v1/rehearsals\"")), "{why}");
}

#[test]
fn a_web_server_that_says_yes_to_everything_is_not_rehearsed() {
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = at(listener.local_addr().expect("an address"));
    let web = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a connection");
        let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
        while !asked.ends_with(b"}") {
            let length = socket.read(&mut buffer).expect("a request");
            asked.extend_from_slice(&buffer[..length]);
        }
        let page = "<!doctype html><title>Welcome</title>";
        write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len()).expect("an answer");
        asked
    });
    let why = checked(&origin, &signed_by(server.data(), &origin)).expect_err("a page");
    assert!(why.contains("no Hiwar"), "{why}");
    let asked = web.join().expect("a web server");
    assert!(asked.starts_with(b"POST /api/spaces/v1/rehearsals HTTP/1.1\r\n"), "{}", text(&asked));
}

#[test]
fn the_command_says_how_the_grant_is_used_and_what_it_cannot_do() {
    let server = Server::start();
    let output = command(server.data(), &["--listeners", "2000", "--minutes", "1440"]);
    let beside = text(&output.stderr);
    assert!(output.status.success() && !beside.contains(text(&output.stdout).trim()), "{beside}");
    assert!(beside.contains(&format!("hiwar rehearse listen http://{}/listen/SPACE.mp4", server.public)), "{beside}");
    assert!(beside.contains("for 1440 minutes") && beside.contains("2000 listeners"), "{beside}");

    for args in [["--minutes", "0"], ["--minutes", "1441"], ["--listeners", "0"], ["--listeners", "-1"]] {
        let output = command(server.data(), &args);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}");
    }
    let nowhere = tempfile::tempdir().expect("a directory");
    let output = command(nowhere.path(), &[]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(text(&output.stderr).contains("has no keys yet"), "{}", text(&output.stderr));
}
