//! `hiwar admin`: what an operator asks of a server that may be running. Reads what is in its data directory; writes nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use hiwar_admission::Origin;

use super::{greet, keys};
use crate::api::Keys;
use crate::cli;
use crate::config::Config;

/// Where the Debian package keeps the service's configuration.
const CONFIG: &str = "/etc/hiwar/hiwar.toml";

/// Prints a new link to host with. Exit code 0: it was; 2: it cannot be made.
pub fn host_link(place: &cli::Place) -> ExitCode {
    print(
        find(place).map(|Found { origin, keys }| (greet::host_link(&origin, &keys), greet::keep_to_yourself().into())),
    )
}

/// Prints a new grant to rehearse with, and beside it how. Exit code 0: it was; 2: it cannot be made.
pub fn rehearsal_grant(args: &cli::RehearsalGrant) -> ExitCode {
    let life = Duration::from_secs(u64::from(args.minutes) * 60);
    print(issue(&args.place, args.listeners, life).map(|(origin, grant)| {
        let how = greet::how_to_rehearse(&origin, args.listeners, args.minutes);
        (grant, how)
    }))
}

/// A new grant to rehearse a server of this machine, and the origin that it is for.
///
/// # Errors
/// There is no such server, or its keys cannot be read, or it does not know its origin; in words for an operator.
pub(super) fn issue(place: &cli::Place, listeners: u32, life: Duration) -> Result<(Origin, String), String> {
    let Found { origin, keys } = find(place)?;
    // Links are made of whatever the operator said. A grant is compared, so it needs a true origin.
    let origin = Origin::parse(&origin).ok_or_else(|| {
        format!(
            "this server is at {origin:?}, which is no origin of at most {} bytes, such as https://talk.example: set host, or public_origin",
            Origin::BYTES_MAX
        )
    })?;
    let grant = keys.rehearsal_grant(SystemTime::now() + life, origin.clone(), listeners);
    Ok((origin, grant))
}

/// The first process of a server of this machine, if one has run.
pub(super) fn supervisor_of(place: &cli::Place) -> Option<u32> {
    crate::supervise::process_of(&config(place).ok()?.data)
}

/// What was asked for on standard output, alone, so that it can be piped; on standard error what a person should know of it.
fn print(made: Result<(String, String), String>) -> ExitCode {
    match made {
        Ok((what, about)) => {
            println!("{what}");
            eprintln!("{about}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

/// A server of this machine.
struct Found {
    /// Of the public side.
    origin: String,
    keys: Keys,
}

fn config(place: &cli::Place) -> Result<Config, String> {
    let packaged = || Path::new(CONFIG).exists().then(|| CONFIG.into());
    let config = place.config.clone().or_else(|| if place.data.is_none() { packaged() } else { None });
    let serve = cli::Serve { config, data: place.data.clone(), ..cli::Serve::default() };
    Config::resolve_beside(&serve).map_err(|why| why.to_string())
}

fn find(place: &cli::Place) -> Result<Found, String> {
    let config = config(place)?;
    let keys = read_keys(&config.data)?;
    // The server itself knows best: options of its command line are in no file.
    let origin = crate::supervise::origin_of(&config.data).unwrap_or_else(|| config.public_origin());
    Ok(Found { origin, keys })
}

/// Never makes one: it would belong to whoever asked, and the service could not read it.
fn read_keys(data: &Path) -> Result<Keys, String> {
    let read = |name| {
        keys::load(data, name).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound if fs::exists(data).unwrap_or(false) => {
                format!("{} has no keys yet: start the server once", data.display())
            }
            io::ErrorKind::NotFound => format!("there is no {}: start the server once, or give --data", data.display()),
            io::ErrorKind::PermissionDenied => {
                format!("may not read the keys in {}: ask as root, or as the user of the service", data.display())
            }
            _ => format!("cannot read {name} in {}: {why}", data.display()),
        })
    };
    Ok(Keys::new(read("listen.key")?, read("stage.key")?))
}
