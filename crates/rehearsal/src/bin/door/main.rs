//! `door tickets`: how many tickets a core issues and checks. `door memory`: what ten million of them leave in memory. `door simulate`: a launch in a world without a clock. `door
//! crowd`: the same at a real server. `door visitors`: as many as can be, one after the other, at a door that is full.
//!
//! The last line on standard output is one JSON object. For `bench/door` and `bench/crowd`; docs/measured/door.md says what is made of it.

mod launch;
mod tickets;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hiwar_rehearsal::live::door::visitors;

#[derive(Parser)]
#[command(name = "door", about)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Tickets issued and checked in a second
    Tickets(tickets::Options),
    /// Memory that ten million tickets leave
    Memory(tickets::Options),
    /// A launch in a simulated world
    Simulate(launch::Options),
    /// A launch at a real server
    Crowd(launch::AtServer),
    /// Visitors at a door that is full
    Visitors(visitors::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().part {
        Part::Tickets(options) => Ok(tickets::tickets(&options)),
        Part::Memory(options) => tickets::memory(&options).map_err(|why| why.to_string()),
        Part::Simulate(options) => launch::simulate(&options),
        Part::Crowd(options) => launch::crowd(&options),
        Part::Visitors(options) => visitors::run(&options).map_err(|why| why.to_string()),
    };
    match done {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("door: {why}");
            ExitCode::FAILURE
        }
    }
}
