//! HLS at a name of its own, as an operator sets it up: two certificates in files, one port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::server::{PATIENCE, command, kill, listen, until};

const NAME: &str = "hls.talk.example";
const OWN: &str = "talk.example";
const BASE: &str = "https://hls.talk.example";

/// A new certificate in files; whom to trust for it.
fn certificate(folder: &Path, file: &str, name: &str) -> CertificateDer<'static> {
    let CertifiedKey::<KeyPair> { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec![String::from(name)]).expect("a certificate");
    // As whoever renews certificates does it: a reader sees the old file or the new one.
    let next = folder.join("next.pem");
    std::fs::write(&next, cert.pem() + &signing_key.serialize_pem()).expect("a file");
    std::fs::rename(next, folder.join(file)).expect("a file");
    cert.der().clone()
}

/// Asks for a name of whoever has this certificate, and no other.
fn connect(
    at: SocketAddr,
    name: &'static str,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let socket = TcpStream::connect(at)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(name).expect("a name");
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).expect("a client"), socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Status line, fields and body of a GET.
fn get(at: SocketAddr, name: &'static str, trusted: &CertificateDer<'static>, path: &str) -> std::io::Result<String> {
    let mut stream = connect(at, name, trusted, "http/1.1")?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}", self.said.lock().expect("its words"));
        }
        kill(self.child.id().cast_signed(), Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn hls_has_a_name_a_certificate_and_http2_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = certificate(dir.path(), "own.pem", OWN);
    let hls = certificate(dir.path(), "hls.pem", NAME);
    let file = |name: &str| format!("certificate = {0:?}\nkey = {0:?}\n", dir.path().join(name));
    let config = format!(
        "hls_base = \"{BASE}\"\npublic_origin = \"https://{OWN}\"\n[tls]\n{}[hls_tls]\n{}",
        file("own.pem"),
        file("hls.pem")
    );
    std::fs::write(dir.path().join("hiwar.toml"), config).expect("a file");
    let data = dir.path().join("data");
    let mut command = command(&data);
    command.arg("--demo").arg("--config").arg(dir.path().join("hiwar.toml"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    let said = Arc::new(Mutex::new(String::new()));
    listen(child.stdout.take().expect("piped"), said.clone());
    listen(child.stderr.take().expect("piped"), said.clone());
    let running = Running { child, said };
    let at: SocketAddr = until("addresses.json", || {
        let addresses: Value = serde_json::from_slice(&std::fs::read(data.join("run/addresses.json")).ok()?).ok()?;
        addresses["public"].as_str()?.strip_prefix("https://")?.parse().ok()
    });

    let playlist = until("a playlist at the name", || {
        let answer = get(at, NAME, &hls, "/hls/demo/live.m3u8").ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    });
    assert!(playlist.contains("Access-Control-Allow-Origin: *") && playlist.contains("#EXT-X-PART:"), "{playlist}");
    assert!(get(at, NAME, &hls, "/s/demo").expect("an answer").starts_with("HTTP/1.1 421"));
    let agreed = |name, trusted, protocol| {
        connect(at, name, trusted, protocol).map(|stream| stream.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(agreed(NAME, &hls, "h2").expect("a connection"), Some(b"h2".to_vec()));
    assert!(agreed(OWN, &own, "h2").is_err(), "there is no HTTP/2 at the name of the pages");

    // The pages are where they were, and send their players to the name.
    let page = get(at, OWN, &own, "/s/demo").expect("a page");
    assert!(page.contains(&format!("\"hls\":\"{BASE}/hls/demo/live.m3u8\"")), "{page}");
    if let Some((_, policy)) = page.split_once("Content-Security-Policy: ") {
        let policy = policy.lines().next().unwrap_or_default();
        for directive in ["connect-src", "media-src"] {
            let found = policy.split(';').find(|text| text.trim().starts_with(directive)).unwrap_or_default();
            assert!(found.contains(BASE), "{policy}");
        }
    }
    let space = get(at, OWN, &own, "/api/spaces/v1/spaces/demo").expect("an answer");
    assert!(space.contains(&format!("{BASE}/hls/demo/live.m3u8")), "{space}");

    // A renewed certificate is shown without a restart, and the other stays.
    let renewed = certificate(dir.path(), "hls.pem", NAME);
    until("the renewed certificate", || get(at, NAME, &renewed, "/hls/demo/init.mp4").ok());
    assert!(get(at, NAME, &hls, "/hls/demo/init.mp4").is_err());
    assert!(get(at, OWN, &own, "/s/demo").is_ok());
    drop(running);
}
