//! A door: the house's half is the real one, whose clock goes as fast as a test likes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hiwar_admission::door::allocator::Allocator;
use hiwar_admission::door::desk::{LATE, SPREAD, TALLY, Told, WINDOW};
use hiwar_admission::door::places::{KEPT, Report};
use hiwar_admission::door::record::{DrawRecord, List, list_name};
use hiwar_admission::door::ticket::{Class, Known, Ticket};
use hiwar_admission::door::timetable::Stays;
use hiwar_admission::door::wire::{self, Heard, Said, Spoken};
use hiwar_admission::{CrowdKeys, Scope};
use hiwar_delivery::http::{Access, DoorMap, Update, Way};

use crate::rig::{Client, RUN, Rig, id};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct House {
    pub(crate) rig: Rig,
    now: SystemTime,
    number: u64,
    allocator: Allocator,
}

impl House {
    pub(crate) fn new(cap: u32) -> Self {
        Self::on(Rig::new(), cap)
    }

    /// At that worker.
    pub(crate) fn on(rig: Rig, cap: u32) -> Self {
        rig.open_with_door("demo", Access::Open);
        rig.chunks("demo", 0..5);
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let allocator = Allocator::new(now, cap, 1_000, Stays::default(), []);
        let mut house = Self { rig, now: now + KEPT, number: 1, allocator };
        house.second();
        // Nothing is given to a worker that has not heard the word.
        house.until("the word", |heard| heard.told.report.wanted > 0);
        (0..2).for_each(|_| house.second());
        house
    }

    /// What the worker has told last.
    fn told(&self) -> Option<Heard> {
        let doors = self.rig.handle.doors();
        doors.into_iter().find(|(log, _)| *log == id("demo")).and_then(|(_, heard)| wire::decode_heard(&heard))
    }

    /// Waits until the worker has told this.
    fn until(&self, what: &str, is_so: impl Fn(&Heard) -> bool) {
        self.rig.until(what, |_| self.told().is_some_and(|heard| is_so(&heard)));
    }

    /// The worker tells, and hears a word and what it gets.
    fn second(&mut self) {
        self.now += SECOND;
        self.until("anything", |_| true);
        let heard = self.told().expect("something");
        let grant = self.allocator.hear(self.now, RUN, heard.told);
        if let Some(tally) = heard.tally {
            self.allocator.hear_tally(RUN, heard.told.opening, tally);
        }
        self.allocator.hear_promises(RUN, heard.promises);
        let word = Spoken::of(self.allocator.tick(self.now));
        let grants: Vec<_> = grant.map(|grant| (RUN, grant)).into_iter().collect();
        let seen = grant.map(|grant| grant.number);
        self.rig
            .handle
            .push(Update::Door { log: id("demo"), said: Said { house: self.number, now: self.now, word, grants } });
        self.until("the grant", |heard| seen.is_none_or(|seen| heard.told.report.seen == seen));
        self.rig.taken();
    }

    /// So long passes.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = (self.now + Duration::from_secs(9)).min(until);
            self.second();
        }
    }

    fn inside(&self, count: u32) {
        self.until("so many inside", |heard| heard.told.report.inside == count);
    }

    /// So many are inside, and the worker hears that there is no place anywhere.
    pub(crate) fn is_full(&mut self, count: u32) {
        self.inside(count);
        self.second();
    }

    /// Asks to listen; the head of the answer, and the connection.
    fn listen(&self, query: &str) -> (String, Client) {
        let mut client = self.rig.client();
        client.say(&format!("GET /listen/demo.mp4{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
        (client.hear_until("\r\n\r\n"), client)
    }

    /// Where the player of a page without scripts is sent that was sent on so often; `None`: it is told to wait.
    fn sent_on(&self, ticket: &str, hops: u32) -> Option<String> {
        let target = format!("/listen/demo.mp4?t={ticket}&hop={hops}");
        let head = self.rig.ask(&format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let next = field(&head.head, "Location");
        assert!(head.head.starts_with(if next.is_some() { "HTTP/1.1 307 " } else { "HTTP/1.1 503 " }), "{}", head.head);
        next
    }

    /// Somebody who is let in, and by which place.
    pub(crate) fn enters(&self, query: &str) -> (String, Client) {
        let (head, client) = self.listen(query);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        (field(&head, "Hiwar-Place").expect("a place"), client)
    }

    /// Of the draw that was made first.
    fn record(&self) -> DrawRecord {
        let drawn = self.allocator.drawn().expect("a draw");
        let folder = self.rig.folder.path();
        let list = || std::fs::read(folder.join(list_name(0, RUN))).map(|bytes| List::read(&bytes)).unwrap_or_default();
        self.rig.until("the whole list", |_| list().is_ended());
        let secret = DoorMap::open_or_make(&folder.join("demo.door")).expect("the door").secret(0);
        let mut record = DrawRecord {
            space: Scope::parse("demo").expect("a scope"),
            opening: drawn.opening,
            commitment: secret.commitment(),
            secret: secret.reveal(),
            workers: drawn.workers,
            tally: drawn.tally,
            table: drawn.table,
            counted: Vec::new(),
            uncounted: Vec::new(),
        };
        record.list([(RUN, &list())]);
        record
    }

    /// Somebody who has to wait: their ticket, for how long, and for what.
    fn waits(&self, query: &str) -> (String, Duration, String) {
        let answer =
            self.rig.ask(&format!("GET /listen/demo.mp4{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(answer.head.starts_with("HTTP/1.1 503 "), "{}", answer.head);
        let body = answer.body;
        let value = |name: &str| {
            let rest = body.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name} in {body}")).1;
            rest.split(['"', ',', '}']).find(|part| !part.is_empty()).expect("a value").to_owned()
        };
        let wait = Duration::from_millis(value("wait_ms").parse().expect("a number"));
        assert!(answer.head.contains(&format!("Retry-After: {}\r\n", wait.as_millis().div_ceil(1_000))));
        (value("ticket"), wait, value("stage"))
    }
}

fn field(head: &str, name: &str) -> Option<String> {
    let rest = head.split_once(&format!("\r\n{name}: "))?.1;
    rest.split_once("\r\n").map(|(value, _)| value.to_owned())
}

#[test]
fn no_more_listen_than_there_are_places_and_the_next_one_is_told_when() {
    let mut house = House::new(2);
    let (_one, _other) = (house.enters(""), house.enters("?t="));
    house.inside(2);
    // Nobody has said yet that others have none either.
    assert_eq!(house.waits("?t=").2, "soon");
    house.second();
    let (ticket, wait, stage) = house.waits("?t=");
    assert!(stage == "draw" && wait > WINDOW - SECOND && wait < WINDOW + TALLY + SPREAD, "{stage} {wait:?}");
    assert_eq!(ticket.len(), 72);
    // Too soon: the same place.
    let (same, sooner, _) = house.waits(&format!("?t={ticket}"));
    assert!(same == ticket && sooner <= wait);
    house.second();
    house.wait(wait);
    let (place, _, stage) = house.waits(&format!("?t={ticket}"));
    assert!(place != ticket && stage != "draw", "{stage}");
    // Whoever did not get the answer asks again, and is told the same.
    let (other, _, again) = house.waits(&format!("?t={ticket}"));
    assert!(other != ticket && again == stage);
}

#[test]
fn whoever_was_drawn_is_on_the_workers_list_and_draws_again_what_was_drawn() {
    let mut house = House::new(1);
    let _inside = house.enters("");
    house.is_full(1);
    let (ticket, wait, _) = house.waits("?t=");
    // Asking again is no other ticket; asking as somebody new is.
    let _ = house.waits(&format!("?t={ticket}"));
    let others = [(); 4].map(|()| house.waits("?t=").0);
    house.second();
    house.wait(wait);
    let record = house.record();
    assert_eq!((record.opening, &record.workers[..], record.tally.total()), (0, &[(RUN, 5)][..], 5));
    let check = record.check();
    assert!(check.faults.is_empty() && (check.listed, check.uncounted, check.networks) == (5, 0, 1), "{check:?}");
    let places = std::iter::once(&ticket).chain(&others).map(|text| {
        let ticket = Ticket::unchecked(text.as_bytes()).expect("a ticket");
        let [entry] = record.find(&ticket)[..] else { panic!("{ticket:?} is listed once") };
        record.place(&entry).0
    });
    let places: Vec<_> = places.collect();
    assert!(places.is_sorted() && places[4] < 5, "whoever takes more has no better place by them: {places:?}");
}

#[test]
fn whoever_is_vouched_for_is_drawn_among_their_like_and_a_bad_voucher_is_as_none() {
    let mut house = House::new(1);
    let _inside = house.enters("");
    house.is_full(1);
    // Whoever signs people in has the keys that the worker has.
    let issuer = CrowdKeys::new(&[7; 32].into(), [7; 32]).voucher.now;
    let other = CrowdKeys::new(&[8; 32].into(), [8; 32]).voucher.now;
    let (demo, elsewhere) = (Scope::parse("demo").expect("a scope"), Scope::parse("other").expect("a scope"));
    let soon = SystemTime::now() + Duration::from_secs(600);
    let follower = issuer.issue(&demo, Known::Follower, b"amal", soon);
    let earlier = issuer.issue(&demo, Known::Earlier, b"basim", soon);
    let class = |text: &str| Ticket::unchecked(text.as_bytes()).expect("a ticket").class;
    let mut theirs = Vec::new();
    for (voucher, of) in [
        (&follower, Class::Follower),
        (&earlier, Class::Earlier),
        (&other.issue(&demo, Known::Follower, b"amal", soon), Class::Anybody),
        (&issuer.issue(&elsewhere, Known::Follower, b"amal", soon), Class::Anybody),
        (&issuer.issue(&demo, Known::Follower, b"amal", SystemTime::now()), Class::Anybody),
        (&"nonsense".to_owned(), Class::Anybody),
    ] {
        let (ticket, ..) = house.waits(&format!("?t=&voucher={voucher}"));
        assert_eq!(class(&ticket), of, "{voucher}");
        theirs.push(ticket);
    }
    // A player, which goes where it is sent with all that it showed; and then whoever else shows it.
    for of in [Class::Follower, Class::Anybody] {
        let (head, _) = house.listen(&format!("?voucher={follower}"));
        let location = field(&head, "Location").unwrap_or_else(|| panic!("{head}"));
        let ticket = location.strip_prefix(&format!("/listen/demo.mp4?voucher={follower}&ticket="));
        let ticket = ticket.unwrap_or_else(|| panic!("{location}"));
        assert_eq!(class(ticket), of);
        theirs.push(ticket.to_owned());
    }
    house.second();
    house.wait(WINDOW + TALLY + SPREAD);
    let record = house.record();
    let check = record.check();
    assert_eq!((check.faults, check.drawn, check.vouched), (vec![], 8, [2, 1]));
    for text in &theirs {
        let ticket = Ticket::unchecked(text.as_bytes()).expect("a ticket");
        assert_eq!(record.find(&ticket).len(), 1, "{ticket:?}");
        let (told, ..) = house.waits(&format!("?t={text}"));
        assert_eq!(class(&told), class(text), "it stays theirs");
    }
}

#[test]
fn a_place_that_is_free_is_taken_when_it_was_promised() {
    let mut house = House::new(1);
    let (_, first) = house.enters("");
    house.is_full(1);
    let (ticket, wait, _) = house.waits("?t=");
    drop(first);
    house.rig.until("nobody listens", |rig| rig.listening("demo") == 0);
    house.second();
    house.wait(wait);
    let (mut ticket, mut stage) = (ticket, String::new());
    for _ in 0..100 {
        let (head, _client) = house.listen(&format!("?t={ticket}"));
        if head.starts_with("HTTP/1.1 200 ") {
            return;
        }
        let told = house.waits(&format!("?t={ticket}"));
        (ticket, stage) = (told.0, told.2);
        house.wait(told.1.min(LATE / 2));
    }
    panic!("nobody was let in: {stage}");
}

#[test]
fn whoever_was_inside_comes_back_though_others_wait_and_is_one_listener() {
    let mut house = House::new(1);
    let (place, mut first) = house.enters("");
    house.is_full(1);
    let (_, _, stage) = house.waits("?t=");
    assert_eq!(stage, "draw");
    // The newest wins.
    let (again, second) = house.enters(&format!("?t={place}"));
    assert_eq!(first.rest(), "init-mp4;m2;m3;m4;", "the first connection ends");
    house.rig.until("one listener", |rig| rig.listening("demo") == 1);
    house.inside(1);
    drop(second);
    house.rig.until("nobody listens", |rig| rig.listening("demo") == 0);
    house.until("the place is kept", |heard| heard.told.report.inside == 1);
    let (_, third) = house.enters(&format!("?t={again}"));
    // And at the very moment at which the line breaks: before the worker has taken note that they are gone.
    drop(third);
    let (_, _fourth) = house.enters(&format!("?t={again}"));
    house.rig.until("one listener", |rig| rig.listening("demo") == 1);
    house.wait(2 * KEPT);
    house.inside(1);
    assert_eq!(house.waits("?t=").2, "draw", "its place is nobody else's");
}

#[test]
fn whoever_has_just_gone_when_everybody_has_to_come_again_keeps_no_place_for_ever() {
    let mut house = House::new(1);
    let (_, client) = house.enters("");
    house.is_full(1);
    drop(client);
    // The worker has noticed, and its door has not yet.
    house.rig.until("nobody listens", |rig| rig.listening("demo") == 0);
    house.rig.open_with_fewer("demo", Access::Open);
    house.rig.taken();
    house.wait(2 * KEPT);
    house.inside(0);
}

#[test]
fn a_player_is_sent_to_its_ticket_and_told_there_when_to_come_back() {
    let mut house = House::new(1);
    let _inside = house.enters("");
    house.is_full(1);
    let (head, _) = house.listen("");
    assert!(head.starts_with("HTTP/1.1 307 "), "{head}");
    let location = field(&head, "Location").expect("a location");
    let query = location.strip_prefix("/listen/demo.mp4").expect("the same path").to_owned();
    assert!(query.starts_with("?ticket="), "{location}");
    let (ticket, wait, _) = house.waits(&query);
    assert_eq!(format!("?ticket={ticket}"), query);
    house.second();
    house.wait(wait);
    // It is drawn, and its place has another address.
    let (head, _) = house.listen(&query);
    let location = field(&head, "Location").unwrap_or_else(|| panic!("{head}"));
    let next = location.strip_prefix("/listen/demo.mp4").expect("the same path");
    assert_ne!(next, query);
    house.waits(next);
}

#[test]
fn tickets_that_are_not_ours_are_none() {
    let mut house = House::new(1);
    let _inside = house.enters("");
    house.is_full(1);
    let (ticket, ..) = house.waits("?t=");
    let last = if ticket.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{last}", &ticket[..71]);
    for shown in [&forged[..], &ticket[..40], "x", "%00", &"A".repeat(3_000)] {
        let (given, _, stage) = house.waits(&format!("?t={shown}"));
        assert!(given != shown && stage == "draw", "{shown}");
    }
    // Another space's.
    house.rig.open_with_door("other", Access::Open);
    house.rig.taken();
    let text = format!("GET /listen/other.mp4?t={ticket} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let body = house.rig.ask(&text).body;
    assert!(body.contains("\"stage\":\"soon\"") && !body.contains(&ticket), "its house has not spoken: {body}");
}

#[test]
fn what_an_older_door_of_the_space_gave_is_no_ticket_of_the_next() {
    let house = House::new(1);
    let (place, _inside) = house.enters("");
    house.inside(1);
    // Nobody with a place of the last one has one here: `soon`, as whoever comes before its house has spoken, and not as somebody who was inside.
    let again = |fresh: bool| {
        house.rig.handle.push(Update::Closed { log: id("demo") });
        if fresh {
            std::fs::remove_file(house.rig.door_file("demo")).expect("the file");
        }
        house.rig.open_with_door("demo", Access::Open);
        house.rig.taken();
        let (ticket, _, stage) = house.waits(&format!("?t={place}"));
        assert_eq!(stage, "soon");
        // The first four characters say for whom it is.
        ticket[..4] == place[..4]
    };
    assert!(again(false), "the same door knows its own");
    assert!(!again(true), "the next begins anew");
}

#[test]
fn where_there_can_be_no_door_nobody_listens() {
    let rig = Rig::new();
    rig.open_to("demo", Access::Open, Way::Shut);
    rig.chunks("demo", 0..5);
    for path in ["/listen/demo.mp4", "/listen/demo.ogg?t=", "/s/demo/wait"] {
        let head = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).head;
        assert!(head.starts_with("HTTP/1.1 503 "), "{path}: {head}");
    }
    rig.open_with_door("demo", Access::Open);
    rig.taken();
    let head = rig.ask("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").head;
    assert!(head.starts_with("HTTP/1.1 307 "), "with one there are tickets: {head}");
}

#[test]
fn without_javascript_a_page_comes_back_by_itself() {
    let mut house = House::new(1);
    let page = |house: &House, query: &str| {
        let text =
            format!("GET /s/demo/wait{query} HTTP/1.1\r\nHost: a\r\nAccept-Language: ar\r\nConnection: close\r\n\r\n");
        let answer = house.rig.ask(&text);
        (answer.head, answer.body)
    };
    // There is room: whoever looks at the page takes nobody's place, but the player in it does.
    let (head, body) = page(&house, "");
    assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("Refresh"), "{head}");
    let source = body.split_once("src=\"/listen/demo.mp3").expect("a player").1;
    let query = source.split_once('"').expect("its end").0.replace("&amp;", "&");
    house.inside(0);
    let _inside = house.enters(&query);
    house.is_full(1);
    let (head, body) = page(&house, "");
    let refresh = field(&head, "Refresh").expect("it comes back");
    let (seconds, address) = refresh.split_once("; url=/s/demo/wait").expect("itself");
    assert!(body.contains("lang=\"ar\" dir=\"rtl\""), "{body}");
    let wait = Duration::from_secs(seconds.parse().expect("seconds"));
    assert!(wait > WINDOW - SECOND, "{wait:?}");
    house.second();
    house.wait(wait);
    let (head, _) = page(&house, address);
    assert_ne!(field(&head, "Refresh"), Some(refresh), "drawn, with another ticket");
}

#[test]
fn without_javascript_a_player_is_sent_on_while_another_worker_has_a_place() {
    let mut house = House::new(1);
    let told = Told { house: 1, report: Report { wanted: 1, ..Report::default() }, ..Told::default() };
    let _inside = house.enters("");
    house.inside(1);
    // There is another place now, and the other worker has it.
    house.allocator.set_cap(2);
    house.allocator.hear(house.now, 99, told);
    house.second();
    for hops in [0, 7] {
        assert_eq!(house.sent_on("", hops), Some(format!("/listen/demo.mp4?t=&hop={}", hops + 1)));
    }
    assert_eq!(house.sent_on("", 8), None, "often enough");
}

#[test]
fn without_javascript_a_player_whose_time_has_come_is_sent_on_only_if_another_worker_may_have_a_place_for_it() {
    let mut house = House::new(20);
    let told = Told { house: 1, report: Report { wanted: 1, ..Report::default() }, ..Told::default() };
    let (was_inside, client) = house.enters("");
    drop(client);
    house.rig.until("nobody listens", |rig| rig.listening("demo") == 0);
    house.wait(2 * KEPT);
    let _inside: Vec<_> = (0..20).map(|_| (house.second(), house.enters(""))).collect();
    house.is_full(20);
    let mut waits = house.waits("?t=");
    for _ in 0..100 {
        if waits.2 == "soon" {
            break;
        }
        house.wait(waits.1.min(LATE / 2));
        waits = house.waits(&format!("?t={}", waits.0));
    }
    let (ticket, _, stage) = waits;
    assert_eq!(stage, "soon");
    assert_eq!(house.sent_on(&ticket, 0), None, "nobody has one");
    // Theirs may be kept at another.
    assert!(house.sent_on(&was_inside, 0).is_some_and(|next| next.ends_with("&hop=1")));
    assert_eq!(house.sent_on(&was_inside, 8), None, "often enough");
    house.allocator.set_cap(21);
    house.allocator.hear(house.now, 99, told);
    house.second();
    assert!(house.sent_on(&ticket, 0).is_some());
}

#[test]
fn without_a_door_the_waiting_page_plays() {
    let rig = Rig::new();
    rig.open("demo", Access::Open);
    rig.taken();
    let body = rig.ask("GET /s/demo/wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body;
    assert!(body.contains("src=\"/listen/demo.mp3?hop=0\""));
    let (there, not) = ("/s/demo/wait", "/s/nothing/wait");
    for (path, status) in [(there, "200"), (not, "404")] {
        let head = rig.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).head;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

/// It could not keep its clock, and goes by the wall's, which was set back meanwhile.
#[test]
fn a_house_whose_clock_is_behind_that_of_the_one_before_it_lets_people_in() {
    let mut house = House::new(3);
    let _inside = house.enters("");
    house.inside(1);
    for behind in [10, 4_000] {
        house.now -= Duration::from_secs(behind);
        house.number += 1;
        house.allocator = Allocator::new(house.now - KEPT, 3, 1_000, Stays::default(), [RUN]);
        (0..3).for_each(|_| house.second());
        let _in = house.enters("");
        house.inside(2);
        drop(_in);
        house.rig.until("they are gone", |rig| rig.handle.stats().connections == 1);
        // Nor is a place kept for longer by the other clock. (The worker may take note of them some steps later.)
        house.wait(2 * KEPT);
        house.inside(1);
    }
    // And what an older one had said still is nothing.
    let (older, word) = (house.number - 1, None);
    let ahead = house.now + KEPT;
    house
        .rig
        .handle
        .push(Update::Door { log: id("demo"), said: Said { house: older, now: ahead, word, grants: Vec::new() } });
    house.rig.taken();
    let _in = house.enters("");
}

#[test]
fn while_no_house_speaks_nobody_is_let_in_and_nobody_is_lost() {
    let mut house = House::new(3);
    let _inside = house.enters("");
    house.inside(1);
    // Its word is over.
    let later = house.now + KEPT;
    house
        .rig
        .handle
        .push(Update::Door { log: id("demo"), said: Said { house: 1, now: later, word: None, grants: Vec::new() } });
    house.rig.taken();
    let (ticket, wait, stage) = house.waits("?t=");
    assert!(stage == "soon" && wait <= Duration::from_secs(30), "{stage} {wait:?}");
    assert_eq!(house.rig.listening("demo"), 1);
    assert_eq!(house.sent_on("", 0), None, "nobody else would let it in");
    house.now = later + wait;
    house.second();
    house.second();
    house.enters(&format!("?t={ticket}"));
}
