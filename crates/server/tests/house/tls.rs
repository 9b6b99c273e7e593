//! The smallest HTTPS client that will do, and certificates for the servers it asks.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, StreamOwned,
};

use crate::http::{self, Reply};
use crate::server::PATIENCE;

/// Whom a client believes.
pub(crate) enum Trust<'a> {
    /// This authority (PEM), and what it says of names and times.
    Root(&'a str),
    /// Whoever it is.
    Anyone,
}

/// A connection over which a request was sent.
pub(crate) struct Connection(StreamOwned<ClientConnection, TcpStream>);

impl Connection {
    /// Shakes hands.
    pub(crate) fn open(at: SocketAddr, name: &str, trust: &Trust<'_>) -> std::io::Result<Self> {
        let socket = TcpStream::connect(at)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::new(config(trust)), name).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(stream))
    }

    /// The certificate that was shown.
    pub(crate) fn shown(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().and_then(<[_]>::first).expect("a certificate").clone().into_owned()
    }

    /// Sends a GET.
    pub(crate) fn ask(&mut self, host: &str, path: &str) -> std::io::Result<()> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    }

    /// The next bytes, at least one.
    pub(crate) fn more(&mut self) -> usize {
        let mut buffer = [0; 4096];
        self.0.read(&mut buffer).expect("more")
    }

    /// All of the answer.
    pub(crate) fn answer(mut self) -> std::io::Result<Reply> {
        let mut bytes = Vec::new();
        let outcome = self.0.read_to_end(&mut bytes);
        http::parse(&bytes).ok_or_else(|| outcome.err().unwrap_or_else(|| std::io::Error::other("cut short")))
    }
}

/// Asks whoever is there, in any way.
pub(crate) fn send(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut connection = Connection::open(at, "talk.example", &Trust::Anyone).expect("a connection");
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: talk.example\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    connection.0.write_all(format!("{head}\r\n").as_bytes()).expect("a request");
    connection.0.write_all(body).expect("a body");
    connection.answer().expect("an answer")
}

/// Asks and reads the whole answer.
pub(crate) fn get(at: SocketAddr, name: &str, path: &str, trust: &Trust<'_>) -> std::io::Result<Reply> {
    let mut connection = Connection::open(at, name, trust)?;
    connection.ask(name, path)?;
    connection.answer()
}

fn config(trust: &Trust<'_>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    match trust {
        Trust::Root(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("a root")).expect("a root");
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Anyone => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Believer(provider))).with_no_client_auth()
        }
    }
}

/// Believes who says so; that the key is his is still checked.
#[derive(Debug)]
struct Believer(Arc<CryptoProvider>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// An authority of our own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "An authority for tests");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root"))
    }

    /// Its own certificate.
    pub(crate) fn root(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name or an address, with its key; it expires so many days from now, or expired so many ago. And when that is, in seconds since 1970.
    pub(crate) fn certify(&self, name: &str, days: i64) -> (String, String, u64) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
        let until = since.as_secs().checked_add_signed(days * 86_400).expect("a time");
        params.not_before = (std::time::UNIX_EPOCH + Duration::from_secs(until - 90 * 86_400)).into();
        params.not_after = (std::time::UNIX_EPOCH + Duration::from_secs(until)).into();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem(), until)
    }
}
