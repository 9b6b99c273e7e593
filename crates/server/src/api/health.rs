//! How the house is: for probes, and for Prometheus. For people: `ladder/status.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};
use hiwar_admission::door::ticket::Class;
use hiwar_engine::live_bus::Run;

use super::problem::{Kind, Problem};
use super::speech::Language;
use super::{Shared, crowd, ladder};
use crate::certificates::Standing;
use crate::disk::Room;
use crate::door::{Passed, class_name};

const STYLE: &str = "body{font:1.1rem/1.7 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;\
    color-scheme:light dark}section{margin-block-end:2.5rem}dt{float:inline-start;margin-inline-end:.5em}dd{font-weight:600}";

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// It is worth sending requests: the registry is loaded before the API listens, so whoever is answered is ready. What needs the operator's hand while everything
/// is served on follows, a line each; the log says more.
pub(super) async fn ready(State(api): Shared) -> String {
    let mut text = String::from("ready\n");
    let now = SystemTime::now();
    for alarm in api.certificates.standings().iter().filter_map(|standing| standing.alarm(now)) {
        let _ = writeln!(text, "alarm: {alarm}");
    }
    let _ = match api.disk.found() {
        (Room::Plenty, _) | (_, None) => Ok(()),
        (Room::Little, Some(usage)) => writeln!(text, "alarm: the disk is {usage}"),
        (Room::Scarce, Some(usage)) => writeln!(text, "alarm: the disk is {usage}; new conversations are refused"),
    };
    text
}

/// What a certificate authority was promised at this address (RFC 8555 §8.3).
pub(super) async fn challenge(State(api): Shared, Path(token): Path<String>) -> Result<impl IntoResponse, Problem> {
    let answer = api.certificates.challenge(&token).ok_or(Kind::NotFound)?;
    Ok(([(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, "no-store")], answer))
}

/// Numbers in Prometheus' text format.
pub(super) async fn metrics(State(api): Shared) -> impl IntoResponse {
    let (tally, figures) = (api.registry.tally(), api.studio.figures());
    let mut text = String::with_capacity(8192);
    let mut put = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(text, "# HELP hiwar_{name} {help}\n# TYPE hiwar_{name} {kind}\nhiwar_{name} {value}");
    };
    put("spaces", "gauge", "Spaces known to this house.", tally.spaces as u64);
    put("spaces_live", "gauge", "Spaces that are live.", tally.live as u64);
    put("spaces_recording_paused", "gauge", "Live spaces whose recording is paused.", tally.paused as u64);
    put("speakers", "gauge", "People on all stages.", tally.speakers as u64);
    put("recordings_expired_total", "counter", "Recordings removed by retention.", tally.expired);
    put("programmes", "gauge", "Programmes that run.", figures.on_air as u64);
    put("beats_total", "counter", "Beats of 20 ms.", figures.beats);
    put("beats_missed_total", "counter", "Beats whose frames were late.", figures.missed);
    put("beat_busy_microseconds_total", "counter", "Time spent working in beats.", figures.busy_us);
    put("encodes_total", "counter", "Calls of the Opus encoder.", figures.encodes);
    put("decodes_total", "counter", "Calls of the Opus decoder.", figures.decodes);
    put(
        "programme_panics_total",
        "counter",
        "Programmes given up because of a bug, each followed by a new one.",
        figures.panics,
    );
    put("notices_lost_total", "counter", "Notices of the beat lost to a full ring.", figures.overrun);
    put("track_pieces_lost_total", "counter", "20 ms of a speaker's track that were not kept.", figures.untracked);
    if let Some(doors) = &api.at_doors {
        let [inside, crowds] = [&doors.inside, &doors.crowds].map(|at| at.load(Relaxed));
        put("door_inside", "gauge", "People who have a place at a door, of all conversations.", inside);
        put("door_crowds", "gauge", "Conversations at whose door there is no room.", crowds);
        let (places, without) = ladder::door_sums(doors);
        put("door_places", "gauge", "Places behind all doors.", places);
        put(
            "door_without_time",
            "gauge",
            "People who wait and have no time within half an hour, nor can expect one.",
            without,
        );
        let passed = doors.together().passed;
        put(
            "door_asked_total",
            "counter",
            "Requests to listen or to wait at doors. Whoever waits asks more than once.",
            passed.asked,
        );
        put(
            "door_arrived_total",
            "counter",
            "Of these, without a ticket of that door: those who came, and had not been there.",
            passed.arrived(),
        );
        put(
            "door_away_total",
            "counter",
            "Requests at doors that were told to come again, and promised nothing.",
            passed.away,
        );
    }
    if let (_, Some(usage)) = api.disk.found() {
        put("disk_free_bytes", "gauge", "Bytes that may still be written to the file system of the data.", usage.free);
        let (name, ratio) = ("hiwar_disk_used_ratio", usage.ratio());
        let _ = writeln!(text, "# HELP {name} Used part of that file system.\n# TYPE {name} gauge\n{name} {ratio:.4}");
    }
    if let Some(doors) = &api.at_doors {
        let together = doors.together();
        write_waiting(&mut text, together.waiting_by_class);
        write_passed(&mut text, &together.passed);
        write_by_worker(&mut text, &doors.by_worker.lock().unwrap_or_else(PoisonError::into_inner));
    }
    crowd::write_crowd(&mut text, &tally, &api.studio.crowd_totals());
    crowd::write_spaces(&mut text, &api.registry.heard(crowd::SPACES_MAX));
    crowd::write_workers(&mut text, &api.studio.worker_figures());
    crowd::write_by_worker(&mut text, &api.studio.heard_by_worker());
    ladder::write(&mut text, api.ladders.server(), &api.studio.each_worker());
    write_certificates(&mut text, &api.certificates.standings());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn write_waiting(text: &mut String, waiting: [u64; Class::ALL.len()]) {
    let name = "hiwar_door_waiting";
    let _ = writeln!(text, "# HELP {name} People who wait for a place, of those who were drawn or came later.");
    let _ = writeln!(text, "# TYPE {name} gauge");
    // Whoever returns has no rank.
    let by_class = Class::ALL.into_iter().zip(waiting).filter(|(class, _)| *class != Class::Returning);
    for (class, count) in by_class {
        let _ = writeln!(text, "{name}{{class=\"{}\"}} {count}", class_name(class));
    }
}

fn write_passed(text: &mut String, Passed { entered, kept, late, .. }: &Passed) {
    let by_class = [
        ("hiwar_door_entered_total", "People let in at doors.", entered),
        ("hiwar_door_kept_total", "Of these, at the time that they had been told, or soon after: promises kept.", kept),
        (
            "hiwar_door_late_total",
            "Of those who had been told a time, let in later: they came late, or found no place.",
            late,
        ),
    ];
    for (name, help, counts) in by_class {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        for (class, count) in Class::ALL.into_iter().zip(counts) {
            let _ = writeln!(text, "{name}{{class=\"{}\"}} {count}", class_name(class));
        }
    }
}

/// Who waits is at no worker: a ticket is good at each of them.
fn write_by_worker(text: &mut String, by_worker: &BTreeMap<Run, Passed>) {
    let columns = [
        ("asked", "Requests to listen or to wait at doors, by worker."),
        ("arrived", "Of these, without a ticket of that door: those who came, and had not been there."),
        ("away", "Requests that were told to come again, and promised nothing."),
        ("entered", "People let in, by worker."),
        ("kept", "Of these, at the time that they had been told, or soon after."),
        ("late", "Of those who had been told a time, later."),
    ];
    for (at, (name, help)) in columns.into_iter().enumerate() {
        let name = format!("hiwar_worker_door_{name}_total");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        for (run, passed) in by_worker {
            let Passed { asked, away, .. } = *passed;
            let [entered, kept, late] =
                [passed.entered, passed.kept, passed.late].map(|by_class| by_class.iter().sum());
            let of = [asked, passed.arrived(), away, entered, kept, late][at];
            let _ = writeln!(text, "{name}{{worker=\"{}\"}} {of}", ladder::name(*run));
        }
    }
}

fn write_certificates(text: &mut String, standings: &[Standing]) {
    if standings.is_empty() {
        return;
    }
    // A name from a file of the operator's own: nothing in it may end the label.
    let label = |standing: &Standing| standing.name.replace(['\\', '"', '\n'], "_");
    text.push_str("# HELP hiwar_certificate_expires_seconds When the certificate expires, in seconds since 1970.\n");
    text.push_str("# TYPE hiwar_certificate_expires_seconds gauge\n");
    for standing in standings {
        if let Some(until) = standing.expires.and_then(|until| until.duration_since(SystemTime::UNIX_EPOCH).ok()) {
            let _ =
                writeln!(text, "hiwar_certificate_expires_seconds{{name=\"{}\"}} {}", label(standing), until.as_secs());
        }
    }
    text.push_str(
        "# HELP hiwar_certificate_failures_total Tries to obtain, renew or read the certificate that failed.\n",
    );
    text.push_str("# TYPE hiwar_certificate_failures_total counter\n");
    for standing in standings {
        let _ =
            writeln!(text, "hiwar_certificate_failures_total{{name=\"{}\"}} {}", label(standing), standing.failures);
    }
}

/// What a problem's type means, in both languages: its address can be opened.
pub(super) async fn problem(Path(name): Path<String>) -> Result<Html<String>, Problem> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or(Kind::NotFound)?;
    let mut body = String::new();
    for language in [Language::Arabic, Language::English] {
        let (title, detail) = kind.words(language);
        let (code, direction) = (language.code(), language.direction());
        let _ = write!(body, "<section lang=\"{code}\" dir=\"{direction}\"><h1>{title}</h1><p>{detail}</p></section>");
    }
    Ok(page(kind.name(), &body))
}

/// `title` and `body` are ours: nothing here is a stranger's word.
fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"ar\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>{body}</body></html>"
    ))
}
