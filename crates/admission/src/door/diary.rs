//! The door's diary: what happened at the door of one space, a sealed line for each minute. Each names the hash of the line before, so that none can be changed, left out or put in afterwards without
//! all that follow saying so. There are no addresses in it, and nothing that one could be found by: counts.
//!
//! It is text, a JSON object to each line, always the same fields in the same order; what is not exactly what would be written is not read. Described in `docs/formats/diary.md`.

use std::cmp::Ordering;
use std::fmt::Write;

use super::network::LEVELS;
use super::seal::{SEAL_BYTES, SealKey, is_sealed};
use super::ticket::Class;
use crate::ladder::{Reason, Reasons};
use crate::pass::Scope;

/// Longest line, in bytes: twice what the longest minute has.
pub const LINE_BYTES_MAX: usize = 16 * 1_024;

const SEALED: &str = "hiwar 2026-11 line of a diary, version 1";
const CHAINED: &str = "hiwar 2026-11 chain of a diary, version 1";

/// Which fields minutes have behind a head of that version. Those of `BEFORE` are read as well.
pub const VERSION: u8 = 2;
/// Without promises and reasons; its level was the highest that any worker felt, whatever the door or an operator made of it.
const BEFORE: u8 = 1;

/// How many a network has had is told apart by powers of two: 1, 2, up to 4, 8 … 1,024, and more.
pub const NTHS: usize = 12;
/// Into so many parts addresses are divided by their keyed hash. Few, so that thousands share each: a crowd is in all of them alike, and whoever sends much is not.
pub const PARTS: usize = 64;

/// What is counted in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The crowd, from 0.
    Opening,
    /// At the end of the minute: 0 whoever comes is let in, 1 whoever comes is drawn, 2 there is a queue.
    Phase,
    /// People who have a place, at the end of the minute.
    Inside,
    /// People who wait, then.
    Waiting,
    /// Connections that are listened to, then.
    Listening,
    /// Requests to listen or to wait.
    Asked,
    /// Of these, pages that come back by themselves, without JavaScript.
    Pages,
    /// Of these, with a ticket of ours.
    Returns,
    /// Of these, with something that is no ticket of ours, or of another space.
    Bad,
    /// Tickets given, by class: returning, follower, earlier, anybody.
    Tickets,
    /// Of these, to be drawn.
    Drawn,
    /// Let in, by class.
    Entered,
    /// Of these, at the time that they had been told, or [soon after](super::desk::is_kept), by class.
    Kept,
    /// And of those who had been told one, later than that, by class.
    Late,
    /// Told to come again, and promised nothing: no worker knew yet whether there is room, or their network has had thousands of tickets.
    Away,
    /// Of the tickets that were counted: by which of their address it was.
    Nth,
    /// By which of their /24 or /56.
    NthNear,
    /// By which of their /16 or /48.
    NthWide,
    /// By which of their /32, of IPv6 alone.
    NthWidest,
    /// Requests by keyed hash of the address.
    Parts,
    /// Requests for sound for which the worker had no room.
    TurnedAway,
    /// Bytes of sound.
    Sent,
    /// The highest at which the space was, as whoever listens or asks was told.
    Level,
    /// The longest time between two writes to a listener, in milliseconds.
    Cadence,
    /// Whether a worker sent sound at the lower bitrate: 0 or 1.
    Lean,
    /// Of all workers: heads that were refused, connections that took too long, listeners skipped to live and cut, times that a worker was full, that files had run out, and that a handshake was let go.
    Troubles,
    /// Workers at the end of the minute.
    Workers,
    /// Workers that began in it.
    Began,
    /// And that ended.
    Ended,
    /// Whether the house began in it: 0 or 1. What happened between its last line and then is not in the diary.
    House,
    /// Bytes of a line that an earlier house had not finished, and that were cut off.
    Mended,
    /// How busy the processors of this machine were, of a thousand.
    Cpu,
}

/// Names and lengths, in the order in which they are written.
const FIELDS: [(Field, &str, usize); 32] = [
    (Field::Opening, "opening", 1),
    (Field::Phase, "phase", 1),
    (Field::Inside, "inside", 1),
    (Field::Waiting, "waiting", 1),
    (Field::Listening, "listening", 1),
    (Field::Asked, "asked", 1),
    (Field::Pages, "pages", 1),
    (Field::Returns, "returns", 1),
    (Field::Bad, "bad", 1),
    (Field::Tickets, "tickets", Class::ALL.len()),
    (Field::Drawn, "drawn", 1),
    (Field::Entered, "entered", Class::ALL.len()),
    (Field::Kept, "kept", Class::ALL.len()),
    (Field::Late, "late", Class::ALL.len()),
    (Field::Away, "away", 1),
    (Field::Nth, "nth", NTHS),
    (Field::NthNear, "nth_near", NTHS),
    (Field::NthWide, "nth_wide", NTHS),
    (Field::NthWidest, "nth_widest", NTHS),
    (Field::Parts, "parts", PARTS),
    (Field::TurnedAway, "turned_away", 1),
    (Field::Sent, "sent_bytes", 1),
    (Field::Level, "level", 1),
    (Field::Cadence, "cadence_ms", 1),
    (Field::Lean, "lean", 1),
    (Field::Troubles, "troubles", 7),
    (Field::Workers, "workers", 1),
    (Field::Began, "began", 1),
    (Field::Ended, "ended", 1),
    (Field::House, "house", 1),
    (Field::Mended, "mended", 1),
    (Field::Cpu, "cpu_permille", 1),
];

/// Numbers of a minute.
const NUMBERS: usize = {
    let (mut sum, mut at) = (0, 0);
    while at < FIELDS.len() {
        // They stand where their names say.
        assert!(FIELDS[at].0 as usize == at);
        sum += FIELDS[at].2;
        at += 1;
    }
    sum
};

impl Field {
    /// What it is called.
    pub fn name(self) -> &'static str {
        FIELDS[self as usize].1
    }

    fn is_in(self, version: u8) -> bool {
        version > BEFORE || !matches!(self, Self::Kept | Self::Late)
    }

    fn range(self) -> std::ops::Range<usize> {
        let at = FIELDS[..self as usize].iter().map(|(_, _, numbers)| numbers).sum();
        at..at + FIELDS[self as usize].2
    }
}

/// What happened in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// When it began: seconds since 1970, by the wall's clock.
    pub from: u64,
    /// How many seconds of it are told: 60; less where a house began or a space was over; more where the one before [could not be written](Self::go_on).
    pub seconds: u64,
    /// What the draw of the next opening is committed to; zeros: nothing yet.
    pub commitment: [u8; 32],
    /// Why it was at its [level](Field::Level): for the reasons of whenever it was.
    pub reasons: Reasons,
    numbers: Box<[u64; NUMBERS]>,
}

impl Minute {
    /// One in which nothing happened.
    pub fn new(from: u64, seconds: u64) -> Self {
        Self { from, seconds, commitment: [0; 32], reasons: Reasons::default(), numbers: Box::new([0; NUMBERS]) }
    }

    /// Numbers of a field.
    pub fn of(&self, field: Field) -> &[u64] {
        &self.numbers[field.range()]
    }

    /// The only number of a field that has one, or their sum.
    pub fn sum(&self, field: Field) -> u64 {
        self.of(field).iter().fold(0, |sum, number| sum.saturating_add(*number))
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, field: Field) -> &mut [u64] {
        &mut self.numbers[field.range()]
    }

    /// Sets the only number of a field.
    pub fn set(&mut self, field: Field, number: u64) {
        self.of_mut(field)[0] = number;
    }

    /// Makes one of this and the next, where this could not be written down: from its beginning to the end of the other, with what happened in both.
    pub fn go_on(&mut self, next: &Self) {
        let part = |minute: &Self| u128::from(minute.sum(Field::Cpu)) * u128::from(minute.seconds);
        let seconds = (u128::from(self.seconds) + u128::from(next.seconds)).max(1);
        let busy = ((part(self) + part(next)) / seconds) as u64;
        self.reasons = match self.sum(Field::Level).cmp(&next.sum(Field::Level)) {
            Ordering::Less => next.reasons,
            Ordering::Equal => self.reasons.with(next.reasons),
            Ordering::Greater => self.reasons,
        };
        self.commitment = next.commitment;
        for (field, ..) in FIELDS {
            for (number, next) in self.numbers[field.range()].iter_mut().zip(next.of(field)) {
                *number = match field {
                    Field::Opening
                    | Field::Phase
                    | Field::Inside
                    | Field::Waiting
                    | Field::Listening
                    | Field::Workers => *next,
                    Field::Level | Field::Cadence | Field::Lean | Field::House => (*number).max(*next),
                    Field::Cpu => busy,
                    _ => number.saturating_add(*next),
                };
            }
        }
        self.seconds = next.from.saturating_add(next.seconds).saturating_sub(self.from);
    }
}

/// What happened at a worker's door, since it began: what of a minute workers count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic(Box<[u64; Self::NUMBERS]>);

impl Default for Traffic {
    fn default() -> Self {
        Self(Box::new([0; Self::NUMBERS]))
    }
}

impl Traffic {
    /// How many numbers there are.
    pub const NUMBERS: usize = 4 + 4 * Class::ALL.len() + 2 + LEVELS * NTHS + PARTS;
    const FIRST: usize = Field::Asked as usize;
    const LAST: usize = Field::Parts as usize;

    /// Somebody asked, from the address with that keyed hash.
    pub fn asked(&mut self, network: u64) {
        self.add(Field::Asked, 0);
        self.add(Field::Parts, (network >> 58) as usize);
    }

    /// One more of a field, or of one of its numbers.
    pub fn add(&mut self, field: Field, at: usize) {
        let number = &mut self.0[Self::range(field).start + at];
        *number = number.saturating_add(1);
    }

    /// Sets all numbers of a field: of what is counted elsewhere.
    pub fn set(&mut self, field: Field, numbers: &[u64]) {
        self.0[Self::range(field)].copy_from_slice(numbers);
    }

    /// A ticket that is the `nth` of each of its networks.
    pub fn nth(&mut self, nth: [u32; LEVELS]) {
        for (field, nth) in [Field::Nth, Field::NthNear, Field::NthWide, Field::NthWidest].into_iter().zip(nth) {
            if nth == 0 {
                continue;
            }
            // 1, 2, 3 and 4, 5 to 8 …
            let power = u32::BITS - nth.saturating_sub(1).leading_zeros();
            self.add(field, (power as usize).min(NTHS - 1));
        }
    }

    fn range(field: Field) -> std::ops::Range<usize> {
        let (first, range) = (FIELDS[Self::FIRST].0.range().start, field.range());
        range.start - first..range.end - first
    }

    /// Numbers of a field.
    pub fn of(&self, field: Field) -> &[u64] {
        &self.0[Self::range(field)]
    }

    /// All of them, in order: what is told to the house.
    pub fn numbers(&self) -> &[u64] {
        &self.0[..]
    }

    /// From its [numbers](Self::numbers). `None` if they are not so many.
    pub fn from_numbers(numbers: &[u64]) -> Option<Self> {
        numbers.try_into().ok().map(|numbers| Self(Box::new(numbers)))
    }

    /// Adds to a minute what came since a worker last told.
    pub fn add_to(&self, minute: &mut Minute, before: &Self) {
        let first = FIELDS[Self::FIRST].0.range().start;
        for (at, (now, before)) in self.0.iter().zip(before.0.iter()).enumerate() {
            let number = &mut minute.numbers[first + at];
            *number = number.saturating_add(now.saturating_sub(*before));
        }
    }
}

const _: () = {
    let (mut sum, mut at) = (0, Traffic::FIRST);
    while at <= Traffic::LAST {
        sum += FIELDS[at].2;
        at += 1;
    }
    assert!(sum == Traffic::NUMBERS && PARTS == 1 << 6);
};

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A file begins.
    Head {
        /// Of which space.
        space: Scope,
        /// By which its lines are sealed.
        key: [u8; 32],
        /// The number of the next minute.
        next: u64,
    },
    /// A minute, and its number.
    Minute(u64, Minute),
}

/// Where a diary is: what the next line goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The hash of the last line.
    pub prev: [u8; 32],
    /// The number of the next minute.
    pub next: u64,
    /// How minutes are written here: as the last head says.
    pub version: u8,
}

impl Default for At {
    fn default() -> Self {
        Self { prev: [0; 32], next: 0, version: VERSION }
    }
}

impl At {
    /// Writes a line, and goes on. Without its end of line.
    fn write(&mut self, key: &SealKey, body: &str) -> String {
        let mut line = String::with_capacity(body.len() + 256);
        let _ = write!(line, "{{\"prev\":\"{}\",{body}", hex(&self.prev));
        let seal = key.seal(SEALED, line.as_bytes());
        let _ = write!(line, ",\"seal\":\"{}\"}}", hex(&seal));
        self.prev = hash(line.as_bytes());
        line
    }

    /// Whether minutes have all that they are to have only behind another [head](Self::head): an older program wrote the last one.
    pub fn is_old(&self) -> bool {
        self.version < VERSION
    }

    /// The line by which a file begins, and behind which minutes are as they are written now.
    pub fn head(&mut self, key: &SealKey, space: &Scope) -> String {
        let (space, public, next) = (space.as_str(), hex(&key.public()), self.next);
        self.version = VERSION;
        self.write(key, &format!("\"diary\":{VERSION},\"space\":\"{space}\",\"key\":\"{public}\",\"next\":{next}"))
    }

    /// The line of a minute.
    pub fn minute(&mut self, key: &SealKey, minute: &Minute) -> String {
        let Minute { from, seconds, commitment, .. } = minute;
        let mut body = format!("\"minute\":{},\"from\":{from},\"seconds\":{seconds}", self.next);
        let _ = write!(body, ",\"commitment\":\"{}\"", hex(commitment));
        for (field, name, count) in FIELDS.into_iter().filter(|(field, ..)| field.is_in(self.version)) {
            let _ = write!(body, ",\"{name}\":");
            match minute.of(field) {
                [number] if count == 1 => drop(write!(body, "{number}")),
                numbers => {
                    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
                    let _ = write!(body, "[{}]", numbers.join(","));
                }
            }
            if field == Field::Level && self.version > BEFORE {
                let names: Vec<String> = minute.reasons.iter().map(|reason| format!("\"{}\"", reason.name())).collect();
                let _ = write!(body, ",\"reasons\":[{}]", names.join(","));
            }
        }
        // Nobody lives to see the last.
        self.next = self.next.saturating_add(1);
        self.write(key, &body)
    }

    /// Goes on behind a line, whatever is in it: where a diary is to be continued of which only the end is known. `None`: that is no line.
    pub fn behind(line: &[u8]) -> Option<Self> {
        let Read { line: read, version, .. } = read(line)?;
        let next = match read {
            Line::Head { next, .. } => next,
            Line::Minute(number, _) => number.checked_add(1)?,
        };
        Some(Self { prev: hash(line), next, version })
    }
}

/// Reads a diary, line by line, and says of each whether it goes on from the one before.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    at: Option<At>,
    space: Option<Scope>,
    key: Option<[u8; 32]>,
    /// When the last minute that was read ended.
    until: Option<u64>,
    /// The number of the first.
    first: Option<u64>,
    untold: u64,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no line of a diary.
    Unreadable,
    /// It does not name the line before: something was changed, left out or put in.
    Broken,
    /// Its seal is not that of the key by which the diary began.
    Unsealed,
    /// It is of another space, or says of another key that it is sealed by it.
    Foreign,
    /// Its number is not the next.
    Number,
    /// It begins before the one before has ended, and no house began in it: the clock of another may have been ahead.
    Early,
    /// It has not the fields of the version by which its file began.
    Version,
    /// It begins a file of a version that this program does not know.
    Newer,
}

impl Reader {
    /// The key by which the diary is sealed, once it was read.
    pub fn key(&self) -> Option<[u8; 32]> {
        self.key
    }

    /// Whose it is, once it was read.
    pub fn space(&self) -> Option<&Scope> {
        self.space.as_ref()
    }

    /// The number of the first minute: how many came before it, and are not here.
    pub fn first(&self) -> Option<u64> {
        self.first
    }

    /// Of how many seconds between the first minute and the last none of them tells.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    /// The next line, without its end of line; and what is wrong with it. What follows is judged by it all the same.
    pub fn line(&mut self, bytes: &[u8]) -> (Option<Line>, Vec<Fault>) {
        let Some(Read { prev, line, version, sealed, seal }) = read(bytes) else {
            let fault = if is_newer(bytes) { Fault::Newer } else { Fault::Unreadable };
            return (None, vec![fault]);
        };
        let mut faults = Vec::new();
        let is_head = matches!(line, Line::Head { .. });
        if !is_head && self.at.is_some_and(|at| at.version != version) {
            // Nothing of what its head promises is to be left out unseen.
            faults.push(Fault::Version);
        }
        let begins = self.at.is_none();
        if self.at.is_some_and(|at| at.prev != prev) {
            faults.push(Fault::Broken);
        }
        let number = match &line {
            Line::Head { space, key, next } => {
                let is_same = self.space.as_ref().is_none_or(|of| of == space) && self.key.is_none_or(|of| of == *key);
                if !is_same {
                    faults.push(Fault::Foreign);
                }
                (self.space, self.key) = (Some(space.clone()), Some(*key));
                *next
            }
            Line::Minute(number, _) => *number,
        };
        match self.key {
            Some(key) if is_sealed(&key, SEALED, sealed, &seal) => {}
            // Without a first line nobody knows whose it is.
            _ => faults.push(Fault::Unsealed),
        }
        if self.at.is_some_and(|at| at.next != number) && !begins {
            faults.push(Fault::Number);
        }
        let mut next = number;
        if let Line::Minute(_, minute) = &line {
            next = number.saturating_add(1);
            let until = self.until.unwrap_or(minute.from);
            if minute.from < until && minute.sum(Field::House) == 0 {
                faults.push(Fault::Early);
            }
            self.first = self.first.or(Some(number));
            self.untold = self.untold.saturating_add(minute.from.saturating_sub(until));
            self.until = Some(minute.from.saturating_add(minute.seconds));
        }
        self.at = Some(At { prev: hash(bytes), next, version });
        (Some(line), faults)
    }
}

struct Read<'b> {
    prev: [u8; 32],
    line: Line,
    /// Of the head, or by the fields that the minute has.
    version: u8,
    /// What the seal is of.
    sealed: &'b [u8],
    seal: [u8; SEAL_BYTES],
}

fn read(bytes: &[u8]) -> Option<Read<'_>> {
    let text = Text(std::str::from_utf8(bytes).ok().filter(|text| text.len() <= LINE_BYTES_MAX)?);
    [VERSION, BEFORE].into_iter().find_map(|version| {
        let mut text = Text(text.0);
        let prev = text.say("{\"prev\":\"")?.hex()?;
        text.say("\",")?;
        let line = if text.0.starts_with("\"diary\"") { text.head(version)? } else { text.minute(version)? };
        let sealed = &bytes[..bytes.len() - text.0.len()];
        let seal = text.say(",\"seal\":\"")?.hex()?;
        text.say("\"}")?;
        text.0.is_empty().then_some(Read { prev, line, version, sealed, seal })
    })
}

/// Whether that is the head of a version to come: all that can be said of it.
fn is_newer(bytes: &[u8]) -> bool {
    let version = |bytes| {
        let mut text = Text(std::str::from_utf8(bytes).ok()?);
        text.say("{\"prev\":\"")?.hex::<32>()?;
        text.say("\",\"diary\":")?.number()
    };
    version(bytes).is_some_and(|version| version > VERSION.into())
}

/// What is still to be read of a line.
struct Text<'t>(&'t str);

impl<'t> Text<'t> {
    fn say(&mut self, what: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(what)?;
        Some(self)
    }

    fn take(&mut self, count: usize) -> Option<&'t str> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn hex<const N: usize>(&mut self) -> Option<[u8; N]> {
        let digits = self.take(2 * N)?.as_bytes();
        let digit = |at: usize| match digits[at] {
            digit @ b'0'..=b'9' => Some(digit - b'0'),
            digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = digit(2 * at)? << 4 | digit(2 * at + 1)?;
        }
        Some(bytes)
    }

    /// As it is written, and in no other way.
    fn number(&mut self) -> Option<u64> {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let text = self.take(digits)?;
        if text.len() > 1 && text.starts_with('0') { None } else { text.parse().ok() }
    }

    fn head(&mut self, version: u8) -> Option<Line> {
        let is_of_it = self.say("\"diary\":")?.number()? == version.into();
        self.say(",\"space\":\"")?;
        let length = self.0.find('"')?;
        let space = Scope::parse(self.take(length)?)?;
        let key = self.say("\",\"key\":\"")?.hex()?;
        let next = self.say("\",\"next\":")?.number()?;
        is_of_it.then_some(Line::Head { space, key, next })
    }

    /// Each once, in their order.
    fn reasons(&mut self) -> Option<Reasons> {
        let mut reasons = Reasons::default();
        self.say(",\"reasons\":[")?;
        for reason in Reason::ALL {
            let rest = self.0.strip_prefix(if reasons.is_empty() { "\"" } else { ",\"" });
            if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(reason.name())?.strip_prefix('"')) {
                (self.0, reasons) = (rest, reasons.with(reason.into()));
            }
        }
        self.say("]")?;
        Some(reasons)
    }

    fn minute(&mut self, version: u8) -> Option<Line> {
        let number = self.say("\"minute\":")?.number()?;
        let from = self.say(",\"from\":")?.number()?;
        let seconds = self.say(",\"seconds\":")?.number()?;
        let mut minute = Minute::new(from, seconds);
        minute.commitment = self.say(",\"commitment\":\"")?.hex()?;
        self.say("\"")?;
        for (field, name, count) in FIELDS.into_iter().filter(|(field, ..)| field.is_in(version)) {
            self.say(",\"")?.say(name)?.say("\":")?;
            if count > 1 {
                self.say("[")?;
            }
            for (at, slot) in minute.of_mut(field).iter_mut().enumerate() {
                if at > 0 {
                    self.say(",")?;
                }
                *slot = self.number()?;
            }
            if count > 1 {
                self.say("]")?;
            }
            if field == Field::Level && version > BEFORE {
                minute.reasons = self.reasons()?;
            }
        }
        Some(Line::Minute(number, minute))
    }
}

fn hash(line: &[u8]) -> [u8; 32] {
    blake3::derive_key(CHAINED, line)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
