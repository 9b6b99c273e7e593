//! Where connections live: an index that epoll carries, and a generation, so that an event for a connection that is gone finds
//! nobody, not its successor.

/// Items by index.
#[derive(Debug)]
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    item: Option<T>,
}

/// The name of an item, as epoll's 64 bits carry it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(pub(super) u64);

impl Token {
    fn new(index: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    /// Where the item is.
    pub(super) fn index(self) -> u32 {
        self.0 as u32
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts an item in. Generations stay below 2³¹, so that the highest tokens are free for other uses.
    pub(super) fn insert(&mut self, item: T) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { generation: 0, item: None });
            (self.entries.len() - 1) as u32
        });
        let generation = match self.entries.get_mut(index as usize) {
            Some(entry) => {
                entry.generation = (entry.generation + 1) & 0x7fff_ffff;
                entry.item = Some(item);
                entry.generation
            }
            None => 0,
        };
        Token::new(index, generation)
    }

    /// Takes the item at an index out.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let item = self.entries.get_mut(index as usize)?.item.take()?;
        self.free.push(index);
        Some(item)
    }

    /// The item of a token, if it is still that one.
    pub(super) fn get(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.entries.get_mut(token.index() as usize)?;
        if Token::new(token.index(), entry.generation) == token { entry.item.as_mut() } else { None }
    }

    /// Whoever is at an index.
    pub(super) fn at(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(index as usize)?.item.as_mut()
    }

    /// The token of whoever is at an index.
    pub(super) fn token(&self, index: u32) -> Token {
        Token::new(index, self.entries.get(index as usize).map_or(0, |entry| entry.generation))
    }

    /// Everyone's token.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        let here = |(index, entry): (usize, &Entry<T>)| {
            entry.item.as_ref().map(|_| Token::new(index as u32, entry.generation))
        };
        self.entries.iter().enumerate().filter_map(here)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
}
