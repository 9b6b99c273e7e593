//! Who is speaking: from the sound itself.
//!
//! Per speaker a smoothed level and the level of their room; they *speak* when the one is well over the other. Among those who do, the one who has been
//! loudest for a moment is the *active speaker*; who has the floor keeps it against a cough. Runs on the beat.

use super::Level;

/// Below this nobody speaks, however quiet their room: dBov.
const SPEECH_MIN_DB: f32 = -50.0;

/// How far speech stands out of the room's noise, dB.
const OVER_NOISE_DB: f32 = 9.0;

/// The room's noise is found at once when it is quieter, and rises by 1.5 dB a second otherwise: a sentence does not become noise.
const NOISE_RISE_DB: f32 = 0.03;

/// Highest level that can be noise; a steady tone or music remains sound.
const NOISE_MAX_DB: f32 = -38.0;

/// Smoothing per frame when it gets louder, and when it gets quieter (some 60 ms and 250 ms).
const ATTACK: f32 = 0.35;
const RELEASE: f32 = 0.08;

/// Frames that someone must be the louder one before they are the active speaker: 160 ms, longer than a click, shorter than "yes, but".
const TAKE_FRAMES: u8 = 8;

/// Frames that someone must be louder than an active speaker who still speaks: 400 ms.
const INTERRUPT_FRAMES: u8 = 20;

/// How much louder that must be, dB.
const INTERRUPT_DB: f32 = 3.0;

/// Frames of silence after which nobody is active: 1.2 s, longer than a breath.
const NOBODY_FRAMES: u8 = 60;

/// How loud one speaker is, against their own room.
#[derive(Debug, Clone)]
pub struct Activity {
    smooth_db: f32,
    noise_db: f32,
    frame_db: f32,
}

impl Activity {
    /// Silent so far. The room counts as loud until it was heard.
    pub fn new() -> Self {
        Self { smooth_db: -127.0, noise_db: NOISE_MAX_DB, frame_db: -127.0 }
    }

    /// Takes in the level of one more frame.
    pub fn frame(&mut self, level: Level) {
        let db = f32::from(level.dbov());
        self.frame_db = db;
        let rate = if db > self.smooth_db { ATTACK } else { RELEASE };
        self.smooth_db += (db - self.smooth_db) * rate;
        // Digital silence is a muted track, not a room.
        if db > -90.0 {
            self.noise_db = db.min(self.noise_db + NOISE_RISE_DB).min(NOISE_MAX_DB);
        }
    }

    /// Whether they speak.
    pub fn speaks(&self) -> bool {
        self.smooth_db > SPEECH_MIN_DB.max(self.noise_db + OVER_NOISE_DB)
    }

    /// Whether the last frame itself holds speech.
    pub fn voiced(&self) -> bool {
        self.frame_db > SPEECH_MIN_DB.max(self.noise_db + OVER_NOISE_DB)
    }

    /// The loudest that is nothing but the room: of such sound a piece can be cut out or doubled without being heard.
    pub fn background(&self) -> Level {
        Level::from_dbov(SPEECH_MIN_DB.max(self.noise_db + OVER_NOISE_DB / 3.0) as i8)
    }

    /// The smoothed level, for meters.
    pub fn level(&self) -> Level {
        Level::from_dbov(self.smooth_db.round().clamp(-127.0, 0.0) as i8)
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

/// Who has the floor.
#[derive(Debug, Clone, Default)]
pub struct Floor {
    active: Option<u8>,
    challenger: Option<u8>,
    challenge_frames: u8,
    silent_frames: u8,
}

impl Floor {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// The active speaker's number.
    pub fn active(&self) -> Option<u8> {
        self.active
    }

    /// Looks at everyone once per frame; returns whether the active speaker is another now.
    pub fn frame<'a>(&mut self, speakers: impl Iterator<Item = (u8, &'a Activity)>) -> bool {
        let mut active_db = None;
        let mut loudest: Option<(u8, f32)> = None;
        for (number, activity) in speakers.filter(|(_, activity)| activity.speaks()) {
            if self.active == Some(number) {
                active_db = Some(activity.smooth_db);
            }
            if loudest.is_none_or(|(_, db)| activity.smooth_db > db) {
                loudest = Some((number, activity.smooth_db));
            }
        }
        self.silent_frames = if loudest.is_some() { 0 } else { self.silent_frames.saturating_add(1) };
        let challenger = match (loudest, active_db) {
            (Some((number, _)), _) if self.active == Some(number) => None,
            (Some((_, db)), Some(active)) if db < active + INTERRUPT_DB => None,
            (loudest, _) => loudest.map(|(number, _)| number),
        };
        self.challenge_frames = if challenger.is_some() && challenger == self.challenger {
            self.challenge_frames.saturating_add(1)
        } else {
            0
        };
        self.challenger = challenger;
        let wait = if active_db.is_some() { INTERRUPT_FRAMES } else { TAKE_FRAMES };
        let before = self.active;
        if challenger.is_some() && self.challenge_frames >= wait {
            self.active = challenger;
            self.challenge_frames = 0;
        } else if self.silent_frames >= NOBODY_FRAMES {
            self.active = None;
        }
        self.active != before
    }

    /// Someone left.
    pub fn leave(&mut self, number: u8) -> bool {
        if self.challenger == Some(number) {
            self.challenger = None;
        }
        let had = self.active == Some(number);
        if had {
            self.active = None;
        }
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a floor over levels given as (frames, [dBov per speaker]); returns who was active after each part.
    fn run(parts: &[(usize, [i8; 2])]) -> Vec<Option<u8>> {
        let mut floor = Floor::new();
        let mut activities = [Activity::new(), Activity::new()];
        let mut part = |(frames, levels): &(usize, [i8; 2])| {
            for _ in 0..*frames {
                for (activity, level) in activities.iter_mut().zip(levels) {
                    activity.frame(Level::from_dbov(*level));
                }
                floor.frame((0..).zip(&activities));
            }
            floor.active()
        };
        parts.iter().map(&mut part).collect()
    }

    #[test]
    fn the_floor_goes_to_who_speaks_and_to_nobody_after_a_while() {
        let who = run(&[(50, [-60, -60]), (30, [-20, -60]), (20, [-60, -60]), (200, [-60, -60])]);
        assert_eq!(who, [None, Some(0), Some(0), None]);
    }

    #[test]
    fn a_cough_does_not_take_the_floor_and_a_louder_voice_does() {
        let who = run(&[(50, [-20, -60]), (6, [-20, -12]), (20, [-20, -60]), (60, [-26, -12])]);
        assert_eq!(who, [Some(0), Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn a_noisy_room_is_not_speech() {
        let who = run(&[(500, [-45, -60]), (50, [-45, -60]), (40, [-45, -30])]);
        assert_eq!(who[1..], [None, Some(1)]);
    }
}
