//! Unix sockets at paths of any length.
//!
//! A socket's address has room for 108 bytes, and a data folder may lie deep. So the folder is opened, and the socket is named through
//! it: `/proc/self/fd/{folder}/{name}`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Listens at `path`, taking the place of a socket that a dead process left there.
///
/// # Errors
/// Those of opening the folder and binding; `AlreadyExists` if something other than a socket is there.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let (folder, name) = open_folder(path)?;
    UnixListener::bind(through(&folder, &name))
}

/// Connects to the socket at `path`.
///
/// # Errors
/// Those of opening the folder and connecting: `NotFound` or `ConnectionRefused` while nobody listens.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let (folder, name) = open_folder(path)?;
    UnixStream::connect(through(&folder, &name))
}

fn open_folder(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((File::open(folder)?, name.into()))
}

fn through(folder: &File, name: &Path) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)
}
