//! Whether a server may be rehearsed: it is asked to prove that it issued the grant, at the very address that listeners
//! would then join.
//!
//! Any other server, on purpose or by mistake, has no such proof (`admission/src/pass/rehearsal.rs` says why), so what
//! [`check`] returns is worth something: a [`Checked`] is made nowhere else, and whoever joins by the thousand has to ask for one.
//! It holds for one origin, at one address, until one moment, and its holder keeps to that: connects to
//! [`Checked::at`] without looking the name up again, names [`Checked::origin`] in `Host` and in TLS, follows no
//! redirect, and begins nothing that would end after [`Checked::expires`]. That an address changes hands within a run is not seen.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hiwar_admission::{Nonce, Origin, Proof, Refusal, RehearsalToken, Scheme};
use http_body_util::Full;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::outgoing;

/// Where every Hiwar proves what it issued.
const PATH: &str = "/api/spaces/v1/rehearsals";
/// How long the whole question may take, from the first packet to the last: a server that is slower than this before
/// the crowd has come is not ready for it.
const WAIT: Duration = Duration::from_secs(10);
/// More than any proof, and any problem that is told instead.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How much of a stranger's words is repeated.
const QUOTE_CHARS_MAX: usize = 200;

/// That a server proved that it issued a grant: leave to join it.
#[derive(Clone, Debug)]
pub struct Checked {
    at: SocketAddr,
    token: RehearsalToken,
}

impl Checked {
    /// Where the proof came from: the only address that may be connected to.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// The server, as every request and every handshake names it.
    pub fn origin(&self) -> &Origin {
        &self.token.rehearsal().origin
    }

    /// What each listener shows, so that it is not counted as one of the audience.
    pub fn badge(&self) -> String {
        self.token.badge()
    }

    /// How many may listen at once.
    pub fn listeners_max(&self) -> u32 {
        self.token.rehearsal().listeners_max
    }

    /// The first moment at which nobody may be there any more.
    pub fn expires(&self) -> SystemTime {
        self.token.rehearsal().expires
    }
}

/// Asks the server of `origin`, at `address`, to prove that it issued the grant `token`. Waits ten seconds at the most;
/// not to be called by a task of a runtime. `root`: whom to trust over HTTPS (PEM); `None`: whom the system trusts.
///
/// # Errors
/// Why this server may not be rehearsed by this grant, in words for whoever typed it.
pub fn check(
    origin: &Origin,
    address: IpAddr,
    token: &str,
    root: Option<&Path>,
    now: SystemTime,
) -> Result<Checked, String> {
    let token = RehearsalToken::read(now, token).map_err(|why| match why {
        Refusal::Expired => "the grant has expired: ask whoever runs the server for a new one".to_owned(),
        why => {
            format!("that is no grant to rehearse ({why}): give what `hiwar admin rehearsal-grant` printed, all of it")
        }
    })?;
    let granted = &token.rehearsal().origin;
    if granted != origin {
        return Err(format!("the grant is for {granted}, and not for {origin}: whoever runs {origin} can make one"));
    }
    let at = SocketAddr::new(address, origin.port());
    let mut nonce = Nonce::default();
    getrandom::fill(&mut nonce).map_err(|why| format!("no random numbers: {why}"))?;
    let question = serde_json::json!({ "claims": token.claims(), "nonce": URL_SAFE_NO_PAD.encode(nonce) });
    let refuse = |why: String| format!("{origin}, at {at}, is not rehearsed: {why}");
    let answer = ask_within(WAIT, origin, at, root, question.to_string()).map_err(refuse)?;
    judge(&token, &nonce, &answer).map_err(refuse)?;
    Ok(Checked { at, token })
}

/// Whether that is the proof.
fn judge(token: &RehearsalToken, nonce: &Nonce, answer: &Response<Bytes>) -> Result<(), String> {
    let status = answer.status();
    if status.is_redirection() {
        let to =
            answer.headers().get(LOCATION).map(|to| format!(" to {}", quote(&String::from_utf8_lossy(to.as_bytes()))));
        let to = to.unwrap_or_default();
        return Err(format!("it sends on{to} (status {status}), and the grant is for this address alone"));
    }
    if status == StatusCode::NOT_FOUND || status == StatusCode::METHOD_NOT_ALLOWED {
        return Err(format!("it answers {status} where a proof was expected: it is no Hiwar, or one too old"));
    }
    if status != StatusCode::OK {
        let said = serde_json::from_slice::<Problem>(answer.body()).ok();
        let said = said.map(|problem| format!(": {}", quote(&problem.detail))).unwrap_or_default();
        return Err(format!("it answers {status} where a proof was expected{said}"));
    }
    let proof = serde_json::from_slice::<Answer>(answer.body()).ok().and_then(|answer| {
        let bytes = URL_SAFE_NO_PAD.decode(answer.proof).ok()?;
        Proof::try_from(bytes).ok()
    });
    let proof = proof.ok_or("it answers, but with no proof: it is no Hiwar")?;
    if token.is_proven(nonce, &proof) {
        Ok(())
    } else {
        Err("it did not issue this grant: its proof is another. If it is your server, make a grant there, with `hiwar admin rehearsal-grant`".into())
    }
}

/// What is looked at of a proof. The rest of it only repeats what the token says.
#[derive(Deserialize)]
struct Answer {
    proof: String,
}

/// What is looked at of a problem (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// A stranger's words, for a terminal: a few, and nothing in them that a terminal would obey.
fn quote(text: &str) -> String {
    format!("{:?}", text.chars().take(QUOTE_CHARS_MAX).collect::<String>())
}

fn ask_within(
    wait: Duration,
    origin: &Origin,
    at: SocketAddr,
    root: Option<&Path>,
    question: String,
) -> Result<Response<Bytes>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|why| why.to_string())?;
    let asked = runtime.block_on(async { tokio::time::timeout(wait, ask(origin, at, root, question)).await });
    asked.unwrap_or_else(|_| Err(format!("no whole answer within {} s", wait.as_secs_f32())))
}

async fn ask(
    origin: &Origin,
    at: SocketAddr,
    root: Option<&Path>,
    question: String,
) -> Result<Response<Bytes>, String> {
    let authority = origin.authority();
    let request = Request::post(PATH)
        .header(HOST, &authority)
        .header(CONNECTION, "close")
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("hiwar/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(question)))
        .map_err(|why| why.to_string())?;
    let socket = TcpStream::connect(at).await.map_err(|why| format!("no connection: {why}"))?;
    match origin.scheme() {
        Scheme::Http => outgoing::ask(socket, &authority, request, ANSWER_BYTES_MAX).await,
        Scheme::Https => {
            let host = origin.host();
            let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no host name"))?;
            let tls = TlsConnector::from(outgoing::trust(root)?);
            let stream = tls.connect(name, socket).await.map_err(|why| format!("no secure connection: {why}"))?;
            outgoing::ask(stream, &authority, request, ANSWER_BYTES_MAX).await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use hiwar_admission::{PassId, Rehearsal, RehearsalKey};

    use super::*;

    const NONCE: Nonce = [3; 32];

    fn now() -> SystemTime {
        SystemTime::now()
    }

    /// The grant of the server with that key.
    fn grant(key: u8, origin: &Origin) -> String {
        let expires = now() + Duration::from_secs(600);
        let rehearsal = Rehearsal { id: PassId([1; 8]), origin: origin.clone(), listeners_max: 7, expires };
        RehearsalKey::from_bytes([key; 32]).sign(&rehearsal)
    }

    /// A server for one connection: what it is asked is returned at the end, and what it says is said bit by bit.
    fn serve(say: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> (Origin, JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let thread = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().expect("a connection");
            let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
            while !asked.ends_with(b"}") {
                match socket.read(&mut buffer) {
                    Ok(length @ 1..) => asked.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            for piece in say(&asked).chunks(1000) {
                if socket.write_all(piece).is_err() {
                    break;
                }
            }
            asked
        });
        (Origin::parse(&origin).expect("an origin"), thread)
    }

    fn answer(status: &str, fields: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}\r\n{body}").into_bytes()
    }

    /// What the server with that key answers to what it is asked.
    fn proven(key: u8, asked: &[u8]) -> Vec<u8> {
        let body = asked.windows(4).position(|four| four == b"\r\n\r\n").map(|at| &asked[at + 4..]).expect("a body");
        let question: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let text = |name: &str| question[name].as_str().expect("text");
        let nonce: Nonce = URL_SAFE_NO_PAD.decode(text("nonce")).expect("base64url").try_into().expect("32 bytes");
        let key = RehearsalKey::from_bytes([key; 32]);
        let (_, proof) = key.prove(now(), text("claims"), &nonce).expect("claims");
        let body = serde_json::json!({ "proof": URL_SAFE_NO_PAD.encode(proof), "listeners_max": u32::MAX, "expires": u64::MAX });
        answer("200 OK", "", &body.to_string())
    }

    fn checked(origin: &Origin, token: &str) -> Result<Checked, String> {
        check(origin, [127, 0, 0, 1].into(), token, None, now())
    }

    #[test]
    fn the_server_that_issued_the_grant_is_believed_as_far_as_the_grant_goes() {
        let (origin, thread) = serve(|asked| proven(1, asked));
        let token = grant(1, &origin);
        let checked = checked(&origin, &token).expect("a proof");
        assert_eq!((checked.origin(), checked.listeners_max()), (&origin, 7));
        assert_eq!(checked.at(), SocketAddr::from(([127, 0, 0, 1], origin.port())));
        assert!(checked.expires() <= now() + Duration::from_secs(600));
        let asked = String::from_utf8(thread.join().expect("a server")).expect("text");
        assert!(asked.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")), "{asked}");
        assert!(asked.contains(&format!("host: {}\r\n", origin.authority())), "{asked}");
        // The token stays here: its last characters are the MAC.
        assert!(!asked.contains(&token) && !asked.contains(&token[token.len() - 40..]), "{asked}");
    }

    #[test]
    fn nobody_else_is_believed() {
        let check = |why: &str, say: fn(&[u8]) -> Vec<u8>| {
            let (origin, thread) = serve(say);
            let said = checked(&origin, &grant(1, &origin)).expect_err(why);
            assert!(said.contains(why) && said.starts_with(&origin.to_string()), "{why}: {said}");
            thread.join().expect("a server");
        };
        check("did not issue this grant", |asked| proven(2, asked));
        check("no Hiwar", |_| answer("200 OK", "Content-Type: text/html\r\n", "<!doctype html><p>Welcome!"));
        check("no Hiwar", |_| answer("200 OK", "", "{\"proof\":\"\"}"));
        check("no Hiwar", |_| answer("200 OK", "", "{\"proof\":7}"));
        check("did not issue", |_| {
            answer("200 OK", "", &format!("{{\"proof\":\"{}\"}}", URL_SAFE_NO_PAD.encode([0; 32])))
        });
        check("404 Not Found where a proof was expected", |_| answer("404 Not Found", "", ""));
        check("405 Method Not Allowed where a proof", |_| answer("405 Method Not Allowed", "", ""));
        check("500 Internal Server Error where a proof", |_| answer("500 Internal Server Error", "", "oh"));
        check("expected: \"Ask elsewhere.\\u{1b}[2J\"", |_| {
            answer("403 Forbidden", "", "{\"detail\":\"Ask elsewhere.\\u001b[2J\"}")
        });
        check("204 No Content where a proof", |_| answer("204 No Content", "", ""));
        check("no answer from", |_| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec());
        check("no answer from", |_| Vec::new());
        check("half an answer", |_| b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{\"proof\":".to_vec());
    }

    #[test]
    fn no_redirect_is_followed_not_even_to_the_one_who_could_prove_it() {
        let issuer = TcpListener::bind("127.0.0.1:0").expect("a port");
        issuer.set_nonblocking(true).expect("a socket");
        let there = format!("http://{}{PATH}", issuer.local_addr().expect("an address"));
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
            let to = format!("Location: {there}\r\n");
            let (origin, thread) = serve(move |_| answer(status, &to, ""));
            let said = checked(&origin, &grant(1, &origin)).expect_err(status);
            assert!(said.contains(&format!("sends on to \"{there}\" (status {status})")), "{said}");
            thread.join().expect("a server");
        }
        assert!(issuer.accept().is_err(), "somebody went there");
    }

    #[test]
    fn an_answer_without_an_end_is_not_read_to_its_end() {
        let check = |why: &str, say: fn(&[u8]) -> Vec<u8>| {
            let (origin, thread) = serve(say);
            let said = checked(&origin, &grant(1, &origin)).expect_err(why);
            assert!(said.contains(why), "{why}: {said}");
            thread.join().expect("a server");
        };
        check("half an answer", |_| [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b' '; 30 << 20]].concat());
        check("half an answer", |_| {
            let chunk = [&b"1000\r\n"[..], &[b' '; 0x1000], b"\r\n"].concat();
            [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &chunk.repeat(5_000)].concat()
        });
        check("no answer", |_| [&b"HTTP/1.1 200 OK\r\n"[..], &b"A: b\r\n".repeat(4_000_000)].concat());
        check("no answer", |_| [&b"HTTP/1.1 200 OK\r\nA: "[..], &vec![b'b'; 30 << 20]].concat());
    }

    #[test]
    fn who_says_nothing_is_not_waited_for() {
        // The kernel connects; nobody ever accepts.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let origin = Origin::parse(&format!("http://{at}")).expect("an origin");
        let said = ask_within(Duration::from_millis(50), &origin, at, None, "{}".into()).expect_err("no answer");
        assert!(said.contains("no whole answer within 0.05 s"), "{said}");
        drop(listener);
        let said = checked(&origin, &grant(1, &origin)).expect_err("nobody there");
        assert!(said.contains("no connection"), "{said}");
    }

    #[test]
    fn a_grant_that_is_none_or_for_another_server_is_not_even_asked_about() {
        // There is nobody to ask: whoever was asked would be told "no connection".
        let origin = Origin::parse("http://127.0.0.1:1").expect("an origin");
        let other = Origin::parse("https://127.0.0.1:1").expect("an origin");
        let check = |token: &str, when: SystemTime, why: &str| {
            let said = super::check(&origin, [127, 0, 0, 1].into(), token, None, when).expect_err(why);
            assert!(said.contains(why), "{said}");
        };
        check("", now(), "no grant to rehearse");
        check("hello", now(), "no grant to rehearse");
        let token = grant(1, &origin);
        check(&token[..token.len() - 4], now(), "no grant to rehearse");
        check(&token, now() + Duration::from_secs(601), "has expired");
        check(&grant(1, &other), now(), "is for https://127.0.0.1:1, and not for http://127.0.0.1:1");
    }

    #[test]
    fn a_proof_is_of_this_moment() {
        let origin = Origin::parse("http://127.0.0.1:1").expect("an origin");
        let token = RehearsalToken::read(now(), &grant(1, &origin)).expect("a grant");
        let (_, proof) = RehearsalKey::from_bytes([1; 32]).prove(now(), token.claims(), &NONCE).expect("claims");
        let body = serde_json::json!({ "proof": URL_SAFE_NO_PAD.encode(proof) }).to_string();
        let recorded = Response::new(Bytes::from(body));
        assert_eq!(judge(&token, &NONCE, &recorded), Ok(()));
        assert!(judge(&token, &[4; 32], &recorded).is_err());
    }
}
