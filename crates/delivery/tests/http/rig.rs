//! A worker in a thread, clients that wait no longer than ten seconds, and logs whose chunks are recognisable.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hiwar_admission::CrowdKeys;
use hiwar_admission::ladder::Cadence;
use hiwar_delivery::clip::{Clip, Unclippable};
use hiwar_delivery::http::{
    Access, CadenceNotice, Config, Count, Document, DoorMap, Handle, Limits, Notices, Proxies, Security, Serves, Uncut,
    Update, Way, Worker,
};
use hiwar_segment_log::{Epoch, Header, Kind, LogId, Parts, Position, Record, Rendition};

/// Longer than anything here takes; a test that reaches it has failed.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// What the house calls the worker.
pub(crate) const RUN: u64 = 7;

/// Where a worker under TLS serves HLS alone, once it has a certificate for it.
pub(crate) const HLS_NAME: &str = "hls.localhost";

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) folder: tempfile::TempDir,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Limits::for_files(20_000))
    }

    /// A worker that knows everything: nothing yet.
    pub(crate) fn with(limits: Limits) -> Self {
        let rig = Self::untold(limits);
        rig.handle.push(Update::Whole);
        rig
    }

    /// A worker that has just begun, and has been told nothing.
    pub(crate) fn untold(limits: Limits) -> Self {
        Self::speaking(Security::Plain, limits)
    }

    /// A worker under TLS that knows everything, but has no certificate yet.
    pub(crate) fn secure(limits: Limits) -> Self {
        let rig = Self::speaking(Security::Tls, limits);
        rig.handle.push(Update::Whole);
        rig
    }

    /// The worker on the stage port, which knows everything.
    pub(crate) fn stage(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config { serves: Serves::Stage, ..config(folder.path(), Security::Plain, limits) };
        let rig = Self::run(Worker::new(listener, config).unwrap(), address, folder);
        rig.handle.push(Update::Whole);
        rig
    }

    /// A worker that knows everything, and of an origin where others carry HLS.
    pub(crate) fn with_elsewhere(origin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let usual = config(folder.path(), Security::Plain, Limits::for_files(20_000));
        let config = Config { elsewhere: Some(origin.to_owned()), ..usual };
        let rig = Self::run(Worker::new(listener, config).unwrap(), address, folder);
        rig.handle.push(Update::Whole);
        rig
    }

    /// A worker that believes these proxies, and knows everything.
    pub(crate) fn behind(security: Security, proxies: Proxies) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Config { proxies, ..config(folder.path(), security, Limits::for_files(20_000)) };
        let rig = Self::run(Worker::new(listener, config).unwrap(), address, folder);
        rig.handle.push(Update::Whole);
        rig
    }

    fn speaking(security: Security, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let worker = Worker::new(listener, config(folder.path(), security, limits)).unwrap();
        Self::run(worker, address, folder)
    }

    /// A second worker on the socket of another, that leaves who comes to it until it was told everything.
    pub(crate) fn successor(listener: TcpListener) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = listener.local_addr().unwrap();
        let config = config(folder.path(), Security::Plain, Limits::for_files(20_000));
        Self::run(Worker::new(listener, config).unwrap().accept_once_told(WAIT), address, folder)
    }

    /// A worker over the same logs as another, that was told that it knows everything.
    pub(crate) fn beside(other: &Self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = config(other.folder.path(), Security::Plain, Limits::for_files(20_000));
        let rig = Self::run(Worker::new(listener, config).unwrap(), address, folder);
        rig.handle.push(Update::Whole);
        rig
    }

    /// A worker on this socket that knows everything.
    pub(crate) fn on(listener: TcpListener) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = listener.local_addr().unwrap();
        let config = config(folder.path(), Security::Plain, Limits::for_files(20_000));
        let rig = Self::run(Worker::new(listener, config).unwrap(), address, folder);
        rig.handle.push(Update::Whole);
        rig
    }

    fn run(worker: Worker, address: SocketAddr, folder: tempfile::TempDir) -> Self {
        let handle = worker.handle();
        let thread = std::thread::spawn(move || worker.run());
        Self { address, handle, folder, thread: Some(thread) }
    }

    /// Waits until the worker has ended by itself.
    pub(crate) fn ended(mut self) {
        let thread = self.thread.take().expect("a thread");
        self.until("the end", |_| thread.is_finished());
        thread.join().unwrap().unwrap();
    }

    pub(crate) fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_write_timeout(Some(WAIT)).unwrap();
        Client(stream)
    }

    /// Sends a whole request and returns everything until the worker closes.
    pub(crate) fn ask(&self, request: &str) -> Answer {
        let mut client = self.client();
        client.say(request);
        client.answer()
    }

    pub(crate) fn open(&self, log: &str, access: Access) {
        self.open_to(log, access, Way::Open);
    }

    /// As above, to whom it says.
    pub(crate) fn open_to(&self, log: &str, access: Access, door: Way) {
        let (header, notices) = (header_record(), vec![notices()]);
        self.handle.push(Update::Open { log: id(log), access, header, notices, fields: vec![], door });
    }

    /// A log goes on with fewer renditions: whoever listens has to come again.
    pub(crate) fn open_with_fewer(&self, log: &str, access: Access) {
        let mut header = Header::from_body(&header_record().body).unwrap();
        header.renditions.pop();
        let (header, notices) = (record(0, Kind::Header, header.to_body()), vec![notices()]);
        self.handle.push(Update::Open { log: id(log), access, header, notices, fields: vec![], door: Way::Open });
    }

    /// Where its door is.
    pub(crate) fn door_file(&self, log: &str) -> PathBuf {
        self.folder.path().join(format!("{log}.door"))
    }

    /// As above, with a door.
    pub(crate) fn open_with_door(&self, log: &str, access: Access) {
        let map = DoorMap::open_or_make(&self.door_file(log)).unwrap();
        self.open_to(log, access, Way::Door(Arc::new(map)));
    }

    /// Tells of chunks, and returns when the worker has taken them.
    pub(crate) fn chunks(&self, log: &str, positions: std::ops::Range<u64>) {
        positions.for_each(|n| self.handle.push(Update::Chunk { log: id(log), record: chunk(n, 0) }));
        self.taken();
    }

    /// Waits until the worker has taken all that it was told: a document whose body is let go when it is forgotten.
    pub(crate) fn taken(&self) {
        struct Body(#[expect(dead_code, reason = "it is dropped")] std::sync::mpsc::Sender<()>);
        impl AsRef<[u8]> for Body {
            fn as_ref(&self) -> &[u8] {
                b""
            }
        }
        let (body, gone) = std::sync::mpsc::channel();
        let document = Document { body: Bytes::from_owner(Body(body)), ..document("") };
        self.handle.push(Update::Document { path: "/last".into(), document });
        self.handle.push(Update::Forget { path: "/last".into() });
        assert_eq!(
            gone.recv_timeout(WAIT),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected),
            "the worker has stopped"
        );
    }

    pub(crate) fn listening(&self, log: &str) -> u32 {
        self.counts().iter().find(|count| count.log == id(log)).map_or(0, |count| count.audience.listening)
    }

    /// What the worker counts, as it is told to the house.
    pub(crate) fn counts(&self) -> Vec<Count> {
        self.handle.counts(usize::MAX)
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !so(self) {
            assert!(begin.elapsed() < WAIT, "in vain: {what}; {:?}", self.handle.stats());
            std::thread::yield_now();
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.handle.push(Update::Stop);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

fn config(folder: &Path, security: Security, limits: Limits) -> Config {
    Config {
        keys: CrowdKeys::new(&[7; 32].into(), [7; 32]),
        replay_root: folder.join("spaces"),
        cut: Arc::new(cut),
        house: folder.join("api.sock"),
        serves: Serves::Crowd,
        security,
        hls_name: (security == Security::Tls).then(|| String::from(HLS_NAME)),
        elsewhere: None,
        origin: "https://talk.example".into(),
        proxies: Proxies::default(),
        run: RUN,
        limits: Some(limits),
    }
}

/// Recordings of text here, of a letter for each 100 ms.
fn cut(log: LogId, folder: &Path, clip: Clip) -> Result<Vec<u8>, Uncut> {
    let all = std::fs::read(folder.join("replay.mp4"))?;
    let part = all.get(clip.from_ms as usize / 100..clip.to_ms as usize / 100);
    let part = part.ok_or(Uncut::Refused(Unclippable::Outside))?;
    Ok([format!("{log} {:?} ", clip.form).as_bytes(), part].concat())
}

/// What listeners of `mp4` can be told; those of others cannot.
fn notices() -> Notices {
    let cadence = |cadence: Cadence| CadenceNotice {
        cadence,
        lead: Duration::from_millis(100),
        soon: format!("soon{};", cadence.ms()).into(),
        now: format!("now{};", cadence.ms()).into(),
    };
    Notices { away: "away;".into(), cadences: Cadence::ALL.map(cadence).to_vec() }
}

/// Lets time pass: for what must not happen in it.
pub(crate) fn pause(time: Duration) {
    let (_kept, nothing) = std::sync::mpsc::channel::<()>();
    let _ = nothing.recv_timeout(time);
}

pub(crate) fn id(text: &str) -> LogId {
    LogId::parse(text).unwrap()
}

pub(crate) fn header_record() -> Record {
    let rendition = |part, name: &str, mime: &str| Rendition {
        part,
        name: name.into(),
        mime: mime.into(),
        codecs: "opus".into(),
        init: Bytes::from(format!("init-{name};")),
    };
    let header = Header {
        timescale: 48_000,
        chunk_duration: 9_600,
        renditions: vec![rendition(0, "mp4", "audio/mp4; codecs=\"opus\""), rendition(1, "ogg", "audio/ogg")],
        begun_wall_us: 0,
    };
    record(0, Kind::Header, header.to_body())
}

/// A chunk that says its number, followed by `padding` bytes.
pub(crate) fn chunk(position: u64, padding: usize) -> Record {
    let form = |letter: char| format!("{letter}{position}{};", ".".repeat(padding)).into_bytes();
    record(position, Kind::Chunk, Parts::new().push(0, &form('m')).push(1, &form('o')).finish())
}

/// Its lean form, with a padding of another kind.
pub(crate) fn lean(position: u64, padding: usize) -> Record {
    let form = |letter: char| format!("{letter}{position}{};", ",".repeat(padding)).into_bytes();
    record(position, Kind::Chunk, Parts::new().push(0, &form('M')).push(1, &form('O')).finish())
}

fn record(position: u64, kind: Kind, body: Bytes) -> Record {
    let (position, epoch) = (Position(position), Epoch(1));
    // From now on, so that none is too old for a burst; and the same whenever the same chunk is made.
    static BEGUN_US: LazyLock<u64> =
        LazyLock::new(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64);
    let wall_us = *BEGUN_US + position.0 * 200_000;
    Record { position, epoch, kind, time: position.0 * 9_600, duration: 9_600, wall_us, body }
}

pub(crate) fn document(body: &'static str) -> Document {
    Document {
        mime: "text/html; charset=utf-8".into(),
        etag: "v1".into(),
        cache: "no-cache".into(),
        policy: None,
        body: Bytes::from_static(body.as_bytes()),
        brotli: None,
        as_of: None,
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads up to and including `end`; panics after ten seconds or at the end of the stream.
    pub(crate) fn hear_until(&mut self, end: &str) -> String {
        let mut heard = Vec::new();
        let mut byte = [0];
        while !heard.ends_with(end.as_bytes()) {
            let read = self
                .0
                .read(&mut byte)
                .unwrap_or_else(|why| panic!("{why} after {:?}", String::from_utf8_lossy(&heard)));
            assert_eq!(read, 1, "closed after {:?}", String::from_utf8_lossy(&heard));
            heard.push(byte[0]);
        }
        String::from_utf8(heard).unwrap()
    }

    /// Reads everything until the worker closes.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let all = self.rest();
        let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {all:?}"));
        Answer { status: head[9..12].parse().unwrap(), head: format!("{head}\r\n"), body: body.to_owned() }
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn has(&self, field: &str) -> bool {
        self.head.contains(&format!("\r\n{field}\r\n"))
    }
}
