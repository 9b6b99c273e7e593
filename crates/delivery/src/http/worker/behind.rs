//! Who is behind a connection: itself, or whoever a declared proxy asks for. And a proxy that was not declared is told to the operator, before there is a crowd to whom it matters.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::super::{Proxies, Shared};
use crate::proxy;
use crate::request::Request;

/// Of this worker.
pub(super) struct Behind {
    proxies: Proxies,
    /// When an undeclared proxy was last told of.
    said: Option<Instant>,
}

impl Behind {
    pub(super) fn new(proxies: Proxies) -> Self {
        Self { proxies, said: None }
    }

    /// Whether a connection from there begins with whose it is.
    pub(super) fn is_announced(&self, peer: SocketAddr) -> bool {
        self.proxies.announces(peer.ip())
    }

    /// Whose request that is.
    pub(super) fn client(
        &mut self,
        peer: SocketAddr,
        request: &Request<'_>,
        now: Instant,
        shared: &Shared,
    ) -> SocketAddr {
        let fields = &request.fields;
        if proxy::forwarded(fields).next().is_some() && !self.proxies.trusts(peer.ip()) {
            shared.undeclared.fetch_add(1, Relaxed);
            // Of others it is not known whether they are a proxy at all, and nobody is to be led to declare a stranger.
            let is_near = proxy::may_be_one(peer.ip());
            if is_near && self.said.is_none_or(|said| now - said >= SAY_EVERY) {
                self.said = Some(now);
                tracing::warn!(
                    at = %peer.ip(),
                    "requests come by a proxy that is not declared: at a door, and wherever people are counted, all of them are one address. If it is yours, name it in trusted_proxies"
                );
            }
        }
        SocketAddr::new(self.proxies.client(peer.ip(), proxy::forwarded(fields)), peer.port())
    }
}

/// How often that is said in the log.
const SAY_EVERY: Duration = Duration::from_secs(600);
