//! Logs: one line per thing that an operator would act on, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging for this process; `HIWAR_LOG` sets the level (default `info`).
pub fn start() {
    let filter = EnvFilter::try_from_env("HIWAR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
