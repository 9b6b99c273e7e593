//! Chapters of a recording, and clips of it, as a stranger gets them.

use std::path::Path;
use std::process::Command;

use hiwar_media::package::ogg as file;
use serde_json::Value;

use crate::ear::{Ear, pcm, pieces, tone};
use crate::http::{Reply, ask};
use crate::mouth::Mouth;
use crate::server::Server;

/// Longer than an interjection may be.
const TURN_PIECES: usize = 30;

/// Speaks until that was a turn.
fn take_turn(server: &Server, space: &str, pass: &str, hz: f32, ear: &Ear) {
    let before = ear.body("sound", |body| Some(pieces(body).len()));
    let mouth = Mouth::speak(server.stage, space, pass, hz);
    ear.body("a turn", |body| {
        let spoken = |event: &Value| event["t"] == "speaking" && event["id"].is_string();
        let pieces = pieces(body);
        let begun = pieces.iter().skip(before).position(|piece| piece.events.iter().any(spoken))?;
        (pieces.len() > before + begun + TURN_PIECES).then_some(())
    });
    drop(mouth);
    // Nobody has the floor any more, so the next need not be louder.
    ear.body("silence", |body| {
        let mut floor =
            pieces(body).into_iter().flat_map(|piece| piece.events).filter(|event| event["t"] == "speaking");
        floor.next_back()?["id"].is_null().then_some(())
    });
}

/// What FFmpeg's programs say; `None` where there are none.
fn run(program: &str, args: &[&str], path: &Path) -> Option<Vec<u8>> {
    let done = match Command::new(program).args(["-v", "error"]).arg("-i").arg(path).args(args).output() {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return None,
        done => done.expect(program),
    };
    assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(done.stdout)
}

fn decoded(path: &Path) -> Option<Vec<f32>> {
    let samples = run("ffmpeg", &["-f", "f32le", "-ac", "1", "-ar", "48000", "-"], path)?;
    Some(samples.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect())
}

/// How much louder than their difference two sounds are, dB.
fn likeness(one: &[f32], other: &[f32]) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|sample| f64::from(sample).powi(2)).sum::<f64>();
    let error = power(&mut one.iter().zip(other).map(|(one, other)| one - other));
    10.0 * (power(&mut other.iter().copied()) / error.max(1e-12)).log10()
}

#[test]
fn a_recording_has_chapters_by_speaker_and_clips_that_sound_as_it_does() {
    let server = Server::start();
    let space = server.live("حوار بفصول");
    let ear = Ear::on(server.public, &format!("/listen/{}.mp4", space.id));
    take_turn(&server, &space.id, &space.host_pass, 440.0, &ear);
    take_turn(&server, &space.id, &server.speaker_pass(&space, "ضيف"), 1000.0, &ear);
    server.host(&space, "end");
    let view = server.until_view(&space, "posted", |view| view["state"] == "posted");
    let duration_s = view["replay"]["duration"].as_f64().expect("a duration");

    let get = |path: &str| ask(server.public, "GET", &format!("/replay/{}{path}", space.id), &[], &[]);
    let told = get("/chapters.json");
    assert_eq!((told.status, told.header("content-type")), (200, Some("application/json+chapters")), "{told:?}");
    let told = told.json();
    let [host, guest] = &told["chapters"].as_array().expect("chapters")[..] else { panic!("{told}") };
    assert_eq!(
        (&told["title"], &host["title"], &guest["title"]),
        (&"حوار بفصول".into(), &"Host".into(), &"ضيف".into())
    );
    let joint = guest["startTime"].as_f64().expect("seconds");
    assert_eq!((host["startTime"].as_f64(), host["endTime"].as_f64()), (Some(0.0), Some(joint)));
    assert_eq!(guest["endTime"].as_f64(), Some(duration_s));
    assert!(joint > 5.0 && joint < duration_s - 5.0, "{told}");

    // Each is heard where the chapter says, in either form, and nothing else is.
    let sound = |reply: &Reply| {
        let stream = file::frames(&reply.body).expect("an Ogg file");
        let mut samples = pcm(stream.packets.iter().map(Vec::as_slice));
        samples.drain(..usize::from(stream.pre_skip));
        samples
    };
    let whole = sound(&get(".ogg"));
    let folder = tempfile::tempdir().expect("a directory");
    let kept = |name: &str, reply: &Reply| {
        let path = folder.path().join(name);
        std::fs::write(&path, &reply.body).expect("a disk");
        path
    };
    let all_decoded = decoded(&kept("whole.ogg", &get(".ogg")));
    // Between the two it is silent for as long as the guest took to come.
    let before = &whole[..(joint * 48_000.0) as usize];
    let ends = before.chunks_exact(4_800).rposition(|part| tone(part, 440.0) > 0.5).expect("the host") as f64 / 10.0;
    for (from, to, hz, other) in
        [(ends - 1.921, ends - 0.1, 440.0, 1000.0), (joint + 0.5, joint + 4.007, 1000.0, 440.0)]
    {
        let (from_ms, to_ms) = ((from * 1_000.0).round() as usize, (to * 1_000.0).round() as usize);
        let span = format!("from={}.{:03}&to={}.{:03}", from_ms / 1_000, from_ms % 1_000, to_ms / 1_000, to_ms % 1_000);
        let (ogg, mp4) = (get(&format!("/clip.ogg?{span}")), get(&format!("/clip.mp4?{span}")));
        assert_eq!((ogg.status, ogg.header("content-type")), (200, Some("audio/ogg")), "{ogg:?}");
        assert_eq!((mp4.status, mp4.header("content-type")), (200, Some("audio/mp4")));
        let (due, there) = (48 * (to_ms - from_ms), &whole[48 * from_ms..48 * to_ms]);
        let heard = &sound(&ogg)[..due];
        // By halves of a second: over longer, a tone that the network has stretched is not one tone.
        let tones: Vec<_> = heard.chunks_exact(24_000).map(|half| (tone(half, hz), tone(half, other))).collect();
        assert!(tones.iter().all(|&(this, that)| this > 0.3 && that < 0.05), "at {from}: {tones:?}");
        assert!(likeness(heard, there) > 40.0, "{} dB at {from}", likeness(heard, there));
        // And so say others.
        let Some(all) = &all_decoded else { continue };
        for (name, reply) in [("clip.ogg", &ogg), ("clip.mp4", &mp4)] {
            let clip = decoded(&kept(name, reply)).expect("it was there before");
            // FFmpeg plays the last frame of an MP4 file out.
            assert!(
                (due..due + 960).contains(&clip.len()) && (name == "clip.mp4" || clip.len() == due),
                "{name}: {}, {due} are due",
                clip.len()
            );
            let alike = likeness(&clip[..due], &all[48 * from_ms..48 * to_ms]);
            assert!(alike > 40.0, "{name}: {alike} dB at {from}");
        }
    }

    // Players that show chapters find them in the files.
    for (name, path) in [("replay.ogg", ".ogg"), ("replay.mp4", ".mp4")] {
        let Some(found) = run("ffprobe", &["-show_chapters", "-of", "json"], &kept(name, &get(path))) else { continue };
        let found: Value = serde_json::from_slice(&found).expect("JSON");
        let chapters = found["chapters"].as_array().expect("chapters");
        let titles: Vec<_> =
            chapters.iter().map(|chapter| chapter["tags"]["title"].as_str().unwrap_or_default()).collect();
        assert_eq!(titles, ["Host", "ضيف"], "{name}: {found}");
        let start: f64 = chapters[1]["start_time"].as_str().expect("a time").parse().expect("seconds");
        assert!((start - joint).abs() < 0.01, "{name}: {start} for {joint}");
    }

    let refused = |path: &str| {
        let reply = get(path);
        (reply.status, reply.problem())
    };
    assert_eq!(refused(&format!("/clip.mp4?from=1&to={}", duration_s + 1.0)), (404, "clip-outside".into()));
    assert_eq!(refused("/clip.mp4?from=2&to=1"), (400, "clip-reversed".into()));
    let replay = server.data().join("spaces").join(&space.id).join("replay");
    std::fs::write(replay.join("replay.mp4"), "no recording").expect("a disk");
    assert_eq!(refused("/clip.mp4?from=1&to=2"), (503, "busy".into()), "it is damaged, and may be mended");
    std::fs::remove_file(replay.join("clips")).expect("clips were allowed");
    assert_eq!(refused("/clip.mp4?from=1&to=2"), (403, "clips-off".into()));
}
