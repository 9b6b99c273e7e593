//! A launch at a real server: everybody comes from an address of their own, waits as they are told, listens, and goes. A socket is held only while somebody asks or listens.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::answer::{Head, Stage, Wait};
use super::level::level;
use crate::launch::moments::{Moment, Moments};
use crate::launch::{Backoff, Chance, Kind, Lived, Seen, Visit};
use crate::live::listen::wire::{Moved, Wire};
use crate::live::listen::{own_files, room_for};
use crate::live::{Error, wait_until};

/// Between two looks at the sockets.
const TICK: Duration = Duration::from_millis(2);
/// Sockets looked at before the clock is.
const EVENTS: usize = 512;
/// Whoever listens takes what has come so often: what a second brings lies in the socket. Woken by every chunk, a crowd takes from the server, on the same machine, what is to be measured.
const LISTENS_EVERY: Duration = Duration::from_secs(1);
/// Whoever has no answer after so long asks again. Longer than a lost SYN and its two repetitions take (RFC 6298: 1 and 2 s).
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// As the page does: it comes up to so much later than it was told.
const JITTER: Duration = Duration::from_millis(300);
/// All threads are ready by then.
const READY: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 64 * 1024;
/// Whoever is let in hears something within so long, if it is true that they are.
const HEARS_WITHIN: Duration = Duration::from_secs(10);
/// How far it is, is told so often, where it is told line by line.
const TELL_EVERY_S: u32 = 10;
const BAR_WIDTH: u32 = 24;

/// A stream at an address of loopback: the only one that can be reached from so many others.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    path: String,
    /// What everybody shows, so that they are not counted as the audience.
    badge: Option<String>,
}

/// How they come.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// In how many threads, each with a table of open files of its own.
    pub threads: usize,
    /// Whoever is cut off comes back, by the place that they had.
    pub returns: bool,
    /// The server is asked each second how crowded it is.
    pub looks: bool,
}

impl Target {
    /// Takes an address apart.
    ///
    /// # Errors
    /// It is none, or not of this machine.
    pub fn parse(url: &str) -> Result<Self, Error> {
        const FORM: &str = "a door is rehearsed on its own machine, whose addresses of loopback are those of the crowd: give http://127.0.0.1:PORT/listen/SPACE.mp4";
        let (address, path) =
            url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or(Error::Asked(FORM))?;
        let address: SocketAddr = address.parse().map_err(|_| Error::Asked(FORM))?;
        if !address.ip().is_loopback() || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Asked(FORM));
        }
        Ok(Self { address, path: format!("/{path}"), badge: None })
    }

    /// Scheme, host and port: what a grant is for.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The conversation.
    pub(super) fn space(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.split(['.', '?']).next().unwrap_or_default()
    }

    /// Where everyone connects.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, to which people come who say that they are rehearsed.
    pub fn wearing(self, badge: String) -> Self {
        Self { badge: Some(badge), ..self }
    }
}

/// Plays these visits there, until so long after the first could come; tells on standard error how it goes. Also what each second was.
///
/// # Errors
/// This machine has no room for so many.
pub fn run(
    target: &Target,
    visits: Vec<Visit>,
    cap: u32,
    until: Duration,
    options: Options,
) -> Result<(Seen, Moments), Error> {
    let threads = options.threads.max(1);
    // Besides those who listen, those who ask; and whom the kernel deals out is not dealt out evenly.
    room_for(u64::from(cap) / threads as u64 + 1_000)?;
    let (visits, began, opens) = (Arc::new(visits), Instant::now() + READY, SystemTime::now() + READY);
    let (tell, told) = channel();
    let mut playing = Vec::new();
    for thread in 0..threads {
        let (visits, target, tell) = (visits.clone(), target.clone(), tell.clone());
        let play = move || -> io::Result<Played> {
            // One needs no table of its own, which some containers do not allow.
            if threads > 1 {
                own_files()?;
            }
            let part = Part::new(&visits, &target, (thread, threads), began, options.returns)?;
            part.play(until, &tell)
        };
        let named = std::thread::Builder::new().name(format!("crowd-{thread}"));
        playing.push(named.spawn(play).map_err(|why| Error::World("starting a thread", why))?);
    }
    drop(tell);
    let mut moments = gather(&told, until, || options.looks.then(|| level(target)).flatten());
    let (mut lived, mut steps) = (vec![Lived::default(); visits.len()], Vec::new());
    for part in playing {
        let part = part.join().map_err(|_| Error::Asked("a thread of the crowd ended early"))?;
        let part = part.map_err(|why| Error::World("at the door", why))?;
        steps.extend(part.steps);
        for (second, count) in part.told {
            moments.entry(second).and_modify(|moment| moment.told += count);
        }
        for (visit, what) in part.lived {
            lived[visit] = what;
        }
    }
    let visits = Arc::try_unwrap(visits).unwrap_or_else(|shared| (*shared).clone());
    let seen = Seen::of(visits, lived, cap, opens..opens + until, steps);
    Ok((seen, moments))
}

/// Puts together what the threads saw of each second and how crowded it was then, and shows how far it is.
fn gather(told: &Receiver<(u32, Moment)>, until: Duration, looks: impl Fn() -> Option<u8>) -> Moments {
    let (mut moments, mut sum) = (Moments::new(), Moment::default());
    let is_terminal = io::stderr().is_terminal();
    let ends = u32::try_from(until.as_secs()).unwrap_or(u32::MAX).max(1);
    for (at, moment) in told {
        sum.merge(&moment);
        let is_new = !moments.contains_key(&at);
        moments.entry(at).or_default().merge(&moment);
        if is_new {
            moments.entry(at).or_default().level = looks();
        }
        if is_new && (is_terminal || (at + 1).is_multiple_of(TELL_EVERY_S)) {
            let done = (u64::from(at + 1) * u64::from(BAR_WIDTH) / u64::from(ends)).min(BAR_WIDTH.into()) as usize;
            let bar = format!("{}{}", "█".repeat(done), "·".repeat(BAR_WIDTH as usize - done));
            let inside = (sum.entered + sum.back).saturating_sub(sum.left + sum.cut);
            let line = format!(
                "  {bar} {} of {ends} s: {} came, {inside} inside, {} were let in, {} had a time told, {} cut off, {} unanswered",
                at + 1,
                sum.arrived,
                sum.entered,
                sum.promised,
                sum.cut,
                sum.unanswered
            );
            let (before, after) = if is_terminal { ("\r\x1b[2K", "") } else { ("", "\n") };
            let mut out = io::stderr();
            // A closed standard error is nobody who looks.
            let _ = write!(out, "{before}{line}{after}").and_then(|()| out.flush());
        }
    }
    if is_terminal {
        eprintln!();
    }
    moments
}

/// What is told for so much later is how a door goes usually; what is nearer may be a door's that has forgotten who was told what.
const AHEAD: Duration = Duration::from_secs(120);

/// What one thread saw.
struct Played {
    lived: Vec<(usize, Lived)>,
    steps: Vec<(Duration, bool)>,
    /// As in [`Moment::told`], by second.
    told: BTreeMap<u32, u64>,
}

/// Those whom one thread plays.
struct Part<'s> {
    visits: &'s [Visit],
    target: &'s Target,
    began: Instant,
    epoll: OwnedFd,
    /// By place of the visit among [`Self::mine`].
    somebody: Vec<Somebody>,
    mine: Vec<usize>,
    /// Whoever is in stops asking, however many tickets they have. By person.
    is_in: Vec<bool>,
    /// Who does something when: time, place, turn. What is of an earlier turn no longer counts.
    due: BinaryHeap<Reverse<(Duration, u32, u32)>>,
    chance: Chance,
    buffer: Vec<u8>,
    returns: bool,
    /// The second that is now, and what was seen of it.
    second: u32,
    moment: Moment,
    /// Who came in and went.
    steps: Vec<(Duration, bool)>,
    told: BTreeMap<u32, u64>,
}

#[derive(Default)]
struct Somebody {
    turn: u32,
    doing: Doing,
    /// Or the place that they had.
    ticket: Option<Box<str>>,
    /// They were told when to look for what others leave.
    has_looked: bool,
    /// When they were let in last, while they have heard nothing.
    heard_nothing_since: Option<Duration>,
    /// The second at which they are to come, as they were told last.
    told: Option<u32>,
    /// Since when they are cut off.
    away_since: Option<Duration>,
    /// How often they asked since they were let in last, and had no answer.
    backoff: Backoff,
    lived: Lived,
}

#[derive(Default)]
enum Doing {
    #[default]
    Away,
    Connecting(Wire),
    Asking(Wire, Vec<u8>),
    Listening(Wire),
}

impl<'s> Part<'s> {
    fn new(
        visits: &'s [Visit],
        target: &'s Target,
        of: (usize, usize),
        began: Instant,
        returns: bool,
    ) -> io::Result<Self> {
        let (thread, threads) = of;
        let mine: Vec<usize> =
            (0..visits.len()).filter(|&visit| visits[visit].who as usize % threads == thread).collect();
        let due = mine.iter().enumerate().map(|(place, &visit)| Reverse((visits[visit].comes, place as u32, 0)));
        Ok(Self {
            visits,
            target,
            began,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            somebody: std::iter::repeat_with(Somebody::default).take(mine.len()).collect(),
            due: due.collect(),
            is_in: vec![false; visits.last().map_or(0, |visit| visit.who as usize + 1)],
            mine,
            chance: Chance::new(thread as u64),
            buffer: vec![0; READ_BYTES],
            returns,
            second: 0,
            moment: Moment::default(),
            steps: Vec::new(),
            told: BTreeMap::new(),
        })
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn play(mut self, until: Duration, tell: &Sender<(u32, Moment)>) -> io::Result<Played> {
        wait_until(self.began);
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let mut tick = self.now();
        while self.now() < until {
            let now = self.now();
            while self.second < u32::try_from(now.as_secs()).unwrap_or(u32::MAX) {
                // Nobody hears only if nobody asks any more.
                let _ = tell.send((self.second, std::mem::take(&mut self.moment)));
                self.second += 1;
            }
            while let Some(&Reverse((at, place, turn))) = self.due.peek()
                && at <= now
            {
                self.due.pop();
                if self.somebody[place as usize].turn == turn {
                    let late = u64::try_from((now - at).as_millis()).unwrap_or(u64::MAX);
                    self.moment.late_ms = self.moment.late_ms.max(late);
                    self.act(place as usize);
                }
            }
            loop {
                events.clear();
                match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&rustix::time::Timespec::default())) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(why) => return Err(why.into()),
                }
                for event in &events {
                    self.on_ready(event.data.u64() as usize);
                }
                if events.len() < EVENTS {
                    break;
                }
            }
            tick = (tick + TICK).max(self.now());
            wait_until(self.began + tick);
        }
        let _ = tell.send((self.second, self.moment));
        for one in &mut self.somebody {
            one.lived.cut |= one.away_since.is_some();
        }
        let lived = self.mine.iter().copied().zip(self.somebody.iter().map(|one| one.lived)).collect();
        Ok(Played { lived, steps: self.steps, told: self.told })
    }

    /// Does so at that time, unless something else comes first.
    fn later(&mut self, place: usize, at: Duration) {
        self.somebody[place].turn += 1;
        self.due.push(Reverse((at, place as u32, self.somebody[place].turn)));
    }

    fn act(&mut self, place: usize) {
        let (now, script) = (self.now(), &self.visits[self.mine[place]]);
        match &mut self.somebody[place].doing {
            Doing::Away => {
                let one = &mut self.somebody[place];
                if one.away_since.is_some() {
                    // They were inside, and come back while they would have stayed.
                    if now < one.lived.entered.unwrap_or(now) + script.stay {
                        self.come(place, now);
                    } else {
                        (one.lived.left, one.away_since) = (Some(now), None);
                    }
                    return;
                }
                let gave_up = one.lived.requests > 0 && now > script.comes + script.patience;
                if !gave_up && !self.is_in[script.who as usize] {
                    self.come(place, now);
                }
            }
            Doing::Connecting(_) | Doing::Asking(..) => {
                self.is_not_answered(place);
            }
            Doing::Listening(_) => self.listen(place, now),
        }
    }

    fn come(&mut self, place: usize, now: Duration) {
        let script = &self.visits[self.mine[place]];
        let from = IpAddr::V4(script.address);
        self.moment.requests += 1;
        self.moment.alone += u64::from(script.kind == Kind::Alone);
        self.moment.arrived += u64::from(self.somebody[place].lived.requests == 0);
        self.somebody[place].lived.requests += 1;
        let wire = Wire::connect(self.target.address, Some(from), None).and_then(|wire| {
            epoll::add(&self.epoll, &wire, EventData::new_u64(place as u64), EventFlags::OUT)?;
            Ok(wire)
        });
        match wire {
            Ok(wire) => {
                self.somebody[place].doing = Doing::Connecting(wire);
                self.later(place, now + ANSWERED_WITHIN);
            }
            Err(_) => {
                self.is_not_answered(place);
            }
        }
    }

    /// There was no answer, or none that says when to come.
    fn fail(&mut self, place: usize, wished: Duration) {
        let one = &mut self.somebody[place];
        one.doing = Doing::Away;
        one.lived.failed += 1;
        let wait = one.backoff.wait(wished, &mut self.chance);
        self.later(place, self.now() + wait);
    }

    fn is_not_answered(&mut self, place: usize) {
        self.moment.unanswered += 1;
        self.fail(place, Duration::ZERO);
    }

    fn on_ready(&mut self, place: usize) {
        let path = &self.target.path;
        match std::mem::take(&mut self.somebody[place].doing) {
            Doing::Connecting(mut wire) => {
                let ticket = self.somebody[place].ticket.as_deref().unwrap_or_default();
                let host = self.target.address;
                let badge =
                    self.target.badge.as_ref().map_or(String::new(), |badge| format!("Hiwar-Rehearsal: {badge}\r\n"));
                let request =
                    format!("GET {path}?t={ticket} HTTP/1.1\r\nHost: {host}\r\n{badge}Connection: close\r\n\r\n");
                let modified = wire.ask(request.as_bytes()).and_then(|()| {
                    Ok(epoll::modify(&self.epoll, &wire, EventData::new_u64(place as u64), EventFlags::IN)?)
                });
                match modified {
                    Ok(()) => self.somebody[place].doing = Doing::Asking(wire, Vec::new()),
                    Err(_) => {
                        self.is_not_answered(place);
                    }
                }
            }
            Doing::Asking(wire, bytes) => self.hear(place, wire, bytes),
            doing @ Doing::Listening(_) => {
                self.somebody[place].doing = doing;
                self.listen(place, self.now());
            }
            // Nobody is watched who does nothing.
            Doing::Away => {}
        }
    }

    /// What is answered.
    fn hear(&mut self, place: usize, mut wire: Wire, mut bytes: Vec<u8>) {
        let ended = match wire.read(&mut self.buffer, &mut []) {
            Moved::Bytes(count) => {
                bytes.extend_from_slice(&self.buffer[..count]);
                false
            }
            Moved::Later => false,
            Moved::End | Moved::Broken(_) => true,
        };
        let now = self.now();
        match Head::read(&bytes) {
            Ok(Some(head)) if head.status == 200 => {
                // Nobody is woken for what comes; that nothing more does is known at once, as it is to a page.
                let _ = epoll::modify(&self.epoll, &wire, EventData::new_u64(place as u64), EventFlags::RDHUP);
                if let Some(pass) = head.place(&bytes) {
                    self.somebody[place].ticket = Some(pass.into());
                }
                let has_heard = head.has_sound(&bytes);
                self.enter(place, now, wire, has_heard);
            }
            Ok(Some(head)) if let Some(body) = head.body(&bytes) => match Wait::read(body) {
                Some(wait) if head.status == 503 => self.wait(place, now, &wait),
                _ => {
                    self.moment.refused += 1;
                    self.fail(place, head.retry_after.unwrap_or_default());
                }
            },
            Ok(_) if !ended => self.somebody[place].doing = Doing::Asking(wire, bytes),
            _ => {
                self.is_not_answered(place);
            }
        }
    }

    /// Somebody is in, and may have heard something with the answer already.
    fn enter(&mut self, place: usize, now: Duration, wire: Wire, has_heard: bool) {
        let who = self.visits[self.mine[place]].who as usize;
        let one = &mut self.somebody[place];
        one.backoff.reset();
        if let Some(since) = one.away_since.take() {
            let longest = one.lived.away.filter(|(_, away)| *away >= now - since);
            one.lived.away = longest.or(Some((since, now - since)));
            self.moment.back += 1;
        } else if self.is_in[who] {
            // Another ticket of theirs was as soon.
            (one.lived.entered, one.lived.left) = (Some(now), Some(now));
            one.turn += 1;
            return;
        } else {
            (one.lived.entered, self.is_in[who]) = (Some(now), true);
            self.moment.entered += 1;
        }
        self.steps.push((now, true));
        one.heard_nothing_since = (!has_heard).then_some(now);
        one.doing = Doing::Listening(wire);
        self.later(place, now + LISTENS_EVERY);
    }

    fn wait(&mut self, place: usize, now: Duration, wait: &Wait) {
        let script = &self.visits[self.mine[place]];
        let one = &mut self.somebody[place];
        one.doing = Doing::Away;
        let told = match wait.stage() {
            Some(Stage::Draw) => &mut self.moment.drawn,
            Some(Stage::Place) => &mut self.moment.promised,
            Some(Stage::Rank) => &mut self.moment.ranked,
            Some(Stage::Soon) => &mut self.moment.soon,
            None => &mut self.moment.refused,
        };
        *told += 1;
        self.moment.untrue += u64::from(!wait.may_be_true());
        let is_inside = one.away_since.is_some();
        if one.lived.promised.is_none() && !is_inside && wait.stage() == Some(Stage::Place) {
            one.lived.promised = Some((now, wait.time()));
        }
        let is_told = matches!(wait.stage(), Some(Stage::Place | Stage::Rank)) && wait.time() >= AHEAD;
        if is_told && !is_inside && script.kind == Kind::Alone {
            let second = |at: Duration| u32::try_from(at.as_secs()).unwrap_or(u32::MAX);
            let then = second(now + wait.time());
            // Whoever asks before it is time, and is told again, comes once.
            if let Some(before) = one.told.replace(then).filter(|before| *before > second(now)) {
                self.told.entry(before).and_modify(|count| *count -= 1);
            }
            *self.told.entry(then).or_default() += 1;
        }
        let mut told = now + wait.time() + JITTER.mul_f64(self.chance.part());
        let (is_rank, is_first) = (wait.stage() == Some(Stage::Rank), !one.has_looked);
        if is_rank {
            told = script.strategy.looks(now, told, script.nth, is_first);
        }
        one.has_looked = is_rank;
        if !is_rank || script.strategy.takes(is_first) {
            one.ticket = Some(wait.ticket.as_str().into());
        }
        self.later(place, script.polls.map_or(told, |polls| told.min(now + polls)));
    }

    /// Takes what has come; goes, if it is time.
    fn listen(&mut self, place: usize, now: Duration) {
        let script = &self.visits[self.mine[place]];
        let one = &mut self.somebody[place];
        let Doing::Listening(wire) = &mut one.doing else { return };
        let leaves = one.lived.entered.unwrap_or(now) + script.stay;
        let is_cut = loop {
            match wire.read(&mut self.buffer, &mut []) {
                Moved::Bytes(count) => {
                    one.heard_nothing_since = None;
                    if count < READ_BYTES {
                        break false;
                    }
                }
                Moved::Later => break false,
                Moved::End | Moved::Broken(_) => break true,
            }
        };
        if one.heard_nothing_since.is_some_and(|since| now > since + HEARS_WITHIN) {
            self.moment.untrue += 1;
            one.heard_nothing_since = None;
        }
        if is_cut || now >= leaves {
            self.steps.push((now, false));
            one.doing = Doing::Away;
            if is_cut {
                self.moment.cut += 1;
                one.away_since = self.returns.then_some(now);
                one.lived.cut = !self.returns;
            } else {
                self.moment.left += 1;
            }
            if self.returns && is_cut && now < leaves {
                let wait = one.backoff.wait(Duration::ZERO, &mut self.chance);
                self.later(place, now + wait);
                return;
            }
            (one.lived.left, one.away_since) = (Some(now), None);
            one.turn += 1;
            return;
        }
        self.later(place, leaves.min(now + LISTENS_EVERY));
    }
}
