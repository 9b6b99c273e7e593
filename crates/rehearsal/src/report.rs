//! What a rehearsed crowd met: one account of each second, and what follows from all of them.
//!
//! Pure: it is told what happened, and answers with figures ([`Report::summary`]) and with a page ([`Report::page`]). What is computed is never
//! stored, so a report that was kept can be judged again. Its bytes are described in `docs/formats/rehearsal.md`.

mod histogram;
mod page;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use histogram::Histogram;

use crate::launch::Seen;
use crate::launch::moments::Moments;

/// What was seen of a launch, as a page.
pub fn launch_page(seen: &Seen, moments: &Moments, target: &str) -> String {
    page::launch::page(seen, moments, target)
}

/// How much later than its cadence after its scheduled time a chunk may be complete before it is late.
pub const GRACE: Duration = Duration::from_secs(1);
/// Share of a second beyond which a process of the generator was so busy that the lateness that it saw may be its own.
pub const BUSY_SHARE_MAX: f64 = 0.9;
/// How much may go wrong before a server no longer holds a crowd, of each kind: one in a thousand. The bound for sound on time is 99.9 %, and whoever is
/// not let in or hears nothing is not better off than whoever hears it late.
pub const WRONG_SHARE_MAX: f64 = 0.001;

/// What was rehearsed. All of its text may come from outside; the page escapes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The address listened to.
    pub target: String,
    /// What was fetched from it: `mp4`, `ogg` or `mp3`.
    pub format: String,
    /// How many listeners were to come.
    pub listeners: u64,
    /// How they came, in words: `flash: all within 60 s`.
    pub arrival: String,
    /// How often a listener's sound comes, in milliseconds, where the server does not say so itself. With [`GRACE`] it is the bound of lateness.
    pub cadence_ms: u64,
    /// When it began, in seconds since 1970 (UTC).
    pub started_unix_s: u64,
    /// When the conversation was to begin that they waited for, in milliseconds since 1970, if they did.
    #[serde(default)]
    pub starts_unix_ms: Option<u64>,
    /// Who rehearsed: the program's version.
    pub version: String,
}

/// One second, of everyone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Which, counted from the beginning of the rehearsal: 0 is the first.
    pub at_s: u32,
    /// Listeners who got in: the first piece of sound was whole.
    pub joined: u64,
    /// Listeners who tried and did not get in.
    pub failed: u64,
    /// Listeners who went, of themselves or not.
    pub left: u64,
    /// Listeners who are in at the end of this second.
    pub listening: u64,
    /// Chunks that became complete at a listener.
    pub chunks: u64,
    /// Of these, the ones that were late.
    pub chunks_late: u64,
    /// Those that came at a lean bitrate, as far as that is known: of whose sound somebody else heard the other, larger form.
    #[serde(default)]
    pub chunks_lean: u64,
    /// Listeners who had nothing left to hear.
    pub stalled: u64,
    /// The most milliseconds between two pieces of sound that any listener expects who is in at the end of this second. 0: nobody is.
    #[serde(default)]
    pub cadence_ms: u64,
    /// Bytes read.
    pub bytes: u64,
    /// How long each listener who went, or was in at the end of the rehearsal, had nothing left to hear, in all.
    #[serde(default)]
    pub stall: Histogram,
    /// How long those who joined took, from the first packet of the connection to the first whole piece of sound.
    pub join: Histogram,
    /// How long after its scheduled time each chunk became complete.
    pub lateness: Histogram,
    /// Of listeners who waited for a conversation to begin: how long after its start they had the first piece that is more than silence.
    #[serde(default)]
    pub first_word: Histogram,
    /// Those who had one before.
    #[serde(default)]
    pub words_early: u64,
    /// Share of the second (0 to 1) in which the generator's busiest thread was at work, or was ready and had no processor. Finite, as JSON knows nothing else.
    pub busy_share: f64,
    /// What the server needed, if that is known.
    pub server: Option<Server>,
}

/// What the server needed in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Processor time per time: 1.5 is one and a half cores. Finite.
    pub cores: f64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
}

/// A whole rehearsal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was rehearsed.
    pub plan: Plan,
    /// Its seconds, ascending. Some may be missing.
    pub seconds: Vec<Second>,
    /// What went wrong, in words, and how often. The words may come from outside.
    pub faults: BTreeMap<String, u64>,
}

/// Whether the server holds this crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Of everything that counts, at most [`WRONG_SHARE_MAX`] went wrong.
    Holds,
    /// More went wrong.
    Fails,
    /// The generator was too busy ([`BUSY_SHARE_MAX`]) for its numbers to be the server's.
    Doubtful,
}

impl Verdict {
    /// As one word of the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Doubtful => "doubtful",
        }
    }
}

impl Second {
    /// Adds what another process of the generator counted in the same second.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in [
            (&mut self.joined, other.joined),
            (&mut self.failed, other.failed),
            (&mut self.left, other.left),
            (&mut self.listening, other.listening),
            (&mut self.chunks, other.chunks),
            (&mut self.chunks_late, other.chunks_late),
            (&mut self.chunks_lean, other.chunks_lean),
            (&mut self.stalled, other.stalled),
            (&mut self.bytes, other.bytes),
            (&mut self.words_early, other.words_early),
        ] {
            *ours = ours.saturating_add(theirs);
        }
        self.cadence_ms = self.cadence_ms.max(other.cadence_ms);
        self.stall.merge(&other.stall);
        self.join.merge(&other.join);
        self.lateness.merge(&other.lateness);
        self.first_word.merge(&other.first_word);
        self.busy_share = self.busy_share.max(other.busy_share);
        // There is one server: whoever else saw it saw the same, perhaps a moment later.
        self.server = match (self.server, other.server) {
            (Some(ours), Some(theirs)) => Some(Server {
                cores: ours.cores.max(theirs.cores),
                resident_bytes: ours.resident_bytes.max(theirs.resident_bytes),
            }),
            (ours, theirs) => ours.or(theirs),
        };
    }
}

impl Report {
    /// How long after its scheduled time a chunk may be complete: its cadence and [`GRACE`]. The longest, if the cadence changed.
    pub fn lateness_max(&self) -> Duration {
        let said = self.seconds.iter().map(|second| second.cadence_ms).max().unwrap_or(0);
        let cadence_ms = if said > 0 { said } else { self.plan.cadence_ms };
        Duration::from_millis(cadence_ms).saturating_add(GRACE)
    }

    /// Whether the server holds this crowd.
    pub fn verdict(&self) -> Verdict {
        let figures = self.figures();
        if !figures.generator_trusted() {
            Verdict::Doubtful
        } else if figures.shortfalls(self.plan.listeners).any() {
            Verdict::Fails
        } else {
            Verdict::Holds
        }
    }

    /// One flat object: what a bench prints, and what two rehearsals are compared by. What nothing is known of is `null`: times if nothing was timed,
    /// the share on time if no chunk came, the server's needs if it was not seen.
    pub fn summary(&self) -> Value {
        let figures = self.figures();
        let milliseconds = |time: Option<Duration>| time.map(|time| time.as_micros() as f64 / 1000.0);
        json!({
            "verdict": self.verdict().name(),
            "listeners_asked": self.plan.listeners,
            "listeners_max": figures.listeners_max,
            "joins": figures.joins,
            "joins_failed": figures.joins_failed,
            "join_ms_p50": milliseconds(figures.join.quantile(0.5)),
            "join_ms_p99": milliseconds(figures.join.quantile(0.99)),
            "joins_per_s_max": figures.joins_per_s_max,
            "chunks": figures.chunks,
            "chunks_lean": figures.chunks_lean,
            "on_time_percent": figures.on_time_percent(),
            "lateness_ms_p50": milliseconds(figures.lateness.quantile(0.5)),
            "lateness_ms_p99": milliseconds(figures.lateness.quantile(0.99)),
            "lateness_ms_max": milliseconds(figures.lateness.max()),
            "stalled_listener_seconds": figures.stalled,
            "stall_ms_p99": milliseconds(figures.stall.quantile(0.99)),
            "stall_ms_max": milliseconds(figures.stall.max()),
            "first_words": figures.first_word.count(),
            "first_words_early": figures.words_early,
            "first_word_ms_p50": milliseconds(figures.first_word.quantile(0.5)),
            "first_word_ms_p99": milliseconds(figures.first_word.quantile(0.99)),
            "first_word_ms_max": milliseconds(figures.first_word.max()),
            "faults": figures.faults,
            "bytes": figures.bytes,
            "server_cores_max": figures.server.map(|server| hundredths(server.cores)),
            "server_resident_bytes_max": figures.server.map(|server| server.resident_bytes),
            "generator_busy_percent_max": hundredths(figures.busy_share_max * 100.0),
            "generator_trusted": figures.generator_trusted(),
            "seconds": figures.seconds,
        })
    }

    /// One self-contained HTML page in Arabic and English, for whoever must decide whether the server will hold: a verdict, the figures, and what
    /// happened over time. Needs no network and no script, and is less than a megabyte however long the rehearsal was.
    pub fn page(&self) -> String {
        page::page(self)
    }

    fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for second in &self.seconds {
            figures.add(second);
        }
        figures.faults = self.faults.values().fold(0, |sum: u64, &count| sum.saturating_add(count));
        figures
    }
}

/// All seconds in one.
#[derive(Debug, Default)]
struct Figures {
    seconds: u64,
    listeners_max: u64,
    /// Seconds times listeners who were in at their end.
    listened: u64,
    joins: u64,
    joins_failed: u64,
    joins_per_s_max: u64,
    join: Histogram,
    chunks: u64,
    chunks_late: u64,
    chunks_lean: u64,
    lateness: Histogram,
    first_word: Histogram,
    words_early: u64,
    /// Seconds times listeners who had nothing to hear.
    stalled: u64,
    /// Of each listener, in all.
    stall: Histogram,
    /// The longest that anyone expected, and the shortest that was the longest in a second; 0 without listeners.
    cadence_ms: u64,
    cadence_ms_min: u64,
    bytes: u64,
    faults: u64,
    /// The most of each, not of the same second.
    server: Option<Server>,
    busy_share_max: f64,
    /// Seconds in which the generator was too busy.
    seconds_busy: u64,
}

impl Figures {
    fn add(&mut self, second: &Second) {
        self.seconds += 1;
        self.listeners_max = self.listeners_max.max(second.listening);
        self.joins_per_s_max = self.joins_per_s_max.max(second.joined);
        for (sum, one) in [
            (&mut self.listened, second.listening),
            (&mut self.joins, second.joined),
            (&mut self.joins_failed, second.failed),
            (&mut self.chunks, second.chunks),
            (&mut self.chunks_late, second.chunks_late),
            (&mut self.chunks_lean, second.chunks_lean),
            (&mut self.stalled, second.stalled),
            (&mut self.bytes, second.bytes),
            (&mut self.words_early, second.words_early),
        ] {
            *sum = sum.saturating_add(one);
        }
        self.join.merge(&second.join);
        self.lateness.merge(&second.lateness);
        self.first_word.merge(&second.first_word);
        self.stall.merge(&second.stall);
        self.cadence_ms = self.cadence_ms.max(second.cadence_ms);
        if second.cadence_ms > 0 && (self.cadence_ms_min == 0 || second.cadence_ms < self.cadence_ms_min) {
            self.cadence_ms_min = second.cadence_ms;
        }
        if let Some(server) = second.server {
            let most = self.server.get_or_insert_default();
            most.cores = most.cores.max(server.cores);
            most.resident_bytes = most.resident_bytes.max(server.resident_bytes);
        }
        self.busy_share_max = self.busy_share_max.max(second.busy_share);
        self.seconds_busy += u64::from(second.busy_share > BUSY_SHARE_MAX);
    }

    fn generator_trusted(&self) -> bool {
        self.seconds_busy == 0
    }

    /// Cut off after three digits, not rounded: 100 means all of them.
    fn on_time_percent(&self) -> Option<f64> {
        let on_time = u128::from(self.chunks.saturating_sub(self.chunks_late));
        (self.chunks > 0).then(|| (on_time * 100_000 / u128::from(self.chunks)) as f64 / 1000.0)
    }

    /// What went wrong so often that the server does not hold a crowd of `listeners`.
    fn shortfalls(&self, listeners: u64) -> Shortfalls {
        let beyond = |wrong: u64, all: u64| wrong as f64 > all as f64 * WRONG_SHARE_MAX;
        Shortfalls {
            outside: beyond(self.outside(listeners), listeners) || self.joins == 0,
            late: beyond(self.chunks_late, self.chunks),
            // A server that sends nothing sends nothing late.
            silent: beyond(self.stalled, self.listened) || self.chunks == 0,
            faulty: beyond(self.faults, listeners),
        }
    }

    /// How many of `listeners` did not get in: those who failed, or, if some were never heard of again, those who are missing. As who comes and goes
    /// joins more than once, what is missing says too little where many do.
    fn outside(&self, listeners: u64) -> u64 {
        listeners.saturating_sub(self.joins).max(self.joins_failed)
    }
}

/// What went wrong too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shortfalls {
    /// Listeners did not get in.
    outside: bool,
    /// Sound was late.
    late: bool,
    /// Listeners had nothing to hear.
    silent: bool,
    /// Something else, which [`Report::faults`] names.
    faulty: bool,
}

impl Shortfalls {
    fn any(self) -> bool {
        self.outside || self.late || self.silent || self.faulty
    }
}

/// As a person reads it.
fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
