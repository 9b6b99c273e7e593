//! The lean forms of chunks: the same sound at half the bitrate, kept beside what it is of.
//!
//! The house makes one while a worker asks for it, and tells of it a moment after the chunk; it may come late, or never. So nobody may depend on it: whoever is to
//! hear a chunk lean hears it as it is if there is nothing else.
//!
//! Its codec goes on from one chunk to the next; only some chunks can be [entered](Tail::enter) from the standard form. So a form is kept if it can be entered, or if there is
//! one of the chunk before.

use bytes::Bytes;
use hiwar_admission::ladder::Bitrate;
use hiwar_segment_log::{Kind, Record};

use super::{Chunk, Tail};

/// Which bytes of a chunk somebody is to hear.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// By its index in the header.
    pub rendition: usize,
    /// The standard one stands in for a lean one that is not there.
    pub bitrate: Bitrate,
}

impl Form {
    /// What was written to the log.
    pub const fn standard(rendition: usize) -> Self {
        Self { rendition, bitrate: Bitrate::Standard }
    }
}

impl Chunk {
    /// The bytes of a form. Whoever asks twice may get other bytes the second time, if a lean record [came](Tail::thin) in between.
    pub fn form(&self, form: Form) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        let standard = self.forms.get(form.rendition).unwrap_or(&NONE);
        match form.bitrate {
            Bitrate::Standard => standard,
            Bitrate::Lean => self.lean(form.rendition).unwrap_or(standard),
        }
    }

    fn lean(&self, rendition: usize) -> Option<&Bytes> {
        self.lean.get(rendition).filter(|bytes| !bytes.is_empty())
    }
}

impl Tail {
    /// Takes a lean record that goes on from that of the chunk before, and answers with the position of the chunk that it is of. `None` if there is no such chunk (any
    /// more), if it has one already, if the chunk before has none, or if the record is of an older writer.
    pub fn thin(&mut self, record: &Record) -> Option<u64> {
        let position = record.position.0.checked_add(self.shift)?;
        let before = self.chunks.binary_search_by_key(&position.checked_sub(1)?, |chunk| chunk.position).ok()?;
        if self.chunks.get(before)?.lean.is_empty() {
            return None;
        }
        self.enter(record)
    }

    /// The same with a lean record with which a decoder can begin that heard the standard form until then.
    pub fn enter(&mut self, record: &Record) -> Option<u64> {
        if record.kind != Kind::Chunk || record.epoch != self.epoch {
            return None;
        }
        let position = record.position.0.checked_add(self.shift)?;
        let at = self.chunks.binary_search_by_key(&position, |chunk| chunk.position).ok()?;
        let chunk = self.chunks.get_mut(at)?;
        // A chunk from before positions were moved is another, whatever its number says.
        if (chunk.time, chunk.duration) != (record.time, record.duration) || !chunk.lean.is_empty() {
            return None;
        }
        let renditions = self.header.renditions.iter().zip(&chunk.forms);
        // Where there is no sound there is none that is lean.
        let lean =
            renditions.map(|(told, form)| record.part(told.part).filter(|_| !form.is_empty()).unwrap_or_default());
        chunk.lean = lean.collect();
        Some(position)
    }

    /// Whether a lean form of the newest chunk is to be expected: there is none yet, and the chunk before has one.
    pub fn awaits_lean(&self, rendition: usize) -> bool {
        let mut newest = self.chunks.iter().rev().map(|chunk| chunk.lean(rendition).is_some());
        newest.next() == Some(false) && newest.next() == Some(true)
    }

    /// Whether the house can make a lean form of a rendition.
    pub fn can_be_lean(&self, rendition: usize) -> bool {
        self.header.renditions.get(rendition).is_some_and(|told| ["mp4", "ogg"].contains(&told.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chunk, header, lean, tail};
    use super::super::{Access, Pushed, TAIL_CHUNKS};
    use super::*;
    use hiwar_segment_log::Epoch;

    const LEAN: Form = Form { rendition: 0, bitrate: Bitrate::Lean };

    fn heard(tail: &Tail, position: u64, form: Form) -> String {
        let chunk = tail.from(position).next().unwrap();
        String::from_utf8(chunk.form(form).to_vec()).unwrap()
    }

    #[test]
    fn a_lean_form_stands_beside_its_chunk_and_the_standard_one_stands_in_for_it() {
        let mut tail = tail(0..3);
        assert_eq!(tail.enter(&lean(1, 1)), Some(1));
        assert_eq!(tail.enter(&lean(1, 1)), None, "known");
        assert_eq!((heard(&tail, 1, LEAN), heard(&tail, 1, Form::standard(0))), ("M1;".into(), "m1;".into()));
        assert_eq!(heard(&tail, 2, LEAN), "m2;");
        assert_eq!(heard(&tail, 1, Form { rendition: 2, ..LEAN }), "");
    }

    #[test]
    fn a_record_without_a_chunk_is_no_form_of_anything() {
        let mut tail = tail(0..2 * TAIL_CHUNKS as u64);
        let other = |change: fn(&mut Record)| {
            let mut record = lean(100, 1);
            change(&mut record);
            record
        };
        for record in [
            lean(0, 1),
            lean(1_000, 1),
            lean(u64::MAX, 1),
            lean(100, 0),
            lean(100, 2),
            other(|record| record.time += 1),
            other(|record| record.duration -= 1),
            other(|record| record.kind = Kind::Header),
        ] {
            assert_eq!(tail.enter(&record), None, "{record:?}");
        }
        assert_eq!(tail.enter(&lean(100, 1)), Some(100));
    }

    #[test]
    fn after_a_writer_went_back_forms_come_to_the_moved_chunks() {
        let mut tail = tail(1_000..1_010);
        assert_eq!(tail.push(&chunk(8, 2)), Pushed::Newest);
        assert_eq!(tail.push(&chunk(9, 2)), Pushed::Newest);
        assert_eq!(tail.enter(&lean(1_009, 1)), None, "of a writer that is gone");
        assert_eq!(tail.enter(&lean(9, 2)), Some(1_029));
        assert_eq!(heard(&tail, 1_029, LEAN), "M9;");
    }

    #[test]
    fn forms_go_on_from_one_that_can_be_entered_and_no_other() {
        let mut tail = tail(0..5);
        assert_eq!(tail.thin(&lean(0, 1)), None, "nothing is before it");
        assert_eq!(tail.thin(&lean(1, 1)), None);
        assert_eq!((tail.enter(&lean(2, 1)), tail.thin(&lean(3, 1))), (Some(2), Some(3)));
        tail.push(&chunk(5, 1));
        assert_eq!(tail.thin(&lean(5, 1)), None, "one is missing");
        assert_eq!((tail.thin(&lean(4, 1)), tail.thin(&lean(5, 1))), (Some(4), Some(5)));
    }

    #[test]
    fn a_form_is_expected_where_the_chunk_before_has_one() {
        let mut tail = tail(0..1);
        assert!(!tail.awaits_lean(0));
        tail.enter(&lean(0, 1));
        assert!(!tail.awaits_lean(0), "it is here");
        tail.push(&chunk(1, 1));
        assert!(tail.awaits_lean(0) && tail.awaits_lean(1) && !tail.awaits_lean(2));
        tail.push(&chunk(2, 1));
        assert!(!tail.awaits_lean(0), "it did not come");
    }

    #[test]
    fn a_tail_without_a_chunk_has_no_forms() {
        let mut tail = Tail::new(Access::Open, header(), Epoch(1));
        assert_eq!(tail.enter(&lean(0, 1)), None);
        assert!(!tail.awaits_lean(0) && tail.can_be_lean(0) && tail.can_be_lean(1) && !tail.can_be_lean(2));
    }
}
