//! The command line: what a person can ask of `hiwar`, and nothing of how it is done.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Hiwar: live audio conversations that start on time.
#[derive(Debug, Parser)]
#[command(name = "hiwar", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The things `hiwar` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine: the house, the crowd workers and the stage port.
    Serve(Box<Serve>),
    /// Look at the log of a space.
    #[command(subcommand)]
    Log(Log),
    /// Check what a server said of a draw at its door.
    #[command(subcommand)]
    Draw(Draw),
    /// Take the diary of a door with you, or check one.
    #[command(subcommand)]
    Door(Door),
    /// Ask something of this machine's server, which may be running.
    #[command(subcommand)]
    Admin(Admin),
    /// Have a crowd come, before people do.
    #[command(subcommand)]
    Rehearse(Rehearse),
    /// Started by `serve`; not for people.
    #[command(hide = true)]
    Child,
}

/// Options of `hiwar serve`. What is given here wins over the configuration file, and of an option given twice the last.
#[derive(Debug, Default, Args)]
#[command(args_override_self = true)]
pub struct Serve {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory that holds everything: keys, spaces, recordings [default: data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The name that people will type, for example talk.example. Serves everyone: HTTPS on port 443 with a certificate that is obtained automatically, the
    /// stage on 8081, WebRTC on 8082, and port 80 sends people on to HTTPS.
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Address for the public: pages and listeners [default: 127.0.0.1:8080; with --host, port 443 of every address]
    #[arg(long, value_name = "ADDR")]
    pub public: Option<SocketAddr>,
    /// Address for hosts and speakers [default: 127.0.0.1:8081; with --host, port 8081 of every address]
    #[arg(long, value_name = "ADDR")]
    pub stage: Option<SocketAddr>,
    /// Address of plain HTTP, from where people are sent on to HTTPS [default: with --host, port 80 of every address]
    #[arg(long, value_name = "ADDR")]
    pub redirect: Option<SocketAddr>,
    /// What this server may send, in Mbit/s: at the start it says how many can listen, and before it is reached sound comes at a lower bitrate.
    #[arg(long, value_name = "N")]
    pub egress_mbps: Option<u32>,
    /// Certificate chain (PEM): the public port and the stage port then speak HTTPS. Read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Private key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// First UDP and TCP port for WebRTC; 0 picks any [default: 8082]
    #[arg(long, value_name = "PORT")]
    pub media_port: Option<u16>,
    /// Crowd workers [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Say whether the configuration can be used, and do nothing else.
    #[arg(long)]
    pub check: bool,
    /// Keep a conversation in Arabic and English always live (the default on a fresh data directory).
    #[arg(long, conflicts_with = "no_demo")]
    pub demo: bool,
    /// No demo conversation, also on a fresh data directory.
    #[arg(long)]
    pub no_demo: bool,
}

/// Options of `hiwar log`.
#[derive(Debug, Subcommand)]
pub enum Log {
    /// Read every record of a log and name what is damaged, by position.
    Verify {
        /// The log's directory, for example data/spaces/demo/log
        dir: PathBuf,
    },
    /// Make a file of a log: to be played, or to be read by programs. Also of one that is being written, or is damaged.
    Export(Export),
}

/// Options of `hiwar log export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The log's directory, for example data/spaces/demo/log
    pub dir: PathBuf,
    /// The file to make; - is the standard output [default: the conversation's id and the format, here]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What to make of it [default: as the file is called, else mp4]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Put the bytes of every record into the lines too (jsonl), in Base64.
    #[arg(long)]
    pub payload: bool,
    /// The title in the file [default: the conversation's]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// What a log can be made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The sound as fragmented MP4, as in a replay.
    Mp4,
    /// The sound as Ogg, as in a replay.
    Ogg,
    /// One line of JSON for each record, and for each damaged range.
    Jsonl,
}

/// Options of `hiwar draw`.
#[derive(Debug, Subcommand)]
pub enum Draw {
    /// Draw again by the public record of a draw, and say what holds of it. Needs no server, and no key.
    Verify(DrawVerify),
}

/// Options of `hiwar draw verify`.
#[derive(Debug, Args)]
pub struct DrawVerify {
    /// The record, as `/api/spaces/v1/spaces/ID/draws/0` gives it.
    pub file: PathBuf,
    /// Your own ticket, as your browser or player had it: says whether it was drawn, and which place came of it.
    #[arg(long, value_name = "TICKET")]
    pub ticket: Option<String>,
    /// What the server had committed to, as you read it before the draw.
    #[arg(long, value_name = "HEX")]
    pub commitment: Option<String>,
    /// The key of the server, as it says it in /api/spaces/v1/spaces/ID/draws.
    #[arg(long, value_name = "HEX")]
    pub key: Option<String>,
    /// Also print every listed ticket in order: its rank, how many seconds after the draw its place was to be free, what stands for its network, its round, and which of its network's it is there.
    #[arg(long)]
    pub list: bool,
}

/// Options of `hiwar door`.
#[derive(Debug, Subcommand)]
pub enum Door {
    /// Make two files of a door's diary: its lines, for programs and for `hiwar door verify`, and beside them a page for people, in Arabic and English.
    Export(DoorExport),
    /// Read a diary and say whether anything in it was changed, left out or put in. Needs no server.
    Verify(DoorVerify),
}

/// Options of `hiwar door export`.
#[derive(Debug, Args)]
pub struct DoorExport {
    /// The conversation's id.
    pub space: String,
    /// The folder to put them into: SPACE.diary.jsonl and SPACE.diary.html [default: here]
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace files that are there.
    #[arg(long)]
    pub force: bool,
    /// Which server.
    #[command(flatten)]
    pub place: Place,
}

/// Options of `hiwar door verify`.
#[derive(Debug, Args)]
pub struct DoorVerify {
    /// The lines, as `hiwar door export` makes them.
    pub file: PathBuf,
    /// The key of the server, as it says it in /api/spaces/v1/spaces/ID/draws.
    #[arg(long, value_name = "HEX")]
    pub key: Option<String>,
}

/// Options of `hiwar admin`.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Print a new link to create and host conversations with, good for a year.
    HostLink(Place),
    /// Print a grant to rehearse this server with: `hiwar rehearse` joins no server that does not prove that it issued one.
    RehearsalGrant(RehearsalGrant),
    /// Change how much sound a listener is sent at once, while people listen: more of it costs less, and everybody hears a little later.
    Cadence(Cadence),
    /// Change at which bitrate listeners are sent sound, while people listen: half of it takes half of the line, and sounds less fine.
    Bitrate(Bitrate),
    /// Print a link to the operator's live page: how many come, wait and listen, how crowded it is and why. Good for twelve hours.
    WatchLink(Place),
    /// Say how crowded it is, why, and what was ordered.
    Level(Place),
    /// Keep everybody at a level of the ladder, whatever is felt (docs/operate/crowded.md).
    Pin(Order),
    /// Let pressure go no higher than a level of the ladder.
    Cap(Order),
    /// The panic switch: whoever comes from now on is treated as at level 4 (the delayed stream) or 5 (no place). For whoever listens nothing changes.
    Panic(Order),
    /// Change how many may listen to a conversation at a time, where there are doors. Whoever is inside stays.
    Places(Places),
    /// Have the keys of passes to listen and of places at doors replaced when the server is stopped and started next. What they signed until then stays good until the rotation after that.
    RotateKeys(Place),
    /// Take somebody out of the recording of a conversation that is over: their voice, their name, and what is said of them inside the sound. Everything is
    /// mixed again without them, which needs the speakers' tracks; what they said is deleted.
    Withdraw(Withdraw),
}

/// Options of `hiwar admin withdraw`.
#[derive(Debug, Args)]
pub struct Withdraw {
    /// The conversation's id.
    pub space: String,
    /// Who: ids in the conversation, or names that they had on its stage.
    #[arg(required = true, num_args = 1..=20, value_name = "PARTICIPANT")]
    pub who: Vec<String>,
    /// Which server.
    #[command(flatten)]
    pub place: Place,
}

/// Options of `hiwar admin cadence`.
#[derive(Debug, Args)]
pub struct Cadence {
    /// Milliseconds: 200, 400, 1000, 2000 or 4000; or auto: 200 until there are too many. Without it, says how it is.
    #[arg(value_parser = ["auto", "200", "400", "1000", "2000", "4000"])]
    pub wish: Option<String>,
    /// Which server.
    #[command(flatten)]
    pub place: Place,
}

/// Options of `hiwar admin pin`, `cap` and `panic`.
#[derive(Debug, Args)]
pub struct Order {
    /// A level, 0 to 5; for panic 4 or 5; or off. Without it, says how it is.
    #[arg(value_parser = ["off", "0", "1", "2", "3", "4", "5"])]
    pub level: Option<String>,
    /// Who orders it, why, and for how long.
    #[command(flatten)]
    pub signed: Signed,
    /// Which server.
    #[command(flatten)]
    pub place: Place,
}

/// Options of `hiwar admin places`.
#[derive(Debug, Args)]
pub struct Places {
    /// The conversation's id.
    pub space: String,
    /// How many may listen; or off: as configured.
    pub places: String,
    /// Who orders it, why, and for how long.
    #[command(flatten)]
    pub signed: Signed,
    /// Which server.
    #[command(flatten)]
    pub place: Place,
}

/// Who orders something, why, and for how long.
#[derive(Debug, Args)]
pub struct Signed {
    /// For so long; without it, it stands until it is lifted.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_080))]
    pub minutes: Option<u32>,
    /// Why: kept with the order, for whoever asks later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// Who you are [default: the user of this terminal]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

/// Options of `hiwar admin bitrate`.
#[derive(Debug, Args)]
pub struct Bitrate {
    /// kbit/s: 32 or 16; or auto: 32 until there are too many, or the line is full. Without it, says how it is.
    #[arg(value_parser = ["auto", "32", "16"])]
    pub wish: Option<String>,
    /// Which server.
    #[command(flatten)]
    pub place: Place,
}

/// Options of `hiwar admin rehearsal-grant`.
#[derive(Debug, Args)]
pub struct RehearsalGrant {
    /// Which server.
    #[command(flatten)]
    pub place: Place,
    /// How many listeners may be there at once, for each machine that plays them.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub listeners: u32,
    /// For how long from now; a day at most.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub minutes: u32,
}

/// Where the server is that something is asked of.
#[derive(Debug, Args)]
pub struct Place {
    /// Configuration file of the server [default: /etc/hiwar/hiwar.toml if there is one and --data is not given]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data directory of the server.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// Options of `hiwar rehearse`.
#[derive(Debug, Subcommand)]
pub enum Rehearse {
    /// Listeners: they join, hear, and check every byte. Only at a server that has granted it; this machine's own grants it by itself.
    Listen(Box<RehearseListen>),
    /// A launch at this machine's own server: more people than there are places come to the door, wait as they are told, listen, and go; and some ask again and again.
    Crowd(Box<RehearseCrowd>),
}

/// Options of `hiwar rehearse crowd`.
#[derive(Debug, Args)]
pub struct RehearseCrowd {
    /// The stream of a conversation that is live and has a door, at loopback, whose addresses the crowd has: `http://127.0.0.1:8080/listen/demo.mp4`
    pub url: String,
    /// The grant that the server's operator made with `hiwar admin rehearsal-grant` [default: for this machine's own server none is needed]
    #[arg(long, value_name = "TOKEN", env = "HIWAR_REHEARSAL_GRANT", hide_env_values = true)]
    pub grant: Option<String>,
    /// This machine's own server.
    #[command(flatten)]
    pub place: Place,
    /// How many places there are, as the server is told (`[door] places`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub places: u32,
    /// How many people come
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub people: u32,
    /// Seconds within which they come, most of them at the beginning
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub within: u64,
    /// Seconds that it lasts
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    pub seconds: u64,
    /// Minutes that half of those inside stay longer than: as the server is told (`[door] stay_minutes`), or promises are about others
    #[arg(long, value_name = "MIN", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    pub stay_minutes: u64,
    /// How many of them are badly written programs, which ask a hundred times each [default: one in three hundred]
    #[arg(long, value_name = "N")]
    pub bots: Option<u32>,
    /// How many of them come from behind one address [default: one in three hundred]
    #[arg(long, value_name = "N")]
    pub carried: Option<u32>,
    /// Threads to play them with, at least: more than these if one may not open enough files
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    /// Directory for report.html, report.json, and raw samples: visits.csv and seconds.csv
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// The same number is the same crowd
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Options of `hiwar rehearse listen`.
#[derive(Debug, Args)]
pub struct RehearseListen {
    /// The stream of a conversation that is live, for example `https://talk.example/listen/demo.mp4`
    pub url: String,
    /// The grant that the server's operator made with `hiwar admin rehearsal-grant` [default: for this machine's own server none is needed]
    #[arg(long, value_name = "TOKEN", env = "HIWAR_REHEARSAL_GRANT", hide_env_values = true)]
    pub grant: Option<String>,
    /// This machine's own server.
    #[command(flatten)]
    pub place: Place,
    /// The crowd.
    #[command(flatten)]
    pub crowd: hiwar_rehearsal::live::listen::Options,
}
