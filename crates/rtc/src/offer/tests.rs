//! Offers of real clients, as captured in November 2026, and what becomes of them.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

const CHROMIUM: &str = include_str!("../../tests/fixtures/chromium-sendonly.sdp");
const CHROMIUM_SENDRECV: &str = include_str!("../../tests/fixtures/chromium-sendrecv.sdp");
const FIREFOX: &str = include_str!("../../tests/fixtures/firefox-sendonly.sdp");
const FIREFOX_SENDRECV: &str = include_str!("../../tests/fixtures/firefox-sendrecv.sdp");
const FFMPEG: &str = include_str!("../../tests/fixtures/ffmpeg.sdp");
const AIORTC: &str = include_str!("../../tests/fixtures/aiortc.sdp");

fn config() -> Config {
    Config {
        certificate: Certificate::generate().unwrap(),
        candidates: vec!["198.51.100.7:8082".parse().unwrap(), "[2001:db8::7]:8082".parse().unwrap()],
        tcp: vec!["198.51.100.7:8082".parse().unwrap()],
    }
}

fn answer(offer: &str) -> String {
    accept(Instant::now(), offer, &config()).unwrap().1.sdp
}

#[test]
fn offers_of_all_clients_are_answered() {
    fn check(offer: &str, direction: &str) {
        let answer = answer(offer);
        let has = |line: &str| answer.lines().any(|other| other == line);
        assert!(has(direction), "{answer}");
        assert!(has("a=ice-lite") && has("a=rtcp-mux"), "{answer}");
        assert!(answer.contains(" udp ") && answer.contains("198.51.100.7 8082 typ host"), "{answer}");
        assert!(answer.contains("2001:db8::7 8082 typ host"), "{answer}");
        assert!(answer.contains(" tcp ") && answer.contains("tcptype passive"), "{answer}");
        assert!(answer.contains("useinbandfec=1") && answer.contains("minptime=10"), "{answer}");
        let unwanted = ["transport-cc", "transport-wide", "abs-send-time", "video", "G722", "PCMU", "str0m"];
        assert!(!unwanted.iter().any(|word| answer.contains(word)), "{answer}");
    }
    check(CHROMIUM, "a=recvonly");
    check(CHROMIUM_SENDRECV, "a=sendrecv");
    check(FIREFOX, "a=recvonly");
    check(FIREFOX_SENDRECV, "a=sendrecv");
    check(FFMPEG, "a=recvonly");
    check(AIORTC, "a=recvonly");
}

#[test]
fn red_comes_before_opus_where_the_client_has_it() {
    assert!(answer(CHROMIUM).contains("m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n"));
    assert!(answer(FFMPEG).contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));
}

#[test]
fn only_level_and_section_id_extensions_are_taken() {
    let answer = answer(CHROMIUM);
    let taken: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=extmap:")).collect();
    let level = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    assert_eq!(taken, [level, "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid"]);
}

#[test]
fn roles_of_dtls_fit_the_offer() {
    assert!(answer(CHROMIUM).contains("a=setup:passive\r\n"));
    assert!(answer(FFMPEG).contains("a=setup:active\r\n"));
    assert!(answer(&FFMPEG.replace("setup:passive", "setup:active")).contains("a=setup:passive\r\n"));
}

#[test]
fn rtcp_mux_only_is_answered_where_it_was_asked() {
    assert!(!answer(CHROMIUM).contains("rtcp-mux-only"));
    assert!(
        answer(&CHROMIUM.replace("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n"))
            .contains("a=rtcp-mux-only\r\n")
    );
}

#[test]
fn a_data_channel_beside_the_audio_is_taken() {
    let data =
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sctp-port:5000\r\n";
    let offer = CHROMIUM.replace("BUNDLE 0", "BUNDLE 0 1") + data;
    assert!(answer(&offer).contains("m=application 9"));
    assert_eq!(accept(Instant::now(), &(CHROMIUM.to_owned() + data), &config()).unwrap_err(), Refusal::NoBundle);
}

#[test]
fn entity_tags_are_strong_and_differ() {
    let config = config();
    let tag = || accept(Instant::now(), CHROMIUM, &config).unwrap().1.etag;
    let (one, other) = (tag(), tag());
    assert!(one.starts_with('"') && one.ends_with('"') && one.len() > 10);
    assert_ne!(one, other);
}

#[test]
fn each_broken_rule_has_its_own_refusal() {
    fn check(offer: &str, refusal: Refusal) {
        assert_eq!(Offer::parse(offer).map(|offer| offer.mid), Err(refusal), "{offer}");
    }
    let with = |from: &str, to: &str| {
        assert!(CHROMIUM.contains(from));
        CHROMIUM.replace(from, to)
    };
    check("", Refusal::Malformed { line: 1 });
    check("hello", Refusal::Malformed { line: 1 });
    check("v=1\r\n", Refusal::Malformed { line: 1 });
    check(&with("t=0 0", "t 0 0"), Refusal::Malformed { line: 4 });
    check(&with("m=audio 55317", "m=audio x"), Refusal::Malformed { line: 8 });
    check(&with("a=mid:0", "a=mid:\u{0}"), Refusal::Malformed { line: 20 });
    check(&(CHROMIUM.to_owned() + &"a=x\r\n".repeat(LINES_MAX)), Refusal::TooLarge);
    check(&(CHROMIUM.to_owned() + &"a".repeat(OFFER_BYTES_MAX)), Refusal::TooLarge);
    check(&with("m=audio", "m=video"), Refusal::Video);
    check(&(CHROMIUM.to_owned() + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n"), Refusal::Video);
    check("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", Refusal::NoAudio);
    check(&with("m=audio 55317", "m=audio 0"), Refusal::NoAudio);
    check(&(CHROMIUM.to_owned() + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\n"), Refusal::ManyMedia);
    check(&(CHROMIUM.to_owned() + "m=text 9 RTP/AVP 98\r\na=mid:1\r\n"), Refusal::ManyMedia);
    check(&with("a=sendonly", "a=recvonly"), Refusal::NotSending);
    check(&with("a=sendonly", "a=inactive"), Refusal::NotSending);
    check(&with("UDP/TLS/RTP/SAVPF", "RTP/AVP"), Refusal::NotSecure);
    check(&with("opus/48000/2", "speex/16000"), Refusal::NoOpus);
    check(&with("SAVPF 111 63", "SAVPF 63"), Refusal::NoOpus);
    check(&with("a=rtcp-mux\r\n", ""), Refusal::NoRtcpMux);
    check(&with("a=ice-ufrag:s9Rk\r\n", ""), Refusal::NoIceCredentials);
    check(&with("a=ice-ufrag:s9Rk", "a=ice-ufrag:s9"), Refusal::NoIceCredentials);
    check(&with("a=ice-ufrag:s9Rk", "a=ice-ufrag:s9Rk\r\na=ice-ufrag:else"), Refusal::NoIceCredentials);
    check(&with("t=0 0", "t=0 0\r\na=ice-lite"), Refusal::IceLite);
    check(&with("fingerprint:sha-256", "fingerprint:sha-1"), Refusal::NoFingerprint);
    check(&with("a=setup:actpass", "a=setup:holdconn"), Refusal::BadSetup);
    check(&with("a=mid:0", "a=mid:much-too-long-a-name"), Refusal::BadMid);
}

#[test]
fn without_an_address_of_ours_there_is_no_answer() {
    let config = Config { candidates: vec!["0.0.0.0:8082".parse().unwrap()], tcp: Vec::new(), ..config() };
    assert_eq!(accept(Instant::now(), CHROMIUM, &config).unwrap_err(), Refusal::Unusable);
}

#[test]
fn sound_without_a_direction_goes_both_ways() {
    // RFC 8866 §6.7: sendrecv is assumed.
    assert_eq!(Offer::parse(&CHROMIUM.replace("a=sendonly\r\n", "")).unwrap().direction, Direction::SendRecv);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_damage_to_an_offer_makes_us_panic(at in 0_usize..1800, cut in 0_usize..40, put in "[ -~\r\n]{0,8}") {
        thread_local!(static CONFIG: Config = config());
        let mut offer = CHROMIUM.to_owned();
        let at = at.min(offer.len());
        offer.replace_range(at..(at + cut).min(offer.len()), &put);
        CONFIG.with(|config| { let _ = accept(Instant::now(), &offer, config); });
    }
}
