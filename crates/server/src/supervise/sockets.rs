//! Every listening socket: opened before the first child starts, or taken over from an earlier supervisor.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::succession::Succession;
use crate::config::Config;
use crate::inherit::AsFdRef;

/// Connections that the kernel holds while every worker is busy; capped by net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// Everything that is bound before the first child starts and outlives them all.
pub(super) struct Sockets {
    pub(super) public: TcpListener,
    pub(super) stage: TcpListener,
    pub(super) redirect: Option<TcpListener>,
    pub(super) shards: Vec<(UdpSocket, TcpListener)>,
    pub(super) api: UnixListener,
    pub(super) bus: UnixListener,
    /// What addresses were asked for, for the next supervisor.
    asked: Asked,
}

/// Addresses as the configuration has them.
struct Asked {
    public: String,
    stage: String,
    redirect: String,
    /// One for each shard.
    media: Vec<String>,
}

impl Sockets {
    /// Opens every listening socket that was not left to us, and writes the addresses that were really bound back into `config`. `succeeds`: others are
    /// on the air already, so that one that was not there before, and cannot be opened, is done without.
    pub(super) fn open(config: &mut Config, left: &mut Succession, succeeds: bool) -> Result<Self, String> {
        let mut asked = Asked {
            public: config.public.to_string(),
            stage: config.stage.to_string(),
            redirect: config.redirect.map(|at| at.to_string()).unwrap_or_default(),
            media: Vec::new(),
        };
        let public =
            left.socket("public", &mut asked.public, || listen(config.public, "the public port", "--public"))?;
        let stage = left.socket("stage", &mut asked.stage, || listen(config.stage, "the stage port", "--stage"))?;
        let mut redirect = None;
        if let Some(at) = config.redirect {
            let open = || listen(at, "the port for plain HTTP", "--redirect");
            match left.socket("redirect", &mut asked.redirect, open) {
                Ok(listener) => redirect = Some(listener),
                Err(why) if succeeds => tracing::error!(
                    "{why}. Until the next restart nobody is sent on from plain HTTP, and no authority can look at this server"
                ),
                Err(why) => return Err(why),
            }
        }
        let bound = redirect.as_ref().map(TcpListener::local_addr).transpose();
        config.redirect = bound.map_err(|e| e.to_string())?;
        config.public = public.local_addr().map_err(|e| e.to_string())?;
        config.stage = stage.local_addr().map_err(|e| e.to_string())?;
        let mut shards = Vec::new();
        for number in 0..config.shards {
            let port = if config.media_port == 0 { 0 } else { config.media_port + number as u16 };
            let (shard, at) = shard(left, number, SocketAddr::new(config.media_bind, port))?;
            shards.push(shard);
            asked.media.push(at);
        }
        config.media_port = shards[0].0.local_addr().map_err(|e| e.to_string())?.port();
        let run = config.data.join("run");
        let api = left.socket("api", &mut String::new(), || unix(&run, "api.sock"))?;
        let bus = left.socket("bus", &mut String::new(), || unix(&run, "bus.sock"))?;
        Ok(Self { public, stage, redirect, shards, api, bus, asked })
    }

    /// All of them by name, with the address that was asked for.
    pub(super) fn named(&self) -> Vec<(String, &str, &dyn AsFdRef)> {
        let mut named: Vec<(String, &str, &dyn AsFdRef)> = vec![
            ("public".into(), &self.asked.public, &self.public),
            ("stage".into(), &self.asked.stage, &self.stage),
            ("api".into(), "", &self.api),
            ("bus".into(), "", &self.bus),
        ];
        if let Some(redirect) = &self.redirect {
            named.push(("redirect".into(), &self.asked.redirect, redirect));
        }
        for (number, (udp, tcp)) in self.shards.iter().enumerate() {
            named.push((format!("udp{number}"), &self.asked.media[number], udp));
            named.push((format!("tcp{number}"), &self.asked.media[number], tcp));
        }
        named
    }
}

/// The WebRTC sockets of a shard, and the address that was asked for.
fn shard(left: &mut Succession, number: usize, at: SocketAddr) -> Result<((UdpSocket, TcpListener), String), String> {
    let (mut made, mut asked) = (None, at.to_string());
    let udp = left.socket(&format!("udp{number}"), &mut asked, || {
        let (udp, tcp) = media_sockets(at)?;
        made = Some(tcp);
        Ok(udp)
    })?;
    // The two go together: where the UDP socket is a new one, its twin is.
    let mut twin = if made.is_some() { String::new() } else { asked.clone() };
    let tcp = left.socket(&format!("tcp{number}"), &mut twin, || {
        made.take().ok_or_else(|| format!("cannot open the WebRTC port {at}"))
    })?;
    Ok(((udp, tcp), asked))
}

/// A listening socket. `[::]` takes IPv4 too, whatever the system's habit is; where IPv6 is switched off it means `0.0.0.0`.
fn listen(at: SocketAddr, what: &str, option: &str) -> Result<TcpListener, String> {
    let everywhere = at.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let opened = match open(at) {
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if everywhere => {
            open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), at.port()))
        }
        opened => opened,
    };
    opened.map_err(|why| {
        let say = |why: &dyn std::fmt::Display| format!("cannot open {what} {at}: {why}");
        match why {
            Errno::ADDRINUSE => say(&format!("it is taken; choose another with {option}")),
            Errno::ACCESS => say(&format!(
                "ports below 1024 need the capability CAP_NET_BIND_SERVICE (a service has it by AmbientCapabilities=); choose another with {option}"
            )),
            _ => say(&why),
        }
    })
}

fn open(at: SocketAddr) -> rustix::io::Result<TcpListener> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // So that a restart need not wait for old connections.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if at.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &at)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// UDP and TCP on one port. With port 0 the kernel picks a UDP port whose TCP twin may be taken: try again then.
fn media_sockets(at: SocketAddr) -> Result<(UdpSocket, TcpListener), String> {
    let mut last = None;
    for _ in 0..16 {
        let udp = UdpSocket::bind(at).map_err(|e| format!("cannot open the WebRTC port {at}/udp: {e}"))?;
        let chosen = udp.local_addr().map_err(|e| e.to_string())?;
        match TcpListener::bind(chosen) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(why) => last = Some(format!("cannot open the WebRTC port {chosen}/tcp: {why}")),
        }
        if at.port() != 0 {
            break;
        }
    }
    Err(last.unwrap_or_default())
}

/// A Unix listener in `run`, also where the whole path is longer than a socket address can hold (108 bytes).
fn unix(run: &Path, name: &str) -> Result<UnixListener, String> {
    let say = |why: &dyn std::fmt::Display| format!("cannot open {}: {why}", run.join(name).display());
    let _ = std::fs::remove_file(run.join(name));
    let dir = File::open(run).map_err(|e| say(&e))?;
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", dir.number())).map_err(|e| say(&e))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use clap::Parser;

    use super::*;

    #[test]
    fn a_port_that_is_taken_ends_a_start_and_not_what_is_on_the_air() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = taken.local_addr().unwrap().to_string();
        let file = dir.path().join("hiwar.toml");
        std::fs::write(&file, "[rtc]\npublic_address = \"127.0.0.1\"\nbind = \"127.0.0.1\"\n").unwrap();
        let given = ["hiwar", "serve", "--host", "talk.example", "--public", "127.0.0.1:0", "--stage", "127.0.0.1:0"];
        let also = ["--media-port", "0", "--redirect", &taken, "--config", file.to_str().unwrap()];
        let also = also.into_iter().chain(["--data", dir.path().to_str().unwrap()]);
        let parsed = crate::cli::Cli::try_parse_from(given.into_iter().chain(also)).unwrap();
        let crate::cli::Command::Serve(args) = parsed.command else { panic!() };
        let config = Config::resolve(&args).unwrap();

        let why = Sockets::open(&mut config.clone(), &mut Succession::default(), false).err().expect("an error");
        assert!(why.contains(&taken) && why.contains("--redirect"), "{why}");
        let mut on_air = config;
        let sockets = Sockets::open(&mut on_air, &mut Succession::default(), true).unwrap();
        assert!(sockets.redirect.is_none() && on_air.redirect.is_none());
        assert!(sockets.named().iter().all(|(name, ..)| name != "redirect"), "the next restart opens it");
    }

    #[test]
    fn everywhere_is_everywhere() {
        let listener = listen("[::]:0".parse().unwrap(), "a port", "--port").unwrap();
        let at = listener.local_addr().unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, at.port())).expect("IPv4");
        if at.is_ipv6() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, at.port())).expect("IPv6");
        }
        let why = listen(at, "a port", "--port").unwrap_err();
        assert!(why.ends_with("it is taken; choose another with --port"), "{why}");
    }
}
