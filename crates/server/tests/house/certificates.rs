//! Certificates that are obtained by themselves, from a real authority's test double (RFC 8555).

use std::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::pebble::{Pebble, free, home};
use crate::secure::mode;
use crate::server::{Server, kill, until};
use crate::tls::{Connection, Trust, get};

const NAME: &str = "talk.example";
const NINETY_DAYS_S: u64 = 90 * 86_400;

/// A server's directory and configuration.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn certificate(&self) -> PathBuf {
        self.data().join("tls/talk.example.pem")
    }

    /// Serves, with plain HTTP at this address.
    fn serve(&self, http: SocketAddr, acme: &str) -> Server {
        let config = self.0.path().join("hiwar.toml");
        let text = format!("host = \"{NAME}\"\nredirect = \"{http}\"\n[rtc]\npublic_address = \"127.0.0.1\"\n{acme}");
        std::fs::write(&config, text).expect("a file");
        Server::start_in(&self.data(), &["--no-demo", "--config", config.to_str().unwrap()])
    }
}

fn readyz(server: &Server) -> String {
    let reply = get(server.public, NAME, "/readyz", &Trust::Anyone).expect("an answer");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.text()
}

#[test]
fn a_certificate_is_obtained_kept_and_not_asked_for_again() {
    let http = free(home());
    let pebble = Pebble::start(http, NINETY_DAYS_S);
    let place = Place::new();
    let acme = pebble.config();
    let mut server = place.serve(http, &acme);
    let root = pebble.root();
    let trust = Trust::Root(&root);
    until("a certificate that browsers believe", || get(server.public, NAME, "/readyz", &trust).ok());
    until("the same on the stage", || get(server.stage, NAME, "/readyz", &trust).ok());
    until("a line in the log", || server.said().contains("a certificate for talk.example was obtained").then_some(()));
    assert_eq!(readyz(&server), "ready\n");
    let metrics = get(server.public, NAME, "/metrics", &trust).expect("an answer").text();
    assert!(metrics.contains("hiwar_certificate_expires_seconds{name=\"talk.example\"} "), "{metrics}");
    assert!(metrics.contains("hiwar_certificate_failures_total{name=\"talk.example\"} 0\n"), "{metrics}");
    for file in [place.certificate(), place.data().join("keys/acme.json")] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }

    // From here on nobody would be there to ask.
    drop(pebble);
    let kept = std::fs::read(place.certificate()).expect("a certificate");
    server.kill_child("\"House\"");
    server.until_answered();
    server.stop();
    drop(server);
    let server = place.serve(http, &acme);
    get(server.public, NAME, "/readyz", &trust).expect("the same certificate");
    assert_eq!(readyz(&server), "ready\n");
    assert_eq!(std::fs::read(place.certificate()).expect("a certificate"), kept);
    assert!(!server.said().contains("no certificate for"), "{}", server.said());
}

#[test]
fn a_certificate_is_renewed_before_it_expires_and_who_listens_stays() {
    let http = free(home());
    let pebble = Pebble::start(http, 12);
    let place = Place::new();
    let server = place.serve(http, &pebble.config());
    let root = pebble.root();
    let trust = Trust::Root(&root);
    let mut listener = until("the first certificate", || Connection::open(server.public, NAME, &trust).ok());
    let space = server.live("An hour of talk");
    listener.ask(NAME, &format!("/listen/{}.mp4", space.id)).expect("a request");
    let first = listener.shown();
    let next = until("the next certificate", || {
        Connection::open(server.public, NAME, &trust).ok().filter(|next| next.shown() != first)
    });
    assert_ne!(next.shown(), first);
    assert!(listener.more() > 0, "who listens stays");
    assert!(!server.said().contains("no certificate for"), "{}", server.said());
}

#[test]
fn a_name_that_leads_elsewhere_is_served_alarmed_and_not_asked_for_without_end() {
    // It looks where nobody is.
    let home = home();
    let pebble = Pebble::start(free(home), NINETY_DAYS_S);
    let place = Place::new();
    let server = place.serve(free(home), &pebble.config());
    let alarm = "ready\nalarm: certificate of talk.example: it could not be obtained\n";
    until("the alarm", || (readyz(&server) == alarm).then_some(()));
    let metrics = get(server.public, NAME, "/metrics", &Trust::Anyone).expect("an answer").text();
    assert!(metrics.contains("hiwar_certificate_failures_total{name=\"talk.example\"} 1\n"), "{metrics}");
    // It is said when the alarm is there already.
    for words in
        ["did not find this server behind the name", "A and AAAA records", "port 80 is open", "the next try is in"]
    {
        until(words, || server.said().contains(words).then_some(()));
    }

    // A house that dies does not forget it.
    let orders = |said: &str| said.matches("no certificate for talk.example").count();
    assert_eq!(orders(&server.said()), 1, "{}", server.said());
    server.kill_child("\"House\"");
    server.until_ready();
    until("the alarm of the next house", || (readyz(&server) == alarm).then_some(()));
    // And whoever restarts it in place again and again does not ask again and again.
    let house = server.children("\"House\"");
    kill(server.pid().cast_signed(), Signal::HUP);
    until("another house", || server.children("\"House\"").into_iter().find(|pid| !house.contains(pid)));
    server.until_ready();
    until("its alarm", || (readyz(&server) == alarm).then_some(()));
    assert_eq!(orders(&server.said()), 1, "{}", server.said());
}

#[test]
fn an_authority_that_is_away_is_named() {
    let place = Place::new();
    let home = home();
    let away = free(home);
    let server = place.serve(free(home), &format!("[acme]\ndirectory = \"https://{away}/dir\"\n"));
    until("the alarm", || readyz(&server).contains("it could not be obtained").then_some(()));
    for words in ["the certificate authority cannot be reached", &away.to_string(), " seconds"] {
        until(words, || server.said().contains(words).then_some(()));
    }
}
