use super::*;
use crate::tail::tests::{chunk, header, lean, tail};
use crate::tail::{Access, Notices};
use hiwar_segment_log::Epoch;
use proptest::prelude::*;

/// Writes up to `room` bytes into `heard`.
fn write(cursor: &mut Cursor, tail: &Tail, room: usize, heard: &mut Vec<u8>) {
    write_at(Bitrate::Standard, cursor, tail, room, heard);
}

fn write_at(bitrate: Bitrate, cursor: &mut Cursor, tail: &Tail, room: usize, heard: &mut Vec<u8>) {
    let form = Form { rendition: 0, bitrate };
    let mut slices = [&[][..]; GATHER_MAX];
    let filled = cursor.gather(tail, form, u64::MAX, &mut slices);
    let offered = slices[..filled].concat();
    let written = room.min(offered.len());
    heard.extend_from_slice(&offered[..written]);
    cursor.advance(tail, form, written);
}

#[test]
fn whoever_joins_before_the_first_chunk_waits_for_it() {
    let mut tail = tail(0..0);
    let mut cursor = Cursor::new(Bytes::from_static(b"head;"), tail.burst_from(3, 0), Reader::Streaming);
    let mut heard = Vec::new();
    write(&mut cursor, &tail, 100, &mut heard);
    assert_eq!(cursor.owed(&tail), Owed::Nothing);
    tail.push(&chunk(0, 1));
    assert_eq!(cursor.owed(&tail), Owed::Something);
    write(&mut cursor, &tail, 100, &mut heard);
    assert_eq!(heard, b"head;m0;");
}

#[test]
fn a_log_that_began_elsewhere_is_joined_at_its_first_chunk_here() {
    let mut tail = Tail::new(Access::Open, header(), Epoch(1));
    let mut cursor = Cursor::new(Bytes::new(), tail.burst_from(3, 0), Reader::Streaming);
    tail.push(&chunk(7_000, 1));
    let mut heard = Vec::new();
    write(&mut cursor, &tail, 100, &mut heard);
    assert_eq!(heard, b"m7000;");
}

#[test]
fn the_end_is_heard_before_goodbye() {
    let mut tail = tail(0..3);
    let mut cursor = Cursor::new(Bytes::new(), 1, Reader::Streaming);
    tail.end();
    assert_eq!(cursor.owed(&tail), Owed::Something);
    write(&mut cursor, &tail, 100, &mut Vec::new());
    assert_eq!(cursor.owed(&tail), Owed::Goodbye);
}

#[test]
fn a_notice_stands_between_whole_chunks_and_only_for_who_has_them_all() {
    let mut tail = tail(0..2);
    let notice = Bytes::from_static(b"away;");
    assert_eq!(tail.notice(0), None);
    let notices = Notices { away: notice.clone(), cadences: Vec::new() };
    tail.attend(vec![notices, Notices::default()], Vec::new());
    assert_eq!(tail.notice(0), None, "it is here");
    assert!(tail.lose() && !tail.lose());
    assert_eq!((tail.notice(0), tail.notice(1), tail.notice(2)), (Some(&notice), None, None));
    let (mut done, mut behind) =
        (Cursor::new(Bytes::new(), 2, Reader::Streaming), Cursor::new(Bytes::new(), 0, Reader::Streaming));
    let (mut by_done, mut by_behind) = (Vec::new(), Vec::new());
    write(&mut behind, &tail, 2, &mut by_behind);
    for cursor in [&mut done, &mut behind] {
        cursor.tell(&notice);
    }
    write(&mut done, &tail, 3, &mut by_done);
    tail.attend(Vec::new(), Vec::new());
    tail.push(&chunk(2, 2));
    for (cursor, heard) in [(&mut done, &mut by_done), (&mut behind, &mut by_behind)] {
        write(cursor, &tail, 100, heard);
    }
    assert_eq!((&*by_done, &*by_behind), (&b"away;m2;"[..], &b"m0;m1;m2;"[..]));
    tail.end();
    assert!(!tail.lose(), "nothing was to come");
}

#[test]
fn who_stops_reading_is_skipped_once_at_a_chunk_boundary_and_then_cut() {
    let mut tail = tail(0..1);
    let mut cursor = Cursor::new(Bytes::new(), 0, Reader::Streaming);
    let mut heard = Vec::new();
    write(&mut cursor, &tail, 1, &mut heard);
    let mut judgements = Vec::new();
    for position in 1..60 {
        tail.push(&chunk(position, 1));
        match cursor.judge(&tail, Cadence::Ms200) {
            Judgement::Keep => {}
            other => judgements.push((position, other)),
        }
        if judgements.len() == 1 && position == 27 {
            write(&mut cursor, &tail, 4, &mut heard);
        }
        if judgements.len() == 2 {
            break;
        }
    }
    assert_eq!(judgements, [(25, Judgement::Skipped), (50, Judgement::Cut)]);
    assert_eq!(heard, b"m0;m2", "the chunk that was begun is finished; the next one heard is the newest at the skip");
}

/// Whoever is visited until the sweep is over.
fn visits(group: &mut Group) -> Vec<u32> {
    std::iter::from_fn(|| group.visit()).map(|visit| visit.connection).collect()
}

#[test]
fn a_listener_has_heard_something_when_a_whole_chunk_is_with_the_kernel_and_it_is_still_there() {
    let tail = tail(0..2);
    let check = |rooms: &[usize], has_heard| {
        let mut cursor = Cursor::new(Bytes::from_static(b"head;"), 0, Reader::Streaming);
        rooms.iter().for_each(|room| write(&mut cursor, &tail, *room, &mut Vec::new()));
        assert!(!cursor.has_heard());
        cursor.confirm();
        assert_eq!(cursor.has_heard(), has_heard, "{rooms:?}");
    };
    check(&[], false);
    check(&[5], false);
    check(&[7], false);
    check(&[8], true);
    check(&[3, 3, 1], false);
    check(&[3, 3, 1, 1], true);
    check(&[3, 3, 100], true);
}

#[test]
fn a_notice_is_no_sound() {
    let tail = tail(0..0);
    let mut cursor = Cursor::new(Bytes::from_static(b"head;"), 0, Reader::Streaming);
    write(&mut cursor, &tail, 5, &mut Vec::new());
    cursor.tell(&Bytes::from_static(b"away;"));
    write(&mut cursor, &tail, 5, &mut Vec::new());
    assert!(!cursor.was_given());
    let whole = Piece { from: 0, until: 1, bitrate: Bitrate::Standard, bytes: Bytes::from_static(b"m0;") };
    cursor.took(&whole, 2);
    assert!(!cursor.was_given());
    write(&mut cursor, &tail, 1, &mut Vec::new());
    assert!(cursor.was_given());
}

#[test]
fn who_takes_nothing_for_two_seconds_has_stopped_until_it_takes_something() {
    for cadence in Cadence::ALL {
        let mut reading = Reading::default();
        let missed = (1..100).find(|_| reading.missed(cadence)).expect("an end");
        let chunks = (missed - 1) * cadence.chunks();
        assert!((STOPPED_CHUNKS..STOPPED_CHUNKS + cadence.chunks()).contains(&chunks), "{cadence:?}: {chunks}");
        assert!(!reading.goes_on() && !reading.missed(cadence), "it is taken out once");
        assert!(reading.took() && reading.goes_on() && !reading.took());
        assert!(!reading.missed(cadence), "and from the beginning");
    }
}

#[test]
fn a_sweep_visits_everyone_though_members_leave_on_the_way() {
    let mut group = Group::default();
    let seats: Vec<Seat> = (0..10).map(|n| group.join(n, Cadence::Ms200)).collect();
    assert!(group.due(0));
    let mut visited = vec![group.visit().unwrap().connection, group.visit().unwrap().connection];
    assert_eq!(group.leave(seats[3]), Some(9));
    assert_eq!(group.leave(seats[8]), None);
    visited.extend(visits(&mut group));
    visited.sort_unstable();
    visited.dedup();
    assert_eq!(visited, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_chunk_during_a_sweep_begins_another() {
    let mut group = Group::default();
    (0..3).for_each(|n| {
        let _: Seat = group.join(n, Cadence::Ms200);
    });
    assert!(group.due(0));
    group.visit();
    assert!(!group.due(1), "already queued");
    assert_eq!(visits(&mut group).len(), 5);
    assert!(group.due(2));
}

#[test]
fn at_a_longer_cadence_everyone_has_a_turn_once_in_it_and_turns_are_spread() {
    for cadence in Cadence::ALL {
        let mut group = Group::default();
        (0..60).for_each(|n| {
            let _: Seat = group.join(n, cadence);
        });
        let chunks = cadence.chunks();
        for position in 0..3 * chunks as u64 {
            group.due(position);
            let visited = visits(&mut group);
            assert_eq!(visited.len(), 60 / chunks, "{cadence:?}");
        }
        assert_eq!(group.at(cadence), 60);
    }
}

#[test]
fn everyone_is_told_once_though_chunks_come_all_the_time() {
    // Before a sweep, at any place in it, and when one more is due after it.
    for visited_before in 0..=50 {
        for due_again in [false, true] {
            let mut group = Group::default();
            (0..50).for_each(|n| {
                let _: Seat = group.join(n, if n % 2 == 0 { Cadence::Ms200 } else { Cadence::S1 });
            });
            group.all_due(6);
            (0..visited_before).for_each(|_| assert!(group.visit().is_some()));
            if due_again {
                group.due(6);
            }
            group.tell(7);
            let mut told = Vec::new();
            for position in 7..40 {
                for _ in 0..9 {
                    let Some(visit) = group.visit() else { break };
                    told.extend((visit.telling == Telling::Notice).then_some(visit.connection));
                }
                group.due(position);
            }
            told.sort_unstable();
            assert_eq!(told, (0..50).collect::<Vec<_>>(), "{visited_before} visited, due again: {due_again}");
        }
    }
}

#[test]
fn who_is_moved_is_spread_over_the_phases_and_visited_at_the_new_cadence() {
    let mut group = Group::default();
    let mut seats: Vec<Seat> = (0..100).map(|n| group.join(n, Cadence::Ms200)).collect();
    group.settle(Settled::At(Cadence::S2), Player::Told);
    group.due(3);
    while let Some(visit) = group.visit() {
        let seat = seats[visit.connection as usize];
        let to = group.moves(seat).expect("all are to move");
        if let Some(moved) = group.leave(seat) {
            seats[moved as usize] = seat;
        }
        seats[visit.connection as usize] = group.join(visit.connection, to);
    }
    assert_eq!((group.at(Cadence::Ms200), group.at(Cadence::S2), group.len()), (0, 100, 100));
    for position in 4..14 {
        group.due(position);
        assert_eq!(visits(&mut group).len(), 10);
    }
    assert!(seats.iter().all(|seat| group.moves(*seat).is_none()));
}

#[test]
fn a_piece_is_what_one_cadence_lacks() {
    let tail = tail(0..30);
    let mut cursor = Cursor::new(Bytes::new(), 10, Reader::Streaming);
    let piece = Piece::of(&tail, Form::standard(0), Cadence::S1, 15);
    assert_eq!(cursor.lacks(&piece).unwrap(), "m10;m11;m12;m13;m14;");
    cursor.took(&piece, 6);
    assert_eq!(cursor.lacks(&piece), None);
    let mut heard = Vec::new();
    write(&mut cursor, &tail, 18, &mut heard);
    assert_eq!(heard, b"1;m12;m13;m14;m15;");
    assert_eq!(Piece::of(&tail, Form::standard(0), Cadence::Ms200, 30).bytes, "m29;");
    assert!(Piece::of(&tail, Form::standard(0), Cadence::S1, 0).bytes.is_empty());
}

#[test]
fn who_cannot_be_told_is_moved_no_further_than_its_store_lasts() {
    use Cadence::*;
    assert_eq!(within_reach(Ms200, S4, Player::Told), S4);
    assert_eq!(within_reach(Ms200, S4, Player::Blind), S1);
    assert_eq!(within_reach(S2, S4, Player::Blind), S2);
    assert_eq!(within_reach(S2, Ms400, Player::Blind), Ms400);
}

#[test]
fn a_longer_cadence_begins_with_as_much_more() {
    for (name, reader) in [("mp4", Reader::Streaming), ("ogg", Reader::Streaming), (ICY, Reader::Streaming)] {
        let usual = burst(name, reader, Cadence::Ms200);
        let long = burst(name, reader, Cadence::S2);
        assert_eq!(long.chunks, usual.chunks + 9);
        assert_eq!(long.fresh, usual.fresh + Duration::from_millis(1_800));
    }
    assert_eq!(burst("ogg", Reader::ByBlocks, Cadence::S4).chunks, 50);
}

#[test]
fn a_lean_piece_has_the_lean_forms_that_there_are_and_is_not_for_who_reads_by_blocks() {
    let mut tail = tail(0..30);
    [10, 12, 13].into_iter().for_each(|position| assert!(tail.enter(&lean(position, 1)).is_some()));
    let form = Form { rendition: 0, bitrate: Bitrate::Lean };
    let piece = Piece::of(&tail, form, Cadence::S1, 15);
    let mut streaming = Cursor::new(Bytes::new(), 10, Reader::Streaming);
    assert_eq!(streaming.lacks(&piece).unwrap(), "M10;m11;M12;M13;m14;");
    streaming.took(&piece, 1);
    let mut by_blocks = Cursor::new(Bytes::new(), 10, Reader::ByBlocks);
    assert_eq!(by_blocks.lacks(&piece), None);
    let (mut by_streaming, mut heard) = (Vec::new(), Vec::new());
    write_at(Bitrate::Standard, &mut streaming, &tail, 23, &mut by_streaming);
    write_at(Bitrate::Lean, &mut by_blocks, &tail, 16, &mut heard);
    assert_eq!((&*by_streaming, &*heard), (&b"10;m11;M12;M13;m14;m15;"[..], &b"m10;m11;m12;m13;"[..]));
    assert_eq!(Piece::of(&tail, form, Cadence::Ms200, 14).bytes, "M13;");
}

proptest! {
    /// However the socket takes the bytes, and whenever the bitrate changes or a lean form comes: every chunk is heard once, whole, in one of its forms.
    #[test]
    fn whoever_changes_between_forms_hears_every_chunk_once_and_whole(
        steps in prop::collection::vec((0usize..9, any::<bool>(), 0u64..4), 1..120),
    ) {
        let mut tail = tail(0..1);
        let mut cursor = Cursor::new(Bytes::from_static(b"head;"), 0, Reader::Streaming);
        let mut heard = Vec::new();
        for (n, (room, is_lean, ago)) in steps.into_iter().enumerate() {
            if n % 3 == 2 {
                tail.push(&chunk(tail.live(), 1));
            }
            tail.enter(&lean((tail.live() - 1).saturating_sub(ago), 1));
            let bitrate = if is_lean { Bitrate::Lean } else { Bitrate::Standard };
            write_at(bitrate, &mut cursor, &tail, room, &mut heard);
        }
        while cursor.owed(&tail) == Owed::Something {
            write_at(Bitrate::Lean, &mut cursor, &tail, 5, &mut heard);
        }
        let heard = String::from_utf8(heard).unwrap();
        let all: String = (0..tail.live()).map(|position| format!("m{position};")).collect();
        prop_assert_eq!(heard.replace('M', "m"), format!("head;{all}"));
    }

    /// However the socket takes the bytes, what is heard is the prelude and whole chunks in order.
    #[test]
    fn every_listener_hears_the_same_bytes(rooms in prop::collection::vec(0usize..9, 1..80)) {
        let mut tail = tail(0..2);
        let mut cursor = Cursor::new(Bytes::from_static(b"head;"), 0, Reader::Streaming);
        let (mut heard, mut all) = (Vec::new(), b"head;m0;m1;".to_vec());
        for (n, room) in rooms.into_iter().enumerate() {
            if n % 4 == 3 {
                let position = tail.live();
                tail.push(&chunk(position, 1));
                all.extend_from_slice(format!("m{position};").as_bytes());
            }
            write(&mut cursor, &tail, room, &mut heard);
        }
        while cursor.owed(&tail) == Owed::Something {
            write(&mut cursor, &tail, 5, &mut heard);
        }
        prop_assert_eq!(heard, all);
    }
}
