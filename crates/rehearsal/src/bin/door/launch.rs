//! A launch as it is asked for, in either world.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use clap::ValueEnum;
use hiwar_admission::door::timetable::Stays;
use hiwar_rehearsal::launch::moments::csv;
use hiwar_rehearsal::launch::{Addresses, Launch, Seen, Strategy, Wrong};
use hiwar_rehearsal::live::door::crowd::{self, Target};
use hiwar_rehearsal::world::{House, Played, play};
use serde_json::{Value, json};

/// Times of a clock: the house has been there before, and what is promised ends.
const OPENS_MS: Range<u64> = 60_000..1 << 48;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many people come
    #[arg(long, default_value_t = 60_000)]
    people: u32,
    /// How many places there are
    #[arg(long, default_value_t = 19_000)]
    cap: u32,
    /// Seconds within which they come
    #[arg(long, default_value_t = 60)]
    within: u64,
    /// Seconds to play
    #[arg(long, default_value_t = 2_000)]
    seconds: u64,
    /// Seconds that half of them stay longer than
    #[arg(long, default_value_t = 1_200)]
    median: u64,
    /// How many badly written programs
    #[arg(long, default_value_t = 200)]
    bots: u32,
    /// What those do with their tickets [default: one after the other each of these]
    #[arg(long, value_enum)]
    strategy: Option<Tickets>,
    /// How many come from behind one carrier's address
    #[arg(long, default_value_t = 200)]
    carried: u32,
    /// From addresses anywhere, instead of this machine's
    #[arg(long)]
    anywhere: bool,
    /// The same number is the same launch
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What is chance beside the launch: who is drawn when, and who meets which worker (simulated) [default: by the seed]
    #[arg(long)]
    luck: Option<u64>,
    /// A real door's file: the draw is that of its first crowd, and by chance no other (simulated)
    #[arg(long, value_name = "FILE")]
    draw_as: Option<PathBuf>,
    /// When the first comes, in milliseconds since 1970: who finds what is left over depends on it (simulated)
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(OPENS_MS))]
    opens_unix_ms: Option<u64>,
    /// How many are let in a second, at the most (simulated)
    #[arg(long, default_value_t = 2_000)]
    pace: u32,
    /// How many workers (simulated)
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// How many places the house believes that there are (simulated) [default: as many as there are]
    #[arg(long)]
    told: Option<u32>,
    /// Seconds that the house believes half of them to stay longer than (simulated)
    #[arg(long, default_value_t = 1_200)]
    stay_believed: u64,
    /// What is wrong on purpose
    #[arg(long, value_enum)]
    wrong: Option<AsAsked>,
    /// File for raw samples, a line for each visit
    #[arg(long)]
    raw: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tickets {
    /// They look for what others leave when they are told to
    AsTold,
    /// They show the first again and again
    KeepsFirst,
    /// One of them looks in each period
    Spreads,
    /// They keep them back until it is nearly their turn
    HoldsBack,
}

#[derive(Clone, Copy, ValueEnum)]
enum AsAsked {
    Linger,
    Vanish,
    Poll,
    Addresses,
    Scatter,
}

#[derive(clap::Args)]
pub(crate) struct AtServer {
    /// The stream: http://127.0.0.1:PORT/listen/SPACE.mp4
    url: String,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Whoever is cut off comes back
    #[arg(long)]
    returns: bool,
    /// File for what each second was
    #[arg(long)]
    moments: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

impl Options {
    fn launch(&self) -> Launch {
        let wrong = self.wrong.map(|wrong| match wrong {
            AsAsked::Linger => Wrong::Linger,
            AsAsked::Vanish => Wrong::Vanish,
            AsAsked::Poll => Wrong::Poll,
            AsAsked::Addresses => Wrong::Addresses,
            AsAsked::Scatter => Wrong::Scatter,
        });
        let strategy = self.strategy.map(|strategy| match strategy {
            Tickets::AsTold => Strategy::AsTold,
            Tickets::KeepsFirst => Strategy::KeepsFirst,
            Tickets::Spreads => Strategy::Spreads,
            Tickets::HoldsBack => Strategy::HoldsBack,
        });
        let addresses = if self.anywhere { Addresses::Anywhere } else { Addresses::Loopback };
        Launch {
            people: self.people,
            within: Duration::from_secs(self.within),
            bots: self.bots,
            strategy,
            carried: self.carried,
            median: Duration::from_secs(self.median),
            addresses,
            wrong,
            seed: self.seed,
            ..Launch::default()
        }
    }

    fn told(&self, seen: &Seen) -> Result<Value, String> {
        if let Some(file) = &self.raw {
            std::fs::write(file, seen.raw()).map_err(|why| format!("{}: {why}", file.display()))?;
        }
        serde_json::to_value(seen.figures()).map_err(|why| why.to_string())
    }
}

/// The random bytes of a door's file.
fn draws_by(file: &Path) -> Result<[[u8; 32]; 2], String> {
    let bytes = std::fs::read(file).map_err(|why| format!("{}: {why}", file.display()))?;
    let rest = bytes.strip_prefix(b"HIWARDR4").and_then(|rest| rest.split_first_chunk());
    let both = rest.and_then(|(root, rest)| Some([*root, *rest.first_chunk()?]));
    both.ok_or_else(|| format!("{} is no door's file", file.display()))
}

pub(crate) fn simulate(options: &Options) -> Result<Value, String> {
    let believed = Stays { median: Duration::from_secs(options.stay_believed), ..Stays::default() };
    let house = House {
        cap: options.cap,
        pace: options.pace,
        believed,
        workers: options.workers,
        told: options.told,
        draws_by: options.draw_as.as_deref().map(draws_by).transpose()?,
        opens: options.opens_unix_ms.map_or(House::default().opens, |ms| UNIX_EPOCH + Duration::from_millis(ms)),
        ..House::default()
    };
    let luck = options.luck.unwrap_or(options.seed);
    let Played { seen, bound_max, .. } =
        play(options.launch().visits(), house, Duration::from_secs(options.seconds), luck);
    let mut figures = options.told(&seen)?;
    figures["bound_max"] = json!(bound_max);
    Ok(figures)
}

pub(crate) fn crowd(at: &AtServer) -> Result<Value, String> {
    let target = Target::parse(&at.url).map_err(|why| why.to_string())?;
    let until = Duration::from_secs(at.options.seconds);
    let visits = at.options.launch().visits();
    let how = crowd::Options { threads: at.threads, returns: at.returns, looks: false };
    let (seen, moments) = crowd::run(&target, visits, at.options.cap, until, how).map_err(|why| why.to_string())?;
    if let Some(file) = &at.moments {
        std::fs::write(file, csv(&moments)).map_err(|why| format!("{}: {why}", file.display()))?;
    }
    let mut figures = at.options.told(&seen)?;
    figures["opens_unix_ms"] = json!(seen.opens.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64);
    figures["inside_max"] = json!(seen.inside_max());
    figures["untrue"] = json!(moments.values().map(|moment| moment.untrue).sum::<u64>());
    figures["crowd_late_ms_max"] = json!(moments.values().map(|moment| moment.late_ms).max());
    Ok(figures)
}
