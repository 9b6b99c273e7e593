//! Requests that this program makes of other servers: whom it trusts, and one question over a connection of its own.
//!
//! Every answer is bounded in bytes here. Time is bounded by the caller, who knows how long the whole may take. Nothing
//! is asked twice and no redirect is followed.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};

/// The head of an answer at the most, in bytes, and what is read ahead of its body: far more than servers send.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// HTTPS with servers that these vouch for: the authorities in a file (PEM), or `None`: those that the system trusts.
///
/// # Errors
/// There is nobody to trust; in words for an operator, beginning with the file if there is one.
pub fn trust(root: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match root {
        Some(path) => {
            let say = |why: &dyn Display| format!("{}: {why}", path.display());
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
    Ok(Arc::new(tls))
}

/// Asks `peer`, who is at the other end of this stream, and reads the whole answer. The request's target and `Host` are
/// as they are to be sent; `peer` is for words only.
///
/// # Errors
/// No answer, or one that is no HTTP/1 or has more than `body_bytes_max`; in words for an operator.
pub async fn ask<S, B>(
    stream: S,
    peer: &str,
    request: Request<B>,
    body_bytes_max: usize,
) -> Result<Response<Bytes>, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let say = |what: &'static str| move |why: &dyn Display| format!("{what} {peer}: {why}");
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|why| say("cannot speak to")(&why))?;
    // Ends with the sender, or with the answer.
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|why| say("no answer from")(&why))?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, body_bytes_max).collect().await.map_err(|why| say("half an answer from")(&why))?;
    connection.abort();
    Ok(Response::from_parts(parts, body.to_bytes()))
}
