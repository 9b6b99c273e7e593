//! Reads a whole log and names everything that is damaged, by position and by place in its file.

use std::path::Path;

use super::{Error, Records, dir};
use crate::position::{Epoch, Position};
use crate::reader::Damaged;
use crate::record::Kind;

/// What is in a log, and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whole records, of all kinds.
    pub records: u64,
    /// Whole chunks.
    pub chunks: u64,
    /// Gap records: chunks that were made but never kept. Not damage.
    pub gaps: u64,
    /// Log segments.
    pub segments: u64,
    /// The first whole chunk.
    pub first: Option<Position>,
    /// The last whole chunk.
    pub last: Option<Position>,
    /// The epochs found, rising.
    pub epochs: Vec<Epoch>,
    /// The log is complete.
    pub sealed: bool,
    /// A writer was at work: its last record may not be counted.
    pub has_writer: bool,
    /// Every damaged range, in order, the first thousand of them.
    pub damage: Vec<Damaged>,
    /// How many damaged ranges there are.
    pub damage_total: u64,
    /// Log segments that were deleted before they could be read: the report does not say how the log is now.
    pub vanished: u64,
    /// Files with bytes that recoveries moved aside.
    pub torn: Vec<String>,
}

/// Reads the log in `dir` from its beginning.
///
/// # Errors
/// [`Error`] only if the files cannot be read at all; damage is in the report.
pub fn verify(dir: &Path) -> Result<Report, Error> {
    let listing = dir::list(dir)?;
    let mut report = Report {
        records: 0,
        chunks: 0,
        gaps: 0,
        segments: listing.firsts.len() as u64,
        first: None,
        last: None,
        epochs: Vec::new(),
        sealed: false,
        has_writer: dir::has_writer(dir)?,
        damage: Vec::new(),
        damage_total: 0,
        vanished: 0,
        torn: listing.torn.into_iter().map(|(_, name)| name).collect(),
    };
    let mut records = Records::new(dir, Position(0))?;
    for record in &mut records {
        let record = record?;
        report.records += 1;
        report.sealed = record.kind == Kind::Seal;
        if report.epochs.last() != Some(&record.epoch) {
            report.epochs.push(record.epoch);
        }
        match record.kind {
            Kind::Chunk => {
                report.chunks += 1;
                report.first.get_or_insert(record.position);
                report.last = Some(record.position);
            }
            Kind::Gap => report.gaps += 1,
            Kind::Header | Kind::Seal => {}
        }
    }
    report.damage_total = records.damage_total();
    report.damage = records.damage().to_vec();
    report.vanished = records.vanished();
    Ok(report)
}
