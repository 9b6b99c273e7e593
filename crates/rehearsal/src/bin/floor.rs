//! `floor`: the least that must be done to be heard by many, for `bench/fanout` to hold the workers against (docs/measured/fanout.md).
//!
//! One thread, one epoll. Whoever asks, for whatever, hears a recorded stream from the next fragment on. The stream lies in memory once; a listener is a place in
//! it. Left out is what a server owes to strangers (deadlines, refusals, a burst for who joins, a way on when files run out), and nothing that makes it fast.

use std::error::Error;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use clap::Parser;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

#[derive(Parser)]
struct Options {
    /// Port 0 is any; the first line on standard output says which. Several processes may share one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddrV4,
    #[arg(long)]
    stream: String,
    /// Time between two writes to a listener, a multiple of 200
    #[arg(long, default_value_t = 200)]
    cadence_ms: usize,
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    tls: Vec<String>,
    /// Ends after so long, at the latest with the stream
    #[arg(long, default_value_t = 1_000_000)]
    seconds: u64,
    /// When the first fragment is due, if not at once: the same for all who share a port
    #[arg(long, default_value_t = 0)]
    begin_unix_ms: u64,
}

/// Writes between two looks at the sockets: about 5 ms.
const SWEEP_TURN: usize = 512;
/// Sockets looked at in a row: a millisecond, or 5 ms of TLS handshakes.
const EVENTS: usize = 64;
const LISTENER: u64 = u64::MAX;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let listener = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseport(&listener, true)?;
    // Accepted sockets inherit these, as the workers' do: no pacing, no waiting for acknowledgements, a few seconds of sound in the kernel.
    sockopt::set_tcp_congestion(&listener, "cubic")?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    sockopt::set_socket_send_buffer_size(&listener, 16 * 1024)?;
    net::bind(&listener, &options.listen)?;
    net::listen(&listener, 4096)?;
    println!("{{\"port\":{}}}", SocketAddr::try_from(net::getsockname(&listener)?)?.port());
    serve(&options, &listener)
}

/// What is said: the head of the answer, the boxes that everyone gets first, and fragments, each of which ends with its `mdat`. And where each of them begins,
/// and the last one ends. Boxes: ISO/IEC 14496-12 §4.2.
fn read(file: &str) -> Option<(Vec<u8>, Vec<usize>)> {
    let mut stream = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mp4\r\nConnection: close\r\n\r\n".to_vec();
    let (mut at, mut marks) = (stream.len(), Vec::new());
    stream.extend(std::fs::read(file).ok()?);
    while let Some([a, b, c, d, kind @ ..]) = stream.get(at..at + 8) {
        if marks.is_empty() && matches!(kind, b"moof" | b"emsg") {
            marks.push(at);
        }
        at += (u32::from_be_bytes([*a, *b, *c, *d]) as usize).max(8);
        if kind == b"mdat" && at <= stream.len() {
            marks.push(at);
        }
    }
    (marks.len() > 1).then_some((stream, marks))
}

fn serve(options: &Options, listener: &OwnedFd) -> Result<(), Box<dyn Error>> {
    let (stream, marks) = read(&options.stream).ok_or("no such file, or no fragment in it")?;
    let tls = if let [chain, key] = &*options.tls { Some(certificate(chain, key)?) } else { None };
    let begin = Instant::now() + Duration::from_millis(options.begin_unix_ms).saturating_sub(UNIX_EPOCH.elapsed()?);
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let (phases, prelude) = ((options.cadence_ms / 200).max(1), &stream[..marks[0]]);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    let mut scratch = vec![0; 128 * 1024];
    // By descriptor, which the system keeps small. What phase a listener is in, it says, too.
    let mut peers: Vec<Option<Peer>> = Vec::new();
    // Fragments that were due when the sweep before this one began, and when this one did; the next descriptor in it.
    let (mut before, mut count, mut next) = (0, 0, 0);
    loop {
        let now = Instant::now();
        let past = now.checked_duration_since(begin).map_or(0, |past| 1 + (past.as_millis() / 200) as usize);
        if past >= marks.len() || now >= end {
            return Ok(());
        }
        if next >= peers.len() && past > count {
            // When a sweep took longer than a fragment, the next one carries several.
            (before, count, next) = (count, past, 0);
        }
        let due = &stream[..marks[count]];
        let until = if next < peers.len() { now } else { begin + Duration::from_millis(200) * count as u32 };
        let wait = rustix::time::Timespec::try_from(until.saturating_duration_since(now))?;
        events.clear();
        retry_on_intr(|| epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)))?;
        for event in &events {
            if event.data.u64() != LISTENER {
                let slot = &mut peers[event.data.u64() as usize];
                slot.take_if(|peer| peer.turn(event.flags, prelude, due, &mut scratch).is_none());
                continue;
            }
            for _ in 0..EVENTS {
                let Ok(socket) = net::accept_with(listener, SocketFlags::NONBLOCK) else { break };
                let fd = socket.as_raw_fd() as usize;
                let tls = tls.clone().map(UnbufferedServerConnection::new).transpose()?;
                let tls = tls.map(|connection| Box::new(Tls { connection, incoming: Vec::new(), rest: Vec::new() }));
                // Of each edge epoll tells once: no call more for a listener than to answer, and one for each fragment.
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                epoll::add(&epoll, &socket, EventData::new_u64(fd as u64), flags)?;
                peers.resize_with(peers.len().max(fd + 1), || None);
                peers[fd] = Some(Peer { socket, tls, request: Vec::new(), at: None, full: 0 });
            }
        }
        let mut writes = 0;
        while writes < SWEEP_TURN && next < peers.len() {
            let is_in_phase = (before..count).any(|fragment| fragment % phases == next % phases);
            peers[next].take_if(|peer| {
                let lacks = is_in_phase && peer.at.is_some_and(|at| at < due.len());
                writes += usize::from(lacks);
                lacks && peer.turn(EventFlags::empty(), prelude, due, &mut scratch).is_none()
            });
            next += 1;
        }
    }
}

/// Somebody connected.
struct Peer {
    socket: OwnedFd,
    tls: Option<Box<Tls>>,
    request: Vec<u8>,
    /// Their place in the stream, once the request is whole.
    at: Option<usize>,
    /// 0: they have all that was due. Else sweeps since they could not take it, and 1.
    full: u8,
}

/// TLS without buffers: fragments are encrypted into the scratch buffer of all, and only what the kernel does not take is kept.
struct Tls {
    connection: UnbufferedServerConnection,
    incoming: Vec<u8>,
    rest: Vec<u8>,
}

impl Peer {
    /// Their socket is ready or, without flags, it is their turn in the sweep. `None`: they are gone, or are cut, as two sweeps in a row found no room.
    fn turn(&mut self, flags: EventFlags, prelude: &[u8], due: &[u8], scratch: &mut [u8]) -> Option<()> {
        match (self.at, self.full, flags.is_empty()) {
            _ if flags.intersects(EventFlags::ERR | EventFlags::HUP) => return None,
            (None, ..) if self.hear(scratch)? => {
                (self.at, self.request) = (Some(due.len()), Vec::new());
                // A fresh socket has room for it.
                return (self.put(prelude, scratch)? == prelude.len()).then_some(());
            }
            (None, ..) | (_, 0, false) => {}
            (_, 1, true) => self.full = 2,
            (_, 2, true) => return None,
            (Some(at), ..) => {
                let taken = self.put(&due[at..], scratch)?;
                self.at = Some(at + taken);
                let has_all = at + taken == due.len() && self.tls.as_ref().is_none_or(|tls| tls.rest.is_empty());
                self.full = if has_all { 0 } else { self.full.max(1) };
            }
        }
        Some(())
    }

    /// Whether the request is whole.
    fn hear(&mut self, scratch: &mut [u8]) -> Option<bool> {
        let length = match net::recv(&self.socket, &mut *scratch, RecvFlags::empty()) {
            Ok((length, _)) if length > 0 => length,
            none => return (none == Err(Errno::AGAIN)).then_some(false),
        };
        match &mut self.tls {
            None => self.request.extend_from_slice(&scratch[..length]),
            Some(tls) => tls.hear(length, scratch, &mut self.request)?,
        }
        self.put(&[], scratch)?;
        (self.request.len() < 8192).then(|| self.request.ends_with(b"\r\n\r\n"))
    }

    /// How many of `bytes` need not be offered again.
    fn put(&mut self, bytes: &[u8], scratch: &mut [u8]) -> Option<usize> {
        let Some(tls) = &mut self.tls else { return send(&self.socket, bytes) };
        tls.rest = tls.rest.split_off(send(&self.socket, &tls.rest)?);
        if bytes.is_empty() || !tls.rest.is_empty() {
            return Some(0);
        }
        let state = tls.connection.process_tls_records(&mut tls.incoming).state;
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else { return None };
        let mut filled = 0;
        for record in bytes.chunks(16 * 1024) {
            filled += traffic.encrypt(record, &mut scratch[filled..]).ok()?;
        }
        tls.rest.extend_from_slice(&scratch[send(&self.socket, &scratch[..filled])?..filled]);
        Some(bytes.len())
    }
}

impl Tls {
    /// The first `length` bytes of `scratch` came: the handshake, then the request.
    fn hear(&mut self, length: usize, scratch: &mut [u8], request: &mut Vec<u8>) -> Option<()> {
        self.incoming.extend_from_slice(&scratch[..length]);
        let mut goes_on = true;
        while goes_on {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.incoming);
            match state.ok()? {
                ConnectionState::ReadTraffic(mut data) => request.extend_from_slice(data.next_record()?.ok()?.payload),
                ConnectionState::EncodeTlsData(mut data) => {
                    let length = data.encode(scratch).ok()?;
                    self.rest.extend_from_slice(&scratch[..length]);
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake => goes_on = false,
                _ => return None,
            }
            self.incoming.drain(..discard);
        }
        self.incoming.shrink_to_fit();
        Some(())
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> Option<usize> {
    match (!bytes.is_empty()).then(|| net::send(socket, bytes, SendFlags::NOSIGNAL)) {
        None | Some(Err(Errno::AGAIN | Errno::INTR)) => Some(0),
        Some(sent) => sent.ok(),
    }
}

/// TLS 1.3 alone, and no tickets, as the workers give none.
fn certificate(chain: &str, key: &str) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = config.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
