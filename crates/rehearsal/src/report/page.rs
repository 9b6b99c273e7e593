//! The page of a report.

use super::Report;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let _ = report;
    String::new()
}
