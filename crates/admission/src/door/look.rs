//! When somebody to whom nothing can be promised looks for what others leave: in periods of [`LOOK`], which begin at another moment for each network.
//!
//! Who looks in each eighth one does so in those that are multiples of eight, whenever they came and whatever they were told: all tickets of one network look together. Spread over the periods, each would find others' leavings another
//! time, and whoever has eight tickets had a chance eight times as often.

use std::time::{Duration, SystemTime};

use super::draw::Tally;
use super::redemption::{self, AHEAD_MAX};
use super::timetable::Timetable;

/// How long until they look again, at the least, and at the most.
pub const LOOK: Duration = Duration::from_secs(5 * 60);
/// See [`LOOK`].
pub const LOOK_MAX: Duration = Duration::from_secs(60 * 60);
/// The first time they look when it is known who of those who were drawn has not come, or later, up to when they look again: places that are left over soon after a draw find somebody.
pub(super) const FIRST_LOOK: Duration = Duration::from_secs(40);

/// Of those who asked for more than their share one in so many looks for what is left over by the time when a place could be promised to them: many more wait than find one.
const BEYOND: u32 = 4;

/// About how long until something may be theirs: not before that, as it seems now, do they look, for of half a million nearly all would do so for nothing.
pub(super) fn reaches(now: SystemTime, drawn: &Tally, table: &Timetable, rank: u64) -> Duration {
    let (reaches, first) = (table.reaches(rank), drawn.first_round());
    if !(first..drawn.total()).contains(&rank) {
        return reaches;
    }
    // What others leave may be theirs as soon as all of those know their time, before something can be promised to them.
    let others = table.turn(now, first).saturating_sub(LOOK);
    reaches.min(others).max(reaches / BEYOND)
}

/// From which period of that network on they look who have not yet.
pub(super) fn first(now: SystemTime, network: u64) -> u64 {
    period(now + FIRST_LOOK, network) + 1
}

/// When they look, from that period on, if they do so [each so many](again), in one in which they `may`. [`AROUND`](super::redemption::AROUND) of those tell all apart.
pub(super) fn next(from: u64, again: u64, network: u64, may: impl Fn(u64) -> bool) -> SystemTime {
    let mut all = (from.next_multiple_of(again)..).step_by(again as usize).take(redemption::AROUND as usize);
    begins(all.find(|next| may(*next)).unwrap_or(from), network)
}

/// Whether whoever looks [each so many](again) does in that one; or they were told that one, when it seemed to be their turn sooner.
pub(super) fn is_theirs(period: u64, again: u64, told: u64) -> bool {
    period.is_multiple_of(again) || told == period
}

/// In how many periods whoever looked looks again. In steps, so that of the tickets of one network many look together then, too; and before it is their turn, a quarter of an hour after a time can be told, even if that comes somewhat sooner.
pub(super) fn again(reaches: Duration) -> u64 {
    1 << (reaches.clamp(LOOK, LOOK_MAX).as_secs() / LOOK.as_secs()).ilog2()
}

/// See [`phase`].
const AROUND: Duration = Duration::from_secs(LOOK.as_secs() * AHEAD_MAX);

const _: () = assert!(1 << (LOOK_MAX.as_secs() / LOOK.as_secs()).ilog2() <= AHEAD_MAX);

/// In which period, of [`LOOK`], of that network. All tickets of one look at the same time: whoever has thirty would else look thirty times as often for what is left over.
pub(super) fn period(now: SystemTime, network: u64) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + AROUND;
    since.saturating_sub(phase(network)).as_secs() / LOOK.as_secs()
}

/// When that period begins, of that network.
pub(super) fn begins(period: u64, network: u64) -> SystemTime {
    let since = phase(network) + Duration::from_secs(LOOK.as_secs() * period);
    SystemTime::UNIX_EPOCH + since.saturating_sub(AROUND)
}

/// How much later than others its periods begin: over as many as there are until anybody looks again at the most, so that at any time as many do.
fn phase(network: u64) -> Duration {
    share_of(AROUND, network as u32)
}

/// So much of a time as `chance` is of 2³².
pub(super) fn share_of(time: Duration, chance: u32) -> Duration {
    time.mul_f64(f64::from(chance) / 2f64.powi(32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::draw::DrawSecret;
    use crate::door::network::Turn;
    use crate::door::ticket::Class;
    use crate::door::timetable::{HORIZON, Outlook, Stays};

    /// One place falls free in a second. Four thousand have not had their share, eighty thousand have, and the last came after the draw.
    #[test]
    fn of_those_who_asked_beyond_their_share_who_is_near_looks_when_the_others_know_their_time_and_who_is_far_seldom() {
        let (secret, mut drawn) = (DrawSecret::of(&[4; 32], 3), Tally::default());
        (0..4_000).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, Turn::FIRST)));
        (0..80_000).for_each(|network| drawn.add(Class::Anybody, secret.lot(network, Turn { round: 1, within: 0 })));
        let now = SystemTime::UNIX_EPOCH;
        let outlook = Outlook { now, first: 0, places: 9_000, inside: &[], pace: 1, stays: Stays::default() };
        let table = Timetable::of(&outlook);
        for (rank, seconds) in
            [(1_800, 0), (3_000, 1_200), (4_010, 2_210), (5_800, 4_000 - 300), (80_000, 19_550), (84_000, 82_200)]
        {
            let reaches = reaches(now, &drawn, &table, rank).as_secs();
            assert!(reaches.abs_diff(seconds) <= 30 + seconds / 100, "{reaches} s for {rank}");
        }
        assert!(table.turn(now, 80_000) > 40 * HORIZON);
    }

    /// At any time as many look as at any other, however seldom; and in each period of a network those who do so seldom look when those do who look often.
    #[test]
    fn looks_are_spread_over_networks_and_together_in_each() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for again in [1, 2, 4, 8] {
            let first = |n: u64| period(next(first(now, n << 20), again, n << 20, |_| true), n << 20);
            let waits = (0..4_096).map(|n| begins(first(n), n << 20).duration_since(now + FIRST_LOOK).expect("later"));
            let mut by_minute = vec![0; 5 * again as usize];
            waits.for_each(|wait| by_minute[wait.as_secs() as usize / 60] += 1);
            let (least, most) = (by_minute.iter().min().expect("some"), by_minute.iter().max().expect("some"));
            assert!(most - least <= 2 + most / 50, "{by_minute:?}");
            assert!(
                (0..4_096).all(|n| [1, 2, 4, 8].iter().all(|less| *less > again || first(n).is_multiple_of(*less)))
            );
        }
    }

    /// If the table grows by a third faster than it seemed, too.
    #[test]
    fn whoever_has_no_time_looks_before_it_is_their_turn() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for network in (0..=u64::from(u32::MAX)).step_by(u32::MAX as usize / 60) {
            for minutes in 0..60 {
                let reaches = Duration::from_secs(60 * minutes);
                let next = begins(period(now, network) + again(reaches), network).duration_since(now).expect("later");
                let latest = reaches.mul_f64(0.75) + Duration::from_secs(15 * 60);
                let told = super::next(first(now, network), again(reaches), network, |_| true);
                assert!(next <= latest && told <= now + latest, "{next:?} and {told:?} of {reaches:?}");
                assert!(next <= LOOK_MAX && (minutes < 40 || next > reaches / 2), "{next:?} of {reaches:?}");
            }
        }
    }
}
