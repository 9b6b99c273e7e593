//! Reactions by real sockets: every one is counted, nobody has more than their share, and the sound does not notice.

use std::time::{Duration, SystemTime};

use hiwar_admission::reaction::Reaction;
use hiwar_admission::{Listen, ListenKey, PassId, Scope};
use hiwar_delivery::http::{Access, Update};

use crate::audience::badge;
use crate::rig::{Client, Rig, WAIT, chunk, id};

fn rig(access: Access) -> Rig {
    let rig = Rig::new();
    rig.open("demo", access);
    rig.chunks("demo", 0..20);
    rig
}

/// A request of whoever those fields make of them; the connection stays.
fn react(kind: &str, fields: &str) -> String {
    format!("POST /react/demo/{kind} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n{fields}\r\n")
}

/// What shows that somebody is somebody else than all others at this address.
fn pass(number: u64) -> String {
    let expires = SystemTime::now() + Duration::from_secs(600);
    let pass = Listen { id: PassId(number.to_le_bytes()), scope: Scope::parse("demo").unwrap(), expires };
    format!("Authorization: Bearer {}\r\n", ListenKey::from_bytes([7; 32]).sign(&pass))
}

fn totals(rig: &Rig) -> [u64; 5] {
    // Also what was told before.
    rig.handle.retell();
    rig.handle.reactions(usize::MAX).first().map_or([0; 5], |reactions| reactions.totals)
}

/// Says all of it in one breath, and gives the statuses of what comes back until the worker closes.
fn statuses(client: &mut Client, requests: &[String]) -> Vec<u16> {
    let last = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    client.say(&(requests.concat() + last));
    let all = client.rest();
    let mut statuses: Vec<u16> = all.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].parse().unwrap()).collect();
    assert_eq!(statuses.pop(), Some(200), "the last answer is that of /healthz");
    statuses
}

#[test]
fn ten_thousand_at_once_are_counted_to_the_last_and_nobody_misses_a_chunk() {
    const CONNECTIONS: u64 = 50;
    const EACH: u64 = 200;
    let rig = rig(Access::Open);
    let mut ear = rig.client();
    ear.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    ear.hear_until("m19;");
    let crowd = std::thread::scope(|scope| {
        let press = |connection: u64| {
            let mut client = rig.client();
            let requests: Vec<String> = (0..EACH)
                .map(|press| {
                    let kind = Reaction::ALL[(press % 5) as usize].name();
                    react(kind, &pass(connection * EACH + press))
                })
                .collect();
            statuses(&mut client, &requests)
        };
        let crowd: Vec<_> = (0..CONNECTIONS).map(|connection| scope.spawn(move || press(connection))).collect();
        for position in 20..60 {
            rig.handle.push(Update::Chunk { log: id("demo"), record: chunk(position, 0) });
            let heard = ear.hear_until(&format!("m{position};"));
            assert_eq!(heard, format!("m{position};"), "each comes, and alone");
        }
        crowd.into_iter().flat_map(|one| one.join().unwrap()).collect::<Vec<u16>>()
    });
    assert_eq!(crowd, vec![204; (CONNECTIONS * EACH) as usize]);
    assert_eq!(totals(&rig), [CONNECTIONS * EACH / 5; 5]);
    let stats = rig.handle.stats();
    assert_eq!((stats.skipped_total, stats.cut_total, stats.refused_total), (0, 0, 0));
}

#[test]
fn one_person_has_five_at_once_whatever_they_press_and_how_often_they_connect() {
    let rig = rig(Access::Open);
    let requests = ["heart", "heart", "wow", "laugh", "heart", "heart", "agree"].map(|kind| react(kind, ""));
    assert_eq!(statuses(&mut rig.client(), &requests), [204, 204, 204, 204, 204, 429, 429]);
    let refused = rig.ask(&react("heart", "Accept-Language: ar\r\nConnection: close\r\n"));
    assert_eq!(refused.status, 429);
    assert!(refused.has("Retry-After: 1") && refused.has("Content-Type: application/problem+json"), "{refused:?}");
    assert!(refused.body.contains("/problems/too-often") && refused.body.contains("\"lang\":\"ar\""), "{refused:?}");
    assert_eq!(statuses(&mut rig.client(), &[react("heart", &pass(1))]), [204], "somebody else has theirs");
    assert_eq!(totals(&rig), [4, 0, 1, 1, 0]);
}

#[test]
fn what_was_told_is_told_again_only_when_there_is_more() {
    let rig = rig(Access::Open);
    assert_eq!(rig.handle.reactions(usize::MAX), []);
    assert_eq!(statuses(&mut rig.client(), &[react("heart", "")]), [204]);
    assert_eq!(rig.handle.reactions(0), [], "no room for any");
    let told = rig.handle.reactions(usize::MAX);
    assert_eq!((told[0].log, told[0].before, told[0].totals), (id("demo"), [0; 5], [1, 0, 0, 0, 0]));
    assert_eq!(rig.handle.reactions(usize::MAX), []);
    rig.handle.retell();
    let told = rig.handle.reactions(usize::MAX);
    assert_eq!((told[0].before, told[0].totals), ([1, 0, 0, 0, 0], [1, 0, 0, 0, 0]));
}

#[test]
fn who_may_not_hear_may_not_react_and_who_is_rehearsed_is_in_no_number() {
    let rig = rig(Access::Pass);
    let requests = [react("heart", ""), react("heart", "Authorization: Bearer x\r\n"), react("heart", &pass(1))];
    assert_eq!(statuses(&mut rig.client(), &requests), [401, 401, 204]);
    let rehearsed = pass(2) + &badge(Duration::from_secs(60));
    assert_eq!(statuses(&mut rig.client(), &[react("heart", &rehearsed)]), [204]);
    assert_eq!(totals(&rig), [1, 0, 0, 0, 0]);
    rig.handle.push(Update::Ended { log: id("demo") });
    rig.taken();
    assert_eq!(statuses(&mut rig.client(), &[react("heart", &pass(3))]), [410]);
}

#[test]
fn a_body_that_nobody_asked_for_is_not_taken_for_the_next_request() {
    let rig = rig(Access::Open);
    let answer = rig.ask("POST /react/demo/heart HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nGET / HTT");
    assert_eq!((answer.status, answer.has("Connection: close"), &*answer.body), (204, true, ""));
    assert_eq!(totals(&rig), [1, 0, 0, 0, 0]);
}

#[test]
fn when_sound_must_be_lean_nobody_reacts() {
    let rig = rig(Access::Open);
    let mut ear = rig.client();
    ear.say("GET /listen/demo.mp4 HTTP/1.1\r\nHost: a\r\n\r\n");
    ear.hear_until("m19;");
    rig.handle.push(Update::Egress(Some(1)));
    let begin = std::time::Instant::now();
    for position in 20.. {
        rig.chunks("demo", position..position + 1);
        ear.hear_until(&format!("m{position};"));
        if rig.handle.stats().stance.is_quiet {
            break;
        }
        assert!(begin.elapsed() < WAIT, "{:?}", rig.handle.stats());
    }
    let refused = rig.ask(&react("heart", "Connection: close\r\n"));
    assert_eq!((refused.status, refused.has("Retry-After: 30")), (503, true), "{refused:?}");
    assert!(refused.body.contains("/problems/no-reactions"), "{refused:?}");
    assert_eq!(totals(&rig), [0; 5]);
}
