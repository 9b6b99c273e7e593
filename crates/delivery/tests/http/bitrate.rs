//! The lean bitrate: how it comes to those who listen, and goes.

use std::io::Read;
use std::time::Duration;

use hiwar_admission::ladder::{Bitrate, Cadence, Level};
use hiwar_delivery::http::{Access, Update};

use crate::rig::{Rig, WAIT, chunk, id, lean};
use crate::scene::Scene;

/// Whether the house is asked for lean forms.
fn is_asked(rig: &Rig) -> bool {
    rig.counts().iter().any(|count| count.log == id("on-air") && count.lean)
}

impl Scene {
    /// Everyone, at one cadence.
    fn at(cadence: Cadence, forms: &[&str]) -> Self {
        let mut scene = Self::new();
        scene.wish(cadence);
        scene.rig.until("the cadence", |rig| rig.handle.stats().stance.cadence == cadence);
        forms.iter().for_each(|form| scene.join(form));
        scene
    }

    /// Two chunks with their lean forms: from the second on everyone waits for one.
    fn warm_up(&mut self) {
        self.want(Bitrate::Lean);
        self.step_lean();
        while !self.step_lean() {}
    }
}

#[test]
fn sound_gets_lean_and_back_while_everyone_hears_every_chunk_once() {
    for cadence in [Cadence::Ms200, Cadence::S2] {
        let mut scene = Scene::at(cadence, &["mp4", "ogg", "mp4", "ogg", "mp4"]);
        let turn = cadence.chunks() as u64;
        (0..20).for_each(|_| scene.step());
        assert!(!is_asked(&scene.rig));
        scene.want(Bitrate::Lean);
        assert!(is_asked(&scene.rig));
        let begins = scene.next;
        let late: Vec<u64> = (begins..begins + 40).filter(|_| !scene.step_lean()).collect();
        let ends = scene.next;
        scene.want(Bitrate::Standard);
        assert!(!is_asked(&scene.rig));
        (0..20).for_each(|_| scene.step());
        for ear in &scene.ears {
            let forms = ear.forms();
            let (first, last) = (forms[0].0, forms.last().unwrap().0);
            assert!(last + turn >= scene.next, "{cadence:?}: {}", ear.heard);
            assert_eq!(ear.chunks(), (first..=last).collect::<Vec<_>>(), "{cadence:?}: {}", ear.heard);
            let lean: Vec<u64> =
                forms.iter().filter(|(_, bitrate)| *bitrate == Bitrate::Lean).map(|(position, _)| *position).collect();
            assert!(lean.iter().all(|position| (begins..ends).contains(position)), "{lean:?}");
            if late.is_empty() {
                // The first chunk waits for nothing, as nobody knows yet that a lean form follows. Whose turn comes after the change back hears what it then lacks as it was made.
                let certain = begins + 1..ends + 1 - turn;
                assert!(certain.clone().all(|position| lean.contains(&position)), "{cadence:?} {certain:?}: {lean:?}");
            }
        }
        let stats = scene.rig.handle.stats();
        assert_eq!((stats.skipped_total, stats.cut_total, scene.rig.listening("on-air")), (0, 0, 5));
        assert_eq!((stats.stance.level, stats.stance.bitrate), (Level::Open, Bitrate::Standard));
    }
}

#[test]
fn who_hears_the_standard_form_begins_with_a_lean_one_that_can_be_entered() {
    let mut scene = Scene::at(Cadence::Ms200, &["mp4", "ogg"]);
    // Another worker asked for these.
    (0..3).for_each(|_| _ = scene.step_lean());
    scene.want(Bitrate::Lean);
    (0..5).for_each(|_| _ = scene.step_with(false));
    assert!(scene.ears.iter().all(|ear| ear.forms().iter().all(|(_, bitrate)| *bitrate == Bitrate::Standard)));
    // Two can be entered, the first of which comes after its chunk was written; and others go on from them.
    (0..2).for_each(|_| _ = scene.step_lean());
    while !scene.step_with(false) {}
    let last = scene.next - 1;
    assert!(scene.ears.iter().all(|ear| ear.forms().last() == Some(&(last, Bitrate::Lean))));
}

#[test]
fn a_lean_form_that_does_not_come_is_waited_for_until_the_next_chunk_and_no_longer() {
    let mut scene = Scene::at(Cadence::Ms200, &["mp4", "ogg"]);
    scene.warm_up();
    let missing = scene.next;
    (0..2).for_each(|_| scene.step());
    let heard = |scene: &Scene, from: u64| -> Vec<Vec<(u64, Bitrate)>> {
        let of = |ear: &crate::scene::Ear| ear.forms().into_iter().filter(|(position, _)| *position >= from).collect();
        scene.ears.iter().map(of).collect()
    };
    let standard = |position| (position, Bitrate::Standard);
    for forms in heard(&scene, missing) {
        assert_eq!(forms, [standard(missing), standard(missing + 1)]);
    }
    // One that comes too late is heard by nobody twice.
    scene.rig.handle.push(Update::Lean { log: id("on-air"), entry: true, record: lean(missing, 0) });
    scene.step();
    for forms in heard(&scene, missing) {
        assert_eq!(forms, [standard(missing), standard(missing + 1), standard(missing + 2)]);
    }
}

#[test]
fn a_chunk_waits_for_nothing_when_nothing_follows() {
    let mut scene = Scene::at(Cadence::Ms200, &["mp4"]);
    scene.warm_up();
    let wait = |scene: &mut Scene, words: &str| {
        scene.ears[0].client.0.set_read_timeout(Some(WAIT)).unwrap();
        scene.ears[0].client.hear_until(&format!("m{}{words}", scene.next));
        scene.ears[0].client.0.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        scene.next += 1;
    };
    scene.rig.chunks("on-air", scene.next..scene.next + 1);
    wait(&mut scene, ";");
    // Nor when the house is gone, or the operator has thought better of it.
    scene.warm_up();
    scene.rig.chunks("on-air", scene.next..scene.next + 1);
    scene.rig.handle.push(Update::Away);
    wait(&mut scene, ";away;");
    scene.warm_up();
    scene.rig.chunks("on-air", scene.next..scene.next + 1);
    scene.want(Bitrate::Standard);
    wait(&mut scene, ";");
}

#[test]
fn lean_forms_are_asked_for_where_somebody_listens() {
    let mut scene = Scene::new();
    scene.want(Bitrate::Lean);
    assert!(!is_asked(&scene.rig));
    // Segments are what they always were.
    let answer = scene.rig.ask("GET /hls/on-air/init.mp4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert!(!is_asked(&scene.rig));
    scene.join("mp4");
    assert!(is_asked(&scene.rig));
    scene.ears.clear();
    scene.rig.until("nobody", |rig| !is_asked(rig));
    scene.join("ogg");
    scene.rig.handle.push(Update::Ended { log: id("on-air") });
    scene.rig.taken();
    assert!(!is_asked(&scene.rig));
}

#[test]
fn that_lean_forms_are_wanted_is_told_at_once() {
    let mut scene = Scene::at(Cadence::Ms200, &["ogg"]);
    let handle = scene.rig.handle.clone();
    let (told, heard_of) = std::sync::mpsc::channel();
    let (ready, begin) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // The first time does not wait.
        handle.wait_for_ears(WAIT);
        let _ = ready.send(());
        while !handle.counts(usize::MAX).iter().any(|count| count.lean) {
            // Far longer than the test may take: only what is wanted ends it in time.
            handle.wait_for_ears(WAIT * 6);
        }
        let _ = told.send(());
    });
    begin.recv_timeout(WAIT).unwrap();
    scene.want(Bitrate::Lean);
    heard_of.recv_timeout(WAIT).unwrap();
    scene.step();
}

#[test]
fn whoever_reads_by_blocks_hears_the_standard_form() {
    let mut scene = Scene::new();
    scene.warm_up();
    let mut client = scene.rig.client();
    client.say(
        "GET /listen/on-air.ogg HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0 Gecko/20100101 Firefox/143.0\r\n\r\n",
    );
    scene.rig.until("a listener", |rig| rig.listening("on-air") == 1);
    let last = scene.next;
    scene.step_lean();
    let heard = client.hear_until(&format!("o{last};"));
    let (_, body) = heard.split_once("init-ogg;").unwrap();
    assert!(!body.contains('O'), "{body}");
}

/// The socket takes a part of a chunk at a time, and the other form of it comes in between.
#[test]
fn whoever_is_slow_hears_no_chunk_that_is_half_of_the_one_form_and_half_of_the_other() {
    const STANDARD: usize = 60_000;
    const LEAN: usize = 30_000;
    let rig = Rig::new();
    rig.open("on-air", Access::Open);
    let mut client = rig.client();
    rustix::net::sockopt::set_socket_recv_buffer_size(&client.0, 65_536).unwrap();
    client.say("GET /listen/on-air.mp4 HTTP/1.1\r\nHost: x\r\n\r\n");
    rig.until("a listener", |rig| rig.listening("on-air") == 1);
    let (mut heard, mut buffer) = (Vec::new(), vec![0; 17_001]);
    for position in 0..90 {
        let bitrate = if position / 3 % 2 == 0 { Bitrate::Lean } else { Bitrate::Standard };
        if position % 3 == 0 {
            rig.handle.push(Update::Bitrate(Some(bitrate)));
        }
        rig.handle.push(Update::Chunk { log: id("on-air"), record: chunk(position, STANDARD) });
        rig.taken();
        if position % 5 != 4 {
            rig.handle.push(Update::Lean { log: id("on-air"), entry: true, record: lean(position, LEAN) });
            rig.taken();
        }
        // A little of it; and from time to time all, so that nothing is left out.
        let begins = [format!("m{position}."), format!("M{position},")];
        loop {
            let length = client.0.read(&mut buffer).unwrap();
            heard.extend_from_slice(&buffer[..length]);
            // Where a name may be cut in two, its chunk is not all yet.
            let last = String::from_utf8_lossy(&heard[heard.len().saturating_sub(2 * STANDARD)..]);
            let is_all = begins.iter().filter_map(|name| last.find(name)).any(|at| last[at..].contains(';'));
            if position % 6 != 5 || is_all {
                break;
            }
        }
    }
    rig.handle.push(Update::Ended { log: id("on-air") });
    client.0.read_to_end(&mut heard).unwrap();
    let heard = String::from_utf8(heard).unwrap();
    let (_, body) = heard.split_once("init-mp4;").unwrap();
    let mut lean = 0;
    // On a slow machine it is told that nothing comes.
    let pieces: Vec<&str> = body.split_terminator(';').filter(|piece| *piece != "away").collect();
    for (position, piece) in pieces.iter().enumerate() {
        let (name, padding) = piece.split_at(piece.find(['.', ',']).unwrap());
        let whole = if name.starts_with('M') { ",".repeat(LEAN) } else { ".".repeat(STANDARD) };
        assert_eq!(name.to_lowercase(), format!("m{position}"));
        assert!(
            padding == whole,
            "{name} has {} bytes: {}",
            padding.len(),
            padding.replace("..", "").replace(",,", "")
        );
        lean += usize::from(name.starts_with('M'));
    }
    assert_eq!(pieces.len(), 90);
    assert!((1..90).contains(&lean), "{lean}");
    assert_eq!(rig.handle.stats().skipped_total, 0);
}

#[test]
fn a_line_that_is_nearly_full_makes_sound_lean() {
    let mut scene = Scene::at(Cadence::Ms200, &["mp4"]);
    scene.rig.handle.push(Update::Cadence(None));
    scene.rig.handle.push(Update::Egress(Some(1)));
    let begin = std::time::Instant::now();
    while scene.rig.handle.stats().stance.bitrate == Bitrate::Standard {
        assert!(begin.elapsed() < WAIT, "{:?}", scene.rig.handle.stats());
        scene.step();
    }
    let stance = scene.rig.handle.stats().stance;
    assert_eq!((stance.level, stance.cadence), (Level::Lean, Cadence::Ms200));
    assert!(stance.joins_per_s.is_some());
    scene.rig.taken();
    assert!(is_asked(&scene.rig));
}
