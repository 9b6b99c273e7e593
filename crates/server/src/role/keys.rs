//! The keys of this server, on disk under `DATA/keys`, made at the first start.
//!
//! The one of the crowd is [rotated](rotate) when the server starts, before any of its processes reads it: so all of them have the same two at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hiwar_admission::Pair;

use crate::api::LINK_LIFE;

/// Signs what the crowd shows: passes to listen, tickets, vouchers, grants to rehearse.
pub const LISTEN: &str = "listen.key";
/// What that one replaced.
const LISTEN_BEFORE: &str = "listen.key.before";
/// Signs passes of the stage, and seals.
pub const STAGE: &str = "stage.key";
/// As whom listeners are counted.
pub const PEOPLE: &str = "people.key";
/// An empty file: whoever operates the server wants [`LISTEN`] rotated.
const WISH: &str = "rotate";

/// Reads a 32-byte key, or makes it, so that tokens survive restarts.
///
/// # Errors
/// The file cannot be read or written, or has another length.
pub fn load_or_make(data: &Path, name: &str) -> io::Result<[u8; 32]> {
    match load(data, name) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        loaded => return loaded,
    }
    let dir = folder(data);
    fs::create_dir_all(&dir)?;
    let key = random()?;
    let aside = write_aside(&dir, name, &key)?;
    let path = dir.join(name);
    match rustix::fs::renameat_with(rustix::fs::CWD, &aside, rustix::fs::CWD, &path, rustix::fs::RenameFlags::NOREPLACE)
    {
        Ok(()) => {
            File::open(&dir)?.sync_all()?;
            Ok(key)
        }
        // Another process was first: theirs counts.
        Err(rustix::io::Errno::EXIST) => {
            fs::remove_file(&aside)?;
            load(data, name)
        }
        Err(why) => Err(why.into()),
    }
}

/// Reads a 32-byte key.
///
/// # Errors
/// The file is not there, cannot be read, or is too short.
pub fn load(data: &Path, name: &str) -> io::Result<[u8; 32]> {
    let path = folder(data).join(name);
    let mut key = [0; 32];
    let mut file = File::open(&path)?;
    file.read_exact(&mut key)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a key", path.display())))?;
    Ok(key)
}

/// Reads the keys of the crowd, that of now and the one before it, if there was one.
///
/// # Errors
/// As [`load`].
pub fn load_pair(data: &Path) -> io::Result<Pair<[u8; 32]>> {
    with_before(data, load(data, LISTEN)?)
}

/// The same, or makes the first.
///
/// # Errors
/// As [`load_or_make`].
pub fn load_or_make_pair(data: &Path) -> io::Result<Pair<[u8; 32]>> {
    with_before(data, load_or_make(data, LISTEN)?)
}

fn with_before(data: &Path, now: [u8; 32]) -> io::Result<Pair<[u8; 32]>> {
    match load(data, LISTEN_BEFORE) {
        Ok(before) => Ok(Pair { now, before: Some(before) }),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(now.into()),
        Err(why) => Err(why),
    }
}

/// Has the keys of the crowd rotated when the server starts next.
///
/// # Errors
/// There are none, or nothing can be written beside them.
pub fn wish(data: &Path) -> io::Result<()> {
    let dir = folder(data);
    fs::metadata(dir.join(LISTEN))?;
    // Whoever asks may be root, and the folder is the service's: no link in it is followed.
    match OpenOptions::new().write(true).create_new(true).open(dir.join(WISH)) {
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Replaces the key of the crowd, if that is [wished](wish), or if it is as old as the longest link to listen is good: then every link that it signed is good to its end, with
/// the key that comes or the one after it. Says whether it did. While nobody else reads or writes there.
///
/// # Errors
/// As of the file system; then the key that signs is what it was, and what it signed is good.
pub fn rotate(data: &Path, now: SystemTime) -> io::Result<bool> {
    let dir = folder(data);
    let made = match fs::metadata(dir.join(LISTEN)) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?.modified()?,
    };
    let wish = dir.join(WISH);
    let is_wished = fs::symlink_metadata(&wish).is_ok();
    let is_old = now.duration_since(made).is_ok_and(|age| age >= LINK_LIFE);
    if !is_wished && !is_old {
        return Ok(false);
    }
    let written = write_both(&dir, &load(data, LISTEN)?, &random()?);
    // Before the keys: a wish that is lost can be made again, one that counts twice ends what was signed.
    let done = written.and_then(|()| if is_wished { fs::remove_file(&wish) } else { Ok(()) });
    // The one before first: cut off between the two, both are the same, and nothing is lost.
    let done = done.and_then(|()| fs::rename(aside(&dir, LISTEN_BEFORE), dir.join(LISTEN_BEFORE)));
    let done = done.and_then(|()| fs::rename(aside(&dir, LISTEN), dir.join(LISTEN)));
    if done.is_err() {
        // Nothing of a key is left lying about.
        let _ = fs::remove_file(aside(&dir, LISTEN_BEFORE));
        let _ = fs::remove_file(aside(&dir, LISTEN));
    }
    done?;
    // It is done, whether or not the disk says so.
    let _ = File::open(&dir).and_then(|dir| dir.sync_all());
    Ok(true)
}

fn write_both(dir: &Path, before: &[u8; 32], now: &[u8; 32]) -> io::Result<()> {
    write_aside(dir, LISTEN_BEFORE, before)?;
    write_aside(dir, LISTEN, now).map(drop)
}

fn folder(data: &Path) -> PathBuf {
    data.join("keys")
}

fn random() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|why| io::Error::other(why.to_string()))?;
    Ok(key)
}

fn aside(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.{}", std::process::id()))
}

/// To be renamed: a half-written key must never be read by a worker that starts at the same moment.
fn write_aside(dir: &Path, name: &str, key: &[u8; 32]) -> io::Result<PathBuf> {
    let aside = aside(dir, name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(key)?;
    file.sync_all()?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A directory with the first key of the crowd in it, and when that was made.
    fn begun() -> (tempfile::TempDir, [u8; 32], SystemTime) {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!rotate(dir.path(), SystemTime::now()).expect("nothing to rotate"), "there is no key yet");
        let first = load_or_make_pair(dir.path()).expect("a key");
        assert_eq!(first.before, None);
        let made = fs::metadata(folder(dir.path()).join(LISTEN)).and_then(|file| file.modified()).expect("a time");
        (dir, first.now, made)
    }

    fn both(dir: &tempfile::TempDir) -> ([u8; 32], Option<[u8; 32]>) {
        let pair = load_pair(dir.path()).expect("keys");
        (pair.now, pair.before)
    }

    #[test]
    fn a_key_signs_for_as_long_as_what_it_signs_is_good_and_checks_as_long_again() {
        let (dir, first, made) = begun();
        for early in [made - LINK_LIFE, made, made + LINK_LIFE - Duration::from_secs(1)] {
            assert!(!rotate(dir.path(), early).expect("a disk"));
        }
        assert!(rotate(dir.path(), made + LINK_LIFE).expect("a disk"));
        let (second, before) = both(&dir);
        assert_eq!(before, Some(first));
        assert_ne!(second, first);
        assert!(!rotate(dir.path(), SystemTime::now()).expect("a disk"), "it has only begun");
        assert!(rotate(dir.path(), SystemTime::now() + LINK_LIFE).expect("a disk"));
        let (third, before) = both(&dir);
        assert_eq!(before, Some(second));
        assert!(third != second && third != first);
    }

    #[test]
    fn whoever_wishes_it_has_one_rotation_whatever_the_clock_says() {
        let (dir, first, made) = begun();
        wish(dir.path()).expect("a disk");
        assert!(rotate(dir.path(), made - LINK_LIFE).expect("a disk"));
        assert_eq!(both(&dir).1, Some(first));
        assert!(!rotate(dir.path(), made).expect("a disk"));
        let left = fs::read_dir(folder(dir.path())).expect("a directory").count();
        assert_eq!(left, 2, "nothing is left lying about");
        let empty = tempfile::tempdir().expect("a directory");
        assert_eq!(wish(empty.path()).expect_err("no server has run there").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_rotation_that_cannot_be_leaves_the_keys_as_they_were() {
        let (dir, first, _) = begun();
        let later = SystemTime::now() + LINK_LIFE + Duration::from_secs(60);
        fs::write(folder(dir.path()).join(LISTEN), [0; 31]).expect("a disk");
        assert_eq!(rotate(dir.path(), later).expect_err("no key").kind(), io::ErrorKind::InvalidData);
        fs::write(folder(dir.path()).join(LISTEN), first).expect("a disk");
        // Where the key before would be there is something that cannot be replaced.
        let in_the_way = folder(dir.path()).join(LISTEN_BEFORE).join("something");
        fs::create_dir_all(&in_the_way).expect("a disk");
        rotate(dir.path(), later).expect_err("it is in the way");
        assert_eq!(load(dir.path(), LISTEN).expect("a key"), first);
        assert_eq!(fs::read_dir(folder(dir.path())).expect("a directory").count(), 2, "nothing is left lying about");
    }

    #[test]
    fn a_wish_follows_no_link() {
        let (dir, _, made) = begun();
        let other = dir.path().join("other");
        fs::write(&other, "theirs").expect("a disk");
        std::os::unix::fs::symlink(&other, folder(dir.path()).join(WISH)).expect("a disk");
        wish(dir.path()).expect("it is wished already");
        assert!(rotate(dir.path(), made).expect("a disk"));
        assert_eq!(fs::read(&other).expect("a file"), b"theirs");
    }
}
