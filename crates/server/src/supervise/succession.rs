//! What a supervisor leaves to the program that takes its place: the same process number, open sockets and running children.
//!
//! Read by another version of this program: fields may be added with a default, and never change their meaning.

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::inherit::adopt;

/// The environment variable that carries it as JSON.
pub(super) const VARIABLE: &str = "HIWAR_SUCCESSION";

/// Everything that goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Succession {
    /// The data directory, and the open file that locks it.
    pub(super) data: PathBuf,
    pub(super) lock: RawFd,
    pub(super) sockets: Vec<Socket>,
    /// Where speakers' sound came in, and what they were told of it. Older versions do not say.
    #[serde(default)]
    pub(super) media_bind: Option<IpAddr>,
    #[serde(default)]
    pub(super) media_address: Option<IpAddr>,
    /// Process numbers of the children.
    pub(super) house: Option<i32>,
    pub(super) workers: Vec<i32>,
    /// Workers that were retired before, and how many seconds they have left.
    pub(super) retired: Vec<(i32, u64)>,
}

/// One listening socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Socket {
    /// What it is for.
    pub(super) name: String,
    /// The address it was asked for: with port 0, another than it has.
    pub(super) asked: String,
    pub(super) fd: RawFd,
}

impl Succession {
    /// What was left to this process.
    ///
    /// # Errors
    /// What was left is not understood: it is from a version that is too different.
    pub(super) fn take() -> Result<Option<Self>, String> {
        let Ok(text) = std::env::var(VARIABLE) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|why| format!("cannot take the place of another version: {why}"))
    }

    /// The variable's value.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("plain data is always JSON")
    }

    /// The socket of that name if it is for that address, else one that `open` makes. An address that cannot be opened is no reason to end: what there was is
    /// kept then.
    pub(super) fn socket<T: From<std::os::fd::OwnedFd>>(
        &mut self,
        name: &str,
        asked: &mut String,
        open: impl FnOnce() -> Result<T, String>,
    ) -> Result<T, String> {
        let Some(at) = self.sockets.iter().position(|socket| socket.name == name) else { return open() };
        let old = self.sockets.swap_remove(at);
        let kept: T = adopt(old.fd).map_err(|why| format!("{name}: {why}"))?;
        if old.asked == *asked {
            return Ok(kept);
        }
        Ok(open().unwrap_or_else(|why| {
            tracing::error!("{why}; {} is kept", old.asked);
            // The next restart is to try again.
            *asked = old.asked;
            kept
        }))
    }

    /// Closes the sockets that nobody asked for: who connects there must not wait for an answer that nobody gives.
    pub(super) fn close_rest(&mut self) {
        for socket in self.sockets.drain(..) {
            drop(adopt::<std::os::fd::OwnedFd>(socket.fd));
        }
    }
}
