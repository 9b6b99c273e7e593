//! When somebody to whom nothing can be promised looks for what others leave: in periods of [`LOOK`], which begin at another moment for each network.

use std::time::{Duration, SystemTime};

/// How long until they look again, at the least, and at the most.
pub const LOOK: Duration = Duration::from_secs(5 * 60);
/// See [`LOOK`].
pub const LOOK_MAX: Duration = Duration::from_secs(60 * 60);
/// The first time they look when it is known who of those who were drawn has not come, or later, up to when they look again: places that are left over soon after a draw find somebody.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(40);

/// Whether whoever was promised nothing has looked before; they look next in an odd period, or in an even one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looks {
    First { odd: bool },
    Again { odd: bool },
}

/// When they look next, of that network. `reaches`: about how long until something may be theirs; not before that, as it seems now, for of half a million nearly all would look for nothing.
pub(super) fn next(now: SystemTime, network: u64, looks: Looks, reaches: Duration) -> SystemTime {
    let (after, odd) = match looks {
        Looks::First { odd } => (FIRST_LOOK, odd),
        Looks::Again { odd } => {
            // In steps, so that all tickets of one network look together then, too; and not later than that.
            let steps = (reaches.clamp(LOOK, LOOK_MAX).as_secs() / LOOK.as_secs()).next_power_of_two() as u32;
            ((LOOK * (steps - 1)).min(LOOK_MAX - 2 * LOOK), odd)
        }
    };
    let next = period(now + after, network) + 1;
    begins(next + u64::from(odd != (next % 2 == 1)), network)
}

/// In which period, of [`LOOK`], of that network. All tickets of one look at the same time: whoever has thirty would else look thirty times as often for what is left over.
pub(super) fn period(now: SystemTime, network: u64) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + 2 * LOOK;
    since.saturating_sub(phase(network)).as_secs() / LOOK.as_secs()
}

/// When it begins.
fn begins(period: u64, network: u64) -> SystemTime {
    let since = phase(network) + Duration::from_secs(LOOK.as_secs() * period);
    SystemTime::UNIX_EPOCH + since.saturating_sub(2 * LOOK)
}

/// How much later than others its periods begin: over two of them, so that odd ones are spread as well.
fn phase(network: u64) -> Duration {
    share_of(2 * LOOK, network as u32)
}

/// So much of a time as `chance` is of 2³².
pub(super) fn share_of(time: Duration, chance: u32) -> Duration {
    time.mul_f64(f64::from(chance) / 2f64.powi(32))
}
