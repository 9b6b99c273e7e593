//! Whom a crowd trusts, and what each of it offers: what browsers do, as cheaply as one core can play tens of thousands of them.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::wire::Secure;
use super::{Error, Options};

/// How to speak TLS with a host: with the roots that were asked for, or the system's.
///
/// # Errors
/// The roots cannot be read, or no certificate can be for that host.
pub(super) fn trusting(host: &str, options: &Options) -> Result<Secure, Error> {
    let mut roots = RootCertStore::empty();
    let read = match &options.trust {
        Some(file) => CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>),
        None => Ok(rustls_native_certs::load_native_certs().certs),
    };
    roots.add_parsable_certificates(
        read.map_err(|why| Error::Client("reading the certificates to trust", why.to_string()))?,
    );
    let doing = |why: String| Error::Client("preparing TLS", why);
    let provider = Arc::new(provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let verifier = verifier.build().map_err(|why| doing(why.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| doing(why.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OnceEach::new(verifier)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Everyone is somebody else, who has never been here.
    config.resumption = rustls::client::Resumption::disabled();
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| Error::Asked("no certificate can be for that host"))?;
    Ok(Secure { config: Arc::new(config), name })
}

/// AES-128 first, as Chromium and Firefox offer it: a server follows the order of who comes, and the library's own begins with AES-256, whose key schedule (SHA-384) takes three
/// times as long on processors that help with SHA-256 alone.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != cipher_suite::TLS13_AES_128_GCM_SHA256.suite());
    provider
}

/// Follows a chain to its root once: the same chain is as good the next time. That the server has the key is verified for every connection.
#[derive(Debug)]
struct OnceEach {
    verifier: Arc<WebPkiServerVerifier>,
    /// The first that was good. There is one host, so its name need not be kept.
    good: OnceLock<Vec<CertificateDer<'static>>>,
}

impl OnceEach {
    fn new(verifier: Arc<WebPkiServerVerifier>) -> Self {
        Self { verifier, good: OnceLock::new() }
    }
}

impl ServerCertVerifier for OnceEach {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = || std::iter::once(own).chain(others);
        if self.good.get().is_some_and(|good| good.iter().eq(chain())) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.verifier.verify_server_cert(own, others, name, ocsp, now)?;
        self.good.get_or_init(|| chain().map(|one| one.clone().into_owned()).collect());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate for `localhost` that is its own root.
    fn made() -> CertificateDer<'static> {
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.der().clone()
    }

    #[test]
    fn a_chain_is_as_good_as_the_first_time_and_another_is_not() {
        let (trusted, other) = (made(), made());
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider())).build();
        let once = OnceEach::new(verifier.unwrap());
        let name = ServerName::try_from("localhost").unwrap();
        let verify = |own: &CertificateDer<'_>, others: &[CertificateDer<'_>], now| {
            once.verify_server_cert(own, others, &name, &[], now).is_ok()
        };
        let now = UnixTime::now();
        assert!(!verify(&other, &[], now) && once.good.get().is_none());
        assert!(verify(&trusted, &[], now) && verify(&trusted, &[], now));
        assert!(!verify(&other, &[], now) && !verify(&other, std::slice::from_ref(&trusted), now));
        // By what is remembered: before there was anything, nothing was valid.
        assert!(verify(&trusted, &[], UnixTime::since_unix_epoch(std::time::Duration::ZERO)));
    }

    #[test]
    fn the_first_offer_is_a_browsers_and_nothing_is_missing() {
        let (ours, all) = (provider().cipher_suites, aws_lc_rs::default_provider().cipher_suites);
        assert_eq!(ours[0], cipher_suite::TLS13_AES_128_GCM_SHA256);
        assert!(ours.len() == all.len() && all.iter().all(|suite| ours.contains(suite)));
    }
}
