//! The floor that the workers are measured against: it must do the work, or it is no floor.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use tempfile::TempDir;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: audio/mp4\r\nConnection: close\r\n\r\n";
const REQUEST: &[u8] = b"GET /listen/anything.mp4 HTTP/1.1\r\nHost: here\r\n\r\n";

/// A recorded stream, and where its fragments begin; the last one is cut off.
struct Recording {
    bytes: Vec<u8>,
    begins: Vec<usize>,
}

impl Recording {
    fn new(fragments: u32, body_bytes: usize) -> Self {
        let mut bytes = [boxed(b"ftyp", b"iso5"), boxed(b"moov", &[7; 300])].concat();
        let mut begins = Vec::new();
        for number in 0..fragments {
            begins.push(bytes.len());
            if number % 3 == 0 {
                bytes.extend(boxed(b"emsg", format!("an event before fragment {number}").as_bytes()));
            }
            bytes.extend(boxed(b"moof", &number.to_be_bytes()));
            bytes.extend(boxed(b"mdat", &vec![number as u8; body_bytes + number as usize]));
        }
        bytes.extend(&boxed(b"mdat", &[1; 100])[..50]);
        Self { bytes, begins }
    }

    /// Which fragment `heard` begins with; it must go on as the recording does.
    fn place(&self, heard: &[u8]) -> usize {
        let goes_on = |begin: &usize| self.bytes[*begin..].starts_with(heard);
        self.begins.iter().position(goes_on).expect("what is heard is the stream from some fragment on")
    }
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(8 + body.len() as u32).to_be_bytes()[..], kind, body].concat()
}

/// A floor that plays a recording.
struct Floor {
    process: Child,
    address: SocketAddr,
}

impl Floor {
    fn start(folder: &TempDir, recording: &Recording, arguments: &[&str]) -> Self {
        let file = folder.path().join("stream.mp4");
        std::fs::write(&file, &recording.bytes).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_floor"));
        let command = command.arg("--stream").arg(file).args(arguments).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).expect("the first line is JSON");
        let port = u16::try_from(said["port"].as_u64().unwrap()).unwrap();
        Self { process, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn listen(&self) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(REQUEST).unwrap();
        stream
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the answer's head and the boxes before the first fragment.
fn hear_head(stream: &mut impl Read, recording: &Recording) {
    let mut heard = vec![0; HEAD.len() + recording.begins[0]];
    stream.read_exact(&mut heard).unwrap();
    let (head, boxes) = heard.split_at(HEAD.len());
    assert_eq!((head, boxes), (HEAD.as_bytes(), &recording.bytes[..recording.begins[0]]));
}

fn hear(stream: &mut impl Read, bytes: usize) -> Vec<u8> {
    let mut heard = vec![0; bytes];
    stream.read_exact(&mut heard).unwrap();
    heard
}

#[test]
fn everyone_hears_the_same_bytes_in_order_from_the_next_fragment_on() {
    let recording = Recording::new(200, 900);
    for cadence_ms in ["200", "400", "2000"] {
        let folder = tempfile::tempdir().unwrap();
        let floor = Floor::start(&folder, &recording, &["--cadence-ms", cadence_ms]);
        let mut first = floor.listen();
        hear_head(&mut first, &recording);
        let earlier = recording.place(&hear(&mut first, 2_000));
        // One whose request comes in two pieces, and some at once.
        let mut slow = floor.connect();
        slow.write_all(&REQUEST[..REQUEST.len() - 2]).unwrap();
        let mut later: Vec<_> = (0..12).map(|_| floor.listen()).collect();
        slow.write_all(&REQUEST[REQUEST.len() - 2..]).unwrap();
        later.push(slow);
        for stream in &mut later {
            hear_head(stream, &recording);
            let place = recording.place(&hear(stream, 6_000));
            assert!(place > earlier, "who joined later begins at {place}, the first one at {earlier}");
        }
    }
}

#[test]
fn several_processes_keep_one_time_on_one_port() {
    let (recording, folder) = (Recording::new(100, 500), tempfile::tempdir().unwrap());
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(2);
    let soon = soon.as_millis().to_string();
    let floor = Floor::start(&folder, &recording, &["--begin-unix-ms", &soon]);
    let address = floor.address.to_string();
    let _other = Floor::start(&folder, &recording, &["--begin-unix-ms", &soon, "--listen", &address]);
    let mut all: Vec<_> = (0..32).map(|_| floor.listen()).collect();
    for stream in &mut all {
        hear_head(stream, &recording);
        assert_eq!(recording.place(&hear(stream, 2_000)), 0, "they were there before it began");
    }
}

#[test]
fn who_does_not_read_is_cut_and_nobody_else() {
    let (recording, folder) = (Recording::new(60, 300_000), tempfile::tempdir().unwrap());
    let floor = Floor::start(&folder, &recording, &[]);
    let (mut silent, mut reader) = (floor.listen(), floor.listen());
    hear_head(&mut silent, &recording);
    hear_head(&mut reader, &recording);
    // Two seconds, in which what the kernel holds for the silent one is long full.
    let heard = hear(&mut reader, 3_000_000);
    recording.place(&heard);
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = silent.read_to_end(&mut rest);
    recording.place(&rest);
    assert!(rest.len() < heard.len() / 2, "{} bytes came", rest.len());
    recording.place(&[heard, hear(&mut reader, 600_000)].concat());
}

#[test]
fn it_ends_with_its_stream_or_its_time() {
    let (recording, folder) = (Recording::new(15, 500), tempfile::tempdir().unwrap());
    for arguments in [&[][..], &["--seconds", "2"]] {
        let mut floor = Floor::start(&folder, &recording, arguments);
        let mut stream = floor.listen();
        hear_head(&mut stream, &recording);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.len() < recording.bytes.len());
        assert!(floor.process.wait().unwrap().success());
    }
}

#[test]
fn a_file_without_fragments_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.mp4");
    std::fs::write(&file, boxed(b"ftyp", b"iso5")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_floor")).arg("--stream").arg(file).output();
    assert!(!output.unwrap().status.success());
}

#[test]
fn under_tls_1_3_the_same_is_heard() {
    let (recording, folder) = (Recording::new(100, 1_500), tempfile::tempdir().unwrap());
    let made = rcgen::generate_simple_self_signed(vec![String::from("floor.example")]).unwrap();
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let floor = Floor::start(&folder, &recording, &["--tls", &chain, &key, "--cadence-ms", "400"]);

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let mut all: Vec<_> = (0..8)
        .map(|_| {
            let name = ServerName::try_from("floor.example").unwrap();
            let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), name).unwrap(), floor.connect());
            stream.write_all(REQUEST).unwrap();
            stream
        })
        .collect();
    for stream in &mut all {
        hear_head(stream, &recording);
        recording.place(&hear(stream, 9_000));
        assert_eq!(stream.conn.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    }
}
