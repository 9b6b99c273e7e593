//! Doors at this worker: who may listen takes a place, and whoever may not yet is told when.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime};

use hiwar_admission::Scope;
use hiwar_admission::door::desk::{self, Desk, Entry};
use hiwar_admission::door::places::KEPT;
use hiwar_admission::door::ticket::{Class, Ticket};
use hiwar_admission::door::wire::{Said, encode_heard};
use hiwar_segment_log::LogId;

use super::super::DoorMap;
use super::super::slab::Token;
use super::{Client, Worker};
use crate::answer::{self, Answer, Site};
use crate::door::{self, Waiting};
use crate::problem::Problem;
use crate::request::Request;

/// Fewer serials than this, and more are taken.
const SERIALS_LOW: u64 = 1_024;

/// Every log's that has one.
pub(super) struct Doors {
    run: u64,
    by_log: HashMap<LogId, Door>,
    /// Numbers that nobody can foresee, one after the other (SplitMix64, Steele et al. 2014).
    chance: u64,
}

struct Door {
    scope: Scope,
    map: Arc<DoorMap>,
    desk: Desk,
    opening: u16,
    /// What the house's clock said, and when that was heard.
    clock: Option<(SystemTime, Instant)>,
    /// Places that are taken.
    places: HashMap<u64, Holder>,
    /// Places that are kept for whoever was there, the oldest first.
    kept: VecDeque<(SystemTime, u64)>,
}

/// Who has a place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Holder {
    /// A listener.
    Listens(Token),
    /// Whoever was, until then.
    Away(SystemTime),
}

/// Somebody was let in.
#[derive(Copy, Clone, Debug)]
pub(super) struct Admission {
    log: LogId,
    /// Their place.
    pub(super) id: u64,
}

impl Doors {
    pub(super) fn new(run: u64) -> io::Result<Self> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|why| io::Error::other(why.to_string()))?;
        Ok(Self { run, by_log: HashMap::new(), chance: u64::from_le_bytes(seed) })
    }

    /// A log begins, or goes on: then those inside stay so.
    pub(super) fn open(&mut self, log: LogId, map: Option<Arc<DoorMap>>) {
        let Some(map) = map else {
            return;
        };
        let Some(scope) = Scope::parse(log.as_str()) else { return };
        let desk = Desk::new(map.root());
        self.by_log.entry(log).or_insert_with(|| Door {
            scope,
            map,
            desk,
            opening: 0,
            clock: None,
            places: HashMap::new(),
            kept: VecDeque::new(),
        });
    }

    pub(super) fn close(&mut self, log: LogId) {
        self.by_log.remove(&log);
    }

    /// The house says something.
    pub(super) fn hear(&mut self, log: LogId, said: Said) {
        let Some(door) = self.by_log.get_mut(&log) else { return };
        let heard = Instant::now();
        door.clock = Some((said.now, heard));
        if let Some(spoken) = said.word {
            if spoken.opening != door.opening {
                door.opening = spoken.opening;
                door.map.begin(spoken.opening);
            }
            door.desk.hear(spoken.to(self.run));
        }
        for (_, grant) in said.grants.into_iter().filter(|(worker, _)| *worker == self.run) {
            door.desk.take(said.now, grant);
        }
    }

    /// What becomes of a request that would be listened to, or that waits, and by which place.
    pub(super) fn answer(
        &mut self,
        site: &Site,
        answer: Answer,
        request: &Request<'_>,
        address: IpAddr,
        wall: SystemTime,
    ) -> (Answer, Option<Admission>) {
        let (log, entry) = match &answer {
            Answer::Listen { log, .. } => (log.stem(), Entry::Now),
            Answer::Wait { log } => (*log, Entry::Later),
            _ => return (answer, None),
        };
        let lot = self.chance();
        let Some(door) = self.by_log.get_mut(&log) else {
            let listens = matches!(answer, Answer::Listen { .. });
            // Without a door nobody waits.
            return (if listens { answer } else { door::enter(request, log.as_str(), None, wall) }, None);
        };
        let asked = Asked::of(request);
        let shown = asked.ticket().and_then(|text| site.keys.ticket.verify(&door.scope, text.as_bytes()).ok());
        let now = door.now(wall);
        let Some((ticket, admitted)) = door.ask(now, shown, address, lot, entry) else {
            return (answer::refuse(Problem::Busy, Some(request), answer::keep(request), wall), None);
        };
        let text = site.keys.ticket.sign(&door.scope, &ticket);
        let Ok(text) = std::str::from_utf8(&text) else { return (answer, None) };
        if admitted {
            let Answer::Listen { log: heard, rendition, reader, crowd, head } = answer else { return (answer, None) };
            let head = door::with_place(head, text);
            let place = Admission { log, id: ticket.serial };
            return (Answer::Listen { log: heard, rendition, reader, crowd, head }, Some(place));
        }
        let wait = ticket.due.duration_since(now).unwrap_or_default();
        let waiting = Waiting { space: log.as_str(), ticket: text, wait, worth: ticket.worth };
        let answer = match asked {
            _ if entry == Entry::Later && wait.is_zero() => door::enter(request, log.as_str(), Some(text), wall),
            _ if entry == Entry::Later => door::page(request, waiting, wall),
            // The same place in time as they had, or there is no other way to say it.
            Asked::Page(_) => door::wait(request, waiting, wall),
            Asked::Player(Some(held)) if held == text => door::wait(request, waiting, wall),
            Asked::Player(_) => door::redirect(request, waiting, wall),
        };
        (answer, None)
    }

    /// Somebody who was let in listens now. Whoever had that place before, and is there still, is to go: it is one connection's.
    pub(super) fn entered(&mut self, Admission { log, id }: Admission, token: Token) -> Option<Token> {
        let door = self.by_log.get_mut(&log)?;
        match door.places.insert(id, Holder::Listens(token)) {
            Some(Holder::Listens(before)) => Some(before),
            Some(Holder::Away(_)) | None => None,
        }
    }

    /// Somebody who had a place is gone; it is kept for them for a while.
    pub(super) fn left(&mut self, log: LogId, id: u64, token: Token) {
        let Some(door) = self.by_log.get_mut(&log.stem()) else { return };
        let now = door.now(SystemTime::now());
        // Unless they are back already, by another connection.
        if let Some(holder) = door.places.get_mut(&id).filter(|holder| **holder == Holder::Listens(token)) {
            *holder = Holder::Away(now + KEPT);
            door.kept.push_back((now + KEPT, id));
        }
    }

    fn chance(&mut self) -> u32 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as u32
    }
}

/// How somebody asks.
#[derive(Copy, Clone, Debug)]
enum Asked<'r> {
    /// Our page, which reads what it is told.
    Page(&'r str),
    /// A player, which only follows where it is sent.
    Player(Option<&'r str>),
}

impl<'r> Asked<'r> {
    fn of(request: &Request<'r>) -> Self {
        match request.parameter("t") {
            Some(ticket) => Self::Page(ticket),
            None => Self::Player(request.parameter(door::PLAYERS)),
        }
    }

    fn ticket(self) -> Option<&'r str> {
        match self {
            Self::Page(ticket) => Some(ticket),
            Self::Player(ticket) => ticket,
        }
    }
}

impl Door {
    /// By the house's clock; before it has spoken by ours.
    fn now(&self, wall: SystemTime) -> SystemTime {
        self.clock.map_or(wall, |(said, heard)| said + heard.elapsed())
    }

    /// Their ticket, and whether they are let in by it. `None`: there is none to give.
    fn ask(
        &mut self,
        now: SystemTime,
        shown: Option<Ticket>,
        address: IpAddr,
        lot: u32,
        entry: Entry,
    ) -> Option<(Ticket, bool)> {
        if self.desk.serials_left() == 0 {
            self.desk.take_serials(self.map.serials());
        }
        let memory = self.map.memory();
        let networks = self.map.networks().networks(address);
        let is_back = |ticket: &Ticket| ticket.class == Class::Returning && self.places.contains_key(&ticket.serial);
        if let Some(ticket) = shown.filter(is_back) {
            // It is theirs still, wherever the other connection is.
            return Some((Ticket { due: now, ..ticket }, entry == Entry::Now));
        }
        let answer = match shown {
            Some(ticket) => self.desk.present(now, memory, ticket, lot, entry)?,
            None => self.desk.arrive(now, memory, &networks, Class::Anybody, lot, entry)?,
        };
        let (answer, came_by) = match answer {
            // As those do who have none.
            desk::Answer::Used => (self.desk.arrive(now, memory, &networks, Class::Anybody, lot, entry)?, None),
            answer => (answer, shown.map(|ticket| ticket.serial)),
        };
        match answer {
            desk::Answer::Wait(ticket) => Some((ticket, false)),
            desk::Answer::Used => None,
            desk::Answer::Enter => {
                let network = shown.map_or(networks.narrowest(), |ticket| ticket.network);
                let place = self.desk.place_of(now, network, came_by);
                let Some(place) = place else {
                    self.desk.leave();
                    return None;
                };
                // Until they listen, as somebody who was here.
                let until = now + KEPT;
                self.places.insert(place.serial, Holder::Away(until));
                self.kept.push_back((until, place.serial));
                Some((place, true))
            }
        }
    }

    /// Frees places that nobody came back for.
    fn free(&mut self, now: SystemTime) {
        while let Some((until, id)) = self.kept.pop_front_if(|(until, _)| *until <= now) {
            if self.places.get(&id) == Some(&Holder::Away(until)) {
                self.places.remove(&id);
                self.desk.leave();
            }
        }
    }
}

impl Worker {
    /// Four times a second: who is gone, which places are free, and what the house is to hear.
    pub(super) fn mind_the_doors(&mut self) {
        if self.doors.by_log.is_empty() {
            self.shared.doors.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return;
        }
        let channels: Vec<u32> = self.channels.by_log.values().flatten().copied().collect();
        for index in channels {
            let Some(channel) = self.channels.all.at(index) else { continue };
            let log = channel.log;
            for (id, token) in std::mem::take(&mut channel.left) {
                self.doors.left(log, id, token);
            }
        }
        let wall = SystemTime::now();
        let mut heard = HashMap::new();
        for (&log, door) in &mut self.doors.by_log {
            let now = door.now(wall);
            door.free(now);
            if door.desk.serials_left() < SERIALS_LOW {
                let serials = door.map.serials();
                if !serials.is_empty() {
                    door.desk.take_serials(serials);
                }
            }
            heard.insert(log, encode_heard(&door.desk.heard(now)));
        }
        *self.shared.doors.lock().unwrap_or_else(PoisonError::into_inner) = heard;
    }

    /// A listener's place is another connection's now.
    pub(super) fn give_way(&mut self, token: Token) {
        if let Some(Client::Listening(listening)) = self.slab.get(token) {
            listening.place = 0;
            self.leave(token);
        }
    }
}
