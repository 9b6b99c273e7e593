//! What all workers share of a door: how many tickets each network has had, which tickets were used, which serials are given out. A file that each maps, so that it outlives
//! workers and house; nobody locks it.
//!
//! Layout: a page with the magic, two secrets and three numbers; then [`CELLS`] counts of four bytes; then four bits for each serial.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use hiwar_admission::door::counts::{CELLS, Counts, PARTS};
use hiwar_admission::door::desk::{Memory, SERIALS};
use hiwar_admission::door::draw::DrawSecret;
use hiwar_admission::door::network::NetworkKey;
use hiwar_admission::door::redemption::{IN_WORD, Redemption};
use rustix::fs::{CWD, FallocateFlags, FlockOperation, RenameFlags};
use rustix::mm::{MapFlags, ProtFlags};

/// Given to a worker at once.
const BLOCK: u64 = 4_096;

const MAGIC: [u8; 8] = *b"HIWARDR4";
/// Of what was made before, which nobody reads any more.
const MAGICS_BEFORE: [[u8; 8]; 3] = [*b"HIWARDR1", *b"HIWARDR2", *b"HIWARDR3"];
const HEADER: usize = 4_096;
/// Where in the header they stand.
const ROOT_AT: usize = 8;
const NETWORK_AT: usize = 40;
const NEXT_AT: usize = 72;
/// The opening (2 bytes), and which crowd it is: the counts are of that.
const CROWD_AT: usize = 80;
/// How many parts have been swept for that crowd (2 bytes), and which it is.
const SWEPT_AT: usize = 88;
const BITS_AT: usize = HEADER + 4 * CELLS;
const WORDS: usize = (SERIALS / IN_WORD) as usize;
const BYTES: usize = BITS_AT + 8 * WORDS;

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
        let mut head = [0; NEXT_AT];
        let file = loop {
            let mut file = match OpenOptions::new().read(true).write(true).open(path) {
                Err(why) if why.kind() == io::ErrorKind::NotFound => {
                    make(path, RenameFlags::NOREPLACE)?;
                    continue;
                }
                opened => opened?,
            };
            file.read_exact(&mut head)?;
            if !MAGICS_BEFORE.iter().any(|magic| head.starts_with(magic)) {
                break file;
            }
            // One of those who find it makes it anew; the others wait for that, and look again.
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            if std::fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|this| this.ino() == now.ino())) {
                make(path, RenameFlags::empty())?;
            }
        };
        if head[..MAGIC.len()] != MAGIC || file.metadata()?.len() != BYTES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not the file of a door"));
        }
        // A copy of it may have holes.
        allocate(&file)?;
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
        Memory { counts: self.counts(), redemption: Redemption::new(self.bits()) }
    }

    /// Serials that are nobody else's; none, if all were given out.
    pub(super) fn serials(&self) -> std::ops::Range<u64> {
        // From 1, for by the serial 0 nothing is promised.
        let from = self.word(NEXT_AT).fetch_add(BLOCK, Relaxed).saturating_add(1);
        if from + BLOCK < SERIALS { from..from + BLOCK } else { 0..0 }
    }

    fn counts(&self) -> Counts<'_> {
        let crowd = self.word(CROWD_AT).load(Relaxed) >> 16;
        Counts::new(self.cells(), crowd).expect("as many as there are")
    }

    /// Another crowd: nobody is behind for what they asked of the last. The first worker that hears of it says so.
    pub(super) fn begin(&self, opening: u16) {
        let next = |word: u64| (word as u16 != opening).then_some(((word >> 16) + 1) << 16 | u64::from(opening));
        let _ = self.word(CROWD_AT).fetch_update(Relaxed, Relaxed, next);
    }

    /// Empties a little of what older crowds left, if there is any: so many times, and all is gone.
    pub(super) fn sweep(&self) {
        let crowd = self.word(CROWD_AT).load(Relaxed) >> 16;
        let next = |word: u64| match (word >> 16 == crowd, word & 0xffff) {
            (true, part) => (part < PARTS as u64).then_some(word + 1),
            (false, _) => Some(crowd << 16 | 1),
        };
        if let Ok(before) = self.word(SWEPT_AT).fetch_update(Relaxed, Relaxed, next) {
            let part = if before >> 16 == crowd { before & 0xffff } else { 0 };
            self.counts().sweep(part as usize);
        }
    }

    #[allow(unsafe_code)]
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: within the mapping's header, a multiple of eight, and never used but as an atomic.
        unsafe { &*self.at.add(at).cast::<AtomicU64>() }
    }

    #[allow(unsafe_code)]
    fn cells(&self) -> &[AtomicU32] {
        // SAFETY: within the mapping, which begins at a page; never used but as atomics.
        unsafe { std::slice::from_raw_parts(self.at.add(HEADER).cast(), CELLS) }
    }

    #[allow(unsafe_code)]
    fn bits(&self) -> &[AtomicU64] {
        // SAFETY: as above; `BITS_AT` is a multiple of eight.
        unsafe { std::slice::from_raw_parts(self.at.add(BITS_AT).cast(), WORDS) }
    }
}

const _: () = assert!(BITS_AT.is_multiple_of(8) && NEXT_AT.is_multiple_of(8) && CROWD_AT.is_multiple_of(8));
const _: () = assert!(SWEPT_AT.is_multiple_of(8) && HEADER.is_multiple_of(64));

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

/// All of it: whoever writes to a mapping for which the disk has no room is killed.
fn allocate(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, BYTES as u64)?)
}

/// Aside, on the disk, and then renamed: nobody ever reads a half of it, whatever is cut off, and of two who make it one succeeds.
fn make(path: &Path, how: RenameFlags) -> io::Result<()> {
    let mut head = [0; NEXT_AT];
    getrandom::fill(&mut head).map_err(|why| io::Error::other(why.to_string()))?;
    head[..MAGIC.len()].copy_from_slice(&MAGIC);
    let aside = path.with_extension(std::process::id().to_string());
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&head)?;
    if let Err(why) = allocate(&file).and_then(|()| file.sync_all()) {
        std::fs::remove_file(&aside)?;
        return Err(why);
    }
    match rustix::fs::renameat_with(CWD, &aside, CWD, path, how) {
        Ok(()) => path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()),
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
        assert_eq!(one.memory().counts.count(&networks), [1, 1, 1, 0]);
        assert_eq!(other.memory().counts.count(&networks), [2, 2, 2, 0]);
        drop((one, other));
        let next = open();
        assert_eq!((next.serials().start, next.memory().counts.count(&networks)), (1 + 2 * BLOCK, [3, 3, 3, 0]));
        next.begin(1);
        assert_eq!(next.memory().counts.count(&networks), [1, 1, 1, 0]);
        next.begin(1);
        assert_eq!(next.memory().counts.count(&networks), [2, 2, 2, 0]);
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
    fn a_new_crowd_begins_at_once_and_what_the_last_one_left_is_swept() {
        let map = DoorMap::alone().expect("memory");
        let networks = |n: u32| map.networks(0).networks(std::net::Ipv4Addr::from(n << 12).into());
        let left = || map.cells().iter().filter(|cell| cell.load(Relaxed) != 0).count();
        for crowd in 1..40 {
            map.begin(crowd);
            map.begin(crowd);
            (0..500).for_each(|n| assert_eq!(map.memory().counts.count(&networks(n))[0], 1, "crowd {crowd}"));
            (0..=PARTS).for_each(|_| map.sweep());
            // What they are in, and nothing of those before.
            assert!(left() <= 1_500, "{}", left());
        }
    }

    #[test]
    fn what_an_older_version_made_is_made_anew_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("door");
        for _ in 0..20 {
            std::fs::write(&path, [&MAGICS_BEFORE[1][..], &[7; 200]].concat()).expect("a file");
            let open = || DoorMap::open_or_make(&path).expect("a map").root();
            let roots = std::thread::scope(|scope| {
                let workers: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
                workers.into_iter().map(|worker| worker.join().expect("no panic")).collect::<Vec<_>>()
            });
            assert!(roots.iter().all(|root| *root == roots[0] && *root != [7; 32]), "all have the same");
        }
        let names = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(names, 1, "nothing lies beside it");
    }

    #[test]
    fn a_file_with_holes_is_filled_before_it_is_mapped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("door");
        drop(DoorMap::open_or_make(&path).expect("a map"));
        let file = OpenOptions::new().read(true).write(true).open(&path).expect("the file");
        file.set_len(HEADER as u64).expect("shorter");
        file.set_len(BYTES as u64).expect("longer");
        let blocks = || file.metadata().expect("the file").blocks() * 512;
        assert!(blocks() < BYTES as u64 / 2);
        drop(DoorMap::open_or_make(&path).expect("a map"));
        assert!(blocks() >= BYTES as u64);
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
