//! `--data` holds everything: a whole conversation, and not one file written anywhere else.
//!
//! Two witnesses. The kernel names every file that a process of the server closes after writing, on any file system (fanotify, which needs root); and the working
//! directory, the home and the folder for temporary files, all empty at the start, are empty at the end, whatever it is that was made there.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

use crate::ear::Ear;
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{Server, until};

/// File systems without files that anybody wrote.
const NOT_DISKS: &[&str] =
    &["proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "devtmpfs", "bpf", "tracefs", "debugfs"];

/// Which files are closed after writing, by which process, as the kernel tells it.
struct Witness {
    seen: Arc<Mutex<HashSet<(i32, PathBuf)>>>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Witness {
    /// `None` where this process may not ask the kernel.
    fn new() -> Option<Self> {
        let flags = InitFlags::FAN_CLASS_NOTIF
            | InitFlags::FAN_NONBLOCK
            | InitFlags::FAN_CLOEXEC
            | InitFlags::FAN_UNLIMITED_QUEUE;
        let fanotify = match Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_LARGEFILE) {
            Ok(fanotify) => fanotify,
            Err(why) => {
                eprintln!("not asked of the kernel here: {why}");
                return None;
            }
        };
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
        for line in mounts.lines() {
            let (place, kind) = line.split_once(" - ").expect("proc(5)");
            let (place, kind) = (place.split(' ').nth(4).expect("a place"), kind.split(' ').next().expect("a kind"));
            if NOT_DISKS.contains(&kind) {
                continue;
            }
            let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_MOUNT;
            let marked = fanotify.mark(flags, MaskFlags::FAN_CLOSE_WRITE, rustix::fs::CWD, Some(Path::new(place)));
            // A mount of another test, that is gone by now; or one that is below another.
            if let Err(why) = marked {
                assert!(place != "/", "cannot watch /: {why}");
            }
        }
        let (seen, over) = (Arc::default(), Arc::<AtomicBool>::default());
        let thread = std::thread::spawn({
            let (seen, over) = (Arc::clone(&seen), over.clone());
            move || watch(&fanotify, &seen, &over)
        });
        Some(Self { seen, over, thread: Some(thread) })
    }

    /// The files that these processes wrote. To be asked when they have ended.
    fn written_by(mut self, processes: &HashSet<i32>) -> Vec<PathBuf> {
        self.over.store(true, SeqCst);
        self.thread.take().expect("once").join().expect("a witness");
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(process, _)| processes.contains(process)).map(|(_, path)| path.clone()).collect()
    }
}

/// Notes what is told until it is over, and everything was told.
fn watch(fanotify: &Fanotify, seen: &Mutex<HashSet<(i32, PathBuf)>>, over: &AtomicBool) {
    loop {
        let last = over.load(SeqCst);
        match fanotify.read_events() {
            Ok(events) => {
                for event in events {
                    let Some(fd) = event.fd() else { panic!("the kernel's queue was too short") };
                    let found = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
                    // Terminals and the like are written to by everybody.
                    let is_file = std::fs::metadata(&found).is_ok_and(|found| found.is_file());
                    let path = std::fs::read_link(&found);
                    if let Some(path) = path.ok().filter(|_| is_file) {
                        seen.lock().unwrap().insert((event.pid(), path));
                    }
                }
            }
            Err(Errno::EAGAIN) if last => return,
            Err(Errno::EAGAIN) => std::thread::park_timeout(std::time::Duration::from_millis(5)),
            Err(why) => panic!("the kernel does not tell any more: {why}"),
        }
    }
}

/// A conversation from the first voice to the replay, by a server that is started by a script with `before` in it. What was written outside `--data`; the first
/// list is the kernel's, if it may be asked.
fn outside(before: &str) -> (Option<Vec<PathBuf>>, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a directory");
    let place = |name: &str| dir.path().join(name);
    let empty = ["cwd", "home", "tmp"].map(place);
    for folder in empty.iter().chain([&place("elsewhere"), &place("data")]) {
        std::fs::create_dir(folder).expect("a disk");
    }
    let program = place("start");
    let script = format!(
        "#!/bin/sh\nset -e\ncd {0}/cwd\nexport HOME={0}/home TMPDIR={0}/tmp\n\
         unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR XDG_STATE_HOME\n{before}\nexec {1} \"$@\"\n",
        dir.path().display(),
        env!("CARGO_BIN_EXE_hiwar")
    );
    std::fs::write(&program, script.replace("ELSEWHERE", &place("elsewhere").display().to_string())).expect("a disk");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a disk");

    let witness = Witness::new();
    let mut server = Server::start_as(&program, &place("data"), &["--demo"]);
    let space = server.live("all of it");
    let ears = ["mp4", "ogg", "mp3"].map(|form| Ear::on(server.public, &format!("/listen/{}.{form}", space.id)));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ears[1].hears(440.0, 0);
    until("a list of HLS", || {
        let list = ask(server.public, "GET", &format!("/hls/{}/live.m3u8", space.id), &[], &[]);
        (list.status == 200).then_some(())
    });
    let mut processes: HashSet<i32> = server.children("").into_iter().collect();
    assert!(processes.len() >= 3, "the house and two workers");
    processes.insert(server.pid().cast_signed());
    server.host(&space, "end");
    drop(mouth);
    server.until_view(&space, "posted", |view| view["state"] == "posted");
    assert_eq!(ask(server.public, "GET", &format!("/replay/{}.ogg", space.id), &[], &[]).status, 200);
    processes.extend(server.children(""));
    server.stop();

    let told = witness.map(|witness| {
        let written = witness.written_by(&processes);
        let data = place("data");
        let inside = written.iter().filter(|path| path.starts_with(&data)).count();
        assert!(inside >= 5, "the witness saw {inside} files in --data: it sleeps");
        written.into_iter().filter(|path| !path.starts_with(&data)).collect()
    });
    let entries = |folder: &PathBuf| std::fs::read_dir(folder).expect("a folder").map(|entry| entry.unwrap().path());
    (told, empty.iter().flat_map(entries).collect())
}

#[test]
fn everything_that_a_conversation_leaves_is_in_the_data_directory() {
    let (told, left) = outside("");
    assert!(told.iter().all(Vec::is_empty) && left.is_empty(), "written outside --data: {told:?}, {left:?}");
}

#[test]
fn what_is_written_elsewhere_would_be_seen() {
    let (told, left) =
        outside("echo x > ELSEWHERE/note; mkdir cache; echo x > $TMPDIR/x; rm $TMPDIR/x; echo x > $HOME/x");
    let ends = |paths: &[PathBuf]| {
        let mut ends: Vec<String> =
            paths.iter().map(|path| path.iter().skip(3).collect::<PathBuf>().display().to_string()).collect();
        ends.sort_unstable();
        ends
    };
    assert_eq!(ends(&left), ["cwd/cache", "home/x"], "what is left of it");
    if let Some(told) = told {
        // Also what is not there any more, and what nobody looks at.
        let told = ends(&told);
        assert!(["elsewhere/note", "home/x"].iter().all(|path| told.iter().any(|told| told == path)), "{told:?}");
        assert!(told.iter().any(|told| told.starts_with("tmp/x")) && told.len() == 3, "{told:?}");
    }
}
