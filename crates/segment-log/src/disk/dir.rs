//! The folder of one log: names, lock, epoch, and whole files in and out.

use bytes::Bytes;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Error;
use crate::position::{Epoch, Position};
use crate::record::{HEAD_BYTES, Head};

/// The file of the log segment that begins at `first`. Twenty digits hold every `u64`, so names sort as positions do.
pub(super) fn segment_name(first: Position) -> String {
    format!("{:020}.seg", first.0)
}

/// Bytes moved aside from `offset` on of the log segment `first`, by the claim of `epoch`.
pub(super) fn torn_name(first: Position, offset: u64, epoch: Epoch) -> String {
    format!("{TORN}{:020}-{offset}-{epoch}", first.0)
}

/// What a log's folder holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// First positions of the log segments, in order.
    pub(super) firsts: Vec<Position>,
    /// Names of the files with torn bytes, each with the segment it came from.
    pub(super) torn: Vec<(Position, String)>,
}

pub(super) fn list(dir: &Path) -> Result<Listing, Error> {
    let failed = || Error::io("listing", dir);
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(dir).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        // Names of other shapes are not ours to judge.
        let Some(name) = name.to_str() else { continue };
        if let Some(first) = name.strip_suffix(".seg").and_then(parse_first) {
            listing.firsts.push(first);
        } else if let Some(rest) = name.strip_prefix(TORN) {
            listing.torn.extend(rest.get(..20).and_then(parse_first).map(|first| (first, name.to_owned())));
        }
    }
    listing.firsts.sort_unstable();
    listing.torn.sort_unstable();
    Ok(listing)
}

/// Whether a folder has been a log: it has log segments, or the number of a claim.
///
/// # Errors
/// [`Error::Io`] if it cannot be listed.
pub fn is_log(dir: &Path) -> Result<bool, Error> {
    let listing = list(dir)?;
    Ok(!listing.firsts.is_empty() || !listing.torn.is_empty() || dir.join(EPOCH).is_file())
}

fn parse_first(digits: &str) -> Option<Position> {
    let well_formed = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| well_formed).map(Position)
}

/// Makes the folder, durably, and opens it.
pub(super) fn create(dir: &Path) -> Result<File, Error> {
    if !dir.is_dir() {
        std::fs::create_dir_all(dir).map_err(Error::io("making", dir))?;
        // A folder is in the folder above it only once that one is written, and so on up; two levels are those that we make.
        for above in dir.ancestors().skip(1).take(2).filter(|above| !above.as_os_str().is_empty()) {
            sync_dir(above)?;
        }
    }
    File::open(dir).map_err(Error::io("opening", dir))
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(Error::io("syncing", dir))
}

/// Takes the writer's lock on the opened folder; it is held as long as `folder` is open.
pub(super) fn lock(folder: &File, dir: &Path) -> Result<(), Error> {
    // Readers hold the lock, shared, for as long as one system call takes, to see whether a writer is at work: outwait them.
    for _ in 0..1_000 {
        match folder.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            Err(TryLockError::Error(source)) => return Err(Error::io("locking", dir)(source)),
        }
    }
    Err(Error::Locked { dir: dir.to_owned() })
}

/// Whether a writer has the log now.
pub(super) fn has_writer(dir: &Path) -> Result<bool, Error> {
    let folder = File::open(dir).map_err(Error::io("opening", dir))?;
    match folder.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(Error::io("locking", dir)(source)),
    }
}

/// The last claim's epoch; `None` if there was none, or if the file is damaged (then the records tell).
pub(super) fn read_epoch(dir: &Path) -> Result<Option<Epoch>, Error> {
    let path = dir.join(EPOCH);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(64).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(parse_epoch(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(Error::io("reading", &path)(error)),
    }
}

/// Makes `epoch` the last claim's, durably: when this returns, it survives a power cut.
pub(super) fn write_epoch(dir: &Path, epoch: Epoch) -> Result<(), Error> {
    let (path, fresh) = (dir.join(EPOCH), dir.join("epoch.new"));
    let write = |mut file: File| file.write_all(epoch_text(epoch).as_bytes()).and_then(|()| file.sync_all());
    File::create(&fresh).and_then(write).map_err(Error::io("writing", &fresh))?;
    std::fs::rename(&fresh, &path).map_err(Error::io("replacing", &path))?;
    sync_dir(dir)
}

fn epoch_text(epoch: Epoch) -> String {
    let digits = format!("{:010}", epoch.0);
    format!("{digits} {:08x}\n", crc32c::crc32c(digits.as_bytes()))
}

fn parse_epoch(text: &str) -> Option<Epoch> {
    let epoch = Epoch(text.get(..10)?.parse().ok()?);
    (epoch_text(epoch) == text).then_some(epoch)
}

/// A file from `offset` to its end. Empty if it is shorter.
pub(super) fn read_from(file: &File, path: &Path, offset: u64) -> Result<Bytes, Error> {
    let failed = || Error::io("reading", path);
    let bytes = file.metadata().map_err(failed())?.len();
    if bytes > SEGMENT_BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned(), bytes });
    }
    let mut content = vec![0; bytes.saturating_sub(offset) as usize];
    let mut filled = 0;
    while let Some(rest) = content.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed()(error)),
        }
    }
    content.truncate(filled);
    Ok(Bytes::from(content))
}

/// Opens a log segment to read. `None`: retention deleted it since the folder was listed.
pub(super) fn open_segment(dir: &Path, first: Position) -> Result<Option<(File, PathBuf)>, Error> {
    let path = dir.join(segment_name(first));
    match File::open(&path) {
        Ok(file) => Ok(Some((file, path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("opening", &path)(error)),
    }
}

/// When the first record of a log segment was made, if its head is sound.
pub(super) fn begun_wall_us(file: &File) -> Option<u64> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, 0).ok()?;
    Some(Head::decode(&head).ok()?.wall_us)
}

/// Keeps torn bytes in a file of their own, durably.
pub(super) fn keep_torn(dir: &Path, name: &str, torn: &[u8]) -> Result<(), Error> {
    let path = dir.join(name);
    let write = |mut file: File| file.write_all(torn).and_then(|()| file.sync_all());
    let kept = OpenOptions::new().write(true).create(true).truncate(true).open(&path).and_then(write);
    if let Err(error) = kept {
        let _ = std::fs::remove_file(&path);
        return Err(Error::io("keeping torn bytes in", &path)(error));
    }
    sync_dir(dir)
}

/// No segment grows past its rollover size (16 MiB at most) plus one header, gap and record; four times that is not ours.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
const EPOCH: &str = "epoch";
const TORN: &str = "torn-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_with_any_bit_flipped_is_not_believed() {
        let text = epoch_text(Epoch(7));
        assert_eq!(parse_epoch(&text), Some(Epoch(7)));
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut flipped = text.clone().into_bytes();
                flipped[at] ^= 1 << bit;
                let believed = String::from_utf8(flipped).ok().and_then(|text| parse_epoch(&text));
                assert_eq!(believed, None, "byte {at} bit {bit}");
            }
            assert_eq!(parse_epoch(&text[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn only_names_of_our_shape_are_log_segments() {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            "00000000000000000300.seg",
            "00000000000000000007.seg",
            "18446744073709551615.seg",
            "99999999999999999999.seg",
            "7.seg",
            "+0000000000000000007.seg",
            "torn-00000000000000000007-12-3",
            "torn-x",
            "epoch",
            "notes.txt",
        ];
        for name in names {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let listing = list(dir.path()).unwrap();
        assert_eq!(listing.firsts, [Position(7), Position(300), Position(u64::MAX)]);
        assert_eq!(listing.torn, [(Position(7), "torn-00000000000000000007-12-3".to_owned())]);
        assert!(is_log(dir.path()).unwrap());
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("7.seg"), b"").unwrap();
        assert!(!is_log(other.path()).unwrap());
        std::fs::write(other.path().join("epoch"), b"").unwrap();
        assert!(is_log(other.path()).unwrap());
    }
}
