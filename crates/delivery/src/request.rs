//! One request head, read strictly.
//!
//! What cannot be read in exactly one way is refused: a front server and a house that understand a request differently are how
//! requests are smuggled. It does not decide what is answered (`answer`), and reads no bodies: it says how long the body is.
//! Pure: bytes in, a value out; fuzzed by `request`.

use std::borrow::Cow;

/// What the bytes so far amount to.
#[derive(Debug)]
pub enum Parsed<'b> {
    /// A whole head; its body, if any, begins `head_bytes` into the buffer.
    Complete {
        /// The request.
        request: Request<'b>,
        /// Length of the head in bytes, with the empty line.
        head_bytes: usize,
    },
    /// Nothing wrong so far: read more.
    Incomplete,
    /// Answer with this and close: what follows in the buffer cannot be trusted.
    Refused(Refusal),
}

/// A request head that means one thing.
#[derive(Debug)]
pub struct Request<'b> {
    /// What to do.
    pub method: Method,
    /// HTTP/1.0 or 1.1.
    pub version: Version,
    /// Path and query as they were sent, for whoever the request is forwarded to. Begins with `/`.
    pub target: &'b str,
    /// The path, percent-decoded, without dot segments. `%2F` stays as it is: it is not a separator (RFC 3986 §2.2).
    pub path: Cow<'b, str>,
    /// What follows `?`, not decoded.
    pub query: Option<&'b str>,
    /// The authority the client meant; empty only in HTTP/1.0.
    pub host: &'b str,
    /// How long the body is.
    pub body: Body,
    /// What the client wants of the connection afterwards.
    pub connection: Connection,
    /// Every field as sent, for forwarding.
    pub fields: Vec<Field<'b>>,
}

/// A header field.
#[derive(Copy, Clone, Debug)]
pub struct Field<'b> {
    /// Its name as sent.
    pub name: &'b str,
    /// Its value without surrounding white space; not always UTF-8.
    pub value: &'b [u8],
}

/// The methods that anything behind this worker understands.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

/// The version of the request line.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: no Host needed, never kept alive, never chunked.
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How the body is delimited (RFC 9112 §6.3).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// No body.
    None,
    /// This many bytes, 1 to [`BODY_BYTES_MAX`], or [`LARGE_BODY_BYTES_MAX`] where that is allowed.
    Length(u64),
    /// Chunked.
    Chunked,
}

/// What happens to the connection after the answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Another request may follow.
    KeepAlive,
    /// It is closed.
    Close,
}

/// Why a head was refused, one variant per rule.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not HTTP, or a line that can be read in two ways.
    Malformed,
    /// A line ends in a bare LF (RFC 9112 §2.2 lets us refuse).
    BareLineFeed,
    /// The target is neither `/path` nor `http://authority/path`.
    Target,
    /// A broken percent-encoding, a control character, or a path that is not UTF-8.
    Encoding,
    /// `.` or `..` as a segment of the path: a client that means well has resolved it.
    DotSegment,
    /// No Host, several, or one that is no authority (RFC 9112 §3.2).
    Host,
    /// Content-Length and Transfer-Encoding together (RFC 9112 §6.1).
    Framing,
    /// A Content-Length that is not one number.
    ContentLength,
    /// A transfer coding other than `chunked` alone.
    TransferEncoding,
    /// An expectation other than `100-continue`.
    Expectation,
    /// A body of more than [`BODY_BYTES_MAX`], or [`LARGE_BODY_BYTES_MAX`] where that is allowed.
    BodyTooLarge,
    /// A target of more than [`TARGET_BYTES_MAX`].
    TargetTooLong,
    /// A head of more than [`HEAD_BYTES_MAX`] or [`FIELDS_MAX`] fields.
    HeadTooLarge,
    /// A method that nothing here understands.
    Method,
    /// HTTP/2 or later without negotiation.
    Version,
}

impl Refusal {
    /// The status that tells the client.
    pub fn status(self) -> u16 {
        match self {
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge => 431,
            Self::Method | Self::TransferEncoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

impl<'b> Request<'b> {
    /// The first field of this name, if it is text.
    pub fn field(&self, name: &str) -> Option<&'b str> {
        let field = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    }

    /// The first value of a query parameter, as sent: tokens need no decoding.
    pub fn parameter(&self, name: &str) -> Option<&'b str> {
        self.query?
            .split('&')
            .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }

    /// Whether a parameter is there, with whatever value or none.
    pub fn has(&self, name: &str) -> bool {
        self.query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some(name)))
    }

    /// The pass shown: a bearer token (RFC 6750 §2.1), or `pass` in the query for players that cannot send fields.
    pub fn pass(&self) -> Option<&'b str> {
        let bearer = self.field("authorization").and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        bearer.or_else(|| self.parameter("pass"))
    }
}

/// The longest head read: the largest browsers send is about 2 kB without cookies, and we set none.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The longest target: a pass is at most 300 bytes, so this leaves room for any honest query.
pub const TARGET_BYTES_MAX: usize = 4 * 1024;
/// The most header fields; browsers send about 20.
pub const FIELDS_MAX: usize = 64;
/// The largest body passed on to the house: as much as the house takes, an SDP offer and every command being far smaller. Small enough
/// to be collected here before the house hears of it.
pub const BODY_BYTES_MAX: u64 = 64 * 1024;
/// The largest body of a request that may carry a file: as much as the house takes. Its length is said before it comes, and few are collected at once
/// ([`crate::shed::Limits::large_uploads`]).
pub const LARGE_BODY_BYTES_MAX: u64 = 20_000_000;
/// The path of such a request, before and behind the space's id; it is a PUT, with a pass.
const LARGE_PATH: (&str, &str) = ("/api/spaces/v1/spaces/", "/hold-music");

/// Reads one head from the start of `bytes`. Call again with more bytes after `Incomplete`; the caller's buffer need never hold more
/// than [`HEAD_BYTES_MAX`], for then the answer is `Complete` or `Refused`.
pub fn parse(bytes: &[u8]) -> Parsed<'_> {
    match read(bytes) {
        Ok(Some((request, head_bytes))) => Parsed::Complete { request, head_bytes },
        Ok(None) => Parsed::Incomplete,
        Err(refusal) => Parsed::Refused(refusal),
    }
}

fn read(bytes: &[u8]) -> Result<Option<(Request<'_>, usize)>, Refusal> {
    let bytes_max = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let head_bytes = match head.parse(bytes_max) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return unfinished(bytes).map(|()| None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(httparse::Error::Version) => return Err(Refusal::Version),
        Err(_) => return Err(Refusal::Malformed),
    };
    if has_bare_line_feed(bytes_max.get(..head_bytes).unwrap_or_default()) {
        return Err(Refusal::BareLineFeed);
    }
    let method = method(head.method.ok_or(Refusal::Malformed)?)?;
    let version = if head.version == Some(1) { Version::Http11 } else { Version::Http10 };
    let sent = head.path.ok_or(Refusal::Malformed)?;
    if sent.len() > TARGET_BYTES_MAX {
        return Err(Refusal::TargetTooLong);
    }
    let fields: Vec<Field<'_>> = head.headers.iter().map(|h| Field { name: h.name, value: h.value }).collect();
    let (authority, target) = target(sent)?;
    let host = host(&fields, version, authority)?;
    let (raw_path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = path(raw_path)?;
    let may_be_large = method == Method::Put && is_of_file(&path) && has_pass(&fields);
    let body = body(&fields, version, if may_be_large { LARGE_BODY_BYTES_MAX } else { BODY_BYTES_MAX })?;
    let connection = connection(&fields, version);
    if let Some(expect) = fields.iter().find(|f| f.name.eq_ignore_ascii_case("expect"))
        && !expect.value.eq_ignore_ascii_case(b"100-continue")
    {
        return Err(Refusal::Expectation);
    }
    Ok(Some((Request { method, version, target, path, query, host, body, connection, fields }, head_bytes)))
}

/// Whether a path is one that a file may be sent to.
fn is_of_file(path: &str) -> bool {
    let id = path.strip_prefix(LARGE_PATH.0).and_then(|rest| rest.strip_suffix(LARGE_PATH.1));
    id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
}

/// Whether somebody shows a pass. Only the house knows what it is worth, but who shows none need not be collected from.
fn has_pass(fields: &[Field<'_>]) -> bool {
    fields.iter().any(|field| field.name.eq_ignore_ascii_case("authorization") && !field.value.is_empty())
}

/// A head that has not ended yet is refused as soon as it cannot become good.
fn unfinished(bytes: &[u8]) -> Result<(), Refusal> {
    let line = bytes.iter().skip_while(|b| matches!(b, b'\r' | b'\n')).take_while(|&&b| b != b'\n').count();
    // 32: the longest method, two spaces, the version.
    if line > TARGET_BYTES_MAX + 32 {
        return Err(Refusal::TargetTooLong);
    }
    if bytes.len() >= HEAD_BYTES_MAX {
        return Err(Refusal::HeadTooLarge);
    }
    if has_bare_line_feed(bytes) { Err(Refusal::BareLineFeed) } else { Ok(()) }
}

fn has_bare_line_feed(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.iter().any(|&byte| {
        let bare = byte == b'\n' && before != b'\r';
        before = byte;
        bare
    })
}

fn method(name: &str) -> Result<Method, Refusal> {
    Ok(match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        _ => return Err(Refusal::Method),
    })
}

impl Method {
    /// Whether asking twice changes no more than asking once, for nothing is to change at all (RFC 9110 §9.2.1).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }

    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

/// Origin form, or absolute form, which servers must accept too (RFC 9112 §3.2.2); then its authority replaces Host.
fn target(sent: &str) -> Result<(Option<&str>, &str), Refusal> {
    if !sent.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\') {
        return Err(Refusal::Target);
    }
    if sent.starts_with('/') {
        return Ok((None, sent));
    }
    let scheme = sent.get(..7).ok_or(Refusal::Target)?;
    let rest = sent.get(7..).ok_or(Refusal::Target)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return Err(Refusal::Target);
    }
    let slash = rest.find('/').ok_or(Refusal::Target)?;
    Ok((rest.get(..slash), rest.get(slash..).ok_or(Refusal::Target)?))
}

fn host<'b>(fields: &[Field<'b>], version: Version, authority: Option<&'b str>) -> Result<&'b str, Refusal> {
    let mut hosts = fields.iter().filter(|f| f.name.eq_ignore_ascii_case("host"));
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Host);
    }
    let host = match first {
        Some(field) => std::str::from_utf8(field.value).map_err(|_| Refusal::Host)?,
        None if version == Version::Http10 => "",
        None => return Err(Refusal::Host),
    };
    let good = |host: &str| {
        host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(&b))
    };
    let meant = authority.unwrap_or(host);
    let named = !meant.is_empty() || (version == Version::Http10 && authority.is_none());
    if good(host) && good(meant) && named { Ok(meant) } else { Err(Refusal::Host) }
}

fn path(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    let decoded = decode(raw)?;
    if decoded.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(Refusal::DotSegment);
    }
    Ok(decoded)
}

fn decode(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    if !raw.contains('%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16)).ok_or(Refusal::Encoding);
        let value = u8::try_from(digit()? * 16 + digit()?).map_err(|_| Refusal::Encoding)?;
        match value {
            b'/' => out.extend_from_slice(b"%2F"),
            b'\\' | 0..=0x1f | 0x7f => return Err(Refusal::Encoding),
            _ => out.push(value),
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| Refusal::Encoding)
}

fn body(fields: &[Field<'_>], version: Version, bytes_max: u64) -> Result<Body, Refusal> {
    let mut codings = fields.iter().filter(|f| f.name.eq_ignore_ascii_case("transfer-encoding"));
    let mut lengths = fields.iter().filter(|f| f.name.eq_ignore_ascii_case("content-length"));
    let (coding, length) = (codings.next(), lengths.next());
    if coding.is_some() && length.is_some() {
        return Err(Refusal::Framing);
    }
    if lengths.next().is_some() {
        return Err(Refusal::ContentLength);
    }
    if let Some(coding) = coding {
        if version == Version::Http10 {
            return Err(Refusal::Framing);
        }
        let alone = codings.next().is_none() && coding.value.eq_ignore_ascii_case(b"chunked");
        return if alone { Ok(Body::Chunked) } else { Err(Refusal::TransferEncoding) };
    }
    let Some(length) = length else { return Ok(Body::None) };
    if length.value.is_empty() || !length.value.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::ContentLength);
    }
    let digits = std::str::from_utf8(length.value).map_err(|_| Refusal::ContentLength)?;
    match digits.parse::<u64>() {
        Ok(0) => Ok(Body::None),
        Ok(bytes) if bytes <= bytes_max => Ok(Body::Length(bytes)),
        // Digits only, so the one way to fail is to be too large for 64 bits.
        _ => Err(Refusal::BodyTooLarge),
    }
}

fn connection(fields: &[Field<'_>], version: Version) -> Connection {
    let close = fields
        .iter()
        .filter(|f| f.name.eq_ignore_ascii_case("connection"))
        .flat_map(|f| f.value.split(|&b| b == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
    if close || version == Version::Http10 { Connection::Close } else { Connection::KeepAlive }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_may_carry_a_file_is_large() {
        let shown = |field: &str, method: &str, path: &str, bytes: u64, expected: Option<Body>| {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{field}Content-Length: {bytes}\r\n\r\n");
            match (parse(head.as_bytes()), expected) {
                (Parsed::Complete { request, .. }, Some(body)) => assert_eq!(request.body, body, "{head:?}"),
                (Parsed::Refused(Refusal::BodyTooLarge), None) => {}
                (other, _) => panic!("{head:?} gave {other:?}"),
            }
        };
        let check = |method: &str, path: &str, bytes, expected| {
            shown("authorization: Bearer x\r\n", method, path, bytes, expected);
        };
        let path = "/api/spaces/v1/spaces/x/hold-music";
        for field in ["", "Authorization: \r\n", "X-Authorization: Bearer x\r\n"] {
            shown(field, "PUT", path, BODY_BYTES_MAX + 1, None);
        }
        for other in [
            "/hold-music",
            "/api/spaces/v1/spaces//hold-music",
            "/api/spaces/v1/spaces/x/y/hold-music",
            "/whip/x/hold-music",
        ] {
            check("PUT", other, BODY_BYTES_MAX + 1, None);
        }
        check("PUT", path, LARGE_BODY_BYTES_MAX, Some(Body::Length(LARGE_BODY_BYTES_MAX)));
        check("PUT", path, LARGE_BODY_BYTES_MAX + 1, None);
        check("POST", path, BODY_BYTES_MAX + 1, None);
        check("PUT", "/api/spaces/v1/spaces/x/hand", BODY_BYTES_MAX + 1, None);
        check("PUT", "/api/spaces/v1/spaces/x/hand", BODY_BYTES_MAX, Some(Body::Length(BODY_BYTES_MAX)));
    }

    fn refused(head: &str, why: Refusal) {
        match parse(head.as_bytes()) {
            Parsed::Refused(refusal) => assert_eq!(refusal, why, "{head:?}"),
            other => panic!("{head:?} gave {other:?}"),
        }
    }

    fn complete(head: &str) -> Request<'_> {
        match parse(head.as_bytes()) {
            Parsed::Complete { request, head_bytes } => {
                assert_eq!(head_bytes, head.len());
                request
            }
            other => panic!("{head:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_plain_request_is_read() {
        let request = complete("GET /listen/demo.ogg?pass=abc&x=1 HTTP/1.1\r\nHost: localhost:8080\r\n\r\n");
        assert_eq!((request.method, request.version, request.body), (Method::Get, Version::Http11, Body::None));
        assert_eq!((&*request.path, request.query), ("/listen/demo.ogg", Some("pass=abc&x=1")));
        assert_eq!((request.pass(), request.host), (Some("abc"), "localhost:8080"));
        assert_eq!(request.connection, Connection::KeepAlive);
    }

    #[test]
    fn a_bearer_pass_is_preferred_to_one_in_the_query() {
        let request = complete("GET /?pass=a HTTP/1.1\r\nHost: a\r\nAuthorization: bearer b\r\n\r\n");
        assert_eq!(request.pass(), Some("b"));
    }

    #[test]
    fn every_prefix_of_a_good_head_is_incomplete() {
        let head = "POST /a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n";
        for length in 0..head.len() {
            assert!(matches!(parse(&head.as_bytes()[..length]), Parsed::Incomplete), "{length}");
        }
        assert_eq!(complete(head).path, "/a b");
    }

    #[test]
    fn http_1_0_needs_no_host_and_closes() {
        let request = complete("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!((request.version, request.connection, request.host), (Version::Http10, Connection::Close, ""));
    }

    #[test]
    fn absolute_form_replaces_the_host() {
        let request = complete("GET http://b:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((request.host, request.target, &*request.path), ("b:1", "/p?q", "/p"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        refused(&with("Content-Length: 1\r\nTransfer-Encoding: chunked"), Refusal::Framing);
        refused(&with("Content-Length: 1\r\nContent-Length: 1"), Refusal::ContentLength);
        refused(&with("Content-Length: 1, 1"), Refusal::ContentLength);
        refused(&with("Content-Length: +1"), Refusal::ContentLength);
        refused(&with("Content-Length:"), Refusal::ContentLength);
        refused(&with("Content-Length: 65537"), Refusal::BodyTooLarge);
        refused(&with("Content-Length: 99999999999999999999999"), Refusal::BodyTooLarge);
        refused(&with("Transfer-Encoding: gzip, chunked"), Refusal::TransferEncoding);
        refused(&with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), Refusal::TransferEncoding);
        refused(&with("X: a\r\n folded"), Refusal::Malformed);
        refused(&with("X : a"), Refusal::Malformed);
        refused(&with("Host: b"), Refusal::Host);
        refused(&with("Expect: tea"), Refusal::Expectation);
        refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::Framing);
        refused("GET / HTTP/1.1\nHost: a\n\n", Refusal::BareLineFeed);
    }

    #[test]
    fn bad_lines_and_hosts_are_refused() {
        refused("GET / HTTP/1.1\r\n\r\n", Refusal::Host);
        refused("GET / HTTP/1.1\r\nHost:\r\n\r\n", Refusal::Host);
        refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Refusal::Host);
        refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Refusal::Host);
        refused("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target);
        refused("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target);
        refused("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Target);
        refused("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Encoding);
        refused("GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Encoding);
        refused("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Encoding);
        refused("GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Encoding);
        refused("GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::DotSegment);
        refused("GET /a/%2e%2E HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::DotSegment);
        refused("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method);
        refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Refusal::Version);
        refused("\x16\x03\x01\x02\x00", Refusal::Malformed);
    }

    #[test]
    fn an_encoded_slash_is_not_a_separator() {
        assert_eq!(complete("GET /a%2f..%2Fb HTTP/1.1\r\nHost: a\r\n\r\n").path, "/a%2F..%2Fb");
    }

    #[test]
    fn endless_heads_are_refused_within_the_limits() {
        refused(&format!("GET /{}", "a".repeat(TARGET_BYTES_MAX + 64)), Refusal::TargetTooLong);
        refused(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(TARGET_BYTES_MAX + 64)), Refusal::TargetTooLong);
        refused(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(TARGET_BYTES_MAX)), Refusal::TargetTooLong);
        refused(&format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_BYTES_MAX)), Refusal::HeadTooLarge);
        refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(FIELDS_MAX + 1)), Refusal::HeadTooLarge);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_request_like_text_makes_it_panic(target in "[ -~]{0,40}", fields in "([A-Za-z-]{1,20}: [ -~]{0,20}\r\n){0,4}") {
            let head = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
            if let Parsed::Complete { request, .. } = parse(head.as_bytes()) {
                prop_assert!(request.path.starts_with('/'));
                prop_assert!(!request.path.split('/').any(|s| s == ".."));
            }
        }
    }
}
