//! Files have run out: nobody is accepted, nobody is dropped, and the processor is not spent on it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hiwar_delivery::http::Access;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::rig::{Client, Rig, WAIT, pause};

/// A worker in a process of its own, which has few files.
struct Poor {
    process: Child,
    orders: ChildStdin,
    told: BufReader<ChildStdout>,
    address: SocketAddr,
}

/// What the worker says of itself.
#[derive(Debug)]
struct Told {
    accepted: u64,
    exhausted: u64,
    /// Of the whole process.
    cpu: Duration,
}

impl Poor {
    fn new() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "exhausted::worker", "--ignored", "--nocapture"]).env("HIWAR_TEST_WORKER", "poor");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let (orders, told) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut poor = Self { process, orders, told, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        poor.address = poor.hear("address").parse().unwrap();
        poor
    }

    /// The rest of the next line that begins so.
    fn hear(&mut self, word: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.told.read_line(&mut line).unwrap(), 0, "the worker has died");
            // The harness says something of its own, and ends no line before the test has.
            if let Some((_, rest)) = line.split_once(&format!("{word} ")) {
                return rest.trim().to_owned();
            }
        }
    }

    fn look(&mut self) -> Told {
        writeln!(self.orders, "look").unwrap();
        let line = self.hear("told");
        let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        Told { accepted: numbers[0], exhausted: numbers[1], cpu: Duration::from_micros(numbers[2]) }
    }

    fn until(&mut self, what: &str, so: impl Fn(&Told) -> bool) -> Told {
        let begin = Instant::now();
        loop {
            let told = self.look();
            if so(&told) {
                return told;
            }
            assert!(begin.elapsed() < WAIT, "in vain: {what}; {told:?}");
            pause(Duration::from_millis(20));
        }
    }

    fn chunk(&mut self, position: u64) {
        writeln!(self.orders, "chunk {position}").unwrap();
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        Client(stream)
    }
}

impl Drop for Poor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The other process; run by the test below.
#[test]
#[ignore = "a part of files_that_run_out_stop_nobody_who_is_there_and_are_found_again"]
fn worker() {
    if std::env::var_os("HIWAR_TEST_WORKER").is_none() {
        return;
    }
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.chunks("demo", 0..3);
    let folder = rig.folder.path().join("spaces/demo/replay");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("replay.ogg"), "recorded").unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(open + FILES), ..getrlimit(Resource::Nofile) }).unwrap();
    println!("\naddress {}", rig.address);
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        if let Some(position) = order.strip_prefix("chunk ") {
            let position: u64 = position.parse().unwrap();
            rig.chunks("demo", position..position + 1);
        } else {
            let (stats, cpu) = (rig.handle.stats(), clock_gettime(ClockId::ProcessCPUTime));
            let cpu_us = cpu.tv_sec * 1_000_000 + cpu.tv_nsec / 1_000;
            println!("told {} {} {cpu_us}", stats.accepted_total, stats.exhausted_total);
        }
    }
}

/// For connections, and whatever a worker opens for them.
const FILES: u64 = 20;

#[test]
fn files_that_run_out_stop_nobody_who_is_there_and_are_found_again() {
    let mut poor = Poor::new();
    let mut ear = poor.client();
    ear.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    ear.hear_until("m2;");
    let mut kept = poor.client();
    kept.say("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    kept.hear_until("ok\n");
    // A browser's are idle between its requests; these never ask.
    let mut crowd: Vec<Client> = (0..40).map(|_| poor.client()).collect();
    let before = poor.until("files run out", |told| told.exhausted > 0);
    assert!(before.accepted <= 2 + FILES, "{before:?}");
    let began = Instant::now();
    pause(Duration::from_secs(1));
    poor.chunk(3);
    assert_eq!(ear.hear_until("m3;"), "m3;", "who listens hears on");
    // It may well be there.
    kept.say("GET /replay/demo.ogg HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(kept.hear_until("}").starts_with("HTTP/1.1 503"));
    let after = poor.look();
    let (times, took) = (after.exhausted - before.exhausted, began.elapsed());
    // Four times a second, whatever a busy machine makes of a second.
    assert!(times <= 2 + took.as_millis() as u64 / 250, "tried {times} times in {took:?}");
    assert!(times >= 1, "it is told while it lasts");
    let spent = after.cpu - before.cpu;
    assert!(spent < took / 4, "{spent:?} of the processor in {took:?}");
    // Someone leaves: whoever waited in the kernel's queue is next, and is answered.
    crowd.drain(..crowd.len() - 1);
    let mut last = crowd.pop().unwrap();
    last.say("GET /replay/demo.ogg HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(last.answer().body, "recorded");
    poor.until("all were accepted", |told| told.accepted == 42);
}
