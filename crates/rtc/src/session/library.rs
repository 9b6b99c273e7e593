//! What is said to the WebRTC library, and how its words are put before others.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::net::TcpType;
use str0m::rtp::Extension;
use str0m::{Candidate, Rtc, RtcConfig};

use super::Proto;
use crate::candidate::{self, Credentials};
use crate::offer::Config;

pub(super) fn build(now: Instant, config: &Config) -> Rtc {
    let mut library = RtcConfig::new()
        .set_crypto_provider(config.certificate.crypto.clone())
        .set_dtls_cert(config.certificate.dtls.clone())
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .clear_codecs()
        .enable_opus(true, true)
        // No congestion extension: with it Chromium pads its packets with empty ones, and nothing here would use the reports.
        .clear_extension_map()
        .set_extension(1, Extension::AudioLevel)
        .set_extension(4, Extension::RtpMid);
    for params in library.codec_config().iter_mut() {
        params.set_fb_transport_cc(false);
    }
    library.build(now)
}

pub(super) fn add_candidates(rtc: &mut Rtc, config: &Config) -> Vec<(Proto, SocketAddr)> {
    let udp = config
        .candidates
        .iter()
        .map(|address| (Proto::Udp, *address, Candidate::builder().udp().host(*address).build()));
    let tcp = config.tcp.iter().map(|address| {
        let candidate = Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build();
        (Proto::Tcp, *address, candidate)
    });
    let all: Vec<_> = udp.chain(tcp).collect();
    let added = all.into_iter().filter_map(|(proto, address, candidate)| {
        rtc.add_local_candidate(candidate.ok()?)?;
        Some((proto, address))
    });
    added.collect()
}

/// Gives the library an offer and returns its answer. The library promises not to panic on input, and has broken that promise before.
pub(super) fn negotiate(rtc: &mut Rtc, offer: &str) -> Option<String> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let offer = SdpOffer::from_sdp_string(offer).map_err(|error| error.to_string())?;
        let answer = rtc.sdp_api().accept_offer(offer).map_err(|error| error.to_string())?;
        Ok::<_, String>(answer.to_sdp_string())
    }));
    match result {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::debug!(%error, "offer not usable");
            None
        }
        Err(_) => {
            tracing::error!("the WebRTC library panicked on an offer");
            None
        }
    }
}

pub(super) fn local_credentials(rtc: &mut Rtc) -> Credentials {
    let credentials = rtc.direct_api().local_ice_credentials();
    Credentials { ufrag: credentials.ufrag, pwd: credentials.pass }
}

/// The library's answer plus what RFC 9725 asks of an answer and the library does not write.
pub(super) fn finish(answer: &str, rtcp_mux_only: bool) -> String {
    let mut text = String::with_capacity(answer.len() + 64);
    for line in candidate::lines(answer) {
        // Strangers need not know which library, in which version, answers them.
        let line = line
            .strip_prefix("o=str0m-")
            .and_then(|rest| rest.split_once(' '))
            .map_or(line.to_owned(), |(_, rest)| format!("o=- {rest}"));
        text.push_str(&line);
        text.push_str("\r\n");
        if rtcp_mux_only && line == "a=rtcp-mux" {
            text.push_str("a=rtcp-mux-only\r\n");
        }
    }
    text
}

/// The part of an answer that answers an ICE restart (RFC 9725 §4.3.3).
pub(super) fn fragment_of(answer: &str) -> String {
    let kept = [
        "a=ice-lite",
        "a=group:BUNDLE",
        "m=",
        "a=mid:",
        "a=ice-ufrag:",
        "a=ice-pwd:",
        "a=ice-options:",
        "a=candidate:",
    ];
    let mut text = String::new();
    for line in candidate::lines(answer).filter(|line| kept.iter().any(|start| line.starts_with(start))) {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("a=end-of-candidates\r\n");
    text
}
