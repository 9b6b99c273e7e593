//! HTTPS: with a certificate of the operator's own, and the port of plain HTTP beside it.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::http::ask;
use crate::server::{Server, command, kill, until};
use crate::tls::{Authority, Connection, Trust, get};

const NAME: &str = "talk.example";

/// A directory with a certificate and a configuration that names them.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a directory"), authority: Authority::new() };
        place.configure(&format!("host = \"{NAME}\"\nredirect = \"127.0.0.1:0\"\negress_mbps = 100\n"));
        place
    }

    fn configure(&self, name: &str) {
        let (chain, key) = (self.chain(), self.key());
        let text =
            format!("{name}[rtc]\npublic_address = \"127.0.0.1\"\n[tls]\ncertificate = {chain:?}\nkey = {key:?}\n");
        std::fs::write(self.config(), text).expect("a file");
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("hiwar.toml")
    }

    /// Whom clients of this place trust (PEM), in a file.
    pub(crate) fn root(&self) -> PathBuf {
        let path = self.dir.path().join("root.pem");
        std::fs::write(&path, self.authority.root()).expect("a file");
        path
    }

    fn chain(&self) -> PathBuf {
        self.dir.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    /// A new certificate in the place of the old one. When it expires.
    pub(crate) fn renew(&self, days: i64) -> u64 {
        let (chain, key, until) = self.authority.certify(NAME, days);
        for (path, text) in [(self.key(), key), (self.chain(), chain)] {
            let aside = path.with_extension("new");
            std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path)).expect("a file");
        }
        until
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start_in(&self.dir.path().join("data"), &["--no-demo", "--config", self.config().to_str().unwrap()])
    }
}

#[test]
fn plain_http_is_sent_on_to_https_and_so_is_it_after_a_restart_in_place() {
    let place = Place::new();
    place.renew(60);
    let server = place.serve();
    let origin = format!("https://{NAME}:{}", server.public.port());
    let redirect = server.redirect.expect("an address");
    let check = || {
        for path in ["/", "/s/some-space?x=1", "/healthz", "/.well-known/other"] {
            let reply = ask(redirect, "GET", path, &[], &[]);
            assert_eq!((reply.status, reply.header("location")), (308, Some(&*format!("{origin}{path}"))), "{path}");
            assert!(reply.body.is_empty());
        }
        assert_eq!(ask(redirect, "POST", "/api/spaces/v1/spaces", &[], b"{}").status, 308);
        let unknown = ask(redirect, "GET", "/.well-known/acme-challenge/unknown", &[], &[]);
        assert_eq!(
            (unknown.status, &*unknown.problem()),
            (404, "not-found"),
            "the house answers, and knows no such token"
        );
    };
    check();
    assert!(server.said().contains(&format!("{origin}/#/host?token=")), "{}", server.said());
    assert!(server.said().contains("100 Mbit/s carry about 2000 listeners at 48 kbit/s each"), "{}", server.said());
    let root = place.authority.root();
    let seen = get(server.public, NAME, "/api/spaces/v1/config", &Trust::Root(&root)).expect("an answer").json();
    assert_eq!(seen["public_origin"], *origin);
    assert_eq!(seen["stage_origin"], *format!("https://{NAME}:{}", server.stage.port()));

    let house = server.children("\"House\"");
    kill(server.pid().cast_signed(), Signal::HUP);
    until("another house", || server.children("\"House\"").into_iter().find(|pid| !house.contains(pid)));
    server.until_ready();
    check();

    // Without a name there is nowhere to send people: the port is closed, and nobody waits there in vain.
    place.configure("");
    kill(server.pid().cast_signed(), Signal::HUP);
    until("a closed port", || TcpStream::connect(redirect).err());
}

#[test]
fn a_name_that_is_added_while_its_port_is_taken_drops_nobody() {
    let place = Place::new();
    place.renew(60);
    place.configure("");
    let server = place.serve();
    let root = place.authority.root();
    let trust = Trust::Root(&root);
    let space = server.live("An hour of talk");
    let mut listener = Connection::open(server.public, NAME, &trust).expect("a connection");
    listener.ask(NAME, &format!("/listen/{}.mp4", space.id)).expect("a request");
    assert!(listener.more() > 0);

    // Somebody else has port 80: at an address at which nobody of another test takes it meanwhile.
    let other = TcpListener::bind((crate::pebble::home(), 0)).expect("a port");
    let taken = other.local_addr().expect("an address");
    place.configure(&format!("host = \"{NAME}\"\nredirect = \"{taken}\"\n"));
    let reload = || {
        let before = server.said().matches("restarted in place").count();
        kill(server.pid().cast_signed(), Signal::HUP);
        until("the restart", || (server.said().matches("restarted in place").count() > before).then_some(()));
        server.until_ready();
    };
    reload();
    let said = server.said();
    assert!(said.contains(&format!("cannot open the port for plain HTTP {taken}: it is taken")), "{said}");
    assert!(listener.more() > 0, "who listens stays");
    assert_eq!(server.view(&space)["state"], "live");

    // And when the port is free, the next restart has it.
    drop(other);
    reload();
    assert_eq!(ask(taken, "GET", "/", &[], &[]).status, 308);
}

#[test]
fn a_new_certificate_is_shown_to_who_comes_while_who_listens_stays() {
    let place = Place::new();
    place.renew(60);
    let server = place.serve();
    let root = place.authority.root();
    let trust = Trust::Root(&root);
    let space = server.live("An hour of talk");
    let mut listener = Connection::open(server.public, NAME, &trust).expect("a connection");
    let first = listener.shown();
    listener.ask(NAME, &format!("/listen/{}.mp4", space.id)).expect("a request");
    assert!(listener.more() > 0);

    place.renew(61);
    let shown = |at| Connection::open(at, NAME, &trust).ok().map(|connection| connection.shown());
    let second = until("the new certificate", || shown(server.public).filter(|shown| *shown != first));
    until("the same on the stage", || shown(server.stage).filter(|shown| *shown == second));
    assert!(listener.more() > 0, "who listens stays");

    // One that cannot be used changes nothing, and is said once, not by each worker.
    std::fs::write(place.key(), "no key").expect("a file");
    until("the alarm", || readyz(&server, "the file cannot be used"));
    let words = "the certificate before it, if there was one, is served on";
    until("a line in the log", || server.said().contains(words).then_some(()));
    assert_eq!(shown(server.public), Some(second));
    assert!(listener.more() > 0);
    place.renew(62);
    until("no alarm", || readyz(&server, "ready\n").filter(|body| body == "ready\n"));
    assert_eq!(server.said().matches(words).count(), 1, "{}", server.said());
}

#[test]
fn an_expired_certificate_is_served_on_and_alarmed() {
    let place = Place::new();
    let until_s = place.renew(-1);
    let server = place.serve();
    assert!(get(server.public, NAME, "/", &Trust::Root(&place.authority.root())).is_err(), "browsers refuse it");
    let alarm = "ready\nalarm: certificate of talk.example: it has expired\n";
    until("the alarm", || readyz(&server, alarm));
    let metrics = get(server.public, NAME, "/metrics", &Trust::Anyone).expect("an answer").text();
    let line = format!("\nhiwar_certificate_expires_seconds{{name=\"{NAME}\"}} {until_s}\n");
    assert!(metrics.contains(&line), "{metrics}");
    until("a line in the log", || server.said().contains("it has expired; it is served on").then_some(()));

    place.renew(13);
    until("the next alarm", || {
        readyz(&server, "it expires in 12 days").or_else(|| readyz(&server, "it expires in 13 days"))
    });
    place.renew(60);
    until("no alarm", || readyz(&server, "ready\n").filter(|body| body == "ready\n"));
}

#[test]
fn a_wrong_host_is_explained() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |args: &[&str], words: &str| {
        let refused = command(dir.path()).arg("--check").args(args).output().expect("the binary");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    };
    check(&["--host", "203.0.113.7"], "that is an address; give the name");
    check(&["--host", "https://talk.example"], "give the name alone");
    check(&["--host", "talk_here.example"], "that is no host name");
    check(&["--host", "حوار.example"], "begin with xn--");
    check(&["--host", "talk"], "no public authority certifies a name without a dot");
    // Reserved for names that nobody has: RFC 6761 §6.4.
    check(&["--host", "nowhere.invalid"], "rtc.public_address");
    check(&["--redirect", "127.0.0.1:0"], "give host too");
    check(&["--egress-mbps", "0"], "egress_mbps = 0");
    let file = dir.path().join("hiwar.toml");
    let config = |text: &str, words: &str| {
        std::fs::write(&file, text).expect("a file");
        check(&["--config", file.to_str().unwrap()], words);
    };
    config("[acme]\ncontact = \"me@talk.example\"", "[acme] obtains a certificate for host");
    config(
        "host = \"talk.example\"\n[rtc]\npublic_address = \"127.0.0.1\"\n[acme]\nroot = \"/nowhere.pem\"",
        "acme.root, /nowhere.pem",
    );
    config(
        "host = \"talk.example\"\nhls_base = \"https://hls.example\"\n[rtc]\npublic_address = \"127.0.0.1\"\n[hls_tls]\ncertificate = \"/nowhere.pem\"\nkey = \"/nowhere.pem\"",
        "cannot read /nowhere.pem",
    );
    config("host = \"talk.example\"\n[acme]\ndirectory = \"http://ca.example\"", "begins with https://");
    config("host = \"talk.example\"\n[acme]\ncontact = \"me\"", "one e-mail address");
}

/// What the house says of itself, if these words are in it. Always 200: it serves on.
fn readyz(server: &Server, words: &str) -> Option<String> {
    let reply = get(server.public, NAME, "/readyz", &Trust::Anyone).ok()?;
    assert_eq!(reply.status, 200, "{reply:?}");
    Some(reply.text()).filter(|text| text.contains(words))
}

/// Who may read a file.
pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}
