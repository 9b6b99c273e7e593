//! The house and its children: the binary `hiwar`.
#![allow(unreachable_pub, reason = "a binary: `pub` here says which module may use what")]

mod api;
mod assets;
mod certificates;
mod cli;
mod config;
mod disk;
mod door;
mod inherit;
mod ladder;
mod listening;
mod memory;
mod outgoing;
mod registry;
mod role;
mod studio;
mod supervise;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().command {
        cli::Command::Serve(args) => supervise::run(&args),
        cli::Command::Log(cli::Log::Verify { dir }) => role::log::verify(&dir),
        cli::Command::Log(cli::Log::Export(args)) => role::log::export(&args),
        cli::Command::Draw(cli::Draw::Verify(args)) => role::draw::verify(&args),
        cli::Command::Door(cli::Door::Export(args)) => role::door::export(&args),
        cli::Command::Door(cli::Door::Verify(args)) => role::door::verify(&args),
        cli::Command::Admin(cli::Admin::WatchLink(args)) => role::admin::watch_link(&args),
        cli::Command::Admin(cli::Admin::HostLink(args)) => role::admin::host_link(&args),
        cli::Command::Rehearse(cli::Rehearse::Listen(args)) => role::rehearse::listen(&args),
        cli::Command::Rehearse(cli::Rehearse::Crowd(args)) => role::rehearse::crowd::crowd(&args),
        cli::Command::Admin(cli::Admin::RehearsalGrant(args)) => role::admin::rehearsal_grant(&args),
        cli::Command::Admin(cli::Admin::Cadence(args)) => role::admin::cadence(&args),
        cli::Command::Admin(cli::Admin::Bitrate(args)) => role::admin::bitrate(&args),
        cli::Command::Admin(cli::Admin::Level(place)) => role::admin::level(&place),
        cli::Command::Admin(cli::Admin::Pin(args)) => role::admin::order("pin", &args),
        cli::Command::Admin(cli::Admin::Cap(args)) => role::admin::order("cap", &args),
        cli::Command::Admin(cli::Admin::Panic(args)) => role::admin::order("panic", &args),
        cli::Command::Admin(cli::Admin::Places(args)) => role::admin::places(&args),
        cli::Command::Admin(cli::Admin::RotateKeys(place)) => role::admin::rotate_keys(&place),
        cli::Command::Admin(cli::Admin::Withdraw(args)) => role::admin::withdraw(&args),
        cli::Command::Child => role::run_child(),
    }
}
