//! Speakers' sessions on the stage of a space: an offer answered, a seat taken, and left.

use std::time::Instant;

use hiwar_media::programme::Voicing;
use hiwar_rtc::ring::ring;
use hiwar_rtc::session::{Patched, Session};
use hiwar_rtc::udp as net;
use hiwar_rtc::{candidate, offer};
use hiwar_segment_log::LogId;
use tokio::sync::oneshot;

use super::control::Ends;
use super::shards::Shards;
use super::{PACKETS_WAITING, RETURNS_WAITING, Studio, StudioEvent};

/// Somebody who is about to speak.
#[derive(Debug, Clone)]
pub struct Speaking {
    /// Names the person inside the space; a second publisher with the same name takes the first one's place.
    pub participant: String,
    /// Put into the sound when this speaker is heard (opaque).
    pub speaking_event: Vec<u8>,
    /// Muted from the first or not.
    pub voicing: Voicing,
}

/// A speaker's session, answered.
#[derive(Debug, Clone)]
pub struct Published {
    /// Unguessable name of the session.
    pub session: String,
    /// SDP answer.
    pub answer: String,
    /// Strong entity tag of the session's ICE credentials, quotes included.
    pub etag: String,
}

/// Why nobody was seated.
#[derive(Debug)]
pub enum PublishRefusal {
    /// The offer breaks a rule.
    Offer(offer::Refusal),
    /// All seats are taken, or the shard is full.
    Full,
    /// The space is not on the air.
    NotOnAir,
    /// The studio is stopping.
    Unavailable,
}

impl Studio {
    /// Mutes or opens somebody on the stage, within a beat.
    pub fn voice(&self, space: &LogId, participant: &str, voicing: Voicing) {
        self.inner.lock().voice(space, participant, voicing);
    }

    /// Answers a speaker's offer and seats them. The newest publisher of a participant wins.
    ///
    /// # Errors
    /// As [`PublishRefusal`] says; nothing is seated then, and whoever of that name was there stays.
    pub async fn publish(&self, space: &LogId, who: Speaking, offer: String) -> Result<Published, PublishRefusal> {
        let shards = Shards(self.inner.shards.len());
        let candidates = vec![self.inner.shards[shards.of_space(space)].candidate];
        let certificate = self.inner.certificate.clone();
        let config = offer::Config { certificate, tcp: candidates.clone(), candidates };
        // Milliseconds of work, and a panic in the parser must cost one request only.
        let accepted = tokio::task::spawn_blocking(move || offer::accept(Instant::now(), &offer, &config)).await;
        let (session, answer) = accepted.map_err(|_| PublishRefusal::Unavailable)?.map_err(PublishRefusal::Offer)?;
        let name = random_name();
        self.seat(space, who, &name, &answer.etag, session)?;
        Ok(Published { session: name, answer: answer.sdp, etag: answer.etag })
    }

    fn seat(
        &self,
        space: &LogId,
        who: Speaking,
        name: &str,
        etag: &str,
        session: Session,
    ) -> Result<(), PublishRefusal> {
        let (packets_out, packets) = ring(PACKETS_WAITING);
        let (returns, returns_in) = ring(RETURNS_WAITING);
        // Under the lock, so that nobody hears of the end of a session before it is somebody's.
        let mut control = self.inner.lock();
        let join = |id| {
            self.inner.net(id).add(net::SessionId(id), session, packets_out, returns_in).map_err(|busy| match busy {
                net::Busy::Full => PublishRefusal::Full,
                net::Busy::Behind => PublishRefusal::Unavailable,
            })
        };
        let (id, replaced) =
            control.seat(space, who, Some(name.to_owned()), Ends { packets, returns: Some(returns) }, join)?;
        control.set_etag(id, etag.to_owned());
        drop(control);
        if let Some(old) = replaced {
            self.close(old);
        }
        Ok(())
    }

    /// Trickles candidates into a session or restarts its ICE. `None`: no such session.
    pub async fn patch(&self, session: &str, fragment: String) -> Option<Result<Patched, candidate::Refusal>> {
        let id = self.inner.lock().session(session)?;
        let (reply, answer) = oneshot::channel();
        let asked = self.inner.net(id).patch(net::SessionId(id), fragment, move |patched| {
            let _ = reply.send(patched);
        });
        asked.ok()?;
        let patched = answer.await.ok()?;
        if let Ok(Patched::Restarted { etag, .. }) = &patched {
            self.inner.lock().set_etag(id, etag.clone());
        }
        Some(patched)
    }

    /// The strong entity tag of a session's ICE credentials, quotes included.
    #[must_use]
    pub fn etag(&self, session: &str) -> Option<String> {
        self.inner.lock().etag(session)
    }

    /// Ends a session. False: there is none of that name.
    pub fn hang_up(&self, session: &str) -> bool {
        let Some(id) = self.inner.lock().session(session) else { return false };
        self.close(net::SessionId(id));
        self.left(id);
        true
    }

    pub(super) fn close(&self, session: net::SessionId) {
        self.inner.close(session);
    }

    fn left(&self, id: u64) {
        if let Some((space, participant)) = self.inner.lock().leave(id) {
            self.inner.happened(StudioEvent::Left { space, participant });
        }
    }

    pub(super) fn watch_net(&self, events: &std::sync::mpsc::Receiver<net::Event>) {
        for event in events {
            match event {
                net::Event::Connected(net::SessionId(id)) => {
                    if let Some((space, session)) = self.inner.lock().connected(id) {
                        self.inner.happened(StudioEvent::Connected { space, session });
                    }
                }
                net::Event::Closed(net::SessionId(id), reason) => {
                    tracing::debug!(id, ?reason, "a speaker's session closed");
                    self.left(id);
                }
            }
        }
    }
}

/// 128 random bits in hexadecimal.
fn random_name() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}
