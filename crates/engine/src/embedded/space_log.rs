//! The logs of all spaces, one folder each: `{root}/{log}/log/`.

use hiwar_segment_log::disk::{self, Error, Follower, Options, Reader, Recovered, Report, Writer};
use hiwar_segment_log::{LogId, Position};
use std::io;
use std::path::{Path, PathBuf};

/// Where the logs are. Cheap to clone; holds nothing open.
#[derive(Debug, Clone)]
pub struct SpaceLog {
    root: PathBuf,
}

/// A log that this process, and no other, may write.
#[derive(Debug)]
pub struct Claim {
    /// Appends, syncs, seals, retains. Dropping it gives the log up.
    pub writer: Writer,
    /// What was found in the log.
    pub recovered: Recovered,
}

impl SpaceLog {
    /// The logs under `root`, which is made with the first of them.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Claims a log, which is made if there is none. When this returns, no record of an older epoch will ever be appended.
    ///
    /// # Errors
    /// [`Error::Locked`] while another claim lives, and the others of [`Writer::open`].
    pub fn claim(&self, log: LogId, options: Options) -> Result<Claim, Error> {
        let (writer, recovered) = Writer::open(&self.folder(log), options)?;
        Ok(Claim { writer, recovered })
    }

    /// The logs that there are, in order of their names.
    ///
    /// # Errors
    /// [`Error::Io`] if the root cannot be listed; a root that does not exist has no logs.
    pub fn list(&self) -> Result<Vec<LogId>, Error> {
        let failed = |source| Error::Io { doing: "listing", path: self.root.clone(), source };
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut logs = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let log = name.to_str().and_then(|name| LogId::parse(name).ok());
            logs.extend(log.filter(|log| self.folder(*log).is_dir()));
        }
        logs.sort_unstable();
        Ok(logs)
    }

    /// Deletes a log, whole. What else its space's folder holds stays. A log that is not there is deleted already.
    ///
    /// # Errors
    /// [`Error::Locked`] while it is claimed, [`Error::Io`].
    pub fn delete(&self, log: LogId) -> Result<(), Error> {
        disk::delete(&self.folder(log))
    }

    /// Reads a log, claimed or not.
    ///
    /// # Errors
    /// [`Error::Io`] if there is none.
    pub fn reader(&self, log: LogId) -> Result<Reader, Error> {
        Reader::open(&self.folder(log))
    }

    /// Follows a log from a position on.
    ///
    /// # Errors
    /// [`Error::Io`] if there is none.
    pub fn follower(&self, log: LogId, from: Position) -> Result<Follower, Error> {
        Follower::open(&self.folder(log), from)
    }

    /// Reads a log whole and names what is damaged.
    ///
    /// # Errors
    /// Those of [`disk::verify`].
    pub fn verify(&self, log: LogId) -> Result<Report, Error> {
        disk::verify(&self.folder(log))
    }

    /// The folder of a log: `{root}/{log}/log`; of one that stands beside it, `{root}/{log}/{form}`.
    #[must_use]
    pub fn folder(&self, log: LogId) -> PathBuf {
        self.root.join(log.stem().as_str()).join(log.form().unwrap_or("log"))
    }

    /// The folder above all of them.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}
