//! Configuration: the file, the command line and the embedded defaults, resolved once into values that cannot be wrong.

mod door;
pub mod hls;
pub mod host;
mod proxies;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hiwar_admission::ladder::{Bitrate, Cadence};
use serde::{Deserialize, Serialize};

use crate::listening::Wish;
use crate::registry::retention;
use crate::studio::SHARDS_MAX;
use crate::{cli, disk};
pub use door::Door;
use hls::Hls;
use host::{BadHost, Host};
pub use proxies::Proxies;

/// Where certificates come from unless another authority is named: Let's Encrypt, for everyone and for free.
const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Letters of a contact at the most; more than any e-mail address has (RFC 5321 §4.5.3.1).
const CONTACT_LENGTH_MAX: usize = 320;
/// Crowd workers at the most: more than any machine's cores that we know; past it a typing error is likelier.
const WORKERS_MAX: usize = 512;

/// Everything that `hiwar serve` can be told, resolved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// Directory that holds everything.
    pub data: PathBuf,
    /// The name that the world knows this server by.
    pub host: Option<Host>,
    /// Public address: pages and listeners.
    pub public: SocketAddr,
    /// Stage address: hosts and speakers.
    pub stage: SocketAddr,
    /// Where plain HTTP is sent on to the public side.
    pub redirect: Option<SocketAddr>,
    /// WebRTC port of shard 0, UDP and TCP; the others have the next ones. 0 picks any.
    pub media_port: u16,
    /// Shards of the studio.
    pub shards: usize,
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
    /// A certificate of the operator's own.
    pub tls: Option<Tls>,
    /// Certificates that are obtained automatically.
    pub acme: Option<Acme>,
    /// What this server may send, in Mbit/s: for saying how many can listen, and for making sound lean before it is reached.
    pub egress_mbps: Option<u32>,
    /// When a disk is called full.
    pub disk: disk::Limits,
    /// How long, and how much of, the past is kept.
    pub retention: retention::Limits,
    /// Where players are sent for HLS; `None`: to the public origin.
    pub hls: Option<Hls>,
    /// How listeners are sent sound.
    #[serde(with = "wish")]
    pub listening: Wish,
    /// The door of each conversation; `None`: whoever comes is let in.
    pub door: Option<Door>,
    /// Who stands in front.
    pub proxies: Proxies,
}

/// A wish between processes: in milliseconds, and in kbit/s.
mod wish {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Bitrate, Cadence, Wish};

    pub(super) fn serialize<S: Serializer>(wish: &Wish, to: S) -> Result<S::Ok, S::Error> {
        (wish.cadence.map(Cadence::ms), wish.bitrate.map(Bitrate::kbps)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Wish, D::Error> {
        let (ms, kbps) = <(Option<u32>, Option<u32>)>::deserialize(from)?;
        Ok(Wish { cadence: ms.and_then(Cadence::of_ms), bitrate: kbps.and_then(Bitrate::of_kbps) })
    }
}

/// How certificates are obtained (RFC 8555).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Acme {
    /// The authority's directory.
    pub directory: String,
    /// Where the authority may write to, for example `mailto:me@talk.example`.
    pub contact: Option<String>,
    /// The roots that the directory's own certificate is checked against (PEM); `None`: the system's.
    pub root: Option<PathBuf>,
    /// One certificate for each. The first is the server's own name.
    pub names: Vec<Host>,
}

/// Where the certificate is. Both are PEM, and may be one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    host: Option<String>,
    public: Option<SocketAddr>,
    stage: Option<SocketAddr>,
    redirect: Option<SocketAddr>,
    egress_mbps: Option<u32>,
    media_port: Option<u16>,
    workers: Option<usize>,
    demo: Option<bool>,
    public_origin: Option<String>,
    stage_origin: Option<String>,
    hls_base: Option<String>,
    hls_here: bool,
    rtc: Rtc,
    studio: Studio,
    tls: TlsFiles,
    hls_tls: TlsFiles,
    acme: AcmeFile,
    disk: Disk,
    retention: Retention,
    listening: Listening,
    door: Option<door::Told>,
    trusted_proxies: Vec<String>,
    proxy_protocol: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Listening {
    cadence_ms: Option<u32>,
    bitrate_kbps: Option<u32>,
}

impl Listening {
    fn wish(&self) -> Result<Wish, Error> {
        let cadence = self.cadence_ms.map(|ms| Cadence::of_ms(ms).ok_or(Error::Cadence(ms)));
        let bitrate = self.bitrate_kbps.map(|kbps| Bitrate::of_kbps(kbps).ok_or(Error::Bitrate(kbps)));
        Ok(Wish { cadence: cadence.transpose()?, bitrate: bitrate.transpose()? })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Disk {
    notice_percent: Option<u8>,
    refuse_percent: Option<u8>,
    refuse_mib: Option<u64>,
}

impl Disk {
    fn limits(&self) -> Result<disk::Limits, Error> {
        let default = disk::Limits::default();
        let (notice, refuse) = (self.notice_percent.unwrap_or(default.notice_percent), self.refuse_percent);
        let refuse = refuse.unwrap_or(default.refuse_percent.max(notice));
        if !(1..=100).contains(&notice) || !(notice..=100).contains(&refuse) {
            return Err(Error::Disk(notice, refuse));
        }
        let refuse_bytes = self.refuse_mib.map_or(default.refuse_bytes, |mib| mib.saturating_mul(1 << 20));
        Ok(disk::Limits { notice_percent: notice, refuse_percent: refuse, refuse_bytes })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Retention {
    days: Option<f64>,
    gigabytes: Option<f64>,
}

impl Retention {
    fn limits(&self) -> Result<retention::Limits, Error> {
        // Zero would delete each recording as it is made: whoever wants none turns recording off.
        let sound = |value: f64| value.is_finite() && value > 0.0 && value <= 1e6;
        if let Some(value) = [self.days, self.gigabytes].into_iter().flatten().find(|value| !sound(*value)) {
            return Err(Error::Retention(value));
        }
        Ok(retention::Limits {
            age: self.days.map(|days| Duration::from_secs_f64(days * 86_400.0)),
            bytes: self.gigabytes.map(|gigabytes| (gigabytes * 1e9) as u64),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rtc {
    bind: Option<IpAddr>,
    public_address: Option<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Studio {
    shards: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsFiles {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AcmeFile {
    directory: Option<String>,
    contact: Option<String>,
    root: Option<PathBuf>,
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
    /// There are no so many shards.
    Shards(usize),
    /// Ports end before the last shard's.
    MediaPorts(u16, usize),
    /// Two of the ports are the same.
    SameAddress(&'static str, &'static str, SocketAddr),
    /// The host is no name.
    Host(String, BadHost),
    /// The name leads nowhere, and nothing else says where speakers' sound is to go.
    Unresolved(Host, String),
    /// A name that no public authority knows.
    NotWhole(Host),
    /// There is no name to send people on to.
    RedirectNowhere,
    /// `[acme]` without a name to obtain a certificate for, or beside a certificate of one's own.
    NoUseForAcme,
    /// The directory is no `https://` address.
    Directory(String),
    /// The contact is no e-mail address.
    Contact(String),
    /// Nobody can listen to nothing.
    Egress,
    /// A certificate without its key, or a key without a certificate.
    HalfTls,
    /// Percentages of the disk that make no sense.
    Disk(u8, u8),
    /// An age or size that makes no sense.
    Retention(f64),
    /// A time between two writes that is none of ours.
    Cadence(u32),
    /// A bitrate that is none of ours.
    Bitrate(u32),
    /// What a door is told.
    Door(door::Error),
    /// Where HLS is.
    Hls(hls::Error),
    /// Who stands in front.
    Proxies(proxies::Error),
    /// WebRTC listens everywhere, but speakers must be told one address.
    NoMediaAddress(IpAddr),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Self::Invalid(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Workers(n) => write!(f, "workers = {n}: give 1 to {WORKERS_MAX}"),
            Self::Shards(n) => write!(f, "studio.shards = {n}: give 1 to {SHARDS_MAX}"),
            Self::MediaPorts(port, n) => write!(
                f,
                "media_port = {port}, studio.shards = {n}: each shard has a port, the next after the one before, and the last is 65535"
            ),
            Self::SameAddress("public", "stage", at) => {
                write!(f, "public and stage are both {at}: the stage needs a port that the crowd cannot fill")
            }
            Self::SameAddress(one, other, at) => write!(f, "{one} and {other} are both {at}: each needs a port of its own"),
            Self::Host(host, why) => write!(f, "host = {host:?}: {why}"),
            Self::Unresolved(host, why) => write!(
                f,
                "host = {host}: {why}. Add an A or AAAA record that leads to this machine, or, if it will lead here later, say at which address speakers \
                 reach it: rtc.public_address"
            ),
            Self::NotWhole(host) => write!(
                f,
                "host = {host}: no public authority certifies a name without a dot. Give the whole name, or a certificate of your own (tls.certificate, \
                 tls.key), or your own authority (acme.directory)"
            ),
            Self::RedirectNowhere => f.write_str("redirect sends people on to the name of this server: give host too"),
            Self::NoUseForAcme => f.write_str(
                "[acme] obtains a certificate for host: give host, and no certificate of your own (tls.certificate, tls.key)",
            ),
            Self::Directory(url) => write!(f, "acme.directory = {url:?}: give an address that begins with https://"),
            Self::Contact(text) => write!(f, "acme.contact = {text:?}: give one e-mail address"),
            Self::Egress => f.write_str("egress_mbps = 0: give what this server may send, in Mbit/s, or leave it out"),
            Self::HalfTls => write!(f, "tls.certificate and tls.key belong together: give both or neither"),
            Self::Disk(notice, refuse) => write!(
                f,
                "disk.notice_percent = {notice}, disk.refuse_percent = {refuse}: give 1 to 100, the second not below the first"
            ),
            Self::Retention(value) => {
                write!(
                    f,
                    "retention.days and retention.gigabytes are above 0 and at most a million, not {value}; leave them out to keep everything"
                )
            }
            Self::Cadence(ms) => write!(
                f,
                "listening.cadence_ms = {ms}: give 200, 400, 1000, 2000 or 4000, or leave it out: then it is 200 until there are too many listeners for that"
            ),
            Self::Bitrate(kbps) => write!(
                f,
                "listening.bitrate_kbps = {kbps}: give 32 or 16, or leave it out: then it is 32 until there are too many listeners for that"
            ),
            Self::Door(why) => why.fmt(f),
            Self::Hls(why) => why.fmt(f),
            Self::Proxies(why) => why.fmt(f),
            Self::NoMediaAddress(bind) => {
                write!(f, "WebRTC listens on {bind}: set rtc.public_address to the address that speakers can reach")
            }
        }
    }
}

impl Config {
    /// Resolves the command line over the file over the defaults, and looks up what must be: this may take a while.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn resolve(args: &cli::Serve) -> Result<Self, Error> {
        let (mut config, bind) = Self::read(args)?;
        if let (true, Some(host)) = (config.media_address.is_unspecified(), &config.host) {
            let alone = config.public.ip().is_loopback();
            let told = host::announced(host, alone).map_err(|why| Error::Unresolved(host.clone(), why))?;
            config.media_address = told;
            config.media_bind = bind.unwrap_or_else(|| everywhere_like(told));
        }
        if config.media_address.is_unspecified() {
            return Err(Error::NoMediaAddress(config.media_bind));
        }
        Ok(config)
    }

    /// The same for a command beside the server: `media_address` may be unspecified, since nothing is looked up.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn resolve_beside(args: &cli::Serve) -> Result<Self, Error> {
        Self::read(args).map(|(config, _)| config)
    }

    /// Everything that needs no other machine, and `rtc.bind`.
    fn read(args: &cli::Serve) -> Result<(Self, Option<IpAddr>), Error> {
        let file = match &args.config {
            None => File::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|why| Error::Unreadable(path.clone(), why))?;
                toml::from_str(&text).map_err(|why| Error::Invalid(path.clone(), Box::new(why)))?
            }
        };
        let host = match args.host.as_ref().or(file.host.as_ref()) {
            None => None,
            Some(text) => Some(Host::parse(text).map_err(|why| Error::Host(text.clone(), why))?),
        };
        // With a name: for everyone, over IPv6 and IPv4. Without one: for this machine, whose proxy knows the way.
        let everywhere = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (public, stage) =
            if host.is_some() { (everywhere(443), everywhere(8081)) } else { (here(8080), here(8081)) };
        let public = args.public.or(file.public).unwrap_or(public);
        let stage = args.stage.or(file.stage).unwrap_or(stage);
        let redirect = args.redirect.or(file.redirect);
        if redirect.is_some() && host.is_none() {
            return Err(Error::RedirectNowhere);
        }
        let redirect = redirect.or_else(|| host.is_some().then(|| everywhere(80)));
        let ports = [("public", Some(public)), ("stage", Some(stage)), ("redirect", redirect)];
        let pairs = [(0, 1), (0, 2), (1, 2)].map(|(one, other)| (ports[one], ports[other]));
        if let Some(((one, at), (other, _))) =
            pairs.into_iter().find(|((_, one), (_, other))| one.is_some_and(|at| at.port() != 0) && one == other)
        {
            return Err(Error::SameAddress(one, other, at.unwrap_or(public)));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = args.workers.or(file.workers).unwrap_or(cores.min(WORKERS_MAX));
        if !(1..=WORKERS_MAX).contains(&workers) {
            return Err(Error::Workers(workers));
        }
        // Each more is a port more that firewalls must let in, and one carries fifty conversations: nobody has several who did not ask.
        let shards = file.studio.shards.unwrap_or(1);
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(Error::Shards(shards));
        }
        let media_port = args.media_port.or(file.media_port).unwrap_or(8082);
        if usize::from(media_port) + shards - 1 > usize::from(u16::MAX) {
            return Err(Error::MediaPorts(media_port, shards));
        }
        let certificate = args.tls_certificate.clone().or(file.tls.certificate);
        let tls = match (certificate, args.tls_key.clone().or(file.tls.key)) {
            (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
            (None, None) => None,
            _ => return Err(Error::HalfTls),
        };
        let mut acme = file.acme.resolve(host.as_ref().filter(|_| tls.is_none()))?;
        let data = args.data.clone().or(file.data).unwrap_or_else(|| PathBuf::from("data"));
        let TlsFiles { certificate, key } = file.hls_tls;
        let told = hls::Told { base: file.hls_base, here: file.hls_here, certificate, key };
        let public_origin = file.public_origin.clone().or_else(|| host.as_ref().map(|host| format!("https://{host}")));
        let beside = hls::Beside {
            data: &data,
            secure: tls.is_some() || acme.is_some(),
            obtains: acme.is_some(),
            public_origin: public_origin.as_deref(),
        };
        let hls = told.resolve(&beside).map_err(Error::Hls)?;
        if let (Some(acme), Some(name)) = (&mut acme, hls.as_ref().and_then(Hls::obtained)) {
            acme.names.push(Host::parse(name).map_err(|why| Error::Host(name.to_owned(), why))?);
        }
        let egress_mbps = args.egress_mbps.or(file.egress_mbps);
        if egress_mbps == Some(0) {
            return Err(Error::Egress);
        }
        let bind = file.rtc.bind;
        let told = file.rtc.public_address.or_else(|| bind.filter(|bind| !bind.is_unspecified()));
        // Behind a proxy the stage's HTTP is on loopback, but speakers' media comes straight from outside.
        let media_bind = bind.or_else(|| told.map(everywhere_like)).unwrap_or_else(|| stage.ip());
        if told.is_some_and(|told| told.is_unspecified()) {
            return Err(Error::NoMediaAddress(media_bind));
        }
        // A name is yet to be looked up.
        let unknown = || if host.is_some() { everywhere_like(media_bind) } else { media_bind };
        let media_address = told.unwrap_or_else(unknown);
        let demo = if args.demo {
            Some(true)
        } else if args.no_demo {
            Some(false)
        } else {
            file.demo
        };
        let config = Self {
            data,
            host,
            public,
            stage,
            redirect,
            media_port,
            shards,
            media_bind,
            media_address,
            workers,
            demo,
            public_origin: file.public_origin,
            stage_origin: file.stage_origin,
            tls,
            acme,
            egress_mbps,
            disk: file.disk.limits()?,
            retention: file.retention.limits()?,
            hls,
            listening: file.listening.wish()?,
            door: file.door.map(door::Told::resolve).transpose().map_err(Error::Door)?,
            proxies: Proxies::resolve(&file.trusted_proxies, file.proxy_protocol).map_err(Error::Proxies)?,
        };
        Ok((config, bind))
    }

    /// What one crowd worker may send, in bytes a second; `None`: whatever it can.
    pub fn egress_share(&self) -> Option<u64> {
        self.egress_mbps.map(|mbps| u64::from(mbps) * 125_000 / self.workers.max(1) as u64)
    }

    /// The files of the certificate that both ports show; `None`: they speak plain HTTP.
    pub fn certificate(&self) -> Option<Tls> {
        let obtained = || {
            let file = self.certificate_file(self.acme.as_ref()?.names.first()?);
            Some(Tls { certificate: file.clone(), key: file })
        };
        self.tls.clone().or_else(obtained)
    }

    /// Where the certificate that is obtained for a name is kept.
    pub fn certificate_file(&self, name: &Host) -> PathBuf {
        self.data.join("tls").join(format!("{name}.pem"))
    }

    /// What is at one of our own ports.
    pub fn at(&self, address: SocketAddr) -> String {
        format!("{}://{address}", self.scheme())
    }

    /// Origin of the public side as browsers see it.
    pub fn public_origin(&self) -> String {
        self.public_origin.clone().unwrap_or_else(|| self.origin(self.public))
    }

    /// Origin of the stage port as browsers see it.
    pub fn stage_origin(&self) -> String {
        self.stage_origin.clone().unwrap_or_else(|| self.origin(self.stage))
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() || self.acme.is_some() { "https" } else { "http" }
    }

    fn origin(&self, at: SocketAddr) -> String {
        let usual = if self.scheme() == "https" { 443 } else { 80 };
        match &self.host {
            None => self.at(at),
            Some(host) if at.port() == usual => format!("{}://{host}", self.scheme()),
            Some(host) => format!("{}://{host}:{}", self.scheme(), at.port()),
        }
    }
}

/// Every address of the family that `ip` is of.
fn everywhere_like(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

impl AcmeFile {
    /// `host` if it needs a certificate.
    fn resolve(self, host: Option<&Host>) -> Result<Option<Acme>, Error> {
        let Self { directory, contact, root } = self;
        let Some(host) = host else {
            let is_empty = directory.is_none() && contact.is_none() && root.is_none();
            return if is_empty { Ok(None) } else { Err(Error::NoUseForAcme) };
        };
        if !host.is_whole() && directory.is_none() {
            return Err(Error::NotWhole(host.clone()));
        }
        let directory = directory.unwrap_or_else(|| DIRECTORY.into());
        if !directory.starts_with("https://") {
            return Err(Error::Directory(directory));
        }
        let contact = match contact {
            None => None,
            Some(text) => {
                let address = text.trim().trim_start_matches("mailto:");
                let is_address =
                    address.split_once('@').is_some_and(|(who, at)| !who.is_empty() && Host::parse(at).is_ok());
                if !is_address || address.len() > CONTACT_LENGTH_MAX || address.contains([' ', ',', '?']) {
                    return Err(Error::Contact(text));
                }
                Some(format!("mailto:{address}"))
            }
        };
        Ok(Some(Acme { directory, contact, root, names: vec![host.clone()] }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn resolve(args: &[&str], file: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hiwar.toml");
        std::fs::write(&path, file).unwrap();
        let given = ["hiwar", "serve", "--config", path.to_str().unwrap()];
        let parsed = cli::Cli::try_parse_from(given.iter().chain(args)).unwrap();
        let cli::Command::Serve(args) = parsed.command else { panic!() };
        Config::resolve(&args).map_err(|why| why.to_string())
    }

    const NAMED: &str = "host = \"Talk.Example\"\n[rtc]\npublic_address = \"203.0.113.7\"\n";

    #[test]
    fn without_a_name_everything_is_for_this_machine() {
        let config = resolve(&[], "").unwrap();
        assert_eq!(
            (config.public_origin(), config.stage_origin()),
            ("http://127.0.0.1:8080".into(), "http://127.0.0.1:8081".into())
        );
        assert!(config.redirect.is_none() && config.acme.is_none() && config.certificate().is_none());
    }

    #[test]
    fn with_a_name_everything_is_for_everyone_and_a_certificate_is_obtained() {
        let config = resolve(&["--data", "/d"], NAMED).unwrap();
        let ports = (config.public.to_string(), config.stage.to_string(), config.redirect.unwrap().to_string());
        assert_eq!(ports, ("[::]:443".into(), "[::]:8081".into(), "[::]:80".into()));
        assert_eq!(
            (config.public_origin(), config.stage_origin()),
            ("https://talk.example".into(), "https://talk.example:8081".into())
        );
        assert_eq!(
            (config.media_bind.to_string(), config.media_address.to_string()),
            ("0.0.0.0".into(), "203.0.113.7".into())
        );
        assert_eq!(config.certificate().unwrap().certificate, PathBuf::from("/d/tls/talk.example.pem"));
        assert_eq!(config.acme.unwrap().directory, DIRECTORY);
    }

    #[test]
    fn what_is_given_wins_over_what_a_name_brings() {
        let args = ["--public", "127.0.0.1:8443", "--redirect", "127.0.0.1:8000", "--host", "other.example"];
        let config = resolve(&args, &format!("stage_origin = \"https://stage.example\"\n{NAMED}")).unwrap();
        assert_eq!(config.public_origin(), "https://other.example:8443");
        assert_eq!(config.stage_origin(), "https://stage.example");
        assert_eq!(config.redirect.unwrap().to_string(), "127.0.0.1:8000");
    }

    #[test]
    fn with_a_certificate_of_ones_own_none_is_obtained() {
        let args = ["--tls-certificate", "c.pem", "--tls-key", "k.pem"];
        let config = resolve(&args, NAMED).unwrap();
        assert!(config.acme.is_none());
        assert_eq!(config.certificate().unwrap().key, PathBuf::from("k.pem"));
        assert_eq!(config.public_origin(), "https://talk.example");
        assert!(
            resolve(&args, &format!("{NAMED}[acme]\ncontact = \"me@talk.example\"")).unwrap_err().contains("[acme]")
        );
    }

    #[test]
    fn each_port_is_for_one_thing() {
        let check = |args: &[&str], words: &str| {
            let why = resolve(args, NAMED).unwrap_err();
            assert!(why.contains(words), "{why}");
        };
        check(&["--public", "0.0.0.0:80", "--redirect", "0.0.0.0:80"], "public and redirect are both 0.0.0.0:80");
        check(&["--stage", "[::]:443"], "the stage needs a port that the crowd cannot fill");
        assert!(
            resolve(&["--public", "127.0.0.1:0", "--stage", "127.0.0.1:0", "--redirect", "127.0.0.1:0"], NAMED).is_ok()
        );
    }

    #[test]
    fn a_name_for_hls_that_is_served_here_gets_a_certificate_too() {
        let config =
            resolve(&["--data", "/d"], &format!("hls_base = \"https://hls.talk.example\"\nhls_here = true\n{NAMED}"));
        let config = config.unwrap();
        let names: Vec<String> = config.acme.unwrap().names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["talk.example", "hls.talk.example"]);
        let file = config.hls.unwrap().here.unwrap().tls.certificate;
        assert_eq!(file, PathBuf::from("/d/tls/hls.talk.example.pem"));
        assert!(resolve(&[], &format!("hls_base = \"https://talk.example\"\nhls_here = true\n{NAMED}")).is_err());
    }

    #[test]
    fn a_studio_has_one_shard_unless_told_and_a_port_for_each() {
        let shards = |text: &str| resolve(&[], text).map(|config| config.shards);
        assert_eq!(shards(""), Ok(1));
        assert_eq!(shards("[studio]\nshards = 8"), Ok(8));
        for (text, why) in [
            ("[studio]\nshards = 0", "give 1 to 8"),
            ("[studio]\nshards = 9", "give 1 to 8"),
            ("media_port = 65535\n[studio]\nshards = 2", "media_port = 65535"),
        ] {
            assert!(shards(text).is_err_and(|said| said.contains(why)), "{text}");
        }
    }

    #[test]
    fn how_listeners_are_sent_sound_is_told_or_left_to_the_workers() {
        let wish = |text: &str| resolve(&[], text).map(|config| config.listening);
        assert_eq!(wish("").unwrap(), Wish::default());
        let told = wish("[listening]\ncadence_ms = 2000\nbitrate_kbps = 16").unwrap();
        assert_eq!(told, Wish { cadence: Some(Cadence::S2), bitrate: Some(Bitrate::Lean) });
        assert!(wish("[listening]\nbitrate_kbps = 24").unwrap_err().contains("give 32 or 16"));
        assert!(wish("[listening]\ncadence_ms = 300").unwrap_err().contains("2000"));
        // To the other processes it is told as it is.
        let config = resolve(&["--workers", "4"], "egress_mbps = 1000\n[listening]\nbitrate_kbps = 32").unwrap();
        assert_eq!(config.egress_share(), Some(31_250_000));
        let again: Config = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again.listening, config.listening);
    }

    #[test]
    fn a_door_has_so_many_places_and_the_rest_is_as_usual() {
        let door = |text: &str| resolve(&[], text).map(|config| config.door);
        assert_eq!(door("").unwrap(), None);
        let usual = Door { places: 9_000, pace: 2_000, stay: Duration::from_secs(20 * 60) };
        assert_eq!(door("[door]\nplaces = 9000").unwrap(), Some(usual));
        let told = Door { places: 1, pace: 50, stay: Duration::from_secs(90 * 60) };
        let config = resolve(&[], "[door]\nplaces = 1\npace = 50\nstay_minutes = 90").unwrap();
        assert_eq!(config.door, Some(told));
        // To the other processes it is told as it is.
        let again: Config = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(again.door, config.door);
        for (text, why) in [
            ("[door]", "missing field `places`"),
            ("[door]\nplaces = 0", "door.places = 0: give 1 to 10000000"),
            ("[door]\nplaces = 10000001", "door.places = 10000001"),
            ("[door]\nplaces = 5\npace = 0", "door.pace = 0: give 1 to 1000000"),
            ("[door]\nplaces = 5\nstay_minutes = 0", "door.stay_minutes = 0: give 1 to 1440"),
            ("[door]\nplaces = 5\nstay_minutes = 1441", "door.stay_minutes = 1441"),
            ("[door]\nplaces = 5\nkeys = 5", "unknown field"),
        ] {
            let said = door(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn limits_of_the_disk_and_of_the_past_are_checked_and_off_unless_told() {
        let limits = |text: &str| {
            let file: File = toml::from_str(text).map_err(|why| why.to_string())?;
            let limits = file.disk.limits().and_then(|disk| Ok((disk, file.retention.limits()?)));
            limits.map_err(|why| why.to_string())
        };
        let (disk, retention) = limits("").unwrap();
        assert_eq!((disk, retention.keep_everything()), (disk::Limits::default(), true));
        let told =
            limits("[disk]\nnotice_percent = 50\nrefuse_mib = 3\n[retention]\ndays = 30\ngigabytes = 1.5").unwrap();
        assert_eq!(told.0, disk::Limits { notice_percent: 50, refuse_percent: 95, refuse_bytes: 3 << 20 });
        let age = Duration::from_secs(30 * 86_400);
        assert_eq!(told.1, retention::Limits { age: Some(age), bytes: Some(1_500_000_000) });
        assert_eq!(limits("[disk]\nnotice_percent = 99").unwrap().0.refuse_percent, 99);
        for (text, why) in [
            ("[disk]\nnotice_percent = 0", "notice_percent"),
            ("[disk]\nnotice_percent = 90\nrefuse_percent = 80", "refuse_percent"),
            ("[disk]\nrefuse_percent = 101", "refuse_percent"),
            ("[retention]\ndays = 0", "leave them out"),
            ("[retention]\ndays = -1", "leave them out"),
            ("[retention]\ndays = nan", "leave them out"),
            ("[retention]\ngigabytes = inf", "leave them out"),
            ("[retention]\nweeks = 1", "unknown field"),
        ] {
            assert!(limits(text).is_err_and(|said| said.contains(why)), "{text}");
        }
    }
}
