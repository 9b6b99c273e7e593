//! Configuration: the file, the command line and the embedded defaults, resolved once into values that cannot be wrong.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cli;

/// Crowd workers at the most: more than any machine's cores that we know; past it a typing error is likelier.
const WORKERS_MAX: usize = 512;

/// Everything that `hiwar serve` can be told, resolved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// Directory that holds everything.
    pub data: PathBuf,
    /// Public address: pages and listeners.
    pub public: SocketAddr,
    /// Stage address: hosts and speakers.
    pub stage: SocketAddr,
    /// WebRTC port of shard 0, UDP and TCP; 0 picks any.
    pub media_port: u16,
    /// Address at which WebRTC listens; the stage's own unless told otherwise.
    pub media_bind: IpAddr,
    /// Address that WebRTC candidates name: `media_bind` unless told otherwise (NAT).
    pub media_address: IpAddr,
    /// Crowd workers.
    pub workers: usize,
    /// Keep the demo on the air; `None`: only on a fresh data directory.
    pub demo: Option<bool>,
    /// Origin of the public side as browsers see it, for example `https://talk.example`.
    pub public_origin: Option<String>,
    /// Origin of the stage port as browsers see it.
    pub stage_origin: Option<String>,
    /// With it both ports speak HTTPS.
    pub tls: Option<Tls>,
}

/// Where the certificate is. Both are PEM, and may be one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tls {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The configuration file. Unknown keys are errors: a misspelt one would otherwise be ignored in silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data: Option<PathBuf>,
    public: Option<SocketAddr>,
    stage: Option<SocketAddr>,
    media_port: Option<u16>,
    workers: Option<usize>,
    demo: Option<bool>,
    public_origin: Option<String>,
    stage_origin: Option<String>,
    rtc: Rtc,
    tls: TlsFiles,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rtc {
    bind: Option<IpAddr>,
    public_address: Option<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsFiles {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// Why the configuration cannot be used; says what to change.
#[derive(Debug)]
pub enum Error {
    /// The file cannot be read.
    Unreadable(PathBuf, std::io::Error),
    /// The file is not valid TOML or has an unknown key.
    Invalid(PathBuf, Box<toml::de::Error>),
    /// A number is out of its range.
    Workers(usize),
    /// Public and stage address are the same.
    SameAddress(SocketAddr),
    /// A certificate without its key, or a key without a certificate.
    HalfTls,
    /// WebRTC listens everywhere, but speakers must be told one address.
    NoMediaAddress(IpAddr),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Self::Invalid(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Workers(n) => write!(f, "workers = {n}: give 1 to {WORKERS_MAX}"),
            Self::SameAddress(at) => {
                write!(f, "public and stage are both {at}: the stage needs a port that the crowd cannot fill")
            }
            Self::HalfTls => write!(f, "tls.certificate and tls.key belong together: give both or neither"),
            Self::NoMediaAddress(bind) => {
                write!(f, "WebRTC listens on {bind}: set rtc.public_address to the address that speakers can reach")
            }
        }
    }
}

impl Config {
    /// Resolves the command line over the file over the defaults.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn resolve(args: &cli::Serve) -> Result<Self, Error> {
        let file = match &args.config {
            None => File::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|why| Error::Unreadable(path.clone(), why))?;
                toml::from_str(&text).map_err(|why| Error::Invalid(path.clone(), Box::new(why)))?
            }
        };
        let public = args.public.or(file.public).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let stage = args.stage.or(file.stage).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8081)));
        if public == stage && public.port() != 0 {
            return Err(Error::SameAddress(public));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = args.workers.or(file.workers).unwrap_or(cores.min(WORKERS_MAX));
        if !(1..=WORKERS_MAX).contains(&workers) {
            return Err(Error::Workers(workers));
        }
        // Behind a proxy the stage's HTTP is on loopback, but speakers' media comes straight from outside.
        let wherever = || match file.rtc.public_address {
            Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Some(IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            None => stage.ip(),
        };
        let media_bind = file.rtc.bind.unwrap_or_else(wherever);
        let media_address = file.rtc.public_address.unwrap_or(media_bind);
        if media_address.is_unspecified() {
            return Err(Error::NoMediaAddress(media_bind));
        }
        let certificate = args.tls_certificate.clone().or(file.tls.certificate);
        let tls = match (certificate, args.tls_key.clone().or(file.tls.key)) {
            (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
            (None, None) => None,
            _ => return Err(Error::HalfTls),
        };
        let demo = if args.demo {
            Some(true)
        } else if args.no_demo {
            Some(false)
        } else {
            file.demo
        };
        Ok(Self {
            data: args.data.clone().or(file.data).unwrap_or_else(|| PathBuf::from("data")),
            public,
            stage,
            media_port: args.media_port.or(file.media_port).unwrap_or(8082),
            media_bind,
            media_address,
            workers,
            demo,
            public_origin: file.public_origin,
            stage_origin: file.stage_origin,
            tls,
        })
    }

    /// An origin on one of our own ports.
    pub fn origin(&self, at: SocketAddr) -> String {
        format!("{}://{at}", if self.tls.is_some() { "https" } else { "http" })
    }
}
