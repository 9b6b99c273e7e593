//! Puts the beat before everything else on the machine, as far as the machine allows it.

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tracing::{info, warn};

/// A low real-time priority is enough to pass every ordinary thread, and leaves the kernel's own above us.
const FIFO_PRIORITY: u8 = 10;
/// What root or a raised limit may set where real-time scheduling is refused.
const NICE: i32 = -10;

/// Tries SCHED_FIFO, then a negative nice value, else carries on with a warning. For the calling thread, which is one of so many of its kind: several of them
/// must not wait for each other on one core, so each stays on its own then. One alone goes wherever there is room.
/// `HIWAR_BEAT=normal` leaves it at normal priority, so that `bench/studio` can show what the priority is for.
pub fn enter(what: &str, number: usize, of: usize) {
    if of > 1 {
        stay(what, number, of);
    }
    if std::env::var_os("HIWAR_BEAT").is_some_and(|wish| wish == "normal") {
        return warn!(what, "runs at normal priority because HIWAR_BEAT says so");
    }
    let fifo = ThreadPriority::Crossplatform(FIFO_PRIORITY.try_into().expect("10 is below 100"));
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    if set_thread_priority_and_policy(thread_native_id(), fifo, policy).is_ok() {
        info!(what, "runs in real time (SCHED_FIFO)");
    } else if setpriority_process(Some(gettid()), NICE).is_ok() {
        info!(what, "runs with raised priority (nice {NICE})");
    } else {
        warn!(what, "runs at normal priority: under load sound may stutter; allow real-time scheduling (LimitRTPRIO)");
    }
}

/// Keeps the calling thread on one core: the last of its share, for interrupts are mostly the first core's.
fn stay(what: &str, number: usize, of: usize) {
    let Ok(allowed) = sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    if cores.len() < of {
        return warn!(what, "there are {of} of them on {} cores: some wait for each other", cores.len());
    }
    let core = cores[(number + 1) * cores.len() / of - 1];
    let mut own = CpuSet::new();
    own.set(core);
    match sched_setaffinity(None, &own) {
        Ok(()) => info!(what, number, core, "stays on its core"),
        Err(why) => warn!(what, number, "cannot stay on a core of its own: {why}"),
    }
}
