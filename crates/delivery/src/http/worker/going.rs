//! How a worker begins beside another, and how it goes; and how logs do.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use hiwar_segment_log::LogId;
use rustix::event::epoll;

use super::super::FINISH_WITHIN;
use super::super::exchange::Phase;
use super::super::slab::Token;
use super::{Client, Worker};
use crate::tail::{Ended, Tail};

/// Whether a worker goes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Going {
    Stays,
    /// When the last connection has left.
    Retired,
    /// Then at the latest.
    Finishes(Instant),
}

impl Worker {
    /// Accepts nobody before [`Update::Whole`](super::super::Update::Whole), but no later than after `within`: others serve the socket, and know more, or whoever comes waits in its queue.
    #[must_use]
    pub fn accept_once_told(mut self, within: Duration) -> Self {
        self.untold_until = Some(Instant::now() + within);
        self.mind_the_gate();
        self
    }

    /// Accepts nobody any more, and hangs up on those who ask nothing.
    pub(super) fn retire(&mut self) {
        if self.going == Going::Stays {
            self.going = Going::Retired;
        }
        self.http2.retire();
        self.doors.retire();
        // Others have the same socket open, so that closing it does not take it out of our epoll.
        if let Some(listener) = self.listener.take() {
            let _ = epoll::delete(&self.epoll, &listener);
        }
        let tokens: Vec<Token> = self.slab.tokens().collect();
        for token in tokens {
            if let Some(Client::Exchange(exchange)) = self.slab.get(token)
                && matches!(exchange.phase, Phase::Reading { served: true })
                && exchange.read.is_empty()
            {
                self.slab.remove(token.index());
            }
        }
    }

    /// As [`Update::Finish`] says: whoever has heard all there is is let go, as if every log had ended.
    pub(super) fn finish(&mut self) {
        self.retire();
        self.going = Going::Finishes(Instant::now() + FINISH_WITHIN);
        let logs: Vec<LogId> = self.site.logs.keys().copied().collect();
        logs.into_iter().for_each(|log| self.ended(log));
    }

    /// Forgets the sound of logs that ended a while ago, and whoever has still not read it.
    pub(super) fn fade(&mut self, now: Instant) {
        while let Some(&(at, log)) = self.fading.front()
            && at <= now
        {
            self.fading.pop_front();
            // One that was opened again goes on.
            if self.site.logs.get(&log).is_some_and(|tail| tail.ended() == Ended::Yes) {
                self.dismiss(log);
                self.site.logs.entry(log).and_modify(Tail::fade);
                // What was counted has been told, and nothing follows.
                self.shared.logs.lock().unwrap_or_else(PoisonError::into_inner).remove(&log);
            }
        }
    }

    /// Whether there is nobody left to serve, or no time.
    pub(super) fn is_gone(&mut self, now: Instant) -> bool {
        if self.going == Going::Stays {
            return false;
        }
        let is_empty = self.slab.len() == 0 && self.replay.is_idle() && self.forward.is_idle() && self.http2.is_idle();
        self.empty_since = is_empty.then(|| self.empty_since.unwrap_or(now));
        let is_late = matches!(self.going, Going::Finishes(at) if now >= at);
        // Between a helper and the mailbox a connection is nowhere.
        is_late || self.empty_since.is_some_and(|since| now - since >= EMPTY_FOR)
    }
}

/// How long nobody may be there before a worker that goes is gone.
const EMPTY_FOR: Duration = Duration::from_millis(100);
