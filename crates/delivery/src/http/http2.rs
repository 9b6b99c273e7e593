//! HTTP/2 at the name of HLS: one thread that speaks it, and passes each request to the fan-out as a connection of HTTP/1.1.
//!
//! A connection comes here when its handshake is done and HTTP/2 was agreed on. A request becomes an HTTP/1.1 head and one end of a socket pair
//! ([`request`]), which the fan-out answers as it answers everyone: what is held, refused or cached is decided there and nowhere else. Framing,
//! header compression and flow control are the library's (`h2`).
//!
//! All of it is bounded: connections and requests by [`Limits`], what one connection may do by the constants below. At the limit of connections
//! HTTP/2 is no longer offered in the handshake, and who comes is served as HTTP/1.1.

mod request;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::Proxies;
use super::exchange::{DRAIN, Exchange};
use super::mailbox::Outbox;
use super::neighbours::Neighbours;
use super::room::Room;
use super::tls::{Certificate, Named};
use super::worker::Returned;
use super::{Place, Shared};
use crate::request::HEAD_BYTES_MAX;
use crate::shed::Limits;
use wire::{Patience, Wire};

/// Where the fan-out thread hands connections over, and what is shown to those who come to the name.
pub(super) struct Desk {
    name: Option<Arc<str>>,
    /// With HTTP/2, and without.
    certificates: Option<(Certificate, Certificate)>,
    to: Option<mpsc::Sender<Handed>>,
    leaving: watch::Sender<bool>,
    connections_max: usize,
    /// Of connections, those in whose handshake HTTP/2 was offered before the last place was taken included.
    places: usize,
    shared: Arc<Shared>,
}

/// A connection that speaks HTTP/2.
struct Handed {
    wire: (super::stream::Stream, Vec<u8>),
    peer: SocketAddr,
    place: Place,
}

/// What every connection needs.
#[derive(Clone)]
struct Way {
    /// Where requests go.
    fan_out: Outbox<Returned>,
    shared: Arc<Shared>,
    room: Room,
    proxies: Arc<Proxies>,
    leaving: watch::Receiver<bool>,
    requests_max: usize,
    /// Shared by all connections of the one thread: never waited for.
    neighbours: Arc<Mutex<Neighbours>>,
    stall: Duration,
    head: Duration,
    idle: Duration,
    answer: Duration,
}

/// What became of a request.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    /// The client took it back, or did not read the answer in time.
    Dropped,
}

impl Desk {
    /// Starts the thread if there is a name. It ends when the desk is dropped, and every connection with it.
    pub(super) fn start(
        name: Option<String>,
        limits: &Limits,
        fan_out: Outbox<Returned>,
        shared: Arc<Shared>,
        (room, proxies): (&Room, &Proxies),
    ) -> io::Result<Self> {
        let (leaving, told) = watch::channel(false);
        let connections_max = limits.http2_connections;
        let places = connections_max + limits.handshakes;
        let mut desk =
            Self { name: name.map(Into::into), certificates: None, to: None, leaving, connections_max, places, shared };
        if desk.name.is_some() {
            let (to, mut from) = mpsc::channel(places);
            let way = Way {
                fan_out,
                shared: desk.shared.clone(),
                room: room.clone(),
                proxies: proxies.clone().into(),
                leaving: told,
                requests_max: limits.http2_requests,
                neighbours: Mutex::new(Neighbours::new(limits.http2_requests_each)).into(),
                stall: limits.http2_stall,
                head: limits.head,
                idle: limits.idle,
                answer: limits.answer,
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let serve = async move {
                while let Some(handed) = from.recv().await {
                    tokio::spawn(serve(handed, way.clone()));
                }
            };
            std::thread::Builder::new().name("http2".into()).spawn(move || runtime.block_on(serve))?;
            desk.to = Some(to);
        }
        Ok(desk)
    }

    /// The certificate for the name, from now on.
    pub(super) fn show(&mut self, certificate: Certificate) {
        self.certificates = Some((certificate.with_http2(), certificate));
    }

    /// What is shown to who asks for the name; `None` if there is none, or nothing to show yet.
    pub(super) fn named(&self) -> Option<Named> {
        let (with, without) = self.certificates.as_ref()?;
        let is_full = self.shared.http2_connections.load(Relaxed) >= self.connections_max;
        Some(Named { name: self.name.clone()?, certificate: if is_full { without } else { with }.clone() })
    }

    /// Takes a connection over.
    pub(super) fn take(&self, exchange: Exchange) {
        // There may be more than places: a handshake can be dawdled over by many until HTTP/2 was offered to all of them.
        let handed = Place::take(&self.shared.http2_connections, self.places).map(|place| Handed {
            wire: (exchange.socket, exchange.read),
            peer: exchange.peer,
            place,
        });
        let taken = handed.zip(self.to.as_ref()).is_some_and(|(handed, to)| to.try_send(handed).is_ok());
        if !taken {
            self.shared.http2_calmed.fetch_add(1, Relaxed);
        }
    }

    /// Lets every connection finish what it asked for, and no more.
    pub(super) fn retire(&self) {
        self.leaving.send_replace(true);
    }

    /// Whether nobody is connected.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.http2_connections.load(Relaxed) == 0
    }
}

/// One connection, from its preface to its end.
async fn serve(handed: Handed, mut way: Way) {
    let Handed { wire: (stream, read), peer, place: _place } = handed;
    let patience = Patience::new();
    let Ok(wire) = Wire::new(stream, read, patience.clone()) else { return };
    let Ok(Ok(mut connection)) = timeout(way.head, rules().handshake::<_, Bytes>(wire)).await else { return };
    let mut requests = JoinSet::new();
    let mut spare = DROPPED_MAX;
    let mut end = End::Open;
    let mut alarm = pin!(sleep(way.idle));
    loop {
        let mut done = None;
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((asked, respond))) = accepted else {
                    if patience.is_over() {
                        way.shared.http2_calmed.fetch_add(1, Relaxed);
                    }
                    return;
                };
                patience.restore();
                requests.spawn(request::answer(asked, respond, peer, way.clone()));
            }
            Some(outcome) = requests.join_next() => done = Some(outcome),
            () = &mut alarm, if requests.is_empty() || end == End::Said => match end {
                End::Open => end = End::Due,
                End::Due | End::Said => return,
            },
            // Whoever tells may be gone, and then so is this thread.
            Ok(()) = way.leaving.changed(), if end == End::Open => end = End::Due,
        }
        // Under a flood of requests nobody may wait for their turn at the loop to be taken note of.
        while let Some(outcome) = done.take().or_else(|| requests.try_join_next()) {
            match outcome {
                Ok(Outcome::Answered) => spare = (spare + 1).min(DROPPED_MAX),
                _ => spare = spare.saturating_sub(1),
            }
            if end == End::Open {
                alarm.as_mut().reset(Instant::now() + way.idle);
            }
        }
        if spare == 0 && end != End::Said {
            way.shared.http2_calmed.fetch_add(1, Relaxed);
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            (end, requests) = (End::Said, JoinSet::new());
            alarm.as_mut().reset(Instant::now() + DRAIN);
        }
        if end == End::Due {
            connection.graceful_shutdown();
            end = End::Said;
            // Every request under way has an end of its own within this.
            alarm.as_mut().reset(Instant::now() + if requests.is_empty() { DRAIN } else { way.answer });
        }
    }
}

/// How far a connection is from its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The client is to be told that no more requests are taken.
    Due,
    /// It has been.
    Said,
}

/// What one connection may do.
fn rules() -> h2::server::Builder {
    let mut rules = h2::server::Builder::new();
    rules
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .initial_window_size(0)
        .max_send_buffer_size(PENDING_BYTES_MAX)
        .max_pending_accept_reset_streams(RESET_UNSEEN_MAX)
        .max_concurrent_reset_streams(RESET_REMEMBERED_MAX)
        .max_local_error_reset_streams(Some(ERRORS_MAX));
    rules
}

/// Requests at once on one connection: as many as RFC 9113 §6.5.2 asks for at least. A player has four; a cache that asks for many spaces has more.
const STREAMS_MAX: u32 = 100;
/// Of an answer, bytes that the library may hold until the client takes them: one frame, and about a segment.
const PENDING_BYTES_MAX: usize = 16 * 1024;
/// Requests taken back before we have seen them: the library ends the connection beyond it. A player that is closed takes back what it had.
const RESET_UNSEEN_MAX: usize = 20;
/// Requests ended by us of which the library remembers that frames may still come.
const RESET_REMEMBERED_MAX: usize = 20;
/// Requests that break the protocol, in all, before the connection ends.
const ERRORS_MAX: usize = 64;
/// Requests taken back while they were answered (CVE-2023-44487), or answered to nobody who reads, before the connection ends. Each that is
/// answered makes up for one: players take back what they no longer need, and never more than they get.
const DROPPED_MAX: u32 = 100;
