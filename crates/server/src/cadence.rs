//! How often listeners are written to, as the operator wishes: from the configuration, or said while the server runs.
//!
//! What was said while it runs outlives the house (`DATA/run/cadence`), and not the server: a service that is started anew does what its configuration says. The
//! workers do the rest (`delivery`, `admission::ladder`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hiwar_admission::ladder::Cadence;
use hiwar_engine::live_bus::{Down, Publisher};

/// In the data directory.
const FILE: &str = "run/cadence";

/// The operator's wish. Cheap to clone.
#[derive(Clone)]
pub struct Wish {
    now: Arc<Mutex<Option<Cadence>>>,
    file: PathBuf,
    publisher: Publisher,
}

impl Wish {
    /// What stands, told to the workers: what was said while this server runs, or else what is configured.
    pub fn start(data: &Path, configured: Option<Cadence>, publisher: Publisher) -> Self {
        let file = data.join(FILE);
        let said = fs::read_to_string(&file).ok().and_then(|text| parse(text.trim()));
        let now = said.unwrap_or(configured);
        let wish = Self { now: Arc::new(Mutex::new(now)), file, publisher };
        wish.tell(now);
        wish
    }

    /// What stands; `None`: each worker as it finds right.
    pub fn get(&self) -> Option<Cadence> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this. It stands at once, also if it cannot be kept for a house that follows this one.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn set(&self, cadence: Option<Cadence>) -> io::Result<()> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = cadence;
        self.tell(cadence);
        let said = cadence.map_or_else(|| AUTO.to_owned(), |cadence| cadence.ms().to_string());
        fs::write(&self.file, said)
    }

    fn tell(&self, cadence: Option<Cadence>) {
        let chunks = cadence.map_or(0, |cadence| u8::try_from(cadence.chunks()).unwrap_or(0));
        self.publisher.publish(Down::Cadence { chunks });
    }
}

/// Forgets what was said to the server that ran before.
pub fn forget(data: &Path) {
    let _ = fs::remove_file(data.join(FILE));
}

/// As people write a wish: milliseconds, or `auto`. `None` if it is neither.
pub fn parse(text: &str) -> Option<Option<Cadence>> {
    if text == AUTO { Some(None) } else { text.parse().ok().and_then(Cadence::of_ms).map(Some) }
}

/// No wish.
const AUTO: &str = "auto";
