//! `voices speak`: 20 people on a stage. `voices call`: one of them, far away. `voices hear`: who listens, and when each chunk came. `voices listen`: a crowd, at a
//! server of this machine, whoever wrote it. `voices poll`: the same at somebody's HLS.
//!
//! The last line on standard output is one JSON object. For `bench/`; docs/measured/studio.md and loss.md say what is made of it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hiwar_rehearsal::live::listen::Notices;
use hiwar_rehearsal::live::{Error, call, ear, listen, speak};

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
    /// A crowd of listeners
    Listen(Listen),
    /// A crowd of listeners that poll HLS
    Poll(Poll),
}

#[derive(clap::Args)]
struct Poll {
    /// The playlist, at an address of loopback; its segments are NUMBER.m4s beside it, as long as the cadence
    url: String,
    #[command(flatten)]
    options: listen::Options,
}

#[derive(clap::Args)]
struct Listen {
    /// The stream, at an address of loopback: other servers are asked by `hiwar rehearse listen`, if they allow it
    url: String,
    /// Play on when the server says that sound will come in longer pieces, as players do that know nothing of it
    #[arg(long)]
    ignore_notices: bool,
    #[command(flatten)]
    options: listen::Options,
}

impl Listen {
    fn run(&self) -> Result<serde_json::Value, Error> {
        let target = listen::Target::parse(&self.url)?;
        if !target.address.ip().is_loopback() {
            return Err(Error::Asked("only loopback; elsewhere: hiwar rehearse listen"));
        }
        let notices = if self.ignore_notices { Notices::Ignore } else { Notices::Follow };
        let options = listen::Options { notices, ..self.options.clone() };
        Ok(listen::run(&target, &options)?.summary())
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().part {
        Part::Speak(options) => speak::run(&options),
        Part::Call(options) => call::run(&options),
        Part::Hear(options) => ear::run(&options),
        Part::Listen(listen) => listen.run(),
        Part::Poll(poll) => listen::poll::run(&poll.url, &poll.options).map(|report| report.summary()),
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
