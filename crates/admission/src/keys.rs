//! What a worker holds: everything that comes of the one secret that every worker of a house shares.

use crate::door::ticket::TicketKey;
use crate::pass::listen::ListenKey;
use crate::pass::rehearsal::RehearsalKey;
use crate::pass::voucher::VoucherKey;
use crate::people::PeopleKey;

/// The keys of a worker. Whoever steals them can hear, rehearse this server, vouch for people at its doors and find people in what it counts; never speak.
#[derive(Clone, Debug)]
pub struct CrowdKeys {
    /// Checks passes to listen.
    pub listen: ListenKey,
    /// Checks who says that they are rehearsing.
    pub rehearsal: RehearsalKey,
    /// As whom listeners are counted.
    pub people: PeopleKey,
    /// Signs and checks places in time.
    pub ticket: TicketKey,
    /// Checks for whom the house vouches.
    pub voucher: VoucherKey,
}

impl CrowdKeys {
    /// From the 32 random bytes of `DATA/keys/listen.key`.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self {
            listen: ListenKey::from_bytes(secret),
            rehearsal: RehearsalKey::from_bytes(secret),
            people: PeopleKey::from_bytes(secret),
            ticket: TicketKey::from_bytes(secret),
            voucher: VoucherKey::from_bytes(secret),
        }
    }
}
