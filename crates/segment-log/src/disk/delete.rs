//! Deletes a log whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, dir};

/// Deletes the log in `dir`, unless it has a writer. A log that is not there is deleted already.
///
/// The folder is renamed first, so that after a crash the log is either whole or gone; what is left then is cleared by the next
/// deletion.
///
/// # Errors
/// [`Error::Locked`] while it has a writer, [`Error::Io`].
pub fn delete(dir: &Path) -> Result<(), Error> {
    let mut name = dir.as_os_str().to_owned();
    name.push(".deleted");
    let aside = PathBuf::from(name);
    clear(&aside)?;
    let folder = match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(Error::io("opening", dir))?,
    };
    dir::lock(&folder, dir)?;
    std::fs::rename(dir, &aside).map_err(Error::io("renaming", dir))?;
    if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) {
        dir::sync_dir(above)?;
    }
    clear(&aside)
}

fn clear(aside: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("deleting", aside)(error)),
        _ => Ok(()),
    }
}
