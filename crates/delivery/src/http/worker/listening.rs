//! Those who listen: how one becomes a listener, what is done for each in a sweep, and where they are found.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use hiwar_admission::ladder::{Bitrate, Cadence};
use hiwar_admission::reaction::{Budgets, Reaction};
use hiwar_segment_log::LogId;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::super::Shared;
use super::super::exchange::{Exchange, Step};
use super::super::slab::{Slab, Token};
use super::super::socket::{self, Moved};
use super::super::stream::Stream;
use super::door::Admission;
use super::{Channel, Channels, Client, Worker};
use crate::answer::{Answer, Noted};
use crate::audience::{Counters, Crowd, Who};
use crate::fanout::{
    self, Cursor, GATHER_MAX, Group, Judgement, Owed, Piece, Reader, Reading, SWEEP_TURN, Seat, Telling, Visit,
};
use crate::problem::Problem;
use crate::tail::{Form, Tail};

/// A listener: small, because there are many.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) socket: Stream,
    /// Which channel, and where in its group.
    pub(super) channel: u32,
    pub(super) seat: Seat,
    pub(super) cursor: Cursor,
    pub(super) blocked: Blocked,
    pub(super) reading: Reading,
    pub(super) crowd: Crowd,
    /// By which place they listen; 0: there is no door.
    pub(super) place: u64,
}

/// Whether a listener's socket is full, and epoll watches for room.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    No,
    Yes,
}

impl Worker {
    /// A connection becomes a listener, and gets head, init bytes and burst in one write.
    pub(super) fn join(
        &mut self,
        token: Token,
        (log, rendition): (LogId, usize),
        reader: Reader,
        who: Who,
        (head, place): (&[u8], Option<Admission>),
    ) -> Step {
        let Some(tail) = self.site.logs.get(&log) else { return Step::Close };
        let Some(told) = tail.header().renditions.get(rendition) else { return Step::Close };
        let Some(channel) = self.channels.find(log, rendition) else { return Step::Close };
        let cadence = self.rhythm.for_joiners();
        // A player that is told nothing takes it to be the usual one.
        let notice = tail.cadence_notice(rendition, cadence).filter(|_| cadence != Cadence::default());
        let notice = notice.map(|notice| notice.now.as_ref()).unwrap_or_default();
        let mut prelude = BytesMut::with_capacity(head.len() + told.init.len() + notice.len());
        [head, &told.init, notice].into_iter().for_each(|part| prelude.extend_from_slice(part));
        let burst = fanout::burst(&told.name, reader, cadence);
        let cursor = Cursor::new(prelude.freeze(), tail.burst_from(burst.chunks, since(burst.fresh)), reader);
        let Some(Client::Exchange(exchange)) = self.slab.remove(token.index()) else { return Step::Wait };
        let Exchange { mut socket, .. } = *exchange;
        socket.settle(burst.send_buffer_bytes);
        let listening = Listening {
            socket,
            channel,
            seat: Seat::default(),
            cursor,
            blocked: Blocked::No,
            reading: Reading::default(),
            crowd: who.crowd,
            place: place.map_or(0, |place| place.id),
        };
        // Under a new token: whatever epoll or the wheel still says about the exchange finds nobody.
        let token = self.slab.insert(Client::Listening(listening));
        let Some(Client::Listening(listening)) = self.slab.get(token) else { return Step::Wait };
        // Nothing is watched but the end: what a listener sends is not read, and half-closing is its right (RFC 9112 §9.6).
        let modified = epoll::modify(&self.epoll, &listening.socket, EventData::new_u64(token.0), EventFlags::empty());
        if let Some(at) = self.channels.all.at(channel).filter(|_| modified.is_ok()) {
            listening.seat = at.group.join(token.index(), cadence);
            let is_first = at.counters.join(who);
            let is_to_be_lean = self.rhythm.bitrate == Bitrate::Lean && tail.can_be_lean(rendition);
            if (is_to_be_lean && at.counters.want_lean(true)) || is_first {
                self.shared.ears();
            }
            if let Some(place) = place {
                // Without a door whoever connects has.
                self.rhythm.joined();
                if let Some(before) = self.doors.entered(place, token) {
                    self.give_way(before);
                }
            }
            self.serve_listener(token);
            self.remind(token);
        } else {
            self.slab.remove(token.index());
        }
        Step::Wait
    }

    /// Tells a listener who joined while nothing comes that something will.
    fn remind(&mut self, token: Token) {
        let Some(Client::Listening(listening)) = self.slab.get(token) else { return };
        let Some(channel) = self.channels.all.at(listening.channel) else { return };
        let Some(tail) = self.site.logs.get(&channel.log) else { return };
        if let Some(notice) = tail.notice(channel.rendition)
            && listening.cursor.owed(tail) == Owed::Nothing
        {
            listening.cursor.tell(notice);
            self.serve_listener(token);
        }
    }

    /// Writes everything a listener lacks, or as much as its socket takes.
    pub(super) fn serve_listener(&mut self, token: Token) {
        let Some(Client::Listening(listening)) = self.slab.get(token) else { return };
        let Some(channel) = self.channels.all.at(listening.channel) else { return };
        let Some(tail) = self.site.logs.get(&channel.log) else { return };
        let due = Due::all(tail, Form { rendition: channel.rendition, bitrate: self.rhythm.bitrate });
        let was_given = listening.cursor.was_given();
        let (bytes, goes_on) = listening.write(&self.epoll, token, &due, &self.shared);
        self.channels.sent += bytes;
        channel.counters.sent(listening.crowd, bytes);
        if goes_on && was_given {
            listening.cursor.confirm();
        }
        if (bytes > 0 || listening.blocked == Blocked::No)
            && listening.reading.took()
            && channel.counters.hears(listening.crowd)
        {
            self.shared.ears();
        }
        if !goes_on {
            self.leave(token);
        }
    }

    pub(super) fn leave(&mut self, token: Token) {
        if let Some(Client::Listening(listening)) = self.slab.get(token)
            && let Some(channel) = self.channels.all.at(listening.channel)
        {
            channel.lose(token.index(), &mut self.slab);
        }
    }

    /// The sweeps that are on: a turn of them, and more if what came before them in this round of the loop took longer. So those who listen have
    /// half of the thread when they need it, however many come and ask.
    pub(super) fn sweep(&mut self, woken: Instant) {
        let began = Instant::now();
        let others = began - woken;
        loop {
            self.sweep_turn();
            if self.channels.sweeping.is_empty() || began.elapsed() >= others {
                return;
            }
        }
    }

    fn sweep_turn(&mut self) {
        let mut turn = SWEEP_TURN;
        while turn > 0
            && let Some(&index) = self.channels.sweeping.front()
        {
            let visited = self.sweep_channel(index, turn);
            turn = turn.saturating_sub(visited);
            // Whoever has more to visit goes to the end, so that one large audience does not delay a small one.
            self.channels.sweeping.pop_front();
            if turn == 0 {
                self.channels.sweeping.push_back(index);
            }
        }
    }

    fn sweep_channel(&mut self, index: u32, turn: usize) -> usize {
        let Some(channel) = self.channels.all.at(index) else { return 0 };
        let Some(tail) = self.site.logs.get(&channel.log) else { return 0 };
        let mut visited = 0;
        while visited < turn {
            let Some(visit) = channel.group.visit() else {
                channel.piece = None;
                if let Some(since) = channel.due_since.take() {
                    self.rhythm.swept(since.elapsed());
                }
                break;
            };
            visited += 1;
            if !channel.visit(&visit, (tail, self.rhythm.bitrate), &mut self.slab, &self.epoll, &self.shared) {
                channel.lose(visit.connection, &mut self.slab);
            }
        }
        self.channels.sent += channel.count_sent();
        visited
    }
}

/// What is to be written to a listener now.
pub(super) struct Due<'a> {
    tail: &'a Tail,
    form: Form,
    /// What most of those lack whose turn it is.
    piece: Option<&'a Piece>,
    /// No chunk from this position on.
    until: u64,
}

impl<'a> Due<'a> {
    /// Everything that there is.
    fn all(tail: &'a Tail, form: Form) -> Self {
        Self { tail, form, piece: None, until: u64::MAX }
    }
}

impl Listening {
    /// Writes what the listener lacks, which may be just a piece. Returns the bytes that went out, and whether the listener goes on.
    pub(super) fn write(&mut self, epoll: &OwnedFd, token: Token, due: &Due<'_>, shared: &Shared) -> (u64, bool) {
        let &Due { tail, form, piece, until } = due;
        // So much came at once that what it lacks is gone, and nobody looked at it in between.
        if self.cursor.has_missed(tail) && !self.is_kept(tail, shared) {
            return (0, false);
        }
        let mut sent = 0;
        if let Some(piece) = piece
            && let Some(bytes) = self.cursor.lacks(piece).filter(|bytes| !bytes.is_empty())
        {
            let written = match self.socket.write(bytes) {
                Moved::Bytes(written) => written,
                Moved::Later => 0,
                _ => return (0, false),
            };
            self.cursor.took(piece, written);
            sent = written as u64;
            if written < bytes.len() {
                self.watch(epoll, token, Blocked::Yes);
                return (sent, true);
            }
            // Nearly always that is all.
            if !self.socket.is_stuck() && self.cursor.has_all(tail, until) {
                return (sent, true);
            }
        }
        loop {
            let mut slices = [&[][..]; GATHER_MAX];
            let filled = self.cursor.gather(tail, form, until, &mut slices);
            let slices = slices.get(..filled).unwrap_or_default();
            let offered: usize = slices.iter().map(|slice| slice.len()).sum();
            if offered == 0 {
                break;
            }
            let moved = match slices {
                [one] => self.socket.write(one),
                many => {
                    let mut vectors = [io::IoSlice::new(&[]); GATHER_MAX];
                    vectors.iter_mut().zip(many).for_each(|(vector, slice)| *vector = io::IoSlice::new(slice));
                    self.socket.write_all_of(vectors.get(..filled).unwrap_or_default())
                }
            };
            let bytes = match moved {
                Moved::Bytes(bytes) => bytes,
                Moved::Later => 0,
                _ => return (sent, false),
            };
            sent += bytes as u64;
            self.cursor.advance(tail, form, bytes);
            if bytes < offered {
                self.watch(epoll, token, Blocked::Yes);
                return (sent, true);
            }
        }
        // Also steps over chunks that lack this rendition.
        self.cursor.advance(tail, form, 0);
        match self.socket.flush() {
            Moved::Bytes(_) => self.watch(epoll, token, Blocked::No),
            Moved::Later => {
                self.watch(epoll, token, Blocked::Yes);
                return (sent, true);
            }
            _ => return (sent, false),
        }
        let goes_on = self.cursor.owed(tail) != Owed::Goodbye;
        if !goes_on {
            self.socket.say_goodbye();
        }
        (sent, goes_on)
    }

    /// Decides about a listener who is behind, and counts it.
    pub(super) fn is_kept(&mut self, tail: &Tail, shared: &Shared) -> bool {
        match self.cursor.judge(tail, self.seat.cadence()) {
            Judgement::Keep => true,
            Judgement::Skipped => {
                shared.skipped.fetch_add(1, Relaxed);
                true
            }
            Judgement::Cut => {
                shared.cut.fetch_add(1, Relaxed);
                false
            }
        }
    }

    fn watch(&mut self, epoll: &OwnedFd, token: Token, blocked: Blocked) {
        if self.blocked != blocked {
            self.blocked = blocked;
            let flags = if blocked == Blocked::Yes { EventFlags::OUT } else { EventFlags::empty() };
            let _ = epoll::modify(epoll, &self.socket, EventData::new_u64(token.0), flags);
        }
    }
}

impl Channel {
    /// Writes to whoever's turn it is, tells them what everyone is told, and moves them to the cadence at which they are to be. Returns whether they go on;
    /// the bytes that went out are counted by [`count_sent`](Self::count_sent).
    pub(super) fn visit(
        &mut self,
        visit: &Visit,
        (tail, bitrate): (&Tail, Bitrate),
        slab: &mut Slab<Client>,
        epoll: &OwnedFd,
        shared: &Shared,
    ) -> bool {
        let form = Form { rendition: self.rendition, bitrate };
        let token = slab.token(visit.connection);
        let Some(Client::Listening(listening)) = slab.at(visit.connection) else { return true };
        if listening.blocked == Blocked::Yes {
            if listening.reading.missed(visit.cadence()) {
                self.counters.lose(listening.crowd);
            }
            return listening.is_kept(tail, shared);
        }
        let (row, until) = (visit.row, visit.until);
        if self.piece.as_ref().is_none_or(|(of, to, _)| (*of, *to) != (row, until)) {
            self.piece = Some((row, until, Piece::of(tail, form, visit.cadence(), until)));
        }
        // At a longer cadence nobody gets more than their turn's: then all of a row lack the same again at the next. At the shortest there is no next before what is here.
        // (But for what is held back until its lean form is there.)
        let all = self.awaited.map_or(u64::MAX, |(position, _)| position);
        let until = if visit.cadence() == Cadence::default() { all } else { until };
        let piece = self.piece.as_ref().map(|(_, _, piece)| piece);
        let due = Due { tail, form, piece, until };
        let (crowd, was_given) = (listening.crowd, listening.cursor.was_given());
        let (mut sent, mut goes_on) = listening.write(epoll, token, &due, shared);
        if goes_on && was_given {
            listening.cursor.confirm();
        }
        let seat = listening.seat;
        if goes_on
            && listening.blocked == Blocked::No
            && let Some(to) = self.group.moves(seat)
        {
            self.reseat(visit.connection, seat, to, tail, slab);
        }
        if goes_on && visit.telling == Telling::Notice {
            let Some(Client::Listening(listening)) = slab.at(visit.connection) else { return true };
            // Chunks that came while everyone is told are for their next turn. Where they are now is told before where they will be.
            let due = Due { tail, form, piece: None, until };
            for notice in [&Bytes::new(), &self.notice] {
                if goes_on {
                    listening.cursor.tell(notice);
                    let (more, still) = listening.write(epoll, token, &due, shared);
                    (sent, goes_on) = (sent + more, still);
                }
            }
        }
        match crowd {
            Crowd::Audience => self.sent += sent,
            Crowd::Rehearsal => self.sent_to_rehearsed += sent,
        }
        goes_on
    }

    /// Counts what was sent since this was last called, and returns it: once a turn, for a figure of all threads costs more than one of ours.
    fn count_sent(&mut self) -> u64 {
        let (sent, to_rehearsed) = (std::mem::take(&mut self.sent), std::mem::take(&mut self.sent_to_rehearsed));
        self.counters.sent(Crowd::Audience, sent);
        self.counters.sent(Crowd::Rehearsal, to_rehearsed);
        sent + to_rehearsed
    }

    /// Moves a listener to another cadence, and lets its player know before the next sound.
    fn reseat(&mut self, member: u32, seat: Seat, to: Cadence, tail: &Tail, slab: &mut Slab<Client>) {
        self.vacate(seat, slab);
        let Some(Client::Listening(listening)) = slab.at(member) else { return };
        listening.seat = self.group.join(member, to);
        let room = fanout::send_buffer_bytes;
        if room(to) > room(seat.cadence()) {
            socket::bound_listener(listening.socket.socket(), room(to));
        }
        if let Some(notice) = tail.cadence_notice(self.rendition, to) {
            listening.cursor.tell(&notice.now);
        }
    }

    /// Everyone is told this, once. Whether the channel must be queued for sweeping.
    pub(super) fn tell(&mut self, notice: Bytes, live: u64) -> bool {
        self.notice = notice;
        self.group.tell(live)
    }

    /// Takes a listener who is gone out of the count.
    pub(super) fn count_out(&self, listening: &Listening) {
        // Who stopped reading was taken out then.
        if listening.reading.goes_on() {
            self.counters.lose(listening.crowd);
        }
        if !listening.cursor.has_heard() {
            self.counters.was_silent(listening.crowd);
        }
    }

    /// Frees a seat; whoever is moved to it learns of it.
    fn vacate(&mut self, seat: Seat, slab: &mut Slab<Client>) {
        if let Some(moved) = self.group.leave(seat)
            && let Some(Client::Listening(other)) = slab.at(moved)
        {
            other.seat = seat;
        }
    }

    /// Closes a listener's connection, and whoever is moved to its seat learns of it.
    pub(super) fn lose(&mut self, member: u32, slab: &mut Slab<Client>) {
        let token = slab.token(member);
        let Some(Client::Listening(listening)) = slab.remove(member) else { return };
        if listening.place != 0 {
            self.left.push((listening.place, token));
        }
        self.count_out(&listening);
        self.vacate(listening.seat, slab);
    }
}

impl Channels {
    pub(super) fn open(&mut self, log: LogId, renditions: usize, counters: &Arc<Counters>) {
        let channel = |rendition| Channel {
            log,
            rendition,
            group: Group::default(),
            piece: None,
            notice: Bytes::new(),
            awaited: None,
            due_since: None,
            sent: 0,
            sent_to_rehearsed: 0,
            counters: counters.clone(),
            left: Vec::new(),
        };
        let indexes = (0..renditions).map(|rendition| self.all.insert(channel(rendition)).index()).collect();
        self.by_log.insert(log, indexes);
    }

    /// Counts what a request left behind that has been answered like this. Whoever asks for a piece while the log sleeps is an ear as good as any.
    pub(super) fn note(
        &mut self,
        noted: Noted,
        who: impl FnOnce(LogId, Crowd) -> Who,
        answer: &Answer,
        shared: &Shared,
    ) {
        let (log, now) = (noted.log(), shared.age());
        let bytes = match (&noted, answer) {
            (Noted::Heard(..), Answer::Ready { head, body, .. }) => (head.len() + body.len()) as u64,
            _ => 0,
        };
        self.sent += bytes;
        let Some(counters) = self.counters(log) else { return };
        match noted {
            Noted::Fetched(_) => {}
            Noted::Heard(_, crowd) => {
                counters.mark(who(log, crowd), now);
                counters.sent(crowd, bytes);
            }
            Noted::TurnedAway(_, crowd) => return counters.turn_away(crowd),
        }
        if counters.fetch(now) {
            shared.ears();
        }
    }

    /// Somebody reacts: counted, unless they have just done so too often, or nobody's are taken (no `budgets`). Two hashes, a look into a table and a number more; nothing is
    /// allocated, and nobody woken: the report of the second has it.
    pub(super) fn react(
        &mut self,
        log: LogId,
        reaction: Reaction,
        who: Who,
        budgets: Option<&mut Budgets>,
        shared: &Shared,
    ) -> Result<(), Problem> {
        budgets.ok_or(Problem::Reactionless)?.spend(shared.age(), who.person).map_err(Problem::TooOften)?;
        // A rehearsal costs what a crowd would, and is in no number.
        if let (Crowd::Audience, Some(counters)) = (who.crowd, self.counters(log)) {
            counters.react(reaction);
        }
        Ok(())
    }

    /// Does something with every channel of a log, and queues those for sweeping of which it says so.
    pub(super) fn each(&mut self, log: LogId, mut act: impl FnMut(&mut Channel) -> bool) {
        for &index in self.by_log.get(&log).map_or(&[][..], Vec::as_slice) {
            if self.all.at(index).is_some_and(&mut act) {
                self.sweeping.push_back(index);
            }
        }
    }

    /// Whether somebody listens to a log, in whichever form.
    pub(super) fn is_heard(&mut self, log: LogId) -> bool {
        let indexes = self.by_log.get(&log).map_or(&[][..], Vec::as_slice);
        indexes.iter().any(|&index| self.all.at(index).is_some_and(|channel| !channel.group.is_empty()))
    }

    /// There was no room for somebody.
    pub(super) fn turn_away(&mut self, log: LogId, crowd: Crowd) {
        if let Some(counters) = self.counters(log) {
            counters.turn_away(crowd);
        }
    }

    /// All renditions of a log have the same.
    pub(super) fn counters(&mut self, log: LogId) -> Option<&Counters> {
        let index = *self.by_log.get(&log)?.first()?;
        self.all.at(index).map(|channel| &*channel.counters)
    }

    pub(super) fn find(&self, log: LogId, rendition: usize) -> Option<u32> {
        self.by_log.get(&log)?.get(rendition).copied()
    }
}

/// What was made before this moment is too old to begin with: nothing has come for a while, and what comes next is not its continuation.
fn since(ago: Duration) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_sub(ago).as_micros()).unwrap_or(0)
}
