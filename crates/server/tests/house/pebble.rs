//! A certificate authority of our own: Let's Encrypt's `pebble`, and a DNS that knows every name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::server::{listen, until};
use crate::tls::{self, Authority, Trust};

/// It runs until it is dropped.
pub(crate) struct Pebble {
    child: Child,
    dir: tempfile::TempDir,
    listens: SocketAddr,
    manages: SocketAddr,
    said: Arc<Mutex<String>>,
}

impl Pebble {
    /// One that looks for proofs at this address, and gives certificates for so long.
    pub(crate) fn start(http: SocketAddr, lifetime_s: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let (certificate, key, _) = authority.certify(&http.ip().to_string(), 30);
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("a file");
        };
        write("root.pem", &authority.root());
        write("certificate.pem", &certificate);
        write("key.pem", &key);
        let dns = every_name_is_at(http.ip());
        loop {
            let [listens, manages] = [http.ip(); 2].map(free);
            let config = json!({ "pebble": {
                "listenAddress": listens.to_string(),
                "managementListenAddress": manages.to_string(),
                "certificate": dir.path().join("certificate.pem"),
                "privateKey": dir.path().join("key.pem"),
                "httpPort": http.port(),
                "tlsPort": 1,
                "ocspResponderURL": "",
                "externalAccountBindingRequired": false,
                "certificateValidityPeriod": lifetime_s,
            } });
            write("config.json", &config.to_string());
            let mut command = Command::new("pebble");
            command.arg("-config").arg(dir.path().join("config.json")).arg("-dnsserver").arg(dns.to_string());
            // Else it waits up to 15 s before it looks, for the sake of those who forget that real ones do.
            command.env("PEBBLE_VA_NOSLEEP", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap_or_else(|why| {
                panic!("cannot run pebble ({why}): apt-get install pebble, or ./x test, which does that")
            });
            let said = Arc::new(Mutex::new(String::new()));
            listen(child.stdout.take().expect("piped"), said.clone());
            listen(child.stderr.take().expect("piped"), said.clone());
            let is_up = until("pebble", || {
                let ended = child.try_wait().expect("a child").is_some();
                let is_up = [listens, manages].into_iter().all(|at| TcpStream::connect(at).is_ok());
                (ended || is_up).then_some(!ended)
            });
            if is_up {
                return Self { child, dir, listens, manages, said };
            }
            let said = said.lock().unwrap().clone();
            assert!(said.contains("address already in use"), "pebble ended at once:\n{said}");
        }
    }

    /// What a server must be told of it.
    pub(crate) fn config(&self) -> String {
        let root = self.dir.path().join("root.pem");
        format!(
            "[acme]\ndirectory = \"https://{}/dir\"\nroot = {root:?}\ncontact = \"me@talk.example\"\n",
            self.listens
        )
    }

    /// The root of what it certifies; another at each start.
    pub(crate) fn root(&self) -> String {
        tls::get(self.manages, &self.manages.ip().to_string(), "/roots/0", &Trust::Anyone).expect("a root").text()
    }

    /// What it printed so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- pebble said:\n{}", self.said());
        }
    }
}

/// A loopback address of this test's own: what is free there stays free, whatever other tests do.
pub(crate) fn home() -> IpAddr {
    static HOMES: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    IpAddr::from([127, HOMES.fetch_add(1, Relaxed), high, low])
}

/// A port that is free there, for programs that cannot be handed a socket.
pub(crate) fn free(home: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((home, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// A DNS that says of every name that it is there (RFC 1035 §4). Ends with the process.
fn every_name_is_at(home: IpAddr) -> SocketAddr {
    let IpAddr::V4(home) = home else { panic!("{home}") };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let at = socket.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&answer(&buffer[..length], home), peer);
        }
    });
    at
}

/// The answer to one question: an address to who asks for one, else nothing.
fn answer(query: &[u8], home: Ipv4Addr) -> Vec<u8> {
    let name = query[12..].iter().position(|&byte| byte == 0).expect("a name") + 13;
    let asks_for_an_address = query[name..name + 2] == [0, 1];
    let mut answer = query[..name + 4].to_vec();
    // An answer, one question, no extensions.
    (answer[2], answer[3]) = (0x81, 0x80);
    answer[6..12].copy_from_slice(&[0, u8::from(asks_for_an_address), 0, 0, 0, 0]);
    if asks_for_an_address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(home.octets());
    }
    answer
}
