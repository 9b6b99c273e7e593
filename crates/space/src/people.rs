//! Whom a space knows: who hosts, who speaks, who was sent away. It outlives a restart; who is *there* does not ([`crate::stage`]).

use crate::{Name, ParticipantId, Refusal};

/// Co-hosts of one space.
pub const CO_HOSTS_MAX: usize = 5;
/// People that one space remembers. A full stage and its guests are some dozens; beyond this the longest known are forgotten: first of those who never came
/// (whoever has the speakers' link may say that they agree), then of speakers, then of who was removed; whoever was blocked is not.
pub const KNOWN_MAX: usize = 512;

/// What somebody is in a space. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Hears it.
    Listener,
    /// Has a seat whenever they come.
    Speaker,
    /// Helps the host.
    CoHost,
    /// Rules it. There is one.
    Host,
}

/// Whether somebody may ask for the word and come to the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// As anybody.
    Welcome,
    /// Not again.
    Removed,
    /// Not again, and whatever pass they hold is worth nothing.
    Blocked,
}

/// Somebody that a space knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub id: ParticipantId,
    /// What to call them.
    pub name: Name,
    /// What they are.
    pub role: Role,
    /// Whether they may come.
    pub standing: Standing,
    /// Whether their sound is kept from everybody. Only they can end that.
    pub muted: bool,
    /// Whether they have said that they know that this is recorded.
    pub agreed: bool,
    /// Whether they have been on the stage, or were called there.
    pub met: bool,
}

impl Participant {
    /// Somebody who is welcome and has said nothing yet.
    pub fn new(id: ParticipantId, name: Name, role: Role) -> Self {
        Self { id, name, role, standing: Standing::Welcome, muted: false, agreed: false, met: false }
    }

    /// Whether they may ask for the word and come to the stage.
    ///
    /// # Errors
    /// [`Refusal::Removed`] and [`Refusal::Blocked`].
    pub fn require_welcome(&self) -> Result<(), Refusal> {
        match self.standing {
            Standing::Welcome => Ok(()),
            Standing::Removed => Err(Refusal::Removed),
            Standing::Blocked => Err(Refusal::Blocked),
        }
    }

    /// How soon they are forgotten, the least first. `None`: never.
    fn worth(&self) -> Option<u8> {
        match (self.standing, self.met) {
            _ if self.role > Role::Speaker => None,
            (Standing::Welcome, false) => Some(0),
            (Standing::Welcome, true) => Some(1),
            (Standing::Removed, _) => Some(2),
            (Standing::Blocked, _) => None,
        }
    }
}

/// Everybody that a space knows: at most [`KNOWN_MAX`], each once, at most one of them its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People(Vec<Participant>);

impl People {
    /// Takes whom a space knew before a restart. Of two hosts the second is a co-host; whoever is there twice is taken once;
    /// whoever is beyond [`KNOWN_MAX`] is forgotten.
    pub fn from_list(list: Vec<Participant>) -> Self {
        let mut people = Self::default();
        for mut participant in list {
            if people.find(&participant.id).is_some() || people.0.len() >= KNOWN_MAX {
                continue;
            }
            if participant.role == Role::Host && people.host().is_some() {
                participant.role = Role::CoHost;
            }
            if participant.role == Role::CoHost && people.co_hosts() >= CO_HOSTS_MAX {
                participant.role = Role::Speaker;
            }
            people.0.push(participant);
        }
        people
    }

    /// Somebody that is known.
    pub fn find(&self, id: &ParticipantId) -> Option<&Participant> {
        self.0.iter().find(|participant| participant.id == *id)
    }

    /// Who rules.
    pub fn host(&self) -> Option<&Participant> {
        self.0.iter().find(|participant| participant.role == Role::Host)
    }

    /// All of them, the longest known first.
    pub fn iter(&self) -> impl Iterator<Item = &Participant> {
        self.0.iter()
    }

    pub(crate) fn find_mut(&mut self, id: &ParticipantId) -> Option<&mut Participant> {
        self.0.iter_mut().find(|participant| participant.id == *id)
    }

    pub(crate) fn co_hosts(&self) -> usize {
        self.0.iter().filter(|participant| participant.role == Role::CoHost).count()
    }

    /// Takes somebody in who is not known. If there are too many, one of those who are not `kept` is forgotten.
    pub(crate) fn learn(
        &mut self,
        participant: Participant,
        kept: impl Fn(&ParticipantId) -> bool,
    ) -> Result<&mut Participant, Refusal> {
        if self.0.len() >= KNOWN_MAX {
            let others = self.0.iter().filter(|known| !kept(&known.id));
            let forgotten = others
                .filter_map(|known| Some((known.worth()?, &known.id)))
                .min_by_key(|(worth, _)| *worth)
                .map(|(_, id)| id.clone())
                .ok_or(Refusal::TooManyKnown)?;
            self.0.retain(|known| known.id != forgotten);
        }
        self.0.push(participant);
        Ok(self.0.last_mut().expect("somebody was taken in"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody(number: usize, role: Role, standing: Standing) -> Participant {
        let id = ParticipantId::parse(&format!("p{number}")).expect("an id");
        Participant { standing, ..Participant::new(id, Name::parse("ليلى").expect("a name"), role) }
    }

    #[test]
    fn the_longest_known_are_forgotten_but_not_who_is_there_nor_who_was_blocked() {
        let mut people = People::default();
        for number in 0..KNOWN_MAX {
            let (role, standing) = match number {
                0 => (Role::Host, Standing::Welcome),
                1 => (Role::Speaker, Standing::Blocked),
                2 => (Role::Speaker, Standing::Removed),
                3 => (Role::Speaker, Standing::Welcome),
                4 => (Role::Speaker, Standing::Welcome),
                _ => (Role::CoHost, Standing::Welcome),
            };
            people.learn(somebody(number, role, standing), |_| false).expect("room");
        }
        let there = |id: &ParticipantId| id.as_str() == "p3";
        let mut forgotten = Vec::new();
        for number in KNOWN_MAX..KNOWN_MAX + 2 {
            let before: Vec<_> = people.iter().map(|known| known.id.clone()).collect();
            people.learn(somebody(number, Role::CoHost, Standing::Welcome), there).expect("somebody can be forgotten");
            forgotten.extend(before.into_iter().filter(|id| people.find(id).is_none()));
        }
        assert_eq!(forgotten.iter().map(ParticipantId::as_str).collect::<Vec<_>>(), ["p4", "p2"]);
        let one_more = somebody(KNOWN_MAX + 2, Role::Speaker, Standing::Welcome);
        assert_eq!(people.learn(one_more, there), Err(Refusal::TooManyKnown));
        assert_eq!(people.iter().count(), KNOWN_MAX);
    }

    #[test]
    fn whoever_merely_agreed_is_forgotten_before_whoever_came() {
        let mut people = People::default();
        for number in 0..2 * KNOWN_MAX {
            let met = number % 8 == 0 && number < KNOWN_MAX;
            let one = Participant { met, agreed: true, ..somebody(number, Role::Speaker, Standing::Welcome) };
            people.learn(one, |_| false).expect("room");
        }
        let met = people.iter().filter(|known| known.met).count();
        assert_eq!((met, people.iter().count()), (KNOWN_MAX / 8, KNOWN_MAX));
        assert_eq!(people.iter().last().map(|last| last.id.as_str()), Some("p1023"));
    }

    #[test]
    fn a_list_that_breaks_the_laws_is_taken_within_them() {
        let mut list: Vec<_> = (0..9).map(|number| somebody(number, Role::Host, Standing::Welcome)).collect();
        list.push(somebody(0, Role::CoHost, Standing::Welcome));
        let people = People::from_list(list);
        assert_eq!(people.host().map(|host| host.id.as_str()), Some("p0"));
        assert_eq!((people.co_hosts(), people.iter().count()), (CO_HOSTS_MAX, 9));
    }
}
