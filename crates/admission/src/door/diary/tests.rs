use proptest::prelude::*;

use super::*;

fn key() -> SealKey {
    SealKey::from_bytes(&[5; 32])
}

fn minute(from: u64, numbers: &[u64]) -> Minute {
    let mut minute = Minute::new(from, 60);
    minute.commitment = [7; 32];
    minute.reasons = Reasons::from_bits(numbers[0] as u8);
    minute.numbers.iter_mut().zip(numbers.iter().cycle()).for_each(|(slot, number)| *slot = *number);
    minute
}

/// A diary of so many minutes, of which a second file begins after the third.
fn diary(minutes: u64) -> Vec<String> {
    let (mut at, space) = (At::default(), Scope::parse("talk").expect("a scope"));
    let mut lines = vec![at.head(&key(), &space)];
    for number in 0..minutes {
        if number == 3 {
            lines.push(at.head(&key(), &space));
        }
        lines.push(at.minute(&key(), &minute(60 * number, &[number, 70, 0])));
    }
    lines
}

fn faults<'l>(lines: impl IntoIterator<Item = &'l String>) -> Vec<Vec<Fault>> {
    let mut reader = Reader::default();
    lines.into_iter().map(|line| reader.line(line.as_bytes()).1).collect()
}

proptest! {
    #[test]
    fn a_minute_is_read_as_it_was_written(numbers in prop::collection::vec(any::<u64>(), 1..NUMBERS), from: u64, next in 0u64..1 << 60) {
        let mut at = At { next, ..At::default() };
        let minute = minute(from, &numbers);
        let line = at.minute(&key(), &minute);
        prop_assert!(line.len() <= LINE_BYTES_MAX / 2);
        prop_assert_eq!(read(line.as_bytes()).map(|read| read.line), Some(Line::Minute(next, minute)));
        prop_assert_eq!(At::behind(line.as_bytes()), Some(at));
    }

    #[test]
    fn a_minute_of_before_is_read_as_it_was_written(numbers in prop::collection::vec(any::<u64>(), 1..NUMBERS), from: u64, next in 0u64..1 << 60) {
        let mut at = At { next, version: BEFORE, ..At::default() };
        let mut minute = minute(from, &numbers);
        let line = at.minute(&key(), &minute);
        prop_assert!(!line.contains("kept") && !line.contains("reasons"));
        [Field::Kept, Field::Late].into_iter().for_each(|field| minute.of_mut(field).fill(0));
        minute.reasons = Reasons::default();
        prop_assert_eq!(read(line.as_bytes()).map(|read| (read.line, read.version)), Some((Line::Minute(next, minute), BEFORE)));
        prop_assert_eq!(At::behind(line.as_bytes()), Some(at));
        prop_assert!(at.is_old());
    }

    #[test]
    fn a_change_of_any_byte_is_noticed(line in 0usize..7, at: prop::sample::Index, other: u8) {
        let mut lines = diary(6);
        let mut bytes = lines[line].clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != other);
        bytes[at] = other;
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        lines[line] = changed;
        prop_assert!(!faults(&lines).concat().is_empty());
    }

    #[test]
    fn what_is_no_line_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..900) {
        let mut reader = Reader::default();
        prop_assert_eq!(reader.line(&bytes).1, [Fault::Unreadable]);
        let line = &diary(1)[1];
        prop_assert_eq!(reader.line(&line.as_bytes()[..cut.min(line.len() - 1)]).1, [Fault::Unreadable]);
    }
}

#[test]
fn a_diary_is_whole_or_says_where_it_is_not() {
    let lines = diary(6);
    assert_eq!(faults(&lines).concat(), []);
    // From its second file on it is as good: the first may be gone.
    assert_eq!(faults(&lines[4..]).concat(), []);
    let mut left_out = lines.clone();
    left_out.remove(2);
    assert_eq!(faults(&left_out)[2], [Fault::Broken, Fault::Number]);
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    assert_eq!(faults(&swapped)[1], [Fault::Broken, Fault::Number]);
    // What somebody else seals, in their own name or in the house's.
    let (mut at, mut foreign) = (At::behind(lines[7].as_bytes()).expect("a line"), lines.clone());
    let other = SealKey::from_bytes(&[6; 32]);
    foreign.push(at.minute(&other, &minute(900, &[1])));
    foreign.push(at.head(&other, &Scope::parse("talk").expect("a scope")));
    foreign.push(at.minute(&key(), &minute(0, &[0])));
    let found = faults(&foreign);
    assert_eq!(found[8], [Fault::Unsealed]);
    assert_eq!(found[9], [Fault::Foreign]);
    assert_eq!(found[10], [Fault::Unsealed, Fault::Early]);
}

/// As an older program wrote it, down to the last byte.
const OF_BEFORE: &str = include_str!("before.jsonl");

#[test]
fn a_diary_of_before_verifies_and_is_gone_on_with_behind_another_head() {
    let mut lines: Vec<String> = OF_BEFORE.lines().map(str::to_owned).collect();
    assert_eq!(faults(&lines).concat(), []);
    let mut at = At::behind(lines.last().expect("lines").as_bytes()).expect("a line");
    assert!(at.is_old());
    let (mut without, mut old) = (at, at);
    lines.push(at.head(&key(), &Scope::parse("talk").expect("a scope")));
    assert!(!at.is_old());
    lines.push(at.minute(&key(), &minute(600, &[0x61])));
    assert_eq!(faults(&lines).concat(), []);
    assert!(
        lines[lines.len() - 1].contains(r#","reasons":["late","crowd","operator"],"#),
        "{}",
        lines[lines.len() - 1]
    );
    // Nor are the fields of one version behind the head of another, though whoever has the key sealed it.
    let mut mixed: Vec<String> = OF_BEFORE.lines().map(str::to_owned).collect();
    without.version = VERSION;
    mixed.push(without.minute(&key(), &minute(600, &[1])));
    assert_eq!(faults(&mixed).last(), Some(&vec![Fault::Version]));
    mixed.pop();
    mixed.push(old.head(&key(), &Scope::parse("talk").expect("a scope")));
    old.version = BEFORE;
    mixed.push(old.minute(&key(), &minute(600, &[1])));
    assert_eq!(faults(&mixed).last(), Some(&vec![Fault::Version]));
}

#[test]
fn what_is_of_a_version_to_come_is_named_so_and_no_reason_is_read_that_is_not_written_so() {
    let lines = diary(1);
    let newer = lines[0].replace("\"diary\":2", "\"diary\":3");
    assert_eq!(Reader::default().line(newer.as_bytes()).1, [Fault::Newer]);
    let crowded = |reasons: &str| {
        let mut minute = Minute::new(0, 60);
        minute.reasons = [Reason::Crowd, Reason::Operator].into_iter().collect();
        let line = At::default().minute(&key(), &minute);
        assert!(line.contains(r#""level":0,"reasons":["crowd","operator"],"cadence_ms""#));
        read(line.replace(r#"["crowd","operator"]"#, reasons).as_bytes()).is_some()
    };
    assert!(["[]", r#"["crowd"]"#, r#"["late","operator"]"#].into_iter().all(crowded));
    let wrong = [
        r#"["operator","crowd"]"#,
        r#"["crowd","crowd"]"#,
        r#"["crowd",]"#,
        r#"[,"crowd"]"#,
        r#"["crow"]"#,
        "32",
        "[32]",
    ];
    wrong.into_iter().for_each(|reasons| assert!(!crowded(reasons), "{reasons}"));
}

#[test]
fn what_workers_count_comes_into_the_minute_once() {
    let (mut traffic, mut minute) = (Traffic::default(), Minute::new(0, 60));
    traffic.asked(u64::MAX);
    traffic.asked(0);
    traffic.add(Field::Tickets, Class::Anybody as usize);
    traffic.nth([1, 3, 5_000, 0]);
    let before = traffic.clone();
    traffic.add_to(&mut minute, &Traffic::default());
    traffic.add(Field::Away, 0);
    traffic.add_to(&mut minute, &before);
    let ones = |field| minute.of(field).iter().position(|number| *number == 1);
    assert_eq!([Field::Asked, Field::Away, Field::Bad].map(|field| minute.sum(field)), [2, 1, 0]);
    assert_eq!((ones(Field::Tickets), minute.of(Field::Parts)[0], minute.of(Field::Parts)[63]), (Some(3), 1, 1));
    assert_eq!([Field::Nth, Field::NthNear, Field::NthWide].map(ones), [Some(0), Some(2), Some(NTHS - 1)]);
    assert_eq!(Traffic::from_numbers(traffic.numbers()), Some(traffic));
    assert_eq!(Traffic::from_numbers(&[1]), None);
}

#[test]
fn two_minutes_are_one_in_which_both_happened() {
    let of = |from, seconds, level: u64, reason: Reason, busy| {
        let mut minute = Minute::new(from, seconds);
        minute.reasons = reason.into();
        let numbers = [
            (Field::Asked, 10 + from),
            (Field::Inside, from),
            (Field::Level, level),
            (Field::Cadence, 2_000 - from),
            (Field::House, u64::from(from == 0)),
            (Field::Cpu, busy),
        ];
        numbers.into_iter().for_each(|(field, number)| minute.set(field, number));
        minute.of_mut(Field::Troubles).copy_from_slice(&[1, 0, 0, 0, 0, 0, from]);
        minute
    };
    let mut both = of(0, 60, 2, Reason::Crowd, 100);
    let mut next = of(60, 120, 2, Reason::Operator, 400);
    next.commitment = [7; 32];
    both.go_on(&next);
    assert_eq!((both.from, both.seconds, both.commitment), (0, 180, [7; 32]));
    assert_eq!(both.reasons, Reasons::from(Reason::Crowd).with(Reason::Operator.into()));
    let is = [
        (Field::Asked, 80),
        (Field::Inside, 60),
        (Field::Level, 2),
        (Field::Cadence, 2_000),
        (Field::House, 1),
        (Field::Cpu, 300),
    ];
    is.into_iter().for_each(|(field, number)| assert_eq!(both.sum(field), number, "{field:?}"));
    assert_eq!(both.of(Field::Troubles), [2, 0, 0, 0, 0, 0, 60]);
    // Why it was at a lower level is not why it was at the highest.
    both.go_on(&of(180, 60, 1, Reason::Late, 0));
    assert!(!both.reasons.has(Reason::Late) && both.seconds == 240);
    both.go_on(&of(240, 60, 3, Reason::Line, 0));
    assert_eq!(both.reasons, Reason::Line.into());
}

#[test]
fn what_is_not_told_is_counted_and_a_clock_goes_back_only_where_a_house_began() {
    let (mut at, space) = (At { next: 7, ..At::default() }, Scope::parse("talk").expect("a scope"));
    let mut lines = vec![at.head(&key(), &space)];
    let mut write = |from, house| {
        let mut minute = Minute::new(from, 60);
        minute.set(Field::House, house);
        lines.push(at.minute(&key(), &minute));
    };
    [(600, 0), (660, 0), (750, 0), (300, 1), (360, 0), (390, 0)]
        .into_iter()
        .for_each(|(from, house)| write(from, house));
    let mut reader = Reader::default();
    let faults: Vec<_> = lines.iter().map(|line| reader.line(line.as_bytes()).1).collect();
    assert_eq!(faults, [vec![], vec![], vec![], vec![], vec![], vec![], vec![Fault::Early]]);
    assert_eq!((reader.first(), reader.untold()), (Some(7), 30));
}
