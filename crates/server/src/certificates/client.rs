//! HTTPS to the authority: a connection for each of the few requests, with a bound on time and on bytes.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::outgoing;

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
        let tls = outgoing::trust(root);
        Ok(Self { tls: tls.map_err(|why| if root.is_some() { format!("acme.root, {why}") } else { why })? })
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
    let value = HeaderValue::from_str(authority.as_str()).map_err(|why| say("cannot speak to")(&why))?;
    request.headers_mut().insert(HOST, value);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse::<Uri>().map_err(|why| say("cannot speak to")(&why))?;
    let answer = outgoing::ask(stream, authority.as_str(), request, ANSWER_BYTES_MAX).await?;
    Ok(BytesResponse::from(answer.map(Full::new)))
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
