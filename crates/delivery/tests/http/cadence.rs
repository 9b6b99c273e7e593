//! How often listeners are written to, and how that changes while they listen.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use hiwar_admission::ladder::Cadence;
use hiwar_delivery::http::{Access, Update};

use crate::rig::{Client, Rig, WAIT};

/// A conversation, and some who hear it.
struct Scene {
    rig: Rig,
    next: u64,
    ears: Vec<Ear>,
}

struct Ear {
    client: Client,
    form: char,
    heard: String,
    /// What came with the last chunk.
    last: String,
}

impl Scene {
    fn new() -> Self {
        let rig = Rig::new();
        rig.open("on-air", Access::Open);
        rig.chunks("on-air", 0..20);
        Self { rig, next: 20, ears: Vec::new() }
    }

    fn join(&mut self, form: &str) {
        let mut client = self.rig.client();
        // Who reads first waits for a moment: these steps are to be longer than a worker takes for anything.
        client.0.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        client.0.set_nonblocking(!self.ears.is_empty()).unwrap();
        let ask = format!("GET /listen/on-air.{form} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.say(&ask);
        let before = self.ears.len() as u32;
        self.rig.until("a listener", |rig| rig.listening("on-air") > before);
        // It is counted a moment before anything is written to it.
        self.rig.taken();
        let form = form.chars().next().unwrap();
        self.ears.push(Ear { client, form, heard: String::new(), last: String::new() });
    }

    fn wish(&self, cadence: Cadence) {
        self.rig.handle.push(Update::Cadence(Some(cadence)));
    }

    /// One chunk comes, and everyone hears what is written to them.
    fn step(&mut self) {
        self.rig.chunks("on-air", self.next..self.next + 1);
        self.next += 1;
        // The sweep is over when the worker takes what it is told after it.
        self.rig.taken();
        self.ears.iter_mut().for_each(Ear::hear);
    }

    /// Chunks come until everyone of a form has heard that.
    fn until(&mut self, form: char, words: &str) {
        let begin = Instant::now();
        while !self.ears.iter().filter(|ear| ear.form == form).all(|ear| ear.heard.contains(words)) {
            assert!(begin.elapsed() < WAIT, "in vain: {words}; {:?}", self.ears[0].heard);
            self.step();
        }
    }
}

impl Ear {
    fn hear(&mut self) {
        self.last.clear();
        let mut buffer = [0; 65_536];
        loop {
            match self.client.0.read(&mut buffer) {
                Ok(0) => panic!("closed after {:?}", self.heard),
                Ok(length) => self.last.push_str(std::str::from_utf8(&buffer[..length]).unwrap()),
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(why) => panic!("{why}"),
            }
        }
        self.heard.push_str(&self.last);
    }

    /// The numbers of the chunks that it heard.
    fn chunks(&self) -> Vec<u64> {
        let body = self.heard.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        body.split(';').filter_map(|piece| piece.strip_prefix(self.form)?.parse().ok()).collect()
    }
}

#[test]
fn who_listens_is_told_before_pieces_get_longer_and_nothing_is_lost_on_the_way_there_and_back() {
    let mut scene = Scene::new();
    (0..20).for_each(|_| scene.join("mp4"));
    scene.step();
    scene.wish(Cadence::S2);
    scene.until('m', "soon2000;");
    // Whoever comes now begins so, with as much in hand as it may have to wait.
    scene.join("mp4");
    let late = scene.ears.last_mut().unwrap();
    late.hear();
    assert!(late.heard.contains("init-mp4;now2000;m"), "{}", late.heard);
    assert_eq!(late.chunks().len(), 12, "{}", late.heard);
    scene.until('m', "now2000;");
    // From here on each has one turn in ten chunks, and turns are spread.
    let mut turns = vec![0; scene.ears.len()];
    for _ in 0..20 {
        scene.step();
        let now: Vec<bool> = scene.ears.iter().map(|ear| !ear.last.is_empty()).collect();
        assert!(now.iter().filter(|&&now| now).count() <= 4, "{now:?}");
        turns.iter_mut().zip(now).for_each(|(turn, now)| *turn += usize::from(now));
    }
    assert!(turns.iter().all(|&turns| turns == 2), "{turns:?}");
    scene.wish(Cadence::Ms200);
    scene.until('m', "now200;");
    scene.step();
    for ear in &scene.ears {
        let chunks = ear.chunks();
        assert_eq!(chunks, (chunks[0]..scene.next).collect::<Vec<_>>(), "{}", ear.heard);
    }
    let stats = scene.rig.handle.stats();
    assert_eq!((stats.skipped_total, stats.cut_total, scene.rig.listening("on-air")), (0, 0, 21));
    assert_eq!(stats.stance.cadence, Cadence::Ms200);
}

#[test]
fn a_change_that_is_taken_back_leaves_everyone_where_they_are() {
    let mut scene = Scene::new();
    (0..3).for_each(|_| scene.join("mp4"));
    scene.wish(Cadence::S4);
    scene.until('m', "soon4000;");
    scene.wish(Cadence::Ms200);
    scene.until('m', "now200;");
    for _ in 0..40 {
        scene.step();
    }
    for ear in &scene.ears {
        assert!(!ear.heard.contains("now4000;") && !ear.last.is_empty(), "{}", ear.heard);
    }
}

#[test]
fn who_cannot_be_told_is_moved_to_one_second_and_no_further() {
    let mut scene = Scene::new();
    ["ogg", "mp4"].into_iter().for_each(|form| scene.join(form));
    scene.wish(Cadence::S4);
    scene.until('m', "now4000;");
    let mut turns = 0;
    for _ in 0..20 {
        scene.step();
        turns += usize::from(!scene.ears[0].last.is_empty());
    }
    assert_eq!(turns, 4, "{}", scene.ears[0].heard);
    let chunks = scene.ears[0].chunks();
    assert!(chunks.windows(2).all(|pair| pair[1] == pair[0] + 1), "{}", scene.ears[0].heard);
}
