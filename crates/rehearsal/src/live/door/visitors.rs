//! Visitors one after the other, as fast as they are answered: each comes by a fresh connection from another address, takes the page, asks for sound, and gets a ticket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use serde_json::{Value, json};

use super::answer::{Head, Wait};
use crate::live::Error;
use crate::live::listen::wire::{Moved, Wire};

const EVENTS: usize = 256;
const READ_BYTES: usize = 64 * 1024;
/// Between two looks at the clock.
const LOOK: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// Whoever has no answer after so long has failed.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Who comes, and to what.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The server, at loopback
    address: SocketAddr,
    /// Path of the page
    #[arg(long)]
    page: String,
    /// Path of the stream, with its `?t=`
    #[arg(long)]
    sound: String,
    /// For how long
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// How many are there at a time
    #[arg(long, default_value_t = 64)]
    at_once: usize,
    /// The server is no door: a 503 without a ticket is as good
    #[arg(long)]
    no_ticket: bool,
}

struct Visitor {
    wire: Wire,
    began: Instant,
    /// Has the page, and asked for sound.
    has_page: bool,
    bytes: Vec<u8>,
    has_asked: bool,
}

struct Crowd<'o> {
    options: &'o Options,
    epoll: OwnedFd,
    requests: [Vec<u8>; 2],
    seats: Vec<Option<Visitor>>,
    next: u32,
    came: u64,
    failed: u64,
    page_bytes: usize,
    took_us: Vec<u32>,
    buffer: Vec<u8>,
}

/// Has them come.
///
/// # Errors
/// Nobody can.
pub fn run(options: &Options) -> Result<Value, Error> {
    if !options.address.ip().is_loopback() {
        return Err(Error::Asked("only loopback"));
    }
    let began = Instant::now();
    let done = Crowd::new(options).and_then(|mut crowd| {
        crowd.play(began + Duration::from_secs(options.seconds))?;
        Ok(crowd)
    });
    let mut crowd = done.map_err(|why| Error::World("visiting", why))?;
    crowd.took_us.sort_unstable();
    let at = |part: f64| crowd.took_us.get((part * crowd.took_us.len() as f64) as usize).map(|&us| f64::from(us) / 1e3);
    Ok(json!({
        "visitors": crowd.came,
        "seconds": began.elapsed().as_secs_f64(),
        "failed": crowd.failed,
        "page_bytes": crowd.page_bytes,
        "visit_ms_p50": at(0.5),
        "visit_ms_p99": at(0.99),
    }))
}

impl<'o> Crowd<'o> {
    fn new(options: &'o Options) -> io::Result<Self> {
        let host = options.address;
        let request =
            |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n").into_bytes();
        let requests =
            [request(&options.page, "Accept-Encoding: br\r\n"), request(&options.sound, "Connection: close\r\n")];
        Ok(Self {
            options,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            requests,
            seats: std::iter::repeat_with(|| None).take(options.at_once).collect(),
            // Another run's connections may not be forgotten yet.
            next: std::process::id().wrapping_mul(0x9e37) & 0x7f_ffff,
            came: 0,
            failed: 0,
            page_bytes: 0,
            took_us: Vec::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    fn play(&mut self, until: Instant) -> io::Result<()> {
        for seat in 0..self.seats.len() {
            self.come(seat)?;
        }
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let mut looked = Instant::now();
        while Instant::now() < until {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&LOOK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
            }
            for event in &events {
                self.on_ready(event.data.u64() as usize)?;
            }
            if looked.elapsed() > ANSWERED_WITHIN {
                looked = Instant::now();
                let is_late = |visitor: &Visitor| visitor.began.elapsed() > ANSWERED_WITHIN;
                for seat in 0..self.seats.len() {
                    if self.seats[seat].as_ref().is_some_and(is_late) {
                        self.failed += 1;
                        self.come(seat)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn come(&mut self, seat: usize) -> io::Result<()> {
        // From 127.1.0.0 on: 127.0.0.1 is left to everyone else. Every address is another's.
        self.next = (self.next + 1) % 0xfd_0000;
        let from = IpAddr::V4(Ipv4Addr::from(0x7f01_0000 + self.next));
        let wire = Wire::connect(self.options.address, Some(from), None)?;
        epoll::add(&self.epoll, &wire, EventData::new_u64(seat as u64), EventFlags::OUT)?;
        self.seats[seat] =
            Some(Visitor { wire, began: Instant::now(), has_page: false, bytes: Vec::new(), has_asked: false });
        Ok(())
    }

    fn on_ready(&mut self, seat: usize) -> io::Result<()> {
        let Some(visitor) = &mut self.seats[seat] else { return Ok(()) };
        match Self::on(visitor, &self.requests, &mut self.buffer, &self.epoll, seat) {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => {
                let (page, is_good) = answer;
                if let Some(page) = page {
                    self.page_bytes = page;
                    return Ok(());
                }
                if is_good || self.options.no_ticket {
                    self.came += 1;
                    self.took_us.push(u32::try_from(visitor.began.elapsed().as_micros()).unwrap_or(u32::MAX));
                } else {
                    self.failed += 1;
                }
                self.come(seat)
            }
            Err(_) => {
                self.failed += 1;
                self.come(seat)
            }
        }
    }

    /// How long the page was when it is there; or whether the answer for sound is a ticket.
    #[allow(clippy::type_complexity, reason = "one of two, and one place that asks")]
    fn on(
        visitor: &mut Visitor,
        requests: &[Vec<u8>; 2],
        buffer: &mut [u8],
        epoll: &OwnedFd,
        seat: usize,
    ) -> io::Result<Option<(Option<usize>, bool)>> {
        if !visitor.has_asked {
            visitor.wire.ask(&requests[0])?;
            visitor.has_asked = true;
            epoll::modify(epoll, &visitor.wire, EventData::new_u64(seat as u64), EventFlags::IN)?;
            return Ok(None);
        }
        match visitor.wire.read(buffer, &mut []) {
            Moved::Bytes(count) => visitor.bytes.extend_from_slice(&buffer[..count]),
            Moved::Later => return Ok(None),
            Moved::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            Moved::Broken(why) => return Err(why),
        }
        let Some(head) = Head::read(&visitor.bytes).map_err(io::Error::other)? else { return Ok(None) };
        let Some(body) = head.body(&visitor.bytes) else { return Ok(None) };
        if visitor.has_page {
            let is_ticket = Wait::read(body).is_some_and(|wait| !wait.ticket.is_empty());
            return if head.status == 503 {
                Ok(Some((None, is_ticket)))
            } else {
                Err(io::ErrorKind::InvalidData.into())
            };
        }
        if head.status != 200 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let page = body.len();
        (visitor.has_page, visitor.bytes) = (true, Vec::new());
        visitor.wire.ask(&requests[1])?;
        Ok(Some((Some(page), true)))
    }
}
