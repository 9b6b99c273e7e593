//! A conversation whose chunks come one by one, and those who hear it.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use hiwar_admission::ladder::{Bitrate, Cadence};
use hiwar_delivery::http::{Access, Update};

use crate::rig::{Client, Rig, WAIT, chunk, id, lean};

/// A conversation, and some who hear it.
pub(crate) struct Scene {
    pub(crate) rig: Rig,
    pub(crate) next: u64,
    pub(crate) ears: Vec<Ear>,
}

pub(crate) struct Ear {
    pub(crate) client: Client,
    pub(crate) form: char,
    pub(crate) heard: String,
    /// What came with the last chunk.
    pub(crate) last: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let rig = Rig::new();
        rig.open("on-air", Access::Open);
        rig.chunks("on-air", 0..20);
        Self { rig, next: 20, ears: Vec::new() }
    }

    pub(crate) fn join(&mut self, form: &str) {
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

    pub(crate) fn wish(&self, cadence: Cadence) {
        self.rig.handle.push(Update::Cadence(Some(cadence)));
    }

    /// One chunk comes, and everyone hears what is written to them.
    pub(crate) fn step(&mut self) {
        self.rig.chunks("on-air", self.next..self.next + 1);
        self.next += 1;
        // The sweep is over when the worker takes what it is told after it.
        self.rig.taken();
        self.ears.iter_mut().for_each(Ear::hear);
    }

    /// The same, and the lean form of the chunk comes after it. Whether that was soon: a worker waits for no longer than a chunk lasts.
    pub(crate) fn step_lean(&mut self) -> bool {
        self.step_with(true)
    }

    /// The same, with a form that can be entered or that only goes on from the one before.
    pub(crate) fn step_with(&mut self, entry: bool) -> bool {
        let begin = Instant::now();
        self.rig.handle.push(Update::Chunk { log: id("on-air"), record: chunk(self.next, 0) });
        self.rig.handle.push(Update::Lean { log: id("on-air"), entry, record: lean(self.next, 0) });
        let was_soon = begin.elapsed() < Duration::from_millis(200);
        self.next += 1;
        (0..2).for_each(|_| self.rig.taken());
        self.ears.iter_mut().for_each(Ear::hear);
        was_soon
    }

    /// The operator wants a bitrate, and has it.
    pub(crate) fn want(&self, bitrate: Bitrate) {
        self.rig.handle.push(Update::Bitrate(Some(bitrate)));
        self.rig.until("the bitrate", |rig| rig.handle.stats().stance.bitrate == bitrate);
        // It is said a moment before it is so.
        self.rig.taken();
    }

    /// Chunks come until everyone of a form has heard that.
    pub(crate) fn until(&mut self, form: char, words: &str) {
        let begin = Instant::now();
        while !self.ears.iter().filter(|ear| ear.form == form).all(|ear| ear.heard.contains(words)) {
            assert!(begin.elapsed() < WAIT, "in vain: {words}; {:?}", self.ears[0].heard);
            self.step();
        }
    }
}

impl Ear {
    pub(crate) fn hear(&mut self) {
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

    /// The numbers of the chunks that it heard, in either form.
    pub(crate) fn chunks(&self) -> Vec<u64> {
        self.forms().into_iter().map(|(position, _)| position).collect()
    }

    /// And which were lean.
    pub(crate) fn forms(&self) -> Vec<(u64, Bitrate)> {
        let body = self.heard.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let names = [(self.form, Bitrate::Standard), (self.form.to_ascii_uppercase(), Bitrate::Lean)];
        let form = |piece: &str| {
            names.iter().find_map(|(name, bitrate)| Some((piece.strip_prefix(*name)?.parse().ok()?, *bitrate)))
        };
        body.split(';').filter_map(form).collect()
    }
}
