//! Whoever comes anew while that is to be kept from costing anything: they are sent to the delayed stream where others carry it, or else are told that there is no place, if there
//! is to be none. Whoever holds a ticket or a place of a door was here before.

use std::time::{Duration, SystemTime};

use hiwar_admission::door::ticket::Worth;
use hiwar_admission::ladder::Stance;

use super::cadence::Rhythm;
use super::door::Doors;
use crate::answer::Answer;
use crate::door::{self, Offers, Waiting};
use crate::request::Request;

/// Somebody who would listen, or wait for it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Newcomer<'a> {
    stance: Stance,
    offers: Offers<'a>,
    has_door: bool,
    /// They show one that is good.
    has_ticket: bool,
}

impl<'a> Newcomer<'a> {
    /// Whoever asks so, and would have that answer.
    pub(super) fn of(
        doors: &Doors,
        rhythm: &Rhythm,
        offers: Offers<'a>,
        (answer, request): (&Answer, &Request<'_>),
    ) -> Self {
        let stance = rhythm.stance();
        // Looked at only where it matters: it costs a MAC.
        let has_ticket = stance.delays && doors.know(answer, request);
        Self { stance, offers, has_door: doors.has(answer), has_ticket }
    }

    /// What they are told in place of that answer, if they are not to come in here.
    pub(super) fn turn_away(self, answer: &Answer, request: &Request<'_>, wall: SystemTime) -> Option<Answer> {
        if !self.stance.delays || self.has_ticket {
            return None;
        }
        let (space, listens) = match answer {
            Answer::Listen { log, .. } => (log.stem(), true),
            Answer::Wait { log } => (*log, false),
            _ => return None,
        };
        let space = space.as_str();
        // Our page says whether its browser can play that. What a browser's own player asks for is what the page, or whoever has no JavaScript, found that it plays.
        let can_go = match request.parameter("t") {
            Some(_) => request.has(door::PLAYS_HLS),
            None => request.field("sec-fetch-dest").is_none(),
        };
        if let Some(origin) = self.offers.elsewhere.filter(|_| can_go) {
            let answer = match listens {
                true => door::send_elsewhere(request, space, origin, wall),
                false => door::enter(request, space, None, wall),
            };
            return Some(answer);
        }
        if self.stance.is_shut && !self.has_door {
            let (ticket, worth, offers) = (NO_TICKET, Worth::NO_TURN, self.offers);
            let waiting = Waiting { space, ticket, wait: LOOK_AGAIN, worth, expected: None, offers };
            return Some(if listens { door::wait(request, waiting, wall) } else { door::page(request, waiting, wall) });
        }
        // Of a door the house says how many come in.
        None
    }
}

/// Nobody's place: who shows it comes as others do.
const NO_TICKET: &str = "-";
/// Soon enough after an operator has let people in again, and seldom enough for as many as may come.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
