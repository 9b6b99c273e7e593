//! The programme once more, out of tracks.

use std::time::Instant;

use super::{BEAT_BYTES_MAX, Bytes, PIECE_BYTES_MAX, Piece};
use crate::chunk::Chunk;
use crate::opus::CodecError;
use crate::programme::{
    Audience, BEAT, Beginning, Config, Input, Output, Programme, Returning, SEATS, Seat, Speaker, SpeakerConfig,
    Voicing,
};
use crate::{CHUNK_FRAMES, Time};

/// Longest name of whose track it is, in bytes.
pub const OWNER_BYTES_MAX: usize = 64;

/// One speaker's part of one chunk, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Voice<'a> {
    /// Tells apart the times that somebody sat down: each begins with a decoder that has heard nothing.
    pub id: u64,
    /// Where they sat.
    pub seat: Seat,
    /// Whose it is; opaque here.
    pub owner: &'a [u8],
    pieces: &'a [u8],
}

impl<'a> Voice<'a> {
    /// Begins the stored form of one: pieces are added with [`Self::push`].
    ///
    /// An owner longer than [`OWNER_BYTES_MAX`] is cut; ids of people are shorter.
    pub fn begin(id: u64, seat: Seat, owner: &[u8]) -> Vec<u8> {
        let owner = &owner[..owner.len().min(OWNER_BYTES_MAX)];
        let mut out = Vec::with_capacity(32 + owner.len() + CHUNK_FRAMES * BEAT_BYTES_MAX / 8);
        out.extend_from_slice(&id.to_le_bytes());
        out.extend_from_slice(&[seat.0, owner.len() as u8]);
        out.extend_from_slice(owner);
        out
    }

    /// Adds the piece of beat `beat` of the chunk, 0 to 9, in rising order. What is longer than a piece can be is left out.
    pub fn push(out: &mut Vec<u8>, beat: u8, piece: &[u8]) {
        if piece.len() <= PIECE_BYTES_MAX {
            out.push(beat);
            out.extend_from_slice(&(piece.len() as u16).to_le_bytes());
            out.extend_from_slice(piece);
        }
    }

    /// Reads the stored form. `None` if it does not say whose it is, or names no seat.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Bytes(bytes);
        let id = u64::from_le_bytes(rest.take()?);
        let [seat, owner] = rest.take()?;
        let owner = rest.slice(usize::from(owner))?;
        let seat = (usize::from(seat) < SEATS).then_some(Seat(seat))?;
        Some(Self { id, seat, owner, pieces: rest.0 })
    }

    /// Its pieces, each with the beat of the chunk that it was heard in. Ends where bytes make no sense.
    pub fn pieces(&self) -> impl Iterator<Item = (u8, Piece<'a>)> + use<'a> {
        let mut rest = Bytes(self.pieces);
        std::iter::from_fn(move || {
            let [beat] = rest.take()?;
            let len = rest.take().map(u16::from_le_bytes)?;
            Some((beat, Piece::parse(rest.slice(usize::from(len))?)?))
        })
    }
}

/// Mixes a space again, chunk by chunk: the same machine as live, its speakers played from their tracks.
#[derive(Debug)]
pub struct Remix {
    programme: Programme,
    bitrate_bps: i32,
    ogg_serial: u32,
    nobody_event: Box<[u8]>,
    /// Who sits where.
    voices: [Option<u64>; SEATS],
    now: Instant,
}

impl Remix {
    /// Nobody on stage. `now` is any moment; `nobody_event` as in [`Config`].
    ///
    /// # Errors
    /// As [`Programme::new`].
    pub fn new(now: Instant, bitrate_bps: i32, ogg_serial: u32, nobody_event: &[u8]) -> Result<Self, CodecError> {
        let nobody_event: Box<[u8]> = nobody_event.into();
        let config = Config {
            index: 0,
            time: Time(0),
            beginning: Beginning::New,
            bitrate_bps,
            ogg_serial,
            nobody_event: nobody_event.clone(),
            audience: Audience::Hears,
        };
        let programme = Programme::new(config)?;
        Ok(Self { programme, bitrate_bps, ogg_serial, nobody_event, voices: [None; SEATS], now })
    }

    /// Makes chunk `index`, which begins at `time`, out of these; whoever is left out is not in it. `speaking` says what is put into the sound when
    /// the owner becomes the active speaker. Chunks are asked for in their order; after a hole the sound begins anew.
    ///
    /// # Errors
    /// If libopus has no memory.
    pub fn chunk(
        &mut self,
        index: u64,
        time: Time,
        voices: &[Voice<'_>],
        speaking: impl Fn(&[u8]) -> Vec<u8>,
    ) -> Result<Chunk, CodecError> {
        if self.programme.next() != (index, time) {
            self.begin_anew(index, time)?;
        }
        let mut pieces: Vec<(u8, &Voice<'_>, Piece<'_>)> =
            voices.iter().flat_map(|voice| voice.pieces().map(move |(beat, piece)| (beat, voice, piece))).collect();
        // Whoever leaves makes room before somebody sits down there.
        pieces.sort_by_key(|(beat, voice, piece)| (*beat, !piece.is_last(), voice.seat));
        let mut pieces = pieces.into_iter().peekable();
        let mut made = None;
        for beat in 0..CHUNK_FRAMES as u8 {
            while let Some((_, voice, piece)) = pieces.next_if(|(at, ..)| *at <= beat) {
                self.play(voice, piece, &speaking)?;
            }
            self.programme.handle(self.now, Input::Beat);
            self.now += BEAT;
            while let Some(output) = self.programme.poll() {
                if let Output::Chunk(chunk) = output {
                    made = Some((*chunk).clone());
                    self.programme.recycle(chunk);
                }
            }
        }
        // Ten beats since a boundary make one, and its box is always given back.
        made.ok_or(CodecError)
    }

    fn play(
        &mut self,
        voice: &Voice<'_>,
        piece: Piece<'_>,
        speaking: &impl Fn(&[u8]) -> Vec<u8>,
    ) -> Result<(), CodecError> {
        let Some(sits) = self.voices.get_mut(usize::from(voice.seat.0)) else { return Ok(()) };
        if piece.is_last() {
            if *sits == Some(voice.id) {
                *sits = None;
                drop(self.programme.unseat(voice.seat));
            }
            return Ok(());
        }
        if *sits != Some(voice.id) {
            let speaker = Speaker::new(SpeakerConfig {
                speaking_event: speaking(voice.owner).into(),
                returning: Returning::Unwanted,
                voicing: Voicing::Open,
                return_bitrate_bps: self.bitrate_bps,
            })?;
            drop(self.programme.unseat(voice.seat));
            drop(self.programme.seat_at(voice.seat, Box::new(speaker.replayed())));
            *sits = Some(voice.id);
        }
        self.programme.handle(self.now, Input::Piece { seat: voice.seat, piece });
        Ok(())
    }

    /// After a hole: everyone stays, and what was just sounding is over.
    fn begin_anew(&mut self, index: u64, time: Time) -> Result<(), CodecError> {
        let config = Config {
            index,
            time,
            beginning: if index == 0 { Beginning::New } else { Beginning::Resumed },
            bitrate_bps: self.bitrate_bps,
            ogg_serial: self.ogg_serial,
            nobody_event: self.nobody_event.clone(),
            audience: Audience::Hears,
        };
        let mut old = std::mem::replace(&mut self.programme, Programme::new(config)?);
        for seat in (0..SEATS as u8).map(Seat) {
            if let Some(speaker) = old.unseat(seat) {
                drop(self.programme.seat_at(seat, speaker));
            }
        }
        Ok(())
    }
}
