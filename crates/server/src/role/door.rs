//! `hiwar door export SPACE` and `hiwar door verify FILE`: the diary of a door, for programs and for people, without a server.
//!
//! Export ends with 0 when both files are made, else with 2; verify with 0 when all of it holds, 1 when something does not, 2 when it cannot be read.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use hiwar_admission::door::diary::{Fault, Field, LINE_BYTES_MAX, Line, Minute, NTHS, PARTS, Reader};
use hiwar_admission::ladder::Reason;
use hiwar_segment_log::LogId;
use time::OffsetDateTime;

use super::admin::{config, terminal};
use crate::api::{Language, Word};
use crate::cli::{DoorExport, DoorVerify};
use crate::door::{diary, draws::hex};

/// Something does not hold.
const FAILS: u8 = 1;
/// Nothing could be done.
const FAILED: u8 = 2;
/// Faults that are named; of more there is one line.
const NAMED_MAX: usize = 20;
/// Width and height of the plot.
const PLOT: (f64, f64) = (720.0, 180.0);

/// Makes the two files.
pub fn export(args: &DoorExport) -> ExitCode {
    match exported(terminal(), args) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(FAILED)
        }
    }
}

fn exported(language: Language, args: &DoorExport) -> Result<String, String> {
    let none = || language.say("diary-none", &[("space", Word::Text(&args.space))]);
    let space = LogId::parse(&args.space).map_err(|_| none())?;
    let folder = config(&args.place)?.data.join("spaces").join(space.as_str());
    let lines = diary::read(&folder).map_err(|why| unreadable(language, &folder, &why))?;
    if lines.is_empty() {
        return Err(none());
    }
    let into = args.output.clone().unwrap_or_else(|| PathBuf::from("."));
    let name = |kind| into.join(format!("{space}.diary.{kind}"));
    let (lines_path, page_path) = (name("jsonl"), name("html"));
    let page = page(space, &minutes(&lines));
    for (path, bytes) in [(&lines_path, &lines[..]), (&page_path, page.as_bytes())] {
        let mut options = OpenOptions::new();
        options.write(true).create(true).create_new(!args.force).truncate(args.force);
        let written = options.open(path).and_then(|mut file| file.write_all(bytes));
        written.map_err(|why| format!("{}: {why}", path.display()))?;
    }
    let made = [lines_path.display().to_string(), page_path.display().to_string()];
    Ok(language.say("diary-made", &[("lines", Word::Text(&made[0])), ("page", Word::Text(&made[1]))]))
}

fn unreadable(language: Language, path: &Path, why: &io::Error) -> String {
    let (file, why) = (path.display().to_string(), why.to_string());
    language.say("diary-unreadable", &[("file", Word::Text(&file)), ("why", Word::Text(&why))])
}

/// What can be read of it; whether it holds is for [`verify`] to say.
fn minutes(lines: &[u8]) -> Vec<Minute> {
    let mut reader = Reader::default();
    let minute = |line: &[u8]| match reader.line(line).0 {
        Some(Line::Minute(_, minute)) => Some(minute),
        Some(Line::Head { .. }) | None => None,
    };
    lines.split(|byte| *byte == b'\n').filter_map(minute).collect()
}

/// Reads a diary, and says what holds of it.
pub fn verify(args: &DoorVerify) -> ExitCode {
    let language = terminal();
    match verified(language, args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILS),
        Err(why) => {
            eprintln!("{}", unreadable(language, &args.file, &why));
            ExitCode::from(FAILED)
        }
    }
}

fn verified(language: Language, args: &DoorVerify) -> io::Result<bool> {
    let mut file = BufReader::new(File::open(&args.file)?);
    let (mut reader, mut minutes, mut number, mut faulty) = (Reader::default(), 0usize, 0usize, 0usize);
    loop {
        let mut line = Vec::new();
        // A longer one is no line, however it goes on.
        if (&mut file).take(LINE_BYTES_MAX as u64 + 2).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        let is_finished = line.pop_if(|last| *last == b'\n').is_some();
        let (read, mut faults) = reader.line(&line);
        minutes += usize::from(matches!(read, Some(Line::Minute(..))));
        if !is_finished && faults.is_empty() {
            faults.push(Fault::Unreadable);
        }
        for fault in faults {
            faulty += 1;
            if faulty <= NAMED_MAX {
                let what = language.say(name(fault), &[]);
                let words = [("line", Word::Number(number)), ("what", Word::Text(&what))];
                println!("{}", language.say("diary-fault", &words));
            }
        }
    }
    if faulty > NAMED_MAX {
        println!("{}", language.say("diary-more", &[("faults", Word::Number(faulty - NAMED_MAX))]));
    }
    let before = reader.first().filter(|first| *first > 0).map(|before| ("diary-before", "minutes", before));
    let untold = Some(("diary-untold", "seconds", reader.untold())).filter(|_| reader.untold() > 0);
    for (key, of, number) in before.into_iter().chain(untold) {
        println!("{}", language.say(key, &[(of, Word::Number(usize::try_from(number).unwrap_or(usize::MAX)))]));
    }
    let key = reader.key().map(|key| hex(&key));
    if let Some(key) = &key {
        println!("{}", language.say("diary-key", &[("key", Word::Text(key))]));
    }
    let is_theirs = match (&args.key, &key) {
        (Some(wanted), Some(key)) => wanted.eq_ignore_ascii_case(key),
        (Some(_), None) => false,
        (None, _) => true,
    };
    if !is_theirs {
        println!("{}", language.say("diary-other-key", &[]));
    }
    let holds = faulty == 0 && is_theirs && key.is_some();
    println!(
        "{}",
        language.say(if holds { "diary-whole" } else { "diary-not-whole" }, &[("minutes", Word::Number(minutes))])
    );
    Ok(holds)
}

fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Unreadable => "diary-fault-unreadable",
        Fault::Broken => "diary-fault-broken",
        Fault::Unsealed => "diary-fault-unsealed",
        Fault::Foreign => "diary-fault-foreign",
        Fault::Number => "diary-fault-number",
        Fault::Early => "diary-fault-early",
        Fault::Version => "diary-fault-version",
        Fault::Newer => "diary-fault-newer",
    }
}

/// The page for people: what it is, what stands out, a plot, and a table of the minutes, in both languages. It loads nothing.
fn page(space: LogId, minutes: &[Minute]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"ar\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{space}</title><style>{STYLE}</style></head><body>"
    );
    for language in [Language::Arabic, Language::English] {
        let say = |key: &str, words: &[(&str, Word<'_>)]| language.say(key, words);
        let title = say("diary-title", &[("space", Word::Text(space.as_str()))]);
        let (code, direction) = (language.code(), language.direction());
        let about = say("diary-about", &[]);
        let _ = write!(page, "<section lang=\"{code}\" dir=\"{direction}\"><h1>{title}</h1><p>{about}</p>");
        for line in said(language, minutes) {
            let _ = write!(page, "<p>{line}</p>");
        }
        plot(&mut page, &say("diary-plot", &[]), minutes);
        table(&mut page, language, minutes);
        page.push_str("</section>");
    }
    page.push_str("</body></html>\n");
    page
}

const STYLE: &str = "body{font:1rem/1.7 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;\
    color-scheme:light dark}section{margin-block-end:3rem}div{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
    th,td{padding:.1rem .6rem;text-align:end;border-block-end:1px solid #8886;white-space:nowrap}td:last-child,th:last-child{text-align:start}\
    svg{width:100%;height:auto}polyline{fill:none;stroke:currentColor;stroke-width:1.5}polygon{fill:#38a5;stroke:none}";

/// What a reader is to see first.
fn said(language: Language, minutes: &[Minute]) -> Vec<String> {
    let Some(peak) = minutes.iter().max_by_key(|minute| minute.sum(Field::Asked)) else { return Vec::new() };
    let number = |number: u64| Word::Number(usize::try_from(number).unwrap_or(usize::MAX));
    let time = clock(peak);
    let words = [
        ("time", Word::Text(&time)),
        ("asked", number(peak.sum(Field::Asked))),
        ("tickets", number(peak.sum(Field::Tickets))),
    ];
    let mut lines = vec![language.say("diary-peak", &words)];
    let of_all = |from: usize, to: usize| sum(minutes.iter().flat_map(|minute| &minute.of(Field::Nth)[from..to]));
    let counted = of_all(0, NTHS);
    if counted > 0 {
        // From the sixth on they are 17 to 32, 33 to 64 …
        let (first, many) = (percent(of_all(0, 2), counted), percent(of_all(5, NTHS), counted));
        lines.push(language.say("diary-people", &[("first", number(first)), ("many", number(many))]));
    }
    if let Some(part) = minutes.iter().filter_map(largest_part).max() {
        lines.push(language.say("diary-spread", &[("part", number(part))]));
    }
    lines
}

/// Of a hundred requests, so many came from the part of all addresses from which most did. `None`: they are too few to say.
fn largest_part(minute: &Minute) -> Option<u64> {
    let (parts, all) = (minute.of(Field::Parts), minute.sum(Field::Parts));
    (all >= SPREAD_MIN).then(|| percent(parts.iter().max().copied().unwrap_or(0), all))
}

/// Of fewer requests some part always has many: ten for each.
const SPREAD_MIN: u64 = 10 * PARTS as u64;

fn percent(part: u64, of: u64) -> u64 {
    (100 * u128::from(part) / u128::from(of.max(1))).min(100) as u64
}

fn sum<'n>(numbers: impl IntoIterator<Item = &'n u64>) -> u64 {
    numbers.into_iter().fold(0, |sum, number| sum.saturating_add(*number))
}

/// `14:03`, by UTC, and the day with the first of one.
fn clock(minute: &Minute) -> String {
    let seconds = i64::try_from(minute.from).unwrap_or(0);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{:04}-{:02}-{:02} {:02}:{:02}", at.year(), u8::from(at.month()), at.day(), at.hour(), at.minute())
}

fn plot(page: &mut String, label: &str, minutes: &[Minute]) {
    let (width, height) = PLOT;
    let highest = |field| minutes.iter().map(|minute| minute.sum(field)).max().unwrap_or(0).max(1);
    let points = |field| {
        let highest = highest(field) as f64;
        let point = |(at, minute): (usize, &Minute)| {
            let x = width * (at as f64 + 0.5) / minutes.len().max(1) as f64;
            let y = height - (height - 16.0) * minute.sum(field) as f64 / highest;
            format!("{x:.1},{y:.1}")
        };
        minutes.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    };
    let (asked, inside) = (points(Field::Asked), points(Field::Inside));
    let (most, most_inside) = (highest(Field::Asked), highest(Field::Inside));
    let _ = write!(
        page,
        "<figure><svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}: {most}, {most_inside}\">\
         <polygon points=\"0,{height} {inside} {width},{height}\"/><polyline points=\"{asked}\"/></svg>\
         <figcaption>{label}: ≤ {most}, ≤ {most_inside}</figcaption></figure>"
    );
}

fn table(page: &mut String, language: Language, minutes: &[Minute]) {
    const HEADS: [&str; 13] = [
        "time", "asked", "tickets", "entered", "kept", "late", "inside", "waiting", "away", "first", "part", "level",
        "notes",
    ];
    page.push_str("<div><table><thead><tr>");
    for head in HEADS {
        let _ = write!(page, "<th scope=\"col\">{}</th>", language.say(&format!("diary-head-{head}"), &[]));
    }
    page.push_str("</tr></thead><tbody>");
    for minute in minutes {
        let _ = write!(page, "<tr><td>{}</td>", clock(minute));
        let away = minute.sum(Field::Away).saturating_add(minute.sum(Field::TurnedAway));
        let fields = [Field::Asked, Field::Tickets, Field::Entered, Field::Kept, Field::Late];
        for number in fields.into_iter().chain([Field::Inside, Field::Waiting]) {
            let _ = write!(page, "<td>{}</td>", minute.sum(number));
        }
        let (counted, nth) = (minute.sum(Field::Nth), minute.of(Field::Nth));
        let of_hundred = |part: Option<u64>| part.map_or_else(|| "–".to_owned(), |part| format!("{part} %"));
        let first = of_hundred((counted > 0).then(|| percent(sum(&nth[..2]), counted)));
        let part = of_hundred(largest_part(minute));
        let notes = notes(language, minute).join(" · ");
        let level = minute.sum(Field::Level);
        let _ = write!(page, "<td>{away}</td><td>{first}</td><td>{part}</td><td>{level}</td><td>{notes}</td></tr>");
    }
    page.push_str("</tbody></table></div>");
}

fn notes(language: Language, minute: &Minute) -> Vec<String> {
    // Why it was at its level, in the words of whoever was told it then.
    let say = |reason: Reason| language.say(&format!("ladder-reason-{}", reason.name()), &[]);
    let mut notes: Vec<String> = minute.reasons.iter().map(say).collect();
    match minute.sum(Field::Phase) {
        1 => notes.push(language.say("diary-note-drawing", &[])),
        2 => notes.push(language.say("diary-note-queue", &[])),
        _ => {}
    }
    if minute.sum(Field::House) > 0 {
        notes.push(language.say("diary-note-house", &[]));
    }
    let workers = minute.sum(Field::Began).saturating_add(minute.sum(Field::Ended));
    if workers > 0 {
        let count = Word::Number(usize::try_from(workers).unwrap_or(usize::MAX));
        notes.push(language.say("diary-note-workers", &[("count", count)]));
    }
    if minute.sum(Field::Mended) > 0 {
        notes.push(language.say("diary-note-mended", &[]));
    }
    notes
}
