use std::collections::VecDeque;

use hiwar_admission::door::desk::{Phase, Told};
use hiwar_admission::door::places::{KEPT, Share, reserve};
use hiwar_engine::live_bus::{Left, WorkerFigures};

use super::*;

const CONFIG: config::Door = config::Door { places: 100, pace: 2_000, stay: Duration::from_secs(20 * 60) };

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn log(name: &str) -> LogId {
    LogId::parse(name).unwrap()
}

fn on_air(names: &[&str]) -> HashSet<LogId> {
    names.iter().map(|name| log(name)).collect()
}

/// Workers, their house, and what is on its way between them.
struct World {
    now: SystemTime,
    doors: Doors,
    on_air: HashSet<LogId>,
    workers: Vec<Worker>,
    next: u64,
}

struct Worker {
    run: u64,
    connection: Option<WorkerId>,
    share: Share,
    wanted: u32,
    /// Which house it has heard.
    house: u64,
    /// Said to it, and not read yet.
    mail: VecDeque<Said>,
}

impl World {
    /// Workers that a house which has just begun knows of, and of which each wants so many places.
    fn of(workers: u64, wanted: u32) -> Self {
        let worker =
            |run| Worker { run, connection: None, share: Share::default(), wanted, house: 0, mail: VecDeque::new() };
        let workers: Vec<Worker> = (1..=workers).map(worker).collect();
        let doors =
            Doors::new(CONFIG, start(), Awaited::new(workers.len(), &[]), Draws::deaf(), "/nonexistent/spaces".into());
        Self { now: start(), doors, on_air: on_air(&["talk"]), workers, next: 0 }
    }

    /// Its house begins, with the spaces of that folder.
    fn begin(&mut self, spaces: &Path) {
        let awaited = Awaited::new(self.workers.len(), &[]);
        self.doors = Doors::new(CONFIG, self.now, awaited, Draws::deaf(), spaces.into());
    }

    fn connect(&mut self, at: usize) {
        self.next += 1;
        self.workers[at].connection = Some(WorkerId(self.next));
    }

    fn disconnect(&mut self, at: usize) {
        if let Some(connection) = self.workers[at].connection.take() {
            self.doors.hear(self.now, Report::Left(connection, Left::Closed));
        }
    }

    /// A worker's process ends, and another takes its place.
    fn die(&mut self, at: usize) {
        self.disconnect(at);
        let worker = &mut self.workers[at];
        (worker.run, worker.share, worker.house) = (worker.run + 100, Share::default(), 0);
        worker.mail.clear();
    }

    /// A worker tells of its door; and, once a second, that this was all.
    fn tell(&mut self, at: usize) {
        let Worker { run, connection: Some(connection), share, wanted, house, .. } = &self.workers[at] else { return };
        let told = Told { house: *house, report: share.report(*wanted), ..Told::default() };
        let body = wire::encode_heard(&Heard { told, ..Heard::default() });
        let door = Up::Door { run: Run(*run), log: log("talk"), body: body.into() };
        let worker = Up::Worker { run: Run(*run), figures: WorkerFigures::default() };
        for up in [door, worker] {
            self.doors.hear(self.now, Report::Up(*connection, up));
        }
    }

    fn read(&mut self, at: usize) {
        let worker = &mut self.workers[at];
        let Some(said) = worker.mail.pop_front().filter(|said| said.house >= worker.house) else { return };
        worker.house = said.house;
        for (_, grant) in said.grants.into_iter().filter(|(run, _)| *run == worker.run) {
            worker.share.take(said.now, grant);
        }
    }

    /// A quarter of a second passes in the house; what it says goes to who is connected.
    fn quarter(&mut self) -> Vec<(LogId, Said)> {
        self.now += EVERY;
        self.doors.close(self.now, &self.on_air);
        let said = self.doors.tick(self.now, &self.on_air);
        for worker in self.workers.iter_mut().filter(|worker| worker.connection.is_some()) {
            worker.mail.extend(said.iter().map(|(_, said)| said.clone()));
        }
        said
    }

    /// As it is when all goes well, for so many quarters; whoever may comes in.
    fn go_on(&mut self, quarters: u32) {
        for _ in 0..quarters {
            for at in 0..self.workers.len() {
                self.tell(at);
            }
            self.quarter();
            for at in 0..self.workers.len() {
                while !self.workers[at].mail.is_empty() {
                    self.read(at);
                }
                while self.workers[at].share.admit(self.now) {}
            }
        }
    }

    fn inside(&self) -> u32 {
        self.workers.iter().map(|worker| worker.share.inside()).sum()
    }
}

const SECONDS: u32 = 4;

/// After a stall of the house all have spoken: of a few places a worker has the last, and is not to count as silent.
#[test]
fn whatever_has_come_is_heard_before_the_next_word_however_late_that_is() {
    let (tell, reports) = sync_channel(8);
    for _ in 0..5 {
        tell.send(Report::Joined(WorkerId(1), None)).expect("somebody hears");
    }
    let mut heard = 0;
    assert!(collect(&reports, Instant::now(), |_| heard += 1));
    assert_eq!(heard, 5);
    drop(tell);
    assert!(!collect(&reports, Instant::now(), |_| heard += 1), "nobody tells anything any more");
}

#[test]
fn a_house_that_begins_gives_nothing_before_every_worker_has_told() {
    let mut world = World::of(3, 90);
    for at in 0..2 {
        world.connect(at);
    }
    world.go_on(29 * SECONDS);
    assert_eq!((world.inside(), world.doors.doors.len()), (0, 0));
    world.connect(2);
    world.go_on(4 * SECONDS);
    assert_eq!(world.inside(), 98, "all but what is kept for those who come back");
    let Figures { inside, crowds, .. } = &*world.doors.figures;
    assert_eq!([inside, crowds].map(|figure| figure.load(Relaxed)), [98, 0]);
    let together = world.doors.figures.together();
    assert_eq!((together.waiting, together.waiting_by_class), (0, [0; 4]));
}

#[test]
fn a_worker_that_never_speaks_is_waited_for_and_not_for_ever() {
    let mut world = World::of(2, 90);
    world.connect(0);
    world.go_on(29 * SECONDS);
    assert_eq!(world.inside(), 0);
    world.go_on(5 * SECONDS);
    assert_eq!(world.inside(), 98);
}

#[test]
fn older_workers_that_have_ended_are_not_waited_for_and_those_that_serve_somebody_are() {
    let mut world = World::of(3, 90);
    // Of five, three are older: one ends without a word, and one is silent for a while.
    world.doors =
        Doors::new(CONFIG, world.now, Awaited::new(5, &[71, 72, 73]), Draws::deaf(), "/nonexistent/spaces".into());
    let connect = |world: &mut World, at: usize, process: i32| {
        world.connect(at);
        let connection = world.workers[at].connection.expect("a connection");
        world.doors.hear(world.now, Report::Joined(connection, Some(process)));
    };
    connect(&mut world, 0, 80);
    connect(&mut world, 1, 81);
    world.doors.bury(world.now, |process| process == 71);
    world.go_on(SECONDS);
    assert_eq!(world.inside(), 0, "two are silent, and may have people inside");
    connect(&mut world, 2, 72);
    world.go_on(SECONDS);
    assert_eq!(world.inside(), 0, "one has told, and is none of those that serve");
    world.doors.bury(world.now, |process| process == 73);
    world.go_on(4 * SECONDS);
    assert!(world.inside() > 90);
}

#[test]
fn those_inside_when_a_house_begins_are_counted() {
    let mut world = World::of(2, 90);
    (0..2).for_each(|at| world.connect(at));
    world.go_on(6 * SECONDS);
    assert_eq!(world.inside(), 98);
    world.doors = Doors::new(CONFIG, world.now, Awaited::new(2, &[]), Draws::deaf(), "/nonexistent/spaces".into());
    world.disconnect(0);
    world.disconnect(1);
    world.workers.iter_mut().for_each(|worker| worker.mail.clear());
    for at in 0..2 {
        world.connect(at);
        world.workers[at].share.leave();
    }
    world.go_on(2 * SECONDS);
    assert_eq!(world.inside(), 96, "what the last house gave may be on its way");
    world.go_on(4 * SECONDS);
    assert_eq!(world.inside(), 98);
}

#[test]
fn a_connection_that_breaks_changes_nothing_and_a_worker_that_dies_frees_its_places() {
    let mut world = World::of(2, 90);
    (0..2).for_each(|at| world.connect(at));
    world.go_on(6 * SECONDS);
    let there = world.workers[0].share.inside();
    assert!(there > 0 && world.inside() == 98);
    world.disconnect(0);
    world.go_on(9 * SECONDS);
    world.connect(0);
    world.go_on(60 * SECONDS);
    assert_eq!((world.workers[0].share.inside(), world.inside()), (there, 98));
    world.die(0);
    world.go_on(10 * SECONDS + KEPT.as_secs() as u32 * SECONDS - SECONDS);
    assert_eq!(world.inside(), 98 - there, "for a while they are kept for those who were there");
    world.go_on(4 * SECONDS);
    assert_eq!(world.inside(), 98);
}

#[test]
fn places_that_people_leave_are_given_again_however_long_a_grant_is_on_its_way() {
    let mut world = World::of(1, 30);
    world.connect(0);
    world.go_on(8 * SECONDS);
    assert_eq!(world.inside(), 98);
    // Each is read six quarters after it was said.
    for round in 0..200 {
        if round < 100 {
            world.workers[0].share.leave();
        }
        world.tell(0);
        world.quarter();
        while world.workers[0].mail.front().is_some_and(|said| said.now + 6 * EVERY <= world.now) {
            world.read(0);
        }
        if round >= 100 {
            while world.workers[0].share.admit(world.now) {}
        }
    }
    assert_eq!(world.inside(), 98);
}

#[test]
fn no_more_are_inside_than_there_are_places_whatever_is_lost_or_late() {
    for seed in 0..300_u64 {
        let mut world = World::of(3, 20 + (seed % 90) as u32);
        let mut chance = seed;
        let mut any = |of: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % of
        };
        (0..3).for_each(|at| world.connect(at));
        // Those who were at a worker that died, until nobody waits for them any more.
        let mut kept: Vec<(SystemTime, u32)> = Vec::new();
        for _ in 0..600 {
            let at = any(3) as usize;
            match any(40) {
                0 => {
                    world.disconnect(at);
                    world.connect(at);
                }
                1 => world.disconnect(at),
                2 => {
                    kept.push((world.now + COMES_BACK + KEPT, world.workers[at].share.inside()));
                    world.die(at);
                }
                // By another house, which hears first of some that they left the old one.
                3 if any(4) == 0 => {
                    for at in 0..3 {
                        // What the old one said may be read after what this one says first, and its own be lost.
                        let worker = &mut world.workers[at];
                        if any(2) == 0 {
                            worker.mail.clear();
                        }
                        if worker.connection.take().is_some() {
                            world.connect(at);
                        }
                    }
                    world.doors = Doors::new(
                        CONFIG,
                        world.now,
                        Awaited::new(3, &[]),
                        Draws::deaf(),
                        "/nonexistent/spaces".into(),
                    );
                    kept.clear();
                }
                4..12 => drop(world.quarter()),
                12..20 => world.tell(at),
                20..28 => world.read(at),
                28..34 => {
                    world.workers[at].share.admit(world.now);
                }
                34..36 => while world.workers[at].share.admit(world.now) {},
                36..38 => world.workers[at].share.leave(),
                _ => {
                    if world.workers[at].connection.is_none() {
                        world.connect(at);
                    }
                }
            }
            kept.retain(|(until, _)| world.now < *until);
            let kept: u32 = kept.iter().map(|(_, count)| count).sum();
            assert!(world.inside() + kept <= CONFIG.places, "{seed}: {} and {kept}", world.inside());
        }
        // When all is quiet nothing is lost.
        for at in 0..3 {
            if world.workers[at].connection.is_none() {
                world.connect(at);
            }
        }
        world.go_on(100 * SECONDS);
        assert!(world.inside() >= CONFIG.places - reserve(CONFIG.places), "{seed}: {}", world.inside());
    }
}

#[test]
fn the_word_is_said_once_a_second_and_places_in_between() {
    let mut world = World::of(1, 10);
    world.connect(0);
    world.go_on(5 * SECONDS);
    world.tell(0);
    let said: Vec<_> = (0..8).map(|_| world.quarter()).collect();
    let words = said.iter().flatten().filter_map(|(_, said)| said.word.as_ref());
    let words: Vec<_> = words.map(|word| (word.phase == Phase::Open, word.yours.len())).collect();
    assert_eq!(words, [(true, 1); 2]);
    let grants: usize = said.iter().flatten().map(|(_, said)| said.grants.len()).sum();
    assert_eq!(grants, 1, "it told once");
}

#[test]
fn who_has_not_heard_the_word_is_told_it_at_once_and_given_nothing_before() {
    let mut world = World::of(1, 0);
    world.connect(0);
    world.tell(0);
    world.now += GRANT;
    let said = world.quarter();
    assert!(matches!(&said[..], [(_, Said { word: None, .. })]), "it has to hear first which house this is: {said:?}");
    world.read(0);
    world.tell(0);
    let said = world.quarter();
    let [(_, Said { word: Some(word), grants, .. })] = &said[..] else { panic!("{said:?}") };
    assert!(word.yours[0].1.wanted > 0 && grants.is_empty());
    world.tell(0);
    assert_eq!(world.quarter(), []);
    world.workers[0].wanted = word.yours[0].1.wanted;
    world.tell(0);
    assert!(matches!(&world.quarter()[..], [(_, Said { grants, .. })] if grants[0].1.more > 0));
}

#[test]
fn a_door_is_closed_with_its_space_and_what_it_gave_is_void_before_it_opens_again() {
    let mut world = World::of(1, 10);
    world.connect(0);
    world.go_on(6 * SECONDS);
    world.on_air.clear();
    world.doors.close(world.now, &world.on_air);
    assert!(world.doors.doors.is_empty());
    assert_eq!(world.quarter(), []);
    world.on_air = on_air(&["talk", "new"]);
    world.tell(0);
    world.quarter();
    world.tell(0);
    let grants = |said: &[(LogId, Said)]| said.iter().map(|(_, said)| said.grants.len()).sum::<usize>();
    assert_eq!(grants(&world.quarter()), 0);
    world.now += GRANT;
    world.tell(0);
    assert_eq!(grants(&world.quarter()), 1);
    // Of a space that was never there nobody was given anything: it opens at once.
    let told = Told { house: world.doors.house, report: Share::default().report(5), ..Told::default() };
    let body = wire::encode_heard(&Heard { told, ..Heard::default() });
    let door = Up::Door { run: Run(1), log: log("new"), body: body.into() };
    world.doors.hear(world.now, Report::Up(WorkerId(1), door));
    assert_eq!(grants(&world.quarter()), 1);
}

#[test]
fn nonsense_is_left_out_and_there_are_only_so_many_doors_and_workers() {
    let mut world = World::of(1, 10);
    world.connect(0);
    world.go_on(5 * SECONDS);
    let nonsense = |run| Up::Door { run: Run(run), log: log("talk"), body: Bytes::from_static(b"?") };
    for run in 0..2 * LIVES_MAX as u64 {
        world.doors.hear(world.now, Report::Up(WorkerId(run), nonsense(run)));
    }
    assert_eq!(world.doors.lives.len(), LIVES_MAX);
    let names: Vec<String> = (0..2 * DOORS_MAX).map(|n| format!("s{n}")).collect();
    world.on_air = names.iter().map(|name| log(name)).collect();
    world.quarter();
    assert_eq!(world.doors.doors.len(), DOORS_MAX);
}

#[test]
fn a_house_goes_on_by_the_clock_of_the_one_before_it_and_by_the_wall_after_the_machine_began_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(CLOCK);
    let first = Clock::start(&file);
    // The wall's clock is set back meanwhile: what was kept says another time than it.
    let boot = std::fs::read_to_string(BOOT_ID).unwrap();
    let kept = first.nought.duration_since(UNIX_EPOCH).unwrap().as_micros() + 600_000_000;
    std::fs::write(&file, format!("{} {kept}\n", boot.trim())).unwrap();
    let second = Clock::start(&file);
    assert!(second.now().duration_since(first.now()).unwrap() >= Duration::from_secs(599));
    for text in ["", "another 7", "7", &format!("{} x", boot.trim())] {
        std::fs::write(&file, text).unwrap();
        let anew = Clock::start(&file);
        assert!(second.nought.duration_since(anew.nought).unwrap() >= Duration::from_secs(599), "{text}");
    }
}

#[test]
fn a_door_that_is_shut_lets_nobody_more_in_and_drops_nobody_and_opens_at_once() {
    let mut world = World::of(2, 10);
    (0..2).for_each(|at| world.connect(at));
    let look = |world: &World| world.doors.figures.each.lock().unwrap()[&log("talk")];
    let want = |world: &World, is_shut, places: Option<u32>| {
        let places = places.map(|places| (log("talk"), places)).into_iter().collect();
        *world.doors.figures.wanted.lock().unwrap() = Wanted { is_shut, places };
    };
    want(&world, false, Some(40));
    world.go_on(20 * SECONDS);
    assert_eq!((look(&world).places, look(&world).inside, world.inside()), (40, 40, 40));
    want(&world, true, None);
    world.go_on(30 * SECONDS);
    assert_eq!((look(&world).places, world.inside()), (40, 40), "nobody more, and nobody less");
    want(&world, false, None);
    world.go_on(20 * SECONDS);
    let full = world.inside();
    assert!(full >= CONFIG.places - reserve(CONFIG.places), "{full}");
    want(&world, false, Some(40));
    world.go_on(20 * SECONDS);
    assert_eq!((look(&world).places, look(&world).inside), (40, world.inside()));
    assert!(world.inside() >= full, "nobody is dropped");
    (0..35).for_each(|_| (0..2).for_each(|at| world.workers[at].share.leave()));
    world.go_on(20 * SECONDS);
    assert_eq!(world.inside(), 40);
}

#[test]
fn a_worker_whose_process_is_over_is_gone_at_once_and_one_that_is_only_silent_is_not() {
    let mut world = World::of(2, 10);
    (0..2).for_each(|at| world.connect(at));
    let process = 7;
    let connection = world.workers[0].connection.unwrap();
    world.doors.hear(world.now, Report::Joined(connection, Some(process)));
    world.go_on(20 * SECONDS);
    assert_eq!(world.doors.lives.len(), 2);
    world.disconnect(0);
    world.doors.bury(world.now, |_| false);
    world.go_on(SECONDS);
    assert_eq!(world.doors.lives.len(), 2, "it may come back");
    world.doors.bury(world.now, |other| other == process);
    world.go_on(SECONDS);
    assert_eq!(world.doors.lives.len(), 1);
    assert!(!is_over(std::process::id() as i32) && is_over(i32::MAX));
}

/// The house has ended with its workers, and the next one finds what it had kept.
fn restarted(world: &World, spaces: &Path) -> World {
    let mut next = World::of(world.workers.len() as u64, 90);
    next.now = world.now;
    for (worker, before) in next.workers.iter_mut().zip(&world.workers) {
        worker.run = before.run + 100;
    }
    next.begin(spaces);
    if let Some(standing) = world.doors.doors[&log("talk")].allocator.standing() {
        kept::keep(spaces, log("talk"), Some(&standing)).unwrap();
    }
    (0..next.workers.len()).for_each(|at| next.connect(at));
    next
}

#[test]
fn after_a_restart_of_everything_whoever_was_inside_comes_before_others_and_no_crowd_is_drawn_again() {
    let folder = tempfile::tempdir().unwrap();
    let space = folder.path().join("talk");
    std::fs::create_dir_all(space.join(draws::FOLDER)).unwrap();
    let mut world = World::of(2, 90);
    world.begin(folder.path());
    (0..2).for_each(|at| world.connect(at));
    world.go_on(8 * SECONDS);
    let opening = |world: &World| world.doors.doors[&log("talk")].allocator.opening();
    assert_eq!((world.inside(), opening(&world)), (98, Some(0)));
    let mut next = restarted(&world, folder.path());
    // Who comes for the first time is let in wherever there is room.
    next.go_on(8 * SECONDS);
    assert_eq!((next.inside(), opening(&next)), (0, Some(1)), "their places are kept");
    let mut away = 98;
    for _ in 0..10 * SECONDS {
        for at in 0..2 {
            let (share, now) = (&mut next.workers[at].share, next.now);
            away -= (0..away).filter(|who| share.admit_back(now, Some(*who), true)).count() as u64;
        }
        next.go_on(1);
    }
    assert_eq!((away, next.inside()), (0, 98));
    // What is kept is lost, or of before that: what was drawn in public is not drawn again.
    for (drawn, is) in [(0, 1), (4, 5), (3, 5)] {
        std::fs::write(draws::record_path(&space, drawn), "").unwrap();
        let mut next = restarted(&world, folder.path());
        next.go_on(8 * SECONDS);
        assert_eq!(opening(&next), Some(is), "after {drawn}");
        std::fs::remove_file(space.join("crowd")).unwrap();
        let mut next = World::of(1, 9);
        next.begin(folder.path());
        next.connect(0);
        next.go_on(SECONDS);
        assert_eq!(opening(&next), Some(is), "after {drawn}, of which nothing is kept");
    }
}
