//! How listeners are sent sound, as the operator wishes: how much at once, and at which bitrate; from the configuration, or said while the server runs.
//!
//! What was said while it runs outlives the house (`DATA/run/listening`), and not the server: a service that is started anew does what its configuration says. The
//! workers do the rest (`delivery`, `admission::ladder`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hiwar_admission::ladder::{Bitrate, Cadence};
use hiwar_engine::live_bus::{self, Down, Publisher};

/// In the data directory: a line for each thing that was said.
const FILE: &str = "run/listening";

/// What the operator wishes; `None`: each worker as it finds right.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// How much sound is sent at once.
    pub cadence: Option<Cadence>,
    /// At which bitrate.
    pub bitrate: Option<Bitrate>,
}

/// What was said while the server runs, of each thing of which something was.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// How much sound is sent at once.
    pub cadence: Option<Option<Cadence>>,
    /// At which bitrate.
    pub bitrate: Option<Option<Bitrate>>,
}

/// The operator's wishes. Cheap to clone.
#[derive(Clone)]
pub struct Wishes {
    said: Arc<Mutex<Said>>,
    configured: Wish,
    file: PathBuf,
    publisher: Publisher,
}

impl Wishes {
    /// What stands, told to the workers: what was said while this server runs, or else what is configured.
    pub fn start(data: &Path, configured: Wish, publisher: Publisher) -> Self {
        let file = data.join(FILE);
        let said = fs::read_to_string(&file).map(|text| read(&text)).unwrap_or_default();
        let wishes = Self { said: Arc::new(Mutex::new(said)), configured, file, publisher };
        wishes.tell(wishes.get());
        wishes
    }

    /// What stands.
    pub fn get(&self) -> Wish {
        self.over(*self.lock())
    }

    /// From now on this; of what nothing is said, what stood. It stands at once, also if it cannot be kept for a house that follows this one.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn say(&self, more: Said) -> io::Result<()> {
        let mut said = self.lock();
        said.cadence = more.cadence.or(said.cadence);
        said.bitrate = more.bitrate.or(said.bitrate);
        self.tell(self.over(*said));
        fs::write(&self.file, write(*said))
    }

    fn over(&self, said: Said) -> Wish {
        let Wish { cadence, bitrate } = self.configured;
        Wish { cadence: said.cadence.unwrap_or(cadence), bitrate: said.bitrate.unwrap_or(bitrate) }
    }

    fn tell(&self, wish: Wish) {
        let chunks = wish.cadence.map_or(0, |cadence| u8::try_from(cadence.chunks()).unwrap_or(0));
        self.publisher.publish(Down::Cadence { chunks });
        let bitrate = |bitrate| match bitrate {
            Bitrate::Standard => live_bus::Bitrate::Standard,
            Bitrate::Lean => live_bus::Bitrate::Lean,
        };
        self.publisher.publish(Down::Bitrate { wish: wish.bitrate.map(bitrate) });
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what was said to the server that ran before.
pub fn forget(data: &Path) {
    let _ = fs::remove_file(data.join(FILE));
}

/// As people write a cadence: milliseconds, or `auto`. `None` if it is neither.
pub fn cadence(text: &str) -> Option<Option<Cadence>> {
    wish(text, Cadence::of_ms)
}

/// As people write a bitrate: kbit/s, or `auto`. `None` if it is neither.
pub fn bitrate(text: &str) -> Option<Option<Bitrate>> {
    wish(text, Bitrate::of_kbps)
}

fn wish<T>(text: &str, of: fn(u32) -> Option<T>) -> Option<Option<T>> {
    if text == AUTO { Some(None) } else { text.parse().ok().and_then(of).map(Some) }
}

/// Lines that make no sense are passed over: at worst the configuration holds.
fn read(text: &str) -> Said {
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Said { cadence: value("cadence").and_then(cadence), bitrate: value("bitrate").and_then(bitrate) }
}

fn write(said: Said) -> String {
    let line = |name: &str, value: Option<Option<u32>>| {
        let words = |value: Option<u32>| value.map_or_else(|| AUTO.to_owned(), |value| value.to_string());
        value.map(|value| format!("{name} {}\n", words(value))).unwrap_or_default()
    };
    let cadence = said.cadence.map(|cadence| cadence.map(Cadence::ms));
    let bitrate = said.bitrate.map(|bitrate| bitrate.map(Bitrate::kbps));
    line("cadence", cadence) + &line("bitrate", bitrate)
}

/// No wish.
const AUTO: &str = "auto";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_read_as_it_was_written() {
        let cadences = [None, Some(None), Some(Some(Cadence::S2))];
        let bitrates = [None, Some(None), Some(Some(Bitrate::Standard)), Some(Some(Bitrate::Lean))];
        for cadence in cadences {
            for bitrate in bitrates {
                let said = Said { cadence, bitrate };
                assert_eq!(read(&write(said)), said);
            }
        }
        assert_eq!(
            write(Said { cadence: Some(Some(Cadence::S2)), bitrate: Some(None) }),
            "cadence 2000\nbitrate auto\n"
        );
    }

    #[test]
    fn what_makes_no_sense_was_not_said() {
        for text in ["", "2000", "cadence", "cadence 300", "cadence2000", "bitrate lean", "bitrate 17\n", "\0"] {
            assert_eq!(read(text), Said::default(), "{text:?}");
        }
    }
}
