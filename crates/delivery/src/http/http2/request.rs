//! One request of HTTP/2: written as HTTP/1.1 for the fan-out, and its answer sent back as it comes.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::request::Parts;
use http::{Request, Response, header};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::neighbours::Share;
use super::super::room::Help;
use super::super::stream::Stream;
use super::super::worker::Returned;
use super::{Outcome, Way};
use crate::audience::Crowd;
use crate::problem::{Keep, Language, Problem};
use crate::proxy::FORWARDED_FOR;
use crate::request::Method;

impl Way {
    /// Room for one more request of whoever is at that address; `None` if it has as many as it may.
    fn share(&self, peer: SocketAddr) -> Option<Share> {
        self.neighbours.lock().unwrap_or_else(PoisonError::into_inner).take(peer)
    }
}

/// Why an answer could not be sent.
enum Broken {
    /// The client no longer wants it, or is gone.
    Unwanted,
    /// The fan-out did not give it.
    Ungiven,
}

impl From<h2::Error> for Broken {
    fn from(_: h2::Error) -> Self {
        Self::Unwanted
    }
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Ungiven
    }
}

/// Has a request answered. Its body, if it has one, is never read: there is no window for it.
pub(super) async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: SocketAddr,
    way: Way,
) -> Outcome {
    let (asked, _body) = request.into_parts();
    let forwarded = asked.headers.get_all(FORWARDED_FOR).iter().rev().map(|value| value.as_bytes());
    let peer = SocketAddr::new(way.proxies.client(peer.ip(), forwarded), peer.port());
    let place = way.share(peer).and_then(|share| Some((share, way.room.take(Help::Request, way.requests_max)?)));
    let problem = if !asked.uri.path().starts_with(FOLDER) {
        Some(Problem::OtherName)
    } else {
        place.is_none().then(|| {
            way.shared.turn_away(asked.uri.path(), Crowd::Audience);
            Problem::Busy
        })
    };
    let answered = tokio::select! {
        // Looked at first: what was taken back before it began costs nothing more.
        biased;
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return Outcome::Dropped,
        answered = begin(&asked, problem, peer, &way) => answered,
    };
    let sent = match answered {
        Ok(begun) => match timeout(way.answer, send(begun, &mut respond, way.stall)).await {
            Ok(sent) => sent,
            Err(_) => {
                respond.send_reset(Reason::CANCEL);
                Err(Broken::Unwanted)
            }
        },
        Err(broken) => Err(broken),
    };
    match sent {
        Ok(()) => Outcome::Answered,
        Err(Broken::Unwanted) => Outcome::Dropped,
        Err(Broken::Ungiven) => {
            // The worker ends: another will answer (RFC 9113 §8.7).
            respond.send_reset(Reason::REFUSED_STREAM);
            Outcome::Answered
        }
    }
}

/// The head of an answer, and where the rest comes from.
struct Begun {
    head: Response<()>,
    /// Read already.
    ahead: BytesMut,
    /// How much is to come, with what was read.
    body_bytes: u64,
    source: Option<UnixStream>,
}

/// Asks the fan-out, and reads the head of its answer; how long that takes is its business.
async fn begin(asked: &Parts, problem: Option<Problem>, peer: SocketAddr, way: &Way) -> Result<Begun, Broken> {
    let is_head = asked.method == http::Method::HEAD;
    if let Some(problem) = problem {
        let language = asked.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let method = if is_head { Method::Head } else { Method::Get };
        let (head, body) = problem.answer(Language::preferred(language), Some(method), Keep::Close, SystemTime::now());
        let mut ahead = BytesMut::from(&*head);
        ahead.extend_from_slice(&body);
        return read_head(&mut ahead, is_head)?.map(|head| head.with(ahead, None)).ok_or(Broken::Ungiven);
    }
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let mut source = UnixStream::from_std(ours)?;
    let socket = Stream::plain(theirs.into());
    let returned = Returned { socket, peer, read: written(asked), keep: Keep::Alive, answer: None };
    // There is room for as many as there are places.
    way.fan_out.try_send(returned).map_err(|_| Broken::Ungiven)?;
    // No buffer before there is something to read: most requests are held for most of their time.
    source.readable().await?;
    let mut ahead = BytesMut::new();
    loop {
        if let Some(head) = read_head(&mut ahead, is_head)? {
            return Ok(head.with(ahead, Some(source)));
        }
        ahead.reserve(READ_BYTES);
        if ahead.len() >= ANSWER_HEAD_BYTES_MAX || source.read_buf(&mut ahead).await? == 0 {
            return Err(Broken::Ungiven);
        }
    }
}

/// A request as the fan-out reads it: its target, and the fields that matter to HLS. The library has seen to it that none holds a line break.
fn written(asked: &Parts) -> Vec<u8> {
    let host = asked.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| asked.headers.get(header::HOST).map(|host| host.as_bytes())).unwrap_or_default();
    let target = asked.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut text = format!("{} {target} HTTP/1.1\r\nHost: ", asked.method).into_bytes();
    text.extend_from_slice(host);
    for name in &FIELDS {
        for value in asked.headers.get_all(name) {
            text.extend_from_slice(b"\r\n");
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
        }
    }
    text.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
    text
}

/// A head that was read.
struct AnswerHead {
    head: Response<()>,
    body_bytes: u64,
}

impl AnswerHead {
    fn with(self, ahead: BytesMut, source: Option<UnixStream>) -> Begun {
        Begun { head: self.head, ahead, body_bytes: self.body_bytes, source }
    }
}

/// Takes the head of an answer from what was read; `None`: there is more of it to come.
fn read_head(ahead: &mut BytesMut, is_head: bool) -> Result<Option<AnswerHead>, Broken> {
    let mut fields = [httparse::EMPTY_HEADER; ANSWER_FIELDS_MAX];
    let mut read = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head_bytes) = read.parse(ahead).map_err(|_| Broken::Ungiven)? else {
        return Ok(None);
    };
    let mut head = Response::builder().status(read.code.ok_or(Broken::Ungiven)?);
    let mut body_bytes = 0;
    for field in read.headers.iter() {
        // What is said of a connection of HTTP/1.1 means nothing here (RFC 9113 §8.2.2).
        if field.name.eq_ignore_ascii_case("connection") {
            continue;
        }
        if field.name.eq_ignore_ascii_case("content-length") && !is_head {
            let length = std::str::from_utf8(field.value).ok().and_then(|text| text.parse().ok());
            body_bytes = length.ok_or(Broken::Ungiven)?;
        }
        head = head.header(field.name, field.value);
    }
    let head = head.body(()).map_err(|_| Broken::Ungiven)?;
    ahead.advance(head_bytes);
    Ok(Some(AnswerHead { head, body_bytes }))
}

/// Sends an answer, no faster than the client takes it.
async fn send(begun: Begun, respond: &mut SendResponse<Bytes>, stall: Duration) -> Result<(), Broken> {
    let Begun { head, mut ahead, body_bytes: mut left, source } = begun;
    let mut body = respond.send_response(head, left == 0)?;
    let mut source = source;
    while left > 0 {
        if ahead.is_empty() {
            ahead.reserve(READ_BYTES);
            let read = match &mut source {
                Some(source) => source.read_buf(&mut ahead).await?,
                None => 0,
            };
            if read == 0 {
                return Err(Broken::Ungiven);
            }
        }
        let Ok(room) = timeout(stall, room(&mut body, ahead.len())).await else {
            body.send_reset(Reason::CANCEL);
            return Err(Broken::Unwanted);
        };
        let room = room?;
        let bytes = ahead.split_to(room.min(ahead.len())).freeze();
        left = left.saturating_sub(bytes.len() as u64);
        body.send_data(bytes, left == 0)?;
    }
    Ok(())
}

/// How many of `bytes` may be sent now: waits until it is at least one.
async fn room(body: &mut SendStream<Bytes>, bytes: usize) -> Result<usize, Broken> {
    body.reserve_capacity(bytes);
    loop {
        match body.capacity() {
            0 => poll_fn(|cx| body.poll_capacity(cx)).await.ok_or(Broken::Unwanted)??,
            room => return Ok(room),
        };
    }
}

/// All that is served here.
const FOLDER: &str = "/hls/";
/// Fields of a request that change an answer of HLS, or tell whom it is counted for.
const FIELDS: [header::HeaderName; 9] = [
    header::USER_AGENT,
    header::HeaderName::from_static("hiwar-rehearsal"),
    header::AUTHORIZATION,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::RANGE,
    header::IF_RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
];
/// Read at once: most answers, head and all.
const READ_BYTES: usize = 8 * 1024;
/// Our own heads are a tenth of it.
const ANSWER_HEAD_BYTES_MAX: usize = 8 * 1024;
const ANSWER_FIELDS_MAX: usize = 32;
