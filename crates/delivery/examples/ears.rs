//! Measures one worker by hand: `ears LISTENERS SECONDS`, with `hiwar-delivery` in a thread pinned to core 0 and many listeners in
//! another on core 1. Prints the worker's CPU and how late chunks were.
//!
//! The listeners are polled on a 2 ms timer: a reader that is woken by every send slows the sender it measures.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hiwar_delivery::clip::Unclippable;
use hiwar_delivery::http::{Access, Config, Uncut, Update, Way, Worker};
use hiwar_segment_log::{Epoch, Header, Kind, LogId, Parts, Position, Record, Rendition};
use rustix::thread::{CpuSet, sched_setaffinity};

const CADENCE: Duration = Duration::from_millis(200);
/// 48 kbit/s.
const CHUNK_BYTES: usize = 1_200;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("a number"));
    let listeners = arguments.next().unwrap_or(5_000);
    let seconds = arguments.next().unwrap_or(10);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let log = LogId::parse("ears").expect("a name");
    let config = Config {
        keys: hiwar_admission::CrowdKeys::new(&[0; 32].into(), [0; 32]),
        replay_root: "none".into(),
        cut: std::sync::Arc::new(|_, _, _| Err(Uncut::Refused(Unclippable::Forbidden))),
        serves: hiwar_delivery::http::Serves::Crowd,
        security: hiwar_delivery::http::Security::Plain,
        hls_name: None,
        house: "none".into(),
        elsewhere: None,
        origin: "http://localhost".into(),
        proxies: hiwar_delivery::http::Proxies::default(),
        run: 0,
        limits: None,
    };
    let worker = Worker::new(listener, config).expect("a worker");
    let handle = worker.handle();
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        pin(0);
        send.send(rustix::thread::gettid().as_raw_nonzero()).expect("someone waits");
        worker.run()
    });
    let worker_thread = receive.recv().expect("it began").get();
    pin(1);
    handle.push(Update::Open {
        log,
        access: Access::Open,
        header: header(),
        notices: Vec::new(),
        fields: Vec::new(),
        door: Way::Open,
    });

    let begin = Instant::now();
    let mut ears: Vec<TcpStream> = (0..listeners).map(|_| join(address)).collect();
    while handle.counts(usize::MAX).first().is_none_or(|count| (count.audience.listening as usize) < listeners) {
        tick();
    }
    println!("joined {listeners} in {:.2} s", begin.elapsed().as_secs_f64());
    for ear in &mut ears {
        ear.set_nonblocking(true).expect("non-blocking");
    }
    let mut heard = vec![0usize; ears.len()];
    drain(&mut ears, &mut heard);
    heard.fill(0);

    let chunks = seconds * 5;
    let (cpu_before, begin) = (cpu_ms(worker_thread), Instant::now());
    let mut lateness_ms: Vec<f64> = Vec::with_capacity(chunks * listeners);
    let mut sent = 0;
    let mut due: Vec<Instant> = Vec::new();
    let mut complete = vec![0usize; ears.len()];
    while complete.iter().any(|&n| n < chunks) && begin.elapsed() < CADENCE * chunks as u32 + Duration::from_secs(5) {
        if sent < chunks && begin.elapsed() >= CADENCE * sent as u32 {
            due.push(begin + CADENCE * sent as u32);
            handle.push(Update::Chunk { log, record: chunk(sent as u64) });
            sent += 1;
        }
        drain(&mut ears, &mut heard);
        let now = Instant::now();
        for (complete, &heard) in complete.iter_mut().zip(&heard) {
            while *complete < heard / CHUNK_BYTES {
                lateness_ms.push(now.duration_since(due[*complete]).as_secs_f64() * 1_000.0);
                *complete += 1;
            }
        }
        tick();
    }
    let wall_ms = begin.elapsed().as_millis() as f64;
    let cpu = (cpu_ms(worker_thread) - cpu_before) as f64 / wall_ms * 100.0;
    lateness_ms.sort_by(f64::total_cmp);
    let at =
        |quantile: f64| lateness_ms.get((lateness_ms.len() as f64 * quantile) as usize).copied().unwrap_or(f64::NAN);
    println!(
        "{{\"listeners\":{listeners},\"worker_cpu_percent\":{cpu:.1},\"expected\":{},\"heard\":{},\"lateness_ms_p50\":{:.1},\"lateness_ms_p99\":{:.1},\"stats\":\"{:?}\"}}",
        chunks * listeners,
        lateness_ms.len(),
        at(0.5),
        at(0.99),
        handle.stats()
    );
    handle.push(Update::Stop);
    thread.join().expect("no panic").expect("no failure");
}

/// The listeners' clock.
#[allow(clippy::disallowed_methods, reason = "being woken by every send is what a measurement must not do")]
fn tick() {
    std::thread::sleep(Duration::from_millis(2));
}

fn join(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(b"GET /listen/ears.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
    stream
}

fn drain(ears: &mut [TcpStream], heard: &mut [usize]) {
    let mut buffer = [0; 16 * 1024];
    for (ear, heard) in ears.iter_mut().zip(heard) {
        while let Ok(bytes) = ear.read(&mut buffer) {
            *heard += bytes;
            if bytes < buffer.len() {
                break;
            }
        }
    }
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(why) = sched_setaffinity(None, &set) {
        println!("not pinned: {why}");
    }
}

/// User and system time of one thread of ours, from its `stat` (fields 14 and 15, in hundredths of a second).
fn cpu_ms(thread: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let field = |n: usize| fields.get(n).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    (field(11) + field(12)) * 10
}

fn header() -> Record {
    let rendition = Rendition {
        part: 0,
        name: "mp4".into(),
        mime: "audio/mp4; codecs=\"opus\"".into(),
        codecs: "opus".into(),
        init: Bytes::from_static(&[0; 700]),
    };
    let header = Header { timescale: 48_000, chunk_duration: 9_600, renditions: vec![rendition], begun_wall_us: 0 };
    record(0, Kind::Header, header.to_body())
}

fn chunk(position: u64) -> Record {
    record(position, Kind::Chunk, Parts::new().push(0, &[0; CHUNK_BYTES]).finish())
}

fn record(position: u64, kind: Kind, body: Bytes) -> Record {
    let (position, epoch) = (Position(position), Epoch(1));
    Record { position, epoch, kind, time: position.0 * 9_600, duration: 9_600, wall_us: wall_us(), body }
}

/// Now: what is long past is in nobody's burst.
fn wall_us() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .map_or(0, |now| now.as_micros() as u64)
}
