//! Where HLS is, for whom it is not at the public origin: `hls_base`, a cache in front of this server or a name that this server serves itself.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Tls;

/// Where players are sent for HLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hls {
    /// An origin, as browsers write it.
    pub base: String,
    /// What is needed to serve it here; `None`: somebody else does.
    pub here: Option<Here>,
}

/// A name of this server's own, at which there is HLS alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// As clients ask for it.
    pub name: String,
    /// Its certificate.
    pub tls: Tls,
    /// Whether that is obtained automatically.
    pub obtained: bool,
}

/// What the file says of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) base: Option<String>,
    pub(super) here: bool,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// What else there is, and matters here.
pub(super) struct Beside<'c> {
    pub(super) data: &'c Path,
    /// Whether the public port speaks TLS.
    pub(super) secure: bool,
    /// Whether certificates are obtained automatically.
    pub(super) obtains: bool,
    /// Where the pages are, if that was told.
    pub(super) public_origin: Option<&'c str>,
}

/// Why that cannot be used; says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It is no origin.
    Base(String, Broken),
    /// Something is said of a name that is not given.
    NoBase,
    /// A certificate without its key, or a key without a certificate.
    HalfTls,
    /// No certificate is given, and none is obtained.
    NoCertificate,
    /// Without TLS nobody asks for a name.
    Plain,
    /// An address where a name is needed.
    NoName(String),
    /// The pages are at the same name.
    SameName(String),
}

/// What is wrong with an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Neither `https://`, nor `http://` of this machine.
    Scheme,
    /// Something behind the host and port.
    More,
    /// A host or port that is none.
    Host,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(text, broken) => {
                let why = match broken {
                    Broken::Scheme => "it must begin with https:// (or http:// for this machine alone)",
                    Broken::More => "give only the origin, without a path or a query",
                    Broken::Host => "that is no host",
                };
                write!(f, "hls_base = {text:?}: {why}; for example https://hls.talk.example")
            }
            Self::NoBase => f.write_str("hls_here and [hls_tls] belong to a name: give hls_base, for example https://hls.talk.example"),
            Self::HalfTls => f.write_str("hls_tls.certificate and hls_tls.key belong together: give both or neither"),
            Self::NoCertificate => f.write_str(
                "hls_here without [hls_tls] obtains a certificate, as host does: give host without a certificate of your own, or give hls_tls.certificate and hls_tls.key",
            ),
            Self::Plain => f.write_str(
                "hls_base is to be served here, which needs HTTPS on the public port: give tls.certificate and tls.key, or leave out hls_here and [hls_tls]",
            ),
            Self::NoName(host) => write!(f, "hls_base is to be served here, and {host} is no name that clients ask for: give a name"),
            Self::SameName(name) => write!(
                f,
                "hls_base is to be served here, and the pages are at {name} as well: give HLS a name of its own, or leave out hls_here and [hls_tls]"
            ),
        }
    }
}

impl Told {
    /// # Errors
    /// As [`Error`] says.
    pub(super) fn resolve(self, beside: &Beside<'_>) -> Result<Option<Hls>, Error> {
        let is_here = self.here || self.certificate.is_some() || self.key.is_some();
        let Some(text) = self.base else { return if is_here { Err(Error::NoBase) } else { Ok(None) } };
        let origin = Origin::parse(&text).map_err(|broken| Error::Base(text, broken))?;
        let base = origin.0.clone();
        if !is_here {
            return Ok(Some(Hls { base, here: None }));
        }
        let name = origin.host().to_owned();
        if name.starts_with('[') || name.split('.').all(|part| part.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(Error::NoName(name));
        }
        if !beside.secure || !base.starts_with(HTTPS) {
            return Err(Error::Plain);
        }
        let pages = beside.public_origin.and_then(|origin| Origin::parse(origin).ok());
        if pages.is_some_and(|pages| pages.host() == name) {
            return Err(Error::SameName(name));
        }
        let obtained = self.certificate.is_none() && self.key.is_none();
        let tls = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Tls { certificate, key },
            // Where one that is obtained is put.
            (None, None) if !beside.obtains => return Err(Error::NoCertificate),
            (None, None) => {
                let file = beside.data.join("tls").join(format!("{name}.pem"));
                Tls { certificate: file.clone(), key: file }
            }
            _ => return Err(Error::HalfTls),
        };
        Ok(Some(Hls { base, here: Some(Here { name, tls, obtained }) }))
    }
}

impl Hls {
    /// The name that a certificate is obtained for.
    pub(super) fn obtained(&self) -> Option<&str> {
        self.here.as_ref().filter(|here| here.obtained).map(|here| here.name.as_str())
    }
}

/// `https://host` or `https://host:port`, in lower case. Goes into pages and policies as it is.
struct Origin(String);

const HTTPS: &str = "https://";
const HTTP: &str = "http://";

impl Origin {
    fn parse(text: &str) -> Result<Self, Broken> {
        let mut lower = text.to_ascii_lowercase();
        if lower.ends_with('/') && !lower.ends_with("//") {
            lower.pop();
        }
        let (scheme, rest) = [HTTPS, HTTP]
            .into_iter()
            .find_map(|scheme| Some((scheme, lower.strip_prefix(scheme)?)))
            .ok_or(Broken::Scheme)?;
        if rest.contains(['/', '?', '#', '@']) {
            return Err(Broken::More);
        }
        let origin = Self(lower.clone());
        let (host, port) = (origin.host(), rest.get(origin.host().len()..).unwrap_or_default());
        let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let label = |label: &str| {
                    (1..=63).contains(&label.len())
                        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                };
                host.len() <= 253 && host.split('.').all(label)
            }
        };
        let is_port = port.is_empty()
            || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        if !is_host || !is_port {
            return Err(Broken::Host);
        }
        let is_loopback = host == "localhost"
            || host == "[::1]"
            || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
        if scheme == HTTP && !is_loopback {
            return Err(Broken::Scheme);
        }
        Ok(origin)
    }

    fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        match rest.find(']') {
            Some(end) => rest.get(..=end).unwrap_or(rest),
            None => rest.split(':').next().unwrap_or(rest),
        }
    }
}

/// A page's content security policy that also lets it fetch and play from there.
pub fn allow(policy: &str, base: &str) -> String {
    let allowed = policy.split(';').map(|directive| {
        let name = directive.split_whitespace().next().unwrap_or_default();
        if ["connect-src", "media-src"].contains(&name) { format!("{directive} {base}") } else { directive.to_owned() }
    });
    allowed.collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(base: &str) -> Told {
        Told { base: Some(base.into()), ..Told::default() }
    }

    fn resolve(told: Told, secure: bool) -> Result<Option<Hls>, Error> {
        let data = Path::new("data");
        told.resolve(&Beside { data, secure, obtains: secure, public_origin: Some("https://talk.example") })
    }

    #[test]
    fn an_origin_and_nothing_else_is_taken() {
        for (text, base) in [
            ("https://hls.talk.example", "https://hls.talk.example"),
            ("https://HLS.talk.example:8443/", "https://hls.talk.example:8443"),
            ("http://localhost:9000", "http://localhost:9000"),
            ("http://[::1]:9000", "http://[::1]:9000"),
            ("https://203.0.113.7", "https://203.0.113.7"),
        ] {
            assert_eq!(resolve(told(text), false), Ok(Some(Hls { base: base.into(), here: None })));
        }
        for (text, broken) in [
            ("hls.talk.example", Broken::Scheme),
            ("ftp://hls.talk.example", Broken::Scheme),
            ("http://hls.talk.example", Broken::Scheme),
            ("https://hls.talk.example/live", Broken::More),
            ("https://hls.talk.example//", Broken::More),
            ("https://hls.talk.example?a", Broken::More),
            ("https://me@hls.talk.example", Broken::More),
            ("https://", Broken::Host),
            ("https://a b", Broken::Host),
            ("https://a;script-src", Broken::Host),
            ("https://a..b", Broken::Host),
            ("https://a:0", Broken::Host),
            ("https://a:port", Broken::Host),
            ("https://[::1", Broken::Host),
        ] {
            assert_eq!(resolve(told(text), false), Err(Error::Base(text.into(), broken)), "{text}");
        }
        assert_eq!(resolve(Told::default(), false), Ok(None));
    }

    #[test]
    fn a_name_served_here_has_a_certificate() {
        let obtained = "data/tls/hls.talk.example.pem";
        let here = |certificate: &str, key: &str| {
            Some(Here {
                name: "hls.talk.example".into(),
                tls: Tls { certificate: certificate.into(), key: key.into() },
                obtained: certificate == obtained,
            })
        };
        let base = "https://hls.talk.example";
        let files = |certificate: Option<&str>, key: Option<&str>| Told {
            certificate: certificate.map(Into::into),
            key: key.map(Into::into),
            ..told(base)
        };
        assert_eq!(resolve(Told { here: true, ..told(base) }, true).unwrap().unwrap().here, here(obtained, obtained));
        assert_eq!(resolve(files(Some("c"), Some("k")), true).unwrap().unwrap().here, here("c", "k"));
        assert_eq!(resolve(files(Some("c"), None), true), Err(Error::HalfTls));
        assert_eq!(resolve(files(Some("c"), Some("k")), false), Err(Error::Plain));
        for (base, error) in [
            ("https://203.0.113.7", Error::NoName("203.0.113.7".into())),
            ("http://localhost", Error::Plain),
            ("https://talk.example:8443", Error::SameName("talk.example".into())),
        ] {
            assert_eq!(resolve(Told { here: true, ..told(base) }, true), Err(error));
        }
        assert_eq!(resolve(Told { here: true, ..Told::default() }, true), Err(Error::NoBase));
        let beside = Beside { data: Path::new("data"), secure: true, obtains: false, public_origin: None };
        assert_eq!(Told { here: true, ..told(base) }.resolve(&beside), Err(Error::NoCertificate));
    }

    #[test]
    fn a_policy_lets_a_page_fetch_and_play_from_there() {
        let policy = "default-src 'none'; connect-src 'self'; media-src 'self' blob:; img-src 'self'";
        let allowed = "default-src 'none'; connect-src 'self' https://a.example; media-src 'self' blob: https://a.example; img-src 'self'";
        assert_eq!(allow(policy, "https://a.example"), allowed);
    }
}
