//! Decoding bytes of any origin: never a panic, never a record that was not written.

use bytes::Bytes;
use hiwar_segment_log::reader::{End, Found, Place, Scan};
use hiwar_segment_log::{Damage, Epoch, Header, Kind, Parts, Position, Record};
use proptest::prelude::*;

fn record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![Just(Kind::Header), Just(Kind::Chunk), Just(Kind::Gap), Just(Kind::Seal)];
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    (any::<u64>(), any::<u32>(), kind, any::<u64>(), any::<u32>(), any::<u64>(), body).prop_map(
        |(position, epoch, kind, time, duration, wall_us, body)| Record {
            position: Position(position),
            epoch: Epoch(epoch),
            kind,
            time,
            duration,
            wall_us,
            body: body.into(),
        },
    )
}

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn a_record_is_decoded_as_it_was_encoded(record in record(), after in proptest::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = encoded(&record);
        let len = bytes.len();
        prop_assert_eq!(len, record.encoded_len());
        bytes.extend(after);
        prop_assert_eq!(Record::decode(Bytes::from(bytes)), Ok((record, len)));
    }

    #[test]
    fn a_record_cut_short_says_so(record in record(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&record);
        let end = cut.index(bytes.len());
        prop_assert_eq!(Record::decode(Bytes::from(bytes).slice(..end)), Err(Damage::Short));
    }

    #[test]
    fn a_record_with_a_byte_changed_is_not_decoded(record in record(), at in any::<prop::sample::Index>(), by in 1u8..) {
        let mut bytes = encoded(&record);
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        prop_assert!(Record::decode(Bytes::from(bytes)).is_err());
    }

    #[test]
    fn no_bytes_make_a_scan_panic_or_run_for_ever(
        pieces in proptest::collection::vec(prop_oneof![
            record().prop_map(|record| encoded(&record)),
            proptest::collection::vec(any::<u8>(), 0..60),
            (record(), 0usize..60).prop_map(|(record, cut)| encoded(&record).into_iter().skip(cut).collect()),
            (record(), 0usize..60).prop_map(|(record, cut)| encoded(&record).into_iter().take(cut).collect()),
        ], 0..8),
        end in prop_oneof![Just(End::Growing), Just(End::Last), any::<u64>().prop_map(|next| End::Sealed(Position(next)))],
        next in proptest::option::of(any::<u64>().prop_map(Position)),
    ) {
        let bytes = Bytes::from(pieces.concat());
        let mut scan = Scan::new("x".into(), 0, bytes.clone(), Place { next, epoch: Epoch(0) }, end);
        let (mut steps, mut at) = (0, 0);
        while let Some(found) = scan.next() {
            steps += 1;
            prop_assert!(steps <= 2 * bytes.len() + 2);
            let (offset, len) = match found {
                Found::Record { offset, bytes, .. } => (offset, bytes as u64),
                Found::Damaged(damaged) => {
                    prop_assert!(damaged.positions.start() <= damaged.positions.end());
                    (damaged.offset, damaged.bytes)
                }
            };
            // Every byte is accounted for, once.
            prop_assert_eq!(offset, at);
            at += len;
        }
        prop_assert!(end == End::Growing || at == bytes.len() as u64);
    }

    #[test]
    fn no_bytes_make_a_header_or_a_part_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(body);
        let _ = Header::from_body(&body);
        let record = Record { position: Position(0), epoch: Epoch(1), kind: Kind::Chunk, time: 0, duration: 0, wall_us: 0, body };
        let _ = (record.parts().count(), record.part(0));
    }

    #[test]
    fn parts_are_found_by_their_id(parts in proptest::collection::btree_map(any::<u8>(), proptest::collection::vec(any::<u8>(), 0..50), 0..8)) {
        let body = parts.iter().fold(Parts::new(), |body, (id, bytes)| body.push(*id, bytes)).finish();
        let record = Record { position: Position(0), epoch: Epoch(1), kind: Kind::Chunk, time: 0, duration: 0, wall_us: 0, body };
        for id in 0..=u8::MAX {
            prop_assert_eq!(record.part(id).map(|part| part.to_vec()), parts.get(&id).cloned());
        }
    }
}
