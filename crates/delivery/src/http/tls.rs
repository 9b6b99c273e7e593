//! TLS over a non-blocking socket: rustls without its buffers.
//!
//! What is written is encrypted from the shared chunk into a scratch buffer of the thread, and goes to the kernel from there, so a
//! listener holds keys and nothing else: about 3 kB. Only what the kernel does not take is kept, and it goes first the next time, so that
//! a record is never cut. A chunk is one record.
//!
//! TLS 1.3 and 1.2, HTTP/1.1 by ALPN; at the name of HLS HTTP/2, too. Where there is such a name, a client's first message is read for the
//! name it asks for before a certificate is chosen; elsewhere nobody pays for that. No tickets: resuming saves a server next to nothing, and every listener would hold them.

use std::cell::RefCell;
use std::fmt;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, NoServerSessionStorage, ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

use super::Place;
use super::socket::{self, Moved};

/// A certificate with its key, ready to be shown.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<ServerConfig>);

/// Why a certificate cannot be used. In words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateError {
    /// There is no certificate in the text, or one that cannot be read.
    Chain(String),
    /// There is no private key in the text, or one that cannot be read.
    Key(String),
    /// The key is another certificate's.
    Mismatch,
    /// The library does not take it.
    Refused(String),
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(why) => write!(f, "no certificate can be read: {why}"),
            Self::Key(why) => write!(f, "no private key can be read: {why}"),
            Self::Mismatch => f.write_str("the private key does not belong to the certificate"),
            Self::Refused(why) => write!(f, "the certificate cannot be used: {why}"),
        }
    }
}

impl std::error::Error for CertificateError {}

impl Certificate {
    /// From a chain, the server's own first, and its private key, both in PEM (RFC 7468). They may be the same text.
    ///
    /// # Errors
    /// As [`CertificateError`] says. Whether it has expired, and for which name it is, is not looked at.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|why| CertificateError::Chain(why.to_string()))?;
        if chain.is_empty() {
            return Err(CertificateError::Chain(String::from("there is none")));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|why| CertificateError::Key(why.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let refused = |why: rustls::Error| CertificateError::Refused(why.to_string());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(refused)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|why| match why {
                rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch,
                other => refused(other),
            })?;
        config.alpn_protocols = vec![HTTP1.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self(Arc::new(config)))
    }

    /// The same for clients that may speak HTTP/2; HTTP/1.1 remains for those who do not.
    pub(super) fn with_http2(&self) -> Self {
        let mut config = ServerConfig::clone(&self.0);
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Self(Arc::new(config))
    }

    /// A connection that shows it, or another to who asks for that one's name. `place` is held for as long as the handshake takes.
    pub(super) fn session(&self, place: Place, other: Option<Named>) -> Option<Session> {
        let connection = UnbufferedServerConnection::new(self.0.clone()).ok()?;
        let shaking = Some(place);
        Some(Session {
            connection,
            hello: other.map(|other| Box::new(Hello { acceptor: Acceptor::default(), heard: 0, other })),
            name: Name::Own,
            incoming: Vec::new(),
            plain: Vec::new(),
            outgoing: Vec::new(),
            shaking,
            first: First::Awaited,
            end: End::Open,
            chaff: 0,
        })
    }
}

/// A certificate that is shown only to who asks for its name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    pub(super) certificate: Certificate,
}

/// A first message that is still being read for the name in it (RFC 6066 §3).
struct Hello {
    acceptor: Acceptor,
    /// Bytes of `incoming` that the acceptor has.
    heard: usize,
    other: Named,
}

impl Hello {
    /// Whether the other name is meant, once that is known. A message that cannot be read is left to the connection to complain of.
    fn asks_for_other(&mut self, incoming: &[u8]) -> Option<bool> {
        let mut more = incoming.get(self.heard..).unwrap_or_default();
        self.heard = incoming.len();
        while !more.is_empty() {
            if self.acceptor.read_tls(&mut more).is_err() {
                return Some(false);
            }
        }
        match self.acceptor.accept() {
            Ok(None) => None,
            Ok(Some(hello)) => {
                let name = hello.client_hello().server_name().map(str::to_owned);
                Some(name.is_some_and(|name| name.eq_ignore_ascii_case(&self.other.name)))
            }
            Err(_) => Some(false),
        }
    }
}

/// Whose certificate is shown.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Name {
    Own,
    Other,
}

/// TLS of one connection.
pub(super) struct Session {
    connection: UnbufferedServerConnection,
    /// `None` once it is known which certificate is shown.
    hello: Option<Box<Hello>>,
    name: Name,
    /// Ciphertext that is not a whole message yet. The library remembers places in it: every call must be given it, all of it.
    incoming: Vec<u8>,
    /// Decrypted, and not yet taken.
    plain: Vec<u8>,
    /// Ciphertext that the kernel did not take.
    outgoing: Vec<u8>,
    /// Held until the handshake is done.
    shaking: Option<Place>,
    first: First,
    end: End,
    /// Bytes of records since the handshake that carried nothing for us.
    chaff: usize,
}

/// The peer's first message, which costs more than all that follows.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum First {
    Awaited,
    /// The beginning of it is here.
    Heard,
    Answered,
}

/// Whether the peer may still speak.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// It said that it would not.
    Closed,
}

/// What became of a batch of records.
enum Processed {
    /// All that is whole has been dealt with.
    Yes,
    /// They are no TLS, or break its rules. The alert, if one is due, is in `outgoing`.
    Failed,
}

impl Session {
    /// Reads and decrypts. [`Moved::Plain`] if the peer spoke HTTP without TLS.
    pub(super) fn read(&mut self, socket: &OwnedFd, buffer: &mut [u8]) -> Moved {
        // Nobody may make us hold more by sending what asks for an answer, and not reading it.
        match self.flush(socket) {
            Moved::Bytes(_) => {}
            other => return other,
        }
        if self.plain.is_empty() && self.end == End::Open {
            match self.receive(socket) {
                Moved::Bytes(_) => {}
                other => return other,
            }
            let processed = self.process();
            let flushed = self.flush(socket);
            if matches!(processed, Processed::Failed) {
                return Moved::Broken;
            }
            if !matches!(flushed, Moved::Bytes(_)) {
                return flushed;
            }
        }
        if !self.plain.is_empty() {
            let bytes = self.plain.len().min(buffer.len());
            buffer.iter_mut().zip(self.plain.drain(..bytes)).for_each(|(to, from)| *to = from);
            if self.plain.is_empty() {
                self.plain = Vec::new();
            }
            return Moved::Bytes(bytes);
        }
        // Records without a byte for us may come for ever: one batch at a time, so that everyone else and the deadlines have their turn.
        if self.end == End::Closed { Moved::End } else { Moved::Later }
    }

    /// Encrypts and writes: every slice, as records of its own, as long as they fit the scratch buffer. Bytes that were taken are as good
    /// as written.
    pub(super) fn write(&mut self, socket: &OwnedFd, slices: &[IoSlice<'_>]) -> Moved {
        match self.flush(socket) {
            Moved::Bytes(_) => {}
            other => return other,
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let Some((taken, filled)) = self.speak().and_then(|()| self.encrypt(slices, scratch)) else {
                return Moved::Broken;
            };
            match self.send(socket, scratch.get(..filled).unwrap_or_default()) {
                Moved::Bytes(_) | Moved::Later => Moved::Bytes(taken),
                other => other,
            }
        })
    }

    /// Hands the kernel what it did not take before.
    pub(super) fn flush(&mut self, socket: &OwnedFd) -> Moved {
        while !self.outgoing.is_empty() {
            match socket::write(socket, &self.outgoing) {
                Moved::Bytes(bytes) if bytes < self.outgoing.len() => drop(self.outgoing.drain(..bytes)),
                Moved::Bytes(_) => self.outgoing = Vec::new(),
                other => return other,
            }
        }
        Moved::Bytes(0)
    }

    /// Says that this is the end, if it can be said at once.
    pub(super) fn close(&mut self, socket: &OwnedFd) {
        if self.shaking.is_some() || !self.outgoing.is_empty() {
            return;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            if let UnbufferedStatus { state: Ok(ConnectionState::WriteTraffic(mut traffic)), .. } =
                self.connection.process_tls_records(&mut self.incoming)
                && let Ok(bytes) = traffic.queue_close_notify(scratch)
            {
                let _ = socket::write(socket, scratch.get(..bytes).unwrap_or_default());
            }
        });
    }

    /// Nothing will be read any more: keeps no more memory than it must. What came of a record that is not whole stays (the library remembers places
    /// in it), and that is less than was read at once.
    pub(super) fn settle(&mut self) {
        self.incoming.shrink_to_fit();
    }

    /// Whether something decrypted waits to be read.
    pub(super) fn has_plain(&self) -> bool {
        !self.plain.is_empty()
    }

    /// Whether something encrypted waits to be written.
    pub(super) fn is_stuck(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether the first message has not been answered: what comes next may be what costs.
    pub(super) fn is_fresh(&self) -> bool {
        self.first != First::Answered
    }

    /// Whether the handshake is under way.
    pub(super) fn is_shaking_hands(&self) -> bool {
        self.shaking.is_some()
    }

    /// Whether the peer asked for the other name.
    pub(super) fn is_for_other_name(&self) -> bool {
        self.name == Name::Other
    }

    /// Whether the handshake is done, and HTTP/2 is what comes now.
    pub(super) fn speaks_http2(&self) -> bool {
        self.shaking.is_none() && self.connection.alpn_protocol() == Some(HTTP2)
    }

    /// Chooses the certificate, if the first message is there; `false`: not yet.
    fn choose(&mut self) -> bool {
        let Some(mut hello) = self.hello.take() else { return true };
        match hello.asks_for_other(&self.incoming) {
            None => {
                self.hello = Some(hello);
                return false;
            }
            Some(true) => {
                if let Ok(connection) = UnbufferedServerConnection::new(hello.other.certificate.0.clone()) {
                    self.connection = connection;
                    self.name = Name::Other;
                }
            }
            Some(false) => {}
        }
        true
    }

    /// More ciphertext.
    fn receive(&mut self, socket: &OwnedFd) -> Moved {
        let begin = self.incoming.len();
        if begin >= INCOMING_BYTES_MAX {
            return Moved::Broken;
        }
        self.incoming.resize(begin + READ_BYTES, 0);
        let moved = socket::read(socket, self.incoming.get_mut(begin..).unwrap_or_default());
        let bytes = if let Moved::Bytes(bytes) = moved { bytes } else { 0 };
        self.incoming.truncate(begin + bytes);
        if self.incoming.is_empty() {
            self.incoming = Vec::new();
        }
        if bytes > 0 && self.first == First::Awaited {
            self.first = First::Heard;
            // A handshake's first byte is 22 (RFC 8446 §5.1), a request's a letter.
            if self.incoming.first().is_some_and(u8::is_ascii_alphabetic) {
                return Moved::Plain;
            }
        }
        moved
    }

    /// Deals with everything in `incoming`.
    fn process(&mut self) -> Processed {
        if !self.choose() {
            return Processed::Yes;
        }
        let mut incoming = std::mem::take(&mut self.incoming);
        let processed = loop {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut incoming);
            let mut goes_on = true;
            let mut carried = 0;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        self.plain.extend_from_slice(record.payload);
                        carried += record.payload.len() + RECORD_HULL;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    self.first = First::Answered;
                    encode(&mut data, &mut self.outgoing);
                }
                // Whatever was encoded is ours to send now.
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed) => self.end = End::Closed,
                Ok(ConnectionState::Closed | ConnectionState::BlockedHandshake) => goes_on = false,
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.shaking = None;
                    goes_on = false;
                }
                Err(why) => {
                    tracing::debug!("TLS ends: {why}");
                    break Processed::Failed;
                }
                // Data before the handshake is done is not offered, so nobody sends it.
                Ok(_) => break Processed::Failed,
            }
            incoming.drain(..discard.min(incoming.len()));
            if self.shaking.is_none() {
                self.chaff += discard.saturating_sub(carried);
                if self.chaff > CHAFF_BYTES_MAX {
                    tracing::debug!("TLS ends: too many records with nothing in them");
                    break Processed::Failed;
                }
            }
            if !goes_on {
                break Processed::Yes;
            }
        };
        if matches!(processed, Processed::Failed) {
            while self.connection.wants_write()
                && let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut alert)), .. } =
                    self.connection.process_tls_records(&mut incoming)
            {
                encode(&mut alert, &mut self.outgoing);
            }
        }
        if !incoming.is_empty() {
            self.incoming = incoming;
        }
        processed
    }

    /// Whether application data may be sent. What TLS itself wants to say first (a new key) goes to `outgoing`.
    fn speak(&mut self) -> Option<()> {
        loop {
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.incoming);
            let mut ready = false;
            match state {
                Ok(ConnectionState::WriteTraffic(_)) => ready = true,
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.outgoing),
                Ok(ConnectionState::TransmitTlsData(transmit)) => transmit.done(),
                Ok(ConnectionState::PeerClosed) => self.end = End::Closed,
                _ => return None,
            }
            self.incoming.drain(..discard.min(self.incoming.len()));
            if ready {
                return Some(());
            }
        }
    }

    /// How many bytes of `slices` were taken, and how many of `scratch` they fill.
    fn encrypt(&mut self, slices: &[IoSlice<'_>], scratch: &mut [u8]) -> Option<(usize, usize)> {
        let UnbufferedStatus { state: Ok(ConnectionState::WriteTraffic(mut traffic)), .. } =
            self.connection.process_tls_records(&mut self.incoming)
        else {
            return None;
        };
        let (mut taken, mut filled) = (0, 0);
        for record in slices.iter().flat_map(|slice| slice.chunks(RECORD_BYTES_MAX)) {
            let room = scratch.get_mut(filled..)?;
            if record.len() + RECORD_OVERHEAD > room.len() {
                break;
            }
            filled += traffic.encrypt(record, room).ok()?;
            taken += record.len();
        }
        Some((taken, filled))
    }

    /// Writes ciphertext, behind what is kept, and keeps what the kernel does not take.
    fn send(&mut self, socket: &OwnedFd, ciphertext: &[u8]) -> Moved {
        let sent = match self.flush(socket) {
            Moved::Bytes(_) => match socket::write(socket, ciphertext) {
                Moved::Bytes(bytes) => bytes,
                Moved::Later => 0,
                other => return other,
            },
            Moved::Later => 0,
            other => return other,
        };
        let rest = ciphertext.get(sent..).unwrap_or_default();
        if !rest.is_empty() {
            self.outgoing.extend_from_slice(rest);
            return Moved::Later;
        }
        Moved::Bytes(sent)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("shaking", &self.shaking.is_some()).finish_non_exhaustive()
    }
}

/// Appends what TLS wants to say.
fn encode(data: &mut rustls::unbuffered::EncodeTlsData<'_, rustls::server::ServerConnectionData>, out: &mut Vec<u8>) {
    let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) else { return };
    let begin = out.len();
    out.resize(begin + size.required_size, 0);
    // Cannot fail: it is as long as was asked for.
    let _ = data.encode(out.get_mut(begin..).unwrap_or_default());
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

thread_local! {
    /// Where records are made: one for each thread that writes, whatever the number of its connections.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A record's content at the most (RFC 8446 §5.1).
pub(super) const RECORD_BYTES_MAX: usize = 16 * 1024;
/// What a record adds, a change of keys before it included; TLS 1.2 adds the most, 29 bytes.
const RECORD_OVERHEAD: usize = 128;
/// What a record that is read has besides its content, at the most: TLS 1.2 adds 29 bytes.
const RECORD_HULL: usize = 32;
/// Over a connection's life. Two whole records of padding, or 1,200 new keys, where an honest peer has one after sixteen million records; each costs
/// as much as a request to answer. The library bounds them between two bytes of content, which cost a stranger nothing.
const CHAFF_BYTES_MAX: usize = 32 * 1024;
/// Two whole records: what is written at once at the longest cadence has more than one. Or a burst of Ogg.
const SCRATCH_BYTES: usize = 2 * (RECORD_BYTES_MAX + RECORD_OVERHEAD);
/// Read at once: a first message of any browser.
const READ_BYTES: usize = 4 * 1024;
/// A whole record with what belongs to it, and more of the next than is read at once. A handshake's message that needs more than this is
/// no browser's.
const INCOMING_BYTES_MAX: usize = RECORD_BYTES_MAX + 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicUsize;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    #[test]
    fn whoever_is_not_read_any_more_holds_no_more_than_was_read_at_once() {
        let made = rcgen::generate_simple_self_signed(vec![String::from("localhost")]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(config.into(), name).unwrap();
        let certificate =
            Certificate::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
        let place = Place::take(&Arc::new(AtomicUsize::new(0)), 1).unwrap();
        let mut session = certificate.session(place, None).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let ours = OwnedFd::from(ours);
        let mut buffer = [0; 8 * 1024];
        while client.is_handshaking() || session.is_shaking_hands() {
            while client.wants_write() {
                client.write_tls(&mut theirs).unwrap();
            }
            assert_eq!(session.read(&ours, &mut buffer), Moved::Later);
            let _ = client.read_tls(&mut theirs);
            client.process_new_packets().unwrap();
        }
        // One long record, which needs room, and then the beginning of another.
        client.writer().write_all(&[b'x'; 16_000]).unwrap();
        let mut sealed = Vec::new();
        client.write_tls(&mut sealed).unwrap();
        sealed.extend_from_slice(&[23, 3, 3, 0x40]);
        theirs.write_all(&sealed).unwrap();
        let mut read = 0;
        while read < 16_000 {
            if let Moved::Bytes(bytes) = session.read(&ours, &mut buffer) {
                read += bytes;
            }
        }
        assert!(session.incoming.len() == 4 && session.incoming.capacity() > READ_BYTES);
        session.settle();
        assert!(session.incoming.capacity() < READ_BYTES && session.plain.capacity() == 0);
        assert!(!session.is_stuck());
    }
}
