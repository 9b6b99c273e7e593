//! The low bitrate: the operator says it, and who listens hears the same with half of the bytes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hiwar_media::package::PRE_SKIP;

use crate::ear::{Ear, Piece, pages, pcm, pieces, rms};
use crate::http::ask;
use crate::server::{Server, until};

const CHUNK: u64 = 9_600;

/// What `hiwar admin bitrate` says.
fn bitrate(data: &Path, wish: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hiwar"));
    command.args(["admin", "bitrate"]).args(wish).arg("--data").arg(data).env("LC_ALL", "C.UTF-8");
    let output = command.output().expect("the binary");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

/// Whether packets are of the lean form: SILK, where the standard form is CELT (RFC 6716 §3.1).
fn is_lean(packets: &[Vec<u8>]) -> bool {
    packets.iter().all(|packet| packet[0] >> 3 < 12)
}

/// How many of its last chunks are lean, or are not.
fn run(forms: impl DoubleEndedIterator<Item = bool>, lean: bool) -> usize {
    forms.rev().take_while(|form| *form == lean).count()
}

/// Waits until the last so many chunks of everyone are of that form.
fn all_hear(ears: &[Ear], by_ogg: &[Ear], lean: bool, chunks: usize) {
    for ear in ears {
        ear.body("chunks of a form in MP4", |body| {
            (run(pieces(body).iter().map(|piece| is_lean(&piece.frames)), lean) >= chunks).then_some(())
        });
    }
    for ear in by_ogg {
        ear.body("chunks of a form in Ogg", |body| {
            (run(pages(body).iter().skip(2).map(|page| is_lean(&page.packets)), lean) >= chunks).then_some(())
        });
    }
}

/// The chunks of the space that players of HLS are given, by their time: they hear the standard form.
fn by_hls(server: &Server) -> BTreeMap<u64, Piece> {
    let get = |name: &str| {
        let reply = ask(server.public, "GET", &format!("/hls/demo/{name}"), &[], b"");
        assert_eq!(reply.status, 200, "{name}");
        reply
    };
    let list = get("live.m3u8").text();
    let segments = list.lines().filter(|line| line.ends_with(".m4a") && !line.starts_with('#'));
    segments.flat_map(|name| pieces(&get(name).body)).map(|piece| (piece.time, piece)).collect()
}

/// The sound of chunks, by their time.
fn sound<'a>(chunks: impl Iterator<Item = &'a Piece> + Clone) -> BTreeMap<u64, Vec<f32>> {
    let samples = pcm(chunks.clone().flat_map(|piece| &piece.frames).map(Vec::as_slice));
    chunks.map(|piece| piece.time).zip(samples.chunks(CHUNK as usize).map(<[f32]>::to_vec)).collect()
}

fn decibels(samples: &[f32]) -> f32 {
    20.0 * rms(samples).max(1e-6).log10()
}

#[test]
fn sound_gets_lean_and_back_while_people_listen() {
    let mut server = Server::start_with(&["--workers", "2"]);
    let ear = |form: &str| Ear::on(server.public, &format!("/listen/demo.{form}"));
    let (ears, by_ogg) = ([ear("mp4"), ear("mp4"), ear("mp4")], [ear("ogg"), ear("ogg")]);
    let says = |line: &str| {
        until(line, || {
            let metrics = ask(server.public, "GET", "/metrics", &[], b"").text();
            metrics.lines().any(|told| told == line).then_some(())
        });
    };
    all_hear(&ears, &by_ogg, false, 10);
    assert_eq!(bitrate(server.data(), &[]), "auto");
    says("hiwar_worker_bitrate_kbps 32");

    assert_eq!(bitrate(server.data(), &["16"]), "16");
    all_hear(&ears, &by_ogg, true, 25);
    says("hiwar_worker_bitrate_kbps 16");
    says("hiwar_level 0");
    says("hiwar_worker_cadence_seconds 0.2");
    let standard = by_hls(&server);
    assert!(standard.values().all(|piece| !is_lean(&piece.frames)));
    let standing = sound(standard.values());
    let mut compared = 0;
    for ear in &ears {
        let heard = ear.body("all of it", |body| Some(pieces(body)));
        let lean = sound(heard.iter());
        let begin = heard.iter().find(|piece| is_lean(&piece.frames)).expect("lean chunks").time;
        // The first seconds of a decoder are not the same.
        let both: Vec<u64> = standing.keys().copied().skip(5).filter(|time| lean.contains_key(time)).collect();
        let all = |of: &BTreeMap<u64, Vec<f32>>| -> Vec<f32> {
            both.iter().filter(|time| **time >= begin).flat_map(|time| of[time].clone()).collect()
        };
        let louder = decibels(&all(&lean)) - decibels(&all(&standing));
        assert!(louder.abs() < 1.5, "{louder} dB louder");
        let bytes = |piece: &Piece| piece.frames.iter().map(Vec::len).sum::<usize>() as f32;
        let (mut few, mut many) = (0.0, 0.0);
        for piece in heard.iter().filter(|piece| piece.time >= begin && both.contains(&piece.time)) {
            (few, many) = (few + bytes(piece), many + bytes(&standard[&piece.time]));
        }
        assert!((0.3..0.65).contains(&(few / many)), "{few} bytes in place of {many}");
        // Nobody hears how it begins: no 20 ms are missing. It is later by what an encoder looks ahead.
        let times: Vec<u64> = (0..3).map(|n| begin + n * CHUNK).take_while(|time| both.contains(time)).collect();
        let joined = |of: &BTreeMap<u64, Vec<f32>>| times.iter().flat_map(|time| of[time].clone()).collect::<Vec<_>>();
        let (now, then) = (joined(&lean), joined(&standing));
        for (now, then) in now.get(usize::from(PRE_SKIP)..).unwrap_or_default().chunks_exact(960).zip(then.chunks(960))
        {
            let quieter = decibels(then) - decibels(now);
            assert!(rms(then) < 0.02 || quieter < 6.0, "{quieter} dB too quiet, lean from {begin} on");
            compared += 1;
        }
    }
    assert!(compared > 0, "HLS goes back to the change");

    // A house that follows goes on with it.
    server.kill_child("House");
    server.until_ready();
    assert_eq!(bitrate(server.data(), &[]), "16");
    let so_far: Vec<u64> =
        ears.iter().map(|ear| ear.body("the last", |body| Some(pieces(body).last()?.time))).collect();
    for (ear, so_far) in ears.iter().zip(so_far) {
        ear.body("lean chunks of the next house", |body| {
            let pieces = pieces(body);
            let new = pieces.iter().filter(|piece| piece.time > so_far + 10 * CHUNK);
            (run(new.map(|piece| is_lean(&piece.frames)), true) >= 10).then_some(())
        });
    }

    assert_eq!(bitrate(server.data(), &["32"]), "32");
    all_hear(&ears, &by_ogg, false, 10);
    // From where it is: workers that were told to be lean take a calm minute.
    assert_eq!(bitrate(server.data(), &["auto"]), "auto");
    all_hear(&ears, &by_ogg, false, 15);
    for ear in &ears {
        let heard = ear.body("all of it", |body| Some(pieces(body)));
        let gaps: Vec<(u64, u64)> = heard
            .windows(2)
            .map(|pair| (pair[0].time, pair[1].time))
            .filter(|(one, next)| one + CHUNK != *next)
            .collect();
        assert_eq!(gaps, [], "from {} to {}", heard[0].time, heard[heard.len() - 1].time);
    }
    for ear in &by_ogg {
        let heard = ear.body("all of it", |body| Some(pages(body)));
        assert!(heard[2..].windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1), "a gap");
    }
    assert!(ears.iter().chain(&by_ogg).all(|ear| !ear.is_closed()));
    server.stop();
}
