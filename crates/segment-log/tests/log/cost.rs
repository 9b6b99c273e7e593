//! What appending costs. Not run by default: a number, not a fact.

use hiwar_segment_log::disk::{Options, Writer};
use hiwar_segment_log::{Parts, Record};
use std::time::Instant;

use crate::fixture::{chunk, header};

#[test]
#[ignore = "prints a measurement"]
fn what_appending_to_200_logs_costs() {
    const LOGS: usize = 200;
    const ROUNDS: u64 = 150;
    let dir = tempfile::tempdir().unwrap();
    let mut logs: Vec<Writer> = (0..LOGS)
        .map(|log| {
            let (mut writer, found) = Writer::open(&dir.path().join(log.to_string()), Options::default()).unwrap();
            writer.append(&header(found.epoch, 0)).unwrap();
            writer
        })
        .collect();
    let body = Parts::new().push(0, &[7; 1_000]).push(1, &[8; 900]).push(2, &[9; 12]).finish();
    let began = Instant::now();
    for position in 0..ROUNDS {
        for writer in &mut logs {
            writer.append(&Record { body: body.clone(), ..chunk(writer.epoch(), position) }).unwrap();
        }
    }
    let append_us = began.elapsed().as_secs_f64() * 1e6 / (LOGS as u64 * ROUNDS) as f64;
    let began = Instant::now();
    for writer in &mut logs {
        writer.sync().unwrap();
    }
    let sync_us = began.elapsed().as_secs_f64() * 1e6 / LOGS as f64;
    println!("append {append_us:.1} us, sync {sync_us:.0} us; 200 logs at 5/s: {:.2} % of a core", append_us * 0.1);
}
