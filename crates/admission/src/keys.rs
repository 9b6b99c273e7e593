//! What a worker holds: everything that comes of the secrets that every worker of a house shares.

use crate::door::ticket::TicketKey;
use crate::pass::Refusal;
use crate::pass::listen::ListenKey;
use crate::pass::rehearsal::RehearsalKey;
use crate::pass::voucher::VoucherKey;
use crate::people::PeopleKey;

/// A key, and the one that it replaced: what that one signed is still good.
#[derive(Clone, Debug)]
pub struct Pair<K> {
    /// Signs, and checks.
    pub now: K,
    /// Checks alone.
    pub before: Option<K>,
}

impl<K> From<K> for Pair<K> {
    /// The first, which replaced none.
    fn from(now: K) -> Self {
        Self { now, before: None }
    }
}

impl<K> Pair<K> {
    /// Of each the key that comes of it.
    pub fn map<D>(&self, derive: impl Fn(&K) -> D) -> Pair<D> {
        Pair { now: derive(&self.now), before: self.before.as_ref().map(derive) }
    }

    /// What was signed with either.
    ///
    /// # Errors
    /// Those of `check` with the key of now; with the one before, if that was not what signed it.
    pub fn check<T>(&self, check: impl Fn(&K) -> Result<T, Refusal>) -> Result<T, Refusal> {
        match (check(&self.now), &self.before) {
            (Err(Refusal::WrongSignature), Some(before)) => check(before),
            (checked, _) => checked,
        }
    }
}

/// The keys of a worker. Whoever steals them can hear, rehearse this server, vouch for people at its doors and find people in what it counts; never speak.
#[derive(Clone, Debug)]
pub struct CrowdKeys {
    /// Checks passes to listen.
    pub listen: Pair<ListenKey>,
    /// Checks who says that they are rehearsing: a grant ends with its key.
    pub rehearsal: RehearsalKey,
    /// As whom listeners are counted: always the same, for whoever listens while keys are rotated is one person.
    pub people: PeopleKey,
    /// Signs and checks places in time.
    pub ticket: Pair<TicketKey>,
    /// Checks for whom the house vouches.
    pub voucher: Pair<VoucherKey>,
}

impl CrowdKeys {
    /// From the 32 random bytes of `DATA/keys/listen.key`, those of `listen.key.before` and those of `people.key`.
    pub fn new(listen: &Pair<[u8; 32]>, people: [u8; 32]) -> Self {
        Self {
            listen: listen.map(|secret| ListenKey::from_bytes(*secret)),
            rehearsal: RehearsalKey::from_bytes(listen.now),
            people: PeopleKey::from_bytes(people),
            ticket: listen.map(|secret| TicketKey::from_bytes(*secret)),
            voucher: listen.map(|secret| VoucherKey::from_bytes(*secret)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::pass::listen::Listen;
    use crate::{PassId, Scope};

    fn keys(now: u8, before: Option<u8>) -> Pair<ListenKey> {
        Pair { now, before }.map(|byte| ListenKey::from_bytes([*byte; 32]))
    }

    #[test]
    fn two_keys_are_valid_at_a_time_and_no_third() {
        let scope = Scope::parse("demo").expect("a scope");
        let pass = Listen { id: PassId([7; 8]), scope, expires: SystemTime::UNIX_EPOCH + Duration::from_secs(60) };
        let signed = keys(1, None).now.sign(&pass);
        let check = |keys: Pair<ListenKey>| keys.check(|key| key.verify(SystemTime::UNIX_EPOCH, &signed));
        assert_eq!(check(keys(1, None)), Ok(pass.clone()));
        assert_eq!(check(keys(2, Some(1))), Ok(pass));
        assert_eq!(check(keys(3, Some(2))), Err(Refusal::WrongSignature));
        assert_eq!(check(keys(2, None)), Err(Refusal::WrongSignature));
    }

    #[test]
    fn what_the_key_of_now_signed_is_refused_for_what_is_wrong_with_it() {
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        let pass = Listen { id: PassId([7; 8]), scope: Scope::parse("demo").expect("a scope"), expires: later };
        for signer in [keys(1, None), keys(2, None)] {
            let checked = keys(2, Some(1)).check(|key| key.verify(later, &signer.now.sign(&pass)));
            assert_eq!(checked, Err(Refusal::Expired));
        }
        assert_eq!(keys(2, Some(1)).check(|key| key.verify(later, "?")), Err(Refusal::Malformed));
    }
}
