//! The keys of this server, on disk under `DATA/keys`, made at the first start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads a 32-byte key, or makes it, so that tokens survive restarts.
///
/// # Errors
/// The file cannot be read or written, or has another length.
pub fn load_or_make(data: &Path, name: &str) -> io::Result<[u8; 32]> {
    match load(data, name) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        loaded => return loaded,
    }
    let dir = data.join("keys");
    let path = dir.join(name);
    std::fs::create_dir_all(&dir)?;
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|why| io::Error::other(why.to_string()))?;
    // Made aside and renamed: a half-written key must never be read by a worker that starts at the same moment.
    let aside = dir.join(format!("{name}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&key)?;
    file.sync_all()?;
    match rustix::fs::renameat_with(rustix::fs::CWD, &aside, rustix::fs::CWD, &path, rustix::fs::RenameFlags::NOREPLACE)
    {
        Ok(()) => {
            File::open(&dir)?.sync_all()?;
            Ok(key)
        }
        // Another process was first: theirs counts.
        Err(rustix::io::Errno::EXIST) => {
            std::fs::remove_file(&aside)?;
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
    let path = data.join("keys").join(name);
    let mut key = [0; 32];
    let mut file = File::open(&path)?;
    file.read_exact(&mut key)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a key", path.display())))?;
    Ok(key)
}
