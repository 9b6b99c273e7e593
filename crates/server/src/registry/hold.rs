//! Hold music of spaces: who may give it and when, where it is kept, and when it goes.
//!
//! It is a file beside the space's facts (docs/formats/hold.md) and in memory while it may still be heard: until the start, or until the space is cancelled. The file is
//! written and removed in the space's turn, so that a start that comes meanwhile removes what was written.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use hiwar_media::hold::FILE_BYTES_MAX;

use super::*;

/// Spaces that have hold music at once: at most 2.3 MB of memory each, and nearly always 0.7. More conversations than this are not about to begin in one house.
pub const HOLDS_MAX: usize = 200;
/// In a space's folder.
const FILE: &str = "hold.music";

impl Registry {
    /// Whether somebody may give a space its hold music.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Refused`]: they do not host, or it is not to come any more; [`Error::HoldsFull`].
    pub fn require_may_hold(&self, id: &LogId, holder: &Holder) -> Result<(), Error> {
        let spaces = self.lock();
        spaces.get(id).ok_or(Error::Unknown)?.may_hold(holder)?;
        let others = spaces.iter().filter(|(other, entry)| *other != id && entry.hold.is_some()).count();
        if others < HOLDS_MAX { Ok(()) } else { Err(Error::HoldsFull) }
    }

    /// Gives a space hold music, or takes it away: the audience that waits hears so with the next beat.
    ///
    /// # Errors
    /// As [`Registry::require_may_hold`], and [`Error::Storage`]: then it has what it had.
    pub async fn hold(&self, id: LogId, holder: Holder, music: Option<HoldMusic>) -> Result<(), Error> {
        if music.is_some() {
            self.require_may_hold(&id, &holder)?;
        }
        let registry = self.clone();
        // A task of its own: whoever asked may hang up, what was begun is finished.
        let done = tokio::spawn(async move {
            let turn = registry.turn(&id).ok_or(Error::Unknown)?;
            let _turn = turn.lock().await;
            registry.lock().get(&id).ok_or(Error::Unknown)?.may_hold(&holder)?;
            let music = music.map(Arc::new);
            registry.keep_hold(&id, music.clone()).await.map_err(Error::Storage)?;
            let held = registry.set_hold(&id, music);
            if held.is_err() {
                // It began while that was written, and what follows from a start comes after this.
                let _ = registry.keep_hold(&id, None).await;
            }
            held
        });
        done.await.map_err(|why| Error::Studio(why.to_string()))?
    }

    fn set_hold(&self, id: &LogId, music: Option<Arc<HoldMusic>>) -> Result<(), Error> {
        let mut spaces = self.lock();
        let entry = spaces.get_mut(id).ok_or(Error::Unknown)?;
        entry.space.require_to_come()?;
        entry.hold = music;
        // Under the lock, so that the last of two is also the last in the sound.
        self.0.studio.hold(id, entry.hold.clone());
        entry.changes.send_modify(|version| *version += 1);
        Ok(())
    }

    /// Has the audience of a space whose doors have just opened hear what there is for it.
    pub(super) fn play_hold(&self, id: &LogId) {
        if let Some(entry) = self.lock().get(id)
            && entry.hold.is_some()
        {
            self.0.studio.hold(id, entry.hold.clone());
        }
    }

    /// Nobody waits any more.
    pub(super) async fn drop_hold(&self, id: LogId) {
        let had_music = self.lock().get_mut(&id).is_some_and(|entry| entry.hold.take().is_some());
        if had_music && let Err(why) = self.keep_hold(&id, None).await {
            // The next house tries again.
            tracing::warn!(space = %id, "cannot remove hold music: {why}");
        }
    }

    async fn keep_hold(&self, id: &LogId, music: Option<Arc<HoldMusic>>) -> io::Result<()> {
        let place = self.0.dir.join(id.as_str());
        let keep = move || match music {
            Some(music) => store::replace(&place, FILE, &music.to_bytes()),
            None => remove(&place),
        };
        tokio::task::spawn_blocking(keep).await.map_err(io::Error::other)?
    }
}

impl Entry {
    fn may_hold(&self, holder: &Holder) -> Result<(), Refusal> {
        if self.space.role(&holder.id, holder.warrant) < Role::CoHost {
            return Err(Refusal::NotCoHost);
        }
        self.space.require_to_come()
    }
}

/// The hold music of a space that was just read, if it may still be heard; if not, it is removed. One that is damaged is named in the log. Blocks.
pub(super) fn load(dir: &Path, id: &LogId, space: &Space) -> Option<Arc<HoldMusic>> {
    let place = dir.join(id.as_str());
    if space.require_to_come().is_err() {
        let _ = remove(&place);
        return None;
    }
    match read(&place.join(FILE)) {
        Ok(music) => Some(Arc::new(music)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => None,
        Err(why) => {
            tracing::error!(space = %id, "cannot read {FILE}: {why}; who waits hears silence");
            None
        }
    }
}

fn read(path: &Path) -> io::Result<HoldMusic> {
    let mut bytes = Vec::new();
    // One more than it may have, so that what is longer is seen to be.
    File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    HoldMusic::parse(&bytes).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
}

fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_file(place.join(FILE)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
