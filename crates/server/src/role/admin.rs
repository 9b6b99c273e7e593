//! `hiwar admin`: what an operator asks of a server that may be running. Reads what is in its data directory; writes nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::{greet, keys};
use crate::api::Keys;
use crate::cli;
use crate::config::Config;

/// Where the Debian package keeps the service's configuration.
const CONFIG: &str = "/etc/hiwar/hiwar.toml";

/// Prints a new link to host with. Exit code 0: it was; 2: it cannot be made.
pub fn host_link(args: &cli::HostLink) -> ExitCode {
    match link(args) {
        Ok(link) => {
            println!("{link}");
            eprintln!("{}", greet::keep_to_yourself());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn link(args: &cli::HostLink) -> Result<String, String> {
    let packaged = || Path::new(CONFIG).exists().then(|| CONFIG.into());
    let config = args.config.clone().or_else(|| if args.data.is_none() { packaged() } else { None });
    let serve = cli::Serve { config, data: args.data.clone(), ..cli::Serve::default() };
    let config = Config::resolve_beside(&serve).map_err(|why| why.to_string())?;
    let keys = read_keys(&config.data)?;
    // The server itself knows best: options of its command line are in no file.
    let origin = crate::supervise::origin_of(&config.data).unwrap_or_else(|| config.public_origin());
    Ok(greet::host_link(&origin, &keys))
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
