use std::time::{Duration, Instant};

use super::*;
use hiwar_engine::live_bus::{Figures, Heard, Register};

fn log(name: &str) -> LogId {
    LogId::parse(name).expect("a name")
}

fn count(name: &str, joined_total: u64, bytes_total: u64) -> Count {
    let audience = Figures { joined_total, bytes_total, ..Figures::default() };
    let rehearsal = Figures { joined_total: 100 * joined_total, ..Figures::default() };
    Count { log: log(name), audience, rehearsal, fetched: false, lean: false }
}

/// A number as good as random: splitmix64 (Steele, Lea and Flood, 2014).
fn hashed(person: u64) -> u64 {
    let mut z = person.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A studio's audiences, and a clock that they are told.
struct House {
    audiences: Audiences,
    begun: Instant,
    now: Duration,
}

impl House {
    fn new() -> Self {
        Self { audiences: Audiences::default(), begun: Instant::now(), now: Duration::ZERO }
    }

    fn at(&self) -> Instant {
        self.begun + self.now
    }

    fn counted(&mut self, worker: u64, run: u64, counts: &[Count]) -> Vec<(LogId, Numbers)> {
        let now = self.at();
        self.audiences.counted(WorkerId(worker), Run(run), counts, &[], now)
    }

    fn people(&mut self, name: &str, heard: Heard, people: impl IntoIterator<Item = u64>) {
        let growing = hiwar_delivery::audience::sketch::Growing::default();
        people.into_iter().for_each(|person| growing.add(hashed(person)));
        let mut told = Vec::new();
        growing.tell(usize::MAX, &mut told);
        let told: Vec<Register> =
            told.into_iter().map(|register| Register { index: register.index, value: register.value }).collect();
        let now = self.at();
        self.audiences.people(&log(name), heard, &told, now);
    }

    /// A second passes. What is told of the demo.
    fn tick(&mut self) -> Option<Numbers> {
        self.now += Duration::from_secs(1);
        let told = self.audiences.tick(self.at(), |space| *space == log("demo"));
        told.into_iter().find(|(space, _)| *space == log("demo")).map(|(_, numbers)| numbers)
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.tick();
        }
    }

    fn numbers(&mut self) -> Numbers {
        let now = self.at();
        self.audiences.spaces.get_mut(&log("demo")).map(|audience| audience.numbers(now)).unwrap_or_default()
    }

    fn joined(&mut self) -> u64 {
        self.numbers().totals.joined
    }
}

#[test]
fn workers_and_forms_add_up_and_rehearsals_stay_apart() {
    let mut house = House::new();
    house.counted(1, 11, &[count("demo", 3, 30), count("demo--mp3", 2, 20), count("other", 9, 9)]);
    house.counted(2, 22, &[count("demo", 4, 40)]);
    let numbers = house.numbers();
    assert_eq!((numbers.totals.joined, numbers.totals.bytes), (9, 90));
    assert_eq!(numbers.rehearsal_totals.joined, 900);
    assert_eq!(house.audiences.totals().map(|totals| totals.joined), [18, 1_800]);
}

#[test]
fn totals_stay_right_whatever_becomes_of_workers() {
    let mut house = House::new();
    house.counted(1, 11, &[count("demo", 3, 0)]);
    // Its connection breaks, and it says the same again over another.
    house.audiences.left(WorkerId(1), &[], house.at());
    assert_eq!(house.joined(), 3);
    house.counted(2, 11, &[count("demo", 4, 0)]);
    assert_eq!(house.joined(), 4);
    // It dies; its successor begins at nothing.
    house.audiences.left(WorkerId(2), &[], house.at());
    house.counted(3, 33, &[count("demo", 1, 0)]);
    assert_eq!(house.joined(), 5);
    // The log is shut at a worker, and opened again.
    house.counted(3, 33, &[count("demo", 0, 0)]);
    house.counted(3, 33, &[count("demo", 2, 0)]);
    assert_eq!(house.joined(), 7);
    assert_eq!(house.audiences.totals()[0].joined, 7);
}

#[test]
fn of_workers_that_died_in_hundreds_the_sum_is_kept() {
    let mut house = House::new();
    house.counted(0, 1_000, &[count("demo", 5, 0)]);
    for life in 0..2 * RUNS_MAX as u64 {
        house.counted(1, life, &[count("demo", 1, 0)]);
    }
    // The first is alive all the time, and is not added up for good.
    house.counted(0, 1_000, &[count("demo", 6, 0)]);
    assert_eq!(house.joined(), 6 + 2 * RUNS_MAX as u64);
    assert!(house.audiences.spaces[&log("demo")].ledger.lines.len() <= RUNS_MAX);
}

#[test]
fn people_are_one_whichever_workers_told_of_them() {
    let mut house = House::new();
    house.people("demo", Heard::Ever, 0..1_000);
    house.people("demo", Heard::Ever, 500..1_500);
    house.people("demo--mp3", Heard::Ever, 0..100);
    house.people("other", Heard::Ever, 2_000..3_000);
    let unique = house.numbers().unique;
    assert!((1_460..=1_540).contains(&unique), "{unique}");
}

#[test]
fn who_asks_for_pieces_is_counted_for_some_seconds_and_once() {
    let mut house = House::new();
    house.people("demo", Heard::ByPieces, 0..3);
    house.people("demo", Heard::ByPieces, 2..4);
    assert_eq!(house.tick().map(|numbers| (numbers.by_pieces, numbers.listeners())), Some((4, 4)));
    let mut gone = 0;
    for second in 2..60 {
        if second % 9 == 0 {
            // The slowest of players, told of late.
            house.people("demo", Heard::ByPieces, 0..1);
        }
        house.tick();
        let left = house.numbers().by_pieces;
        assert!(left >= 1, "second {second}");
        if left == 1 && gone == 0 {
            gone = second;
        }
    }
    assert!((15..=20).contains(&gone), "{gone}");
    house.pass(20);
    assert_eq!(house.numbers().by_pieces, 0);
    assert!(house.audiences.spaces[&log("demo")].by_pieces.is_none(), "nothing is kept");
}

#[test]
fn a_window_that_was_long_forgotten_begins_empty() {
    let mut house = House::new();
    house.people("demo", Heard::ByPieces, 0..3);
    house.now += Duration::from_secs(1_000);
    house.people("demo", Heard::ByPieces, 7..8);
    assert_eq!(house.numbers().by_pieces, 1);
}

#[test]
fn news_are_told_at_once_and_then_once_a_second() {
    let mut house = House::new();
    let told = house.counted(1, 11, &[count("demo", 1, 0)]);
    assert_eq!(told.len(), 1);
    assert_eq!(house.tick(), None, "nothing new");
    for joined in 2..12 {
        house.now += Duration::from_millis(90);
        let told = house.counted(1, 11, &[count("demo", joined, 0)]);
        assert_eq!(told.len(), usize::from(joined == 2), "{joined}: {told:?}");
    }
    assert_eq!(house.tick().map(|numbers| numbers.totals.joined), Some(11), "the last word is not lost");
    assert_eq!(house.tick(), None);
}

#[test]
fn what_is_not_on_the_air_is_forgotten_after_a_while() {
    let mut house = House::new();
    house.counted(1, 11, &[count("demo", 1, 0), count("over", 1, 0)]);
    house.people("over", Heard::Ever, 0..10);
    house.pass(50);
    assert_eq!(house.audiences.spaces.len(), 2, "a house that begins opens its spaces later than it hears of them");
    house.pass(45);
    assert_eq!(house.audiences.spaces.len(), 1);
}

#[test]
fn figures_of_workers_add_up_and_of_a_dead_one_only_the_totals() {
    let mut house = House::new();
    let figures =
        |connections, accepted_total| WorkerFigures { connections, accepted_total, ..WorkerFigures::default() };
    house.audiences.worker(WorkerId(1), Run(11), figures(5, 50));
    house.audiences.worker(WorkerId(2), Run(22), figures(3, 30));
    assert_eq!(house.audiences.worker_figures(), figures(8, 80));
    house.audiences.left(WorkerId(1), &[], house.at());
    assert_eq!(house.audiences.worker_figures(), figures(3, 80));
    house.audiences.worker(WorkerId(3), Run(11), figures(6, 60));
    assert_eq!(house.audiences.worker_figures(), figures(9, 90), "it came back");
    let stance = |level, cadence_ms, lean| WorkerFigures { level, cadence_ms, lean, ..figures(1, 1) };
    let seen = |house: &House| {
        let WorkerFigures { level, cadence_ms, lean, .. } = house.audiences.worker_figures();
        (level, cadence_ms, lean)
    };
    house.audiences.worker(WorkerId(2), Run(22), stance(2, 4_000, false));
    house.audiences.worker(WorkerId(3), Run(11), stance(3, 200, true));
    assert_eq!(seen(&house), (3, 4_000, true), "the most that any does");
    assert_eq!(house.audiences.each_worker().iter().map(|(run, _)| run.0).collect::<Vec<_>>(), [11, 22]);
    house.audiences.left(WorkerId(3), &[], house.at());
    assert_eq!(seen(&house), (2, 4_000, false));
    assert_eq!(house.audiences.each_worker().len(), 1, "of one that is gone nothing is felt");
}

#[test]
fn what_a_worker_tells_of_a_space_that_is_over_is_not_counted_again() {
    let mut house = House::new();
    house.counted(1, 7, &[count("talk", 5, 1_000)]);
    let at = house.at();
    house.audiences.forget(&log("talk"), at);
    // Its listeners are just leaving: the worker has counted a little more.
    house.now += Duration::from_secs(59);
    let at = house.at();
    house.audiences.tick(at, |_| false);
    house.counted(1, 7, &[count("talk", 6, 1_200)]);
    let [audience, rehearsal] = house.audiences.totals();
    assert_eq!((audience.joined, audience.bytes, rehearsal.joined), (6, 1_200, 600));
    house.now += Duration::from_secs(91);
    let at = house.at();
    house.audiences.tick(at, |_| false);
    assert!(house.audiences.spaces.is_empty());
}

#[test]
fn who_hears_at_a_worker_is_of_all_spaces_and_only_of_workers_that_are_here() {
    let mut house = House::new();
    let turned_away = |name: &str, listening, turned_away_total| {
        let mut count = count(name, 2, 0);
        (count.audience.listening, count.audience.turned_away_total) = (listening, turned_away_total);
        count
    };
    let heard = |house: &House| {
        let of = |(run, at): (Run, AtWorker)| (run.0, at.streams, at.totals.joined, at.totals.turned_away);
        house.audiences.heard_by_worker().into_iter().map(of).collect::<Vec<_>>()
    };
    house.counted(1, 11, &[turned_away("demo", 2, 1), turned_away("talk", 3, 4)]);
    house.counted(2, 22, &[turned_away("demo", 1, 0)]);
    assert_eq!(heard(&house), [(11, 5, 4, 5), (22, 1, 2, 0)]);
    // What is heard no more, and has not changed, is not told of again.
    house.counted(1, 11, &[turned_away("demo", 1, 2)]);
    assert_eq!(heard(&house)[0], (11, 1, 4, 6));
    house.audiences.left(WorkerId(1), &[], house.at());
    assert_eq!(heard(&house), [(22, 1, 2, 0)]);
    house.counted(3, 11, &[turned_away("demo", 1, 2), turned_away("talk", 0, 4)]);
    assert_eq!(heard(&house)[0], (11, 1, 4, 6), "it came back, and what it had counted is not counted again");
}
