//! Files that are put whole and read in parts: replays.
//!
//! A blob is there completely or not at all: it is written under a hidden name, synced, and renamed. Readers of an old version keep it.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A folder of blobs. Cheap to clone; holds nothing open.
#[derive(Debug, Clone)]
pub struct Blob {
    root: PathBuf,
}

impl Blob {
    /// The blobs under `root`, which is made with the first of them.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Puts a blob, in the place of one of that name.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn put(&self, name: &str, content: &[u8]) -> Result<(), BlobError> {
        let mut draft = self.draft(name)?;
        let written = draft.write_all(content);
        written.map_err(BlobError::io(name))?;
        draft.commit()
    }

    /// Begins a blob that is written piece by piece, and is there after [`Draft::commit`].
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn draft(&self, name: &str) -> Result<Draft, BlobError> {
        let path = self.path(name)?;
        let (Some(folder), Some(file)) = (path.parent(), path.file_name().and_then(|file| file.to_str())) else {
            return Err(BlobError::Name(name.to_owned()));
        };
        // No valid name begins with a dot, so a draft is never listed, and a dead one is written over by the next.
        let fresh = folder.join(format!(".{file}.new"));
        let created = std::fs::create_dir_all(folder).and_then(|()| File::create(&fresh));
        let file = created.map_err(BlobError::io(name))?;
        Ok(Draft { name: name.to_owned(), file, fresh: Some(fresh), path })
    }

    /// Opens a blob to read it from any offset.
    ///
    /// # Errors
    /// [`BlobError::Missing`] and others.
    pub fn open(&self, name: &str) -> Result<File, BlobError> {
        File::open(self.path(name)?).map_err(BlobError::io(name))
    }

    /// A blob's size in bytes.
    ///
    /// # Errors
    /// [`BlobError::Missing`] and others.
    pub fn len(&self, name: &str) -> Result<u64, BlobError> {
        let found = std::fs::metadata(self.path(name)?).map_err(BlobError::io(name))?;
        if found.is_file() { Ok(found.len()) } else { Err(BlobError::Missing(name.to_owned())) }
    }

    /// Deletes a blob. One that is not there is deleted already.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn delete(&self, name: &str) -> Result<(), BlobError> {
        match std::fs::remove_file(self.path(name)?).map_err(BlobError::io(name)) {
            Err(BlobError::Missing(_)) => Ok(()),
            deleted => deleted,
        }
    }

    /// The names in one folder of blobs (`a/b`), in order; not those in folders below it. A folder that is not there is empty.
    ///
    /// # Errors
    /// [`BlobError`].
    pub fn list(&self, folder: &str) -> Result<Vec<String>, BlobError> {
        let entries = match std::fs::read_dir(self.path(folder)?).map_err(BlobError::io(folder)) {
            Err(BlobError::Missing(_)) => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(BlobError::io(folder))?;
            let is_file = entry.file_type().map_err(BlobError::io(folder))?.is_file();
            let name = entry.file_name().to_str().map(|file| format!("{folder}/{file}"));
            names.extend(name.filter(|name| is_file && is_name(name)));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where a blob is, for who reads it in another process.
    ///
    /// # Errors
    /// [`BlobError::Name`].
    pub fn path(&self, name: &str) -> Result<PathBuf, BlobError> {
        if is_name(name) { Ok(self.root.join(name)) } else { Err(BlobError::Name(name.to_owned())) }
    }
}

/// A blob on its way. Dropped without [`Draft::commit`], it leaves nothing.
#[derive(Debug)]
pub struct Draft {
    name: String,
    file: File,
    /// The hidden name, until the blob has its own.
    fresh: Option<PathBuf>,
    path: PathBuf,
}

impl Draft {
    /// Makes the blob, whole and durable, under its name.
    ///
    /// # Errors
    /// [`BlobError`]; the blob of that name, if there was one, is as it was.
    pub fn commit(mut self) -> Result<(), BlobError> {
        let Some(fresh) = &self.fresh else { return Ok(()) };
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(fresh, &self.path));
        renamed.map_err(BlobError::io(&self.name))?;
        self.fresh = None;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // The folder may be new: its own name is in the one above.
        let above = folder.parent().unwrap_or(Path::new("."));
        let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all());
        sync(folder).and_then(|()| sync(above)).map_err(BlobError::io(&self.name))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Draft {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(fresh) = &self.fresh {
            let _ = std::fs::remove_file(fresh);
        }
    }
}

/// Names are made by the house, but an id in them comes from outside: nothing that could leave the folder, or be hidden in it.
fn is_name(name: &str) -> bool {
    let part_fits = |part: &str| !part.is_empty() && !part.starts_with('.');
    let byte_fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'/' | b'-');
    name.len() <= NAME_BYTES_MAX && name.bytes().all(byte_fits) && name.split('/').all(part_fits)
}

/// What went wrong with a blob.
#[derive(Debug)]
pub enum BlobError {
    /// Not a name of a blob: parts of `a-z0-9.-` that do not begin with a dot, between slashes, at most 200 bytes.
    Name(String),
    /// There is none of that name.
    Missing(String),
    /// No room on the disk.
    Full(String),
    /// Anything else the operating system says.
    Io {
        /// The blob.
        name: String,
        /// The reason it gave.
        source: io::Error,
    },
}

impl BlobError {
    fn io(name: &str) -> impl FnOnce(io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, NotFound, QuotaExceeded, StorageFull};
        move |source| match source.kind() {
            NotFound => Self::Missing(name.to_owned()),
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full(name.to_owned()),
            _ => Self::Io { name: name.to_owned(), source },
        }
    }
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} is no name of a blob"),
            Self::Missing(name) => write!(f, "there is no blob {name}"),
            Self::Full(name) => write!(f, "no room for the blob {name}"),
            Self::Io { name, source } => write!(f, "blob {name}: {source}"),
        }
    }
}

impl std::error::Error for BlobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

const NAME_BYTES_MAX: usize = 200;
