//! Whom doors draw, on its way to the disk, for the public record of the draw. Who comes waits for no disk: what it cannot take at once is lost, and the record will say how much that was.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use hiwar_admission::door::record::{Entry, Item, LISTED_MAX};
use hiwar_admission::door::ticket::{Ticket, Worth};

/// Tickets that are written at once at the most: 48 kB.
const BATCH: usize = 4_096;
/// Batches that wait for the disk, of all doors: as many as half a million tickets, or 6 MB.
const BATCHES: usize = 128;

/// The way to the disk; its thread is started for the first door.
#[derive(Debug, Default)]
pub(super) struct Lists {
    out: Option<SyncSender<Batch>>,
}

#[derive(Debug)]
struct Batch {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// One door's list, of the opening in which somebody was drawn last.
#[derive(Debug)]
pub(super) struct Written {
    folder: PathBuf,
    run: u64,
    out: SyncSender<Batch>,
    opening: u16,
    /// How many were drawn.
    count: u64,
    /// The last of them, to be written.
    batch: Vec<u8>,
    /// What is said when there will be no more: not yet, but it was asked for; that is done.
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Wanted,
    Said,
}

impl Lists {
    /// A list in that folder, of that life of a worker. `None`: there is no thread to write it.
    pub(super) fn write(&mut self, folder: &Path, run: u64) -> Option<Written> {
        if self.out.is_none() {
            let (out, batches) = sync_channel(BATCHES);
            match std::thread::Builder::new().name("drawn".into()).spawn(move || keep(&batches)) {
                Ok(_) => self.out = Some(out),
                Err(why) => tracing::error!("who is drawn will not be listed: no thread: {why}"),
            }
        }
        let out = self.out.clone()?;
        let (opening, count, batch) = (0, 0, Vec::new());
        Some(Written { folder: folder.to_owned(), run, out, opening, count, batch, end: End::Open })
    }
}

impl Written {
    /// A new ticket: if it is to be drawn, it is listed.
    pub(super) fn note(&mut self, ticket: &Ticket) {
        let Worth::Draw(turn) = ticket.worth else { return };
        if ticket.opening != self.opening {
            self.flush();
            (self.opening, self.count, self.end) = (ticket.opening, 0, End::Open);
            self.batch.clear();
        }
        if self.count < LISTED_MAX as u64 {
            if self.batch.is_empty() {
                self.batch.extend(Item::At(self.count).to_bytes());
            }
            self.batch.extend(Item::Entry(Entry { class: ticket.class, network: ticket.network, turn }).to_bytes());
        }
        self.count += 1;
        if self.batch.len() > BATCH * Item::BYTES {
            self.flush();
        }
    }

    /// The draw of that opening was made: there will be no more.
    pub(super) fn end(&mut self, opening: u16) {
        if opening != self.opening {
            (self.opening, self.count, self.end) = (opening, 0, End::Open);
            self.batch.clear();
        }
        if self.end == End::Open {
            self.end = End::Wanted;
            self.flush();
        }
    }

    /// Hands over what there is. What has no room is lost; that there will be no more is said again until it has.
    pub(super) fn flush(&mut self) {
        let ends = self.end == End::Wanted;
        if self.batch.is_empty() && !ends {
            return;
        }
        if ends {
            self.batch.extend(Item::End(self.count).to_bytes());
        }
        let path = self.folder.join(hiwar_admission::door::record::list_name(self.opening, self.run));
        let is_taken = self.out.try_send(Batch { path, bytes: std::mem::take(&mut self.batch) }).is_ok();
        if ends && is_taken {
            self.end = End::Said;
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.flush();
    }
}

fn keep(batches: &Receiver<Batch>) {
    let mut has_said = false;
    for Batch { path, bytes } in batches {
        if let Err(why) = append(&path, &bytes)
            && !std::mem::replace(&mut has_said, true)
        {
            tracing::warn!("not everybody who was drawn will be listed in {}: {why}", path.display());
        }
    }
}

/// All of it or nothing: what follows half a number would be read as something else.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let before = file.metadata()?.len();
    file.write_all(bytes).inspect_err(|_| drop(file.set_len(before)))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use hiwar_admission::door::network::Turn;
    use hiwar_admission::door::ticket::Class;

    use super::*;

    fn ticket(opening: u16, network: u64, worth: Worth) -> Ticket {
        Ticket { serial: 1, opening, class: Class::Anybody, network, due: UNIX_EPOCH, worth }
    }

    /// A list whose batches nobody takes, with room for so many.
    fn written(room: usize) -> (Written, Receiver<Batch>) {
        let (out, batches) = sync_channel(room);
        let (folder, batch) = ("here".into(), Vec::new());
        (Written { folder, run: 7, out, opening: 0, count: 0, batch, end: End::Open }, batches)
    }

    fn items(batch: Option<Batch>) -> Option<Vec<u8>> {
        batch.map(|batch| batch.bytes)
    }

    #[test]
    fn who_is_drawn_is_listed_and_nobody_else() {
        let (mut list, batches) = written(9);
        let first = Worth::Draw(Turn::FIRST);
        list.note(&ticket(0, 5, first));
        list.note(&ticket(0, 6, Worth::Rank(9)));
        list.note(&ticket(0, 7, first));
        list.flush();
        list.flush();
        list.end(0);
        list.end(0);
        let entry = |network| Item::Entry(Entry { class: Class::Anybody, network, turn: Turn::FIRST });
        let bytes = |items: &[Item]| Some(items.iter().flat_map(|item| item.to_bytes()).collect::<Vec<_>>());
        assert_eq!(items(batches.try_recv().ok()), bytes(&[Item::At(0), entry(5), entry(7)]));
        assert_eq!(items(batches.try_recv().ok()), bytes(&[Item::End(2)]));
        // Another crowd.
        list.note(&ticket(1, 8, first));
        drop(list);
        let batch = batches.try_recv().expect("what was left");
        assert!(batch.path.ends_with("drawn-1-0000000000000007"), "{:?}", batch.path);
        assert_eq!(items(Some(batch)), bytes(&[Item::At(0), entry(8)]));
    }

    #[test]
    fn who_comes_waits_for_no_disk_and_the_end_is_said_when_there_is_room() {
        let (mut list, batches) = written(1);
        for network in 0..3 * BATCH as u64 {
            list.note(&ticket(0, network, Worth::Draw(Turn::FIRST)));
        }
        list.end(0);
        assert_eq!(batches.try_iter().count(), 1);
        list.flush();
        let end = Item::End(3 * BATCH as u64).to_bytes().to_vec();
        assert_eq!(items(batches.try_recv().ok()), Some(end));
        list.flush();
        assert!(batches.try_recv().is_err());
    }
}
