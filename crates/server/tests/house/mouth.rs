//! A speaker: the `rtc` crate over WHIP, saying one tone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hiwar_media::FRAME_SAMPLES;
use hiwar_media::opus::Encoder;
use rtc::rtp_transceiver::RTCRtpTransceiverDirection::Sendrecv;

use crate::client::Client;
use crate::ear::pcm;
use crate::http::{Reply, ask};
use crate::server::{PATIENCE, until};

/// The headers of a WHIP POST.
pub(crate) fn post(stage: SocketAddr, space: &str, pass: &str, offer: &str) -> Reply {
    let bearer = format!("Bearer {pass}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/sdp")];
    ask(stage, "POST", &format!("/whip/{space}"), &headers, offer.as_bytes())
}

/// Speaks on a thread of its own until it is dropped.
pub(crate) struct Mouth {
    shared: Arc<Shared>,
    pub(crate) location: String,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    gone: AtomicBool,
    heard: Mutex<Vec<Vec<u8>>>,
}

impl Mouth {
    /// Publishes by WHIP, waits for the connection, and begins.
    pub(crate) fn speak(stage: SocketAddr, space: &str, pass: &str, hz: f32) -> Self {
        let shared = Arc::<Shared>::default();
        let (ready, began) = mpsc::channel();
        let (space, pass, mine) = (space.to_owned(), pass.to_owned(), shared.clone());
        let thread = std::thread::spawn(move || {
            let mut client = Client::udp(Sendrecv);
            let offer = client.offer();
            let reply = post(stage, &space, &pass, &offer);
            assert_eq!(reply.status, 201, "{reply:?}");
            client.answer(&reply.text());
            client.run_until(|client| client.connected);
            ready.send(reply.header("location").expect("a location").to_owned()).unwrap();
            run(&mut client, hz, &mine);
        });
        let location = began.recv_timeout(PATIENCE).expect("a connection");
        Self { shared, location, thread: Some(thread) }
    }

    /// Waits until half a second of what comes back satisfies.
    pub(crate) fn hears(&self, what: &str, good: impl Fn(&[f32]) -> bool) {
        until(what, || {
            let heard = self.shared.heard.lock().unwrap();
            let recent = heard.get(heard.len().checked_sub(50)?..)?;
            let samples = pcm(recent.iter().map(Vec::as_slice));
            // The first frames are the decoder finding its feet.
            samples.get(24_000..).filter(|half| good(half)).map(drop)
        });
    }

    /// The server sends nothing any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.shared.gone.load(Relaxed)
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("a speaker failed");
        }
    }
}

/// Nothing for so long is no jitter.
const SILENCE: Duration = Duration::from_secs(1);

fn run(client: &mut Client, hz: f32, shared: &Shared) {
    let mut encoder = Encoder::new(48_000).expect("an encoder");
    let mut due = Instant::now();
    let mut last_heard: Option<Instant> = None;
    let mut frames = 0_u32;
    while !shared.stop.load(Relaxed) {
        let mut samples = [0.0; FRAME_SAMPLES];
        for (n, sample) in samples.iter_mut().enumerate() {
            let at = f64::from(frames) * FRAME_SAMPLES as f64 + n as f64;
            *sample = 0.2 * (std::f64::consts::TAU * f64::from(hz) * at / 48_000.0).sin() as f32;
        }
        frames += 1;
        if !client.gone {
            client.speak(encoder.encode(&samples).expect("sound").as_slice());
        }
        due += Duration::from_millis(20);
        // Between two frames the client reads its socket, which is what waits.
        client.run_until(|_| Instant::now() >= due);
        if !client.heard.is_empty() {
            last_heard = Some(due);
        }
        // The `rtc` crate does not tell of a peer's close_notify; a server that is there sends a frame every 20 ms.
        let left = last_heard.is_some_and(|at| due.saturating_duration_since(at) > SILENCE);
        shared.gone.store(client.gone || left, Relaxed);
        let mut heard = shared.heard.lock().unwrap();
        heard.extend(client.heard.drain(..).map(|(_, payload)| payload));
    }
    if !client.gone {
        client.leave();
    }
}
