//! The demo: a space that is always live, with a short conversation in Arabic and English, so that a newcomer hears
//! something at once and an operator can try every player.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hiwar_media::package::ogg;
use hiwar_segment_log::LogId;
use serde::Deserialize;

use crate::registry::{Guest, Registry};
use crate::studio::perform::{self, Performer};
use crate::studio::{Keep, Speaking, Studio, Voicing};

/// The demo's space.
const ID: &str = "demo";
/// The demo's log: long enough to try rewinding, short enough to forget on a small disk.
const KEEP: Duration = Duration::from_secs(3600);
/// Who is on its stage.
static CAST: &str = include_str!("../../assets/demo/speakers.toml");
/// What they say, one Ogg Opus file each, all of the same length.
static SOUNDS: &[(&str, &[u8])] = &[
    ("layla.ogg", include_bytes!("../../assets/demo/layla.ogg")),
    ("salim.ogg", include_bytes!("../../assets/demo/salim.ogg")),
    ("noor.ogg", include_bytes!("../../assets/demo/noor.ogg")),
];

/// `speakers.toml`.
#[derive(Deserialize)]
struct Cast {
    space: Titled,
    speaker: Vec<Voice>,
}

#[derive(Deserialize)]
struct Titled {
    title: Both,
}

#[derive(Deserialize)]
struct Voice {
    id: String,
    name: Both,
    sound: String,
}

/// Shown in both languages: the demo is the first thing that readers of either see.
#[derive(Deserialize)]
struct Both {
    ar: String,
    en: String,
}

impl Both {
    fn text(&self) -> String {
        format!("{} · {}", self.ar, self.en)
    }
}

/// Whether this data directory has had the demo before.
pub fn is_there(data: &Path) -> bool {
    data.join("spaces").join(ID).is_dir()
}

/// Removes what an earlier start with the demo left: a stage on which nobody would speak any more.
///
/// # Errors
/// Files that cannot be removed.
pub fn forget(data: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(data.join("spaces").join(ID)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

/// Puts the demo on the air.
pub async fn start(studio: &Studio, registry: &Registry) -> Result<(), String> {
    let space = LogId::parse(ID).map_err(|why| why.to_string())?;
    let cast: Cast = toml::from_str(CAST).map_err(|why| why.to_string())?;
    let guests: Vec<Guest> = cast.speaker.iter().map(|v| Guest { id: v.id.clone(), name: v.name.text() }).collect();
    let title = cast.space.title.text();
    registry.perform(space, &title, Keep::Window(KEEP), &guests).await.map_err(|why| why.to_string())?;
    let mut performers = Vec::with_capacity(cast.speaker.len());
    for voice in &cast.speaker {
        let file = SOUNDS.iter().find(|(name, _)| *name == voice.sound).ok_or("a voice without sound")?.1;
        let stream = ogg::frames(file).map_err(|why| format!("{}: {why:?}", voice.sound))?;
        let frames: Arc<[Box<[u8]>]> = stream.packets.into_iter().map(Vec::into_boxed_slice).collect();
        let who = Speaking {
            participant: voice.id.clone(),
            speaking_event: crate::api::speaking_event(&voice.id),
            voicing: Voicing::Open,
        };
        performers.push(Performer { who, frames });
    }
    perform::start(studio, space, performers).map_err(|why| format!("{why:?}"))
}

#[cfg(test)]
mod tests {
    use hiwar_media::opus::{Decoder, PACKET_SAMPLES_MAX};
    use hiwar_media::packet::Opus;

    use super::*;

    /// Longest silence that somebody may take for a pause between two who talk, in frames of 20 ms.
    const PAUSE_FRAMES: usize = 55;

    #[test]
    fn nobody_who_presses_just_then_hears_more_than_a_pause() {
        let mut together: Vec<Vec<f32>> = Vec::new();
        for (name, file) in SOUNDS {
            let packets = ogg::frames(file).expect("a whole file").packets;
            let (mut decoder, mut sound) = (Decoder::new().expect("memory"), [0.0; PACKET_SAMPLES_MAX]);
            together.resize(packets.len().max(together.len()), Vec::new());
            assert_eq!(together.len(), packets.len(), "{name} is as long as the others");
            for (frame, packet) in together.iter_mut().zip(&packets) {
                let count = decoder.decode(Opus::new(packet).expect("a packet"), &mut sound).expect("sound");
                frame.resize(count, 0.0);
                frame.iter_mut().zip(&sound).for_each(|(sum, sample)| *sum += sample);
            }
        }
        let is_silent = |frame: &Vec<f32>| {
            let power = frame.iter().map(|sample| sample * sample).sum::<f32>() / frame.len() as f32;
            power.sqrt() < 0.003
        };
        // Twice, for it begins anew when it is over.
        let (mut longest, mut now) = (0, 0);
        for frame in together.iter().chain(&together) {
            now = if is_silent(frame) { now + 1 } else { 0 };
            longest = longest.max(now);
        }
        assert!(longest <= PAUSE_FRAMES, "{} ms of silence", 20 * longest);
    }
}
