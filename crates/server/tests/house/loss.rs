//! Speakers far away: the real server with a bad network between it and them (`rehearsal`'s relay).

use std::time::{Duration, Instant};

use hiwar_media::FRAME_SAMPLES;
use hiwar_media::opus::Encoder;
use hiwar_rehearsal::impairment::Network;
use hiwar_rehearsal::live::relay::{Relay, Ways};
use rtc::rtp_transceiver::RTCRtpTransceiverDirection::Sendrecv;

use crate::client::Client;
use crate::ear::{Ear, ogg, pcm, tone};
use crate::mouth::{Mouth, post};
use crate::server::{PATIENCE, Server};

/// Says a tone over a relay, 20 ms after 20 ms.
struct Caller {
    client: Client,
    relay: Relay,
    encoder: Encoder,
    frames: u32,
    due: Instant,
}

impl Caller {
    fn connect(server: &Server, space: &str, pass: &str, up: &str) -> Self {
        let mut client = Client::udp(Sendrecv);
        let offer = client.offer();
        let reply = post(server.stage, space, pass, &offer);
        assert_eq!(reply.status, 201, "{reply:?}");
        let ways = Ways { up: up.parse().unwrap(), down: Network::GOOD };
        let relay = Relay::start(server.media, ways, 20_261_126).unwrap();
        client.answer(&relay.answer(&reply.text()));
        client.run_until(|client| client.connected);
        Self { client, relay, encoder: Encoder::new(48_000).unwrap(), frames: 0, due: Instant::now() }
    }

    /// Speaks until `done`.
    fn speak_until(&mut self, hz: f32, what: &str, mut done: impl FnMut(&mut Client) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(&mut self.client) {
            assert!(Instant::now() < end, "waited too long: {what}");
            let at = |n: usize| f64::from(self.frames) * FRAME_SAMPLES as f64 + n as f64;
            let samples =
                std::array::from_fn(|n| 0.2 * (std::f64::consts::TAU * f64::from(hz) * at(n) / 48_000.0).sin() as f32);
            self.frames += 1;
            self.client.speak(self.encoder.encode(&samples).unwrap().as_slice());
            self.due += Duration::from_millis(20);
            let due = self.due;
            self.client.run_until(|_| Instant::now() >= due);
        }
    }
}

/// Whether half a second of what came back lately is mostly this tone.
fn hears(client: &Client, hz: f32) -> bool {
    let Some(recent) = client.heard.len().checked_sub(50).map(|from| &client.heard[from..]) else { return false };
    let samples = pcm(recent.iter().map(|(_, payload)| payload.as_slice()));
    samples.get(24_000..48_000).is_some_and(|half| tone(half, hz) > 0.6)
}

#[test]
fn a_speaker_who_changes_networks_in_mid_sentence_is_heard_and_hears() {
    let server = Server::start();
    let space = server.live("on the way");
    let ear = Ear::on(server.public, &format!("/listen/{}.ogg", space.id));
    let _host = Mouth::speak(server.stage, &space.id, &space.host_pass, 1000.0);
    let pass = server.speaker_pass(&space, "a phone");
    // One packet in five lost, and each late by its own amount: the phone leaves its WLAN.
    let mut phone = Caller::connect(&server, &space.id, &pass, "loss=20 jitter=30 order=free");
    phone.speak_until(440.0, "the host in the return", |client| hears(client, 1000.0));
    phone.relay.roam().unwrap();
    // The relay obeys in order: after this answer it carries by the new address only.
    phone.relay.counts().unwrap();
    phone.client.heard.clear();
    phone.speak_until(440.0, "the host in the return, at the new address", |client| hears(client, 1000.0));
    assert!(!phone.client.gone);
    let from = ear.bytes();
    let mut frames = 0;
    phone.speak_until(440.0, "three seconds more", |_| {
        frames += 1;
        frames > 150
    });
    // The host is as loud, so that it is less than half of what is heard.
    ear.body("the phone's voice, from its new address", |body| {
        let sound = ogg(body, from);
        sound.chunks_exact(24_000).any(|half| tone(half, 440.0) > 0.2).then_some(())
    });
    assert_eq!(server.view(&space)["speakers"].as_array().map(Vec::len), Some(2));
    let lost = phone.relay.counts().unwrap().0.lost;
    assert!(lost > 20, "the network lost {lost}");
}
