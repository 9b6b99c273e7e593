//! `hiwar log export`: files made of logs that are whole, damaged, and being written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hiwar_media::package::ogg as file;
use serde_json::Value;

use crate::ear::{Ear, pcm, tone};
use crate::http::ask;
use crate::mouth::Mouth;
use crate::server::{Server, Space, until};

pub(crate) fn export(log: &Path, output: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    let Output { status, stderr, .. } =
        command.args(["log", "export"]).arg(log).arg("--output").arg(output).args(more).output().expect("the binary");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

fn log_of(server: &Server, space: &Space) -> PathBuf {
    server.data().join("spaces").join(&space.id).join("log")
}

fn json_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

/// Samples that FFmpeg decodes from a file; `None` where there is no FFmpeg.
fn ffmpeg_samples(path: &Path) -> Option<usize> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-xerror", "-i"]).arg(path).args(["-f", "s16le", "-ac", "1", "-ar", "48000", "-"]);
    let done = match command.output() {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return None,
        done => done.expect("ffmpeg"),
    };
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(done.stdout.len() / 2)
}

#[test]
fn an_export_is_the_replay_byte_for_byte_and_tells_what_is_damaged() {
    let server = Server::start();
    let space = server.live("حوار يُصدَّر");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let mouth = Mouth::speak(server.stage, &space.id, &space.host_pass, 440.0);
    ear.hears(440.0, 0);

    // While it is written: up to where it was, and no damage.
    let out = tempfile::tempdir().expect("a directory");
    let at = |name: &str| out.path().join(name);
    let log = log_of(&server, &space);
    let (code, words) = export(&log, &at("live.ogg"), &[]);
    assert!(code == Some(0) && words.contains("a writer is at work"), "{words}");
    let sound = pcm(file::frames(&std::fs::read(at("live.ogg")).unwrap()).unwrap().packets.iter().map(Vec::as_slice));
    assert!(sound.chunks(24_000).any(|half| tone(half, 440.0) > 0.4), "the host is not in it");
    let (code, words) = export(&log, &at("live.jsonl"), &[]);
    assert_eq!(code, Some(0), "{words}");
    assert!(json_lines(&at("live.jsonl")).iter().all(|line| line["kind"] != "damaged"));

    server.host(&space, "end");
    drop(mouth);
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    let duration_s = view["replay"]["duration"].as_f64().expect("a duration");
    for form in ["mp4", "ogg"] {
        let name = format!("whole.{form}");
        let (code, words) = export(&log, &at(&name), &[]);
        assert_eq!(code, Some(0), "{words}");
        let replay = ask(server.public, "GET", &format!("/replay/{}.{form}", space.id), &[], &[]);
        assert!(std::fs::read(at(&name)).unwrap() == replay.body, "{form}: not the replay");
        if let Some(samples) = ffmpeg_samples(&at(&name)) {
            let due = (duration_s * 48_000.0).round() as usize;
            // FFmpeg plays the closing frame of an MP4 file out, which the edit list cuts.
            let more = if form == "mp4" { 959 } else { 0 };
            assert!((due..=due + more).contains(&samples), "{form}: {samples} samples, {due} are due");
        }
    }

    // The name is refused when it is taken, and the space's folder is as good as its log's.
    let (code, words) = export(&log, &at("whole.mp4"), &["--format", "ogg"]);
    assert!(code == Some(2) && words.contains("--force"), "{words}");
    let (code, words) = export(log.parent().unwrap(), &at("whole.mp4"), &["--format", "ogg", "--force"]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(std::fs::read(at("whole.mp4")).unwrap(), std::fs::read(at("whole.ogg")).unwrap());

    // Every record, for programs.
    let (code, words) = export(&log, &at("whole.jsonl"), &["--payload"]);
    assert_eq!(code, Some(0), "{words}");
    let lines = json_lines(&at("whole.jsonl"));
    assert_eq!((&lines[0]["kind"], &lines.last().unwrap()["kind"]), (&"header".into(), &"seal".into()));
    let chunks: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "chunk").collect();
    assert_eq!(chunks.len() as f64, (duration_s * 5.0).round());
    for chunk in &chunks {
        let (bytes, payload) = (chunk["bytes"].as_u64().unwrap(), chunk["payload"].as_str().unwrap());
        assert_eq!(payload.len() as u64, bytes.div_ceil(3) * 4);
    }

    damaged(&log, &at("damaged"), lines.len(), chunks.len());
    assert!(
        std::fs::read_dir(out.path()).unwrap().all(|entry| !entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".new"))
    );
}

/// A copy of the log with a bit flipped in a chunk in the middle, then cut short: what is left can be heard, and what is not there is named.
fn damaged(log: &Path, folder: &Path, records: usize, chunks: usize) {
    std::fs::create_dir(folder).expect("a disk");
    let copy = folder.join("log");
    std::fs::create_dir(&copy).expect("a disk");
    for entry in std::fs::read_dir(log).expect("the log") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), copy.join(entry.file_name())).expect("a copy");
    }
    let segment = std::fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).min().unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let magic = [0xFF, b'h', b'R', 1];
    let begins: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..at + 4] == magic).collect();
    assert_eq!(begins.len(), records, "the test takes one log segment for granted");
    bytes[begins[records / 2] + 100] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();

    let out = |name: &str| folder.join(name);
    let said_by_verify = Command::new(env!("CARGO_BIN_EXE_hiwar")).args(["log", "verify"]).arg(&copy).output().unwrap();
    assert_eq!(said_by_verify.status.code(), Some(1));
    let said_by_verify = String::from_utf8_lossy(&said_by_verify.stdout).into_owned();
    let named = said_by_verify.lines().find(|line| line.starts_with("DAMAGED")).expect("a range");
    let (code, words) = export(&copy, &out("flipped.ogg"), &[]);
    assert!(code == Some(1) && words.contains(named) && words.contains("holes: 1 (0.20 s"), "{words}\n{named}");
    // The hole is silence: it is as long as before.
    let stream = file::frames(&std::fs::read(out("flipped.ogg")).unwrap()).expect("an Ogg file without holes");
    let whole = file::frames(&std::fs::read(folder.with_file_name("whole.ogg")).unwrap()).expect("an Ogg file");
    assert_eq!(stream.packets.len(), whole.packets.len());
    let (code, words) = export(&copy, &out("flipped.jsonl"), &[]);
    assert_eq!(code, Some(1), "{words}");
    let lines = json_lines(&out("flipped.jsonl"));
    let kinds = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((kinds("damaged"), kinds("chunk")), (1, chunks - 1));

    // Cut in the middle of a record.
    bytes.truncate(begins[records - 3] + 60);
    std::fs::write(&segment, &bytes).unwrap();
    let (code, words) = export(&copy, &out("cut.mp4"), &[]);
    assert!(code == Some(1) && words.matches("DAMAGED").count() == 2, "{words}");
    if let Some(samples) = ffmpeg_samples(&out("cut.mp4")) {
        assert!(samples >= (chunks - 3) * 9_600, "{samples} of {chunks} chunks");
    }
    // Nothing that could be played.
    std::fs::write(&segment, &bytes[..30]).unwrap();
    let (code, words) = export(&copy, &out("nothing.mp4"), &[]);
    assert!(code == Some(2) && words.contains("nothing was recorded"), "{words}");
    assert!(!out("nothing.mp4").exists());
    let (code, words) = export(folder.parent().unwrap(), &out("nothing.mp4"), &[]);
    assert!(code == Some(2) && words.contains("is no log"), "{words}");
}

#[test]
fn an_export_of_a_log_that_grows_and_forgets_ends_where_it_was_measured() {
    // The demo's log is a moving window, and is written all the time.
    let server = Server::start_with(&["--demo"]);
    let ear = Ear::on(server.public, "/listen/demo.ogg");
    let log = server.data().join("spaces/demo/log");
    let out = tempfile::tempdir().expect("a directory");
    for n in 0..20 {
        let path = out.path().join(format!("{n}.mp4"));
        until("a log with sound in it", || {
            let (code, words) = export(&log, &path, &["--force"]);
            match code {
                Some(0) => Some(()),
                _ => {
                    let early = words.contains("nothing was recorded")
                        || words.contains("is no log")
                        || words.contains("No such file");
                    assert!(n == 0 && early, "{words}");
                    None
                }
            }
        });
    }
    let samples: Vec<Option<usize>> = (0..20).map(|n| ffmpeg_samples(&out.path().join(format!("{n}.mp4")))).collect();
    assert!(samples.windows(2).all(|pair| pair[0] <= pair[1]), "{samples:?}");
    drop(ear);
}
