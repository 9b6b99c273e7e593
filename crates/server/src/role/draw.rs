//! `hiwar draw verify FILE`: draws again what a server says that it drew, and says what holds. Needs no server and no key.
//!
//! Ends with 0 when all of it holds, 1 when something does not or is not shown, and 2 when the file cannot be read.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use hiwar_admission::door::record::{Check, DrawRecord, Fault, RECORD_BYTES_MAX, Sealed};
use hiwar_admission::door::ticket::Ticket;

use super::admin::terminal;
use crate::api::{Language, Word};
use crate::cli::DrawVerify;
use crate::door::class_name;
use crate::door::draws::hex;

/// Something does not hold.
const FAILS: u8 = 1;
/// It cannot be read.
const FAILED: u8 = 2;

/// Draws again, and says what came of it.
pub fn verify(args: &DrawVerify) -> ExitCode {
    let language = terminal();
    let (record, sealed) = match read(language, &args.file) {
        Ok(read) => read,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(FAILED);
        }
    };
    let (mut lines, holds) = say(language, args, &record, &sealed);
    lines.push(language.say(if holds { "draw-whole" } else { "draw-not-whole" }, &[]));
    println!("{}", lines.join("\n"));
    if args.list && list(&record).is_err() {
        return ExitCode::from(FAILED);
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::from(FAILS) }
}

fn read(language: Language, path: &Path) -> Result<(DrawRecord, Sealed), String> {
    let file = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(RECORD_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    if let Err(why) = read {
        let words = [("file", Word::Text(&file)), ("why", Word::Text(&why.to_string()))];
        return Err(language.say("draw-unreadable", &words));
    }
    DrawRecord::decode(&bytes).ok_or_else(|| language.say("draw-none", &[("file", Word::Text(&file))]))
}

/// What there is to say, and whether all of it holds.
fn say(language: Language, args: &DrawVerify, record: &DrawRecord, sealed: &Sealed) -> (Vec<String>, bool) {
    let Check { faults, drawn, listed, uncounted, networks, most_of_one, vouched, timed } = record.check();
    let mut lines = Vec::new();
    let mut holds = true;
    let mut put = |key: &str, words: &[(&str, Word<'_>)]| {
        holds &= !key.starts_with("draw-fails") && !matches!(key, "draw-ticket-none" | "draw-ticket-bad");
        lines.push(language.say(key, words));
    };
    let number = |number: u64| Word::Number(usize::try_from(number).unwrap_or(usize::MAX));
    let of = [
        ("opening", number(record.opening.into())),
        ("space", Word::Text(record.space.as_str())),
        ("drawn", number(drawn)),
        ("listed", number(listed)),
        ("networks", number(networks)),
    ];
    put("draw-of", &of);
    if vouched != [0; 2] {
        let [followers, earlier] = vouched.map(number);
        put("draw-vouched", &[("followers", followers), ("earlier", earlier)]);
    }
    if uncounted > 0 {
        put("draw-late", &[("tickets", number(uncounted))]);
    }
    put("draw-timed", &[("timed", number(timed)), ("most", number(most_of_one))]);
    let is_same = |said: &Option<String>, is: &str| said.as_ref().is_none_or(|said| said.eq_ignore_ascii_case(is));
    let key = hex(&sealed.key);
    put(
        match sealed.holds {
            false => "draw-fails-seal",
            true if !is_same(&args.key, &key) => "draw-fails-key",
            true => "draw-holds-seal",
        },
        &[("key", Word::Text(&key))],
    );
    let commitment = hex(&record.commitment);
    put(
        match faults.contains(&Fault::Commitment) {
            true => "draw-fails-commitment",
            false if !is_same(&args.commitment, &commitment) => "draw-fails-promised",
            false => "draw-holds-commitment",
        },
        &[("commitment", Word::Text(&commitment))],
    );
    put(if faults.contains(&Fault::Order) { "draw-fails-order" } else { "draw-holds-order" }, &[]);
    let mut are_counted = true;
    for fault in faults {
        let (key, tickets) = match fault {
            Fault::Commitment | Fault::Order => continue,
            Fault::Workers { by_workers } => ("draw-fails-workers", by_workers),
            Fault::Surplus { tickets } => ("draw-fails-surplus", tickets),
            Fault::Unlisted { tickets } => ("draw-fails-unlisted", tickets),
        };
        are_counted = false;
        put(key, &[("tickets", number(tickets))]);
    }
    if are_counted {
        put("draw-holds-counts", &[]);
    }
    match args.ticket.as_ref().map(|text| Ticket::unchecked(text.as_bytes())) {
        None => {}
        Some(None) => put("draw-ticket-bad", &[]),
        Some(Some(ticket)) if ticket.opening != record.opening => {
            put("draw-ticket-other", &[("opening", number(ticket.opening.into()))]);
        }
        Some(Some(ticket)) => {
            let theirs = record.find(&ticket);
            if theirs.is_empty() {
                put("draw-ticket-none", &[]);
            }
            for entry in theirs {
                let (rank, seconds) = place(record, &entry);
                match seconds {
                    Some(seconds) => put("draw-ticket", &[("rank", number(rank)), ("seconds", number(seconds))]),
                    None => put("draw-ticket-untimed", &[("rank", number(rank))]),
                }
            }
        }
    }
    (lines, holds)
}

/// A rank, counted from 1, and how long after the draw its place was to be free.
fn place(record: &DrawRecord, entry: &hiwar_admission::door::record::Entry) -> (u64, Option<u64>) {
    let (drawn, ..) = record.table.parts();
    let (rank, time) = record.place(entry);
    (rank + 1, time.map(|time| time.duration_since(drawn).unwrap_or_default().as_secs()))
}

fn list(record: &DrawRecord) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for entry in record.counted.iter().chain(&record.uncounted) {
        let (rank, seconds) = place(record, entry);
        let seconds = seconds.map_or_else(|| "-".to_owned(), |seconds| seconds.to_string());
        let (class, network, turn) = (class_name(entry.class), entry.network, entry.turn);
        writeln!(out, "{rank} {seconds} {class} {network:016x} {} {}", turn.round, turn.within)?;
    }
    out.flush()
}
