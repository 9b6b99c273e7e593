//! What all workers share of a door: how many tickets each network has had, which tickets were used, which serials are given out. A file that each maps, so that it outlives
//! workers and house; nobody locks it.
//!
//! Layout: a page with the magic, two secrets and two numbers; then [`CELLS`] counts of two bytes; then two bits for each serial.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};

use hiwar_admission::door::counts::{CELLS, Counts};
use hiwar_admission::door::desk::Memory;
use hiwar_admission::door::draw::DrawSecret;
use hiwar_admission::door::network::NetworkKey;
use hiwar_admission::door::redemption::Redemption;
use rustix::fs::{CWD, RenameFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Serials of one space: 4 MiB of bits, two for each. Whoever asks without end is given thousands and no more ([`ROUNDS`](hiwar_admission::door::draw::ROUNDS)).
const SERIALS: u64 = 1 << 24;
/// Given to a worker at once.
const BLOCK: u64 = 4_096;

const MAGIC: [u8; 8] = *b"HIWARDR1";
const HEADER: usize = 4_096;
/// Where in the header they stand.
const ROOT_AT: usize = 8;
const NETWORK_AT: usize = 40;
const NEXT_AT: usize = 72;
const OPENING_AT: usize = 80;
const BITS_AT: usize = HEADER + 2 * CELLS;
const BYTES: usize = BITS_AT + 2 * SERIALS as usize / 8;

/// One space's. Dropping it unmaps it.
pub struct DoorMap {
    at: *mut u8,
    /// Of which each opening's secret is made.
    root: [u8; 32],
    /// Of which each opening's key is made.
    networks: [u8; 32],
    /// Where the file is, if there is one.
    folder: Option<PathBuf>,
}

// SAFETY: the memory is mapped until it is dropped, and is only read and written by atomic operations after it was opened.
#[allow(unsafe_code)]
unsafe impl Send for DoorMap {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for DoorMap {}

impl DoorMap {
    /// The file's, which is made if there is none. Its folder has to be there.
    ///
    /// # Errors
    /// Those of the file system; a file that is not such a one.
    #[allow(unsafe_code)]
    pub fn open_or_make(path: &Path) -> io::Result<Self> {
        let open = || OpenOptions::new().read(true).write(true).open(path);
        let mut file = match open() {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                make(path)?;
                open()?
            }
            opened => opened?,
        };
        let mut head = [0; NEXT_AT];
        file.read_exact(&mut head)?;
        if head[..MAGIC.len()] != MAGIC || file.metadata()?.len() != BYTES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not the file of a door"));
        }
        let secret = |at: usize| std::array::from_fn(|byte| head[at + byte]);
        // SAFETY: a new mapping, at an address that the kernel chooses, of a file that is as long (ours, and nobody shortens it).
        let at = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )
        }?;
        let folder = path.parent().map(Path::to_owned);
        Ok(Self { at: at.cast(), root: secret(ROOT_AT), networks: secret(NETWORK_AT), folder })
    }

    /// One that nobody else has, and that ends with this process: where there can be no file, the cap holds all the same, and a ticket that was used here may be good at another worker.
    ///
    /// # Errors
    /// There is no memory, or there are no random numbers.
    #[allow(unsafe_code)]
    pub fn alone() -> io::Result<Self> {
        let mut secrets = [0; 64];
        getrandom::fill(&mut secrets).map_err(|why| io::Error::other(why.to_string()))?;
        let secret = |at: usize| std::array::from_fn(|byte| secrets[at + byte]);
        // SAFETY: a new mapping of no file, at an address that the kernel chooses.
        let at = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        Ok(Self { at: at.cast(), root: secret(0), networks: secret(32), folder: None })
    }

    /// Of which each opening's secret is made.
    pub(super) fn root(&self) -> [u8; 32] {
        self.root
    }

    /// What decides the draw of one opening.
    pub fn secret(&self, opening: u16) -> DrawSecret {
        DrawSecret::of(&self.root, opening)
    }

    /// Overwrites the secrets in the file and removes it: what was hashed under them is never found again. Whoever has it mapped goes on until they drop it.
    ///
    /// # Errors
    /// Those of the file system; that there is none is no error.
    pub fn destroy(path: &Path) -> io::Result<()> {
        let file = match OpenOptions::new().write(true).open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        file.write_all_at(&[0; NEXT_AT - ROOT_AT], ROOT_AT as u64)?;
        file.sync_data()?;
        std::fs::remove_file(path)
    }

    /// Makes hashes of networks, for one opening.
    pub(super) fn networks(&self, opening: u16) -> NetworkKey {
        NetworkKey::of(&self.networks, opening)
    }

    /// The folder of the file; `None`: no other worker has it.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Counts and used tickets.
    pub(super) fn memory(&self) -> Memory<'_> {
        let counts = Counts::new(self.cells()).expect("as many as there are");
        Memory { counts, redemption: Redemption::new(self.bits()) }
    }

    /// Serials that are nobody else's; none, if all were given out.
    pub(super) fn serials(&self) -> std::ops::Range<u64> {
        // From 1, for by the serial 0 nothing is promised.
        let from = self.word(NEXT_AT).fetch_add(BLOCK, Relaxed).saturating_add(1);
        if from + BLOCK < SERIALS { from..from + BLOCK } else { 0..0 }
    }

    /// Another crowd: nobody is behind for what they asked of the last. The first worker that hears of it forgets what was counted.
    pub(super) fn begin(&self, opening: u16) {
        if self.word(OPENING_AT).swap(opening.into(), Relaxed) != u64::from(opening) {
            self.cells().iter().for_each(|cell| cell.store(0, Relaxed));
        }
    }

    #[allow(unsafe_code)]
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: within the mapping's header, a multiple of eight, and never used but as an atomic.
        unsafe { &*self.at.add(at).cast::<AtomicU64>() }
    }

    #[allow(unsafe_code)]
    fn cells(&self) -> &[AtomicU16] {
        // SAFETY: within the mapping, which begins at a page; never used but as atomics.
        unsafe { std::slice::from_raw_parts(self.at.add(HEADER).cast(), CELLS) }
    }

    #[allow(unsafe_code)]
    fn bits(&self) -> &[AtomicU64] {
        // SAFETY: as above; `BITS_AT` is a multiple of eight.
        unsafe { std::slice::from_raw_parts(self.at.add(BITS_AT).cast(), 2 * SERIALS as usize / 64) }
    }
}

const _: () = assert!(BITS_AT.is_multiple_of(8) && NEXT_AT.is_multiple_of(8) && OPENING_AT.is_multiple_of(8));

impl Drop for DoorMap {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: mapped by `open_or_make`, and every reference into it borrows `self`.
        let _ = unsafe { rustix::mm::munmap(self.at.cast(), BYTES) };
    }
}

impl fmt::Debug for DoorMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DoorMap(secret)")
    }
}

/// Aside, and then renamed: nobody ever reads a half of it, and of two who make it one succeeds.
fn make(path: &Path) -> io::Result<()> {
    let mut head = [0; NEXT_AT];
    getrandom::fill(&mut head).map_err(|why| io::Error::other(why.to_string()))?;
    head[..MAGIC.len()].copy_from_slice(&MAGIC);
    let aside = path.with_extension(std::process::id().to_string());
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&head)?;
    // All of it: whoever writes to a mapping for which the disk has no room is killed.
    if let Err(why) = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, BYTES as u64) {
        std::fs::remove_file(&aside)?;
        return Err(why.into());
    }
    match rustix::fs::renameat_with(CWD, &aside, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(why) => {
            std::fs::remove_file(&aside)?;
            if why == rustix::io::Errno::EXIST { Ok(()) } else { Err(why.into()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_worker_writes_the_other_reads_and_the_next_finds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("door");
        let open = || DoorMap::open_or_make(&path).expect("a map");
        let (one, other) = (open(), open());
        assert_eq!((one.root(), one.serials()), (other.root(), 1..1 + BLOCK));
        assert_eq!(other.serials().start, 1 + BLOCK);
        assert_eq!(one.memory().redemption.redeem(70), Ok(()));
        assert!(other.memory().redemption.redeem(70).is_err());
        let networks = one.networks(0).networks("192.0.2.7".parse().expect("an address"));
        assert_eq!(one.memory().counts.count(&networks), [1; 3]);
        assert_eq!(other.memory().counts.count(&networks), [2; 3]);
        drop((one, other));
        let next = open();
        assert_eq!((next.serials().start, next.memory().counts.count(&networks)), (1 + 2 * BLOCK, [3; 3]));
        next.begin(1);
        assert_eq!(next.memory().counts.count(&networks), [1; 3]);
        next.begin(1);
        assert_eq!(next.memory().counts.count(&networks), [2; 3]);
    }

    #[test]
    fn serials_end_and_none_is_given_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let map = DoorMap::open_or_make(&folder.path().join("door")).expect("a map");
        let mut end = 1;
        loop {
            let serials = map.serials();
            if serials.is_empty() {
                break;
            }
            assert_eq!(serials.start, end);
            end = serials.end;
        }
        assert!(end < SERIALS && map.serials().is_empty());
    }

    #[test]
    fn without_a_file_it_is_one_workers_alone() {
        let (one, other) = (DoorMap::alone().expect("memory"), DoorMap::alone().expect("memory"));
        assert!(one.root() != other.root() && one.serials() == (1..1 + BLOCK));
        assert_eq!((one.memory().redemption.redeem(7), other.memory().redemption.redeem(7)), (Ok(()), Ok(())));
        assert!(one.memory().redemption.redeem(7).is_err());
    }

    #[test]
    fn what_is_destroyed_has_no_secrets_and_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("door");
        let map = DoorMap::open_or_make(&path).expect("a map");
        let mut left = File::open(&path).expect("the file");
        DoorMap::destroy(&path).expect("destroyed");
        DoorMap::destroy(&path).expect("nothing to do");
        let mut head = [7; NEXT_AT];
        left.read_exact(&mut head).expect("what is left of it");
        assert!(!path.exists() && head[ROOT_AT..] == [0; NEXT_AT - ROOT_AT]);
        assert_eq!(map.secret(1).commitment(), DrawSecret::of(&map.root(), 1).commitment());
    }

    #[test]
    fn a_file_that_is_no_door_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("door");
        std::fs::write(&path, [7; 200]).expect("a file");
        let why = DoorMap::open_or_make(&path).expect_err("no door").kind();
        assert_eq!(why, io::ErrorKind::InvalidData);
    }
}
