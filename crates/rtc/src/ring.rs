//! Rings that carry sound from one thread to another, without a lock or an allocation.
//!
//! What is known of a packet lies in one ring and its bytes behind each other in a second, as the longest packet is ten times what most are: slots of that size
//! would be memory that is touched and never used.

use std::fmt;

use hiwar_media::packet::{Opus, Payload};
use rtrb::{Consumer, Producer, RingBuffer};

/// Bytes per packet that there is room for, on average: 200 kbit/s at 20 ms. Speech takes a fifth.
const PACKET_BYTES: usize = 512;

/// The ring has no room: whoever reads it is stuck, or the packets are longer than anybody's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring of sound is full")
    }
}

impl std::error::Error for Full {}

/// The end of a ring where sound is put in. `H` is what is known of each packet.
#[derive(Debug)]
pub struct Writer<H> {
    heads: Producer<(H, u16)>,
    bytes: Producer<u8>,
}

/// The end of a ring where sound comes out.
#[derive(Debug)]
pub struct Reader<H> {
    heads: Consumer<(H, u16)>,
    bytes: Consumer<u8>,
}

/// A ring for so many packets. All that it ever needs is allocated here.
pub fn ring<H: Copy>(packets: usize) -> (Writer<H>, Reader<H>) {
    let (heads, heads_out) = RingBuffer::new(packets);
    let (bytes, bytes_out) = RingBuffer::new(packets * PACKET_BYTES);
    (Writer { heads, bytes }, Reader { heads: heads_out, bytes: bytes_out })
}

impl<H: Copy> Writer<H> {
    /// Puts a packet in.
    ///
    /// # Errors
    /// [`Full`]; nothing was put in then.
    pub fn write(&mut self, head: H, opus: Opus<'_>) -> Result<(), Full> {
        if self.heads.is_full() {
            return Err(Full);
        }
        let bytes = opus.as_slice();
        // The bytes first: who sees a head finds them.
        self.bytes.push_entire_slice(bytes).map_err(|_| Full)?;
        self.heads.push((head, bytes.len() as u16)).map_err(|_| Full)
    }

    /// Whether the other end is gone.
    pub fn is_abandoned(&self) -> bool {
        self.heads.is_abandoned()
    }
}

impl<H: Copy> Reader<H> {
    /// Takes the oldest packet out; its bytes are put into `room`.
    pub fn read<'a>(&mut self, room: &'a mut Payload) -> Option<(H, Opus<'a>)> {
        let (head, len) = self.heads.pop().ok()?;
        self.bytes.pop_entire_slice(room.resize(usize::from(len))?).ok()?;
        Some((head, room.opus()))
    }

    /// Whether the other end is gone.
    pub fn is_abandoned(&self) -> bool {
        self.heads.is_abandoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_all_lengths_come_out_as_they_went_in() {
        let (mut writer, mut reader) = ring::<u32>(8);
        let mut room = Payload::default();
        let sound: Vec<u8> = (0..1275_u32).map(|n| (n * 31 % 251) as u8).collect();
        for round in 0..2_000_u32 {
            let packets = [round, round + 1, round + 2].map(|n| (n, &sound[..(n as usize * 97 % 1275) + 1]));
            for (head, bytes) in packets {
                writer.write(head, Opus::new(bytes).unwrap()).unwrap();
            }
            for (head, bytes) in packets {
                let received = reader.read(&mut room).map(|(head, opus)| (head, opus.as_slice()));
                assert_eq!(received, Some((head, bytes)));
            }
        }
        assert!(reader.read(&mut room).is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let (mut writer, mut reader) = ring::<u32>(4);
        let (short, long) = ([7; 1], [8; 1275]);
        writer.write(0, Opus::new(&long).unwrap()).unwrap();
        assert_eq!(writer.write(1, Opus::new(&long).unwrap()), Err(Full), "no room for the bytes");
        for head in 2..5 {
            writer.write(head, Opus::new(&short).unwrap()).unwrap();
        }
        assert_eq!(writer.write(5, Opus::new(&short).unwrap()), Err(Full), "no room for the head");
        let mut room = Payload::default();
        let came: Vec<(u32, usize)> =
            std::iter::from_fn(|| reader.read(&mut room).map(|(head, opus)| (head, opus.as_slice().len()))).collect();
        assert_eq!(came, [(0, 1275), (2, 1), (3, 1), (4, 1)]);
        drop(writer);
        assert!(reader.is_abandoned());
    }
}
