//! Why a level is what it is.

/// One reason.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Sound reached the last of its listeners late.
    Late,
    /// The line is nearly full.
    Line,
    /// Nearly as many handshakes are under way as may be.
    Handshakes,
    /// Memory is nearly gone.
    Memory,
    /// Files for connections are nearly gone.
    Files,
    /// More people came to a door than there are places.
    Crowd,
    /// The operator ordered it.
    Operator,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Late, Self::Line, Self::Handshakes, Self::Memory, Self::Files, Self::Crowd, Self::Operator];

    /// As it is called where programs read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Line => "line",
            Self::Handshakes => "handshakes",
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Crowd => "crowd",
            Self::Operator => "operator",
        }
    }

    /// Of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// Some reasons, each once.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reasons(u8);

impl Reasons {
    /// As a number: a bit for each, in the order of [`Reason::ALL`].
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From its number; bits that mean nothing here are left out.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & ((1 << Reason::ALL.len()) - 1))
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether that is one of them.
    pub const fn has(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    /// These and those.
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }
}

impl From<Reason> for Reasons {
    fn from(reason: Reason) -> Self {
        Self(1 << reason as u8)
    }
}

impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        reasons.into_iter().fold(Self::default(), |all, reason| all.with(reason.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_same_after_a_journey() {
        for bits in 0..=u8::MAX {
            let reasons = Reasons::from_bits(bits);
            assert_eq!(reasons.iter().collect::<Reasons>(), reasons);
            assert_eq!(Reasons::from_bits(reasons.bits()), reasons);
            assert!(reasons.iter().all(|reason| Reason::parse(reason.name()) == Some(reason)));
        }
    }
}
