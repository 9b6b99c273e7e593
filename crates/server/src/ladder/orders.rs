//! What an operator has ordered by hand, and how it is kept: in `DATA/ladder.json`, so that it outlives the house and a restart of everything, until it is lifted or its time is over.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hiwar_admission::ladder::{Level, Order};
use hiwar_segment_log::LogId;
use serde::{Deserialize, Serialize};

use crate::registry::replace;

/// In the data directory.
const FILE: &str = "ladder.json";
/// Conversations whose places are ordered, at the most: as many as can be on the air.
const SPACES_MAX: usize = 512;

/// An order, with who gave it, when, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given<T> {
    /// What.
    pub what: T,
    /// When it was given, in milliseconds since 1970.
    pub at_ms: u64,
    /// When it is over; `None`: when it is lifted.
    pub until_ms: Option<u64>,
    /// Who gave it, as they say.
    pub by: String,
    /// Why, as they say.
    pub why: String,
}

impl<T> Given<T> {
    fn is_over(&self, now: SystemTime) -> bool {
        self.until_ms.is_some_and(|until| until <= ms(now))
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orders {
    /// The level that it is at.
    pub pin: Option<Given<u8>>,
    /// The level that it does not go beyond.
    pub cap: Option<Given<u8>>,
    /// The level that it is at for whoever comes anew.
    pub panic: Option<Given<u8>>,
    /// How many may listen to a conversation, by its id.
    pub places: BTreeMap<String, Given<u32>>,
}

/// Which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// A level for everybody.
    Pin,
    /// A level for everybody that pressure does not go beyond.
    Cap,
    /// A level for whoever comes anew.
    Panic,
    /// How many may listen to that conversation.
    Places(LogId),
}

impl Which {
    /// As it is called where programs read it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Cap => "cap",
            Self::Panic => "panic",
            Self::Places(_) => "places",
        }
    }

    /// The conversation that it is about, if it is about one.
    pub fn space(&self) -> Option<&LogId> {
        match self {
            Self::Places(space) => Some(space),
            _ => None,
        }
    }
}

impl Orders {
    /// What was kept. What cannot be read was not ordered: the log says so.
    pub fn load(data: &Path) -> Self {
        match fs::read(data.join(FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|why| {
                tracing::error!("what was ordered of levels cannot be read, and does not stand: {why}");
                Self::default()
            }),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(why) => {
                tracing::error!("what was ordered of levels cannot be read, and does not stand: {why}");
                Self::default()
            }
        }
    }

    /// Keeps them. Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, data: &Path) -> io::Result<()> {
        replace(data, FILE, &serde_json::to_vec_pretty(self).map_err(io::Error::other)?)
    }

    /// From now on that, or no longer. Whether there was room.
    pub fn give(&mut self, which: &Which, given: Option<Given<u32>>) -> bool {
        let level = |given: Option<Given<u32>>| {
            given.map(|Given { what, at_ms, until_ms, by, why }| Given {
                what: u8::try_from(what).unwrap_or(Order::NONE),
                at_ms,
                until_ms,
                by,
                why,
            })
        };
        match which {
            Which::Pin => self.pin = level(given),
            Which::Cap => self.cap = level(given),
            Which::Panic => self.panic = level(given),
            Which::Places(space) => match given {
                Some(given) => {
                    if self.places.len() >= SPACES_MAX && !self.places.contains_key(space.as_str()) {
                        return false;
                    }
                    self.places.insert(space.as_str().to_owned(), given);
                }
                None => drop(self.places.remove(space.as_str())),
            },
        }
        true
    }

    /// Forgets those whose time is over, and names them.
    pub fn expire(&mut self, now: SystemTime) -> Vec<Which> {
        let mut over = Vec::new();
        for (which, order) in
            [(Which::Pin, &mut self.pin), (Which::Cap, &mut self.cap), (Which::Panic, &mut self.panic)]
        {
            if order.take_if(|given| given.is_over(now)).is_some() {
                over.push(which);
            }
        }
        self.places.retain(|space, given| {
            let is_over = given.is_over(now);
            if let Some(space) = LogId::parse(space).ok().filter(|_| is_over) {
                over.push(Which::Places(space));
            }
            !is_over
        });
        over
    }

    /// For the workers.
    pub fn order(&self) -> Order {
        let level = |given: &Option<Given<u8>>| given.as_ref().and_then(|given| Level::of(given.what));
        Order { pin: level(&self.pin), cap: level(&self.cap), panic: level(&self.panic) }
    }

    /// For the doors.
    pub fn wanted(&self) -> crate::door::Wanted {
        let places = self.places.iter().filter_map(|(space, given)| Some((LogId::parse(space).ok()?, given.what)));
        crate::door::Wanted { is_shut: self.order().least() == Level::Capped, places: places.collect() }
    }
}

/// In milliseconds since 1970.
pub fn ms(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// The moment of so many milliseconds since 1970; one that no clock shows is as good as far away.
pub fn moment(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.min(u64::from(u32::MAX) * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given<T>(what: T, until_ms: Option<u64>) -> Given<T> {
        Given { what, at_ms: 1, until_ms, by: "somebody".into(), why: "for a reason".into() }
    }

    #[test]
    fn orders_are_kept_and_end_at_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        assert_eq!(Orders::load(data), Orders::default());
        let mut orders = Orders::default();
        let talk = Which::Places(LogId::parse("talk").unwrap());
        assert!(orders.give(&Which::Panic, Some(given(5, Some(2_000)))));
        assert!(orders.give(&Which::Cap, Some(given(3, None))));
        assert!(orders.give(&talk, Some(given(500, Some(3_000)))));
        orders.save(data).unwrap();
        let mut orders = Orders::load(data);
        assert_eq!(orders.order().numbers(), [Order::NONE, 3, 5]);
        assert!(orders.wanted().is_shut);
        assert_eq!(orders.expire(moment(1_999)), []);
        assert_eq!(orders.expire(moment(2_000)), [Which::Panic]);
        assert!(!orders.wanted().is_shut && orders.wanted().places.len() == 1);
        assert_eq!(orders.expire(moment(u64::MAX)), [talk]);
        assert_eq!(orders.order().numbers(), [Order::NONE, 3, Order::NONE]);
        fs::write(data.join(FILE), b"{").unwrap();
        assert_eq!(Orders::load(data), Orders::default());
    }
}
