//! `voices speak`: 20 people on a stage. `voices call`: one of them, far away. `voices hear`: who listens, and when each chunk came.
//!
//! The last line on standard output is one JSON object. For `bench/`; docs/measured/studio.md and loss.md say what is made of it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hiwar_rehearsal::live::{call, ear, speak};

#[derive(Parser)]
#[command(name = "voices", about)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Speakers over WebRTC (WHIP)
    Speak(speak::Options),
    /// One speaker with a network between them and the stage
    Call(call::Options),
    /// Listeners over HTTP
    Hear(ear::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().part {
        Part::Speak(options) => speak::run(&options),
        Part::Call(options) => call::run(&options),
        Part::Hear(options) => ear::run(&options),
    };
    match done {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("voices: {why}");
            ExitCode::FAILURE
        }
    }
}
