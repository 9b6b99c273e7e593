//! A server of our own for one test: the real binary in a directory of its own.

use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::http::{Reply, ask, try_ask};
use crate::tls::{self, Trust};

/// A hang is a failure. Longer than anything takes here on two busy cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);
/// How long a server may take to end (and what a service manager's patience is far beyond).
const END: Duration = Duration::from_secs(5);

/// Asks again and again, a hundred times a second, until there is an answer.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited too long: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A running server. Ends when it is dropped; after a failure its log is printed.
pub(crate) struct Server {
    child: Child,
    data: PathBuf,
    dir: Option<tempfile::TempDir>,
    pub(crate) public: SocketAddr,
    pub(crate) stage: SocketAddr,
    pub(crate) media: SocketAddr,
    /// Where plain HTTP is sent on.
    pub(crate) redirect: Option<SocketAddr>,
    speaks: Speaks,
    /// The pass to create spaces, from the link that is printed at the start.
    pub(crate) create_pass: String,
    said: Arc<Mutex<String>>,
}

/// What its ports speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http,
    Https,
}

/// A space as its host sees it.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    pub(crate) id: String,
    pub(crate) host_pass: String,
    pub(crate) listen_link: String,
}

/// The command, with the smallest number of processes.
pub(crate) fn command(data: &Path) -> Command {
    command_of(Path::new(env!("CARGO_BIN_EXE_hiwar")), data)
}

fn command_of(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["serve", "--public", "127.0.0.1:0", "--stage", "127.0.0.1:0", "--media-port", "0"]);
    command.args(["--workers", "1"]).arg("--data").arg(data);
    command.env("LC_ALL", "C.UTF-8").env_remove("HIWAR_LOG");
    command
}

impl Server {
    /// A server without the demo, in a new directory.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--no-demo"])
    }

    pub(crate) fn start_with(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut server = Self::start_in(dir.path(), args);
        server.dir = Some(dir);
        server
    }

    /// A server on a directory that outlives it.
    pub(crate) fn start_in(data: &Path, args: &[&str]) -> Self {
        Self::start_as(Path::new(env!("CARGO_BIN_EXE_hiwar")), data, args)
    }

    /// The same, of a program that is somewhere else.
    pub(crate) fn start_as(program: &Path, data: &Path, args: &[&str]) -> Self {
        let mut command = command_of(program, data);
        command.args(args);
        Self::start_with_command(data, command)
    }

    /// A server without the demo that says everything it does.
    pub(crate) fn start_talkative() -> Self {
        Self::start_told(&[("HIWAR_LOG", "debug")])
    }

    /// A server without the demo, with these variables in its environment.
    pub(crate) fn start_told(variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = command(dir.path());
        command.arg("--no-demo").envs(variables.iter().copied());
        let mut server = Self::start_with_command(dir.path(), command);
        server.dir = Some(dir);
        server
    }

    fn start_with_command(data: &Path, mut command: Command) -> Self {
        let addresses = data.join("run/addresses.json");
        let _ = std::fs::remove_file(&addresses);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        let said = Arc::new(Mutex::new(String::new()));
        listen(child.stdout.take().expect("piped"), said.clone());
        listen(child.stderr.take().expect("piped"), said.clone());
        let alive = |child: &mut Child| {
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "the server ended at once: {ended:?}\n{}", said.lock().unwrap());
        };
        let addresses: Value = until("addresses.json", || {
            alive(&mut child);
            serde_json::from_slice(&std::fs::read(&addresses).ok()?).ok()
        });
        let at = |name: &str| -> Option<SocketAddr> {
            let text = addresses[name].as_str()?;
            Some(text.rsplit('/').next().unwrap_or(text).parse().unwrap())
        };
        let [public, stage, media] = ["public", "stage", "media"].map(|name| at(name).expect("an address"));
        let is_secure = addresses["public"].as_str().is_some_and(|at| at.starts_with("https:"));
        let speaks = if is_secure { Speaks::Https } else { Speaks::Http };
        let create_pass = until("the greeting", || {
            alive(&mut child);
            let said = said.lock().unwrap();
            let (_, rest) = said.split_once("/#/host?token=")?;
            Some(rest.split_once('\n')?.0.trim().to_owned())
        });
        for at in [public, stage] {
            until_ready(at, speaks);
        }
        let (data, redirect) = (data.to_owned(), at("redirect"));
        Self { child, data, dir: None, public, stage, media, redirect, speaks, create_pass, said }
    }

    /// Where everything is.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// What it printed so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The supervisor's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The children that play this part (`House`, `Worker`), by what the supervisor told them.
    pub(crate) fn children(&self, part: &str) -> Vec<i32> {
        children(self.child.id()).into_iter().filter(|pid| environment(*pid).contains(part)).collect()
    }

    /// Kills the child that plays a part, as the kernel would when memory runs out, and waits for its successor's process.
    pub(crate) fn kill_child(&self, part: &str) {
        let old = *self.children(part).first().expect("a child");
        kill(old, Signal::KILL);
        until("a new child", || self.children(part).into_iter().find(|pid| *pid != old));
    }

    /// One of its processes does nothing any more, and is there.
    pub(crate) fn stop_child(&self, part: &str) {
        kill(*self.children(part).first().expect("a child"), Signal::STOP);
    }

    /// And goes on.
    pub(crate) fn resume_child(&self, part: &str) {
        kill(*self.children(part).first().expect("a child"), Signal::CONT);
    }

    /// Asks it to end as a service manager does. How it ended, and how long that took.
    pub(crate) fn stop(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        kill(self.child.id().cast_signed(), Signal::TERM);
        let status = until("the end", || self.child.try_wait().expect("a child"));
        (status, begun.elapsed())
    }

    /// Waits until the house answers (again).
    pub(crate) fn until_answered(&self) {
        until_ready(self.stage, self.speaks);
    }

    /// Waits until the house answers, and the crowd worker knows all that there is.
    pub(crate) fn until_ready(&self) {
        until_ready(self.public, self.speaks);
    }

    /// Lets the directory outlive the server: it is removed when what this returns is dropped.
    pub(crate) fn keep_dir(&mut self) -> Option<tempfile::TempDir> {
        self.dir.take()
    }

    // What a client does, in short.

    pub(crate) fn api(&self, method: &str, path: &str, pass: &str, body: Option<Value>) -> Reply {
        let bearer = format!("Bearer {pass}");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let path = format!("/api/spaces/v1/spaces{path}");
        match self.speaks {
            Speaks::Http => ask(self.stage, method, &path, &headers, body.as_bytes()),
            Speaks::Https => tls::send(self.stage, method, &path, &headers, body.as_bytes()),
        }
    }

    /// A new space.
    pub(crate) fn create(&self, wish: Value) -> Space {
        let reply = self.api("POST", "", &self.create_pass, Some(wish));
        assert_eq!(reply.status, 201, "{reply:?}");
        let made = reply.json();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Space {
            id: text(&made["space"]["id"]),
            host_pass: text(&made["host_pass"]),
            listen_link: text(&made["listen_link"]),
        }
    }

    /// A new public space that is live.
    pub(crate) fn live(&self, title: &str) -> Space {
        let space = self.create(json!({ "title": title, "audience": "public" }));
        self.host(&space, "start");
        space
    }

    /// Start or end.
    pub(crate) fn host(&self, space: &Space, what: &str) {
        let reply = self.api("POST", &format!("/{}/{what}", space.id), &space.host_pass, None);
        assert_eq!(reply.status, 200, "{what}: {reply:?}");
    }

    /// A pass to speak.
    pub(crate) fn speaker_pass(&self, space: &Space, name: &str) -> String {
        let wish = json!({ "role": "speaker", "name": name, "agreed": true });
        let reply = self.api("POST", &format!("/{}/passes", space.id), &space.host_pass, Some(wish));
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["pass"].as_str().expect("a pass").to_owned()
    }

    /// The space as the API shows it.
    pub(crate) fn view(&self, space: &Space) -> Value {
        let reply = self.api("GET", &format!("/{}", space.id), &space.host_pass, None);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Waits until a space is as wished.
    pub(crate) fn until_view(&self, space: &Space, what: &str, wish: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.view(space)).filter(|view| wish(view)))
    }

    /// What `hiwar log verify` says of a space's log: its exit code and its words.
    pub(crate) fn verify(&self, space: &str) -> (Option<i32>, String) {
        let log = self.data.join("spaces").join(space).join("log");
        let done = Command::new(env!("CARGO_BIN_EXE_hiwar")).args(["log", "verify"]).arg(log).output().expect("verify");
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}", self.said());
        }
        if self.child.try_wait().ok().flatten().is_some() {
            return;
        }
        kill(self.child.id().cast_signed(), Signal::TERM);
        let end = Instant::now() + END;
        while self.child.try_wait().ok().flatten().is_none() {
            if Instant::now() > end {
                // Its children end with it.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

fn until_ready(at: SocketAddr, speaks: Speaks) {
    let ask = || match speaks {
        Speaks::Http => try_ask(at, "GET", "/readyz", &[], &[]),
        Speaks::Https => tls::get(at, "talk.example", "/readyz", &Trust::Anyone),
    };
    until("readyz", || ask().ok().filter(|reply| reply.status == 200));
}

/// Collects what a process prints.
pub(crate) fn listen(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    });
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).expect("a process"), signal);
}

/// Processes that this one started and that still run.
pub(crate) fn children(pid: u32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn environment(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split('\0').find(|variable| variable.starts_with("HIWAR_CHILD=")).unwrap_or_default().to_owned()
}

/// Whether a process is over; one that nobody has reaped yet is.
pub(crate) fn has_ended(pid: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
        Err(_) => true,
    }
}
