//! Doors at this worker: who may listen takes a place, and whoever may not yet is told when.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hiwar_admission::door::desk::{self, Desk, Entry, Phase, Vouched};
use hiwar_admission::door::diary::{Field, Traffic};
use hiwar_admission::door::network::NetworkKey;
use hiwar_admission::door::places::KEPT;
use hiwar_admission::door::ticket::{Class, Ticket, TicketKey, Worth};
use hiwar_admission::door::wire::{Said, encode_heard};
use hiwar_admission::{CrowdKeys, Pair, Scope, VoucherKey};
use hiwar_segment_log::LogId;

use super::super::drawn::{Lists, Written};
use super::super::slab::Token;
use super::super::{DoorMap, Way};
use super::{Client, Worker};
use crate::answer::{self, Answer};
use crate::door::{self, Offers, Waiting};
use crate::problem::Problem;
use crate::request::Request;

/// Fewer serials than this, and more are taken.
const SERIALS_LOW: u64 = 1_024;
/// Whoever listened for less than this has heard nothing that they would come back to.
const HEARD: Duration = Duration::from_secs(5);
/// For so long the place is kept of somebody who has heard nothing: until they listen, or connect again.
const KEPT_UNHEARD: Duration = Duration::from_secs(5);
/// What a house said first was said so much earlier than it was heard, at the most: if it is behind by more, it goes by another clock.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// Every log's that has one.
pub(super) struct Doors {
    run: u64,
    by_log: HashMap<LogId, Door>,
    lists: Lists,
    /// Those that were to have one, and can have none.
    shut: HashSet<LogId>,
    /// Numbers that nobody can foresee, one after the other (SplitMix64, Steele et al. 2014).
    chance: u64,
    is_retired: bool,
}

struct Door {
    scope: Scope,
    /// Of this file's tickets alone: another one begins with the same serials.
    key: Pair<TicketKey>,
    vouchers: Pair<VoucherKey>,
    map: Arc<DoorMap>,
    desk: Desk,
    /// Which house was heard last.
    house: u64,
    opening: u16,
    /// Makes hashes of networks, in this opening.
    networks: NetworkKey,
    /// Whom it draws, for the public record.
    written: Option<Written>,
    /// What happens, for the diary.
    traffic: Traffic,
    /// What the house's clock said, and when that was heard: of all that it said what was soonest heard.
    clock: Option<(SystemTime, Instant)>,
    /// Places that are taken.
    places: HashMap<u64, Holder>,
    /// Places that are kept for whoever was there, and until when.
    kept: BinaryHeap<Reverse<(SystemTime, u64)>>,
}

/// Who has a place.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Holder {
    /// A listener, since then.
    Listens(Token, SystemTime),
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
        let lists = Lists::default();
        Ok(Self {
            run,
            by_log: HashMap::new(),
            shut: HashSet::new(),
            lists,
            chance: u64::from_le_bytes(seed),
            is_retired: false,
        })
    }

    /// Whether no log here has one.
    pub(super) fn is_empty(&self) -> bool {
        self.by_log.is_empty()
    }

    /// A log begins, or goes on: then those inside stay so.
    pub(super) fn open(&mut self, log: LogId, way: Way, keys: &CrowdKeys) {
        self.shut.remove(&log);
        let map = match way {
            Way::Open => return,
            Way::Door(map) => map,
            Way::Shut => {
                // With the one that it had it goes on.
                if !self.by_log.contains_key(&log) {
                    self.shut.insert(log);
                }
                return;
            }
        };
        let Some(scope) = Scope::parse(log.as_str()) else { return };
        let (mut desk, key) = (Desk::new(map.root()), keys.ticket.map(|key| key.of_door(&map.root())));
        if self.is_retired {
            desk.retire();
        }
        let (run, lists) = (self.run, &mut self.lists);
        self.by_log.entry(log).or_insert_with(|| Door {
            scope,
            key,
            vouchers: keys.voucher.clone(),
            written: map.folder().and_then(|folder| lists.write(folder, run)),
            networks: map.networks(0),
            traffic: Traffic::default(),
            map,
            desk,
            house: 0,
            opening: 0,
            clock: None,
            places: HashMap::new(),
            kept: BinaryHeap::new(),
        });
    }

    pub(super) fn close(&mut self, log: LogId) {
        self.by_log.remove(&log);
        self.shut.remove(&log);
    }

    /// The house says something.
    pub(super) fn hear(&mut self, log: LogId, said: Said) {
        let Some(door) = self.by_log.get_mut(&log) else { return };
        if said.house < door.house {
            // It waited in this thread's mail while another house began: what it gave is void.
            return;
        }
        door.hear_clock(said.house, said.now);
        if let Some(spoken) = said.word {
            if spoken.opening != door.opening {
                door.opening = spoken.opening;
                door.map.begin(spoken.opening);
                door.networks = door.map.networks(spoken.opening);
            }
            if let (Some(written), Phase::Queue { .. }) = (&mut door.written, &spoken.phase) {
                written.end(spoken.opening);
            }
            door.desk.hear(spoken.to(self.run));
        }
        for (_, grant) in said.grants.into_iter().filter(|(worker, _)| *worker == self.run) {
            door.desk.take(said.now, grant);
        }
    }

    /// Whether there is a door before what is asked for.
    pub(super) fn has(&self, answer: &Answer) -> bool {
        log_of(answer).is_some_and(|log| self.by_log.contains_key(&log))
    }

    /// Whether whoever asks shows a ticket or a place of that door: they were here before.
    pub(super) fn know(&self, answer: &Answer, request: &Request<'_>) -> bool {
        let door = log_of(answer).and_then(|log| self.by_log.get(&log));
        let shown = Asked::of(request).ticket().map(str::as_bytes);
        door.zip(shown).is_some_and(|(door, shown)| door.read(shown).is_some())
    }

    /// What becomes of a request that would be listened to, or that waits, and by which place.
    pub(super) fn answer(
        &mut self,
        answer: Answer,
        request: &Request<'_>,
        address: IpAddr,
        offers: Offers<'_>,
        wall: SystemTime,
    ) -> (Answer, Option<Admission>) {
        let (log, entry) = match &answer {
            Answer::Listen { log, .. } => (log.stem(), Entry::Now),
            Answer::Wait { log } => (*log, Entry::Later),
            _ => return (answer, None),
        };
        if self.shut.contains(&log) {
            return (answer::refuse(Problem::Busy, Some(request), answer::keep(request), wall), None);
        }
        let lot = self.chance();
        let Some(door) = self.by_log.get_mut(&log) else {
            let listens = matches!(answer, Answer::Listen { .. });
            // Without a door nobody waits.
            return (if listens { answer } else { door::enter(request, log.as_str(), None, wall) }, None);
        };
        let asked = Asked::of(request);
        let shown = asked.ticket().and_then(|text| door.read(text.as_bytes()));
        if shown.is_none() && asked.ticket().is_some_and(|text| !text.is_empty()) {
            door.traffic.add(Field::Bad, 0);
        }
        let now = door.now(wall);
        let shown = Shown { ticket: shown, voucher: request.parameter(door::VOUCHER), wall };
        let Told { ticket, comes } = door.ask(now, shown, address, lot, entry);
        // The place of whoever was inside is kept where they were.
        let may_be_elsewhere = ticket.class == Class::Returning || door.desk.is_free_elsewhere(now);
        let text = door.key.now.sign(&door.scope, &ticket);
        let Ok(text) = std::str::from_utf8(&text) else { return (answer, None) };
        let Some((comes, is_due)) = comes else {
            let Answer::Listen { log: heard, rendition, reader, crowd, head } = answer else { return (answer, None) };
            let head = door::with_place(head, text);
            let place = Admission { log, id: ticket.serial };
            return (Answer::Listen { log: heard, rendition, reader, crowd, head }, Some(place));
        };
        let wait = comes.duration_since(now).unwrap_or_default();
        // Whoever was inside, or whose time has come, is told that it is soon, and not that they have a place.
        let is_soon = ticket.class == Class::Returning || (is_due && matches!(ticket.worth, Worth::Place { .. }));
        let worth = if is_soon { Worth::Place { promised: Duration::ZERO } } else { ticket.worth };
        let expected = door.desk.expects(now, &ticket);
        let waiting = Waiting { space: log.as_str(), ticket: text, wait, worth, expected, offers };
        let answer = match asked {
            _ if entry == Entry::Later && wait.is_zero() => door::enter(request, log.as_str(), Some(text), wall),
            _ if entry == Entry::Later => door::page(request, waiting, wall),
            // The same place in time as they had, or there is no other way to say it.
            Asked::Page(_) => {
                let may_be = may_be_elsewhere && waiting.is_soon();
                let on = may_be.then(|| door::send_on(request, wall)).flatten();
                on.unwrap_or_else(|| door::wait(request, waiting, wall))
            }
            Asked::Player(Some(held)) if held == text => door::wait(request, waiting, wall),
            Asked::Player(_) => door::redirect(request, waiting, wall),
        };
        (answer, None)
    }

    /// Somebody who was let in listens now. Whoever had that place before, and is there still, is to go: it is one connection's.
    pub(super) fn entered(&mut self, Admission { log, id }: Admission, token: Token) -> Option<Token> {
        let door = self.by_log.get_mut(&log)?;
        let now = door.now(SystemTime::now());
        match door.places.insert(id, Holder::Listens(token, now)) {
            Some(Holder::Listens(before, _)) => Some(before),
            Some(Holder::Away(_)) => {
                door.desk.come_back();
                None
            }
            None => None,
        }
    }

    /// Somebody who had a place is gone; it is kept for them for a while.
    pub(super) fn left(&mut self, log: LogId, id: u64, token: Token) {
        let Some(door) = self.by_log.get_mut(&log.stem()) else { return };
        let now = door.now(SystemTime::now());
        // Unless they are back already, by another connection.
        match door.places.get(&id) {
            Some(Holder::Listens(theirs, since)) if *theirs == token => {
                let have_heard = now.duration_since(*since).is_ok_and(|time| time >= HEARD);
                door.keep(id, now + if have_heard { KEPT } else { KEPT_UNHEARD });
            }
            _ => {}
        }
    }

    /// This worker lets in nobody any more.
    pub(super) fn retire(&mut self) {
        self.by_log.values_mut().for_each(|door| door.desk.retire());
        self.is_retired = true;
    }

    fn chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Of which log's door.
fn log_of(answer: &Answer) -> Option<LogId> {
    match answer {
        Answer::Listen { log, .. } => Some(log.stem()),
        Answer::Wait { log } => Some(*log),
        _ => None,
    }
}

/// What somebody shows.
#[derive(Copy, Clone, Debug)]
struct Shown<'r> {
    /// Checked.
    ticket: Option<Ticket>,
    /// And not yet, by our clock.
    voucher: Option<&'r str>,
    wall: SystemTime,
}

/// What somebody is told.
#[derive(Copy, Clone, Debug)]
struct Told {
    ticket: Ticket,
    /// When they are to come, and whether the ticket was due before that. `None`: they are in.
    comes: Option<(SystemTime, bool)>,
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
    /// A ticket of this door that is genuine.
    fn read(&self, text: &[u8]) -> Option<Ticket> {
        self.key.check(|key| key.verify(&self.scope, text)).ok()
    }

    /// By the house's clock; before it has spoken by ours.
    fn now(&self, wall: SystemTime) -> SystemTime {
        self.clock.map_or(wall, |(said, heard)| said + heard.elapsed())
    }

    /// Their ticket, and whether they are let in by it.
    fn ask(&mut self, now: SystemTime, shown: Shown<'_>, address: IpAddr, chance: u64, entry: Entry) -> Told {
        let Shown { ticket: shown, voucher, wall } = shown;
        let lot = chance as u32;
        if self.desk.serials_left() == 0 {
            self.desk.take_serials(self.map.serials());
        }
        let memory = self.map.memory();
        let networks = self.networks.networks(address);
        self.traffic.asked(networks.narrowest());
        if entry == Entry::Later {
            self.traffic.add(Field::Pages, 0);
        }
        if shown.is_some() {
            self.traffic.add(Field::Returns, 0);
        }
        // What an earlier crowd was hashed by stays with it: nobody is to see that they came to both.
        let shown = shown.map(|ticket| {
            let is_of_this = ticket.opening == self.opening;
            Ticket { network: if is_of_this { ticket.network } else { networks.narrowest() }, ..ticket }
        });
        if let Some(ticket) = shown.filter(|ticket| self.places.contains_key(&ticket.serial)) {
            // It is theirs still, wherever the other connection is, and whatever they came by.
            let ticket = self.desk.place_of(now, ticket.network, ticket.serial);
            return Told { ticket, comes: (entry == Entry::Later).then_some((now, true)) };
        }
        let answer = shown.and_then(|ticket| self.desk.present(now, memory, ticket, lot, entry));
        let shown = shown.filter(|_| answer.is_some());
        let answer = answer.unwrap_or_else(|| {
            // Looked at only where it matters: it costs a MAC. A bad one is as none.
            let voucher = voucher.and_then(|text| self.vouchers.check(|key| key.verify(wall, &self.scope, text)).ok());
            let holder = |holder| self.networks.holder(holder);
            let vouched = voucher.map(|voucher| Vouched { known: voucher.known, holder: holder(voucher.holder) });
            self.desk.arrive(now, memory, &networks, vouched, lot, entry)
        });
        match answer {
            desk::Answer::Wait(ticket) => {
                match ticket.serial {
                    0 => self.traffic.add(Field::Away, 0),
                    serial if shown.is_some_and(|shown| shown.serial == serial) => {}
                    _ => self.given(&ticket),
                }
                Told { ticket, comes: Some((ticket.due, false)) }
            }
            desk::Answer::Again(ticket, comes) => Told { ticket, comes: Some((comes, true)) },
            desk::Answer::Enter => {
                let class = shown.map_or(Class::Anybody, |ticket| ticket.class);
                self.traffic.add(Field::Entered, class as usize);
                let network = shown.map_or(networks.narrowest(), |ticket| ticket.network);
                let place = shown.map_or(Desk::PLACE_MIN | chance, |ticket| ticket.serial);
                let place = self.desk.place_of(now, network, place);
                // Until they listen, as somebody who was here.
                self.keep(place.serial, now + KEPT_UNHEARD);
                Told { ticket: place, comes: None }
            }
        }
    }

    /// Somebody's place is kept for them until then.
    fn keep(&mut self, id: u64, until: SystemTime) {
        self.places.insert(id, Holder::Away(until));
        self.kept.push(Reverse((until, id)));
        self.desk.depart();
    }

    /// What waited for this thread, or on the way, says too little: a house's clock is what is furthest.
    fn hear_clock(&mut self, house: u64, said: SystemTime) {
        let now = self.now(said);
        let is_behind = house != self.house && now.duration_since(said).is_ok_and(|behind| behind > UNDER_WAY);
        self.house = house;
        self.desk.meet(house);
        if is_behind {
            self.desk.forget_times();
            for Reverse((_, id)) in std::mem::take(&mut self.kept) {
                if matches!(self.places.get(&id), Some(Holder::Away(_))) {
                    let until = said + KEPT;
                    self.places.insert(id, Holder::Away(until));
                    self.kept.push(Reverse((until, id)));
                }
            }
        }
        if self.clock.is_none() || said >= now || is_behind {
            self.clock = Some((said, Instant::now()));
        }
    }

    /// A ticket that nobody had.
    fn given(&mut self, ticket: &Ticket) {
        self.traffic.add(Field::Tickets, ticket.class as usize);
        if matches!(ticket.worth, Worth::Draw(_)) {
            self.traffic.add(Field::Drawn, 0);
        }
        if let Some(nth) = self.desk.take_nth() {
            self.traffic.nth(nth);
        }
        if let Some(written) = &mut self.written {
            written.note(ticket);
        }
    }

    /// Frees places that nobody came back for.
    fn free(&mut self, now: SystemTime) {
        while let Some(&Reverse((until, id))) = self.kept.peek().filter(|Reverse((until, _))| *until <= now) {
            self.kept.pop();
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
            door.map.sweep();
            if door.desk.serials_left() < SERIALS_LOW {
                let serials = door.map.serials();
                if !serials.is_empty() {
                    door.desk.take_serials(serials);
                }
            }
            if let Some(written) = &mut door.written {
                written.flush();
            }
            heard.insert(log, encode_heard(&door.desk.heard(now, &door.traffic)));
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
