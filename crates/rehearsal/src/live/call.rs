//! One speaker who says a given sound over a given network: WHIP, with or without RED and in-band FEC, through a [`Relay`].
//!
//! Begins when a line comes on standard input, so that several can begin together. Then silence, until another line comes or the input ends.

use std::io::BufRead;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use hiwar_media::FRAME_SAMPLES;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::client::{Client, Copies};
use super::relay::{Relay, Ways};
use super::{Error, whip};
use crate::impairment::{Counts, Network};
use crate::voice::{Fec, Voice};

/// Time between two packets.
const FRAME: Duration = Duration::from_millis(20);
/// How long a connection may take: the server gives up after 15 s.
const CONNECT_WAIT: Duration = Duration::from_secs(20);
/// The client is told the time this often.
const TICK: Duration = Duration::from_millis(10);
/// Longest sound: an hour.
const SOUND_BYTES_MAX: u64 = 3600 * 48_000 * 2;

/// What they are told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// WHIP endpoint, `http://HOST:PORT/whip/SPACE`
    #[arg(long)]
    whip: String,
    /// A pass to speak
    #[arg(long)]
    pass: String,
    /// What they say: 16-bit little-endian mono samples at 48 kHz
    #[arg(long)]
    sound: PathBuf,
    /// Copies of earlier packets in each (RED); without, RED is not offered
    #[arg(long)]
    red: Option<usize>,
    /// Percent of loss that in-band FEC is for; without, there is none
    #[arg(long)]
    fec: Option<i32>,
    /// The network on the way to the stage, such as `loss=10 jitter=60` (see `impairment::Network`)
    #[arg(long, default_value = "")]
    up: String,
    /// The network on the way back
    #[arg(long, default_value = "")]
    down: String,
    /// Seed of both
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much faster than ours their clock runs, in parts per million
    #[arg(long, default_value_t = 0.0)]
    ppm: f64,
    /// They change networks every so many seconds
    #[arg(long)]
    roam: Option<u64>,
}

/// Lets them speak. Says `{"event":"connected"}` when they are there, `{"event":"speaking"}` when they begin; returns what was sent and what the network did to it.
///
/// # Errors
/// They are refused or do not connect, or the world breaks.
pub fn run(options: &Options) -> Result<Value, Error> {
    let url = whip::Url::parse(&options.whip).ok_or(Error::Asked("--whip must be http://HOST:PORT/PATH"))?;
    let network = |text: &str| {
        text.parse::<Network>()
            .map_err(|_| Error::Asked("--up and --down describe networks, such as `loss=10 jitter=60`"))
    };
    let ways = Ways { up: network(&options.up)?, down: network(&options.down)? };
    let fec = options.fec.map_or(Fec::Off, Fec::For);
    let voice =
        Voice::saying(&samples(&options.sound)?, fec).map_err(|why| Error::Voice(options.sound.clone(), why))?;
    let silence = Voice::saying(&[0.0; 50 * FRAME_SAMPLES], fec).map_err(|why| Error::Voice(PathBuf::new(), why))?;

    let mut client =
        Client::new(IpAddr::from([127, 0, 0, 1]), 0x5100_0000, options.red.map_or(Copies::None, Copies::Of))?;
    let offer = client.offer()?;
    let began = Instant::now();
    let (session, answer) = whip::publish(&url, &options.pass, &offer)?;
    let server =
        whip::udp_candidate(&answer).ok_or_else(|| Error::Refused("an answer without a UDP candidate".into()))?;
    // The client's library does not send its first flight of DTLS again when that is lost, as browsers do; so the network is good until it is connected.
    let relay = Relay::start(server, Ways { up: Network::GOOD, down: Network::GOOD }, options.seed)?;
    client.answer(relay.answer(&answer))?;
    while !client.connected {
        if client.gone || began.elapsed() > CONNECT_WAIT {
            return Err(Error::NotConnected(1));
        }
        turn(&mut client, Instant::now() + TICK)?;
    }
    relay.change(ways);
    println!("{}", json!({"event": "connected", "connect_ms": began.elapsed().as_millis() as u64}));
    let late = perform(&mut client, &relay, options, [&silence, &voice])?;
    // The other side may be gone by now; that is no failure of a call.
    let left = whip::leave(&url, &options.pass, &session).is_ok();
    let (up, down) = relay.counts().unwrap_or_default();
    Ok(json!({
        "event": "done",
        "sent": client.tally.sent,
        "returns": client.tally.heard,
        "gone": client.gone,
        "left": left,
        "fec_share": (voice.fec_share() * 1e3).round() / 1e3,
        "late_us_max": u64::try_from(late.as_micros()).unwrap_or(u64::MAX),
        "up": told(up),
        "down": told(down),
    }))
}

/// Silence, the sound, silence. Returns how late the latest packet was.
fn perform(
    client: &mut Client,
    relay: &Relay,
    options: &Options,
    [silence, voice]: [&Voice; 2],
) -> Result<Duration, Error> {
    let lines = lines();
    super::hurry();
    let begin = Instant::now();
    // A clock that is fast says 20 ms sooner.
    let apart = FRAME.div_f64(1.0 + options.ppm * 1e-6);
    let (mut frame, mut speaks_from, mut late) = (0_u32, None, Duration::ZERO);
    let mut roams = 0;
    loop {
        let due = begin + apart.mul_f64(f64::from(frame));
        while Instant::now() < due {
            turn(client, due)?;
        }
        let now = Instant::now();
        late = late.max(now - due);
        match (lines.try_recv(), speaks_from) {
            (Ok(()), None) => {
                speaks_from = Some(frame);
                println!("{}", json!({"event": "speaking"}));
            }
            (Ok(()), Some(_)) | (Err(TryRecvError::Disconnected), _) => return Ok(late),
            (Err(TryRecvError::Empty), _) => {}
        }
        let said = speaks_from.map(|from| u64::from(frame - from));
        let payload = match said {
            Some(said) if said < voice.frames() => voice.packet(said),
            _ => silence.packet(u64::from(frame)),
        };
        client.speak(now, payload);
        if let (Some(said), Some(every)) = (said, options.roam.filter(|every| *every > 0))
            && said / 50 / every > roams
        {
            roams += 1;
            relay.roam()?;
        }
        frame += 1;
    }
}

/// Takes what comes until `due`, or once.
fn turn(client: &mut Client, due: Instant) -> Result<(), Error> {
    let wait = due.saturating_duration_since(Instant::now()).min(TICK);
    let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
    match poll(&mut [PollFd::new(client.socket(), PollFlags::IN)], Some(&wait)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(why) => return Err(Error::World("waiting for returns", why.into())),
    }
    let now = Instant::now();
    client.receive(now);
    client.tick(now);
    Ok(())
}

/// Each line of standard input; ends with it.
fn lines() -> Receiver<()> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || tell.send(()).is_err() {
                return;
            }
        }
    });
    told
}

/// 16-bit little-endian mono samples.
pub(super) fn samples(file: &Path) -> Result<Vec<f32>, Error> {
    let doing = |why| Error::World("reading a sound", why);
    if std::fs::metadata(file).map_err(doing)?.len() > SOUND_BYTES_MAX {
        return Err(Error::Asked("--sound is longer than an hour"));
    }
    let bytes = std::fs::read(file).map_err(doing)?;
    Ok(bytes.as_chunks().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0).collect())
}

fn told(counts: Counts) -> Value {
    let Counts { taken, lost, twice, overtaken, full } = counts;
    json!({"taken": taken, "lost": lost, "twice": twice, "overtaken": overtaken, "full": full})
}
