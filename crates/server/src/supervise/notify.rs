//! What a service manager is told: `sd_notify(3)`, `Type=notify-reload` in systemd.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// Where the service manager listens; not for children.
pub(super) const VARIABLE: &str = "NOTIFY_SOCKET";

/// Everything runs, and a reload is over.
pub(super) fn ready() {
    tell("READY=1");
}

/// The supervisor makes room for its successor, which has the same process number.
pub(super) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1_000));
}

/// Everything ends.
pub(super) fn stopping() {
    tell("STOPPING=1");
}

fn tell(what: &str) {
    let Some(at) = std::env::var_os(VARIABLE) else { return };
    if let Err(why) = send(at.as_encoded_bytes(), what) {
        tracing::warn!("cannot tell the service manager {what:?}: {why}");
    }
}

fn send(at: &[u8], what: &str) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let address = match at {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address).map(drop)
}
