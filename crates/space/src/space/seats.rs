//! Who asks, is called, comes, is silenced, goes and is sent away; and who becomes what.

use super::*;
use crate::people::CO_HOSTS_MAX;
use crate::{KEPT, SPEAKERS_MAX, Standing};

/// Somebody who asks, and what their pass is for.
type Who = Option<(ParticipantId, Warrant)>;

impl Space {
    pub(super) fn let_ask(&mut self, asking: Asking) -> Result<(), Refusal> {
        self.require_ahead()?;
        if self.facts.asking != asking {
            self.facts.asking = asking;
            self.tell(Event::RolesChanged);
        }
        // Else a queue that strangers have filled could be emptied only one by one.
        if asking == Asking::Nobody && self.hands.clear() {
            self.tell(Event::HandsChanged);
        }
        Ok(())
    }

    pub(super) fn lock(&mut self, locked: bool) -> Result<(), Refusal> {
        self.require_ahead()?;
        if self.facts.locked != locked {
            self.facts.locked = locked;
            self.tell(Event::RolesChanged);
        }
        Ok(())
    }

    /// Whoever agrees is known from then on, so that their next connection need not ask again.
    pub(super) fn agree(&mut self, who: Who, name: Name) -> Result<(), Refusal> {
        let (id, warrant) = who.ok_or(Refusal::NotThemselves)?;
        self.require_ahead()?;
        self.require_standing(&id)?;
        // Who only listens is not asked, and not remembered.
        if self.role(&id, warrant) == Role::Listener && self.stage.presence(&id).is_none() {
            return Err(Refusal::NotCalled);
        }
        // Else a lock would be opened by saying this first.
        self.require_unlocked(&id, warrant)?;
        let participant = self.know(&id, &name, warrant)?;
        let is_new = !std::mem::replace(&mut participant.agreed, true);
        self.come_on(&id)?;
        if is_new {
            self.tell(Event::RolesChanged);
        }
        Ok(())
    }

    pub(super) fn raise_hand(&mut self, who: Who, name: Name) -> Result<(), Refusal> {
        let (participant, _) = who.ok_or(Refusal::NotThemselves)?;
        self.require_open()?;
        self.require_standing(&participant)?;
        if self.stage.presence(&participant).is_some() {
            return Err(Refusal::AlreadyOnStage);
        }
        if self.hands.place(&participant).is_some() {
            return Ok(()); // They keep their place.
        }
        if self.facts.asking == Asking::Nobody {
            return Err(Refusal::AskingClosed);
        }
        self.hands.raise(Hand { participant, name })?;
        self.tell(Event::HandsChanged);
        Ok(())
    }

    pub(super) fn lower_hand(&mut self, who: Who) -> Result<(), Refusal> {
        let (id, _) = who.ok_or(Refusal::NotThemselves)?;
        self.dismiss(&id)
    }

    pub(super) fn dismiss(&mut self, id: &ParticipantId) -> Result<(), Refusal> {
        self.hands.lower(id).ok_or(Refusal::NoHand)?;
        self.tell(Event::HandsChanged);
        Ok(())
    }

    /// A seat is kept for whoever is called, so that a call is never answered by "the stage is full".
    pub(super) fn call(&mut self, now: Now, id: &ParticipantId) -> Result<(), Refusal> {
        self.require_open()?;
        self.require_standing(id)?;
        if self.stage.presence(id).is_some() {
            return Err(Refusal::AlreadyOnStage);
        }
        let asked = self.hands.iter().find(|hand| hand.participant == *id).map(|hand| hand.name.clone());
        let name = match (asked, self.facts.people.find(id)) {
            (Some(name), _) => name,
            (None, Some(known)) => known.name.clone(),
            (None, None) => return Err(Refusal::NoHand),
        };
        if self.role(id, Warrant::Listen) <= Role::Speaker {
            self.require_seat()?;
        }
        self.know(id, &name, Warrant::Listen)?.met = true;
        self.stage.seat(id, Presence::Called { until: now.steady + KEPT });
        if self.hands.lower(id).is_some() {
            self.tell(Event::HandsChanged);
        }
        self.tell(Event::Called { participant: id.clone() });
        self.tell(Event::StageChanged);
        Ok(())
    }

    pub(super) fn accept(&mut self, now: Now, who: Who) -> Result<(), Refusal> {
        let (id, _) = who.ok_or(Refusal::NotThemselves)?;
        match self.stage.presence(&id) {
            Some(Presence::Called { .. }) => {}
            Some(Presence::Coming { .. } | Presence::OnStage) => return Err(Refusal::AlreadyOnStage),
            None => return Err(Refusal::NotCalled),
        }
        let participant = self.facts.people.find_mut(&id).ok_or(Refusal::NotCalled)?;
        participant.role = participant.role.max(Role::Speaker);
        self.stage.seat(&id, Presence::Coming { until: now.steady + KEPT });
        if !self.come_on(&id)? {
            self.tell(Event::StageChanged);
        }
        self.tell(Event::RolesChanged);
        Ok(())
    }

    pub(super) fn decline(&mut self, who: Who) -> Result<(), Refusal> {
        let (id, _) = who.ok_or(Refusal::NotThemselves)?;
        match self.stage.presence(&id) {
            Some(Presence::Called { .. } | Presence::Coming { .. }) => {}
            Some(Presence::OnStage) => return Err(Refusal::AlreadyOnStage),
            None => return Err(Refusal::NotCalled),
        }
        self.unseat(&id);
        Ok(())
    }

    /// Whether somebody could come to the stage now: what [`Command::Arrive`] asks before it changes anything. Asked before a microphone is opened.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn admits(&self, id: &ParticipantId, warrant: Warrant) -> Result<(), Refusal> {
        self.require_open()?;
        self.require_standing(id)?;
        // A call that is still to be answered is a question, not yet a role.
        if self.role(id, warrant) == Role::Listener {
            return Err(Refusal::NotCalled);
        }
        if self.is_recorded() && !self.facts.people.find(id).is_some_and(|known| known.agreed) {
            return Err(Refusal::NotAgreed);
        }
        self.require_room(id, warrant)
    }

    pub(super) fn arrive(&mut self, id: ParticipantId, name: Name, warrant: Warrant) -> Result<(), Refusal> {
        self.admits(&id, warrant)?;
        if self.stage.is_on(&id) {
            // Reconnected, or by another name.
            let participant = self.know(&id, &name, warrant)?;
            if participant.name != name {
                participant.name = name;
                self.tell(Event::StageChanged);
                self.tell(Event::RolesChanged);
            }
            return Ok(());
        }
        let participant = self.know(&id, &name, warrant)?;
        let is_new = !std::mem::replace(&mut participant.met, true);
        participant.name = name;
        if self.hands.lower(&id).is_some() {
            self.tell(Event::HandsChanged);
        }
        self.wings.leave(&id);
        self.stage.seat(&id, Presence::OnStage);
        self.tell(Event::StageChanged);
        if is_new {
            self.tell(Event::RolesChanged);
        }
        Ok(())
    }

    pub(super) fn depart(&mut self, id: &ParticipantId) -> Result<(), Refusal> {
        if self.wings.leave(id).is_some() {
            return Ok(());
        }
        if !self.stage.is_on(id) {
            return Err(Refusal::NotOnStage);
        }
        self.vacate(id);
        Ok(())
    }

    pub(super) fn hear(&mut self, id: Option<ParticipantId>) -> Result<(), Refusal> {
        if let Some(id) = &id
            && !self.stage.is_on(id)
        {
            return Err(Refusal::NotOnStage);
        }
        if self.speaking != id {
            self.speaking = id;
            self.tell(Event::SpeakingChanged);
        }
        Ok(())
    }

    pub(super) fn mute(&mut self, rank: Rank, is_own: bool, id: &ParticipantId) -> Result<(), Refusal> {
        let role = self.on_stage(id)?.role;
        if !is_own {
            require_below(rank, role)?;
        }
        self.silence(id);
        Ok(())
    }

    pub(super) fn mute_all(&mut self, rank: Rank, who: Who) -> Result<(), Refusal> {
        self.require_open()?;
        let asks = who.map(|(id, _)| id);
        let all: Vec<ParticipantId> = self
            .stage()
            .filter(|participant| Some(&participant.id) != asks.as_ref() && Rank::Person(participant.role) < rank)
            .map(|participant| participant.id.clone())
            .collect();
        all.iter().for_each(|id| self.silence(id));
        Ok(())
    }

    /// Nobody opens another person's microphone: not a host, and not the house.
    pub(super) fn unmute(&mut self, who: Who, id: &ParticipantId) -> Result<(), Refusal> {
        if who.is_none_or(|(asks, _)| asks != *id) {
            return Err(Refusal::NotThemselves);
        }
        self.on_stage(id)?;
        if let Some(participant) = self.facts.people.find_mut(id)
            && std::mem::take(&mut participant.muted)
        {
            self.tell(Event::Unmuted { participant: id.clone() });
            self.tell(Event::StageChanged);
        }
        Ok(())
    }

    pub(super) fn send_back(&mut self, rank: Rank, id: &ParticipantId) -> Result<(), Refusal> {
        self.require_ahead()?;
        let participant = self.facts.people.find_mut(id).ok_or(Refusal::NotOnStage)?;
        require_below(rank, participant.role)?;
        if participant.role == Role::Listener && self.stage.presence(id).is_none() {
            return Err(Refusal::NotOnStage);
        }
        participant.role = Role::Listener;
        self.tell(Event::RolesChanged);
        self.unseat(id);
        Ok(())
    }

    pub(super) fn send_away(&mut self, rank: Rank, id: &ParticipantId, standing: Standing) -> Result<(), Refusal> {
        self.require_ahead()?;
        let asked = self.hands.iter().find(|hand| hand.participant == *id).map(|hand| hand.name.clone());
        let known = self.facts.people.find(id).map(|known| (known.role, known.name.clone()));
        let (role, name) = match (known, asked) {
            (Some(known), _) => known,
            (None, Some(name)) => (Role::Listener, name),
            (None, None) => return Err(Refusal::Unknown),
        };
        require_below(rank, role)?;
        let participant = self.know(id, &name, Warrant::Listen)?;
        if participant.standing == standing {
            return Ok(());
        }
        participant.standing = standing;
        participant.role = Role::Listener;
        self.tell(Event::RolesChanged);
        if self.hands.lower(id).is_some() {
            self.tell(Event::HandsChanged);
        }
        self.unseat(id);
        if standing == Standing::Blocked {
            self.tell(Event::Blocked { participant: id.clone() });
        }
        Ok(())
    }

    pub(super) fn pardon(&mut self, id: &ParticipantId) -> Result<(), Refusal> {
        self.require_ahead()?;
        let participant = self.facts.people.find_mut(id).ok_or(Refusal::Unknown)?;
        if participant.standing == Standing::Welcome {
            return Err(Refusal::NotRemoved);
        }
        participant.standing = Standing::Welcome;
        self.tell(Event::RolesChanged);
        Ok(())
    }

    pub(super) fn make_co_host(&mut self, id: &ParticipantId) -> Result<(), Refusal> {
        match self.on_stage(id)?.role {
            Role::Host => return Err(Refusal::NotBelow),
            Role::CoHost => return Ok(()),
            Role::Listener | Role::Speaker => {}
        }
        if self.facts.people.co_hosts() >= CO_HOSTS_MAX {
            return Err(Refusal::CoHostsFull);
        }
        self.becomes(id, Role::CoHost);
        Ok(())
    }

    pub(super) fn unmake_co_host(&mut self, id: &ParticipantId) -> Result<(), Refusal> {
        self.require_ahead()?;
        let role = self.facts.people.find(id).ok_or(Refusal::Unknown)?.role;
        match role {
            Role::Host => return Err(Refusal::NotBelow),
            Role::Speaker | Role::Listener => return Ok(()),
            Role::CoHost => {}
        }
        // Whoever sits needs a speaker's seat from now on.
        if self.stage.presence(id).is_some() {
            self.require_seat()?;
        }
        self.becomes(id, Role::Speaker);
        Ok(())
    }

    /// The one who was host is a co-host: whoever takes over has just left either those or the speakers, so there is a place.
    pub(super) fn hand_over(&mut self, id: &ParticipantId) -> Result<(), Refusal> {
        if self.on_stage(id)?.role == Role::Host {
            return Err(Refusal::NotBelow);
        }
        let before = self.facts.people.host().map(|host| host.id.clone());
        self.becomes(id, Role::Host);
        if let Some(before) = before {
            let role = if self.facts.people.co_hosts() < CO_HOSTS_MAX { Role::CoHost } else { Role::Speaker };
            self.becomes(&before, role);
        }
        Ok(())
    }

    fn becomes(&mut self, id: &ParticipantId, role: Role) {
        if let Some(participant) = self.facts.people.find_mut(id) {
            participant.role = role;
            self.tell(Event::StageChanged);
            self.tell(Event::RolesChanged);
        }
    }

    fn silence(&mut self, id: &ParticipantId) {
        if let Some(participant) = self.facts.people.find_mut(id)
            && !std::mem::replace(&mut participant.muted, true)
        {
            self.tell(Event::Muted { participant: id.clone() });
            self.tell(Event::StageChanged);
        }
    }

    /// Somebody on the stage.
    fn on_stage(&self, id: &ParticipantId) -> Result<&Participant, Refusal> {
        if !self.stage.is_on(id) {
            return Err(Refusal::NotOnStage);
        }
        self.facts.people.find(id).ok_or(Refusal::NotOnStage)
    }

    /// Somebody, who is known from now on.
    fn know(&mut self, id: &ParticipantId, name: &Name, warrant: Warrant) -> Result<&mut Participant, Refusal> {
        if self.facts.people.find(id).is_none() {
            let stranger = Participant::new(id.clone(), name.clone(), self.role(id, warrant));
            let stage = &self.stage;
            self.facts.people.learn(stranger, |known| stage.presence(known).is_some())?;
        }
        self.facts.people.find_mut(id).ok_or(Refusal::Unknown)
    }

    fn require_standing(&self, id: &ParticipantId) -> Result<(), Refusal> {
        self.facts.people.find(id).map_or(Ok(()), Participant::require_welcome)
    }

    /// Whether somebody gets past the lock. Whom the space knows does: strangers are whom it is for.
    fn require_unlocked(&self, id: &ParticipantId, warrant: Warrant) -> Result<(), Refusal> {
        let is_stranger = self.facts.people.find(id).is_none() && self.role(id, warrant) == Role::Speaker;
        if self.facts.locked && is_stranger { Err(Refusal::StageLocked) } else { Ok(()) }
    }

    /// Whether somebody who is not there yet gets past the lock and finds a seat.
    pub(super) fn require_room(&self, id: &ParticipantId, warrant: Warrant) -> Result<(), Refusal> {
        if self.stage.presence(id).is_none() && self.role(id, warrant) == Role::Speaker {
            self.require_unlocked(id, warrant)?;
            self.require_seat()?;
        }
        Ok(())
    }

    /// Whether there is a seat for one more speaker.
    fn require_seat(&self) -> Result<(), Refusal> {
        let has_own = |id: &ParticipantId| self.facts.people.find(id).is_some_and(|known| known.role >= Role::CoHost);
        let taken = self.stage.seats().filter(|(id, _)| !has_own(id)).count();
        if taken < SPEAKERS_MAX { Ok(()) } else { Err(Refusal::StageFull) }
    }

    /// Takes somebody's seat away, and says so.
    fn unseat(&mut self, id: &ParticipantId) {
        if self.stage.presence(id).is_some() {
            self.tell(Event::Unseated { participant: id.clone() });
            self.vacate(id);
        }
    }

    fn vacate(&mut self, id: &ParticipantId) {
        self.wings.leave(id);
        self.stage.unseat(id);
        if self.speaking.as_ref() == Some(id) {
            self.speaking = None;
            self.tell(Event::SpeakingChanged);
        }
        self.tell(Event::StageChanged);
    }
}

/// Nobody does anything to whom they are not above. The host is not below themselves.
fn require_below(rank: Rank, role: Role) -> Result<(), Refusal> {
    if Rank::Person(role) < rank { Ok(()) } else { Err(Refusal::NotBelow) }
}
