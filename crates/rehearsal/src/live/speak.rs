//! Many speakers in one process and one thread, each on its own absolute 20 ms schedule.
//!
//! Their schedules are spread over the 20 ms, as those of people who do not know each other are: a server that is woken once for all of them would
//! look cheaper than it is.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::client::{Client, Copies};
use super::{Error, call, heard, talkers, whip};
use crate::voice::{Fec, Muting, Voice};

/// Time between two packets of a speaker.
const FRAME: Duration = Duration::from_millis(20);
/// A connection takes a tenth of a second; this many take turns in being answered.
const CONNECT_WAIT: Duration = Duration::from_secs(30);
/// Clients are told the time this often.
const TICK: Duration = Duration::from_millis(100);
/// Returns are read this often: nobody hears them, and reading each as it comes would cost a wake-up. Of more than [`FEW`] speakers less often, down to once
/// for each return, as most sockets would be found empty.
const READ: Duration = Duration::from_millis(5);
const FEW: usize = 20;

/// What they are told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// WHIP endpoints, `http://HOST:PORT/whip/SPACE`
    #[arg(long = "whip", required = true, num_args = 1..)]
    whips: Vec<String>,
    /// One pass for each speaker: those of the first space, then as many of the second, and so on
    #[arg(long = "pass", required = true, num_args = 1..)]
    passes: Vec<String>,
    /// How many in each space talk; the others are muted
    #[arg(long, default_value_t = 6)]
    talking: usize,
    /// What the muted send: `silence` or `dtx`
    #[arg(long, default_value = "silence")]
    muted: String,
    /// Ogg Opus files with speech
    #[arg(long = "voice", num_args = 1..)]
    voices: Vec<PathBuf>,
    /// Instead of voices, what each of them says, once: 16-bit little-endian mono samples at 48 kHz, a file for each speaker
    #[arg(long = "sound", num_args = 1.., conflicts_with = "voices")]
    sounds: Vec<PathBuf>,
    /// Directory for what each of them hears, and when it was sent to them: speaker-N.s16 and .points
    #[arg(long)]
    heard: Option<PathBuf>,
    /// Seconds to speak, from when all are connected
    #[arg(long)]
    seconds: u64,
    /// Tell so often, in seconds, how it went since
    #[arg(long)]
    tell: Option<u64>,
}

struct Speaker {
    client: Client,
    voice: Voice,
    next: Instant,
    frame: u64,
    url: whip::Url,
    pass: String,
    session: String,
    /// When they asked to come, in seconds of CLOCK_MONOTONIC.
    asked_s: f64,
}

/// Lets them speak. Says `{"event":"connected"}` when all are there; returns what they sent and heard.
///
/// # Errors
/// Somebody is refused or does not connect, or the world breaks.
pub fn run(options: &Options) -> Result<Value, Error> {
    let urls = options.whips.iter().map(|url| whip::Url::parse(url)).collect::<Option<Vec<_>>>();
    let urls = urls.ok_or(Error::Asked("--whip must be http://HOST:PORT/PATH"))?;
    let muting = match options.muted.as_str() {
        "silence" => Muting::Silence,
        "dtx" => Muting::Dtx,
        _ => return Err(Error::Asked("--muted is silence or dtx")),
    };
    let count = options.passes.len();
    let each = count / urls.len();
    if !count.is_multiple_of(urls.len()) {
        return Err(Error::Asked("give as many passes for each space"));
    }
    let talking = options.talking.min(each);
    let said = match &*options.sounds {
        [] => talkers(&options.voices, talking * urls.len())?,
        sounds => sounds.iter().map(|sound| saying(sound)).collect::<Result<_, _>>()?,
    };
    let talking = if options.sounds.is_empty() { talking } else { each };
    let muted = Voice::muted(muting).map_err(|why| Error::Voice(PathBuf::new(), why))?;
    let mut said = said.into_iter();
    let voices: Vec<Voice> = (0..count)
        .map(|n| {
            if n % each < talking { said.next() } else { None }.unwrap_or_else(|| muted.clone().begun_at(n as u64))
        })
        .collect();
    let mut cast = Vec::with_capacity(count);
    for (number, (pass, voice)) in options.passes.iter().zip(voices).enumerate() {
        let url = urls[number / each].clone();
        let mut client = Client::new(IpAddr::from([127, 0, 0, 1]), 0x5000_0000 + number as u32, Copies::None)?;
        if let Some(folder) = &options.heard {
            client.note(folder, &format!("speaker-{number}"))?;
        }
        let offer = client.offer()?;
        let asked_s = heard::now_s();
        let (session, answer) = whip::publish(&url, pass, &offer)?;
        client.answer(answer)?;
        cast.push(Speaker { client, voice, next: Instant::now(), frame: 0, url, pass: pass.clone(), session, asked_s });
        // The server gives up on a client that does not come; those who wait for the others are kept going.
        turn(&mut cast, Duration::ZERO)?;
    }
    let end = Instant::now() + CONNECT_WAIT;
    while !cast.iter().all(|speaker| speaker.client.connected) {
        if Instant::now() > end {
            return Err(Error::NotConnected(cast.iter().filter(|speaker| !speaker.client.connected).count()));
        }
        turn(&mut cast, Duration::from_millis(5))?;
    }
    let asked_s: Vec<f64> = cast.iter().map(|speaker| speaker.asked_s).collect();
    let sessions: Vec<&str> = cast.iter().map(|speaker| &*speaker.session).collect();
    println!("{}", json!({"event": "connected", "speakers": count, "asked_s": asked_s, "sessions": sessions}));
    let tell = options.tell.map(Duration::from_secs);
    let late = perform(&mut cast, Duration::from_secs(options.seconds), tell)?;
    for speaker in &mut cast {
        speaker.client.close()?;
        whip::leave(&speaker.url, &speaker.pass, &speaker.session)?;
    }
    Ok(told("done", &cast, late))
}

/// What all of them sent and heard so far, and how late the latest packet was.
fn told(event: &str, cast: &[Speaker], late: Duration) -> Value {
    let sum = |of: fn(&Speaker) -> u64| cast.iter().map(of).sum::<u64>();
    json!({
        "event": event,
        "speakers": cast.len(),
        "sent": sum(|s| s.client.tally.sent),
        "returns": sum(|s| s.client.tally.heard),
        "returns_bytes": sum(|s| s.client.tally.heard_bytes),
        "returns_lost": sum(|s| s.client.tally.lost),
        "gone": cast.iter().filter(|s| s.client.gone).count(),
        "late_us_max": u64::try_from(late.as_micros()).unwrap_or(u64::MAX),
    })
}

/// A voice that says a sound.
fn saying(sound: &Path) -> Result<Voice, Error> {
    Voice::saying(&call::samples(sound)?, Fec::For(10)).map_err(|why| Error::Voice(sound.to_owned(), why))
}

/// Everybody takes what came and lets time pass.
fn turn(cast: &mut [Speaker], wait: Duration) -> Result<(), Error> {
    await_any(cast, wait)?;
    let now = Instant::now();
    for speaker in cast {
        speaker.client.receive(now);
        speaker.client.tick(now);
    }
    Ok(())
}

/// Returns how late the latest packet was: of all, or since it was last told.
fn perform(cast: &mut [Speaker], time: Duration, tell: Option<Duration>) -> Result<Duration, Error> {
    let begin = Instant::now();
    let apart = FRAME / u32::try_from(cast.len()).unwrap_or(1);
    let mut first = begin;
    for speaker in cast.iter_mut() {
        speaker.next = first;
        first += apart;
    }
    // A frame is handed over when its last sample has been spoken.
    let spoke_s = heard::now_s() - begin.elapsed().as_secs_f64() - FRAME.as_secs_f64();
    let began_s: Vec<_> = cast.iter().map(|one| spoke_s + (one.next - begin).as_secs_f64()).collect();
    println!("{}", json!({"event": "speaking", "began_s": began_s}));
    let (mut tick, mut read, mut tell_at) = (begin, begin, begin + tell.unwrap_or(time + TICK));
    let read_every = READ * u32::try_from(cast.len() / FEW).unwrap_or(4).clamp(1, 4);
    let mut late = Duration::ZERO;
    loop {
        let now = Instant::now();
        if now >= begin + time {
            return Ok(late);
        }
        if now >= tell_at {
            println!("{}", told("so-far", cast, late));
            tell_at = now + tell.unwrap_or(time);
            late = Duration::ZERO;
        }
        for speaker in cast.iter_mut() {
            while speaker.next <= now {
                late = late.max(now - speaker.next);
                speaker.client.speak(now, speaker.voice.packet(speaker.frame));
                speaker.next += FRAME;
                speaker.frame += 1;
            }
        }
        if now >= tick {
            cast.iter_mut().for_each(|speaker| speaker.client.tick(now));
            tick = now + TICK;
        }
        if now >= read {
            cast.iter_mut().for_each(|speaker| speaker.client.receive(now));
            read = now + read_every;
        }
        let next = cast.iter().map(|speaker| speaker.next).min().unwrap_or(now);
        super::wait_until(next);
    }
}

fn await_any(cast: &[Speaker], wait: Duration) -> Result<(), Error> {
    let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
    let mut sockets: Vec<_> = cast.iter().map(|speaker| PollFd::new(speaker.client.socket(), PollFlags::IN)).collect();
    match poll(&mut sockets, Some(&wait)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(why) => Err(Error::World("waiting for returns", why.into())),
    }
}
