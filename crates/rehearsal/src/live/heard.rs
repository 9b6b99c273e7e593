//! What a speaker hears of the others, written down: samples, and when the server sent each packet of them.
//!
//! The time is the kernel's, of when the datagram came into its queue, which on one machine is while the server sends it (socket(7), SO_TIMESTAMPNS): a speaker who is late to read
//! makes nothing late. Nothing is played, so that there is no jitter buffer whose length would be measured.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;

use hiwar_media::opus::{Decoder, PACKET_SAMPLES_MAX};
use hiwar_media::packet::Opus;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use rustix::time::{ClockId, clock_gettime};

/// A longer hole than this is a new beginning: 10 s.
const HOLE_SAMPLES_MAX: u32 = 480_000;

/// Two files: `NAME.s16` (48 kHz, mono, 16-bit) and `NAME.points`, lines of a sample's number and its time in seconds of CLOCK_MONOTONIC.
pub(super) struct Notes {
    sound: BufWriter<File>,
    points: BufWriter<File>,
    decoder: Decoder,
    /// The RTP timestamp (RFC 3550 §5.1) of the sample that comes next.
    next: Option<u32>,
    samples: u64,
}

impl Notes {
    pub(super) fn new(folder: &Path, name: &str, socket: &UdpSocket) -> io::Result<Self> {
        setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
        let file = |ending: &str| File::create(folder.join(format!("{name}.{ending}"))).map(BufWriter::new);
        let decoder = Decoder::new().map_err(|_| io::Error::other("no decoder"))?;
        Ok(Self { sound: file("s16")?, points: file("points")?, decoder, next: None, samples: 0 })
    }

    /// A packet that the server sent `at` seconds: what is missing before it leaves its place empty.
    pub(super) fn heard(&mut self, timestamp: u32, payload: &[u8], at: f64) -> io::Result<()> {
        let hole = self.next.map_or(0, |next| timestamp.wrapping_sub(next));
        // What comes after what followed it has no place any more; over loopback nothing does.
        let hole = if hole <= HOLE_SAMPLES_MAX { hole } else { 0 };
        for _ in 0..hole {
            self.sound.write_all(&[0, 0])?;
        }
        self.samples += u64::from(hole);
        let mut out = [0.0; PACKET_SAMPLES_MAX];
        let decoded = Opus::new(payload).and_then(|opus| self.decoder.decode(opus, &mut out).ok()).unwrap_or(0);
        writeln!(self.points, "{} {at:.6}", self.samples)?;
        for sample in out.get(..decoded).unwrap_or_default() {
            self.sound.write_all(&((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).to_le_bytes())?;
        }
        self.samples += decoded as u64;
        self.next = Some(timestamp.wrapping_add(decoded as u32));
        Ok(())
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.sound.flush()?;
        self.points.flush()
    }
}

/// Seconds of CLOCK_MONOTONIC, the clock of everybody on this machine.
pub(super) fn now_s() -> f64 {
    seconds(clock_gettime(ClockId::Monotonic))
}

fn seconds(time: rustix::time::Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// A datagram: its length, whom it is from, and when it came into the queue, in seconds of CLOCK_MONOTONIC.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, std::net::SocketAddr, f64)> {
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let mut slices = [io::IoSliceMut::new(buffer)];
    let told =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty()).ok()?;
    let from = told.address.as_ref()?.as_sockaddr_in()?;
    let from = std::net::SocketAddrV4::from(*from).into();
    let stamp = told.cmsgs().ok()?.find_map(|one| match one {
        ControlMessageOwned::ScmTimestampns(at) => Some(at.tv_sec() as f64 + at.tv_nsec() as f64 * 1e-9),
        _ => None,
    });
    // The stamp is of the other clock, of which this one is so much ahead or behind.
    let apart = now_s() - seconds(clock_gettime(ClockId::Realtime));
    Some((told.bytes, from, stamp.map_or_else(now_s, |stamp| stamp + apart)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::{Fec, Voice};

    #[test]
    fn a_datagram_has_the_time_at_which_it_was_sent_however_late_it_is_read() {
        let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        setsockopt(&near, sockopt::ReceiveTimestampns, &true).unwrap();
        let sent_and_stamped = || {
            let before = now_s();
            far.send_to(b"sound", near.local_addr().unwrap()).unwrap();
            let after = now_s();
            while now_s() < after + 0.05 {
                std::thread::yield_now();
            }
            let mut buffer = [0; 16];
            let (length, from, at) = receive(&near, &mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&b"sound"[..], far.local_addr().unwrap()));
            (before, at, after)
        };
        // The kernel begins to stamp a moment after the first socket asked for it, and until then does so when it is read. A clock is read after the other: they are a hair apart.
        let is_good = |(before, at, after): (f64, f64, f64)| (before - 1e-3..after + 1e-3).contains(&at);
        assert!((0..20).any(|_| is_good(sent_and_stamped())), "{:?}", sent_and_stamped());
    }

    #[test]
    fn what_is_missing_leaves_its_place_empty() {
        let folder = tempfile::tempdir().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut notes = Notes::new(folder.path(), "ear", &socket).unwrap();
        let said: Vec<f32> = (0..96_000).map(|n| (n as f32 * 0.1).sin() * 0.5).collect();
        let voice = Voice::saying(&said, Fec::Off).unwrap();
        // The third does not come.
        for n in [0_u32, 1, 3, 4] {
            notes.heard(7_000 + 960 * n, voice.packet(u64::from(n)).unwrap(), f64::from(n) / 50.0).unwrap();
        }
        notes.close().unwrap();
        let sound = std::fs::read(folder.path().join("ear.s16")).unwrap();
        assert_eq!(sound.len(), 5 * 960 * 2);
        assert!(sound[2 * 960 * 2..3 * 960 * 2].iter().all(|byte| *byte == 0));
        assert!(sound[3 * 960 * 2..].iter().any(|byte| *byte != 0));
        let points = std::fs::read_to_string(folder.path().join("ear.points")).unwrap();
        assert_eq!(points, "0 0.000000\n960 0.020000\n2880 0.060000\n3840 0.080000\n");
    }
}
