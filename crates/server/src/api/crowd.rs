//! The crowd in Prometheus' text format: who hears, who was turned away, and how the workers are.
//!
//! Addresses are nowhere in it, and only public spaces are named: whoever reads `/metrics` may not have been told of the others.

use std::fmt::Write;

use hiwar_admission::ladder::Bitrate;
use hiwar_engine::live_bus::{Run, WorkerFigures};
use hiwar_segment_log::LogId;

use super::ladder;
use crate::registry::Tally;
use crate::studio::{AtWorker, Numbers, Totals};

/// Spaces that are named: the most heard. Prometheus keeps a line for each for weeks.
pub(super) const SPACES_MAX: usize = 100;

/// Everybody, in all spaces.
pub(super) fn write_crowd(text: &mut String, tally: &Tally, [audience, rehearsal]: &[Totals; 2]) {
    put(text, "listeners", "gauge", "People who hear, on all workers, in whatever form.", tally.listeners);
    put(text, "listeners_streams", "gauge", "Of these, connections.", tally.streams);
    put(text, "listeners_hls", "gauge", "Of these, people who hear HLS, an estimate.", tally.by_pieces);
    put(text, "joined_total", "counter", "Connections that began to listen.", audience.joined);
    put(text, "heard_nothing_total", "counter", "Of these, those that left with nothing heard.", audience.silent);
    put(text, "turned_away_total", "counter", "Requests for sound without room.", audience.turned_away);
    put(text, "sent_bytes_total", "counter", "Bytes of live sound sent.", audience.bytes);
    put(text, "rehearsal_listeners", "gauge", "Connections of rehearsals, in no other number.", tally.rehearsed);
    put(text, "rehearsal_joined_total", "counter", "Connections of rehearsals that began.", rehearsal.joined);
    put(text, "rehearsal_heard_nothing_total", "counter", "Of these, with nothing heard.", rehearsal.silent);
    put(text, "rehearsal_turned_away_total", "counter", "Their requests without room.", rehearsal.turned_away);
    put(text, "rehearsal_sent_bytes_total", "counter", "Bytes of live sound sent to them.", rehearsal.bytes);
}

/// The public spaces that are live.
pub(super) fn write_spaces(text: &mut String, spaces: &[(LogId, Numbers)]) {
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&Numbers) -> u64| {
        if !spaces.is_empty() {
            let _ = writeln!(text, "# HELP hiwar_space_{name} {help}\n# TYPE hiwar_space_{name} {kind}");
        }
        for (space, numbers) in spaces {
            let _ = writeln!(text, "hiwar_space_{name}{{space=\"{space}\"}} {}", value(numbers));
        }
    };
    each("listeners", "gauge", "People who hear this public space.", |space| space.listeners().into());
    each("listeners_hls", "gauge", "Of these, people who hear HLS, an estimate.", |space| space.by_pieces);
    each("unique", "gauge", "Different people who heard it since it is on the air, an estimate.", |space| space.unique);
    each("joined_total", "counter", "Connections that began to hear it.", |space| space.totals.joined);
    each("heard_nothing_total", "counter", "Of these, with nothing heard.", |space| space.totals.silent);
    each("turned_away_total", "counter", "Requests for its sound without room.", |space| space.totals.turned_away);
    each("sent_bytes_total", "counter", "Bytes of its sound sent.", |space| space.totals.bytes);
    each("rehearsal_listeners", "gauge", "Connections of rehearsals.", |space| space.rehearsed.into());
}

/// All workers together.
pub(super) fn write_workers(text: &mut String, workers: &WorkerFigures) {
    let mut put = |name: &str, kind: &str, help: &str, value| put(text, &format!("worker_{name}"), kind, help, value);
    put("connections", "gauge", "Connections, listeners and others.", workers.connections);
    put("handshakes", "gauge", "TLS handshakes under way.", workers.handshakes);
    put("http2_connections", "gauge", "Connections of HTTP/2.", workers.http2_connections);
    put("http2_requests", "gauge", "Their requests under way.", workers.http2_requests);
    put("accepted_total", "counter", "Connections taken.", workers.accepted_total);
    put("refused_total", "counter", "Request heads that were refused.", workers.refused_total);
    put("timed_out_total", "counter", "Connections closed because they took too long.", workers.timed_out_total);
    put("skipped_total", "counter", "Listeners who were behind and skipped to live.", workers.skipped_total);
    put("cut_total", "counter", "Listeners who were behind again and were cut.", workers.cut_total);
    put("full_total", "counter", "Times a worker was full and stopped accepting.", workers.full_total);
    put("exhausted_total", "counter", "Times files or memory had run out.", workers.exhausted_total);
    put("unshaken_total", "counter", "Handshakes let go for newer ones.", workers.unshaken_total);
    put("undeclared_total", "counter", "Requests by a proxy that is not declared.", workers.undeclared_total);
    put("http2_calmed_total", "counter", "Connections of HTTP/2 ended for what they did.", workers.http2_calmed_total);
    let bitrate = if workers.lean { Bitrate::Lean } else { Bitrate::Standard };
    put("bitrate_kbps", "gauge", "The lowest bitrate at which a worker sends sound.", bitrate.kbps().into());
    let (name, seconds) = ("hiwar_worker_cadence_seconds", f64::from(workers.cadence_ms) / 1_000.0);
    let _ = writeln!(
        text,
        "# HELP {name} The most sound that a worker sends at once.\n# TYPE {name} gauge\n{name} {seconds}"
    );
}

/// Each worker that is here. People who hear HLS are at none of them: who asked two of them is one person.
pub(super) fn write_by_worker(text: &mut String, by_worker: &[(Run, AtWorker)]) {
    let mut each = |name: &str, kind: &str, help: &str, value: fn(&AtWorker) -> u64| {
        let name = format!("hiwar_worker_{name}");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (run, at) in by_worker {
            let _ = writeln!(text, "{name}{{worker=\"{}\"}} {}", ladder::name(*run), value(at));
        }
    };
    each("listeners_streams", "gauge", "Connections that hear, by worker.", |at| at.streams.into());
    each("joined_total", "counter", "Connections that began to listen, by worker.", |at| at.totals.joined);
    each("turned_away_total", "counter", "Requests for sound without room, by worker.", |at| at.totals.turned_away);
}

fn put(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    let _ = writeln!(text, "# HELP hiwar_{name} {help}\n# TYPE hiwar_{name} {kind}\nhiwar_{name} {value}");
}
