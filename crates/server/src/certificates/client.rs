//! HTTPS to the authority: a connection for each of the few requests, with a bound on time and on bytes.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

/// How long one request may take, from its first packet to its last.
const REQUEST_WAIT: Duration = Duration::from_secs(30);
/// More than any answer of an authority: a chain of certificates has a few kB.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Asks an authority.
#[derive(Clone)]
pub(super) struct Client {
    tls: Arc<ClientConfig>,
}

impl Client {
    /// `root`: whom to trust (PEM); `None`: whom the system trusts.
    ///
    /// # Errors
    /// There is nobody to trust; in words for an operator.
    pub(super) fn new(root: Option<&Path>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match root {
            Some(path) => {
                let say = |why: &dyn std::fmt::Display| format!("acme.root, {}: {why}", path.display());
                for root in CertificateDer::pem_file_iter(path).map_err(|why| say(&why))? {
                    roots.add(root.map_err(|why| say(&why))?).map_err(|why| say(&why))?;
                }
                if roots.is_empty() {
                    return Err(say(&"there is no certificate in it"));
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err("this system trusts no authority: install Debian's ca-certificates".into());
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| why.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let tls = self.tls.clone();
        Box::pin(async move {
            let asked = tokio::time::timeout(REQUEST_WAIT, ask(tls, request)).await;
            asked.unwrap_or_else(|_| Err(format!("no answer within {} s", REQUEST_WAIT.as_secs()))).map_err(other)
        })
    }
}

fn other(why: String) -> Error {
    Error::Other(why.into())
}

async fn ask(tls: Arc<ClientConfig>, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, String> {
    let uri = request.uri().clone();
    if uri.scheme_str() != Some("https") {
        return Err(format!("{uri} is no https:// address"));
    }
    let authority = uri.authority().ok_or("an address without a host")?;
    let host = authority.host().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no host name"))?;
    let say = |what: &'static str| move |why: &dyn std::fmt::Display| format!("{what} {authority}: {why}");
    let found = addresses(host, authority.port_u16().unwrap_or(443)).await.map_err(|why| say("cannot find")(&why))?;
    let socket = TcpStream::connect(&*found).await.map_err(|why| say("cannot connect to")(&why))?;
    let stream =
        TlsConnector::from(tls).connect(name, socket).await.map_err(|why| say("no secure connection to")(&why))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|why| say("cannot speak to")(&why))?;
    // Ends with the sender, or with the answer.
    let connection = tokio::spawn(connection);
    let value = HeaderValue::from_str(authority.as_str()).map_err(|why| say("cannot speak to")(&why))?;
    request.headers_mut().insert(HOST, value);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(|why| say("cannot speak to")(&why))?;
    let answer = sender.send_request(request).await.map_err(|why| say("no answer from")(&why))?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|why| say("half an answer from")(&why))?;
    connection.abort();
    Ok(BytesResponse::from(Response::from_parts(parts, Full::new(body.to_bytes()))))
}

/// Where a name leads. On a thread of its own: the runtime's would be waited for when the house ends, for as long as the system's resolver likes.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (answer, answered) = oneshot::channel();
    let host = host.to_owned();
    std::thread::Builder::new().name("name".into()).spawn(move || {
        let _ = answer.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect));
    })?;
    answered.await.map_err(io::Error::other)?
}
