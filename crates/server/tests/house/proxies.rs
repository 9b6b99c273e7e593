//! HAProxy in front: whoever comes by it has their own address where it is declared, and one with all others where it is not.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

use hiwar_admission::door::ticket::Ticket;
use rustix::io::FdFlags;

use crate::door::{inside, start};
use crate::http::{Reply, ask, connect_from, parse};
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

/// How HAProxy passes on what comes.
const HTTP: (&str, &str) = ("mode http\n  option forwardfor", "");
const VERSION_1: (&str, &str) = ("mode tcp", "source 127.0.0.9 send-proxy");
const VERSION_2: (&str, &str) = ("mode tcp", "source 127.0.0.9 send-proxy-v2");
const SILENT: (&str, &str) = ("mode tcp", "source 127.0.0.9");

struct Proxy {
    child: Child,
    at: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// One in front of that server.
    fn before(server: &Server, (mode, sends): (&str, &str)) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        // HAProxy finds it open, so that the port is nobody else's.
        rustix::io::fcntl_setfd(&listener, FdFlags::empty()).expect("a flag");
        let mut text = String::from("defaults\n  timeout connect 10s\n  timeout client 60s\n  timeout server 60s\n");
        let _ = writeln!(text, "listen front\n  bind fd@{}\n  {mode}", listener.as_raw_fd());
        let _ = writeln!(text, "  server hiwar {} {sends}", server.public);
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, text).expect("a disk");
        let program =
            ["/usr/sbin/haproxy", "/usr/bin/haproxy"].into_iter().find(|path| std::fs::exists(path).is_ok_and(|is| is));
        let mut command = Command::new(program.expect("haproxy is installed (./x setup test)"));
        let child = command.args(["-db", "-f"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let at = listener.local_addr().expect("an address");
        Self { child: child.expect("haproxy"), at, _folder: folder }
    }

    /// Asks from that address of this machine.
    fn answer(&self, from: &str, path: &str, fields: &str) -> Vec<u8> {
        let mut stream = connect_from(from, self.at);
        let head = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).expect("a request");
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    fn ask(&self, from: &str, path: &str, fields: &str) -> Reply {
        let bytes = self.answer(from, path, fields);
        parse(&bytes).unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&bytes)))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server with a door of one place, and this in its configuration.
fn server(more: &str) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("hiwar.toml");
    std::fs::write(&config, format!("{more}\n[door]\nplaces = 1\n")).expect("a disk");
    let server = start(dir.path());
    (dir, server)
}

/// To which network a ticket is given.
fn network(proxy: &Proxy, space: &Space, from: &str, fields: &str) -> u64 {
    let path = format!("/listen/{}.mp4?t=", space.id);
    until("somebody is drawn", || {
        let told = proxy.ask(from, &path, fields).json();
        let ticket = Ticket::unchecked(told["ticket"].as_str()?.as_bytes()).expect("a ticket");
        (ticket.serial > 0).then_some(ticket.network)
    })
}

#[test]
fn whoever_comes_by_a_declared_proxy_has_a_place_of_their_own_at_the_door() {
    let (_dir, server) = server("trusted_proxies = [\"127.0.0.1\"]");
    let space = server.live("full");
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let _ear = inside(&server, &space);
    let proxy = Proxy::before(&server, HTTP);
    let one = network(&proxy, &space, "127.0.0.2", "");
    assert_ne!(one, network(&proxy, &space, "127.0.0.3", ""));
    assert_eq!(
        one,
        network(&proxy, &space, "127.0.0.2", "X-Forwarded-For: 127.0.0.3\r\n"),
        "what they say is not believed"
    );
    assert!(!server.said().contains("not declared"), "{}", server.said());
}

#[test]
fn the_proxy_protocol_is_understood_in_both_versions_and_expected_once_it_is_declared() {
    let (_dir, server) = server("trusted_proxies = [\"127.0.0.9\"]\nproxy_protocol = true");
    let space = server.live("full");
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let _ear = inside(&server, &space);
    let (first, second) = (Proxy::before(&server, VERSION_1), Proxy::before(&server, VERSION_2));
    let one = network(&first, &space, "127.0.0.2", "");
    assert_eq!(
        one,
        network(&second, &space, "127.0.0.2", "X-Forwarded-For: 127.0.0.3\r\n"),
        "one person by two proxies"
    );
    assert_ne!(one, network(&second, &space, "127.0.0.3", ""));
    let silent = Proxy::before(&server, SILENT);
    assert_eq!(silent.answer("127.0.0.2", "/", ""), b"", "one that does not speak it is closed");
}

#[test]
fn an_undeclared_proxy_is_one_address_and_the_operator_is_told_at_the_first_request() {
    let (_dir, server) = server("");
    let space = server.live("full");
    let _mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    let _ear = inside(&server, &space);
    let proxy = Proxy::before(&server, HTTP);
    assert_eq!(network(&proxy, &space, "127.0.0.2", ""), network(&proxy, &space, "127.0.0.3", ""));
    assert!(server.said().contains("requests come by a proxy that is not declared"), "{}", server.said());
    let count = until("it is counted", || {
        let metrics = ask(server.public, "GET", "/metrics", &[], &[]).text();
        let line = metrics.lines().find_map(|line| line.strip_prefix("hiwar_worker_undeclared_total "));
        line.and_then(|count| count.parse::<u64>().ok()).filter(|count| *count >= 2)
    });
    assert!(count < 1_000, "{count}");
}
