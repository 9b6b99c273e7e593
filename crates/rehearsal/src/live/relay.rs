//! A bad network between one speaker and a server: a UDP relay with a [`Link`] in each direction.
//!
//! The speaker is told the relay's address in place of the server's ([`Relay::answer`]). The server meets the relay's far socket, whose address may change
//! in mid-sentence ([`Relay::roam`]) as that of a phone does which leaves its WLAN. A thread of its own carries; it ends with the relay.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::Error;
use crate::impairment::{Counts, Link, Network};

/// Datagrams read from one socket in one go.
const READS_MAX: usize = 64;
/// Longest datagram carried: what fits a UDP datagram.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// Longest sleep, in seconds; commands wake it anyway.
const SLEEP_S: i64 = 1;

/// Both ways of a network.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// From the speaker to the server.
    pub up: Network,
    /// And back.
    pub down: Network,
}

/// A relay that carries.
#[derive(Debug)]
pub struct Relay {
    near: SocketAddr,
    server: SocketAddr,
    commands: Sender<Command>,
    wake: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    Change(Box<Ways>),
    Roam(UdpSocket),
    Count(Sender<(Counts, Counts)>),
}

impl Relay {
    /// A relay on this machine's loopback to `server`, its UDP address.
    ///
    /// # Errors
    /// No sockets, or no thread.
    pub fn start(server: SocketAddr, ways: Ways, seed: u64) -> Result<Self, Error> {
        let near = open(Ipv4Addr::LOCALHOST)?;
        let far = open(Ipv4Addr::LOCALHOST)?;
        let address = near.local_addr().map_err(world)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = eventfd(0, flags).map_err(|why| world(why.into()))?;
        let woken = wake.try_clone().map_err(world)?;
        let (commands, orders) = mpsc::channel();
        let carrier = Carrier {
            near,
            far,
            server,
            speaker: None,
            up: Link::new(ways.up, seed),
            // The way back is another network, and its chances others.
            down: Link::new(ways.down, seed.wrapping_add(1)),
            orders,
            wake: woken,
        };
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || carrier.run()).map_err(world)?;
        Ok(Self { near: address, server, commands, wake, thread: Some(thread) })
    }

    /// Where the speaker is to send.
    pub fn address(&self) -> SocketAddr {
        self.near
    }

    /// An answer with the relay in the place of the server: its UDP candidate is the only one left (RFC 8839 §5.1).
    #[must_use]
    pub fn answer(&self, sdp: &str) -> String {
        let mut told = false;
        let lines = sdp.lines().filter_map(|line| {
            if !line.starts_with("a=candidate:") {
                return Some(format!("{line}\r\n"));
            }
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let udp = words.get(2).is_some_and(|word| word.eq_ignore_ascii_case("udp"));
            if told || !udp || words.len() < 8 {
                return None;
            }
            told = true;
            (words[4], words[5]) = (self.near.ip().to_string(), self.near.port().to_string());
            Some(format!("{}\r\n", words.join(" ")))
        });
        lines.collect()
    }

    /// Becomes another network; what is under way comes as it would have.
    pub fn change(&self, ways: Ways) {
        self.command(Command::Change(Box::new(ways)));
    }

    /// The speaker's address changes: from now on the server is reached from another socket, and what it sends to the old one is lost.
    /// Returns the new address.
    ///
    /// # Errors
    /// No socket.
    pub fn roam(&self) -> Result<SocketAddr, Error> {
        let far = open(Ipv4Addr::LOCALHOST)?;
        let address = far.local_addr().map_err(world)?;
        self.command(Command::Roam(far));
        Ok(address)
    }

    /// What became of datagrams on the way up and on the way down; `None` if the relay has broken down.
    pub fn counts(&self) -> Option<(Counts, Counts)> {
        let (tell, told) = mpsc::channel();
        self.command(Command::Count(tell));
        told.recv().ok()
    }

    /// The server's address.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    fn command(&self, command: Command) {
        // Fails only if the thread is gone; then nothing comes any more, and whoever listens will say so.
        let _ = self.commands.send(command);
        ring(&self.wake);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        (self.commands, _) = mpsc::channel();
        ring(&self.wake);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Carrier {
    near: UdpSocket,
    far: UdpSocket,
    server: SocketAddr,
    /// Where the speaker last sent from.
    speaker: Option<SocketAddr>,
    up: Link<Vec<u8>>,
    down: Link<Vec<u8>>,
    orders: Receiver<Command>,
    wake: OwnedFd,
}

impl Carrier {
    fn run(mut self) {
        // What is late here is to be late on purpose.
        super::hurry();
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            if self.obey() {
                return;
            }
            let now = Instant::now();
            for _ in 0..READS_MAX {
                let Ok((length, from)) = self.near.recv_from(&mut buffer) else { break };
                self.speaker = Some(from);
                self.up.handle(now, buffer.get(..length).unwrap_or_default().to_vec());
            }
            for _ in 0..READS_MAX {
                let Ok((length, from)) = self.far.recv_from(&mut buffer) else { break };
                if from == self.server {
                    self.down.handle(now, buffer.get(..length).unwrap_or_default().to_vec());
                }
            }
            let now = Instant::now();
            // A full socket loses a datagram, as a network would.
            while let Some(datagram) = self.up.poll(now) {
                let _ = self.far.send_to(&datagram, self.server);
            }
            while let Some(datagram) = self.down.poll(now) {
                if let Some(speaker) = self.speaker {
                    let _ = self.near.send_to(&datagram, speaker);
                }
            }
            self.wait();
        }
    }

    /// Does as told; whether it is over.
    fn obey(&mut self) -> bool {
        let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
        loop {
            match self.orders.try_recv() {
                Ok(Command::Change(ways)) => {
                    self.up.change(ways.up);
                    self.down.change(ways.down);
                }
                Ok(Command::Roam(far)) => self.far = far,
                Ok(Command::Count(tell)) => drop(tell.send((self.up.counts(), self.down.counts()))),
                Err(mpsc::TryRecvError::Empty) => return false,
                Err(mpsc::TryRecvError::Disconnected) => return true,
            }
        }
    }

    fn wait(&self) {
        let due = [self.up.deadline(), self.down.deadline()].into_iter().flatten().min();
        let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
        let wait = wait.map_or(Timespec { tv_sec: SLEEP_S, tv_nsec: 0 }, |wait| Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(SLEEP_S).min(SLEEP_S),
            tv_nsec: i64::from(wait.subsec_nanos()),
        });
        let mut ready = [
            PollFd::new(&self.near, PollFlags::IN),
            PollFd::new(&self.far, PollFlags::IN),
            PollFd::new(&self.wake, PollFlags::IN),
        ];
        // Whatever ends this, the loop looks for itself.
        let _ = poll(&mut ready, Some(&wait));
    }
}

fn open(ip: Ipv4Addr) -> Result<UdpSocket, Error> {
    let socket = UdpSocket::bind((ip, 0)).map_err(world)?;
    socket.set_nonblocking(true).map_err(world)?;
    Ok(socket)
}

fn world(why: std::io::Error) -> Error {
    Error::World("relaying", why)
}

fn ring(wake: &OwnedFd) {
    // Fails only if the counter is at its maximum, and then the thread has been woken already.
    let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GOOD: Ways = Ways { up: Network::GOOD, down: Network::GOOD };

    fn end() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    #[test]
    fn it_carries_both_ways_and_the_server_sees_its_address_change() {
        let (speaker, server) = (end(), end());
        let relay = Relay::start(server.local_addr().unwrap(), GOOD, 1).unwrap();
        let mut buffer = [0; 16];
        speaker.send_to(b"up", relay.address()).unwrap();
        let (length, first) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"up");
        server.send_to(b"down", first).unwrap();
        assert_eq!(speaker.recv_from(&mut buffer).unwrap(), (4, relay.address()));

        let second = relay.roam().unwrap();
        relay.counts().unwrap();
        speaker.send_to(b"on", relay.address()).unwrap();
        assert_eq!(server.recv_from(&mut buffer).unwrap(), (2, second));
        assert_ne!(first, second);
        let (up, down) = relay.counts().unwrap();
        assert_eq!((up.taken, down.taken), (2, 1));
    }

    #[test]
    fn what_it_loses_does_not_come_and_what_it_holds_comes_late() {
        let (speaker, server) = (end(), end());
        let held: Network = "loss=50 delay=30".parse().unwrap();
        let relay = Relay::start(server.local_addr().unwrap(), Ways { up: held, ..GOOD }, 3).unwrap();
        let begin = Instant::now();
        for number in 0..40_u8 {
            speaker.send_to(&[number], relay.address()).unwrap();
        }
        let lost = loop {
            let counts = relay.counts().unwrap().0;
            if counts.taken == 40 {
                break counts.lost;
            }
            std::thread::yield_now();
        };
        assert!((10..30).contains(&lost), "{lost}");
        let mut buffer = [0; 16];
        for _ in lost..40 {
            server.recv_from(&mut buffer).unwrap();
        }
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn an_answer_names_the_relay_and_nothing_else() {
        let relay = Relay::start("192.0.2.1:8082".parse().unwrap(), GOOD, 1).unwrap();
        let answer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\na=candidate:1 1 udp 2130706175 192.0.2.1 8082 typ host\r\n\
            a=candidate:2 1 tcp 1671430143 192.0.2.1 8082 typ host tcptype passive\r\na=end-of-candidates\r\n";
        let expected = format!(
            "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\na=candidate:1 1 udp 2130706175 127.0.0.1 {} typ host\r\na=end-of-candidates\r\n",
            relay.address().port()
        );
        assert_eq!(relay.answer(answer), expected);
    }
}
