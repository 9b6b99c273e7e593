//! What was seen of a launch, and what it comes to.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use hiwar_admission::door::desk::{SPREAD, TALLY, WINDOW};
use hiwar_admission::door::network::ROOM_V4_24;
use hiwar_admission::door::places::reserve;
use hiwar_admission::door::timetable::HORIZON;
use serde::Serialize;

use super::moments::{self, Moments};
use super::{Kind, Visit};
use crate::report::Verdict;

/// After the draw and its spread, those who come last and find no place look again.
const SETTLED: Duration = Duration::from_secs(25);

/// What came of a visit. Times are since the first could come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lived {
    /// How often they asked.
    pub requests: u32,
    /// When they were first told a time, and how far off it was.
    pub promised: Option<(Duration, Duration)>,
    /// When they were let in.
    pub entered: Option<Duration>,
    /// When they went.
    pub left: Option<Duration>,
    /// Answers that were none: they asked again, later each time.
    pub failed: u32,
    /// They were inside, were cut off, and did not come back.
    pub cut: bool,
    /// They were cut off, when, and for so long they were away: of several times the longest.
    pub away: Option<(Duration, Duration)>,
}

impl Lived {
    /// When they are let in, by what was told: they have been, or it is promised.
    fn enters(&self) -> Option<Duration> {
        self.entered.or(self.promised.map(|(at, wait)| at + wait))
    }
}

/// A launch that was played until some time.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The script.
    pub visits: Vec<Visit>,
    /// What came of each.
    pub lived: Vec<Lived>,
    /// How many places there are.
    pub cap: u32,
    /// Of those, how many are neither given nor promised to whoever comes.
    pub reserve: u32,
    /// Until then those who come are drawn: whoever is in by then did not have to wait for the draw.
    pub window: Duration,
    /// From when on there is a queue: everybody has been drawn, and those who are first have come for their places.
    pub drawn_by: Duration,
    /// When the first could come, by the clock.
    pub opens: SystemTime,
    /// Until when it was played.
    pub until: Duration,
    /// How many tickets of a /24 are drawn with everybody else's first ones.
    pub room: u32,
    /// Who came in and went when, if some did so more than once.
    pub steps: Vec<(Duration, bool)>,
}

/// What it comes to: see docs/measured/door.md.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many were inside beyond the places that there are, at the most.
    pub cap_exceeded: u32,
    /// Of those to whom a time was told that has passed, and who were there at it: the part that was let in within 15 s or a tenth of the first wait of it.
    pub promise_kept: f64,
    /// How many those are.
    pub promised: usize,
    /// Half of the people asked as often, or less.
    pub requests_per_visitor_p50: u32,
    /// How likely a bot is let in before somebody who asks once, less one half.
    pub retry_advantage: f64,
    /// By what part those of one /24 were let in more or less often than their share.
    pub prefix_share_error: f64,
    /// By so much it would differ for chance alone, in two of three launches: one standard deviation.
    pub prefix_share_chance: f64,
    /// How many of the /24 have a place or a time for one, of those who had to wait, and what their share is.
    pub prefix_let_in: u32,
    /// See above.
    pub prefix_share: f64,
    /// How many of those behind one carrier's address were let in.
    pub carried_let_in: u32,
    /// How many bots had to wait: with few the advantage is uncertain.
    pub bots_waited: u32,
    /// Of the places that are not kept for those who come back, the part that was used while anybody waited.
    pub utilisation: f64,
    /// Of so many seconds.
    pub utilisation_seconds: u32,
    /// How many people were let in.
    pub let_in: u32,
    /// How often the door was asked.
    pub requests: u64,
    /// Answers that were none.
    pub failed: u64,
    /// How many were cut off, and did not come back.
    pub cut: u32,
}

/// A promise is kept within so long.
const KEPT_WITHIN: Duration = Duration::from_secs(15);
/// Or this part of the wait.
const KEPT_PART: f64 = 0.1;

/// How good a door is to be: see docs/measured/door.md.
const PROMISE_KEPT_MIN: f64 = 0.95;
const REQUESTS_MAX: u32 = 3;
const RETRY_ADVANTAGE_MAX: f64 = 0.05;
/// How far from its share a network may be; with few people chance alone takes it further, by two of its standard deviations.
const SHARE_ERROR_MAX: f64 = 0.1;
const UTILISATION_MIN: f64 = 0.97;
/// With fewer bots than that nobody can tell.
const BOTS_MIN: u32 = 150;
/// Of all requests, so many may have no answer.
const FAILED_PART_MAX: f64 = 0.01;
/// If somebody of the crowd acted later than that, it is the crowd that is measured.
const LATE_MS_MAX: u64 = 1_000;

impl Figures {
    /// Whether the door kept its word to the crowd. Nobody can tell if the crowd itself was late, or if nobody waited long enough for a promise to be kept or a place to stand empty.
    pub fn verdict(&self, moments: &Moments) -> Verdict {
        let unjudged = self.unjudged(moments);
        let is_too_little =
            ["crowd_late_ms_max", "promise_kept", "utilisation"].iter().any(|name| unjudged.contains(name));
        match (is_too_little, self.unmet(moments).is_empty()) {
            // What was seen to go wrong did, however short it was; unless the crowd was the cause.
            (_, false) if !unjudged.contains(&"crowd_late_ms_max") => Verdict::Fails,
            (true, _) | (_, false) => Verdict::Doubtful,
            (false, true) => Verdict::Holds,
        }
    }

    /// The names of those of which this launch says nothing: too few came, it was too short, or it was the crowd itself that was late.
    pub fn unjudged(&self, moments: &Moments) -> Vec<&'static str> {
        let unjudged = [
            ("crowd_late_ms_max", moments.values().any(|moment| moment.late_ms > LATE_MS_MAX)),
            ("promise_kept", self.promised == 0),
            ("utilisation", self.utilisation_seconds == 0),
            ("retry_advantage", self.bots_waited < BOTS_MIN),
            ("prefix_share_error", self.prefix_share == 0.0),
        ];
        unjudged.into_iter().filter(|(_, is_unjudged)| *is_unjudged).map(|(name, _)| name).collect()
    }

    /// The names of those that are not as good as they are to be.
    pub fn unmet(&self, moments: &Moments) -> Vec<&'static str> {
        let unmet = [
            ("cap_exceeded", self.cap_exceeded > 0),
            // To nobody a time was told that has passed: nothing was broken.
            ("promise_kept", self.promised > 0 && self.promise_kept < PROMISE_KEPT_MIN),
            ("requests_per_visitor_p50", self.requests_per_visitor_p50 > REQUESTS_MAX),
            ("retry_advantage", self.bots_waited >= BOTS_MIN && self.retry_advantage > RETRY_ADVANTAGE_MAX),
            (
                "prefix_share_error",
                self.prefix_share > 0.0
                    && self.prefix_share_error > SHARE_ERROR_MAX.max(2.0 * self.prefix_share_chance),
            ),
            ("utilisation", self.utilisation_seconds > 0 && self.utilisation < UTILISATION_MIN),
            ("failed", self.failed as f64 > FAILED_PART_MAX * self.requests as f64),
            ("cut", self.cut > 0),
            ("untrue", moments.values().any(|moment| moment.untrue > 0)),
        ];
        unmet.into_iter().filter(|(_, is_unmet)| *is_unmet).map(|(name, _)| name).collect()
    }
}

impl Seen {
    /// Of a launch to so many places, from when the first could come until it was played no longer, by the clock.
    pub fn of(
        visits: Vec<Visit>,
        lived: Vec<Lived>,
        cap: u32,
        played: Range<SystemTime>,
        steps: Vec<(Duration, bool)>,
    ) -> Self {
        Self {
            visits,
            lived,
            cap,
            reserve: reserve(cap),
            window: WINDOW,
            drawn_by: WINDOW + TALLY + SPREAD + SETTLED,
            opens: played.start,
            until: played.end.duration_since(played.start).unwrap_or_default(),
            room: ROOM_V4_24,
            steps,
        }
    }

    /// The figures.
    pub fn figures(&self) -> Figures {
        let (promised, promise_kept) = self.promises_kept();
        let (prefix_let_in, prefix_share, prefix_share_chance) = self.prefix();
        let (utilisation, utilisation_seconds) = self.used(self.drawn_by.as_secs()..self.until.as_secs());
        let people = self.people();
        let lived = &self.lived;
        Figures {
            cap_exceeded: self.inside_max().saturating_sub(self.cap),
            promise_kept,
            promised,
            requests_per_visitor_p50: median(people.iter().map(|person| person.requests).collect()),
            retry_advantage: self.retry_advantage(),
            prefix_share_error: if prefix_share > 0.0 {
                (f64::from(prefix_let_in) / prefix_share - 1.0).abs()
            } else {
                1.0
            },
            prefix_share_chance,
            prefix_let_in,
            prefix_share,
            carried_let_in: people.iter().filter(|one| one.kind == Kind::Carried && one.entered.is_some()).count()
                as u32,
            bots_waited: self.fairness(Kind::Bot).0,
            utilisation,
            utilisation_seconds,
            let_in: people.iter().filter(|person| person.entered.is_some()).count() as u32,
            requests: lived.iter().map(|lived| u64::from(lived.requests)).sum(),
            failed: lived.iter().map(|lived| u64::from(lived.failed)).sum(),
            cut: lived.iter().filter(|lived| lived.cut).count() as u32,
        }
    }

    /// Visits and what came of them.
    pub fn all(&self) -> impl Iterator<Item = (&Visit, &Lived)> {
        self.visits.iter().zip(&self.lived)
    }

    /// Of those to whom a time was told that is over, and who were there at it: how many, and the part that was let in about then.
    pub fn promises_kept(&self) -> (usize, f64) {
        let kept = self.all().filter(|(visit, _)| visit.kind != Kind::Bot).filter_map(|(visit, lived)| {
            let (when, wait) = lived.promised?;
            let allowed = wait.mul_f64(KEPT_PART).max(KEPT_WITHIN);
            let was_there = when + wait < visit.comes + visit.patience;
            let took = lived.entered.map(|entered| entered.saturating_sub(when));
            (was_there && when + wait + allowed < self.until)
                .then(|| took.is_some_and(|took| took.abs_diff(wait) <= allowed))
        });
        let kept: Vec<bool> = kept.collect();
        (kept.len(), kept.iter().filter(|kept| **kept).count() as f64 / kept.len().max(1) as f64)
    }

    /// How many were inside at the most.
    pub fn inside_max(&self) -> u32 {
        let mut steps = self.steps.clone();
        if steps.is_empty() {
            steps.extend(self.lived.iter().filter_map(|lived| lived.entered).map(|at| (at, true)));
            steps.extend(self.lived.iter().filter_map(|lived| lived.left).map(|at| (at, false)));
        }
        moments::inside_max(&mut steps)
    }

    /// In those seconds after the first, second by second while anybody waits: of the places that are not kept for those who come back, the part that was used.
    pub fn used(&self, within: Range<u64>) -> (f64, u32) {
        let seconds = self.until.as_secs() as usize + 1;
        let (mut inside, mut waiting) = (vec![0i64; seconds + 1], vec![0i64; seconds + 1]);
        let count = |of: &mut Vec<i64>, from: Duration, to: Duration| {
            let place = |at: Duration| (at.as_secs_f64().ceil() as usize).min(seconds);
            of[place(from)] += 1;
            of[place(to)] -= 1;
        };
        for (visit, lived) in self.all() {
            let gives_up = visit.comes + visit.patience;
            if lived.requests > 0 {
                count(&mut waiting, visit.comes, lived.entered.unwrap_or(gives_up).min(self.until));
            }
            if let Some(entered) = lived.entered {
                count(&mut inside, entered, lived.left.unwrap_or(self.until).min(self.until));
            }
        }
        let (mut now_inside, mut now_waiting, mut used, mut of) = (0, 0, 0.0, 0u32);
        for second in 0..self.until.as_secs() as usize {
            now_inside += inside[second];
            now_waiting += waiting[second];
            if within.contains(&(second as u64)) && now_waiting > 0 {
                used += now_inside as f64 / f64::from(self.cap - self.reserve);
                of += 1;
            }
        }
        (used / f64::from(of.max(1)), of)
    }

    /// Between whoever asks once and bots, all from addresses of their own: how much more often than not a bot is let in first. Whoever has no place and no time is last.
    fn retry_advantage(&self) -> f64 {
        let people = self.people();
        let of = |kind| {
            let waited = people.iter().filter(|person| person.kind == kind && self.waited(person));
            let mut entered: Vec<Duration> = waited.map(|person| person.enters.unwrap_or(Duration::MAX)).collect();
            entered.sort_unstable();
            entered
        };
        let (bots, others) = (of(Kind::Bot), of(Kind::Alone));
        if bots.is_empty() || others.is_empty() {
            return 0.0;
        }
        let beaten = |bot: &Duration| {
            let sooner = others.partition_point(|other| other < bot);
            let not_later = others.partition_point(|other| other <= bot);
            (others.len() - not_later) as f64 + (not_later - sooner) as f64 / 2.0
        };
        bots.iter().map(beaten).sum::<f64>() / (bots.len() * others.len()) as f64 - 0.5
    }

    /// How many of the /24 who had to wait have a place, or a time for one, within half an hour of the draw; their share: as many as a network of that size has room for in a round, as often as others; and a standard deviation of
    /// that by chance, as a part of it.
    fn prefix(&self) -> (u32, f64, f64) {
        let (others, others_have) = self.fairness(Kind::Alone);
        let (theirs, theirs_have) = self.fairness(Kind::Neighbour);
        let often = f64::from(others_have) / f64::from(others.max(1));
        let share = f64::from(self.room.min(theirs)) * often;
        let chance = if share > 0.0 { ((1.0 - often) / share).sqrt() } else { 0.0 };
        (theirs_have, share, chance)
    }

    /// Of people of that kind: how many had to wait, and how many of them have a place or a time for one, within half an hour of the draw: later it is the turn of what networks asked for beyond
    /// their share.
    pub fn fairness(&self, kind: Kind) -> (u32, u32) {
        let (people, by) = (self.people(), self.drawn_by + HORIZON);
        let waited = people.iter().filter(|person| person.kind == kind && self.waited(person));
        waited.fold((0, 0), |(all, have), person| {
            (all + 1, have + u32::from(person.enters.is_some_and(|enters| enters <= by)))
        })
    }

    fn waited(&self, person: &Person) -> bool {
        person.entered.is_none_or(|entered| entered > self.window)
    }

    fn people(&self) -> Vec<Person> {
        let mut people: Vec<Person> = Vec::new();
        for (visit, lived) in self.all().filter(|(_, lived)| lived.requests > 0) {
            match people.last_mut() {
                Some(person) if person.who == visit.who => {
                    person.requests += lived.requests;
                    person.entered = person.entered.into_iter().chain(lived.entered).min();
                    person.enters = person.enters.into_iter().chain(lived.enters()).min();
                }
                _ => people.push(Person {
                    who: visit.who,
                    kind: visit.kind,
                    requests: lived.requests,
                    entered: lived.entered,
                    enters: lived.enters(),
                }),
            }
        }
        people
    }

    /// Raw samples, a line for each visit: what every figure is made of.
    pub fn raw(&self) -> String {
        let mut text = String::from(
            "who,kind,address,comes_s,patience_s,stay_s,requests,promised_at_s,promised_wait_s,entered_s,left_s,failed,cut,cut_at_s,away_s\n",
        );
        let seconds = |at: Option<Duration>| at.map_or(String::new(), |at| format!("{:.3}", at.as_secs_f64()));
        for (visit, lived) in self.all() {
            let ((at, wait), (cut_at, away)) = (lived.promised.unzip(), lived.away.unzip());
            let _ = writeln!(
                text,
                "{},{:?},{},{},{},{},{},{},{},{},{},{},{},{},{}",
                visit.who,
                visit.kind,
                visit.address,
                seconds(Some(visit.comes)),
                seconds(Some(visit.patience)),
                seconds(Some(visit.stay)),
                lived.requests,
                seconds(at),
                seconds(wait),
                seconds(lived.entered),
                seconds(lived.left),
                lived.failed,
                u8::from(lived.cut),
                seconds(cut_at),
                seconds(away)
            );
        }
        text
    }
}

/// All visits of one.
struct Person {
    who: u32,
    kind: Kind,
    requests: u32,
    entered: Option<Duration>,
    /// See [`Lived::enters`].
    enters: Option<Duration>,
}

fn median(mut values: Vec<u32>) -> u32 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
