//! WHIP (RFC 9725) through the real stage port, rule by rule.

use serde_json::json;

use rtc::rtp_transceiver::RTCRtpTransceiverDirection::{Sendonly, Sendrecv};

use crate::client::Client;
use crate::http::{Reply, ask};
use crate::mouth::post;
use crate::server::{Server, Space};

const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

struct Rig {
    server: Server,
    space: Space,
}

impl Rig {
    fn new() -> Self {
        let server = Server::start();
        let space = server.live("whip");
        Self { server, space }
    }

    fn endpoint(&self) -> String {
        format!("/whip/{}", self.space.id)
    }

    /// A request with the host's pass.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.space.host_pass);
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        ask(self.server.stage, method, path, &all, body.as_bytes())
    }

    fn patch(&self, session: &str, condition: Option<&str>, fragment: &str) -> Reply {
        let mut headers = vec![("Content-Type", FRAGMENT)];
        headers.extend(condition.map(|value| ("If-Match", value)));
        self.ask("PATCH", session, &headers, fragment)
    }
}

/// A well-formed fragment with one candidate for the ICE generation of this offer.
fn trickle(offer: &str) -> String {
    let value = |name: &str| offer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n",
        value("a=ice-ufrag:"),
        value("a=ice-pwd:")
    )
}

#[test]
fn a_session_is_made_patched_restarted_and_deleted() {
    let rig = Rig::new();
    let mut client = Client::udp(Sendrecv);
    let offer = client.offer();
    let reply = post(rig.server.stage, &rig.space.id, &rig.space.host_pass, &offer);
    assert_eq!((reply.status, reply.header("content-type")), (201, Some("application/sdp")));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let exposed = reply.header("access-control-expose-headers").expect("exposed headers").to_ascii_lowercase();
    for name in ["location", "etag", "link", "accept-post", "retry-after"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    // An absolute path whose last part nobody guesses.
    let session = reply.header("location").expect("a location").to_owned();
    let name = session.strip_prefix(&format!("{}/", rig.endpoint())).expect("below the endpoint");
    assert!(name.len() >= 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    let etag = reply.header("etag").expect("an entity tag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "a strong tag: {etag}");
    // The whole candidate list, one bundle, RTP and RTCP on one port, an active or passive end of DTLS.
    let answer = reply.text();
    let port = rig.server.media.port().to_string();
    for line in ["a=candidate:", "a=rtcp-mux", "a=ice-lite", "a=setup:passive", "a=group:BUNDLE 0"] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    let candidates: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    assert!(candidates.iter().all(|line| line.contains(&port)) && candidates.iter().any(|line| line.contains("udp")));

    // Looking.
    assert_eq!(rig.ask("GET", &session, &[], "").status, 204);
    let look = rig.ask("GET", &rig.endpoint(), &[], "");
    assert_eq!((look.status, look.body.len()), (204, 0));

    // Trickle: a condition is required (428) and must be current (412); both spellings of the star are taken; 204, no tag.
    let fragment = trickle(&offer);
    let check = |condition: Option<&str>, fragment: &str, status: u16, problem: &str| {
        let reply = rig.patch(&session, condition, fragment);
        assert_eq!((reply.status, &*reply.problem()), (status, problem), "{condition:?} {fragment:?}: {reply:?}");
        assert!(reply.header("etag").is_none());
    };
    check(None, &fragment, 428, "if-match-missing");
    check(Some("\"stale\""), &fragment, 412, "if-match-stale");
    for condition in [&*etag, "*", "\"*\""] {
        check(Some(condition), &fragment, 204, "");
    }
    let unknown = fragment.replace(" udp ", " sctp ");
    check(Some(&etag), &unknown, 204, "");
    check(Some(&etag), "this is no fragment\r\n", 400, "fragment-malformed");
    check(Some(&etag), "", 400, "fragment-malformed");
    let nameless = fragment.replace("a=ice-ufrag:", "a=x-ufrag:").replace("a=ice-pwd:", "a=x-pwd:");
    check(Some(&etag), &nameless, 422, "fragment-refused");
    let wrong = rig.ask("PATCH", &session, &[("Content-Type", "application/sdp"), ("If-Match", "*")], &fragment);
    assert_eq!((wrong.status, wrong.header("accept-patch")), (415, Some(FRAGMENT)));

    // ICE restart: 200, new credentials, a new tag; the old one is stale from then on; the client comes back on it.
    client.answer(&answer);
    client.run_until(|client| client.connected);
    let restart = rig.patch(&session, Some("\"*\""), &client.restart());
    assert_eq!((restart.status, restart.header("content-type")), (200, Some(FRAGMENT)), "{restart:?}");
    let renewed = restart.header("etag").expect("a new tag").to_owned();
    assert_ne!(renewed, etag);
    assert!(restart.text().contains("a=ice-ufrag:") && restart.text().contains("a=candidate:"));
    check(Some(&etag), &fragment, 412, "if-match-stale");
    client.restarted(&restart.text());
    client.connected = false;
    client.run_until(|client| client.connected);

    // DELETE does not care for conditions; afterwards there is no session.
    let gone = rig.ask("DELETE", &session, &[("If-Match", "\"stale\"")], "");
    assert_eq!(gone.status, 200, "{gone:?}");
    assert_eq!(rig.ask("DELETE", &session, &[], "").status, 404);
    assert_eq!(rig.ask("GET", &session, &[], "").status, 404);
    assert_eq!(rig.patch(&session, Some("*"), &fragment).status, 404);
}

#[test]
fn an_offer_that_breaks_a_rule_is_refused_with_its_own_status() {
    let rig = Rig::new();
    let offer = Client::udp(Sendonly).offer();
    let check = |what: &str, offer: &str, status: &[u16]| {
        let reply = post(rig.server.stage, &rig.space.id, &rig.space.host_pass, offer);
        assert!(status.contains(&reply.status), "{what}: {reply:?}");
        assert!(!reply.problem().is_empty() && reply.header("location").is_none(), "{what}: {reply:?}");
    };
    check("no SDP", "hello", &[400]);
    check("an empty body", "", &[400]);
    check("not UTF-8, nearly", "v=0\r\no=\u{0}\r\n", &[400]);
    check("cut short", &offer[..offer.len() / 3], &[400, 422]);
    check("video only", &offer.replace("m=audio", "m=video"), &[422]);
    let media = offer.find("m=audio").unwrap();
    let video = offer[media..].replace("m=audio", "m=video").replace("a=mid:0", "a=mid:1");
    check("sound and video", &format!("{offer}{video}"), &[422]);
    check("recvonly", &offer.replace("a=sendonly", "a=recvonly"), &[422]);
    check("inactive", &offer.replace("a=sendonly", "a=inactive"), &[422]);
    check("no rtcp-mux", &offer.replace("a=rtcp-mux\r\n", ""), &[422]);
    check("no fingerprint", &without(&offer, "a=fingerprint:"), &[422]);
    check("no credentials", &without(&offer, "a=ice-pwd:"), &[400, 422]);
    check("an unknown codec", &offer.replace("opus/48000", "speex/16000"), &[422]);
    check("an offer of 70 kB", &format!("{offer}{}", "a=x\r\n".repeat(14_000)), &[413]);

    // Wrong content type, and who may not.
    let endpoint = rig.endpoint();
    let wrong = rig.ask("POST", &endpoint, &[("Content-Type", "application/json")], &offer);
    assert_eq!((wrong.status, wrong.header("accept-post")), (415, Some("application/sdp")));
    let stage = rig.server.stage;
    let sdp = ("Content-Type", "application/sdp");
    let nobody = ask(stage, "POST", &endpoint, &[sdp], offer.as_bytes());
    assert_eq!((nobody.status, &*nobody.problem()), (401, "pass-missing"));
    assert!(nobody.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    assert_eq!(nobody.header("access-control-allow-origin"), Some("*"));
    assert_eq!(post(stage, &rig.space.id, "forged", &offer).status, 401);
    assert_eq!(post(stage, &rig.space.id, &rig.server.create_pass, &offer).status, 403);
    let other = rig.server.live("other");
    assert_eq!(post(stage, &rig.space.id, &other.host_pass, &offer).status, 403);
    assert_eq!(post(stage, "0000000000000000", &rig.space.host_pass, &offer).status, 404);
    let off = rig.server.create(json!({ "title": "never", "audience": "public" }));
    rig.server.host(&off, "cancel");
    let refused = post(stage, &off.id, &off.host_pass, &offer);
    assert_eq!((refused.status, &*refused.problem()), (409, "cancelled"));

    // A preflight needs no pass, allows what a client sends, and says what is taken.
    let origin = ("Origin", "https://app.example");
    let preflight = ask(stage, "OPTIONS", &endpoint, &[origin, ("Access-Control-Request-Method", "POST")], &[]);
    assert_eq!((preflight.status, preflight.header("accept-post")), (200, Some("application/sdp")));
    let allowed = |name: &str| preflight.header(name).unwrap_or_default().to_ascii_lowercase();
    assert!(
        ["authorization", "content-type", "if-match"]
            .iter()
            .all(|h| allowed("access-control-allow-headers").contains(h))
    );
    assert!(["post", "patch", "delete", "options"].iter().all(|m| allowed("access-control-allow-methods").contains(m)));
    assert!(preflight.header("access-control-allow-credentials").is_none() && preflight.header("link").is_none());
    assert_eq!(ask(stage, "PUT", &endpoint, &[sdp], b"x").status, 405);

    // None of all this cost the stage anything.
    assert_eq!(post(stage, &rig.space.id, &rig.space.host_pass, &offer).status, 201);
}

fn without(offer: &str, start: &str) -> String {
    offer.lines().filter(|line| !line.starts_with(start)).map(|line| format!("{line}\r\n")).collect()
}

#[test]
fn the_twenty_first_speaker_is_told_when_to_try_again() {
    let rig = Rig::new();
    let offer = Client::udp(Sendonly).offer();
    let passes: Vec<String> = (0..21).map(|n| rig.server.speaker_pass(&rig.space, &format!("speaker {n}"))).collect();
    let mut sessions = Vec::new();
    for pass in &passes[..20] {
        let reply = post(rig.server.stage, &rig.space.id, pass, &offer);
        assert_eq!(reply.status, 201, "{reply:?}");
        sessions.push(reply.header("location").unwrap().to_owned());
    }
    let full = post(rig.server.stage, &rig.space.id, &passes[20], &offer);
    assert_eq!((full.status, &*full.problem()), (503, "stage-full"));
    assert!(full.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    // A seat that is left is free at once.
    let seventh = format!("Bearer {}", passes[7]);
    assert_eq!(ask(rig.server.stage, "DELETE", &sessions[7], &[("Authorization", &seventh)], &[]).status, 200);
    assert_eq!(post(rig.server.stage, &rig.space.id, &passes[20], &offer).status, 201);
    // Nobody may touch somebody else's session.
    let bearer = format!("Bearer {}", passes[0]);
    let foreign = ask(rig.server.stage, "DELETE", &sessions[1], &[("Authorization", &bearer)], &[]);
    assert_eq!(foreign.status, 403, "{foreign:?}");
}
