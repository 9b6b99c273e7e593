use super::*;
use crate::door::Passed;

fn log(name: &str) -> LogId {
    LogId::parse(name).unwrap()
}

fn worker(level: u8, reasons: Reasons) -> (Run, WorkerFigures) {
    (Run(u64::from(level)), WorkerFigures { level, reasons: reasons.bits(), ..WorkerFigures::default() })
}

fn door(is: Is, without_time: u64) -> AtDoor {
    let (waiting, waiting_by_class) = (without_time, [0, 0, 0, without_time]);
    AtDoor { places: 10, inside: 10, waiting, waiting_by_class, without_time, is, passed: Passed::default() }
}

struct House {
    known: Known,
    orders: Orders,
    steady: Instant,
    now: SystemTime,
    on_air: HashSet<LogId>,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let history = history::History::load(folder.path(), now);
        let known = Known { history, server: None, spaces: BTreeMap::new(), doors: BTreeMap::new() };
        let on_air = [log("talk"), log("demo")].into();
        Self { known, orders: Orders::default(), steady: Instant::now(), now, on_air, _folder: folder }
    }

    fn look(&mut self, workers: &[(Run, WorkerFigures)], doors: &[(LogId, AtDoor)]) -> Changed {
        self.steady += EVERY;
        self.now += EVERY;
        let doors = doors.iter().copied().collect();
        self.known.look((self.steady, self.now), workers, &doors, &self.orders, &self.on_air)
    }

    fn seen(&self) -> [(Level, Reasons); 3] {
        let of = |standing: Rung| (standing.level, standing.reasons);
        [self.known.server.unwrap(), self.known.spaces[&log("talk")], self.known.spaces[&log("demo")]].map(of)
    }
}

const NONE: (Level, Reasons) = (Level::Open, Reasons::from_bits(0));

#[test]
fn a_conversation_is_where_the_worst_of_its_workers_or_its_door_is_and_the_server_where_the_worst_is() {
    let mut house = House::new();
    let calm = [worker(0, Reasons::default())];
    let changed = house.look(&calm, &[]);
    assert_eq!((changed.server, changed.spaces.len()), (true, 2), "it is known from now on");
    assert_eq!(house.seen(), [NONE; 3]);
    assert_eq!(house.known.history.newest().count(), 0, "that is no change");
    let late = (Level::Longer, Reason::Late.into());
    house.look(&[worker(0, Reasons::default()), worker(2, Reason::Late.into())], &[]);
    assert_eq!(house.seen(), [late; 3]);
    let capped = (Level::Capped, Reason::Crowd.into());
    house.look(&calm, &[(log("talk"), door(Is::Queue, 3))]);
    assert_eq!(house.seen(), [capped, capped, NONE]);
    // Seconds later all have a time, and a minute later that is said.
    let queue = [(log("talk"), door(Is::Queue, 0))];
    (0..60).for_each(|_| drop(house.look(&calm, &queue)));
    assert_eq!(house.seen()[1], capped);
    house.look(&calm, &queue);
    assert_eq!(house.seen()[1], (Level::Paced, Reason::Crowd.into()));
    let levels: Vec<_> = house.known.history.newest().filter(|line| line.space.as_deref() == Some("talk")).collect();
    assert_eq!(levels.len(), 3);
    assert!(matches!(&levels[0].what, What::Level { level: 1, before: 5, reasons } if reasons == &["crowd"]));
    assert_eq!(house.known.last(Some(&log("talk"))), Level::Paced, "a house that follows this one knows");
}

#[test]
fn what_goes_off_the_air_has_no_level_any_more() {
    let mut house = House::new();
    house.look(&[worker(3, Reason::Line.into())], &[]);
    house.on_air = [log("demo")].into();
    let changed = house.look(&[worker(3, Reason::Line.into())], &[]);
    assert!(!changed.server && changed.spaces.is_empty() && house.known.spaces.len() == 1);
}

#[test]
fn since_when_it_is_so_does_not_change_with_the_reasons() {
    let mut house = House::new();
    house.look(&[worker(1, Reason::Line.into())], &[]);
    let since = house.known.server.unwrap().since;
    let changed = house.look(&[worker(1, Reasons::from(Reason::Line).with(Reason::Files.into()))], &[]);
    assert!(changed.server && house.known.server.unwrap().since == since);
    let words = |language| house.known.server.unwrap().words(language);
    assert!(words(Language::English).contains("the line is nearly full; "), "{}", words(Language::English));
    assert!(words(Language::Arabic).contains('؛'), "{}", words(Language::Arabic));
}

#[test]
fn every_level_and_reason_has_words() {
    for language in [Language::Arabic, Language::English] {
        for level in Level::ALL {
            let standing = Rung { level, reasons: Reason::ALL.into_iter().collect(), since: SystemTime::now() };
            assert!(!standing.words(language).contains("ladder-"), "{}", standing.words(language));
        }
    }
}

#[test]
fn the_panic_switch_is_for_whoever_comes_anew() {
    assert!(can_be(&Which::Panic, 4) && can_be(&Which::Panic, 5) && !can_be(&Which::Panic, 3));
    assert!(can_be(&Which::Pin, 0) && !can_be(&Which::Cap, 6) && !can_be(&Which::Pin, 256));
}
