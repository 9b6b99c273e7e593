//! What a process of Hiwar can be, once the supervisor has started it.

pub mod admin;
pub(crate) mod certificate;
mod clip;
mod demo;
pub mod door;
pub mod draw;
mod greet;
mod house;
pub(crate) mod keys;
pub mod log;
pub(crate) mod progress;
pub mod rehearse;
mod worker;

use std::process::ExitCode;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::inherit::{Inheritance, Role};

/// Plays the part that the supervisor chose.
pub fn run_child() -> ExitCode {
    let Some(Inheritance { role, config }) = Inheritance::take() else {
        eprintln!("`hiwar child` is started by `hiwar serve`, not by hand");
        return ExitCode::from(2);
    };
    crate::telemetry::start();
    // Without its supervisor a child would hold the ports of the next one.
    if let Err(why) = set_parent_process_death_signal(Some(Signal::TERM)) {
        tracing::warn!("cannot follow the supervisor's end: {why}");
    }
    let outcome = match role {
        Role::House { api, bus, shards, greet, by_hand, fresh, workers, elders } => {
            house::run(config, house::Inherited { api, bus, shards, greet, by_hand, fresh, workers, elders })
        }
        Role::Worker { listener, post, ready } => worker::run(&config, &worker::Inherited { listener, post, ready }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}
