//! Puts the beat before everything else on the machine, as far as the machine allows it.

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tracing::{info, warn};

/// A low real-time priority is enough to pass every ordinary thread, and leaves the kernel's own above us.
const FIFO_PRIORITY: u8 = 10;
/// What root or a raised limit may set where real-time scheduling is refused.
const NICE: i32 = -10;

/// Tries SCHED_FIFO, then a negative nice value, else carries on with a warning. For the calling thread.
/// `HIWAR_BEAT=normal` leaves it at normal priority, so that `bench/studio` can show what the priority is for.
pub fn enter(what: &str) {
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
