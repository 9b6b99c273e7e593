//! Everyone on one rendition of one log: who sits where, who is due, and how far the sweep through them is.

use hiwar_admission::ladder::Cadence;

use super::{Player, within_reach};

/// Where a member of a group sits. It must be kept with the connection, and corrected by what [`Group::leave`] says.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    row: Row,
    index: u32,
}

impl Seat {
    /// How often whoever sits there is written to.
    pub fn cadence(self) -> Cadence {
        self.row.cadence()
    }
}

/// One phase of one cadence: rows of the shortest first.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(u8);

impl Row {
    /// Rows of all cadences: a bit each fits into 64.
    const ALL: u8 = 38;

    /// The first of a cadence.
    const fn first(cadence: Cadence) -> u8 {
        match cadence {
            Cadence::Ms200 => 0,
            Cadence::Ms400 => 1,
            Cadence::S1 => 3,
            Cadence::S2 => 8,
            Cadence::S4 => 18,
        }
    }

    fn of(cadence: Cadence) -> impl Iterator<Item = Self> {
        let first = Self::first(cadence);
        (first..first + cadence.chunks() as u8).map(Self)
    }

    /// The row of a cadence that is written to with the chunk at a position.
    fn due(cadence: Cadence, position: u64) -> Self {
        Self(Self::first(cadence) + (position % cadence.chunks() as u64) as u8)
    }

    /// Asked for each listener at each visit.
    const fn cadence(self) -> Cadence {
        match self.0 {
            0 => Cadence::Ms200,
            1..3 => Cadence::Ms400,
            3..8 => Cadence::S1,
            8..18 => Cadence::S2,
            _ => Cadence::S4,
        }
    }

    fn bit(self) -> u64 {
        1 << self.0
    }
}

/// Everyone on one rendition of one log, and how far the current sweep is.
///
/// A sweep of a row goes from the last member to the first, because a member who leaves is replaced by the last one: going down, whoever is
/// moved has been visited already, and nobody is forgotten.
#[derive(Debug)]
pub struct Group {
    rows: Box<[Members]>,
    len: usize,
    /// Rows with members to be visited, and those of them that became due again meanwhile, a bit each.
    sweeping: u64,
    again: u64,
    /// The row whose turn it is: each is swept once before one that has become due again is.
    turn: u8,
    /// Where everyone is to be, as far as their players reach; who sits elsewhere is moved after a visit.
    settled: Settled,
    player: Player,
}

/// Where everyone is to be.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// At this cadence.
    At(Cadence),
    /// At this one, or at a longer one if they joined there.
    From(Cadence),
}

#[derive(Debug, Default)]
struct Members {
    connections: Vec<u32>,
    /// Those below this index are still to be visited.
    unvisited: usize,
    /// Those below this one are to be told something when they are visited.
    untold: usize,
    /// The position after the chunk that is due.
    until: u64,
}

/// Whose turn it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// Who.
    pub connection: u32,
    /// At which row, and up to which position that is written to.
    pub row: Row,
    /// As [`Piece::of`](super::Piece::of) wants it.
    pub until: u64,
    /// Whether whoever has everything is to be told what everyone is told.
    pub telling: Telling,
}

/// Whether a member is to be told something when it is visited.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Nothing.
    Nothing,
    /// What all are told now.
    Notice,
}

impl Visit {
    /// How often whoever is visited is written to.
    pub fn cadence(&self) -> Cadence {
        self.row.cadence()
    }
}

impl Default for Group {
    fn default() -> Self {
        let rows = (0..Row::ALL).map(|_| Members::default()).collect();
        let settled = Settled::From(Cadence::default());
        Self { rows, len: 0, sweeping: 0, again: 0, turn: 0, settled, player: Player::Blind }
    }
}

impl Group {
    /// Adds a connection, in the phase of the cadence that has fewest, and returns its seat.
    pub fn join(&mut self, connection: u32, cadence: Cadence) -> Seat {
        let fewest = Row::of(cadence).min_by_key(|row| self.row(*row).map_or(0, |members| members.connections.len()));
        let row = fewest.unwrap_or_default();
        let Some(members) = self.rows.get_mut(usize::from(row.0)) else { return Seat::default() };
        members.connections.push(connection);
        self.len += 1;
        Seat { row, index: (members.connections.len() - 1) as u32 }
    }

    /// Removes whoever sits at `seat`. Returns the connection that sits there now, if another was moved.
    pub fn leave(&mut self, seat: Seat) -> Option<u32> {
        let members = self.rows.get_mut(usize::from(seat.row.0))?;
        let index = seat.index as usize;
        if index >= members.connections.len() {
            return None;
        }
        members.connections.swap_remove(index);
        members.unvisited = members.unvisited.min(members.connections.len());
        members.untold = members.untold.min(members.connections.len());
        self.len -= 1;
        members.connections.get(index).copied()
    }

    /// A chunk came: one phase of every cadence is due. Returns whether the group was idle, that is, must be queued for sweeping.
    pub fn due(&mut self, position: u64) -> bool {
        let rows =
            Cadence::ALL.into_iter().map(|cadence| Row::due(cadence, position).bit()).fold(0, |all, bit| all | bit);
        self.begin(rows, position + 1)
    }

    /// Everyone is due, whatever their phase. As [`due`](Self::due).
    pub fn all_due(&mut self, live: u64) -> bool {
        self.begin(u64::MAX, live)
    }

    /// Everyone is to be told what stands, once, when they have heard all there is. As [`due`](Self::due).
    pub fn tell(&mut self, live: u64) -> bool {
        let was_idle = self.all_due(live);
        // A sweep that is on begins anew: who has had their turn in it is to be told, too.
        self.again = 0;
        for members in &mut self.rows {
            (members.unvisited, members.untold) = (members.connections.len(), members.connections.len());
        }
        was_idle
    }

    /// Everyone is to be there from now on, as far as their players [reach](within_reach), and is moved when they are visited.
    pub fn settle(&mut self, settled: Settled, player: Player) {
        (self.settled, self.player) = (settled, player);
    }

    /// Where whoever sits there is to be instead.
    pub fn moves(&self, seat: Seat) -> Option<Cadence> {
        let wanted = match self.settled {
            Settled::At(cadence) => cadence,
            Settled::From(cadence) => cadence.max(seat.cadence()),
        };
        let to = within_reach(seat.cadence(), wanted, self.player);
        (to != seat.cadence()).then_some(to)
    }

    fn begin(&mut self, rows: u64, until: u64) -> bool {
        let was_idle = self.sweeping == 0;
        for (index, members) in self.rows.iter_mut().enumerate() {
            let bit = 1 << index;
            if rows & bit == 0 || members.connections.is_empty() {
                continue;
            }
            members.until = until;
            if self.sweeping & bit == 0 {
                members.unvisited = members.connections.len();
                self.sweeping |= bit;
            } else {
                self.again |= bit;
            }
        }
        was_idle && self.sweeping != 0
    }

    /// The next connection to visit; `None` when the sweep is over.
    pub fn visit(&mut self) -> Option<Visit> {
        loop {
            // From this turn on, or else from the first.
            let next = self.sweeping & (u64::MAX << self.turn);
            let rows = if next == 0 { self.sweeping } else { next };
            let row = Row(u8::try_from(rows.trailing_zeros()).ok().filter(|row| *row < Row::ALL)?);
            let members = self.rows.get_mut(usize::from(row.0))?;
            if let Some(index) = members.unvisited.checked_sub(1)
                && let Some(&connection) = members.connections.get(index)
            {
                members.unvisited = index;
                // Sweeps may begin again before they are over; each goes on telling where the one before stopped.
                let telling = if index < members.untold { Telling::Notice } else { Telling::Nothing };
                members.untold = members.untold.min(index);
                return Some(Visit { connection, row, until: members.until, telling });
            }
            self.turn = row.0 + 1;
            if self.again & row.bit() == 0 {
                self.sweeping &= !row.bit();
            }
            self.again &= !row.bit();
            members.unvisited = members.connections.len();
        }
    }

    /// Whether some are still to be visited.
    pub fn is_sweeping(&self) -> bool {
        self.sweeping != 0
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are written to at a cadence.
    pub fn at(&self, cadence: Cadence) -> usize {
        Row::of(cadence).filter_map(|row| self.row(row)).map(|members| members.connections.len()).sum()
    }

    /// Everyone, in no order.
    pub fn members(&self) -> impl Iterator<Item = u32> {
        self.rows.iter().flat_map(|members| members.connections.iter().copied())
    }

    fn row(&self, row: Row) -> Option<&Members> {
        self.rows.get(usize::from(row.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_one_after_the_other_and_know_their_cadence() {
        let rows: Vec<(u8, Cadence)> =
            Cadence::ALL.into_iter().flat_map(|cadence| Row::of(cadence).map(move |row| (row.0, cadence))).collect();
        assert_eq!(rows.iter().map(|(row, _)| *row).collect::<Vec<_>>(), (0..Row::ALL).collect::<Vec<_>>());
        assert!(rows.iter().all(|&(row, cadence)| Row(row).cadence() == cadence));
    }
}
