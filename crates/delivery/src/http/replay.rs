//! Recordings and the past of what is live, sent by helper threads: only they wait for disks.
//!
//! Each helper is an epoll of its own over non-blocking sockets, and `sendfile` in bounded turns, so that a few threads carry many
//! listeners and a slow one delays nobody. Afterwards the connection goes back to the fan-out thread.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hiwar_segment_log::LogId;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::Place;
use super::clips::{Clips, Cut};
use super::mailbox::{Inbox, Mail, Outbox, mailbox};
use super::neighbours::{Neighbours, Share};
use super::rewind::Shelf;
use super::room::{Help, Room};
use super::slab::{Slab, Token};
use super::socket::{self, Moved};
use super::stream::Stream;
use super::tls::RECORD_BYTES_MAX;
use super::worker::Returned;
use crate::answer::{Replay, ReplayForm};
use crate::playlist;
use crate::problem::{Keep, Problem};
use crate::range::{self, Meta};
use crate::request::Method;
use crate::rewind::Rewind;
use crate::shed::Limits;
use crate::tail::Access;

/// The helpers of one worker.
pub(super) struct Pool {
    helpers: Vec<Outbox<Job>>,
    room: Room,
    limit: usize,
    neighbours: Neighbours,
    turn: usize,
}

/// Room for one recording; free when dropped.
pub(super) struct Reader {
    _place: Place,
    _share: Share,
}

/// What a helper is to send.
pub(super) enum Wish {
    /// A part of a recording.
    Replay(Replay),
    /// A part of the past of a log.
    Rewind(Rewind),
}

struct Job {
    wish: Wish,
    socket: Stream,
    peer: SocketAddr,
    read: Vec<u8>,
    reader: Reader,
}

impl Pool {
    /// Starts [`HELPERS`] threads over the folder of all logs. They end when the pool is dropped.
    pub(super) fn start(
        root: PathBuf,
        cut: &Cut,
        limits: &Limits,
        returns: Outbox<Returned>,
        room: Room,
    ) -> io::Result<Self> {
        let limit = limits.replays;
        let shelf = Arc::new(Shelf::new(root.clone()));
        let helpers = (0..HELPERS).map(|_| {
            let (outbox, inbox) = mailbox(limit + 1)?;
            let (root, returns) = (root.clone(), returns.clone());
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            epoll::add(&epoll, inbox.bell(), EventData::new_u64(BELL.0), EventFlags::IN)?;
            let (shelf, reading, clips) = (shelf.clone(), VecDeque::new(), Clips::new(cut.clone()));
            let (slab, patience, looked) = (Slab::default(), limits.replay_pause, Instant::now());
            let helper = Helper { root, shelf, clips, epoll, inbox, returns, slab, reading, patience, looked };
            std::thread::Builder::new().name("replay".into()).spawn(move || helper.run())?;
            Ok(outbox)
        });
        let neighbours = Neighbours::new(limits.replays_each);
        Ok(Self { helpers: helpers.collect::<io::Result<_>>()?, room, limit, neighbours, turn: 0 })
    }

    /// Room for one more of whoever is at that address, if there is any.
    pub(super) fn reader(&mut self, peer: SocketAddr) -> Option<Reader> {
        let share = self.neighbours.take(peer)?;
        Some(Reader { _place: self.room.take(Help::Replay, self.limit)?, _share: share })
    }

    /// Whether no recording is being sent.
    pub(super) fn is_idle(&self) -> bool {
        self.room.counter(Help::Replay).load(Relaxed) == 0
    }

    /// Gives a connection to a helper. Never waits: whoever has a place finds room in the queue.
    pub(super) fn send(&mut self, wish: Wish, socket: Stream, peer: SocketAddr, read: Vec<u8>, reader: Reader) {
        self.turn = (self.turn + 1) % self.helpers.len().max(1);
        if let Some(helper) = self.helpers.get(self.turn) {
            // Full or gone only if a helper has died: then the connection closes.
            let _ = helper.try_send(Job { wish, socket, peer, read, reader });
        }
    }
}

struct Helper {
    root: PathBuf,
    shelf: Arc<Shelf>,
    clips: Clips,
    epoll: OwnedFd,
    inbox: Inbox<Job>,
    returns: Outbox<Returned>,
    slab: Slab<Sending>,
    /// Wishes for which there is more to read, in turn; each has a place, so there are no more than those.
    reading: VecDeque<Job>,
    patience: Duration,
    looked: Instant,
}

struct Sending {
    socket: Stream,
    peer: SocketAddr,
    read: Vec<u8>,
    keep: Keep,
    /// Head, or head and a whole small body.
    head: Bytes,
    /// What comes after it from memory, before what comes from the file.
    body: Bytes,
    file: Option<File>,
    offset: u64,
    end: u64,
    /// Bytes that the client took since it was last judged, and when that was.
    moved: u64,
    judged: Instant,
    _reader: Reader,
}

impl Helper {
    fn run(mut self) {
        let mut events: Vec<Event> = Vec::with_capacity(256);
        loop {
            events.clear();
            // With something to read there is always something to do; who can be sent to is seen to in between.
            let wait = if self.reading.is_empty() { self.patience / LOOKS } else { Duration::ZERO };
            // Cannot fail: it is less than minutes.
            let wait = Timespec::try_from(wait).unwrap_or_default();
            let wait = (!self.reading.is_empty() || self.slab.len() > 0).then_some(&wait);
            match epoll::wait(&self.epoll, spare_capacity(&mut events), wait) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(why) => {
                    tracing::error!("a replay helper ends: {why}");
                    return;
                }
            }
            for event in &events {
                let token = Token(event.data.u64());
                if token == BELL {
                    self.inbox.hush();
                    loop {
                        match self.inbox.take() {
                            Mail::Item(job) => self.begin(job),
                            Mail::Empty => break,
                            Mail::Over => return,
                        }
                    }
                } else {
                    self.step(token);
                }
            }
            if let Some(job) = self.reading.pop_front() {
                self.begin(job);
            }
            self.look_at_the_clock(Instant::now());
        }
    }

    /// Now and then: lets go of whoever takes next to nothing. A kernel that takes nothing at all is found by its own clock.
    fn look_at_the_clock(&mut self, now: Instant) {
        if now - self.looked < self.patience / LOOKS {
            return;
        }
        self.looked = now;
        let tokens: Vec<Token> = self.slab.tokens().collect();
        for token in tokens {
            let Some(sending) = self.slab.get(token) else { continue };
            if now - sending.judged < self.patience {
                continue;
            }
            if sending.moved < TAKEN_BYTES_MIN {
                self.slab.remove(token.index());
            } else {
                (sending.moved, sending.judged) = (0, now);
            }
        }
    }

    fn begin(&mut self, job: Job) {
        match &job.wish {
            Wish::Replay(replay) => {
                let (opened, keep) = (self.open(replay), replay.keep);
                self.send(opened, keep, job);
            }
            Wish::Rewind(rewind) => match self.shelf.answer(rewind) {
                Some(head) => {
                    let keep = rewind.keep;
                    self.send(Opened::said(head), keep, job);
                }
                None => self.reading.push_back(job),
            },
        }
    }

    fn open(&mut self, replay: &Replay) -> Opened {
        let now = SystemTime::now();
        let folder = self.root.join(replay.log.as_str()).join("replay");
        let opened = match replay.form {
            ReplayForm::Clip(clip) => match self.clips.get(replay.log, &folder, clip) {
                Ok((bytes, meta)) => Ok(part(replay, meta, Content::Memory(bytes), now)),
                Err(why) => Err(why.problem(replay.log)),
            },
            _ => open(&folder, replay, now).map_err(|why| problem(replay.log, &why)),
        };
        opened.unwrap_or_else(|problem| {
            let (mut head, body) = problem.answer(replay.language, Some(replay.method), replay.keep, now);
            head.extend_from_slice(&body);
            Opened::said(head)
        })
    }

    fn send(&mut self, opened: Opened, keep: Keep, job: Job) {
        let Job { socket, peer, read, reader, .. } = job;
        socket::be_patient(socket.socket());
        let Range { start, end } = opened.bytes;
        let (body, file) = match opened.content {
            Content::Nothing => (Bytes::new(), None),
            Content::File(file) => (Bytes::new(), Some(file)),
            // Positions in what is held are sizes.
            Content::Memory(bytes) => (bytes.slice(start as usize..end as usize), None),
        };
        let sending = Sending {
            socket,
            peer,
            read,
            keep,
            head: Bytes::from(opened.head),
            body,
            file,
            offset: start,
            end,
            moved: 0,
            judged: Instant::now(),
            _reader: reader,
        };
        let token = self.slab.insert(sending);
        if let Some(sending) = self.slab.get(token)
            && epoll::add(&self.epoll, &sending.socket, EventData::new_u64(token.0), EventFlags::OUT).is_err()
        {
            self.slab.remove(token.index());
        }
    }

    fn step(&mut self, token: Token) {
        let Some(sending) = self.slab.get(token) else { return };
        let before = sending.offset;
        let progress = sending.step();
        sending.moved += sending.offset - before;
        let end = match progress {
            Progress::More => return,
            Progress::Broken => None,
            Progress::Done => Some(()),
        };
        let Some(sending) = self.slab.remove(token.index()) else { return };
        let _ = epoll::delete(&self.epoll, &sending.socket);
        if end.is_some() {
            let Sending { socket, peer, read, keep, .. } = sending;
            socket::be_impatient(socket.socket());
            self.returns.send(Returned { socket, peer, read, keep, answer: None });
        }
    }
}

enum Progress {
    More,
    Done,
    Broken,
}

impl Sending {
    fn step(&mut self) -> Progress {
        while !self.head.is_empty() {
            match self.socket.write(&self.head) {
                Moved::Bytes(bytes) => self.head = self.head.slice(bytes..),
                Moved::Later => return Progress::More,
                _ => return Progress::Broken,
            }
        }
        while !self.body.is_empty() {
            match self.socket.write(&self.body) {
                Moved::Bytes(bytes) => {
                    self.body = self.body.slice(bytes..);
                    self.moved += bytes as u64;
                }
                Moved::Later => return Progress::More,
                _ => return Progress::Broken,
            }
        }
        if self.socket.is_secure() {
            return self.step_secure();
        }
        let Some(file) = self.file.as_ref().filter(|_| self.offset < self.end) else { return Progress::Done };
        let count = usize::try_from(self.end - self.offset).unwrap_or(TURN_BYTES).min(TURN_BYTES);
        match rustix::fs::sendfile(self.socket.as_fd(), file.as_fd(), Some(&mut self.offset), count) {
            // The file is shorter than it was: the length was promised, so all that is left is to close.
            Ok(0) => Progress::Broken,
            Ok(_) if self.offset >= self.end => Progress::Done,
            Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Progress::More,
            Err(_) => Progress::Broken,
        }
    }

    /// The same through TLS, which the kernel does not speak for us: record by record.
    fn step_secure(&mut self) -> Progress {
        let mut record = [0; RECORD_BYTES_MAX];
        let turn = self.offset.saturating_add(TURN_BYTES as u64);
        while let Some(file) = self.file.as_ref().filter(|_| self.offset < self.end) {
            if self.offset >= turn {
                return Progress::More;
            }
            let count = usize::try_from(self.end - self.offset).unwrap_or(RECORD_BYTES_MAX).min(RECORD_BYTES_MAX);
            let read = match rustix::io::pread(file, record.get_mut(..count).unwrap_or_default(), self.offset) {
                Ok(0) => return Progress::Broken,
                Ok(read) => read,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return Progress::Broken,
            };
            match self.socket.write(record.get(..read).unwrap_or_default()) {
                Moved::Bytes(bytes) => self.offset += bytes as u64,
                Moved::Later => return Progress::More,
                _ => return Progress::Broken,
            }
        }
        match self.socket.flush() {
            Moved::Bytes(_) => Progress::Done,
            Moved::Later => Progress::More,
            _ => Progress::Broken,
        }
    }
}

struct Opened {
    head: Vec<u8>,
    content: Content,
    /// Which bytes of the content.
    bytes: Range<u64>,
}

enum Content {
    Nothing,
    File(File),
    Memory(Bytes),
}

impl Opened {
    /// All of it is in the head.
    fn said(head: Vec<u8>) -> Self {
        Self { head, content: Content::Nothing, bytes: 0..0 }
    }
}

/// What to say of a recording that cannot be opened.
pub(super) fn problem(log: LogId, why: &io::Error) -> Problem {
    match why.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Problem::NotFound,
        io::ErrorKind::ResourceBusy => Problem::Busy,
        _ => {
            // It may well be there: files have run out, or the disk is ill. Nobody is told that it is not.
            tracing::warn!(%log, "cannot open a recording: {why}");
            Problem::Busy
        }
    }
}

fn open(folder: &Path, replay: &Replay, now: SystemTime) -> io::Result<Opened> {
    let mut file = File::open(folder.join(replay.form.file_name()))?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.file_type().is_fifo() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if let Some(pass) = replay.pass.as_ref().filter(|_| replay.form == ReplayForm::Playlist) {
        let mut text = String::new();
        Read::by_ref(&mut file).take(PLAYLIST_BYTES_MAX).read_to_string(&mut text)?;
        let text = playlist::with_pass(&text, pass);
        let mut head = crate::head::Head::new(200, now)
            .field("Content-Type", replay.form.mime())
            .field("Content-Length", text.len())
            .field("Cache-Control", cache(replay))
            .field("Access-Control-Allow-Origin", "*")
            .maybe("Connection", (replay.keep == Keep::Close).then_some("close"))
            .end();
        if replay.method != Method::Head {
            head.extend_from_slice(text.as_bytes());
        }
        return Ok(Opened::said(head));
    }
    let meta = Meta { bytes: meta.len(), modified: meta.modified()? };
    Ok(part(replay, meta, Content::File(file), now))
}

/// The part of the content that is wished for.
fn part(replay: &Replay, meta: Meta, content: Content, now: SystemTime) -> Opened {
    let part = range::answer(&replay.wish, meta, replay.form.mime(), cache(replay), replay.keep, now);
    let bytes = if replay.method == Method::Head { 0..0 } else { part.bytes };
    Opened { head: part.head, content, bytes }
}

fn cache(replay: &Replay) -> &'static str {
    if replay.access == Access::Open { "public, max-age=60" } else { "private, no-cache" }
}

/// What a client must take in [`Limits::replay_pause`]: a tenth of what speech takes at 32 kbit/s in three minutes.
const TAKEN_BYTES_MIN: u64 = 64 * 1024;
/// Looks at the clock in one such pause.
const LOOKS: u32 = 8;
/// Enough that one thread waiting for a disk does not stop all replays.
const HELPERS: usize = 2;
/// Bytes sent for one listener before the next has a turn: a few seconds of sound for players that read ahead.
const TURN_BYTES: usize = 256 * 1024;
/// A playlist of 10 hours at 4 s has 9,000 lines of about 60 bytes twice.
const PLAYLIST_BYTES_MAX: u64 = 4 << 20;
const BELL: Token = Token(u64::MAX);
