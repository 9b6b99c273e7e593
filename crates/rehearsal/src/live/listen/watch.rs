//! What the server's processes need, as the kernel counts it (proc(5)): on this machine only.

use std::collections::HashMap;
use std::fs;
use std::time::Instant;

use crate::report::Server;

/// One process and all of its descendants.
#[derive(Debug)]
pub(super) struct Watch {
    root: u32,
    before: Option<(Instant, u64)>,
}

/// What is read of one process.
struct Process {
    parent: u32,
    ticks: u64,
    pages: u64,
}

impl Watch {
    pub(super) fn new(root: u32) -> Self {
        Self { root, before: None }
    }

    /// What they needed since the last look; `None` the first time, or when they are gone.
    pub(super) fn look(&mut self) -> Option<Server> {
        let now = Instant::now();
        let all: HashMap<u32, Process> = processes();
        let (mut ticks, mut pages) = (0, 0);
        for (id, process) in &all {
            if self.is_of_the_family(*id, &all) {
                ticks += process.ticks;
                pages += process.pages;
            }
        }
        all.get(&self.root)?;
        let (then, ticks_then) = self.before.replace((now, ticks))?;
        // One that has ended takes its time with it.
        let seconds = ticks.saturating_sub(ticks_then) as f64 / rustix::param::clock_ticks_per_second() as f64;
        // To the thousandth, beyond which ticks say nothing.
        let cores = (seconds / (now - then).as_secs_f64().max(1e-3) * 1e3).round() / 1e3;
        Some(Server { cores, resident_bytes: pages * rustix::param::page_size() as u64 })
    }

    fn is_of_the_family(&self, mut id: u32, all: &HashMap<u32, Process>) -> bool {
        // Deeper than any family; and a cycle, which ids that are given again could make while we read, ends.
        for _ in 0..16 {
            if id == self.root {
                return true;
            }
            match all.get(&id) {
                Some(process) => id = process.parent,
                None => return false,
            }
        }
        false
    }
}

fn processes() -> HashMap<u32, Process> {
    let Ok(folder) = fs::read_dir("/proc") else { return HashMap::new() };
    folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, read(id)?)))
        .collect()
}

/// Of proc_pid_stat(5): fields 4 (ppid), 14 and 15 (utime, stime), 24 (rss). The second one, a name in brackets, may have spaces.
fn read(id: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ').skip(1);
    let parent = fields.next()?.parse().ok()?;
    let mut fields = fields.skip(9);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    let pages = fields.nth(8)?.parse().ok()?;
    Some(Process { parent, ticks, pages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_at_work_is_seen_to_work() {
        let mut watch = Watch::new(std::process::id());
        assert!(watch.look().is_none(), "nothing is known of the first moment");
        let until = Instant::now() + std::time::Duration::from_millis(300);
        while Instant::now() < until {
            std::hint::black_box((0..10_000_u64).sum::<u64>());
        }
        let seen = watch.look().unwrap();
        assert!(seen.cores > 0.1, "{seen:?}");
        assert!(seen.resident_bytes > 1_000_000, "{seen:?}");
    }

    #[test]
    fn one_who_is_gone_needs_nothing() {
        assert!(Watch::new(u32::MAX).look().is_none());
    }
}
