//! Connections whose request is answered when a log has come to a position (RFC 8216bis §6.2.5.2): who waits for what, and who is due.
//!
//! It holds tokens, never sockets: a connection that goes away is released, and one that has been let go already is simply not found.

use std::collections::{BTreeSet, HashMap, VecDeque};

use hiwar_segment_log::LogId;

use super::slab::Token;

/// Everyone on this worker who waits; no more than it has connections.
#[derive(Debug, Default)]
pub(super) struct Held {
    waiting: HashMap<LogId, BTreeSet<(u64, Token)>>,
    due: VecDeque<Token>,
}

impl Held {
    /// Somebody waits for a position of a log.
    pub(super) fn hold(&mut self, log: LogId, position: u64, token: Token) {
        self.waiting.entry(log).or_default().insert((position, token));
    }

    /// Somebody waits no longer.
    pub(super) fn release(&mut self, log: LogId, position: u64, token: Token) {
        if let Some(waiting) = self.waiting.get_mut(&log) {
            waiting.remove(&(position, token));
            if waiting.is_empty() {
                self.waiting.remove(&log);
            }
        }
    }

    /// A log has come to a position: whoever waited for it, or less, is due.
    pub(super) fn reached(&mut self, log: LogId, position: u64) {
        let Some(waiting) = self.waiting.get_mut(&log) else { return };
        // Most chunks end no part, and nobody waits for them.
        if waiting.first().is_none_or(|&(first, _)| first > position) {
            return;
        }
        let later = waiting.split_off(&(position.saturating_add(1), Token(0)));
        let due = std::mem::replace(waiting, later);
        if waiting.is_empty() {
            self.waiting.remove(&log);
        }
        self.due.extend(due.into_iter().map(|(_, token)| token));
    }

    /// Whatever they wait for will not come, or is told otherwise: everyone is due.
    pub(super) fn dismiss(&mut self, log: LogId) {
        self.due.extend(self.waiting.remove(&log).unwrap_or_default().into_iter().map(|(_, token)| token));
    }

    /// The next who is due.
    pub(super) fn next_due(&mut self) -> Option<Token> {
        self.due.pop_front()
    }

    /// Whether anybody is due.
    pub(super) fn is_due(&self) -> bool {
        !self.due.is_empty()
    }
}

/// Held requests answered before the worker looks at its sockets again: each is parsed and answered anew, in about 10 µs.
pub(super) const WAKE_TURN: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn due(held: &mut Held) -> Vec<u64> {
        std::iter::from_fn(|| held.next_due()).map(|token| token.0).collect()
    }

    #[test]
    fn who_waits_is_due_when_it_is_reached_and_not_before() {
        let (a, b) = (LogId::parse("a").unwrap(), LogId::parse("b").unwrap());
        let mut held = Held::default();
        for (log, position, token) in [(a, 10, 1), (a, 15, 2), (a, 10, 3), (b, 10, 4), (a, 20, 5)] {
            held.hold(log, position, Token(token));
        }
        held.reached(a, 9);
        assert!(!held.is_due());
        held.release(a, 10, Token(3));
        held.reached(a, 17);
        assert_eq!(due(&mut held), [1, 2]);
        held.dismiss(a);
        assert_eq!(due(&mut held), [5]);
        held.reached(b, u64::MAX);
        assert_eq!(due(&mut held), [4]);
        assert!(held.waiting.is_empty(), "nothing is kept of who is gone");
    }
}
