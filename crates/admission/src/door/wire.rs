//! What house and workers say to each other about a door, as bytes. Strict: what is left over, or does not add up, is nothing. Layout in `docs/formats/bus.md`; numbers are LEB128, as in DWARF and
//! WebAssembly, for most counts of a draw are small.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::desk::{Phase, Told, Word, Yours};
use super::diary::Traffic;
use super::draw::Tally;
use super::places::{Grant, Report, WorkerId};
use super::timetable::{Promises, Timetable};

/// Bytes of what the house says at the most: a draw in which every count is as large as it can be, for as many workers as there can be.
pub const SAID_BYTES_MAX: usize = 256 * 1_024;
/// And of what a worker tells.
pub const TOLD_BYTES_MAX: usize = 128 * 1_024;
/// Workers of one house that are told apart.
const WORKERS_MAX: u64 = 1_024;

/// What the house says of one space, to all workers at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Which house it is: the number of a later one is greater.
    pub house: u64,
    /// Door time at the house: workers go by its clock.
    pub now: SystemTime,
    /// Once a second.
    pub word: Option<Spoken>,
    /// Places, for whom there are any.
    pub grants: Vec<(WorkerId, Grant)>,
}

/// A [`Word`], for each worker its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// As in [`Word::opening`].
    pub opening: u16,
    /// As in [`Word::phase`].
    pub phase: Phase,
    /// As in [`Word::pace`].
    pub pace: u32,
    /// As in [`Word::free`].
    pub free: u32,
    /// What is each worker's alone.
    pub yours: Vec<(WorkerId, Yours)>,
}

impl Spoken {
    /// Of the words of one tick. `None`: there is no worker.
    pub fn of(words: Vec<(WorkerId, Word)>) -> Option<Self> {
        let yours = words.iter().map(|(worker, word)| (*worker, word.yours)).collect();
        let (_, Word { opening, phase, pace, free, .. }) = words.into_iter().next()?;
        Some(Self { opening, phase, pace, free, yours })
    }

    /// What that is to one worker. One that the house has not heard of yet wants nothing.
    pub fn to(&self, worker: WorkerId) -> Word {
        let yours = self.yours.iter().find(|(other, _)| *other == worker).map(|(_, yours)| *yours);
        let Self { opening, pace, free, .. } = *self;
        Word { opening, phase: self.phase.clone(), pace, free, yours: yours.unwrap_or_default() }
    }
}

/// What a worker tells the house of one space.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Places, and who came.
    pub told: Told,
    /// Whom it has to draw, if there is somebody.
    pub tally: Option<Tally>,
    /// What it has promised.
    pub promises: Promises,
    /// What happened there.
    pub traffic: Traffic,
}

/// The bytes of what the house says.
pub fn encode_said(said: &Said) -> Vec<u8> {
    let mut out = Out::default();
    out.number(said.house);
    out.time(said.now);
    match &said.word {
        None => out.number(0),
        Some(Spoken { opening, phase, pace, free, yours }) => {
            out.number(1);
            out.numbers([u64::from(*opening), (*pace).into(), (*free).into()]);
            out.number(yours.len() as u64);
            for (worker, Yours { wanted, late, index, workers }) in yours {
                out.fixed(*worker);
                out.numbers([u64::from(*wanted), *late, (*index).into(), (*workers).into()]);
            }
            match phase {
                Phase::Open => out.number(0),
                Phase::Gathering { until } => {
                    out.number(1);
                    out.time(*until);
                }
                Phase::Queue { drawn, table, late, per_minute, spare } => {
                    out.number(2);
                    out.numbers([*late, *per_minute, (*spare).into()]);
                    out.tally(drawn);
                    out.table(table);
                }
            }
        }
    }
    out.number(said.grants.len() as u64);
    for (worker, Grant { number, more, back, returns, keep }) in &said.grants {
        out.fixed(*worker);
        out.numbers([*number, (*more).into(), (*back).into(), (*returns).into(), (*keep).into()]);
    }
    out.0
}

/// Reads what the house says; `None`: that is not it.
pub fn decode_said(bytes: &[u8]) -> Option<Said> {
    let mut from = From(bytes);
    let (house, now) = (from.number()?, from.time()?);
    let word = match from.number()? {
        0 => None,
        1 => Some(from.spoken()?),
        _ => return None,
    };
    let mut grant = |from: &mut From<'_>| {
        let worker = from.fixed()?;
        let (number, more, back) = (from.number()?, from.small()?, from.small()?);
        Some((worker, Grant { number, more, back, returns: from.flag()?, keep: from.small()? }))
    };
    let grants = from.many(WORKERS_MAX, &mut grant)?;
    from.end(Said { house, now, word, grants })
}

/// The bytes of what a worker tells.
pub fn encode_heard(heard: &Heard) -> Vec<u8> {
    let mut out = Out::default();
    let Told { house, opening, report, pressed, late, entered, came } = heard.told;
    let Report { seen, inside, kept, room, back, came_back, wanted, missed, retires } = report;
    out.numbers([house, opening.into(), seen, came_back]);
    out.numbers([inside, kept, room, back, wanted, missed, retires.into()].map(u64::from));
    out.numbers([late, entered, came]);
    out.number(pressed.is_some().into());
    pressed.into_iter().for_each(|pressed| out.time(pressed));
    out.number(heard.tally.is_some().into());
    heard.tally.iter().for_each(|tally| out.tally(tally));
    out.promises(&heard.promises);
    heard.traffic.numbers().iter().for_each(|number| out.number(*number));
    out.0
}

/// Reads what a worker tells; `None`: that is not it.
pub fn decode_heard(bytes: &[u8]) -> Option<Heard> {
    let mut from = From(bytes);
    let (house, opening) = (from.number()?, u16::try_from(from.number()?).ok()?);
    let (seen, came_back) = (from.number()?, from.number()?);
    let (inside, kept, room, back) = (from.small()?, from.small()?, from.small()?, from.small()?);
    let (wanted, missed, retires) = (from.small()?, from.small()?, from.flag()?);
    let (late, entered, came) = (from.number()?, from.number()?, from.number()?);
    let pressed = if from.flag()? { Some(from.time()?) } else { None };
    let tally = if from.flag()? { Some(from.tally()?) } else { None };
    let promises = from.promises()?;
    let report = Report { seen, inside, kept, room, back, came_back, wanted, missed, retires };
    let told = Told { house, opening, report, pressed, late, entered, came };
    let traffic: Option<Vec<u64>> = (0..Traffic::NUMBERS).map(|_| from.number()).collect();
    let (promises, traffic) = (promises, Traffic::from_numbers(&traffic?)?);
    from.end(Heard { told, tally, promises, traffic })
}

/// What is being written.
#[derive(Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    pub(super) fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        numbers.into_iter().for_each(|number| self.number(number));
    }

    pub(super) fn fixed(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(super) fn time(&mut self, time: SystemTime) {
        self.number(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64));
    }

    /// By how much it goes up.
    pub(super) fn table(&mut self, table: &Timetable) {
        let (from, first, by) = table.parts();
        self.time(from);
        self.number(first);
        self.number(by.len() as u64);
        by.iter().fold(first, |before, &by| {
            self.number(by.saturating_sub(before));
            by
        });
    }

    pub(super) fn promises(&mut self, promises: &Promises) {
        let (last, counts) = promises.parts();
        self.number(last);
        counts.iter().for_each(|&count| self.number(count.into()));
    }

    /// Runs of parts in which nobody is drawn are a zero and how many they are.
    pub(super) fn tally(&mut self, tally: &Tally) {
        let mut counts = tally.counts().iter().peekable();
        while let Some(&count) = counts.next() {
            self.number(count.into());
            if count == 0 {
                let mut more = 0;
                while counts.next_if(|next| **next == 0).is_some() {
                    more += 1;
                }
                self.number(more);
            }
        }
    }
}

/// What is still to be read.
pub(super) struct From<'b>(pub(super) &'b [u8]);

impl From<'_> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let part = u64::from(byte & 0x7f);
            // Bits that do not fit, or a last byte that says nothing, are not what we write.
            if part << shift >> shift != part || (byte == 0 && shift > 0) {
                return None;
            }
            number |= part << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn fixed(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn time(&mut self) -> Option<SystemTime> {
        // As far off as a ticket can say.
        UNIX_EPOCH.checked_add(Duration::from_micros(self.number()?))
    }

    pub(super) fn many<T>(&mut self, most: u64, one: &mut impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number().filter(|count| *count <= most)?;
        (0..count).map(|_| one(self)).collect()
    }

    pub(super) fn tally(&mut self) -> Option<Tally> {
        let parts = Tally::default().counts().len();
        let mut counts = Vec::with_capacity(parts);
        while counts.len() < parts {
            let count = self.small()?;
            counts.push(count);
            if count == 0 {
                let more = usize::try_from(self.number()?).ok()?;
                let end = counts.len().checked_add(more).filter(|end| *end <= parts)?;
                counts.resize(end, 0);
            }
        }
        Tally::from_counts(&counts)
    }

    pub(super) fn table(&mut self) -> Option<Timetable> {
        let (from, first) = (self.time()?, self.number()?);
        let mut before = first;
        let by = self.many(Timetable::PARTS_MAX as u64, &mut |from| {
            before = before.checked_add(from.number()?)?;
            Some(before)
        })?;
        Timetable::from_parts(from, first, by)
    }

    pub(super) fn promises(&mut self) -> Option<Promises> {
        let last = self.number()?;
        let counts = (0..Promises::PARTS).map(|_| self.small()).collect::<Option<_>>()?;
        Promises::from_parts(last, counts)
    }

    fn spoken(&mut self) -> Option<Spoken> {
        let opening = u16::try_from(self.number()?).ok()?;
        let (pace, free) = (self.small()?, self.small()?);
        let yours = self.many(WORKERS_MAX, &mut |from| {
            let worker = from.fixed()?;
            let (wanted, late) = (from.small()?, from.number()?);
            Some((worker, Yours { wanted, late, index: from.small()?, workers: from.small()? }))
        })?;
        let phase = match self.number()? {
            0 => Phase::Open,
            1 => Phase::Gathering { until: self.time()? },
            2 => {
                let (late, per_minute, spare) = (self.number()?, self.number()?, self.small()?);
                let drawn = self.tally()?;
                Phase::Queue { drawn, table: self.table()?, late, per_minute, spare }
            }
            _ => return None,
        };
        Some(Spoken { opening, phase, pace, free, yours })
    }

    pub(super) fn end<T>(self, whole: T) -> Option<T> {
        self.0.is_empty().then_some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::draw::DrawSecret;
    use crate::door::network::Turn;
    use crate::door::ticket::Class;
    use crate::door::timetable::{Outlook, Stays};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn drawn() -> Tally {
        let (secret, mut drawn) = (DrawSecret::of(&[4; 32], 3), Tally::default());
        let turn = |n: u64| Turn { round: (n % 3) as u16, within: 0 };
        (0..5_000).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, turn(network))));
        (0..9).for_each(|holder| drawn.add(Class::Earlier, secret.lot(holder, Turn::FIRST)));
        drawn
    }

    fn queue() -> Phase {
        let outlook =
            Outlook { now: at(60), first: 70, places: 9_000, inside: &[7.0], pace: 90, stays: Stays::default() };
        Phase::Queue { drawn: drawn(), table: Timetable::of(&outlook), late: 9, per_minute: 5_000, spare: 4 }
    }

    fn said(phase: Phase) -> Said {
        let yours = Yours { wanted: 4_000, late: 3, index: 1, workers: 2 };
        let word =
            Spoken { opening: 3, phase, pace: 1_000, free: 300, yours: vec![(u64::MAX, yours), (7, Yours::default())] };
        Said {
            house: 1 << 50,
            now: at(61),
            word: Some(word),
            grants: vec![(u64::MAX, Grant { number: 300, more: 4_000, back: 16, returns: true, keep: 16 })],
        }
    }

    fn heard() -> Heard {
        let mut promises = Promises::default();
        (0..500).for_each(|n| promises.add(at(0), at(n)));
        let report = Report {
            seen: 300,
            inside: 9_000,
            kept: 7,
            room: 1,
            back: 2,
            came_back: 900,
            wanted: 4_000,
            missed: 5,
            retires: true,
        };
        let told =
            Told { house: 1 << 50, opening: 3, report, pressed: Some(at(5)), late: 9, entered: 12_000, came: 8_000 };
        let mut traffic = Traffic::default();
        (0..500).for_each(|n| traffic.asked(n << 50));
        Heard { told, tally: Some(drawn()), promises, traffic }
    }

    #[test]
    fn what_is_said_and_told_is_heard_as_it_was() {
        for phase in [Phase::Open, Phase::Gathering { until: at(60) }, queue()] {
            let said = said(phase);
            assert_eq!(decode_said(&encode_said(&said)), Some(said));
        }
        let nothing = Said { house: 0, now: at(1), word: None, grants: Vec::new() };
        assert_eq!(decode_said(&encode_said(&nothing)), Some(nothing));
        assert_eq!(decode_heard(&encode_heard(&heard())), Some(heard()));
        let first = Heard::default();
        assert_eq!(decode_heard(&encode_heard(&first)), Some(first));
    }

    #[test]
    fn each_worker_hears_its_own_part() {
        let spoken = said(Phase::Open).word.expect("a word");
        assert_eq!(spoken.to(u64::MAX).yours.wanted, 4_000);
        assert_eq!(spoken.to(1), Word { yours: Yours::default(), ..spoken.to(7) });
        let words = [7, 9].map(|worker| (worker, spoken.to(worker))).to_vec();
        assert_eq!(Spoken::of(words).map(|spoken| spoken.yours.len()), Some(2));
        assert_eq!(Spoken::of(Vec::new()), None);
    }

    #[test]
    fn what_is_cut_short_or_goes_on_is_nothing() {
        let (said, heard) = (encode_said(&said(queue())), encode_heard(&heard()));
        for bytes in (0..said.len()).step_by(97) {
            assert_eq!(decode_said(&said[..bytes]), None, "{bytes}");
        }
        for bytes in (0..heard.len()).step_by(97) {
            assert_eq!(decode_heard(&heard[..bytes]), None, "{bytes}");
        }
        assert_eq!(decode_said(&[said, vec![0]].concat()), None);
        assert_eq!(decode_heard(&[heard, vec![0]].concat()), None);
    }

    #[test]
    fn the_fullest_draw_fits() {
        let full = Tally::from_counts(&vec![u32::MAX; Tally::default().counts().len()]);
        let heard = Heard { tally: full, ..heard() };
        assert!(encode_heard(&heard).len() <= TOLD_BYTES_MAX);
        let Phase::Queue { table, .. } = queue() else { unreachable!() };
        let drawn = heard.tally.clone().expect("full");
        let phase = Phase::Queue { drawn, table, late: u64::MAX, per_minute: u64::MAX, spare: u32::MAX };
        let yours = Yours { wanted: u32::MAX, late: u64::MAX, index: u32::MAX, workers: u32::MAX };
        let workers = 0..WORKERS_MAX;
        let grant = Grant { number: u64::MAX, more: u32::MAX, back: u32::MAX, returns: true, keep: u32::MAX };
        let said = Said {
            house: u64::MAX,
            now: at(1),
            word: Some(Spoken {
                opening: 3,
                phase,
                pace: 9,
                free: 300,
                yours: workers.clone().map(|w| (w, yours)).collect(),
            }),
            grants: workers.map(|worker| (worker, grant)).collect(),
        };
        assert!(encode_said(&said).len() <= SAID_BYTES_MAX);
    }
}
